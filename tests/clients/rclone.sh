# rclone, without a file of settings.
export RCLONE_S3_PROVIDER=Other RCLONE_S3_ENV_AUTH=true RCLONE_S3_ENDPOINT=$AWS_ENDPOINT_URL RCLONE_CONFIG=/dev/null
export RCLONE_S3_UPLOAD_CUTOFF=5M RCLONE_S3_CHUNK_SIZE=5M RCLONE_S3_COPY_CUTOFF=8M
put() { rclone copyto "$1" ":s3:$BUCKET/$2"; }
put_described() { rclone copyto --header-upload 'Content-Type: text/csv' --header-upload 'X-Amz-Meta-Color: blue' "$1" ":s3:$BUCKET/$2"; }
get() { rclone copyto ":s3:$BUCKET/$1" "$2"; }
list() { rclone lsf ":s3:$BUCKET/$1"; }
list_all() { rclone lsf --files-only -R ":s3:$BUCKET/$1"; }
copy() { rclone copyto ":s3:$BUCKET/$1" ":s3:$BUCKET/$2"; }
remove() { rclone deletefile ":s3:$BUCKET/$1"; }
remove_all() { rclone purge ":s3:$BUCKET/$1"; }
sync_up() { rclone sync "$1" ":s3:$BUCKET/$2"; }
sync_down() { rclone sync ":s3:$BUCKET/$1" "$2"; }
presign() { rclone link --expire 60s ":s3:$BUCKET/$1"; }
give_up() { rclone backend cleanup ":s3:$BUCKET" -o max-age=0s; }
