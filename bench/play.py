# SPDX-License-Identifier: BSD-3-Clause
"""Replays recorded balloons with device-play, through our device and through others' ways."""

import json
import subprocess

from lab import LabError, Unavailable
from lab.backing import take_huge_pages
from lab.nest import Nest

WAYS = {
    "device": "our device, with MUST_TELL_HOST",
    "device-untold": "our device, for a driver without MUST_TELL_HOST",
    "per-page": "one call per page, as in QEMU and Cloud Hypervisor",
    "per-buffer": "pages sorted and merged within a buffer, as in Firecracker",
}
BACKINGS = {
    "anonymous": "private memory, pages of 4 KiB",
    "anonymous-thp": "private memory, transparent huge pages",
    "memfd": "a memfd, pages of 4 KiB",
    "memfd-two": "the same, and a second process has it mapped",
    "shmem-thp": "a file on a tmpfs with huge=always",
    "hugetlb": "a memfd of 2 MiB pages of hugetlbfs",
}
HUGE_PAGE_BYTES = 2 << 20
LIMIT_S = 1800


class Played:
    """The output of device-play for one stream."""

    def __init__(self, stream, lines):
        self.stream = stream
        self.lines = lines
        self.skipped = [line for line in lines if line.get("skipped")]

    def of(self, backing, way):
        """Returns its measurements, by round."""
        found = [line for line in self.lines if line.get("backing") == backing
                 and line.get("way") == way and "round" in line]
        return sorted(found, key=lambda line: line["round"])

    def backings(self):
        return [name for name in BACKINGS if self.of(name, "device")]

    def audits(self, backing):
        return {line["audit"]: line for line in self.lines
                if "audit" in line and line["backing"] == backing}

    def rates(self):
        return [line for line in self.lines if "rate_gib_s" in line]

    def survival(self, line):
        """Returns the share of huge pages that exist again, of those the balloon took from."""
        if not line["huge_before_bytes"]:
            return None
        lost = line["huge_before_bytes"] - line["huge_after_bytes"]
        return max(0, 1 - lost / self.stream.blocks_bytes())


def play(binary, stream, backings, rounds, rates=()):
    """Plays a stream on each of these backings; backings that are not available are skipped."""
    words = [binary, f"--rounds={rounds}", *(f"--rate={rate}" for rate in rates)]
    lines = []
    with Nest() as nest:
        wanted = list(backings)
        if "hugetlb" in wanted:
            try:
                take_huge_pages(ram_bytes(stream) // HUGE_PAGE_BYTES, nest)
            except Unavailable as error:
                wanted.remove("hugetlb")
                lines.append({"skipped": True, "backing": "hugetlb", "way": "", "why": str(error)})
        lines += run([*words, *(f"--backing={name}" for name in wanted), str(stream.path)])
    return Played(stream, lines)


def ram_bytes(stream):
    """Returns the memory that device-play uses: all that the stream names, in huge pages."""
    return -(-(max(stream.pfns) + 1) * 4096 // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES


def run(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except FileNotFoundError:
        raise LabError(f"{argv[0]} does not exist: build it (“make build”)") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{argv[0]} did not end within {LIMIT_S} s") from None
    if done.returncode:
        raise LabError(f"{argv[0]} exited with {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]
