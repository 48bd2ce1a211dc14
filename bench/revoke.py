"""All links revoked by a new signing key, from the press to «all refused», on SeaweedFS on the same computer: `lapse
revoke --all` beside the same steps by `aws iam`, `aws s3 presign` and curl; and how long 10,000 kept links take to be
signed again.

    revoke.py LAPSE AWS      the two programs
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import boto3

from rig import rig

ROUNDS = 3
LINKS = 1000
KEPT = 10_000
# Of the presigning by aws, which is a process a link, so many are measured; the others take as long.
SAMPLE = 50
SERVERS = pathlib.Path(__file__).parent.parent / "tests/servers"


class Bench:
    def __init__(self, lapse, aws, folder, server, bus):
        self.lapse, self.aws, self.folder, self.server = lapse, aws, folder, server
        self.base = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", bus[0]: bus[1]}
        self.root = dict(endpoint_url=server["endpoint"], region_name="us-east-1",
                         aws_access_key_id=server["access_key"], aws_secret_access_key=server["secret_key"])

    def user(self, name):
        """A bucket and a user of its own, who may rotate its keys."""
        iam, s3 = (boto3.client(service, **self.root) for service in ("iam", "s3"))
        s3.create_bucket(Bucket=name)
        iam.create_user(UserName=name)
        policy = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}]}
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        return iam.create_access_key(UserName=name)["AccessKey"]

    def share(self, name, count):
        """So many shares of small files. Gives the environment and the ids."""
        key = self.user(name)
        env = self.base | {"LAPSE_HOME": str(self.folder / name)}
        subprocess.run([self.lapse, "profile", "add", "bench", "--provider", "seaweedfs", "--endpoint",
                        self.server["endpoint"], "--bucket", name, "--access-key", key["AccessKeyId"], "--secret-stdin"],
                       input=key["SecretAccessKey"], text=True, env=env, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        files = []
        for number in range(count):
            file = self.folder / "files" / f"{number:05}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{number}\n")
            files.append(file)
        out = subprocess.check_output([self.lapse, "share", "--json", "--no-copy", *files], env=env, text=True,
                                      stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        return env, key, [json.loads(line) for line in out.splitlines()]

    def revoke(self, env, keep=()):
        """Seconds, when each step was told, and what was seen."""
        words = [self.lapse, "revoke", "--all", "--yes", "--json", "--stop-other-users-of-this-key"]
        words += ["--keep", *keep] if keep else []
        began, steps, last = time.perf_counter(), {}, None
        with subprocess.Popen(words, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            for line in run.stdout:
                last = json.loads(line)
                if "step" in last:
                    steps[last["step"]] = time.perf_counter() - began
        assert run.returncode == 0, run.returncode
        return time.perf_counter() - began, steps, last

    def by_hand(self, name, key, shares):
        """The same by other programs: new key, switch the old one off, see that each link is refused, sign again."""
        env = self.base | {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                           "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": self.server["endpoint"]}

        def aws(*words):
            return subprocess.check_output([self.aws, *words], env=env, text=True, stdin=subprocess.DEVNULL)
        began = time.perf_counter()
        made = json.loads(aws("iam", "create-access-key", "--user-name", name, "--output", "json"))["AccessKey"]
        env |= {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
        aws("iam", "update-access-key", "--user-name", name, "--access-key-id", key["AccessKeyId"], "--status", "Inactive")
        keys = time.perf_counter() - began
        began = time.perf_counter()
        for share in shares[:SAMPLE]:
            object_key = share["url"].split("?")[0].split(f"/{name}/", 1)[1]
            aws("s3", "presign", f"s3://{name}/{object_key}", "--expires-in", "900")
            status = subprocess.check_output(["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}",
                                              share["url"]], text=True)
            assert status == "403", status
        return keys + (time.perf_counter() - began) / SAMPLE * len(shares)


def main():
    lapse, aws = (pathlib.Path(word).absolute() for word in sys.argv[1:])
    ours, none_kept, theirs = [], [], []
    with tempfile.TemporaryDirectory(prefix="lapse-bench-") as folder:
        folder = pathlib.Path(folder)
        with rig(sys.executable, SERVERS / "server.py", "seaweedfs", folder / "server") as ready, \
                rig(SERVERS / "keyring.sh", "present") as bus:
            bench = Bench(lapse, aws, folder, json.loads(ready), bus.split("=", 1))
            for number in range(ROUNDS):
                env, _, shares = bench.share(f"ours-{number}", LINKS)
                # As the others do: each link is signed again, and each old one asked.
                seconds, _, seen = bench.revoke(env, [share["id"] for share in shares])
                assert seen == {"checked": 0, "refused": 0, "kept": LINKS}, seen
                ours.append(seconds)
                seconds, _, seen = bench.revoke(env)
                assert seen == {"checked": LINKS, "refused": LINKS, "kept": 0}, seen
                none_kept.append(seconds)
                _, key, shares = bench.share(f"theirs-{number}", LINKS)
                theirs.append(bench.by_hand(f"theirs-{number}", key, shares))
            env, _, shares = bench.share("kept", KEPT)
            whole, steps, seen = bench.revoke(env, [share["id"] for share in shares])
            assert seen["kept"] == KEPT, seen
    one, none, other = (statistics.median(seconds) for seconds in [ours, none_kept, theirs])
    print(f"{LINKS} links, median of {ROUNDS} rounds, SeaweedFS on the same computer\n")
    print("| | s | × |")
    print("|---|---:|---:|")
    print(f"| `aws iam`, `aws s3 presign` and curl, a link at a time (of {SAMPLE}, scaled) | {other:.1f} | 1 |")
    print(f"| `lapse revoke --all --keep` all of them, until all old ones are seen to be refused | {one:.2f} | {other / one:.0f} |")
    print(f"| `lapse revoke --all`, with none kept | {none:.2f} | {other / none:.0f} |")
    print(f"\n{KEPT} kept links signed again and written down: {steps['signed'] - steps['works']:.2f} s of {whole:.1f} s "
          "(the rest asks with each old link)")


if __name__ == "__main__":
    main()
