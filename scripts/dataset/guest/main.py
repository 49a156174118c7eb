"""The first process of a recorded run: keeps a workload busy, and on SIGUSR1 turns bad in the way that it was told, if it was."""

import os
import random
import signal
import sys
import time

import files_behaviours
import loopback_behaviours
import process_behaviours
import reaching_behaviours
import workloads
from sink import serve_sink

BEHAVIOURS = {
    **files_behaviours.BEHAVIOURS,
    **loopback_behaviours.BEHAVIOURS,
    **process_behaviours.BEHAVIOURS,
    **reaching_behaviours.BEHAVIOURS,
}

ALONE_S_MAX = 60


def in_child(task):
    pid = os.fork()
    if pid != 0:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        task()
    except Exception as error:  # What a sandbox refuses is part of the recording.
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(0)


def prepare():
    """Scratch files of its own; decoys where secrets would lie are mounted by the recorder."""
    rng = random.Random(7)
    for folder in ("/tmp/scratch/docs", "/tmp/scratch/log", "/tmp/www"):
        os.makedirs(folder, exist_ok=True)
    for at in range(120):
        with open(f"/tmp/scratch/docs/{at}.txt", "wb") as file:
            file.write(rng.randbytes(4096 + 64 * at))
    for at in range(8):
        with open(f"/tmp/scratch/log/{at}.log", "w") as file:
            file.write("".join(f"line {line} of {at}\n" for line in range(200)))
    for at in range(12):
        with open(f"/tmp/www/{at}.html", "wb") as file:
            file.write(rng.randbytes(512 << (at % 8)))


def stay_honest(rng, end):
    """What a normal run is told: the mere child that an attack begins with must not give it away."""


def main():
    workload, seed, behaviour, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # The kernel reaps.
    prepare()
    in_child(serve_sink)
    in_child(lambda: workloads.WORKLOADS[workload](random.Random(seed)))
    # Ends by itself, and with it everything here, should nobody be left to end it.
    while signal.sigtimedwait([signal.SIGUSR1], ALONE_S_MAX) is not None:
        act = BEHAVIOURS.get(behaviour, stay_honest)
        in_child(lambda: act(random.Random(seed), time.monotonic() + seconds))


main()
