# s5cmd takes its endpoint from a variable of its own. Without `--raw`, * and ? in a key are patterns; without the
# directive, it asks for copies that lose type and metadata.
export S3_ENDPOINT_URL=$AWS_ENDPOINT_URL
put() { s5cmd --log error cp --raw --part-size 5 "$1" "s3://$BUCKET/$2"; }
put_described() { s5cmd --log error cp --content-type text/csv --metadata color=blue "$1" "s3://$BUCKET/$2"; }
get() { s5cmd --log error cp --raw --part-size 5 "s3://$BUCKET/$1" "$2"; }
list() { s5cmd ls "s3://$BUCKET/$1"; }
list_all() { s5cmd ls "s3://$BUCKET/$1*"; }
copy() { s5cmd --log error cp --raw --metadata-directive COPY "s3://$BUCKET/$1" "s3://$BUCKET/$2"; }
remove() { s5cmd --log error rm --raw "s3://$BUCKET/$1"; }
remove_all() { s5cmd --log error rm "s3://$BUCKET/$1*"; }
sync_up() { s5cmd --log error sync --delete "$1/" "s3://$BUCKET/$2/"; }
sync_down() { s5cmd --log error sync --delete "s3://$BUCKET/$1/*" "$2/"; }
presign() { s5cmd presign --expire 60s "s3://$BUCKET/$1"; }
