"""A real S3 server on 127.0.0.1, for as long as standard input stays open.

    server.py seaweedfs DIR     S3 and IAM; what it keeps lies in DIR, and so do its ports
    server.py ministack DIR     an AWS emulator (S3, IAM, STS), in memory only

Prints one line of JSON when the first write will work: {"endpoint", "access_key", "secret_key", "pid"}.
Whoever started it holds the other end of standard input, so the server ends with that process,
however it ended.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

BIN = pathlib.Path(sys.executable).parent
START_SECONDS = 60


def main():
    kind, folder = sys.argv[1], pathlib.Path(sys.argv[2]).absolute()
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = {"seaweedfs": seaweedfs, "ministack": ministack}[kind]
    for attempt in range(3):  # a port may be taken between its choice and its use
        child, ready, answer, litter = start(folder)
        try:
            if wait_until(ready, child):
                print(json.dumps({**answer, "pid": child.pid}), flush=True)
                sys.stdin.buffer.read()
                return
        finally:
            # SeaweedFS takes 20 s to stop by itself; what it acknowledged survives a kill.
            child.kill()
            child.wait()
            for path in litter:
                path.unlink(missing_ok=True)
        (folder / "ports").unlink(missing_ok=True)
    sys.exit(f"{kind} did not start; see {folder / 'log'}")


def seaweedfs(folder):
    ports = kept_ports(folder, 8)
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = ports
    (folder / "data").mkdir(exist_ok=True)
    flags = {
        "dir": folder / "data", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "filer": "true", "s3": "true",
        "master.port": master, "master.port.grpc": master_grpc, "volume.port": volume, "volume.port.grpc": volume_grpc,
        "filer.port": filer, "filer.port.grpc": filer_grpc, "filer.localSocket": folder / "filer.sock",
        "s3.port": s3, "s3.port.grpc": s3_grpc, "s3.localSocket": folder / "s3.sock",
        "s3.port.iceberg": 0, "s3.port.lance": 0, "s3.iam.readOnly": "false", "volume.max": 3000,  # each bucket takes some volumes
        "volume.preStopSeconds": 0, "master.volumeSizeLimitMB": 256, "master.telemetry": "false",
        "master.resumeState": "false",  # true waits 20 s for an election after a restart
    }
    root = {"access_key": "adminkey", "secret_key": "adminsecret123"}
    child = launch(
        folder,
        [BIN / "weed", "server", *(f"-{name}={value}" for name, value in flags.items())],
        {"AWS_ACCESS_KEY_ID": root["access_key"], "AWS_SECRET_ACCESS_KEY": root["secret_key"]},
    )

    def ready():  # S3 answers, and a volume server is there to write to
        return answers(f"http://127.0.0.1:{s3}/") and "fid" in fetch(f"http://127.0.0.1:{master}/dir/assign")

    litter = [pathlib.Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock")
              for part in ("master", "volume", "filer", "s3") for port in ports]
    return child, ready, {"endpoint": f"http://127.0.0.1:{s3}", **root}, litter


def ministack(folder):
    (port,) = kept_ports(folder, 1)
    endpoint = f"http://127.0.0.1:{port}"
    root = {"access_key": "test", "secret_key": "test"}
    child = launch(folder, [BIN / "ministack"], {
        "AUTH": "true", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_HOST": "127.0.0.1",
        "AWS_ACCESS_KEY_ID": root["access_key"], "AWS_SECRET_ACCESS_KEY": root["secret_key"],
    })
    return child, lambda: answers(f"{endpoint}/_ministack/health"), {"endpoint": endpoint, **root}, []


def launch(folder, command, env):
    with open(folder / "log", "ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "TMPDIR": str(folder / "tmp"), **env},
        )


def kept_ports(folder, count):
    """Free ports, the same ones at the next start in this folder."""
    kept = folder / "ports"
    if kept.exists():
        return json.loads(kept.read_text())
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    kept.write_text(json.dumps(ports))
    return ports


def wait_until(ready, child):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and child.poll() is None:
        try:
            if ready():
                return True
        except (OSError, ValueError):
            pass
        time.sleep(0.05)
    return False


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def answers(url):
    """Whether a server speaks HTTP there; a refusal is an answer too."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        pass
    return True


if __name__ == "__main__":
    main()
