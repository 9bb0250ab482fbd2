# SPDX-License-Identifier: BSD-3-Clause
"""Measures a driver's costs to its guest: instructions per page, late statistics, slower work.

Theory of operation
-------------------
Instructions: under QEMU's -icount a guest's clock advances by one nanosecond per
instruction, so the run time of kernel threads in the guest's scheduler is their number
of instructions.  Both drivers do all their work in such threads; what the threads do at
rest is measured first and subtracted.  QEMU counts each iteration of a string
instruction, such as one that zeroes a page.

Statistics: a guest gets a target that it cannot reach, and its statistics are observed
while its balloon is stuck.  The guest is not restored afterwards and not used again.

Disturbance: a process copies memory, or repeatedly sleeps for a millisecond, first with
nothing else going on and then while the balloon is inflated.  The samples of both times
are compared.
"""

import contextlib
import dataclasses
import math
import time

from lab import qmp, wait_for
from lab.qemu_guest import BALLOON_PATH

from .driver_guest import IN_TREE, MIB, OURS, WAYS, ProbedGuest

PAGE_BYTES = 4096
# Guests whose instructions are counted, which is slow.
COUNTED_MIB, COUNTED_SMALL_MIB = 768, 256
REST_S, SETTLE_S = 1, 0.3
# Guests with a target out of reach.
STUCK_MIB, STUCK_TARGET_MIB = 1024, 16
STUCK_S, QUICK_STUCK_S, STATS_PERIOD_S = 20, 6, 1
# Guests whose work is disturbed.
BUSY_MIB, BUSY_SMALL_MIB = 1536, 512
QUICK_BUSY_MIB, QUICK_BUSY_SMALL_MIB = 768, 384
IDLE_S = 2
BUSY_ROUNDS = 2
PROBES = ("bandwidth", "latency")
BUSY_MACHINES = (
    ("host's QEMU, anon THP", {"backing": "anon"}),
    ("our device, shmem THP", {"device": "aerostat", "qemu": "newer", "backing": "shmem-thp"}),
)


@dataclasses.dataclass
class Count:
    kernel_args: str
    way: str
    inflate: float      # instructions per page
    deflate: float


@dataclasses.dataclass
class Age:
    way: str
    worst_periods: float
    updates: int
    short_bytes: int    # how far the guest remained from its target


@dataclasses.dataclass
class Disturbance:
    machine: str
    cpus: int
    way: str
    probe: str
    idle: list          # samples: KiB in each 10 ms, or µs for each sleep of 1 ms
    inflating: list
    inflate_s: float    # of all rounds
    rounds: int

    @property
    def name(self):
        return f"{self.machine}, {self.cpus} vCPU{'s' if self.cpus > 1 else ''}: {self.way}"


def percentile(samples, percent):
    """Returns the percentile of the samples by nearest rank; None if there are no samples."""
    ranked = sorted(samples)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)] if ranked else None


# Instructions

def count_instructions(lab, say, quick):
    """Returns a list of Count."""
    counts = []
    for kernel_args in ("init_on_alloc=1",) if quick else ("init_on_alloc=1", "init_on_alloc=0"):
        say(f"counting instructions, {kernel_args}")
        with ProbedGuest(lab, "counted", icount=True, accel="tcg", backing="anon",
                         memory=COUNTED_MIB, kernel_args=kernel_args) as guest:
            for way in WAYS:
                with guest.using(way):
                    counts.append(Count(kernel_args, way.name, *counted(guest)))
    return counts


def counted(guest):
    """Yields the instructions per page to inflate, and then to deflate."""
    pages = (COUNTED_MIB - COUNTED_SMALL_MIB) * MIB // PAGE_BYTES
    guest.compact()
    rest = instructions(guest, lambda: time.sleep(REST_S))
    for mib in (COUNTED_SMALL_MIB, COUNTED_MIB):
        yield (instructions(guest, lambda: settle(guest, mib)) - rest) / pages


def settle(guest, mib):
    """Resizes, and waits for the work that a driver does after the size is reached."""
    guest.resize(mib)
    time.sleep(SETTLE_S)


def instructions(guest, work):
    """Returns the instructions of kernel threads during `work`, without those that ended."""
    before = guest.kernel_work()
    work()
    return sum(ns - before.get(pid, 0) for pid, ns in guest.kernel_work().items())


# Statistics

def watch_statistics(lab, say, quick):
    """Returns a list of Age; both guests are stuck at the same time."""
    seconds = QUICK_STUCK_S if quick else STUCK_S
    say(f"observing the statistics of stuck balloons for {seconds} s")
    with contextlib.ExitStack() as stack:
        guests = [stack.enter_context(stuck_guest(lab, way)) for way in (IN_TREE, OURS)]
        watches = [StatsWatch(way, stack.enter_context(
            qmp.session(guest.qmp_path, "watch statistics")))
            for way, guest in zip((IN_TREE, OURS), guests, strict=True)]
        for watch in watches:
            wait_for(watch.look, "the first statistics")
            watch.begin()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for watch in watches:
                watch.look()
            time.sleep(0.01)
        return [watch.age() for watch in watches]


@contextlib.contextmanager
def stuck_guest(lab, way):
    with ProbedGuest(lab, f"stuck-{way.driver}", backing="anon", memory=STUCK_MIB,
                     balloon={"stats-period": STATS_PERIOD_S}) as guest:
        guest.load_driver(way.driver, way.params)
        yield guest


class StatsWatch:
    def __init__(self, way, monitor):
        self._way, self._monitor = way, monitor
        self._last = None
        self._seen_s = time.monotonic()
        self._gaps = []

    def begin(self):
        """Sets a target that is out of reach, and starts to record gaps."""
        self._monitor.execute("balloon", value=STUCK_TARGET_MIB * MIB)
        self._gaps.clear()

    def look(self):
        """Returns whether there are new statistics."""
        answer = self._monitor.execute("qom-get", path=BALLOON_PATH, property="guest-stats")
        now = time.monotonic()
        if answer == self._last or not answer["last-update"]:
            return False
        self._last = answer
        self._gaps.append(now - self._seen_s)
        self._seen_s = now
        return True

    def age(self):
        gaps = [*self._gaps, time.monotonic() - self._seen_s]
        short = self._monitor.execute("query-balloon")["actual"] - STUCK_TARGET_MIB * MIB
        return Age(self._way.name, max(gaps) / STATS_PERIOD_S, len(self._gaps), short)


# Disturbance

def disturb(lab, say, quick, rounds):
    """Returns a list of Disturbance."""
    found = []
    for machine, spec in BUSY_MACHINES[:1] if quick else BUSY_MACHINES:
        for cpus in (1,) if quick else (1, 2):
            start = time.monotonic()
            memory = QUICK_BUSY_MIB if quick else BUSY_MIB
            with ProbedGuest(lab, "busy", memory=memory, cpus=cpus, **spec) as guest:
                found += [disturbed(guest, machine, cpus, way, probe,
                                    rounds or (1 if quick else BUSY_ROUNDS))
                          for way in (WAYS if machine == BUSY_MACHINES[0][0] else (IN_TREE, OURS))
                          for probe in PROBES]
            say(f"measured the disturbance of work, {machine}, {cpus} vCPUs, in "
                f"{time.monotonic() - start:.0f} s")
    return found


def disturbed(guest, machine, cpus, way, probe, rounds):
    """Collects the samples of all rounds, because a short inflation has only a few."""
    full = guest.spec.memory
    small = BUSY_SMALL_MIB if full == BUSY_MIB else QUICK_BUSY_SMALL_MIB
    result = Disturbance(machine, cpus, way.name, probe, [], [], 0.0, rounds)
    with guest.using(way):
        for _ in range(rounds):
            guest.use_all()
            with guest.probed(probe) as samples:
                _, idle_ms = guest.ping()
                time.sleep(IDLE_S)
                _, start_ms = guest.ping()
                result.inflate_s += guest.resize(small)
                _, end_ms = guest.ping()
            result.idle += between(samples, idle_ms, start_ms)
            result.inflating += between(samples, start_ms, end_ms)
            guest.resize(full)
    return result


def between(samples, start_ms, end_ms):
    """Returns the samples that began between two times."""
    return [sample for at_ms, sample in samples if start_ms <= at_ms < end_ms]
