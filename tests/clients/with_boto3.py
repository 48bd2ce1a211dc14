"""boto3 and the runtime below it (crt), as a program uses them: endpoint and keys come from the environment.

    with_boto3.py FUNCTION
"""

import base64
import hashlib
import io
import os
import sys
import urllib.error
import urllib.request

import awscrt.auth
import awscrt.checksums
import awscrt.http
import awscrt.io
import awscrt.s3
import boto3
import botocore.session
import s3transfer.crt
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.httpchecksum import StreamingChecksumBody

BUCKET = os.environ["BUCKET"]
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
REGION = os.environ["AWS_REGION"]
MIB = 1 << 20
PART = 5 * MIB
ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
# The same bytes at each call, other ones at each place.
LARGE = hashlib.shake_128(b"large").digest(20 * MIB + 123)


def client(**more):
    return boto3.client("s3", region_name=REGION, config=Config(
        request_checksum_calculation="when_supported", response_checksum_validation="when_supported",
        signature_version="s3v4", retries={"total_max_attempts": 1}, **more))


def digest(algorithm, content):
    sums = {
        "CRC32": lambda: awscrt.checksums.crc32(content).to_bytes(4, "big"),
        "CRC32C": lambda: awscrt.checksums.crc32c(content).to_bytes(4, "big"),
        "CRC64NVME": lambda: awscrt.checksums.crc64nvme(content).to_bytes(8, "big"),
        "SHA1": lambda: hashlib.sha1(content).digest(),
        "SHA256": lambda: hashlib.sha256(content).digest(),
    }
    return base64.b64encode(sums[algorithm]()).decode()


def refused(code, call, **args):
    try:
        call(**args)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError(f"not refused with {code}")


def whole(key):
    """The object's bytes; boto3 compares them with the checksum of the whole, if that came."""
    return client().get_object(Bucket=BUCKET, Key=key)["Body"].read()


def objects_are_kept_looked_at_and_deleted():
    s3 = client()
    metadata = {"color": "blue", "number": "7"}
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello", ContentType="text/csv", Metadata=metadata,
                  CacheControl="no-store", ContentLanguage="de", ContentDisposition="attachment")
    head = s3.head_object(Bucket=BUCKET, Key="a")
    assert head["Metadata"] == metadata and head["ContentType"] == "text/csv", head
    assert (head["CacheControl"], head["ContentLanguage"], head["ContentDisposition"]) == ("no-store", "de", "attachment")
    s3.copy_object(Bucket=BUCKET, Key="b", CopySource={"Bucket": BUCKET, "Key": "a"})
    s3.copy_object(Bucket=BUCKET, Key="b", CopySource={"Bucket": BUCKET, "Key": "b"},
                   MetadataDirective="REPLACE", Metadata={"color": "red"})
    assert s3.head_object(Bucket=BUCKET, Key="b")["Metadata"] == {"color": "red"}
    assert s3.get_object_tagging(Bucket=BUCKET, Key="b")["TagSet"] == []
    refused("NotImplemented", s3.get_object_attributes, Bucket=BUCKET, Key="b", ObjectAttributes=["ETag"])

    long = "日" * 80 + "/" + "k" * (1024 - 241)
    keys = ["a", "a b", "a%20b", "a+b", "a/b", "100%", "ü/日本.txt", "&=;~'(x)*!", "line\nend", long]
    for number, key in enumerate(keys):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" * number)
    s3.delete_object(Bucket=BUCKET, Key="b")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 3})
    found = {each["Key"]: each["Size"] for page in pages for each in page["Contents"]}
    assert found == {key: number for number, key in enumerate(keys)}, found
    for number, key in enumerate(keys):
        assert whole(key) == b"x" * number, key
    refused("KeyTooLongError", s3.put_object, Bucket=BUCKET, Key=long + "k", Body=b"")
    level = s3.list_objects_v2(Bucket=BUCKET, Prefix="a", Delimiter="/")
    assert [each["Prefix"] for each in level["CommonPrefixes"]] == ["a/"], level
    assert [each["Key"] for each in level["Contents"]] == ["a", "a b", "a%20b", "a+b"], level
    gone = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(gone["Deleted"]) == len(keys) and "Errors" not in gone, gone
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def each_checksum_is_compared_and_given_back():
    s3 = client()
    for algorithm in ALGORITHMS:
        field = f"Checksum{algorithm}"
        expected = digest(algorithm, b"hello")
        put = s3.put_object(Bucket=BUCKET, Key=algorithm, Body=io.BytesIO(b"hello"), ChecksumAlgorithm=algorithm)
        assert put[field] == expected and put["ChecksumType"] == "FULL_OBJECT", put
        head = s3.head_object(Bucket=BUCKET, Key=algorithm, ChecksumMode="ENABLED")
        assert head[field] == expected, head
        got = s3.get_object(Bucket=BUCKET, Key=algorithm)
        assert isinstance(got["Body"], StreamingChecksumBody), "boto3 compares nothing"
        assert got["Body"].read() == b"hello" and got[field] == expected, got
        wrong = {field: digest(algorithm, b"hallo")}
        refused("BadDigest", s3.put_object, Bucket=BUCKET, Key="wrong", Body=b"hello", **wrong)
    # Nothing said: boto3 adds a CRC of its own choice.
    put = s3.put_object(Bucket=BUCKET, Key="silent", Body=b"hello")
    assert any(put.get(f"Checksum{each}") == digest(each, b"hello") for each in ALGORITHMS), put
    assert "wrong" not in [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]


def parts_have_checksums_of_the_whole_and_of_the_parts():
    s3 = client()
    parts = [LARGE[:PART], LARGE[PART:PART + 100]]
    kinds = [(each, "COMPOSITE") for each in ALGORITHMS if each != "CRC64NVME"]
    kinds += [(each, "FULL_OBJECT") for each in ALGORITHMS if each.startswith("CRC")]
    for algorithm, kind in kinds:
        key, field = f"{algorithm} {kind}", f"Checksum{algorithm}"
        where = {"Bucket": BUCKET, "Key": key}
        where["UploadId"] = s3.create_multipart_upload(
            Bucket=BUCKET, Key=key, ChecksumAlgorithm=algorithm, ChecksumType=kind)["UploadId"]
        done = []
        for number, part in enumerate(parts, 1):
            answer = s3.upload_part(**where, PartNumber=number, Body=part, ChecksumAlgorithm=algorithm)
            assert answer[field] == digest(algorithm, part), answer
            done.append({"PartNumber": number, "ETag": answer["ETag"], field: answer[field]})
        wrong = [dict(done[0], **{field: done[1][field]}), done[1]]
        refused("InvalidPart", s3.complete_multipart_upload, **where, MultipartUpload={"Parts": wrong})
        if kind == "FULL_OBJECT":
            expected = digest(algorithm, b"".join(parts))
        else:
            joined = b"".join(base64.b64decode(digest(algorithm, part)) for part in parts)
            expected = f"{digest(algorithm, joined)}-2"
        answer = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": done}, ChecksumType=kind)
        assert (answer[field], answer["ChecksumType"]) == (expected, kind), answer
        head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        assert (head[field], head["ChecksumType"]) == (expected, kind), head
        assert whole(key) == b"".join(parts)


def upload_that_is_aborted_leaves_nothing():
    s3 = client()
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="k")
    where = {"Bucket": BUCKET, "Key": "k", "UploadId": upload["UploadId"]}
    s3.upload_part(**where, PartNumber=1, Body=b"x" * 1000)
    assert len(s3.list_parts(**where)["Parts"]) == 1
    blobs = os.path.join(os.environ["LAPSE_HOME"], "store", "blobs")
    assert len(os.listdir(blobs)) == 1
    s3.abort_multipart_upload(**where)
    refused("NoSuchUpload", s3.list_parts, **where)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    assert os.listdir(blobs) == []


def conditions_hold_when_writing_and_reading():
    s3 = client()
    here = {"Bucket": BUCKET, "Key": "k"}
    first = s3.put_object(**here, Body=b"first", IfNoneMatch="*")["ETag"]
    refused("PreconditionFailed", s3.put_object, **here, Body=b"second", IfNoneMatch="*")
    second = s3.put_object(**here, Body=b"second", IfMatch=first)["ETag"]
    refused("PreconditionFailed", s3.put_object, **here, Body=b"third", IfMatch=first)
    refused("NoSuchKey", s3.put_object, Bucket=BUCKET, Key="none", Body=b"", IfMatch=first)
    refused("PreconditionFailed", s3.get_object, **here, IfMatch=first)
    refused("304", s3.get_object, **here, IfNoneMatch=second)
    refused("PreconditionFailed", s3.delete_object, **here, IfMatch=first)
    upload = s3.create_multipart_upload(**here)["UploadId"]
    part = s3.upload_part(**here, UploadId=upload, PartNumber=1, Body=b"parts")
    end = {"UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}}
    refused("PreconditionFailed", s3.complete_multipart_upload, **here, **end, IfNoneMatch="*")
    refused("PreconditionFailed", s3.complete_multipart_upload, **here, **end, IfMatch=first)
    assert whole("k") == b"second"
    s3.complete_multipart_upload(**here, **end, IfMatch=second)
    assert whole("k") == b"parts"


def ranges_give_what_they_name():
    s3 = client()
    s3.put_object(Bucket=BUCKET, Key="k", Body=LARGE[:100_000])
    for asked, first, last in [("bytes=0-0", 0, 0), ("bytes=10-19", 10, 19), ("bytes=99990-", 99_990, 99_999),
                               ("bytes=-7", 99_993, 99_999), ("bytes=99999-200000", 99_999, 99_999)]:
        got = s3.get_object(Bucket=BUCKET, Key="k", Range=asked)
        assert got["ContentRange"] == f"bytes {first}-{last}/100000", got
        assert got["Body"].read() == LARGE[first:last + 1], asked
    refused("InvalidRange", s3.get_object, Bucket=BUCKET, Key="k", Range="bytes=100000-")


def links_open_until_they_are_forged():
    s3 = client()
    key = "for you/ü +1.txt"
    put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=60)
    urllib.request.urlopen(urllib.request.Request(put, b"hello", {"Content-Type": ""}, method="PUT"))
    get = s3.generate_presigned_url("get_object", ExpiresIn=60, Params={
        "Bucket": BUCKET, "Key": key, "ResponseContentType": "text/x-mine"})
    answer = urllib.request.urlopen(get)
    assert answer.read() == b"hello" and answer.headers["Content-Type"] == "text/x-mine"
    for forged in [get.replace("x-mine", "x-yours"), get.replace("Expires=60", "Expires=6000"), put]:
        try:
            urllib.request.urlopen(forged)
        except urllib.error.HTTPError as error:
            assert error.code == 403 and b"<Code>SignatureDoesNotMatch</Code>" in error.read()
        else:
            raise AssertionError(f"{forged} opened")


def transfer_manager_moves_large_files():
    s3 = client()
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4,
                            preferred_transfer_client="classic")
    seen = []
    s3.upload_fileobj(io.BytesIO(LARGE), BUCKET, "large", Config=config, Callback=seen.append,
                      ExtraArgs={"Metadata": {"color": "blue"}})
    assert sum(seen) == len(LARGE)
    head = s3.head_object(Bucket=BUCKET, Key="large", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-5"') and head["Metadata"] == {"color": "blue"}, head
    s3.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "copy", Config=config)
    assert s3.head_object(Bucket=BUCKET, Key="copy")["ETag"].endswith('-5"')
    for key in ["large", "copy"]:
        into = io.BytesIO()
        s3.download_fileobj(BUCKET, key, into, Config=config)
        assert into.getvalue() == LARGE, key
    into = io.BytesIO()
    boto3.resource("s3", region_name=REGION).Object(BUCKET, "large").download_fileobj(into)
    assert into.getvalue() == LARGE


def crt():
    """The client of the runtime itself, over plain HTTP."""
    group = awscrt.io.EventLoopGroup(2)
    bootstrap = awscrt.io.ClientBootstrap(group, awscrt.io.DefaultHostResolver(group))
    keys = awscrt.auth.AwsCredentialsProvider.new_static(
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    return awscrt.s3.S3Client(
        bootstrap=bootstrap, region=REGION, tls_mode=awscrt.s3.S3RequestTlsMode.DISABLED, part_size=PART,
        signing_config=awscrt.s3.create_default_s3_signing_config(region=REGION, credential_provider=keys),
    )


def crt_sends(runtime, key, content, **checksums):
    headers = awscrt.http.HttpHeaders([
        ("host", ENDPOINT.removeprefix("http://")), ("content-length", str(len(content)))])
    path = f"/{BUCKET}/{key}"
    request = awscrt.http.HttpRequest("PUT", path, headers, io.BytesIO(content))
    runtime.make_request(
        type=awscrt.s3.S3RequestType.PUT_OBJECT, request=request,
        checksum_config=awscrt.s3.S3ChecksumConfig(**checksums)).finished_future.result(60)


def crt_gets(runtime, key):
    """The object's bytes, and whether they were compared with a checksum."""
    got, ends = bytearray(len(LARGE)), []
    size = 0

    def take(chunk, offset, **_):
        nonlocal size
        got[offset:offset + len(chunk)] = chunk
        size += len(chunk)

    headers = awscrt.http.HttpHeaders([("host", ENDPOINT.removeprefix("http://"))])
    runtime.make_request(
        type=awscrt.s3.S3RequestType.GET_OBJECT, request=awscrt.http.HttpRequest("GET", f"/{BUCKET}/{key}", headers),
        checksum_config=awscrt.s3.S3ChecksumConfig(validate_response=True),
        on_body=take, on_done=lambda **end: ends.append(end)).finished_future.result(60)
    return bytes(got[:size]), ends[0]["did_validate_checksum"]


def crt_sends_each_checksum_before_and_after_the_bytes():
    runtime, s3 = crt(), client()
    for algorithm in ALGORITHMS:
        named = getattr(awscrt.s3.S3ChecksumAlgorithm, algorithm)
        for location in awscrt.s3.S3ChecksumLocation:
            key = f"{algorithm}-{location.name}"
            crt_sends(runtime, key, b"hello", algorithm=named, location=location)
            head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
            assert head[f"Checksum{algorithm}"] == digest(algorithm, b"hello"), head
            assert crt_gets(runtime, key) == (b"hello", True), key
            assert whole(key) == b"hello"
            crt_sends(runtime, f"{key}-large", LARGE[:2 * PART + 1], algorithm=named, location=location)
            assert whole(f"{key}-large") == LARGE[:2 * PART + 1], key


def crt_gets_large_objects_in_ranges():
    runtime = crt()
    algorithm, location = awscrt.s3.S3ChecksumAlgorithm.CRC32, awscrt.s3.S3ChecksumLocation.TRAILER
    crt_sends(runtime, "large", LARGE, algorithm=algorithm, location=location)
    assert crt_gets(runtime, "large")[0] == LARGE
    client().put_object(Bucket=BUCKET, Key="one-piece", Body=LARGE)
    assert crt_gets(runtime, "one-piece")[0] == LARGE


def crt_transfer_manager_moves_files():
    session = botocore.session.Session()
    credentials = s3transfer.crt.BotocoreCRTCredentialsWrapper(session.get_credentials())
    serializer = s3transfer.crt.BotocoreCRTRequestSerializer(
        session, {"region_name": REGION, "endpoint_url": ENDPOINT, "config": Config(s3={"addressing_style": "path"})})
    runtime = s3transfer.crt.create_s3_crt_client(
        REGION, crt_credentials_provider=credentials.to_crt_credentials_provider(), use_ssl=False, part_size=PART)
    with open("large", "wb") as file:
        file.write(LARGE)
    keys = ["large", "folder/ü +.bin"]
    # A download gets its name after its future is done; the end of the manager waits for that.
    with s3transfer.crt.CRTTransferManager(runtime, serializer) as manager:
        for number, key in enumerate(keys):
            manager.upload("large", BUCKET, key).result()
            manager.download(BUCKET, key, f"back-{number}").result()
    for number, key in enumerate(keys):
        with open(f"back-{number}", "rb") as file:
            assert file.read() == LARGE, key
    assert client().head_object(Bucket=BUCKET, Key="large")["ETag"].endswith('-5"')
    with s3transfer.crt.CRTTransferManager(runtime, serializer) as manager:
        manager.delete(BUCKET, "large").result()
    found = client().list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [each["Key"] for each in found] == ["folder/ü +.bin"], found


if __name__ == "__main__":
    globals()[sys.argv[1]]()
