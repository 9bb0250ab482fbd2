# SPDX-License-Identifier: BSD-3-Clause
"""Records the page numbers that a stock guest puts into its balloon, in order.

Theory of operation
-------------------
QEMU's own device traces each page that it takes (virtio_balloon_handle_output),
so an unmodified guest on an unmodified QEMU can be recorded.  Linux sends 256
PFNs per buffer and waits for each buffer, so a stream needs no marks between
buffers.  The recording is kept in the build folder, as 32-bit little-endian
numbers.

fresh           the guest has just booted; most of its memory was never used
fragmented      all free memory was filled with files of 64 KiB on a tmpfs, one after
                the other, and then every other file was removed
"""

import array
import dataclasses
import pathlib
import sys

from lab import LabError, wait_for
from lab.guest import Spec
from lab.qemu_guest import QemuGuest

MIB = 1 << 20
PAGE_BYTES, BLOCK_PAGES = 4096, 512
BUFFER_PFNS = 256
EVENT = "virtio_balloon_handle_output"
FILE_KIB, FOLDER_FILES = 64, 200
LEFT_MIB = 150      # not filled, because the guest itself needs it
VERSION = 1         # of the method; recordings with another version are not used


@dataclasses.dataclass
class Stream:
    kind: str
    path: pathlib.Path
    pfns: array.array

    @property
    def bytes(self):
        return len(self.pfns) * PAGE_BYTES

    def blocks(self):
        """Returns {2 MiB block: number of its pages in the stream}."""
        counts = {}
        for pfn in set(self.pfns):
            counts[pfn // BLOCK_PAGES] = counts.get(pfn // BLOCK_PAGES, 0) + 1
        return counts

    def whole_share(self):
        """Returns the share of its pages that are in blocks of which it has all pages."""
        whole = sum(count for count in self.blocks().values() if count == BLOCK_PAGES)
        return whole / len(set(self.pfns))

    def blocks_bytes(self):
        """Returns the memory of all blocks of which it has a page: the huge pages affected."""
        return len(self.blocks()) * BLOCK_PAGES * PAGE_BYTES

    def runs_a_buffer(self):
        """Returns the average number of runs of adjacent pages per sorted buffer."""
        runs = buffers = 0
        for at in range(0, len(self.pfns), BUFFER_PFNS):
            pfns = sorted(self.pfns[at:at + BUFFER_PFNS])
            runs += 1 + sum(b != a + 1 for a, b in zip(pfns, pfns[1:]))
            buffers += 1
        return runs / buffers


class TracedGuest(QemuGuest):
    """A guest whose QEMU traces the pages that its balloon takes."""

    @property
    def trace(self):
        return self.nest.path / "trace"

    def command(self):
        return [*super().command(), "-trace", f"enable={EVENT}", "-D", str(self.trace)]


def get(lab, kind, memory_mib, taken_mib, say):
    """Returns a Stream, recording it unless a recording exists."""
    name = f"{kind}-{lab.kernel()[0].release}-{memory_mib}-{taken_mib}-v{VERSION}.pfns"
    path = lab.cache.parent / "bench" / name
    if not path.exists():
        say(f"recording a {kind} guest's balloon of {taken_mib} MiB")
        pfns = record(lab, kind, memory_mib, taken_mib)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".new")
        scratch.write_bytes(little_endian(pfns).tobytes())
        scratch.rename(path)
    pfns = array.array("I", path.read_bytes())
    return Stream(kind, path, little_endian(pfns))


def little_endian(pfns):
    if sys.byteorder == "big":
        pfns.byteswap()
    return pfns


def record(lab, kind, memory_mib, taken_mib):
    with TracedGuest(lab, Spec(f"stream-{kind}", memory=memory_mib)) as guest:
        if kind == "fragmented":
            fragment(guest)
        target = (memory_mib - taken_mib) * MIB
        guest.qmp("balloon", value=target)
        wait_for(lambda: guest.actual() == target,
                 f"the {kind} guest's balloon to hold {taken_mib} MiB")
        pfns = parse(guest.trace)
    if len(pfns) != taken_mib * MIB // PAGE_BYTES:
        raise LabError(f"{lab.qemu} traced {len(pfns)} pages of {taken_mib} MiB")
    return pfns


def parse(trace):
    """Parses lines such as "virtio_balloon_handle_output section name: mem gpa: 0x1d58000"."""
    with open(trace, encoding="ascii") as file:
        return array.array("I", (int(line.rpartition("gpa: ")[2], 16) // PAGE_BYTES
                                 for line in file if EVENT in line))


def fragment(guest):
    """Fragments the guest's free memory into pieces of 64 KiB."""
    files = (guest.meminfo()["MemFree"] - LEFT_MIB * MIB) // (FILE_KIB * 1024)
    order(guest, "mkdir /pieces && mount -t tmpfs -o size=95% pieces /pieces && mkdir /pieces/0")
    # With busybox, cp is the fastest way to make many files, but it needs some files to copy.
    order(guest, "awk 'BEGIN { text = \"0123456789abcdef\";"
                 f" while (length(text) < {FILE_KIB * 1024}) text = text text;"
                 f" for (i = 0; i < {FOLDER_FILES}; i++) {{ name = sprintf(\"/pieces/0/%03d\", i);"
                 " printf \"%s\", text > name; close(name) } }'")
    order(guest, f"for i in $(seq {files // FOLDER_FILES - 1}); do"
                 " cp -r /pieces/0 /pieces/$i || exit; done")
    order(guest, "cd /pieces && rm -f */*[02468]")


def order(guest, command):
    done = guest.run(command)
    if done.status:
        raise LabError(f"{guest.name}: {command.split()[0]} failed: {done.output.strip()}")
