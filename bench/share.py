"""A small file to a working link, end to end, as a person types it: `lapse share` beside `aws s3 cp` and
`aws s3 presign`, in turns, on the same SeaweedFS.

    share.py LAPSE AWS      the two programs
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

from rig import rig

ROUNDS = 15
SERVERS = pathlib.Path(__file__).parent.parent / "tests/servers"
BUCKET = "bench-bucket"


def timed(*commands, env):
    began = time.perf_counter()
    for command in commands:
        output = subprocess.check_output(command, env=env, text=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began, output.strip()


def measure(lapse, aws, folder, server, bus):
    key, secret, endpoint = server["access_key"], server["secret_key"], server["endpoint"]
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key,
                 aws_secret_access_key=secret).create_bucket(Bucket=BUCKET)
    content = os.urandom(4096)
    file = folder / "report.pdf"
    file.write_bytes(content)
    base = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    ours = base | {"LAPSE_HOME": str(folder / "lapse"), bus[0]: bus[1]}
    theirs = base | {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1",
                     "AWS_ENDPOINT_URL": endpoint}
    subprocess.run([lapse, "profile", "add", "bench", "--provider", "seaweedfs", "--endpoint", endpoint, "--bucket", BUCKET,
                    "--access-key", key, "--secret-stdin"], input=secret, text=True, env=ours, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    share = [lapse, "share", file, "--expires", "15m"]
    copy = [aws, "s3", "cp", "--quiet", file, f"s3://{BUCKET}/report.pdf"]
    presign = [aws, "s3", "presign", f"s3://{BUCKET}/report.pdf", "--expires-in", "900"]
    for _ in range(ROUNDS):
        times = []
        for commands, env in (((share,), ours), ((copy, presign), theirs)):
            seconds, link = timed(*commands, env=env)
            assert urllib.request.urlopen(link).read() == content, "the link doesn't give the file"
            times.append(seconds)
        yield times


def main():
    lapse, aws = (pathlib.Path(word).absolute() for word in sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="lapse-bench-") as folder:
        folder = pathlib.Path(folder)
        with rig(sys.executable, SERVERS / "server.py", "seaweedfs", folder / "server") as ready, \
                rig(SERVERS / "keyring.sh", "present") as bus:
            rounds = list(measure(lapse, aws, folder, json.loads(ready), bus.split("=", 1)))
    ours, theirs = (statistics.median(column) for column in zip(*rounds))
    version = subprocess.check_output([aws, "--version"], text=True).split()[0]
    print(f"median of {ROUNDS} rounds, 4 KiB, SeaweedFS on the same computer, {version}\n")
    print("| | ms | × |")
    print("|---|---:|---:|")
    print(f"| `aws s3 cp` + `aws s3 presign` | {theirs * 1000:.0f} | 1 |")
    print(f"| `lapse share`, secret in the keychain | {ours * 1000:.0f} | {theirs / ours:.1f} |")


if __name__ == "__main__":
    main()
