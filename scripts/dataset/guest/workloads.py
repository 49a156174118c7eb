"""Real programs under a load that rises and falls by a seed. Each goes on until it is killed."""

import http.client
import json
import os
import socket
import socketserver
import sqlite3
import subprocess
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = os.path.dirname(os.path.abspath(__file__))
# Requests a second, by phase.
RATES = (30, 80, 200, 500)


def paced(rng, act):
    """Calls `act` for ever, in phases of another rate each."""
    while True:
        rate = rng.choice(RATES)
        end = time.monotonic() + rng.uniform(0.4, 1.6)
        while time.monotonic() < end:
            act()
            time.sleep(rng.expovariate(rate))


def http_load(rng, port, paths):
    connections = []

    def act():
        if not connections or rng.random() < 0.1:
            connections[:] = [http.client.HTTPConnection("127.0.0.1", port, timeout=5)]
        try:
            connections[0].request("GET", rng.choice(paths))
            connections[0].getresponse().read()
        except (OSError, http.client.HTTPException):
            connections.clear()
            time.sleep(0.05)

    paced(rng, act)


def web(rng):
    subprocess.Popen(["busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/tmp/www"])
    http_load(rng, 8080, [f"/{at}.html" for at in range(12)] + ["/missing"])


def database(rng):
    db = sqlite3.connect("/tmp/scratch/data.db", isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("create table if not exists sales (id integer primary key, shop integer, cents integer, note text)")
    db.execute("create index if not exists by_shop on sales (shop)")

    def act():
        shop = rng.randrange(50)
        if rng.random() < 0.4:
            rows = [(shop, rng.randrange(10_000), "x" * rng.randrange(200)) for _ in range(rng.randrange(1, 20))]
            db.execute("begin")
            db.executemany("insert into sales (shop, cents, note) values (?, ?, ?)", rows)
            db.execute("commit")
        elif rng.random() < 0.1:
            db.execute("delete from sales where id % 10 = ?", (rng.randrange(10),))
        else:
            db.execute("select shop, count(*), sum(cents) from sales where shop <= ? group by shop", (shop,)).fetchall()

    paced(rng, act)


class CacheHandler(socketserver.StreamRequestHandler):
    store = {}

    def handle(self):
        for line in self.rfile:
            verb, key, *value = line.split()
            if verb == b"SET":
                self.store[key] = value[0]
            self.wfile.write(self.store.get(key, b"-") + b"\n")


class CacheServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def cache(rng):
    server = CacheServer(("127.0.0.1", 6379), CacheHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    clients = [socket.create_connection(("127.0.0.1", 6379)).makefile("rwb") for _ in range(4)]

    def act():
        client = rng.choice(clients)
        key = b"key%d" % rng.randrange(500)
        text = b"SET %s %s\n" % (key, b"v" * rng.randrange(1, 900)) if rng.random() < 0.3 else b"GET %s\n" % key
        client.write(text)
        client.flush()
        client.readline()

    paced(rng, act)


def batch(rng):
    def act():
        rows = [f"{rng.randrange(100)},{rng.random():.6f}" for _ in range(rng.randrange(200, 2000))]
        with open("/tmp/scratch/rows.csv", "w") as file:
            file.write("\n".join(rows))
        sums = {}
        with open("/tmp/scratch/rows.csv") as file:
            for line in file:
                shop, amount = line.split(",")
                sums[shop] = sums.get(shop, 0) + float(amount)
        with open("/tmp/scratch/sums.json.z", "wb") as file:
            file.write(zlib.compress(json.dumps(sums).encode()))
            os.fsync(file.fileno())

    paced(rng, act)


def build(rng):
    folder = "/tmp/scratch/project"
    os.makedirs(folder, exist_ok=True)
    names = [f"part{at}" for at in range(4)]
    with open(f"{folder}/Makefile", "w") as file:
        file.write("CFLAGS=-O1 -pipe\n%.o: %.c\n\tgcc $(CFLAGS) -c $< -o $@\n")
        file.write(f"program: {' '.join(name + '.o' for name in names)}\n\tgcc $^ -o $@\n")
    for name in names:
        with open(f"{folder}/{name}.c", "w") as file:
            file.write("int main(void) { return 0; }\n" if name == "part0" else f"int {name}(int x) {{ return x; }}\n")
    while True:
        name = rng.choice(names[1:])
        with open(f"{folder}/{name}.c", "w") as file:
            file.write("".join(f"int {name}_{n}(int x) {{ return x * {n}; }}\n" for n in range(rng.randrange(1, 200))))
        subprocess.run(["make", "-s", "-C", folder, "program"], check=False)
        time.sleep(rng.uniform(0, 0.2))


def shell(rng):
    os.execv("/bin/sh", ["sh", f"{HERE}/nightly.sh", str(rng.randrange(1, 30000))])


def node(rng):
    subprocess.Popen(["/usr/bin/node", f"{HERE}/service.cjs"])
    http_load(rng, 8081, [f"/orders?shop={at}" for at in range(20)] + ["/health", "/report"])


class PythonHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(f"/tmp/www/{len(self.path) % 12}.html", "rb") as file:
            body = json.dumps({"path": self.path, "sum": zlib.crc32(file.read())}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *parts):
        pass


def python(rng):
    server = ThreadingHTTPServer(("127.0.0.1", 8082), PythonHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    http_load(rng, 8082, [f"/{'a' * at}" for at in range(1, 20)])


def queue(rng):
    for folder in ("new", "done"):
        os.makedirs(f"/tmp/scratch/{folder}", exist_ok=True)
    count = [0]

    def act():
        count[0] += 1
        name = f"{count[0] % 64}.json"
        with open(f"/tmp/scratch/new/{name}.part", "w") as file:
            json.dump({"job": count[0], "words": ["w"] * rng.randrange(300)}, file)
        os.rename(f"/tmp/scratch/new/{name}.part", f"/tmp/scratch/new/{name}")
        for ready in os.listdir("/tmp/scratch/new"):
            with open(f"/tmp/scratch/new/{ready}") as file:
                job = json.load(file)
            with open(f"/tmp/scratch/done/{ready}", "w") as file:
                file.write(str(len(job["words"])))
            os.unlink(f"/tmp/scratch/new/{ready}")

    paced(rng, act)


WORKLOADS = {
    "web": web,
    "database": database,
    "cache": cache,
    "batch": batch,
    "build": build,
    "shell": shell,
    "node": node,
    "python": python,
    "queue": queue,
}
