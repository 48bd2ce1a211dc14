"""The window beside the least that Tauri opens, on a screen that nobody sees, in turns: start, memory, what both do when
nobody does anything. Then what only Lapse's window has: a drop, a long list, the page.

    window.py FOLDER      where `lapse`, `lapse-desktop` and `bare-window` are

Needs Debian's Python, which has GTK.
"""

import base64
import contextlib
import gzip
import hashlib
import http.client
import json
import mmap
import os
import pathlib
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from rig import rig

ROUNDS = 5
DROPS = 11
IDLE_SECONDS = 60
SETTLE_SECONDS = 5
# WebKit lets the bar of a list fade for seconds after it was shown.
FADE_SECONDS = 15
LIMIT_SECONDS = 60
MIB = 1024 * 1024
LIVE = 1000
MANY = 10_000
BARE = "a bare Tauri window"
ROOT = pathlib.Path(__file__).parent.parent
SERVERS = ROOT / "tests/servers"
DIST = ROOT / "ui/dist"
# The accent, as it lies in the screen's memory: nothing else on the screen has this color, and each of the pages has it.
ACCENT = b"\xc8\x55\x2f"


class Screen:
    """The memory of the X server, read without asking it."""

    def __init__(self, folder):
        with (folder / "Xvfb_screen0").open("rb") as file:
            self.memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def wait(self, there=True):
        end = time.perf_counter() + LIMIT_SECONDS
        while (self.memory.find(ACCENT) >= 0) != there:
            assert time.perf_counter() < end, f"the page is {'never' if there else 'still'} on the screen"
            time.sleep(0.001)


class Opened:
    """A program with its window, and WebKit's processes below it."""

    def __init__(self, program, env, screen):
        screen.wait(there=False)
        began = time.perf_counter()
        self.process = subprocess.Popen([program], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        try:
            screen.wait()
        except AssertionError:
            self.end()
            raise
        self.took = time.perf_counter() - began

    def pids(self):
        parents = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # ended meanwhile
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def memory(self):
        """Bytes: each shared page by its part, and each as if it were its own."""
        sums = {"Pss": 0, "Rss": 0}
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in sums:
                    sums[name] += int(rest.split()[0]) * 1024
        return sums

    def cpu(self):
        """Seconds of all of its processes until now."""
        ticks = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self):
        below = self.pids()
        self.process.terminate()
        self.process.wait()
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in below):
            time.sleep(0.01)


@contextlib.contextmanager
def opened(program, env, screen):
    window = Opened(program, env, screen)
    try:
        yield window
    finally:
        window.end()


def other_id(own, turn):
    return base64.b32encode(hashlib.sha256(f"{own} {turn}".encode()).digest()).decode().lower()[:10]


class Bench:
    def __init__(self, programs, folder, env):
        self.lapse, self.window, self.bare = (programs / name for name in ("lapse", "lapse-desktop", "bare-window"))
        self.folder, self.env = folder, env

    def home(self, name):
        return self.env | {"LAPSE_HOME": str(self.folder / name)}

    def share_many(self, env):
        """Live shares of the local store, made by the command line."""
        files = []
        for number in range(LIVE):
            file = self.folder / "files" / f"report {number:04}.pdf"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{number}\n")
            files.append(file)
        subprocess.run([self.lapse, "share", "--expires", "1h", *files], env=env, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.stop(env)

    def stop(self, env):
        subprocess.run([self.lapse, "store", "stop"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def copy_rows(self, env):
        """So many rows that nobody would wait for their files: copies of the rows that are there."""
        with contextlib.closing(sqlite3.connect(pathlib.Path(env["LAPSE_HOME"]) / "lapse.db")) as database:
            for table, own in (("shares", "id"), ("links", "share")):
                names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                if table == "links":
                    names.remove("id")
                rows = database.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
                at = names.index(own)
                places = ", ".join("?" * len(names))
                for turn in range(1, MANY // LIVE):
                    copies = [(*row[:at], other_id(row[at], turn), *row[at + 1:]) for row in rows]
                    database.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", copies)
            database.commit()

    def contenders(self):
        return [(BARE, self.bare, self.home("empty")), ("Lapse without a share", self.window, self.home("empty")),
                (f"Lapse with {LIVE:,} live shares", self.window, self.home("live"))]

    def starts(self, screen):
        """Seconds until the first screen is painted and bytes of memory, of each program in turns."""
        contenders = self.contenders()
        found = {name: [] for name, _, _ in contenders}
        for number in range(-1, ROUNDS):
            for name, program, env in contenders[number % 3:] + contenders[:number % 3]:
                with opened(program, env, screen) as window:
                    time.sleep(SETTLE_SECONDS)
                    # The first time fills caches, of fonts and of the disk.
                    if number >= 0:
                        found[name].append({"took": window.took, **window.memory()})
        return {name: {key: statistics.median(one[key] for one in those) for key in those[0]}
                for name, those in found.items()}

    def idle(self, screen):
        """The part of one core that each takes while nobody does anything, a minute long: countdowns turn in it."""
        for name, program, env in self.contenders()[::2]:
            with opened(program, env, screen) as window:
                time.sleep(FADE_SECONDS)
                before, began = window.cpu(), time.perf_counter()
                time.sleep(IDLE_SECONDS)
                yield name, (window.cpu() - before) / (time.perf_counter() - began)

    def drops(self, screen):
        """Seconds from letting go of a file to its link on the clipboard, and of those the ones of whoever lets go."""
        env = self.home("drops")
        file = self.folder / "files" / "1 MiB.bin"
        file.write_bytes(os.urandom(MIB))
        clipboard = Clipboard()
        with opened(self.window, env, screen):
            time.sleep(SETTLE_SECONDS)
            found = subprocess.check_output(["xdotool", "search", "--onlyvisible", "--class", "lapse-desktop"], env=env,
                                            text=True).split()
            for number in range(DROPS):
                drop = subprocess.Popen([SERVERS / "drop.py", found[-1], file], env=env, stdout=subprocess.PIPE, text=True)
                copied, link = clipboard.next_text()
                before, after = map(float, drop.communicate()[0].split())
                assert drop.returncode == 0, "the window didn't take the file"
                assert urllib.request.urlopen(link).read() == file.read_bytes(), "the link doesn't give the file"
                if number > 0:
                    yield copied - before, after - before
                time.sleep(1)


class Clipboard:
    """Told by the X server of each change."""

    def __init__(self):
        import gi
        gi.require_version("Gdk", "3.0")
        gi.require_version("Gtk", "3.0")
        from gi.repository import Gdk, GLib, Gtk
        self.loop, self.changed = GLib.MainLoop(), 0.0
        self.clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
        self.clipboard.connect("owner-change", self.change)
        self.wait = lambda: GLib.timeout_add_seconds(LIMIT_SECONDS, self.loop.quit)

    def change(self, *_):
        self.changed = time.monotonic()
        self.loop.quit()

    def next_text(self):
        self.changed = 0.0
        self.wait()
        self.loop.run()
        assert self.changed, "nothing came onto the clipboard"
        return self.changed, self.clipboard.wait_for_text()


class Driver:
    """WebDriver, as much of it as is needed."""

    def __init__(self, port, program):
        # One connection for all: the driver drops a new one, at times, while a window opens or ends.
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2 * LIMIT_SECONDS)
        wanted = {"capabilities": {"alwaysMatch": {"tauri:options": {"application": str(program)}}}}
        self.session = "/session/" + self.call("/session", wanted)["sessionId"]
        self.call(self.session + "/timeouts", {"script": LIMIT_SECONDS * 1000})

    def call(self, path, body, method="POST"):
        self.connection.request(method, path, json.dumps(body), {"content-type": "application/json"})
        answer = self.connection.getresponse()
        value = json.load(answer)["value"]
        assert answer.status == 200, value
        return value

    def script(self, script):
        return self.call(self.session + "/execute/async", {"script": script, "args": []})

    def end(self):
        self.call(self.session, {}, "DELETE")
        self.connection.close()


# As a list without anything behind it: the same number of rows, of the same height.
PLAIN = """
document.body.innerHTML = '<div class="list" style="position: fixed; inset: 0; overflow: auto"></div>';
document.querySelector(".list").innerHTML = '<p style="height: 56px; margin: 0">A row</p>'.repeat(%d);
arguments[0]();
""" % MANY
LISTED = """
const done = arguments[0], began = performance.now();
(function look() {
  if (document.querySelector(".list .row")) done(performance.now());
  else setTimeout(look, 20);
})();
"""
# Milliseconds of each frame while the list moves by so much in each.
SCROLL = """
const done = arguments[0], list = document.querySelector(".list"), frames = [];
let before = 0;
list.scrollTop = 0;
requestAnimationFrame(function frame() {
  const now = performance.now();
  if (before) frames.push(now - before);
  before = now;
  if (frames.length === 240) return done(frames);
  list.scrollTop += %d;
  requestAnimationFrame(frame);
});
"""


def frames(port, program):
    """Frames of the real window: while a wheel turns fast, and while the bar is dragged."""
    driver = Driver(port, program)
    try:
        driver.script(PLAIN if program.name == "bare-window" else LISTED)
        time.sleep(SETTLE_SECONDS)
        return [sorted(driver.script(SCROLL % by)) for by in (173, 2311)]
    finally:
        driver.end()


# Milliseconds of each frame, until they are asked for.
WATCH = """
window.seen = [];
let before = performance.now();
requestAnimationFrame(function frame() {
  const now = performance.now();
  window.seen.push(now - before);
  before = now;
  if (!window.enough) requestAnimationFrame(frame);
});
arguments[0]();
"""
SEEN = "window.enough = true; arguments[0](window.seen);"


def queue(port, bench):
    """Seconds from giving the window so many files until each has its link, and its frames meanwhile."""
    env = bench.home("many")
    files = []
    for number in range(MANY):
        file = bench.folder / "queue" / f"{number:05}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{number}\n" * 100)
        files.append(file)

    def links():
        with contextlib.closing(sqlite3.connect(pathlib.Path(env["LAPSE_HOME"]) / "lapse.db")) as database:
            return database.execute("SELECT count(*) FROM links").fetchone()[0]
    driver = Driver(port, bench.window)
    try:
        driver.script(LISTED)
        time.sleep(SETTLE_SECONDS)
        before, began = links(), time.perf_counter()
        driver.script(WATCH)
        # Told to the window that is open.
        subprocess.run([bench.window, *files], env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while links() - before < MANY:
            assert time.perf_counter() - began < 10 * LIMIT_SECONDS, f"{links() - before} links after ten minutes"
            time.sleep(0.25)
        return time.perf_counter() - began, sorted(driver.script(SEEN))
    finally:
        driver.end()


def free_ports():
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def page_size():
    files = [DIST / "index.html", *sorted((DIST / "assets").iterdir())]
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)


def mib(size):
    return f"{size / MIB:.0f}"


def print_starts(medians):
    bare = medians[BARE]
    print("| | first paint, ms | × | goal | memory (PSS), MiB | more | goal | RSS, MiB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, one in medians.items():
        goals = ("", "") if one is bare else ("≤ 1.3", "≤ 60")
        print(f"| {name} | {one['took'] * 1000:.0f} | {one['took'] / bare['took']:.2f} | {goals[0]} | {mib(one['Pss'])} "
              f"| {mib(one['Pss'] - bare['Pss'])} | {goals[1]} | {mib(one['Rss'])} |")
    print(flush=True)


def main():
    programs = pathlib.Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory(prefix="lapse-bench-") as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        for name in ("home", "run", "screen", "empty", "live", "drops", "many", "files"):
            (folder / name).mkdir(mode=0o700)
        bus = stack.enter_context(rig(SERVERS / "keyring.sh", "present")).split("=", 1)
        env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "XDG_RUNTIME_DIR": str(folder / "run"),
               "LANG": "C.UTF-8", "TZ": "UTC", "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1", bus[0]: bus[1]}
        port, native = free_ports()
        display = stack.enter_context(rig(SERVERS / "window.sh", str(port), str(native), str(folder / "screen"),
                                          env=env | {"LAPSE_HOME": str(folder / "many")}))
        env["DISPLAY"] = os.environ["DISPLAY"] = display.split("=", 1)[1]
        screen = Screen(folder / "screen")
        bench = Bench(programs, folder, env)
        bench.share_many(bench.home("live"))

        print_starts(bench.starts(screen))
        print("| | idle, % of a core | goal |")
        print("|---|---:|---:|")
        for name, part in bench.idle(screen):
            print(f"| {name} | {part * 100:.2f} | {'' if name == BARE else '≤ 0.5'} |", flush=True)
        print()
        copied, let_go = zip(*bench.drops(screen))
        print("| | ms | goal |")
        print("|---|---:|---:|")
        print(f"| a drop of 1 MiB to its link on the clipboard | {statistics.median(copied) * 1000:.0f} | ≤ 150 |")
        print(f"| the slowest of {len(copied)} | {max(copied) * 1000:.0f} | |")
        print(f"| of that, letting go of the mouse | {statistics.median(let_go) * 1000:.0f} | |")
        print(flush=True)
        # Its port is the copy's too.
        bench.stop(bench.home("live"))
        shutil.copytree(folder / "live", folder / "many", dirs_exist_ok=True)
        bench.copy_rows(bench.home("many"))
        print(f"| {MANY:,} rows | how | median, ms | 99 % | longest | goal | frames over 50 ms |")
        print("|---|---|---:|---:|---:|---:|---:|")
        for program, what in ((bench.bare, "plain rows in the bare window"), (bench.window, "Lapse")):
            for how, times in zip(("wheel", "bar"), frames(port, program)):
                goal = "≤ 50" if program == bench.window else ""
                print(f"| {what} | {how} | {statistics.median(times):.1f} | {times[int(len(times) * 0.99)]:.1f} | {times[-1]:.1f} "
                      f"| {goal} | {sum(each > 50 for each in times)} |", flush=True)
        print()
        took, times = queue(port, bench)
        print(f"| {MANY:,} files given to the window at once | |")
        print("|---|---:|")
        print(f"| until each has its link, s | {took:.0f} |")
        print(f"| frames meanwhile: median, ms | {statistics.median(times):.1f} |")
        print(f"| 99 % | {times[int(len(times) * 0.99)]:.1f} |")
        print(f"| longest | {times[-1]:.1f} |")
        print()
        print(f"the page, compressed: {page_size() / 1000:.1f} kB (goal ≤ 120)")


if __name__ == "__main__":
    main()
