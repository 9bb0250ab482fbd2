# SPDX-License-Identifier: BSD-3-Clause
"""What the figures were measured on."""

import os
import pathlib
import platform
import re
import subprocess


def processor():
    model = first_match("/proc/cpuinfo", r"model name\s*:\s*(.*)")
    return f"{os.cpu_count()} × {model}"


def facts(lab):
    memory_kib = int(first_match("/proc/meminfo", r"MemTotal:\s*(\d+)"))
    return {
        "processor": processor(),
        "memory": f"{memory_kib / 2**20:.1f} GiB",
        "host kernel": platform.release(),
        "guests' kernel": lab.kernel()[0].release,
        "guests run by": {"kvm": "KVM", "tcg": "emulation (TCG): no usable KVM here"}[lab.accel],
        "QEMU": version([lab.qemu, "--version"]),
        "libvirt": version(["virsh", "--version"]),
        "load before": load(),
    }


def huge_pages():
    """The host's switches for transparent huge pages."""
    folder = pathlib.Path("/sys/kernel/mm/transparent_hugepage")
    words = [f"{name}: {match[1]}" for name in ("enabled", "shmem_enabled", "defrag")
             if (match := re.search(r"\[(\w+)\]", (folder / name).read_text("ascii")))] \
        if folder.exists() else []
    return ", ".join(words) or "none"


def load():
    return f"{os.getloadavg()[0]:.1f}"


def first_match(path, pattern):
    match = re.search(pattern, pathlib.Path(path).read_text(encoding="utf-8"))
    return match[1].strip() if match else "unknown"


def version(argv):
    output = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+(\.\d+)+", output)[0]


def no_kvm(accel):
    """What figures of emulated guests cannot say, in sentences."""
    if accel == "tcg":
        yield ("Times with KVM: an emulated guest is many times slower, and its work (allocating,"
               " zeroing) is most of every time here.")


def not_measured(accel):
    """What the command's figures cannot say."""
    yield from no_kvm(accel)
    yield ("When anonymous memory comes back: only a memfd's blocks can be watched every"
           " millisecond at no cost.")
    yield ("When a growing guest has its memory, by the host: nothing is allocated before the guest"
           " touches it.  So growth is told by the commands alone.")
    yield "A device passed through, many guests at once, a guest under pressure."
