# s3cmd takes the keys from the environment, and the rest from words.
host=${AWS_ENDPOINT_URL#http://}
s3() { s3cmd --config=/dev/null --no-progress --no-ssl --host="$host" --host-bucket="$host" --region="$AWS_REGION" "$@"; }
put() { s3 put --multipart-chunk-size-mb=5 "$1" "s3://$BUCKET/$2"; }
put_described() { s3 put --mime-type=text/csv --add-header=x-amz-meta-color:blue "$1" "s3://$BUCKET/$2"; }
get() { s3 get --force "s3://$BUCKET/$1" "$2"; }
list() { s3 ls "s3://$BUCKET/$1"; }
list_all() { s3 ls --recursive "s3://$BUCKET/$1"; }
copy() { s3 cp "s3://$BUCKET/$1" "s3://$BUCKET/$2"; }
remove() { s3 rm "s3://$BUCKET/$1"; }
remove_all() { s3 rm --recursive --force "s3://$BUCKET/$1"; }
sync_up() { s3 sync --delete-removed "$1/" "s3://$BUCKET/$2/"; }
sync_down() { s3 sync --delete-removed "s3://$BUCKET/$1/" "$2/"; }
presign() { s3 signurl "s3://$BUCKET/$1" +60; }
give_up() { s3 abortmp "s3://$BUCKET/$1" "$2"; }
