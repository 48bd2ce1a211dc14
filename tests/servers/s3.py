"""boto3, spoken to in JSON: one request a line on standard input, one answer a line on standard output;
`ready` comes first.

    {"service": "s3", "endpoint": …, "access_key": …, "secret_key": …, "call": "put_object", "args": {…}}
    → {"ok": {…}}  or  {"error": {"code": …, "message": …}}

Bytes go both ways as {"base64": …}. A call of this client shows what an S3 program sees that nobody here wrote.
"""

import base64
import datetime
import functools
import json
import sys

import boto3
import botocore.config
import botocore.exceptions


@functools.cache
def client(service, endpoint, access_key, secret_key, token):
    return boto3.client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access_key,
        aws_secret_access_key=secret_key, aws_session_token=token,
        config=botocore.config.Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"},
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
        ),
    )


def decoded(value):
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(value["base64"])
        return {name: decoded(each) for name, each in value.items()}
    return [decoded(each) for each in value] if isinstance(value, list) else value


def encoded(value):
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: encoded(each) for name, each in value.items()}
    return [encoded(each) for each in value] if isinstance(value, list) else value


print("ready", flush=True)
for line in sys.stdin:
    ask = json.loads(line)
    try:
        peer = client(ask["service"], ask["endpoint"], ask["access_key"], ask["secret_key"], ask.get("token"))
        answer = {"ok": encoded(getattr(peer, ask["call"])(**decoded(ask["args"])))}
    except botocore.exceptions.ClientError as error:
        answer = {"error": {"code": error.response["Error"]["Code"], "message": str(error)}}
    except (botocore.exceptions.BotoCoreError, TypeError, ValueError) as error:
        answer = {"error": {"code": type(error).__name__, "message": str(error)}}
    print(json.dumps(answer), flush=True)
