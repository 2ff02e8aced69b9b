#!/usr/bin/env bash
# Backs up a running service with its database in PostgreSQL and its objects in S3-compatible storage.
# (For the service of `transcribe up`, use `transcribe backup`.)
#
#   deploy/backup.sh FOLDER      # a new folder; it appears when the backup is complete
#
# Environment: DATABASE_URL, MINIO_ENDPOINT, MINIO_ACCESS_KEY, MINIO_SECRET_KEY, and unless they have
# their defaults MINIO_BUCKET_NAME, MINIO_USE_SSL, MINIO_REGION. S3_TOOL: the program that copies
# objects: rclone, aws or mc. It also needs pg_dump, not older than the server.
set -euo pipefail
. "$(dirname "$0")/servers.sh"

target=${1:?missing argument: a new folder for the backup}
[ ! -e "$target" ] || fail "$target exists; a backup never replaces a folder: choose another name"
umask 077
unfinished=$target.unfinished
mkdir "$unfinished" || fail "$unfinished cannot be created; delete it if it is left from a killed backup"
trap 'rm -rf "$unfinished"' EXIT
mkdir "$unfinished/objects"

# The database first. An object is written before a row names it, so all objects that these rows name
# exist when the objects are copied, except those of jobs that are deleted in between.
pg_dump --format=custom --file="$unfinished/records.dump" "$database"
copy_objects "$bucket/jobs" "$unfinished/objects"

(cd "$unfinished" && find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS)
mv "$unfinished" "$target"
echo "$target"
