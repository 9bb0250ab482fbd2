# SPDX-License-Identifier: BSD-3-Clause
"""The kinds of host memory that can back a guest's RAM.

    memfd       an ordinary shared file, as a device outside QEMU needs it
    anon        private memory of the QEMU process
    hugetlb     a memfd of huge pages (2 MiB) from the machine's pool, which
                grows by the guest's size and shrinks again with the nest
    shmem-thp   a file on a tmpfs that uses huge pages wherever it can; the tmpfs
                is mounted in QEMU's own mount namespace and disappears with it
"""

import re
import subprocess

from .errors import LabError, Unavailable
from .tools import mount_namespace, private_folder

BACKINGS = ("memfd", "anon", "hugetlb", "shmem-thp")
HUGE_PAGE_MIB = 2


def provide(spec, nest):
    """Prepares what the backing needs on the host."""
    if spec.backing == "hugetlb":
        take_huge_pages(-(-spec.memory // HUGE_PAGE_MIB), nest)
    elif spec.backing == "shmem-thp":
        folder(nest).mkdir()
        done = subprocess.run(wrapped(spec, nest, ["true"]), capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise Unavailable("cannot mount a tmpfs with huge pages, which needs root and a kernel "
                              f"with transparent huge pages: {done.stderr.strip()}")


def provide_more(spec, mib, nest):
    """Does the same for memory that is plugged in later."""
    if spec.backing == "hugetlb":
        take_huge_pages(mib // HUGE_PAGE_MIB, nest)


def take_huge_pages(count, nest):
    free = available_mib() // HUGE_PAGE_MIB
    if count > free:
        raise Unavailable(f"{count} huge pages do not fit into the host's available memory, which "
                          f"has room for {free}: make the guest smaller")
    try:
        got = nest.reserve_huge_pages(count)
    except OSError as error:
        raise Unavailable(f"cannot reserve huge pages ({error}): this needs root, and a kernel "
                          "that supports them") from None
    if got < count:
        raise Unavailable(f"the kernel provided only {got} of {count} huge pages: memory is short, "
                          "or fragmented until the machine is rebooted")


def available_mib():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"^MemAvailable:\s+(\d+) kB$", file.read(), re.M)[1]) // 1024


def folder(nest):
    return nest.path / "ram"


def wrapped(spec, nest, argv):
    """Returns QEMU's command line, wrapped in what its memory needs."""
    if spec.backing != "shmem-thp":
        return argv
    script = (f"{private_folder(folder(nest))} && "
              f'mount -t tmpfs -o huge=always tmpfs {folder(nest)} && exec "$@"')
    return [*mount_namespace(), "sh", "-c", script, "sh", *argv]


def properties(backing, name, mib, nest):
    """Returns the properties of QEMU's memory backend, for -object and for object-add."""
    words = {"id": name, "size": mib << 20}
    if backing == "anon":
        return {"qom-type": "memory-backend-ram", **words}
    if backing == "shmem-thp":
        # By default QEMU maps a file at any page; without alignment no page of it can be huge.
        return {"qom-type": "memory-backend-file", "mem-path": str(folder(nest)), "share": True,
                "align": HUGE_PAGE_MIB << 20, **words}
    words = {"qom-type": "memory-backend-memfd", "share": True, **words}
    if backing == "hugetlb":
        words |= {"hugetlb": True, "hugetlbsize": HUGE_PAGE_MIB << 20}
    return words


def holds_ram(link, nest):
    """Returns whether this link in /proc/PID/fd points to a file of guest memory."""
    return link.startswith(("/memfd:", f"{folder(nest)}/"))


def check(spec):
    if spec.backing not in BACKINGS:
        raise LabError(f"unknown backing {spec.backing}: use one of {', '.join(BACKINGS)}")
    if spec.backing == "anon" and spec.device == "aerostat":
        raise LabError("device=\"aerostat\" needs shared memory, which backing=\"anon\" is not: "
                       "use memfd, hugetlb or shmem-thp")
