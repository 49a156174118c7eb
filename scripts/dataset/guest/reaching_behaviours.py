"""Attempts to reach out of the sandbox. All must fail, and with arguments that do nothing where one would not."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH = 16
PROCESS_VM_READV, INIT_MODULE, SETNS, BPF = 310, 175, 308, 321
CLONE_NEWUSER_NEWNS = 0x10020000


def must_fail(what, result):
    print(f"{what}: {'it was let' if result >= 0 else 'refused'}", flush=True)


def mount(rng, end):
    os.makedirs("/tmp/escape", exist_ok=True)
    must_fail("mount", LIBC.mount(b"/dev/vda", b"/tmp/escape", b"ext4", 1, None))


def unshare(rng, end):
    must_fail("unshare", LIBC.unshare(CLONE_NEWUSER_NEWNS))
    must_fail("setns", LIBC.syscall(SETNS, -1, 0))


def core_pattern(rng, end):
    # Opened for reading: what is not written cannot do harm, should the sandbox have a hole.
    for path in ("/proc/sys/kernel/core_pattern", "/sys/fs/cgroup/release_agent"):
        try:
            os.close(os.open(path, os.O_RDONLY))
        except OSError:
            pass  # As it must.


def inject(rng, end):
    parent = os.getppid()
    must_fail("ptrace", LIBC.ptrace(PTRACE_ATTACH, parent, None, None))


def read_memory(rng, end):
    try:
        with open(f"/proc/{os.getppid()}/mem", "rb", buffering=0) as file:
            file.seek(0x1000)
            file.read(16)
    except OSError:
        pass  # Nothing is mapped there.
    must_fail("process_vm_readv", LIBC.syscall(PROCESS_VM_READV, os.getppid(), None, 0, None, 0, 0))


def load_module(rng, end):
    # No image: there is nothing that could be loaded.
    must_fail("init_module", LIBC.syscall(INIT_MODULE, None, 0, b""))


def load_bpf(rng, end):
    must_fail("bpf", LIBC.syscall(BPF, 5, None, 0))


BEHAVIOURS = {
    "escape-mount": mount,
    "escape-namespace": unshare,
    "escape-core-pattern": core_pattern,
    "process-injection": inject,
    "process-memory": read_memory,
    "kernel-module": load_module,
    "bpf-program": load_bpf,
}
