# SPDX-License-Identifier: BSD-3-Clause
"""Measures how soon a guest with a sudden need has the memory for it, for several policies.

Theory of operation
-------------------
Two guests are up all the time.  In each round each policy runs in its own aerostatd, in an
order that changes from round to round, and starts with the guests at the same sizes.  Then
one guest takes memory and passes over it again and again, as a job would, and its size is
read every 50 ms.  Relief is the moment when it has what it needs: what it used before, by its
own statistics, plus what the burst adds.  Stalls, swapping and kills are counted over a time
that is the same for all policies.

    room      a third guest, whose size the daemon only counts, ends at the burst: its memory is
              free and only has to be given.  (This guest is a fake: it only has a size.)
    no swap   the same, but the guests have no disk to swap to: memory that arrives too late
              means a killed process.
    taken     all memory is given out: it has to be taken from the other guest, which is idle.

A guest has two monitors, because the daemon keeps one of them open.
"""

import contextlib
import dataclasses
import threading
import time

from lab import GuestError, LabError, qmp, wait_for
from lab.guest import Spec
from lab.nest import Nest
from lab.qemu_guest import QemuGuest

from .daemon_process import daemon, fake_guests
from .rounds import KERNEL_ARGS

MIB = 1 << 20
PAGE_BYTES = 4096
POLICIES = ("aerostat", "proxmox", "static")
GUEST_MIB, SWAP_MIB, BURST_MIB = 512, 512, 300
WATCH_S, QUICK_WATCH_S = 25, 12
LOOK_S = 0.05
LEFT = "guest-0000"     # the guest that ends


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    what: str
    budget_mib: int
    start_mib: int      # of each of the two
    rounds: int         # of the daemon before the burst
    left_mib: int = 0   # of the guest that ends
    swap: bool = True


ROOM = Case("room", "a guest of 512 MiB has just ended", 1024, 256, 4, 512)
NO_SWAP = Case("no swap", "the same, and guests cannot swap", 1024, 256, 4, 512, swap=False)
TAKEN = Case("taken", "all memory is given out, the other guest is idle", 600, 300, 35)


@dataclasses.dataclass
class Burst:
    """The result of one policy in one round."""

    case: str
    policy: str
    round: int
    need_bytes: int
    relief_s: float | None      # None: no relief within the time observed
    most_bytes: int             # the largest size that it had
    stalled_s: float            # PSI full
    swap_bytes: int             # in and out
    kills: int
    passes: int                 # over the job's memory, including the first one
    slowest_ms: int | None      # the slowest of these passes
    gap_ms: float               # the longest gap in the guest's heartbeat


class WatchedGuest(QemuGuest):
    """A guest with a second monitor, for the daemon."""

    @property
    def managed_path(self):
        return self.nest.path / "managed.qmp"

    def command(self):
        return [*super().command(), "-qmp", f"unix:{self.managed_path},server=on,wait=off"]

    def settle(self, mib, swap):
        """Returns to the initial state: this size, nothing cached, nothing swapped."""
        self.release_all()
        self.qmp("balloon", value=mib * MIB)
        wait_for(lambda: self.actual() == mib * MIB, f"{self.name} to have {mib} MiB")
        with contextlib.suppress(GuestError):   # swap is off
            self.swap("off disk")
        if swap:
            self.swap("on disk")
        self.run("echo 3 > /proc/sys/vm/drop_caches")


class Job(threading.Thread):
    """Takes memory in a guest and passes over it until it is stopped or killed."""

    def __init__(self, guest):
        super().__init__(daemon=True)
        self._guest = guest
        self._stopping = threading.Event()
        self.pass_ms = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self.join()

    def run(self):
        with contextlib.suppress(LabError):     # a timeout or a dead guest is noticed elsewhere
            done = self._guest.hold("burst", BURST_MIB)
            while done.alive:
                self.pass_ms.append(done.ms)
                if self._stopping.is_set():
                    break
                done = self._guest.touch("burst")


class Bursts:
    def __init__(self, lab, build, quick, rounds, say):
        self._lab, self._say = lab, say
        self._aerostatd = build / "aerostatd/aerostatd"
        self._fakes = build / "tests/fakes/fake-guests"
        self._rounds = rounds
        self.watch_s = QUICK_WATCH_S if quick else WATCH_S
        self.cases = (ROOM,) if quick else (ROOM, NO_SWAP, TAKEN)
        self.found = []

    def run(self):
        self._say("booting two guests")
        with self._guest("busy") as busy, self._guest("idle") as idle:
            for number in range(self._rounds):
                for case in self.cases:
                    for policy in turned(POLICIES, number):
                        self._say(f"burst, round {number + 1} of {self._rounds}:"
                                  f" {case.name}, {policy}")
                        self.found.append(self._measure(case, policy, number, busy, idle))

    def of(self, case, policy):
        found = [burst for burst in self.found if (burst.case, burst.policy) == (case, policy)]
        return sorted(found, key=lambda burst: burst.round)

    def _guest(self, name):
        return WatchedGuest(self._lab, Spec(name, memory=GUEST_MIB, swap_disk=SWAP_MIB,
                                            kernel_args=KERNEL_ARGS))

    def _measure(self, case, policy, number, busy, idle):
        for guest in (busy, idle):
            guest.settle(case.start_mib, case.swap)
        config = (f"[host]\npolicy = {policy}\nbudget = {case.budget_mib}M\n"
                  f"[guest {LEFT}]\nmode = off\n")
        with Nest() as nest, contextlib.ExitStack() as stack:
            paths, fakes = [busy.managed_path, idle.managed_path], None
            if case.left_mib:
                fakes = stack.enter_context(
                    fake_guests(self._fakes, nest, 1, f"--max={case.left_mib}M"))
                paths.append(fakes.glob)
            one = stack.enter_context(daemon(self._aerostatd, nest, paths, config))
            met = one.wait_until_met(len(paths))
            one.wait_until_rounds(met["rounds"] + case.rounds)
            return self._burst(case, policy, number, busy, fakes)

    def _burst(self, case, policy, number, guest, fakes):
        need = used_bytes(guest) + BURST_MIB * MIB
        before = suffered(guest)
        guest.heartbeat.mark()
        start_s = time.monotonic()
        with Job(guest) as job:
            if fakes:
                fakes.order(f"vanish {LEFT}")
            relief_s, most = watch(guest, need, start_s, start_s + self.watch_s)
            gap_ms = guest.heartbeat.longest_gap_ms
            stalled_s, swap, kills = (b - a for a, b in zip(before, suffered(guest), strict=True))
            pass_ms = list(job.pass_ms)
        return Burst(case.name, policy, number, need, relief_s, most, stalled_s, swap, kills,
                     len(pass_ms), max(pass_ms, default=None), gap_ms)


def turned(names, number):
    at = number % len(names)
    return names[at:] + names[:at]


def used_bytes(guest):
    return guest.actual() - guest.meminfo()["MemAvailable"]


def suffered(guest):
    """Returns seconds stalled, bytes swapped and processes killed since the guest's boot."""
    vmstat = guest.vmstat()
    return (guest.psi()["full"]["total"] / 1e6,
            PAGE_BYTES * (vmstat["pswpin"] + vmstat["pswpout"]), vmstat["oom_kill"])


def watch(guest, need, start_s, end_s):
    """Returns after how many seconds the guest had what it needs, and its largest size."""
    relief_s, most = None, 0
    with qmp.session(guest.qmp_path, "watch the balloon") as monitor:
        while (now := time.monotonic()) < end_s:
            actual = monitor.execute("query-balloon")["actual"]
            most = max(most, actual)
            if relief_s is None and actual >= need:
                relief_s = now - start_s
            time.sleep(LOOK_S)
    return relief_s, most
