"""HTTPS on 127.0.0.1 before a plain HTTP server, for as long as standard input stays open.

    https.py DIR http://HOST:PORT

Makes an authority that nobody else knows, DIR/cert.pem, and prints its own address. Needs: openssl.
"""

import contextlib
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse

folder, target = pathlib.Path(sys.argv[1]), urllib.parse.urlsplit(sys.argv[2])
cert, key, authority, authority_key = (folder / name for name in ("leaf.pem", "key.pem", "cert.pem", "authority.key"))


def openssl(*words):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", *words], check=True, stderr=subprocess.DEVNULL)


openssl("-subj", "/CN=Test authority", "-keyout", authority_key, "-out", authority)
openssl("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
        "-addext", "basicConstraints=critical,CA:FALSE", "-CA", authority, "-CAkey", authority_key,
        "-keyout", key, "-out", cert)


def copy(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def serve(plain):
    with contextlib.suppress(OSError):
        client = context.wrap_socket(plain, server_side=True)
        server = socket.create_connection((target.hostname, target.port))
        threading.Thread(target=copy, args=(server, client), daemon=True).start()
        copy(client, server)


def accept():
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, daemon=True).start()
print(f"https://127.0.0.1:{listener.getsockname()[1]}", flush=True)
sys.stdin.buffer.read()
