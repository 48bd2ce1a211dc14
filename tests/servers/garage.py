"""Links by a key of Lapse's own on a real Garage, revoked by its admin API.

    python tests/servers/garage.py GARAGE LAPSE

GARAGE is the server's program, LAPSE a build with failpoints. Fails at the first thing that isn't so.
"""
import contextlib
import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

TOKEN = secrets.token_urlsafe(24)
STEPS = ["planned", "created", "made", "stored", "works", "signed", "switched", "switched_off", "off", "asked", "deleted"]


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Garage:
    def __init__(self, program, folder):
        rpc, s3, admin = free_ports(3)
        self.s3, self.admin = f"http://127.0.0.1:{s3}", f"http://127.0.0.1:{admin}"
        config = folder / "garage.toml"
        config.write_text(f"""
metadata_dir = "{folder}/meta"
data_dir = "{folder}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secrets.token_hex(32)}"
[s3_api]
s3_region = "garage"
api_bind_addr = "127.0.0.1:{s3}"
root_domain = ".s3.garage"
[admin]
api_bind_addr = "127.0.0.1:{admin}"
admin_token = "{TOKEN}"
""")
        config.chmod(0o600)
        self.process = subprocess.Popen([program, "-c", config, "server"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                status = self.ask("GetClusterStatus")
                break
            time.sleep(0.1)
        role = {"id": status["nodes"][0]["id"], "zone": "here", "capacity": 10**10, "tags": []}
        self.ask("UpdateClusterLayout", {"roles": [role]})
        self.ask("ApplyClusterLayout", {"version": 1})
        self.bucket = self.ask("CreateBucket", {"globalAlias": "files"})["id"]
        self.key = self.ask("CreateKey", {"name": "uploader"})
        allowed = {"read": True, "write": True, "owner": True}
        self.ask("AllowBucketKey",
                 {"bucketId": self.bucket, "accessKeyId": self.key["accessKeyId"], "permissions": allowed})

    def ask(self, action, body=None, token=TOKEN):
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.admin}/v2/{action}", data, headers)) as answer:
            return json.loads(answer.read() or b"null")

    def signing_keys(self):
        return [(key["id"], key["expired"]) for key in self.ask("ListKeys") if key["name"].startswith("lapse-signer-")]


class Lapse:
    def __init__(self, program, folder):
        self.program = program
        passphrase = folder / "passphrase"
        passphrase.write_text("a passphrase for this run")
        passphrase.chmod(0o600)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LAPSE_HOME": str(folder / "lapse"),
                    "LAPSE_PASSPHRASE_FILE": str(passphrase)}

    def run(self, *words, given="", code=0, env=()):
        done = subprocess.run([self.program, *words], input=given, text=True, capture_output=True, env=self.env | dict(env))
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done

    def lines(self, *words, **more):
        return [json.loads(line) for line in self.run(*words, "--json", **more).stdout.splitlines()]

    def state(self, share):
        return self.lines("show", share["id"])[0]["state"]


def opens(share, content):
    with urllib.request.urlopen(share["url"]) as answer:
        assert answer.read() == content


def is_refused(share):
    try:
        urllib.request.urlopen(share["url"])
    except urllib.error.HTTPError as refusal:
        assert refusal.code == 403, refusal.code
    else:
        raise AssertionError("a link opens that shouldn't")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        garage = Garage(sys.argv[1], folder)
        try:
            check(garage, Lapse(sys.argv[2], folder), folder)
        finally:
            garage.process.terminate()
            garage.process.wait()
    print("all of it holds")


def check(garage, lapse, folder):
    lapse.run("profile", "add", "garage", "--provider", "garage", "--endpoint", garage.s3, "--bucket", "files",
              "--access-key", garage.key["accessKeyId"], "--secret-stdin", given=garage.key["secretAccessKey"])
    lapse.run("profile", "use", "garage")
    file = folder / "note.txt"
    file.write_bytes(b"hello")

    def share():
        return lapse.lines("share", file, "--no-copy")[-1]

    # By the profile's own key: only a person can switch that.
    by_uploader = share()
    opens(by_uploader, b"hello")
    told = lapse.run("revoke", "--all", "--yes", "--stop-other-users-of-this-key", code=1)
    assert "signer create --admin-endpoint" in told.stderr, told.stderr

    create = ["profile", "signer", "create", "--admin-endpoint", garage.admin, "--secret-stdin"]
    told = lapse.run(*create, given="a wrong token", code=1)
    assert "doesn't let this admin token" in told.stderr, told.stderr
    told = lapse.run(*create[:4], garage.s3, "--secret-stdin", given=TOKEN, code=1)
    assert "not as Garage's admin API" in told.stderr, told.stderr
    assert garage.signing_keys() == []
    made = lapse.lines(*create, given=TOKEN)[0]
    assert [key for key, _ in garage.signing_keys()] == [made["access_key"]]
    kept = b"".join(path.read_bytes() for path in (folder / "lapse").rglob("*") if path.is_file())
    assert TOKEN.encode() not in kept, "the admin's token was kept"
    print("a signer is made; the admin's token isn't kept")

    shares = [share() for _ in range(3)]
    for one in shares:
        assert made["access_key"] in one["url"]
        opens(one, b"hello")
    *steps, new, last = lapse.lines("revoke", "--all", "--yes", "--keep", shares[1]["id"])
    assert [step["step"] for step in steps] == ["made", "stored", "works", "signed", "off", "asked", "deleted"], steps
    assert last == {"checked": 2, "refused": 2, "kept": 1}, last
    for one in shares:
        is_refused(one)
    opens(new, b"hello")
    opens(by_uploader, b"hello")
    [(key, expired)] = garage.signing_keys()
    assert key in new["url"] and not expired
    print("all links are revoked, the kept one is new, the uploader goes on")

    for step in STEPS:
        one, other = share(), share()
        done = subprocess.run([lapse.program, "revoke", "--all", "--yes", "--keep", other["id"]], capture_output=True,
                              env=lapse.env | {"FAILPOINTS": f"rotate_{step}=return"})
        assert done.returncode < 0, (step, done)
        lapse.run("list")
        undone = step in STEPS[:5]
        for given in (one, other):
            (opens(given, b"hello") if undone else is_refused(given))
        assert [lapse.state(one), lapse.state(other)] == ["active" if undone else "revoked", "active"], step
        [(key, expired)] = garage.signing_keys()
        assert not expired, step
        opens(lapse.lines("link", other["id"], "--no-copy")[0], b"hello")
    print(f"killed at each of {len(STEPS)} steps it is undone or finished, with one key")

    # Whoever takes the token away is told of, and nothing changes.
    one = share()
    [token] = [token for token in garage.ask("ListAdminTokens") if token["name"].startswith("lapse-rotator-")]
    garage.ask(f"UpdateAdminToken?id={token['id']}", {"scope": ["ListKeys"]})
    told = lapse.run("revoke", "--all", "--yes", code=1)
    assert "doesn't let this admin token do" in told.stderr, told.stderr
    opens(one, b"hello")
    print("a right that the token lacks is named")


if __name__ == "__main__":
    main()
