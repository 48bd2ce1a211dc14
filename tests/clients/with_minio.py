"""minio's Python SDK, which asks as the mc command does: endpoint and keys come from the environment.

    with_minio.py FUNCTION
"""

import hashlib
import io
import os
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

import minio
from minio.commonconfig import REPLACE, ComposeSource, CopySource
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

BUCKET = os.environ["BUCKET"]
HOST = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
MIB = 1 << 20
# The same bytes at each call, other ones at each place.
LARGE = hashlib.shake_128(b"large").digest(20 * MIB + 123)


def client():
    return minio.Minio(HOST, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], secure=False)


def put(store, key, content, **more):
    return store.put_object(BUCKET, key, io.BytesIO(content), len(content), **more)


def got(store, key, **more):
    answer = store.get_object(BUCKET, key, **more)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def keys(store, **more):
    return [each.object_name for each in store.list_objects(BUCKET, **more)]


def refused(code, call, *words, **more):
    try:
        call(*words, **more)
    except S3Error as error:
        assert error.code == code, error
        return
    raise AssertionError(f"not refused with {code}")


def buckets_are_found_and_kept():
    store = client()
    assert [each.name for each in store.list_buckets()] == [BUCKET]
    assert store.bucket_exists(BUCKET)
    refused("BucketAlreadyOwnedByYou", store.make_bucket, BUCKET)
    refused("AccessDenied", store.make_bucket, "another")
    refused("AccessDenied", store.remove_bucket, BUCKET)


def objects_of_any_key_are_kept_listed_and_deleted():
    store = client()
    long = "日" * 80 + "/" + "k" * (1024 - 241)
    names = ["a", "a b", "a%20b", "a+b", "a/b", "100%", "ü/日本.txt", "&=;~'(x)*!", long]
    for number, key in enumerate(names):
        put(store, key, b"x" * number, content_type="text/csv", metadata={"color": "blue"})
    for number, key in enumerate(names):
        assert got(store, key) == b"x" * number, key
    assert sorted(keys(store, recursive=True)) == sorted(names)
    assert keys(store, prefix="a") == ["a", "a b", "a%20b", "a+b", "a/"]
    stat = store.stat_object(BUCKET, "a b")
    assert (stat.content_type, stat.metadata["x-amz-meta-color"], stat.size) == ("text/csv", "blue", 1)
    assert got(store, "100%", offset=2, length=2) == b"xx"
    store.copy_object(BUCKET, "copy", CopySource(BUCKET, "a+b"))
    assert got(store, "copy") == b"xxx"
    store.copy_object(BUCKET, "copy", CopySource(BUCKET, "copy"), metadata={"color": "red"}, metadata_directive=REPLACE)
    assert store.stat_object(BUCKET, "copy").metadata["x-amz-meta-color"] == "red"
    store.remove_object(BUCKET, "copy")
    refused("NoSuchKey", store.stat_object, BUCKET, "copy")
    assert list(store.remove_objects(BUCKET, [DeleteObject(key) for key in names])) == []
    assert keys(store, recursive=True) == []


def large_objects_go_in_parts():
    store = client()
    put(store, "large", LARGE, part_size=5 * MIB)
    assert store.stat_object(BUCKET, "large").etag.endswith("-5")
    assert got(store, "large") == LARGE
    # A stream whose length isn't known.
    store.put_object(BUCKET, "stream", io.BytesIO(LARGE), -1, part_size=5 * MIB)
    assert got(store, "stream") == LARGE
    store.compose_object(BUCKET, "both", [ComposeSource(BUCKET, "large"), ComposeSource(BUCKET, "stream")])
    assert got(store, "both") == LARGE * 2
    store.fput_object(BUCKET, "file", sys.argv[0])
    store.fget_object(BUCKET, "file", "fetched")
    with open(sys.argv[0], "rb") as here, open("fetched", "rb") as there:
        assert here.read() == there.read()


def links_and_forms_let_others_in():
    store = client()
    key = "for you/ü +1.txt"
    link = store.presigned_put_object(BUCKET, key, timedelta(minutes=1))
    urllib.request.urlopen(urllib.request.Request(link, b"hello", {"Content-Type": ""}, method="PUT"))
    link = store.presigned_get_object(BUCKET, key, timedelta(minutes=1))
    assert urllib.request.urlopen(link).read() == b"hello"
    try:
        urllib.request.urlopen(link.replace("Expires=60", "Expires=61"))
    except urllib.error.HTTPError as error:
        assert error.code == 403
    else:
        raise AssertionError("a forged link opened")

    policy = PostPolicy(BUCKET, datetime.now(timezone.utc) + timedelta(minutes=1))
    policy.add_starts_with_condition("key", "inbox/")
    policy.add_content_length_range_condition(1, 10)
    fields = dict(store.presigned_post_policy(policy), key="inbox/letter")

    def send(content):
        lines = [f'--cut\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
        lines.append(f'--cut\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{content}\r\n--cut--\r\n')
        return urllib.request.urlopen(urllib.request.Request(
            f"http://{HOST}/{BUCKET}", "".join(lines).encode(), {"Content-Type": "multipart/form-data; boundary=cut"}))

    assert send("hello").status == 204
    assert got(store, "inbox/letter") == b"hello"
    try:
        send("more than ten")
    except urllib.error.HTTPError as error:
        assert b"<Code>EntityTooLarge</Code>" in error.read()
    else:
        raise AssertionError("a file that is too large was taken")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
