# SPDX-License-Identifier: BSD-3-Clause
"""Measures how a guest shrinks and grows, with each driver on each machine.

Theory of operation
-------------------
A machine is a QEMU, a device, a kind of memory behind the guest, and arguments for
its kernel.  The machines of a group are up at the same time and are compared with
each other.  In each round, each machine in turn runs each of its drivers in turn:
all memory is made to look used (driver_used.py), then the balloon takes two thirds
of the guest and gives them back.  The order is reversed from round to round.

Used memory is that of a guest that has run for a while.  Fresh memory was never
touched, so the host does not back it yet; each measurement on fresh memory uses a
guest that has just booted.
"""

import contextlib
import dataclasses
import time

from .driver_guest import IN_TREE, MIB, OURS, WAYS, Move, ProbedGuest


@dataclasses.dataclass(frozen=True)
class Machine:
    name: str
    group: str
    spec: dict
    ways: tuple = WAYS
    huge: bool = True   # whether the host may use transparent huge pages

    @property
    def stock(self):
        """Whether it is the host's QEMU with its own device, the usual setup."""
        return not self.spec.get("device") and not self.spec.get("qemu")

    @property
    def our_device(self):
        return self.spec.get("device") == "aerostat"


HUGE, SMALL, UNZEROED, HUGETLB, FRESH = GROUPS = (
    "huge pages behind the guest", "pages of 4 KiB behind the guest",
    "the guest's kernel with init_on_alloc=0", "huge pages of hugetlbfs (2 MiB) behind the guest",
    "fresh memory, huge pages behind the guest")
NEWER, DEVICE = {"qemu": "newer"}, {"device": "aerostat", "qemu": "newer"}
NO_ZEROING = {"kernel_args": "init_on_alloc=0"}
BOTH = (IN_TREE, OURS)

MACHINES = (
    Machine("host's QEMU, anon THP", HUGE, {"backing": "anon"}),
    Machine("newer QEMU, anon THP", HUGE, {**NEWER, "backing": "anon"}),
    Machine("our device, shmem THP", HUGE, {**DEVICE, "backing": "shmem-thp"}),
    Machine("host's QEMU, anon 4 KiB", SMALL, {"backing": "anon"}, huge=False),
    Machine("host's QEMU, memfd 4 KiB", SMALL, {"backing": "memfd"}, BOTH, huge=False),
    Machine("our device, memfd 4 KiB", SMALL, {**DEVICE, "backing": "memfd"}, huge=False),
    Machine("host's QEMU, anon THP, unzeroed", UNZEROED, {"backing": "anon", **NO_ZEROING}),
    Machine("our device, shmem THP, unzeroed", UNZEROED,
            {**DEVICE, "backing": "shmem-thp", **NO_ZEROING}, BOTH),
    Machine("host's QEMU, hugetlb", HUGETLB, {"backing": "hugetlb"}, BOTH),
    Machine("our device, hugetlb", HUGETLB, {**DEVICE, "backing": "hugetlb"}, BOTH),
    Machine("host's QEMU, anon THP, fresh", FRESH, {"backing": "anon"}),
    Machine("our device, shmem THP, fresh", FRESH, {**DEVICE, "backing": "shmem-thp"}, BOTH),
)
QUICK_MACHINES = ("host's QEMU, anon THP", "our device, shmem THP", "host's QEMU, hugetlb",
                  "host's QEMU, anon THP, fresh")
ROUNDS = {HUGE: 3, SMALL: 2, UNZEROED: 2, HUGETLB: 1, FRESH: 2}


@dataclasses.dataclass
class Size:
    """Sizes in MiB: the whole guest, and what it is left with."""

    full: int
    small: int

    @property
    def taken(self):
        return self.full - self.small


SIZE, QUICK_SIZE = Size(3072, 1024), Size(768, 384)
# Guests on hugetlbfs are smaller, because not every machine has enough huge pages to spare.
HUGETLB_SIZE, QUICK_HUGETLB_SIZE = Size(1024, 512), Size(512, 256)


@dataclasses.dataclass
class Change:
    machine: str
    way: str
    round: int
    taken_bytes: int
    inflate: Move
    deflate: Move
    freed_bytes: int        # by which the host memory of the guest's process shrank
    blocks_before: int      # free whole blocks of 2 MiB in the guest
    blocks_after: int


class Changes:
    def __init__(self, lab, options, say):
        self._lab, self._say, self._quick = lab, say, options.quick
        self._asked_rounds = options.rounds
        self.machines = [machine for machine in MACHINES
                         if not options.quick or machine.name in QUICK_MACHINES]
        self.changes = []

    def groups(self):
        return [group for group in GROUPS if any(each.group == group for each in self.machines)]

    def of_group(self, group):
        return [machine for machine in self.machines if machine.group == group]

    def of(self, machine, way):
        found = [change for change in self.changes
                 if (change.machine, change.way) == (machine.name, way.name)]
        return sorted(found, key=lambda change: change.round)

    def group_of(self, change):
        return next(each.group for each in self.machines if each.name == change.machine)

    def size(self, group):
        if group == HUGETLB:
            return QUICK_HUGETLB_SIZE if self._quick else HUGETLB_SIZE
        return QUICK_SIZE if self._quick else SIZE

    def rounds(self, group):
        return self._asked_rounds or (1 if self._quick else ROUNDS[group])

    def run(self, group):
        """Runs all rounds of a group, or none if one of its machines is not available."""
        machines = self.of_group(group)
        with contextlib.ExitStack() as stack:
            guests = {} if group == FRESH else self._boot(stack, machines)
            for number in range(self.rounds(group)):
                start = time.monotonic()
                pairs = [(machine, way) for machine in machines for way in machine.ways]
                for machine, way in pairs if number % 2 == 0 else reversed(pairs):
                    self.changes.append(
                        self._fresh(machine, way, number) if group == FRESH else
                        self._used(guests[machine.name], machine, way, number))
                self._say(f"{group}: round {number + 1} of {self.rounds(group)}: "
                          f"{time.monotonic() - start:.0f} s")
            for guest in guests.values():
                guest.check_kernel_log()

    def _boot(self, stack, machines):
        self._say(f"booting for {machines[0].group}")
        return {machine.name: stack.enter_context(self._guest(machine)) for machine in machines}

    def _guest(self, machine, **more):
        return ProbedGuest(self._lab, f"change{MACHINES.index(machine)}", huge=machine.huge,
                           memory=self.size(machine.group).full, **machine.spec, **more)

    def _used(self, guest, machine, way, number):
        with guest.using(way):
            guest.use_all()
            return self._change(guest, machine, way, number)

    def _fresh(self, machine, way, number):
        features = {"free-page-reporting": True} if way.reporting else {}
        with self._guest(machine, balloon=features) as guest, guest.using(way):
            change = self._change(guest, machine, way, number)
            guest.check_kernel_log()
            return change

    def _change(self, guest, machine, way, number):
        size = self.size(machine.group)
        blocks, bytes_ = guest.free_blocks(), guest.host_bytes()
        inflate = guest.move(size.small)
        freed = bytes_ - guest.host_bytes()
        deflate = guest.move(size.full)
        return Change(machine.name, way.name, number, size.taken * MIB, inflate, deflate, freed,
                      blocks, guest.free_blocks())
