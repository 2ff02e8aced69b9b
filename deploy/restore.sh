#!/usr/bin/env bash
# Restores a backup of deploy/backup.sh into an empty database and a bucket without jobs. No process of
# the service may run meanwhile.
#
#   deploy/restore.sh FOLDER
#
# Environment: the same as for backup.sh. It also needs pg_restore and psql.
set -euo pipefail
. "$(dirname "$0")/servers.sh"

source=${1:?missing argument: the folder of a backup}
[ -f "$source/SHA256SUMS" ] || fail "$source is not a backup: it has no SHA256SUMS"
(cd "$source" && sha256sum --check --quiet SHA256SUMS) || fail "the backup is damaged; use another one"
tables=$(psql "$database" --no-psqlrc --tuples-only --no-align \
  --command "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
[ -z "$tables" ] || fail "the database is not empty, and a restore never replaces data; create a new one"
make_bucket
folders=$(list_bucket)
! grep -Eq '(^| )jobs/$' <<< "$folders" ||
  fail "the bucket has jobs, and a restore never replaces data; choose another one with MINIO_BUCKET_NAME"

# The objects first, so that no row ever names a missing object. The rows are restored all or not at all.
copy_objects "$source/objects" "$bucket/jobs"
pg_restore --single-transaction --no-owner --no-privileges --dbname="$database" "$source/records.dump"
echo "Restored. Next: run alembic upgrade head (docker compose up does this), and start the service."
