# SPDX-License-Identifier: BSD-3-Clause
"""What the device process costs besides releasing: memory, wake-ups, and late answers.

The guest is our own client (vfio_user.py), so it may have any size, and misbehave.
"""

import contextlib
import dataclasses
import mmap
import os
import pathlib
import re
import statistics
import time

from lab import LabError, wait_for
from lab.device import Device
from lab.guest import Spec
from lab.nest import Nest

from .vfio_user import (BUFFER_PFNS_MAX, DEFLATE, DEVICE, INFLATE, PAGE_BYTES, RING_SIZE, Client)

GIB = 1 << 30
GIB_PAGES = GIB // PAGE_BYTES
LINUX_PFNS = 256
AT_REST_READS = 3000
FLOODS = ("at rest", "inflating a GiB, 256 PFNs a buffer",
          "inflating a GiB, 65,536 PFNs a buffer",
          "256 buffers of 65,536 PFNs, all inflated twice, without end")


@dataclasses.dataclass
class Memory:
    """Memory of the process, without the guest memory that it has mapped and read."""

    guest_gib: int
    start_bytes: int    # before the VMM connects
    full_bytes: int     # with every page in the balloon
    guest_bytes: int    # guest memory mapped by then


@dataclasses.dataclass
class Idle:
    seconds: float
    wake_ups: int
    cpu_s: float


@dataclasses.dataclass
class Replies:
    """The times of replies to REGION_READ, in seconds."""

    what: str
    median_s: float
    p99_s: float
    worst_s: float
    worst_cpu_s: float  # the most CPU time that the device itself used before a reply
    count: int


@contextlib.contextmanager
def served(lab, ram_bytes, touched=False):
    """Yields (device, client, memory file) of a guest whose memory is a memfd."""
    with Nest() as nest, contextlib.ExitStack() as stack:
        device = Device(str(lab.device), Spec("bench", device="aerostat"), nest)
        device.start([])
        stack.callback(device.end)
        device.memory_at_start = own_bytes(device.pid)
        ram_fd = os.memfd_create("ram")
        stack.callback(os.close, ram_fd)
        os.ftruncate(ram_fd, ram_bytes)
        if touched:
            touch(ram_fd, ram_bytes)
        with Client(device.socket, ram_fd, ram_bytes) as client:
            yield device, client, ram_fd


def touch(ram_fd, ram_bytes):
    os.posix_fallocate(ram_fd, 0, ram_bytes)


def status_bytes(pid, *keys):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return sum(int(re.search(rf"^{key}:\s+(\d+) kB$", text, re.M)[1]) * 1024 for key in keys)


def own_bytes(pid):
    return status_bytes(pid, "RssAnon", "RssFile")


def pending_bytes(device):
    return device.qmp("x-query-balloon")["pending"]


def memory(lab, guest_gib):
    """Measures the memory of the process after its guest has given all of its memory."""
    with served(lab, guest_gib * GIB) as (device, client, _):
        start = device.memory_at_start
        client.send(INFLATE, 0, guest_gib * GIB_PAGES)
        client.tell_actual(guest_gib * GIB_PAGES)
        wait_for(lambda: pending_bytes(device) == 0, "the device to release all")
        return Memory(guest_gib, start, own_bytes(device.pid),
                      status_bytes(device.pid, "RssShmem"))


def switches(pid):
    """Returns the number of context switches of its threads."""
    total = 0
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", path.read_text("ascii"))))
    return total


def process_cpu_s(pid):
    """Returns the CPU time of a process from its own clock, see clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def idle(lab, seconds):
    """Measures the process at rest, with 1 GiB in its balloon."""
    with served(lab, GIB) as (device, client, _):
        client.send(INFLATE, 0, GIB_PAGES)
        client.tell_actual(GIB_PAGES)
        wait_for(lambda: pending_bytes(device) == 0, "the device to release all")
        wait_for(lambda: quiet(device.pid), "the device to be at rest")
        before, cpu_s = switches(device.pid), process_cpu_s(device.pid)
        time.sleep(seconds)
        return Idle(seconds, switches(device.pid) - before, process_cpu_s(device.pid) - cpu_s)


def is_asleep(pid):
    """Returns whether no thread of it runs, or waits for a processor."""
    return all(re.search(r"^State:\s+S", path.read_text("ascii"), re.M)
               for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status"))


def quiet(pid):
    """Returns whether it has slept for a moment, and so has finished the last request."""
    before = switches(pid)
    time.sleep(0.1)
    return is_asleep(pid) and switches(pid) == before


class Stopwatch:
    def __init__(self, device, client):
        self._pid, self._client = device.pid, client
        self._worst_cpu_s = 0.0
        self.times = []

    def read(self):
        cpu_s, start = process_cpu_s(self._pid), time.perf_counter()
        self._client.read(DEVICE, 8)
        self.times.append(time.perf_counter() - start)
        self._worst_cpu_s = max(self._worst_cpu_s, process_cpu_s(self._pid) - cpu_s)

    def replies(self, what):
        times = sorted(self.times)
        return Replies(what, statistics.median(times), times[len(times) * 99 // 100], times[-1],
                       self._worst_cpu_s, len(times))


def replies(lab, rounds, flood_s):
    """Measures how long replies take at rest and under three floods."""
    with served(lab, GIB, touched=True) as (device, client, ram_fd):
        watches = {name: Stopwatch(device, client) for name in FLOODS}
        rest, linux, large, twice = watches.values()
        at_rest(rest)
        released(client, ram_fd, rounds, LINUX_PFNS, linux)
        released(client, ram_fd, rounds, BUFFER_PFNS_MAX, large)
        nonsense(client, flood_s, twice)
        return [watch.replies(name) for name, watch in watches.items()]


def at_rest(watch):
    for _ in range(AT_REST_READS):
        watch.read()


def released(client, ram_fd, rounds, buffer_pfns, watch):
    """Simulates a guest that fills the ring, while the host frees memory behind all its pages."""
    for _ in range(rounds):
        touch(ram_fd, GIB)
        for first in range(0, GIB_PAGES, BUFFER_PFNS_MAX):
            client.fill(INFLATE, range(first, first + BUFFER_PFNS_MAX))
            flood(client, watch, buffer_pfns)
        client.tell_actual(GIB_PAGES)
        while os.fstat(ram_fd).st_blocks:
            watch.read()
        client.send(DEFLATE, 0, GIB_PAGES)
        client.tell_actual(0)


def flood(client, watch, buffer_pfns):
    """Sends all page numbers that fill() wrote, in as many buffers as fit, with one kick each."""
    for offset in range(0, BUFFER_PFNS_MAX, buffer_pfns):
        while client.in_flight(INFLATE) == RING_SIZE:
            watch.read()
        client.place(INFLATE, offset, buffer_pfns)
        client.kick(INFLATE)
        watch.read()
    while client.in_flight(INFLATE):
        watch.read()


def nonsense(client, seconds, watch):
    """Simulates a guest that keeps the ring full of the largest buffers of ballooned pages."""
    client.send(INFLATE, 0, BUFFER_PFNS_MAX)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        while client.in_flight(INFLATE) < RING_SIZE:
            client.place(INFLATE, 0, BUFFER_PFNS_MAX)
        client.kick(INFLATE)
        watch.read()


class Process:
    """All measurements of the device process."""

    def __init__(self, lab, quick, say):
        self._lab, self._quick, self._say = lab, quick, say
        self.memory, self.replies, self.idle = [], [], None

    def run(self):
        if not pathlib.Path(self._lab.device).exists():
            raise LabError(f"{self._lab.device} does not exist: build it (“make build”)")
        self._say("measuring the device process: memory, wake-ups, replies")
        for gib in (1,) if self._quick else (1, 8, 64):
            self.memory.append(memory(self._lab, gib))
        self.idle = idle(self._lab, 1 if self._quick else 10)
        self.replies = replies(self._lab, *((1, 0.5) if self._quick else (5, 5)))
