# The aws command. It sends files above 8 MiB in parts.
put() { aws s3 cp --only-show-errors "$1" "s3://$BUCKET/$2"; }
put_described() { aws s3 cp --only-show-errors --content-type text/csv --metadata color=blue "$1" "s3://$BUCKET/$2"; }
get() { aws s3 cp --only-show-errors "s3://$BUCKET/$1" "$2"; }
list() { aws s3 ls "s3://$BUCKET/$1"; }
list_all() { aws s3 ls --recursive "s3://$BUCKET/$1"; }
copy() { aws s3 cp --only-show-errors "s3://$BUCKET/$1" "s3://$BUCKET/$2"; }
remove() { aws s3 rm --only-show-errors "s3://$BUCKET/$1"; }
remove_all() { aws s3 rm --only-show-errors --recursive "s3://$BUCKET/$1"; }
sync_up() { aws s3 sync --only-show-errors --delete "$1" "s3://$BUCKET/$2"; }
sync_down() { aws s3 sync --only-show-errors --delete "s3://$BUCKET/$1" "$2"; }
presign() { # without the setting, version 1 of the command signs links by signature version 2
  aws configure set default.s3.signature_version s3v4
  aws s3 presign --expires-in 60 "s3://$BUCKET/$1"
}
give_up() { aws s3api abort-multipart-upload --bucket "$BUCKET" --key "$1" --upload-id "$2"; }
