# SPDX-License-Identifier: BSD-3-Clause
"""Several guests that need more than the host has, all at once.

Theory of operation
-------------------
Three guests with our driver are managed by an aerostatd with a budget.  When they have settled,
a process in each takes memory as fast as it can, and all three together want much more than the
budget.  The host memory behind their RAM is summed up every 20 ms.  On our device a gate makes
them wait for what they take back; QEMU's own device has none.  The guests have swap, so those
that do not get memory are slow, and nothing need be killed.

The device's own memory is read while its guest waits, and at rest.
"""

import contextlib
import dataclasses
import time

from lab.guest import Spec
from lab.nest import Nest

from .daemon_burst import Job, WatchedGuest, suffered
from .daemon_process import daemon, status_number
from .rounds import KERNEL_ARGS

MIB = 1 << 20
GUESTS, GUEST_MIB, SWAP_MIB, BUDGET_MIB = 3, 512, 512, 850
SETTLE_ROUNDS = 30          # of the daemon
WATCH_S, QUICK_WATCH_S = 20, 5
LOOK_S = 0.02
WAYS = {"gate": "aerostat", "no gate": "qemu"}      # and the device


@dataclasses.dataclass
class Shortage:
    """What one burst of all guests did to the host."""

    way: str
    round: int
    before_bytes: int           # behind all guests' RAM
    peak_bytes: int
    end_bytes: int
    full_s: float               # PSI of all guests
    swap_bytes: int
    kills: int
    passes: int                 # over all processes' memory
    device_rest_bytes: int | None   # one device's RSS
    device_peak_bytes: int | None


class Shortages:
    def __init__(self, lab, build, quick, rounds, say):
        self._lab, self._build, self._rounds, self._say = lab, build, rounds, say
        self._watch_s = QUICK_WATCH_S if quick else WATCH_S
        self.found = []

    def run(self):
        for number in range(self._rounds):
            for way, device in WAYS.items():
                self._say(f"several guests in need, round {number + 1} of {self._rounds}: {way}")
                self.found.append(self._measure(way, device, number))

    def of(self, way):
        return [each for each in self.found if each.way == way]

    def _measure(self, way, device, number):
        """In new guests, because what a balloon has taken once is backed no more."""
        with contextlib.ExitStack() as stack:
            nest = stack.enter_context(Nest())
            guests = [stack.enter_context(WatchedGuest(self._lab, Spec(
                f"need{i}", memory=GUEST_MIB, swap_disk=SWAP_MIB, device=device,
                driver="aerostat", kernel_args=KERNEL_ARGS,
                balloon={"deflate-on-oom": True, "free-page-reporting": True})))
                for i in range(GUESTS)]
            for guest in guests:
                guest.swap("on disk")
            one = stack.enter_context(daemon(
                self._build / "aerostatd/aerostatd", nest, [manager_path(g) for g in guests],
                f"[host]\nbudget = {BUDGET_MIB}M\n"))
            one.wait_until_rounds(one.wait_until_met(GUESTS)["rounds"] + SETTLE_ROUNDS)
            return self._burst(way, number, guests)

    def _burst(self, way, number, guests):
        rest = device_bytes(guests[0])
        start, seen = host_bytes(guests), []
        costs = [suffered(guest) for guest in guests]
        with contextlib.ExitStack() as stack:
            jobs = [stack.enter_context(Job(guest)) for guest in guests]
            peak, end_s = rest, time.monotonic() + self._watch_s
            while time.monotonic() < end_s:
                seen.append(host_bytes(guests))
                if rest:
                    peak = max(peak, device_bytes(guests[0]))
                time.sleep(LOOK_S)
        full_s, swap, kills = (
            sum(after - before for before, after in zip(befores, afters, strict=True))
            for befores, afters in zip(zip(*costs, strict=True),
                                       zip(*map(suffered, guests), strict=True), strict=True))
        return Shortage(way, number, start, max(seen), seen[-1], full_s, swap, kills,
                        sum(len(job.pass_ms) for job in jobs), rest, peak)


def manager_path(guest):
    return guest.device.control if guest.device else guest.managed_path


def host_bytes(guests):
    return sum(guest.ram_bytes() for guest in guests)


def device_bytes(guest):
    return status_number(guest.device.pid, "VmRSS") if guest.device else None
