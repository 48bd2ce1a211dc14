"""`lapse share` beside other clients that upload, in turns, to the same servers and from the same files: one large, some of
middle size, many small.

    upload.py LAPSE PEERS EXAMPLES      the program, the folder of the peers' commands, and that of `sink` and `line`

Each is a whole process, from its start to its end, with nothing of an earlier one in the bucket. The servers are SeaweedFS, the local
store, and a sink that keeps nothing: what a server can't take shows there. The sink is also asked over a line that is 100 ms long.
Last, `lapse` beside itself with its database in memory, and how much it sends again after it was killed.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import boto3
from botocore.config import Config

from rig import rig

ROUNDS = 5
MIB = 1024 * 1024
SERVERS = pathlib.Path(__file__).parent.parent / "tests/servers"
BUCKET = "bench-bucket"
REGION = "us-east-1"
WORKLOADS = {"1 GiB": (1, 1024 * MIB), "100 × 10 MiB": (100, 10 * MIB), "1,000 × 16 KiB": (1000, 16 * 1024)}
LAPSE = "lapse"
IN_MEMORY = "lapse, its database in memory"
ROUND_TRIP_MS = 100

# The transfers that `TransferConfig(preferred_transfer_client="crt")` makes; boto3 itself gives them no endpoint without TLS.
BOTO3_CRT = """
import os, pathlib, sys, botocore.session
from botocore.config import Config
from s3transfer.crt import BotocoreCRTCredentialsWrapper, BotocoreCRTRequestSerializer, CRTTransferManager, create_s3_crt_client
folder, bucket, prefix = sys.argv[1:]
region, endpoint = os.environ["AWS_REGION"], os.environ["AWS_ENDPOINT_URL"]
session = botocore.session.get_session()
options = {"region_name": region, "endpoint_url": endpoint, "config": Config(s3={"addressing_style": "path"})}
keys = BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
client = create_s3_crt_client(region, keys, use_ssl=False)
with CRTTransferManager(client, BotocoreCRTRequestSerializer(session, options)) as manager:
    for future in [manager.upload(str(file), bucket, prefix + file.name) for file in pathlib.Path(folder).iterdir()]:
        future.result()
"""


@dataclasses.dataclass
class Server:
    name: str
    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    provider: str
    keeps: bool = True


@dataclasses.dataclass
class Run:
    """A whole process: seconds, seconds of CPU, and bytes at most."""
    wall: float
    cpu: float
    peak: int


def run(command, env):
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        # What the kernel tells at the end counts the memory of whoever started it as well.
        peaks, ended = [0], threading.Event()
        watch = threading.Thread(target=lambda: watch_memory(process.pid, peaks, ended))
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        ended.set()
        watch.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        assert process.returncode == 0, f"{command[:4]}: {said.read()[-2000:]}"
    return Run(wall, used.ru_utime + used.ru_stime, max(peaks))


def watch_memory(pid, peaks, ended):
    """The most that it ever had, as it stands last."""
    while not ended.wait(0.005):
        with contextlib.suppress(OSError, IndexError):  # it ends
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
            peaks.append(int(text.split("VmHWM:")[1].split()[0]) * 1024)


class Bench:
    def __init__(self, lapse, peers, examples, folder):
        self.lapse, self.peers, self.examples = (pathlib.Path(word).absolute() for word in (lapse, peers, examples))
        self.folder = folder
        self.base = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LANG": "C.UTF-8"}
        (folder / "home").mkdir()
        (folder / "crt").write_text("[default]\ns3 =\n  preferred_transfer_client = crt\n  addressing_style = path\n")
        (folder / "boto3_crt.py").write_text(BOTO3_CRT)

    def files(self, count, size):
        folder = self.folder / f"{count} of {size}"
        folder.mkdir()
        for number in range(count):
            with (folder / f"file {number:04}.bin").open("wb") as file:
                for _ in range(0, size, MIB):
                    file.write(os.urandom(min(size, MIB)))
        return folder

    def env_of(self, server):
        return self.base | {
            "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key, "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": server.endpoint, "S3_ENDPOINT_URL": server.endpoint,
            "RCLONE_CONFIG_S_TYPE": "s3", "RCLONE_CONFIG_S_PROVIDER": "Other", "RCLONE_CONFIG_S_ENV_AUTH": "true",
            "RCLONE_CONFIG_S_ENDPOINT": server.endpoint, "RCLONE_CONFIG_S_REGION": REGION,
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
        }

    def contenders(self, server, files):
        """Name, command and environment of each, for all files of a folder."""
        env = self.env_of(server)
        to = f"{server.bucket}/{time.monotonic_ns()}/"
        rclone = [self.peers / "rclone", "copy", "--no-traverse", files, f"s:{to}"]
        aws = [self.peers / "aws", "s3", "cp", "--quiet", "--recursive", files, f"s3://{to}"]
        return [
            ("s5cmd", [self.peers / "s5cmd", "--log", "error", "cp", f"{files}/*", f"s3://{to}"], env),
            ("rclone", rclone, env),
            ("rclone, tuned", [*rclone, "--transfers", "16", "--checkers", "16", "--s3-upload-concurrency", "8",
                               "--s3-chunk-size", "16M", "--s3-disable-checksum"], env),
            ("aws", aws, env),
            ("aws, CRT", aws, env | {"AWS_CONFIG_FILE": str(self.folder / "crt")}),
            ("boto3, CRT", [self.peers / "python", self.folder / "boto3_crt.py", files, *to.split("/", 1)], env),
            (LAPSE, self.share(files), self.lapse_env(server, self.folder / "lapse")),
        ]

    def share(self, files):
        return [self.lapse, "share", "--no-copy", "--expires", "1h", "--", *sorted(files.iterdir())]

    def lapse_env(self, server, folder):
        home = folder / server.name
        home.mkdir(parents=True, exist_ok=True)
        config = (f'use = "bench"\n[profile.bench]\nprovider = "{server.provider}"\nendpoint = "{server.endpoint}"\n'
                  f'region = "{REGION}"\nbucket = "{server.bucket}"\naccess_key = "{server.access_key}"\npath_style = true\n')
        file = home / "config.toml"
        if not file.exists() or file.read_text() != config:
            file.write_text(config)
        return self.base | {"LAPSE_HOME": str(home), "LAPSE_SECRET_ACCESS_KEY": server.secret_key}

    def with_and_without_disk(self, server, files, memory):
        """Lapse alone: with its database where it belongs, and where nothing waits for a disk."""
        return [(LAPSE, self.share(files), self.lapse_env(server, self.folder / "lapse")),
                (IN_MEMORY, self.share(files), self.lapse_env(server, memory))]

    @contextlib.contextmanager
    def seaweedfs(self):
        with rig(sys.executable, SERVERS / "server.py", "seaweedfs", self.folder / "seaweedfs") as ready:
            ready = json.loads(ready)
            server = Server("SeaweedFS", ready["endpoint"], ready["access_key"], ready["secret_key"], BUCKET, "seaweedfs")
            client(server).create_bucket(Bucket=BUCKET)
            yield server

    @contextlib.contextmanager
    def local_store(self):
        env = self.base | {"LAPSE_HOME": str(self.folder / "store")}
        (self.folder / "store").mkdir()
        store = subprocess.Popen([self.lapse, "store", "run"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            def read(*words):
                return json.loads(subprocess.check_output([self.lapse, "store", *words, "--json"], env=env))
            while read("status").get("pid") != store.pid:
                time.sleep(0.05)
            found = read("env")
            yield Server("the local store", found["AWS_ENDPOINT_URL"], found["AWS_ACCESS_KEY_ID"],
                         found["AWS_SECRET_ACCESS_KEY"], found["BUCKET"], "other")
        finally:
            store.terminate()
            store.wait()

    @contextlib.contextmanager
    def sink(self):
        with rig(self.examples / "sink") as endpoint:
            yield Server("a sink", endpoint, "anykey", "anysecret", BUCKET, "ceph", keeps=False)

    @contextlib.contextmanager
    def far_sink(self):
        with self.sink() as near, self.line(near.endpoint, ROUND_TRIP_MS) as (endpoint, _):
            yield dataclasses.replace(near, name=f"a sink {ROUND_TRIP_MS} ms away", endpoint=endpoint)

    @contextlib.contextmanager
    def line(self, endpoint, milliseconds):
        """A line to an endpoint: where it begins, and how many bytes went up since that was asked last."""
        command = [self.examples / "line", endpoint, str(milliseconds)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            begins = process.stdout.readline().strip()

            def went_up():
                print(file=process.stdin, flush=True)
                return int(process.stdout.readline())
            try:
                yield begins, went_up
            finally:
                process.stdin.close()


def client(server):
    return boto3.client("s3", endpoint_url=server.endpoint, region_name=REGION, aws_access_key_id=server.access_key,
                        aws_secret_access_key=server.secret_key, config=Config(s3={"addressing_style": "path"}))


def empty(server):
    """What one round left would fill the disk, and slow the next."""
    if not server.keeps:
        return
    here = client(server)
    for page in here.get_paginator("list_objects_v2").paginate(Bucket=server.bucket):
        for item in page.get("Contents", []):
            here.delete_object(Bucket=server.bucket, Key=item["Key"])


def check(server, files):
    """Each object that was sent is as long as its file."""
    if not server.keeps:
        return
    pages = client(server).get_paginator("list_objects_v2").paginate(Bucket=server.bucket)
    there = sorted(item["Size"] for page in pages for item in page.get("Contents", []))
    assert there == sorted(file.stat().st_size for file in files.iterdir()), "not all of the files arrived"


def measure(contenders_of, server, files):
    """The median of each contender."""
    runs = {}
    # The first round fills caches.
    for number in range(-1, ROUNDS):
        contenders = contenders_of(server, files)
        at = number % len(contenders)
        for name, command, env in contenders[at:] + contenders[:at]:
            os.sync()  # what others have left to be written isn't this one's to wait for
            took = run(command, env)
            check(server, files)
            empty(server)
            if number >= 0:
                runs.setdefault(name, []).append(took)
    return {name: Run(*(statistics.median(getattr(one, key) for one in those) for key in ("wall", "cpu", "peak")))
            for name, those in runs.items()}


def print_table(server, workload, runs):
    ours = runs[LAPSE]
    fastest = min(run.wall for name, run in runs.items() if name != LAPSE)
    print(f"| {workload} to {server.name} | s | CPU, s | peak, MiB |")
    print("|---|---:|---:|---:|")
    for name, one in runs.items():
        print(f"| {name} | {one.wall:.2f} | {one.cpu:.2f} | {one.peak / MIB:.0f} |")
    print(f"| × the fastest peer (goal ≤ 0.9); CPU × s5cmd (goal ≤ 0.6) | {ours.wall / fastest:.2f} "
          f"| {ours.cpu / runs['s5cmd'].cpu:.2f} | |\n", flush=True)


def print_journal(workload, runs):
    disk, memory = runs[LAPSE], runs[IN_MEMORY]
    for name, one in runs.items():
        print(f"| {workload} | {name} | {one.wall:.2f} | {one.cpu:.2f} | |")
    print(f"| {workload} | cost of the disk (goal ≤ 5 %) | {disk.wall - memory.wall:.2f} | {disk.cpu - memory.cpu:.2f} "
          f"| {(disk.wall / memory.wall - 1) * 100:.1f} % |", flush=True)


def killed_and_resumed(bench, server, files):
    """Bytes on the line: until the program is killed, at 90 % of the file, and then until all of it is there."""
    size = sum(file.stat().st_size for file in files.iterdir())
    with bench.line(server.endpoint, 0) as (endpoint, went_up):
        env = bench.lapse_env(dataclasses.replace(server, name="killed", endpoint=endpoint), bench.folder / "lapse")
        quiet = {"env": env, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        share = subprocess.Popen(bench.share(files), **quiet)
        before = 0
        while before < size * 9 // 10:
            before += went_up()
            time.sleep(0.002)
        share.kill()
        share.wait()
        before += went_up()
        subprocess.run([bench.lapse, "resume", "--no-copy"], check=True, **quiet)
        after = went_up()
    check(server, files)
    empty(server)
    return before / MIB, after / MIB


def main():
    with tempfile.TemporaryDirectory(prefix="lapse-bench-") as folder, \
            tempfile.TemporaryDirectory(prefix="lapse-bench-", dir="/dev/shm") as memory:
        bench = Bench(*sys.argv[1:], pathlib.Path(folder))
        print(f"median of {ROUNDS} rounds after one that fills caches\n")
        journal = []
        for workload, (count, size) in WORKLOADS.items():
            files = bench.files(count, size)
            for start in (bench.seaweedfs, bench.local_store, bench.sink, bench.far_sink):
                with start() as server:
                    print_table(server, workload, measure(bench.contenders, server, files))
                    if start == bench.sink:
                        def alone(server, files):
                            return bench.with_and_without_disk(server, files, pathlib.Path(memory))
                        journal.append((workload, measure(alone, server, files)))
                    if start == bench.seaweedfs and count == 1:
                        resumed = [killed_and_resumed(bench, server, files) for _ in range(ROUNDS)]
                for name in ("seaweedfs", "store"):
                    shutil.rmtree(bench.folder / name, ignore_errors=True)
            shutil.rmtree(files)
        print("| to a sink | | s | CPU, s | |\n|---|---|---:|---:|---:|")
        for workload, runs in journal:
            print_journal(workload, runs)
        print("\n| 1 GiB to SeaweedFS, killed at 90 % | MiB sent before | after |\n|---|---:|---:|")
        for number, (before, after) in enumerate(resumed, 1):
            print(f"| {number} | {before:.0f} | {after:.0f} |")


if __name__ == "__main__":
    main()
