"""Attack behaviours by processes: within the run's limits of CPU, processes and time."""

import glob
import hashlib
import os
import shutil
import subprocess
import time

from files_behaviours import pause_until


def mine(rng, end):
    block = rng.randbytes(80)
    while time.monotonic() < end:
        for nonce in range(2000):
            hashlib.sha256(block + nonce.to_bytes(4, "little")).digest()


def mine_slowly(rng, end):
    block = rng.randbytes(80)
    while pause_until(end, 0.04):
        stop = time.monotonic() + 0.015
        while time.monotonic() < stop:
            for nonce in range(100):
                hashlib.sha256(block + nonce.to_bytes(4, "little")).digest()


def fork_bomb(rng, end):
    """Bounded by the group's pids; every process ends with the run, or by itself soon after."""
    while time.monotonic() < end:
        try:
            if os.fork() == 0:
                while time.monotonic() < end:
                    time.sleep(0.05)
                os._exit(0)
        except OSError:
            time.sleep(0.001)


def preload(rng, end):
    shutil.copyfile(glob.glob("/lib/x86_64-linux-gnu/libm.so.6")[0], "/tmp/.hook.so")
    for command in (["/bin/ls", "/tmp"], ["/usr/bin/id"], ["/bin/cat", "/etc/hostname"]):
        subprocess.run(command, env={"LD_PRELOAD": "/tmp/.hook.so"}, stdout=subprocess.DEVNULL, check=False)


def memfd_exec(rng, end):
    with open("/bin/true", "rb") as file:
        data = file.read()
    descriptor = os.memfd_create("kworker", 0)
    os.write(descriptor, data)
    subprocess.run([f"/proc/self/fd/{descriptor}"], pass_fds=[descriptor], check=False)


def web_shell(rng, end):
    for command in ("id", "uname -a", "cat /etc/passwd | head -n 3", "ls -la /tmp/www", "env | sort"):
        subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.DEVNULL, check=False)
        if not pause_until(end, 0.2):
            return


def discover(rng, end):
    while time.monotonic() < end:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for name in ("status", "cmdline", "maps"):
                try:
                    with open(f"/proc/{pid}/{name}", "rb") as file:
                        file.read()
                except OSError:
                    pass  # It has ended, or is not ours to read.
            if time.monotonic() >= end:
                return
        for name in ("/etc/passwd", "/etc/hosts", "/proc/version", "/proc/net/tcp", "/proc/mounts"):
            with open(name, "rb") as file:
                file.read()
        time.sleep(0.02)


def eat_memory(rng, end):
    held = []
    while pause_until(end, 0.02) and len(held) < 150:
        held.append(bytearray(1 << 20))


def hide_as_kernel(rng, end):
    shutil.copyfile("/bin/sleep", "/var/tmp/kworker")
    os.chmod("/var/tmp/kworker", 0o755)
    subprocess.run(["/var/tmp/kworker", "0.3"], check=False)


BEHAVIOURS = {
    "miner": mine,
    "miner-throttled": mine_slowly,
    "fork-bomb": fork_bomb,
    "preload": preload,
    "memfd-exec": memfd_exec,
    "web-shell": web_shell,
    "discovery": discover,
    "memory-hog": eat_memory,
    "masquerade": hide_as_kernel,
}
