"""Links a second: lapse-core beside boto3, in turns, one core each.

    presign.py PROGRAM      PROGRAM COUNT prints lapse-core's figure (bench/presign.rs)
"""

import statistics
import subprocess
import sys
import time

import boto3
import botocore.config

ROUNDS = 7
COUNT = {"lapse": 100_000, "boto3": 3_000}


def lapse():
    return float(subprocess.check_output([sys.argv[1], str(COUNT["lapse"])]))


def boto3_links():
    client = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        config=botocore.config.Config(signature_version="s3v4"),
    )

    def link(number):
        return client.generate_presigned_url("get_object", ExpiresIn=900, Params={
            "Bucket": "bench-bucket", "Key": f"reports/{number:08}/report.pdf",
            "ResponseContentDisposition": 'attachment; filename="report.pdf"',
        })

    link(0)  # the first one loads what the others use
    began = time.perf_counter()
    for number in range(COUNT["boto3"]):
        link(number)
    return COUNT["boto3"] / (time.perf_counter() - began)


rounds = [(lapse(), boto3_links()) for _ in range(ROUNDS)]
ours, theirs = (statistics.median(column) for column in zip(*rounds))
print(f"median of {ROUNDS} rounds, boto3 {boto3.__version__}, Python {sys.version.split()[0]}\n")
print("| | links a second | × |")
print("|---|---:|---:|")
print(f"| boto3 `generate_presigned_url` | {theirs:,.0f} | 1 |")
print(f"| lapse-core `LinkFacts::presign` | {ours:,.0f} | {ours / theirs:.1f} |")
