"""Watched folders: how soon a link is ready, many small files beside `rclone copy`, and what watching costs.

    watch.py LAPSE RCLONE [PART…]      the two programs; latency, local, seaweedfs, cost
"""

import contextlib
import json
import os
import pathlib
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

from rig import rig

LAPSE, RCLONE = sys.argv[1:3]
FILES = 10_000
SIZE = 16 << 10
SETTLE = 2.0
TREE = 100_000
SERVERS = pathlib.Path(__file__).parent.parent / "tests/servers"


class Lapse:
    """A Lapse with a home of its own."""

    def __init__(self, folder, env=None):
        self.home = pathlib.Path(folder) / "home"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LAPSE_HOME": str(self.home), **(env or {})}

    def run(self, *words, **more):
        return subprocess.run([LAPSE, *words], env=self.env, check=True, capture_output=True, text=True, **more).stdout

    def count(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.home}/lapse.db?mode=ro", uri=True)) as database:
            return database.execute(sql).fetchone()[0]

    @contextlib.contextmanager
    def watching(self, log=None):
        env = {**self.env, "RUST_LOG": "lapse_core::watch=debug"}
        watcher = subprocess.Popen([LAPSE, "watch", "run"], env=env, stdout=subprocess.DEVNULL, stderr=log or subprocess.DEVNULL)
        try:
            yield watcher.pid
        finally:
            watcher.terminate()
            watcher.wait()


def links(lapse):
    return lapse.count("SELECT count(*) FROM watched WHERE state = 2 AND share IS NOT NULL")


def wait(lapse, count, every=0.002):
    while links(lapse) < count:
        time.sleep(every)
    return time.monotonic()


def latency(folder):
    lapse = Lapse(folder)
    watched = pathlib.Path(folder) / "watched"
    watched.mkdir()
    lapse.run("watch", "add", str(watched))
    over = []
    with lapse.watching():
        (watched / "first").write_text("first")
        wait(lapse, 1)
        for number in range(20):
            time.sleep(0.1)
            (watched / f"{number}").write_bytes(os.urandom(SIZE))
            closed = time.monotonic()
            over.append((wait(lapse, number + 2) - closed - SETTLE) * 1000)
    lapse.run("store", "stop")
    print(f"| file closed → link ready, over the {SETTLE:.0f} s that it settles: median, longest of 20, ms | {statistics.median(over):.0f}, {max(over):.0f} | ≤ 300 |")


def tree(folder, count, size, dirs):
    for number in range(count):
        below = folder / str(number % dirs)
        if number < dirs:
            below.mkdir(parents=True)
        (below / str(number)).write_bytes(os.urandom(size) if size else b"")


def throughput(folder, name, lapse, endpoint, keys, bucket):
    watched = pathlib.Path(folder) / "watched"
    tree(watched, FILES, SIZE, 20)
    lapse.run("watch", "add", str(watched), "--recursive", "--existing")
    began = time.monotonic()
    with lapse.watching():
        first = wait(lapse, 1, 0.005)
        ended = wait(lapse, FILES, 0.02)
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
    peer = time.monotonic()
    options = ["--s3-provider", "Other", "--s3-env-auth", "--s3-endpoint", endpoint, "--s3-region", "us-east-1", "--s3-no-check-bucket"]
    subprocess.run([RCLONE, "copy", *options, str(watched), f":s3:{bucket}/rclone"], env=env, check=True, capture_output=True)
    peer = time.monotonic() - peer
    whole, sending = ended - began, ended - first
    print(f"| {FILES:,} × 16 KiB to {name}: Lapse from its start, from the first link; rclone copy, s | {whole:.1f}, {sending:.1f}; {peer:.1f} | |")
    print(f"| throughput beside rclone copy, × (with the {SETTLE:.0f} s that files settle) | {peer / sending:.2f} ({peer / whole:.2f}) | ≥ 0.8 |")


def local(folder):
    lapse = Lapse(folder)
    env = dict(re.findall(r"export (\w+)='?([^'\n]*)'?", lapse.run("store", "env")))
    keys = (env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    throughput(folder, "the local store", lapse, env["AWS_ENDPOINT_URL"], keys, env["BUCKET"])
    lapse.run("store", "stop")


def seaweedfs(folder):
    with rig(sys.executable, str(SERVERS / "server.py"), "seaweedfs", f"{folder}/server") as told:
        server = json.loads(told)
        endpoint, keys = server["endpoint"], (server["access_key"], server["secret_key"])
        lapse = Lapse(folder, {"LAPSE_SECRET_ACCESS_KEY": keys[1]})
        words = ["--provider", "seaweedfs", "--endpoint", endpoint, "--bucket", "watch", "--path-style", "--create-bucket"]
        lapse.run("profile", "add", "work", *words, "--access-key", keys[0])
        throughput(folder, "SeaweedFS", lapse, endpoint, keys, "watch")


def cost(folder):
    lapse = Lapse(folder)
    watched = pathlib.Path(folder) / "watched"
    tree(watched, TREE, 0, 1000)
    began = time.monotonic()
    lapse.run("watch", "add", str(watched), "--recursive")
    added = time.monotonic() - began
    empty = Lapse(pathlib.Path(folder) / "other")
    (pathlib.Path(folder) / "other" / "none").mkdir(parents=True)
    empty.run("watch", "add", f"{folder}/other/none")

    def memory(pid):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])

    def ticks(pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def written(pid):
        return int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M)[1])

    with empty.watching() as pid:
        time.sleep(5)
        bare = memory(pid)
    log = tempfile.TemporaryFile("w+")
    with lapse.watching(log) as pid:
        time.sleep(10)
        full = memory(pid)
        cpu, disk = ticks(pid), written(pid)
        time.sleep(60)
        cpu, disk = ticks(pid) - cpu, written(pid) - disk
    log.seek(0)
    scans = [int(ms) for ms in re.findall(r"looked through ms=(\d+)", log.read())]
    percent = cpu / os.sysconf("SC_CLK_TCK") / 60 * 100
    print(f"| {TREE:,} files added, s | {added:.1f} | |")
    print(f"| all of them looked through again, ms | {scans} | ≤ 1000 |")
    print(f"| idle with them for a minute: % of a core; bytes written | {percent:.2f}; {disk} | ≤ 0.1; 0 |")
    print(f"| memory over a watcher of nothing ({bare / 1024:.0f} MiB), bytes a file | {(full - bare) * 1024 / TREE:.0f} | ≤ 300 |")


print("| | | goal |\n|---|---:|---:|")
PARTS = {part.__name__: part for part in (latency, local, seaweedfs, cost)}
for part in [PARTS[name] for name in sys.argv[3:] or PARTS]:
    with tempfile.TemporaryDirectory() as folder:
        part(folder)
