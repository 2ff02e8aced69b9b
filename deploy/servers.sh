# Shared by backup.sh and restore.sh: the servers in the settings, and the commands of each S3_TOOL.
# Secrets are passed in the environment, where other accounts cannot see them.

fail() {
  echo "$(basename "$0"): $1" >&2
  exit 1
}

elsewhere="is not set; for the service of transcribe up, use transcribe backup"
: "${DATABASE_URL:?$elsewhere}" "${MINIO_ENDPOINT:?$elsewhere}"
: "${MINIO_ACCESS_KEY:?is not set}" "${MINIO_SECRET_KEY:?is not set}"

# The form for PostgreSQL's own programs: without the driver, and without the password.
[[ $DATABASE_URL =~ ^postgres(ql)?(\+[a-z0-9]+)?://(.*)$ ]] || fail "DATABASE_URL is not a PostgreSQL URL"
database=postgresql://${BASH_REMATCH[3]}
if [[ $database =~ ^postgresql://([^:@/]*):([^@/]*)@(.*)$ ]]; then
  database=postgresql://${BASH_REMATCH[1]}@${BASH_REMATCH[3]}
  PGPASSWORD=$(printf '%b' "${BASH_REMATCH[2]//%/\\x}")
  export PGPASSWORD
fi

name=${MINIO_BUCKET_NAME:-transcriptions}
case ${MINIO_USE_SSL:-false} in
  [Tt]rue | 1 | [Yy]es | [Oo]n) scheme=https ;;
  *) scheme=http ;;
esac
address=$scheme://$MINIO_ENDPOINT
tool=${S3_TOOL:-rclone}
command -v "$tool" > /dev/null ||
  fail "$tool is not installed; install it, or set S3_TOOL to one of rclone, aws, mc"

case $tool in
  rclone)
    export RCLONE_CONFIG_STORE_TYPE=s3 RCLONE_CONFIG_STORE_PROVIDER=Other
    export RCLONE_CONFIG_STORE_ENDPOINT=$address RCLONE_CONFIG_STORE_REGION=${MINIO_REGION:-us-east-1}
    export RCLONE_CONFIG_STORE_ACCESS_KEY_ID=$MINIO_ACCESS_KEY
    export RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY=$MINIO_SECRET_KEY
    bucket=store:$name
    # Objects that were deleted during the copy are no longer listed by the retry.
    copy_objects() { rclone copy --retries 5 "$1" "$2"; }
    list_bucket() { rclone lsf --max-depth 1 "$bucket"; }
    make_bucket() { rclone mkdir "$bucket"; }
    ;;
  aws)
    export AWS_ACCESS_KEY_ID=$MINIO_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$MINIO_SECRET_KEY
    export AWS_DEFAULT_REGION=${MINIO_REGION:-us-east-1} AWS_EC2_METADATA_DISABLED=true
    # Not all servers other than AWS support the newer checksums.
    export AWS_REQUEST_CHECKSUM_CALCULATION=when_required AWS_RESPONSE_CHECKSUM_VALIDATION=when_required
    bucket=s3://$name
    sync() { aws --endpoint-url "$address" s3 sync --only-show-errors "$1" "$2"; }
    # Objects that were deleted during the copy are no longer listed by the retry.
    copy_objects() { sync "$1" "$2" || sync "$1" "$2"; }
    list_bucket() { aws --endpoint-url "$address" s3 ls "$bucket/" || [ $? = 1 ]; }
    make_bucket() {
      aws --endpoint-url "$address" s3api head-bucket --bucket "$name" > /dev/null 2>&1 ||
        aws --endpoint-url "$address" s3 mb "$bucket"
    }
    ;;
  mc)
    export MC_HOST_store=$scheme://$MINIO_ACCESS_KEY:$MINIO_SECRET_KEY@$MINIO_ENDPOINT
    bucket=store/$name
    copy_objects() { mc mirror --quiet --retry "$1" "$2"; }
    list_bucket() { mc ls "$bucket"; }
    make_bucket() { mc mb --ignore-existing "$bucket"; }
    ;;
  *) fail "S3_TOOL is $tool; must be rclone, aws or mc" ;;
esac
