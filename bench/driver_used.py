# SPDX-License-Identifier: BSD-3-Clause
"""Makes the host back all of a guest's RAM, as if the guest had used all of it.

Theory of operation
-------------------
A process in the guest would have to touch all memory, which under emulation takes much
longer than the measurement itself.  The host can reach the same state from outside.
Private memory that the host does not back yet reads as zeros, so zeros are written to it
through /proc/PID/mem, while the guest is stopped so that it cannot write there first.
Holes in a file are allocated and then read through QEMU's mapping; neither changes the
contents.
"""

import array
import contextlib
import itertools
import os
import re

from lab import LabError, backing

PAGE_BYTES, PIECE_BYTES = 4096, 2 << 20
THERE = 3 << 62     # bits in /proc/PID/pagemap: present, swapped


def use_all(guest):
    start, end = mapping(guest)
    if guest.spec.backing == "anon":
        with stopped(guest):
            fill(guest.pid, start, end, write=True)
    else:
        allocate_holes(guest)
        fill(guest.pid, start, end, write=False)


@contextlib.contextmanager
def stopped(guest):
    guest.qmp("stop")
    try:
        yield
    finally:
        guest.qmp("cont")


def mapping(guest):
    """Returns the range of the guest's RAM: QEMU's smallest writable mapping that can hold it."""
    bytes_ = guest.spec.memory << 20
    with open(f"/proc/{guest.pid}/maps", encoding="ascii", errors="replace") as file:
        spans = [(int(start, 16), int(end, 16)) for start, end in
                 re.findall(r"^(\w+)-(\w+) rw", file.read(), re.M)]
    spans = [span for span in spans if span[1] - span[0] >= bytes_]
    if not spans:
        raise LabError(f"no mapping of {guest.name}'s QEMU holds its RAM")
    return min(spans, key=lambda span: span[1] - span[0])


def allocate_holes(guest):
    for entry in os.scandir(f"/proc/{guest.pid}/fd"):
        if backing.holds_ram(os.readlink(entry.path), guest.nest):
            with open(entry.path, "r+b", buffering=0) as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            return
    raise LabError(f"{guest.name}'s QEMU has no file that holds its RAM")


def fill(pid, start, end, write):
    zeros = bytes(PIECE_BYTES)
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        for at, length in missing(pid, start, end):
            if write:
                os.pwrite(memory.fileno(), zeros[:length], at)
            else:
                os.pread(memory.fileno(), length, at)


def missing(pid, start, end):
    """Yields (address, bytes) of runs of pages that QEMU has not mapped, each within 2 MiB."""
    entries = array.array("Q")
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
        data = os.pread(file.fileno(), (end - start) // PAGE_BYTES * 8, start // PAGE_BYTES * 8)
    entries.frombytes(data)
    pages = PIECE_BYTES // PAGE_BYTES
    absent = (start + index * PAGE_BYTES for index, entry in enumerate(entries)
              if not entry & THERE)
    for _, run in itertools.groupby(enumerate(absent), lambda pair: (
            pair[1] - pair[0] * PAGE_BYTES, pair[1] // PAGE_BYTES // pages)):
        run = list(run)
        yield run[0][1], len(run) * PAGE_BYTES
