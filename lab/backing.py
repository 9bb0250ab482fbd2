# SPDX-License-Identifier: BSD-3-Clause
"""What a guest's RAM is made of on the host.

    memfd       an ordinary shared file: what a device outside of QEMU needs
    anon        private memory of the QEMU process
    hugetlb     a memfd of huge pages (2 MiB) out of the machine's pool, which
                grows by the guest's size and shrinks again with the nest
    shmem-thp   a file on a tmpfs that uses huge pages wherever it can; it is
                mounted in a mount namespace of QEMU's own, and gone with it
"""

import re
import subprocess

from .errors import LabError, Unavailable
from .tools import tool

BACKINGS = ("memfd", "anon", "hugetlb", "shmem-thp")
HUGE_PAGE_MIB = 2


def provide(spec, nest):
    """Sees to it that the host has what the backing needs."""
    if spec.backing == "hugetlb":
        take_huge_pages(-(-spec.memory // HUGE_PAGE_MIB), nest)
    elif spec.backing == "shmem-thp":
        folder(nest).mkdir()
        done = subprocess.run(wrapped(spec, nest, ["true"]), capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise Unavailable("no tmpfs of huge pages here, which needs root and a kernel with "
                              f"transparent huge pages: {done.stderr.strip()}")


def provide_more(spec, mib, nest):
    """The same for memory that is plugged in later."""
    if spec.backing == "hugetlb":
        take_huge_pages(mib // HUGE_PAGE_MIB, nest)


def take_huge_pages(count, nest):
    free = available_mib() // HUGE_PAGE_MIB
    if count > free:
        raise Unavailable(f"{count} huge pages are more than the {free} that would fit into the "
                          "host's memory now: make the guest smaller")
    try:
        got = nest.reserve_huge_pages(count)
    except OSError as error:
        raise Unavailable(f"no huge pages here ({error}): only root can take them, where the "
                          "kernel has them") from None
    if got < count:
        raise Unavailable(f"only {got} of {count} huge pages are to be had: memory is short, or "
                          "in pieces until the machine is rebooted")


def available_mib():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"^MemAvailable:\s+(\d+) kB$", file.read(), re.M)[1]) // 1024


def folder(nest):
    return nest.path / "ram"


def wrapped(spec, nest, argv):
    """QEMU's command line, in whatever it has to run for its memory."""
    if spec.backing != "shmem-thp":
        return argv
    script = f'mount -t tmpfs -o huge=always tmpfs {folder(nest)} && exec "$@"'
    return [tool("unshare"), "--mount", "sh", "-c", script, "sh", *argv]


def properties(backing, name, mib, nest):
    """A memory backend of QEMU, in the words of -object and of object-add."""
    words = {"id": name, "size": mib << 20}
    if backing == "anon":
        return {"qom-type": "memory-backend-ram", **words}
    if backing == "shmem-thp":
        # Unless told, QEMU maps a file at any page, where none can be huge.
        return {"qom-type": "memory-backend-file", "mem-path": str(folder(nest)), "share": True,
                "align": HUGE_PAGE_MIB << 20, **words}
    words = {"qom-type": "memory-backend-memfd", "share": True, **words}
    if backing == "hugetlb":
        words |= {"hugetlb": True, "hugetlbsize": HUGE_PAGE_MIB << 20}
    return words


def holds_ram(link, nest):
    """Is this link of /proc/PID/fd one to a file of guest memory?"""
    return link.startswith(("/memfd:", f"{folder(nest)}/"))


def check(spec):
    if spec.backing not in BACKINGS:
        raise LabError(f"no backing {spec.backing} in the lab, only {', '.join(BACKINGS)}")
    if spec.backing == "anon" and spec.device == "aerostat":
        raise LabError("a guest of private memory (anon) cannot have a device of its own process, "
                       "which has to share it: use memfd, hugetlb or shmem-thp")
