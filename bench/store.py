"""The local store beside other S3 servers on the same computer, in turns: one large object, many small ones, and what
memory the store takes for crowds.

    store.py LAPSE RCLONE EXAMPLES      two programs, and the folder of `load` and `sendfile`

The local store answers a put when it is on the disk. Others needn't, so each is measured twice: as it comes, and made to
sync. SeaweedFS has an option for that (of the bytes; not of its own index). rclone has none: whoever puts syncs its file.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config

from rig import rig

ROUNDS = 5
MIB = 1024 * 1024
SERVERS = pathlib.Path(__file__).parent.parent / "tests/servers"
START_SECONDS = 60
SYNCS = "fsync,fdatasync,sync_file_range,syncfs,msync"
CROWD = 1000
# What is measured: name, size, how many objects, over how many connections, what is counted, and its bytes or objects.
LARGE = ("1 GiB", 1024 * MIB, 1, 1, "MiB/s", 1024)
SMALL = ("1,000 × 16 KiB", 16 * 1024, 1000, 16, "a second", 1000)


@dataclasses.dataclass
class Server:
    """A running server and who may use it."""
    pid: int
    endpoint: str
    access_key: str
    secret_key: str

    def client(self):
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1",
                            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
                            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))

    def links(self, method, bucket, keys):
        client = self.client()
        return [client.generate_presigned_url(method, Params={"Bucket": bucket, "Key": key}, ExpiresIn=3600)
                for key in keys]


@dataclasses.dataclass
class Contender:
    name: str
    server: Server
    bucket: str
    durable: bool
    sync: tuple = ()  # where `load` finds the files that it has to sync

    def run(self, bench, action, size, count, connections):
        method = "put_object" if action == "put" else "get_object"
        links = self.server.links(method, self.bucket, [f"{size}/{number}" for number in range(count)])
        if action == "put":
            self.put_first(bench, str(size))
        os.sync()  # what others have left to be written isn't this one's to wait for
        return bench.load(action, size, connections, links, *(self.sync if action == "put" else ()))

    def put_first(self, bench, folder):
        """So that nothing is made for the first time later; rclone answers 500 when two puts make the same folder."""
        bench.load("put", 1, 1, self.server.links("put_object", self.bucket, [f"{folder}/first"]))


@dataclasses.dataclass
class Bound:
    """The files of rclone, sent by the kernel."""
    name: str
    endpoint: str
    bucket: str

    def run(self, bench, action, size, count, connections):
        links = [f"{self.endpoint}/{self.bucket}/{size}/{number}" for number in range(count)]
        os.sync()
        return bench.load(action, size, connections, links)


class Bench:
    def __init__(self, lapse, rclone, examples):
        self.lapse, self.rclone, self.examples = (pathlib.Path(word).absolute() for word in (lapse, rclone, examples))

    def start_load(self, action, size, connections, links, *folder):
        process = subprocess.Popen([self.examples / "load", action, str(size), str(connections), *folder],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=many_files)
        process.stdin.write("".join(f"{link}\n" for link in links))
        process.stdin.close()
        return process

    def load(self, *words):
        return seconds(self.start_load(*words))

    @contextlib.contextmanager
    def store(self, home):
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "LAPSE_HOME": str(home)}

        def read(*words):
            return json.loads(subprocess.check_output([self.lapse, "store", *words, "--json"], env=env))

        with running([self.lapse, "store", "run"], home, env) as (process, _):
            wait_for(lambda: read("status").get("pid") == process.pid)
            env_of = read("env")
            yield Server(process.pid, env_of["AWS_ENDPOINT_URL"], env_of["AWS_ACCESS_KEY_ID"],
                         env_of["AWS_SECRET_ACCESS_KEY"]), env_of["BUCKET"]

    @contextlib.contextmanager
    def rclone_server(self, folder):
        files = folder / "files"
        files.mkdir()
        command = [self.rclone, "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", "benchkey,benchsecret123", files]
        with running(command, folder, os.environ | {"HOME": str(folder)}) as (process, log):
            found = wait_for(lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()))
            yield Server(process.pid, found[0], "benchkey", "benchsecret123"), files

    @contextlib.contextmanager
    def contenders(self, folder):
        """All servers, with nothing in them."""
        for name in ("lapse", "rclone"):
            (folder / name).mkdir()
        with self.store(folder / "lapse") as (store, bucket), \
                self.rclone_server(folder / "rclone") as (rclone, files), \
                rig(sys.executable, SERVERS / "server.py", "seaweedfs", folder / "seaweedfs") as ready, \
                rig(self.examples / "sendfile", files) as sendfile:
            seaweedfs = Server(**json.loads(ready))
            for server in (rclone, seaweedfs):
                for name in ("plain", "synced"):
                    server.client().create_bucket(Bucket=name)
            sync_seaweedfs(folder / "seaweedfs", "synced")
            yield [
                Contender("rclone serve s3", rclone, "plain", durable=False),
                Contender("SeaweedFS", seaweedfs, "plain", durable=False),
                Contender("rclone serve s3, its file synced by the client", rclone, "synced", True, (files,)),
                Contender("SeaweedFS with `fsync`", seaweedfs, "synced", durable=True),
                Contender("the local store", store, bucket, durable=True),
            ], Bound("bare `sendfile`, no S3", sendfile, "plain")


@contextlib.contextmanager
def running(command, folder, env):
    """A process that is told to end."""
    path = folder / "log"
    with open(path, "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
    try:
        yield process, path
    finally:
        process.terminate()
        process.wait()


def wait_for(look):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    sys.exit("a server didn't start")


def many_files():
    """For the load alone: the store has to do with what a login gives it."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class NotWhole(Exception):
    """An object wasn't put, or wasn't given whole. What happened is on standard error."""


def seconds(load):
    output = load.stdout.read()
    if load.wait() != 0:
        raise NotWhole
    return float(output)


def sync_seaweedfs(folder, bucket):
    """Has each chunk of that bucket synced, as SeaweedFS's `fs.configure -fsync` does."""
    master, master_grpc, _, _, filer, filer_grpc, _, _ = json.loads((folder / "ports").read_text())
    shell = [pathlib.Path(sys.executable).parent / "weed", "shell", f"-master=127.0.0.1:{master}.{master_grpc}",
             f"-filer=127.0.0.1:{filer}.{filer_grpc}"]
    command = f"fs.configure -locationPrefix=/buckets/{bucket}/ -fsync -apply\n"
    subprocess.run(shell, input=command, text=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def syncs(bench, contender):
    """How often a server syncs for a small put and for a large one, as the kernel sees it."""
    contender.put_first(bench, "traced")
    for size, count in ((SMALL[1], 20), (64 * MIB, 1)):
        with tempfile.NamedTemporaryFile("r") as table:
            trace = subprocess.Popen(["strace", "-f", "-c", "-U", "name,calls", "-e", f"trace={SYNCS}", "-o", table.name,
                                      "-p", str(contender.server.pid)], stderr=subprocess.PIPE, text=True)
            assert "attached" in trace.stderr.readline(), "strace can't look at the server"
            links = contender.server.links("put_object", contender.bucket, [f"traced/{n}" for n in range(count)])
            bench.load("put", size, 1, links)
            trace.terminate()
            trace.communicate()
            calls = (line.split() for line in table.read().splitlines())
            yield sum(int(call[1]) for call in calls if len(call) == 2 and call[0] in SYNCS.split(",")) / count


def speeds(bench):
    """The median seconds of each contender, by action and workload; and how often each syncs."""
    rounds, counts = {}, {}
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="lapse-bench-") as folder, \
                bench.contenders(pathlib.Path(folder)) as (contenders, bound):
            if not counts:
                counts = {each.name: tuple(syncs(bench, each)) for each in contenders}
            turns = contenders[number:] + contenders[:number]
            # A read is the same whether what was put is synced or not.
            readers = [each for each in turns if each.bucket != "synced"] + [bound]
            for workload in (LARGE, SMALL):
                for action, those in (("put", turns), ("get", readers)):
                    for each in those:
                        took = each.run(bench, action, *workload[1:4])
                        rounds.setdefault((action, workload[0], each.name), []).append(took)
    return {name: statistics.median(taken) for name, taken in rounds.items()}, counts, contenders, bound


def figure(workload, took):
    return f"{workload[5] / took:,.0f} {workload[4]}"


def print_puts(medians, counts, contenders):
    print("## Puts\n")
    print(f"| | fsyncs a put of 16 KiB | of 64 MiB | {LARGE[0]} | {SMALL[0]} |")
    print("|---|---:|---:|---:|---:|")
    for each in contenders:
        figures = (figure(workload, medians["put", workload[0], each.name]) for workload in (LARGE, SMALL))
        print(f"| {each.name} | {' | '.join(f'{count:.3g}' for count in counts[each.name])} | {' | '.join(figures)} |")
    for durable, what in ((True, "the faster peer that syncs (goal 1)"), (False, "the faster peer as it comes")):
        ratios = (ratio(medians, "put", workload, contenders, durable) for workload in (LARGE, SMALL))
        print(f"| × {what} | | | {' | '.join(ratios)} |")
    print()


def print_gets(medians, contenders, bound):
    print("## Gets\n")
    print(f"| | {LARGE[0]} | {SMALL[0]} |")
    print("|---|---:|---:|")
    plain = [each for each in contenders if each.bucket != "synced"]
    for each in (*plain, bound):
        figures = (figure(workload, medians["get", workload[0], each.name]) for workload in (LARGE, SMALL))
        print(f"| {each.name} | {' | '.join(figures)} |")
    ratios = (ratio(medians, "get", workload, plain, False) for workload in (LARGE, SMALL))
    print(f"| × the faster peer (goal 1) | {' | '.join(ratios)} |")
    ratios = (f"{medians['get', each[0], bound.name] / medians['get', each[0], plain[-1].name]:.2f}"
              for each in (LARGE, SMALL))
    print(f"| × `sendfile` (goal 0.6) | {' | '.join(ratios)} |\n")


def ratio(medians, action, workload, contenders, durable):
    *peers, store = contenders
    fastest = min(medians[action, workload[0], each.name] for each in peers if each.durable == durable)
    return f"{fastest / medians[action, workload[0], store.name]:.2f}"


def status(pid, name):
    """A figure of /proc, in KiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.M)[1])


def sockets(pid):
    count = 0
    for each in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(each).startswith("socket:")
    return count


def crowd(bench, home, action, size, connections, keys):
    """A store that has just been started and once been used: KiB when idle, KiB more at most, connections at once."""
    with bench.store(home) as (server, bucket):
        for word in ("put", "get"):
            bench.load(word, 1, 1, server.links(f"{word}_object", bucket, ["first"]))
        idle, open_before = status(server.pid, "VmRSS"), sockets(server.pid)
        pathlib.Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # the peak begins anew
        method = "put_object" if action == "put" else "get_object"
        load = bench.start_load(action, size, connections, server.links(method, bucket, keys))
        most = 0
        while load.poll() is None:
            most = max(most, sockets(server.pid) - open_before)
            time.sleep(0.02)
        try:
            took = f"{seconds(load):.1f}"
        except NotWhole:
            took = "**not whole**"
        return idle, status(server.pid, "VmHWM") - idle, most, took


def print_memory(bench):
    print("## Memory of the local store\n")
    print("| | idle, MiB | more at most, MiB | goal | connections at once | KiB a connection | goal | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    four = [f"large/{number}" for number in range(4)]
    with tempfile.TemporaryDirectory(prefix="lapse-bench-") as home:
        home = pathlib.Path(home)
        with bench.store(home) as (server, bucket):
            for name, size in (("1", MIB), ("16", 16 * MIB)):
                bench.load("put", size, 1, server.links("put_object", bucket, [name]))
        for what, action, size, connections, keys in (
            ("four puts of 1 GiB", "put", 1024 * MIB, 4, four),
            ("four gets of 1 GiB", "get", 1024 * MIB, 4, four),
            ("1,000 gets of 1 MiB", "get", MIB, CROWD, ["1"] * CROWD),
            ("1,000 slow gets of 16 MiB", "slow", 16 * MIB, CROWD, ["16"] * CROWD),
        ):
            idle, more, most, took = crowd(bench, home, action, size, connections, keys)
            goals = ("≤ 32", "") if connections == 4 else ("", "≤ 100")
            print(f"| {what} | {idle / 1024:.1f} | {more / 1024:.1f} | {goals[0]} | {most} | {more / most:.0f} "
                  f"| {goals[1]} | {took} |", flush=True)
    print()


def main():
    bench = Bench(*sys.argv[1:])
    version = subprocess.check_output([bench.rclone, "version"], text=True).split("\n")[0]
    print(f"median of {ROUNDS} rounds; {version}\n")
    medians, counts, contenders, bound = speeds(bench)
    print_puts(medians, counts, contenders)
    print_gets(medians, contenders, bound)
    print_memory(bench)


if __name__ == "__main__":
    main()
