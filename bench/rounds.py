# SPDX-License-Identifier: BSD-3-Clause
"""Runs rounds, in each of which every way takes half of a guest's memory and gives it back.

Theory of operation
-------------------
The ways take turns within a round, and the order is reversed from round to
round, so that other work on the machine affects all of them alike.  Before a
guest shrinks, nearly all of its memory is touched, because otherwise the host
would get nothing back.  Two guests are touched at a time, because this is the
slowest step.
"""

import concurrent.futures
import dataclasses
import time

from . import command
from .watch import Watch

# Without it, a tenth of the memory stays in per-CPU lists after each growth (see README.md).
KERNEL_ARGS = "sysctl.vm.percpu_pagelist_high_fraction=1000"
MAX_MIB, HALF_MIB = 1024, 512
TOUCH_MIB = 850     # about all that one process in the guest can have


@dataclasses.dataclass
class Change:
    """One shrink or one growth.  Times are in seconds from the start of the command."""

    returned_s: float
    cpu_s: float
    rss_bytes: int
    libvirtd_cpu_s: float
    gap_ms: float               # the guest's longest heartbeat gap during it
    told_first_s: float | None  # reported by the command
    told_target_s: float
    told_gain_bytes: int | None
    polls: int | None
    host_gain_bytes: int        # from here: measured by us
    first_back_s: float | None
    last_back_s: float | None
    blind_s: float


@dataclasses.dataclass
class Cycle:
    """The measurements of one way in one round."""

    way: str
    shrink: Change
    grow: Change
    idle_gap_ms: float | None   # at rest, for as long as the shrink took
    backed_bytes: int | None    # of the guest's RAM by the host, before


class Rounds:
    def __init__(self, pairs, libvirt, env, say):
        self.pairs = pairs      # of ways, of two guests each
        self.cycles = []
        self._libvirt = libvirt
        self._env = env
        self._say = say

    def run(self, count, until_s):
        """Runs `count` rounds, or fewer: none starts that would probably end too late."""
        took_s = 0
        for number in range(count):
            if number and time.monotonic() + took_s > until_s:
                self._say("no time for more rounds: this machine is busy or slow")
                break
            start = time.monotonic()
            for pair in self.pairs if number % 2 == 0 else reversed(self.pairs):
                touch([way.guest for way in pair])
                for way in pair if number % 2 == 0 else reversed(pair):
                    self.cycles.append(self._cycle(way))
            took_s = time.monotonic() - start
            self._say(f"round {number + 1} of {count}: {took_s:.0f} s")

    def of(self, way):
        return [cycle for cycle in self.cycles if cycle.way == way.name]

    def _cycle(self, way):
        shrink, backed_bytes = self._change(way, MAX_MIB, HALF_MIB)
        grow, _ = self._change(way, HALF_MIB, MAX_MIB)
        idle_gap_ms = rest(way.guest, shrink.returned_s) if way.idle else None
        return Cycle(way.name, shrink, grow, idle_gap_ms, backed_bytes)

    def _change(self, way, before_mib, mib):
        guest = way.guest
        host_bytes, libvirtd_s = guest.host_bytes(), command.cpu_seconds(self._libvirt.pid)
        with Watch(guest) as watch:
            guest.heartbeat.mark()
            run = command.run(way.argv(mib), self._env)
            gap_ms = guest.heartbeat.longest_gap_ms
        told = way.told(run, before_mib)
        return Change(
            run.wall_s, run.cpu_s, run.rss_bytes,
            command.cpu_seconds(self._libvirt.pid) - libvirtd_s, gap_ms,
            told.first_s, told.target_s, told.host_gain_bytes, told.polls,
            host_bytes - guest.host_bytes(),
            watch.first_s and watch.first_s - run.start_s,
            watch.last_s and watch.last_s - run.start_s, watch.blind_s), watch.before_bytes


def touch(guests):
    def fill(guest):
        guest.hold("bench", TOUCH_MIB)
        guest.release("bench")

    with concurrent.futures.ThreadPoolExecutor() as pool:
        for _ in pool.map(fill, guests):
            pass


def rest(guest, seconds):
    """Returns the longest heartbeat gap of a guest at rest, observed in the same way."""
    with Watch(guest):
        guest.heartbeat.mark()
        time.sleep(seconds)
        return guest.heartbeat.longest_gap_ms
