# SPDX-License-Identifier: BSD-3-Clause
"""Compares guests whose balloon is served by QEMU itself and by our own process.

Theory of operation
-------------------
In each round each contender in turn takes half of the memory of a guest that has just
touched most of it, and gives it back.  The CPU time of every process involved is read
from the process's own clock: QEMU, and the device if it is a process.  The guest's own
work is the user time of QEMU's vCPU thread, which the kernel reports with a resolution
of 10 ms; the rest is the host's part.  (Only user time counts as the guest's because
QEMU before 8.2 without KVM also does its device's work in that thread, and releasing
memory is system time.)  A shrink ends when the guest has its size and the host has its
memory back.
"""

import contextlib
import dataclasses
import os
import time

from lab import LabError, qmp, wait_for
from lab.wait import HANG_S

from .process import process_cpu_s
from .rounds import KERNEL_ARGS

MIB = 1 << 20
POLL_S = 0.1        # each poll costs CPU time of the process under measurement
TOUCH_SHARE = 0.83  # of RAM: about all that one process in the guest can have


@dataclasses.dataclass
class Contender:
    name: str
    what: str
    spec: dict


CONTENDERS = [
    Contender("aerostat", "aerostat-device over vfio-user, newer QEMU, memfd",
              {"device": "aerostat", "qemu": "newer", "backing": "memfd"}),
    Contender("newer QEMU, memfd", "its own virtio-balloon", {"qemu": "newer", "backing": "memfd"}),
    Contender("newer QEMU, anon", "the same, private memory", {"qemu": "newer", "backing": "anon"}),
    Contender("host's QEMU, memfd", "its own virtio-balloon", {"backing": "memfd"}),
    Contender("host's QEMU, anon", "the same, private memory", {"backing": "anon"}),
]
OURS = CONTENDERS[0].name


@dataclasses.dataclass
class Cpu:
    total_s: float
    guest_s: float      # the guest's own work
    device_s: float     # of our own process

    @property
    def host_s(self):
        return self.total_s - self.guest_s

    def __sub__(self, other):
        return Cpu(self.total_s - other.total_s, self.guest_s - other.guest_s,
                   self.device_s - other.device_s)


@dataclasses.dataclass
class Change:
    contender: str
    round: int
    shrink: Cpu
    grow: Cpu
    rest: Cpu           # of an equally long time at rest, before
    shrink_s: float
    grow_s: float
    back_bytes: int
    calls: int | None   # that our device made to release the memory


class EndToEnd:
    """The guests of all contenders, which are up at the same time."""

    def __init__(self, lab, quick, say):
        self._lab, self._say = lab, say
        self.contenders = CONTENDERS[:2] if quick else CONTENDERS
        self.memory_mib, self.shrink_mib = (512, 256) if quick else (1024, 512)
        self.changes = []
        self.versions = {}

    def run(self, rounds):
        with contextlib.ExitStack() as stack:
            self._say(f"booting {len(self.contenders)} guests")
            guests = [(each, stack.enter_context(self._guest(each))) for each in self.contenders]
            for number in range(rounds):
                start = time.monotonic()
                for each, guest in guests if number % 2 == 0 else reversed(guests):
                    self.changes.append(self._change(each, guest, number))
                self._say(f"end to end, round {number + 1} of {rounds}: "
                          f"{time.monotonic() - start:.0f} s")

    def of(self, contender):
        found = [change for change in self.changes if change.contender == contender.name]
        return sorted(found, key=lambda change: change.round)

    def _guest(self, contender):
        number = self.contenders.index(contender)
        return self._lab.guest(f"end{number}", memory=self.memory_mib, kernel_args=KERNEL_ARGS,
                               **contender.spec)

    def _change(self, contender, guest, number):
        self._touch(guest)
        size, small = self.memory_mib * MIB, (self.memory_mib - self.shrink_mib) * MIB
        before_bytes = guest.host_bytes()
        rest = self._rest(guest)
        calls = release_calls(guest)
        at, start = cpu(guest), time.monotonic()
        self._resize(guest, small)
        if guest.device:
            wait_for(lambda: pending_bytes(guest) == 0, f"{guest.name}'s device")
        shrink, shrink_s = cpu(guest) - at, time.monotonic() - start
        back_bytes = before_bytes - guest.host_bytes()
        calls = None if calls is None else release_calls(guest) - calls
        at, start = cpu(guest), time.monotonic()
        self._resize(guest, size)
        return Change(contender.name, number, shrink, cpu(guest) - at, rest, shrink_s,
                      time.monotonic() - start, back_bytes, calls)

    def _touch(self, guest):
        guest.hold("bench", round(self.memory_mib * TOUCH_SHARE))
        guest.release("bench")

    @staticmethod
    def _rest(guest):
        """Returns the CPU time of one second without requests."""
        at = cpu(guest)
        time.sleep(1)
        return cpu(guest) - at

    @staticmethod
    def _resize(guest, target):
        path = guest.device.control if guest.device else guest.qmp_path
        with qmp.session(path, "change the balloon") as monitor:
            monitor.execute("balloon", value=target)
            end = time.monotonic() + HANG_S
            while monitor.execute("query-balloon")["actual"] != target:
                if time.monotonic() > end:
                    raise LabError(f"{guest.name} did not reach its size in {HANG_S} s")
                time.sleep(POLL_S)


def pending_bytes(guest):
    return guest.device_qmp("x-query-balloon")["pending"]


def release_calls(guest):
    return guest.device_qmp("x-query-counters")["release-calls"] if guest.device else None


def cpu(guest):
    device_s = process_cpu_s(guest.device_pid) if guest.device else 0.0
    # The guests here have one CPU, which is one thread.
    thread = guest.qmp("query-cpus-fast")[0]["thread-id"]
    return Cpu(process_cpu_s(guest.pid) + device_s, user_s(guest.pid, thread), device_s)


def user_s(pid, thread):
    with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[11]) / os.sysconf("SC_CLK_TCK")
