"""Servers and buses of tests/servers, for as long as a benchmark needs them."""

import contextlib
import subprocess


@contextlib.contextmanager
def rig(*command, env=None):
    """A process that ends when its standard input closes; gives its first line."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()
