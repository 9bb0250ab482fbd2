# SPDX-License-Identifier: BSD-3-Clause
"""Guests whose balloon is measured, with a probe inside and with drivers that take turns.

Theory of operation
-------------------
The probe (driver_probe.c) is copied into the guest over its scratch disk, which nothing
else uses here.  A Way is a driver and its parameters.  Some ways need a device that
offers free page reporting.  For these, the balloon is unplugged and plugged in again,
because the in-tree driver cannot be kept from using a device's free page reporting: it
would return all used memory by itself.
"""

import contextlib
import dataclasses
import hashlib
import re
import sys
import time

from lab import LabError, qmp, wait_for
from lab.guest import Spec
from lab.qemu_guest import QemuGuest
from lab.tools import call, tool
from lab.wait import HANG_S

from . import driver_used
from .end_to_end import Cpu, cpu
from .rounds import KERNEL_ARGS

MIB = 1 << 20
SOURCE = __file__.replace("driver_guest.py", "driver_probe.c")
POLL_S, POLL_SHARE = 0.001, 0.01    # the size is polled every ms, later every 1 % of the time
# Runs a command without transparent huge pages: PR_SET_THP_DISABLE persists across an exec.
NO_HUGE_PAGES = ("import ctypes, os, sys; assert not ctypes.CDLL(None).prctl(41, 1, 0, 0, 0); "
                 "os.execvp(sys.argv[1], sys.argv[1:])")
BOUND = "ls -d /sys/bus/virtio/drivers/virtio_balloon/virtio*"


@dataclasses.dataclass(frozen=True)
class Way:
    name: str
    what: str
    driver: str
    params: str = ""
    reporting: bool = False     # whether the device must offer free page reporting


IN_TREE = Way("in-tree", "the kernel's own driver", "stock")
OURS = Way("aerostat", "ours, over the inflate queue, which any device has", "aerostat",
           "reporting=0")
MODE_C = Way("mode C", "ours with release=reporting: whole blocks over the reporting queue",
             "aerostat", "reporting=0 release=reporting", reporting=True)
WAYS = (IN_TREE, OURS, MODE_C)


@dataclasses.dataclass
class Move:
    """One change of the guest's size."""

    wall_s: float
    cpu: Cpu


def probe_program(lab):
    """Returns the path of the probe, a static program, compiling it unless it exists."""
    with open(SOURCE, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:16]
    path = lab.cache.parent / "bench" / f"driver-probe-{digest}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".new")
        call([tool("gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-static", "-O3",
              "-fno-tree-loop-distribute-patterns", "-Wall", "-Wextra", "-o", scratch, SOURCE])
        scratch.rename(path)
    return path


class ProbedGuest(QemuGuest):
    """A guest that boots without a driver."""

    def __init__(self, lab, name, *, huge=True, icount=False, **spec):
        """huge: whether the host may use huge pages; icount: count 1 ns of guest time per
        instruction.
        """
        kernel_args = f"{KERNEL_ARGS} {spec.pop('kernel_args', '')}".rstrip()
        spec.setdefault("balloon", {})
        super().__init__(lab, Spec(name, driver=None, kernel_args=kernel_args, **spec))
        self.spec.balloon = dict(self.spec.balloon)     # use() writes to it
        self._huge, self._icount = huge, icount
        self._pending = None    # what the device had not released yet at the last poll

    def _build(self):
        super()._build()
        self._program = probe_program(self.lab).read_bytes()
        with open(self.nest.path / "scratch", "r+b") as disk:
            disk.write(self._program)

    def _boot(self, deadline):
        super()._boot(deadline)
        self.order(f"dd if=/dev/vda of=/tmp/probe bs=4096 count={-(-len(self._program) // 4096)}"
                   " && chmod +x /tmp/probe")

    def command(self):
        words = super().command() + (["-icount", "shift=0"] if self._icount else [])
        return words if self._huge else [sys.executable, "-IS", "-c", NO_HUGE_PAGES, *words]

    def order(self, command, timeout=HANG_S):
        """Runs a command that must succeed in the guest; returns its output."""
        done = self.run(command, timeout)
        if done.status:
            raise LabError(f"{self.name}: {command} failed: {done.output.strip()}")
        return done.output

    # Drivers

    @contextlib.contextmanager
    def using(self, way):
        """Uses this driver in the guest until the end of the `with` statement."""
        if self.spec.balloon.get("free-page-reporting", False) != way.reporting:
            self.unplug()
            self.spec.balloon["free-page-reporting"] = way.reporting
            self.plug()
        self.load_driver(way.driver, way.params)
        wait_for(lambda: self.run(BOUND).status == 0, f"{self.name}'s driver to begin")
        yield
        self.unload_driver()

    # Memory

    def use_all(self):
        """Makes all memory look as if it had been used, and be free in large blocks."""
        driver_used.use_all(self)
        self.compact()

    def compact(self):
        """Gives all measurements the same start: no free memory is fragmented or set aside."""
        self.order("echo 1 > /proc/sys/vm/compact_memory")

    def free_blocks(self):
        """Returns the number of free whole blocks of 2 MiB."""
        orders = [line.split()[-2:] for line in self.order("cat /proc/buddyinfo").splitlines()]
        return sum(int(nine) + 2 * int(ten) for nine, ten in orders)

    def resize(self, mib):
        """Changes the guest's size; returns the time until guest and host have their memory."""
        path = self.device.control if self.device else self.qmp_path
        self._pending = None
        with qmp.session(path, "change the balloon") as monitor:
            start = time.monotonic()
            monitor.execute("balloon", value=mib * MIB)
            while not self._settled(monitor, mib * MIB):
                past = time.monotonic() - start
                if past > HANG_S:
                    raise LabError(f"{self.name} did not reach {mib} MiB in {HANG_S} s")
                time.sleep(max(POLL_S, POLL_SHARE * past))
            return time.monotonic() - start

    def _settled(self, monitor, target):
        if monitor.execute("query-balloon")["actual"] != target:
            return False
        if not self.device:
            return True
        before, self._pending = self._pending, monitor.execute("x-query-balloon")["pending"]
        # Parts of huge pages of hugetlbfs are never released: wait until the number is constant.
        return self._pending == 0 or self.spec.backing == "hugetlb" and self._pending == before

    def move(self, mib):
        """Changes the guest's size; returns a Move with the CPU time, too."""
        before = cpu(self)
        wall_s = self.resize(mib)
        return Move(wall_s, cpu(self) - before)

    # The probe

    @contextlib.contextmanager
    def probed(self, what):
        """Runs a probe during the block; the list that it yields has (ms, sample) at the end."""
        process = self.order(f"/tmp/probe {what} > /tmp/samples 2>&1 & echo $!").strip()
        samples = []
        yield samples
        text = self.order(f"kill {process}; while kill -0 {process} 2>/dev/null; do sleep 0.02;"
                          " done; cat /tmp/samples")
        numbers = [int(number) for number in re.findall(r"^\d+$", text, re.M)]
        at_ms = numbers[0]
        for number in numbers[1:]:
            samples.append((at_ms, number))
            at_ms += 10 if what == "bandwidth" else number / 1000

    def kernel_work(self):
        """Returns {pid: ns} of each kernel thread's run time; with icount, its instructions."""
        return {int(pid): int(ns) for pid, ns in
                map(str.split, self.order("/tmp/probe work").splitlines())}
