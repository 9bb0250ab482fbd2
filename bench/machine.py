# SPDX-License-Identifier: BSD-3-Clause
"""Describes the machine on which the measurements were made."""

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
    """Returns the host's settings of transparent huge pages."""
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
    """Yields what measurements of emulated guests do not show, as sentences."""
    if accel == "tcg":
        yield ("Times with KVM: an emulated guest is many times slower, and its work (allocating,"
               " zeroing) is the largest part of every time here.")


def not_measured(accel):
    """Yields what the measurements of the command do not show."""
    yield from no_kvm(accel)
    yield ("When anonymous memory comes back: only the blocks of a memfd can be counted every"
           " millisecond at no cost.")
    yield ("When a growing guest has its memory, seen from the host: the host allocates nothing"
           " before the guest touches it.  So growth is only timed by the commands.")
    yield "Guests with a passed-through device, many guests at once, guests under pressure."
