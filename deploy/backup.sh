#!/usr/bin/env bash
# Backs up a service whose records are in PostgreSQL and whose objects are in S3-compatible storage,
# while it runs. (`transcribe backup` does it for the service of `transcribe up`.)
#
#   deploy/backup.sh FOLDER      # a new one; it appears when all is in it
#
# From the environment: DATABASE_URL, MINIO_ENDPOINT, MINIO_ACCESS_KEY, MINIO_SECRET_KEY, and where
# they are not the usual ones MINIO_BUCKET_NAME, MINIO_USE_SSL, MINIO_REGION. S3_TOOL: the program
# that copies objects, rclone, aws or mc. Beside it, pg_dump is needed, no older than the server.
set -euo pipefail
. "$(dirname "$0")/servers.sh"

target=${1:?name a new folder for the backup}
[ ! -e "$target" ] || fail "$target exists, and a backup replaces nothing; name another folder"
umask 077
unfinished=$target.unfinished
mkdir "$unfinished" || fail "$unfinished cannot be made; remove it if a backup that was killed left it"
trap 'rm -rf "$unfinished"' EXIT
mkdir "$unfinished/objects"

# The records first. An object is written before a row names it, so all that these rows name is there
# when the objects are copied, but for jobs that are deleted in between.
pg_dump --format=custom --file="$unfinished/records.dump" "$database"
copy_objects "$bucket/jobs" "$unfinished/objects"

(cd "$unfinished" && find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS)
mv "$unfinished" "$target"
echo "$target"
