# SPDX-License-Identifier: BSD-3-Clause
"""The part “command”: changing a guest's memory by hand, with aerostat and with virsh."""

import concurrent.futures
import contextlib
import dataclasses
import math
import os
import pathlib
import tempfile
import time

from lab import SessionLibvirt

from . import machine, report
from .costs import Costs
from .machine import not_measured
from .rounds import KERNEL_ARGS, MAX_MIB, Rounds
from .ways import Aerostat, VirshLoop

ROUNDS, QUICK_ROUNDS = 5, 1
COST_ROUNDS, QUICK_COST_ROUNDS = 12, 3
BUDGET_S = 280      # all rounds end by then, unless --rounds is given


class ByHand:
    def __init__(self, lab, build, options, say):
        self.lab = lab
        self.binary = str(pathlib.Path(build).resolve() / "aerostat/aerostat")
        self.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
        self.cost_rounds = QUICK_COST_ROUNDS if options.quick else COST_ROUNDS
        self.budget_s = math.inf if options.rounds else BUDGET_S
        self.say = say

    def run(self):
        """Measures everything while five guests are up."""
        until_s = time.monotonic() + self.budget_s
        self.facts = machine.facts(self.lab)
        with contextlib.ExitStack() as stack:
            runtime = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            config = pathlib.Path(runtime, "aerostat.conf")     # not the user's own
            config.touch()
            libvirt = stack.enter_context(SessionLibvirt())
            env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "XDG_RUNTIME_DIR": runtime,
                   "AEROSTAT_CONFIG": str(config), "LIBVIRT_DEFAULT_URI": libvirt.uri}
            self.say("booting five guests")
            domain, second, memfd, anon, unzeroed = self.boot(stack, [
                self.guest("domain", via="libvirt", libvirt=libvirt),
                self.guest("second", via="libvirt", libvirt=libvirt, memory=256),
                self.guest("memfd"),
                self.guest("anon", backing="anon"),
                self.guest("unzeroed", kernel_args=f"{KERNEL_ARGS} init_on_alloc=0")])
            self.make_ways(domain, memfd, anon, unzeroed)
            self.costs = Costs(self.binary, [domain, second], [memfd, anon], env)
            self.costs.warm_up()
            self.cycles = Rounds(self.pairs, libvirt, env, self.say)
            self.cycles.run(self.rounds, until_s)
            self.say("measuring commands that do not wait")
            self.costs.run(self.cost_rounds)
            self.facts["load after"] = machine.load()
            self.facts["rounds"] = str(len(self.cycles.of(self.ours)))

    def guest(self, name, **spec):
        return self.lab.guest(name, **{"memory": MAX_MIB, "kernel_args": KERNEL_ARGS, **spec})

    def boot(self, stack, guests):
        """Boots two guests at a time, because each needs a core."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(guest.__enter__) for guest in guests]:
                stack.push(future.result().__exit__)
        return guests

    def make_ways(self, domain, memfd, anon, unzeroed):
        self.ours = Aerostat("aerostat libvirt", "aerostat setmem, a libvirt guest", domain,
                             self.binary)
        self.theirs = [
            VirshLoop("virsh dommemstat", "virsh setmem, then dommemstat in a shell loop",
                      domain, 'virsh dommemstat "$1"', "^actual "),
            VirshLoop("virsh domstats", "virsh setmem, then domstats --balloon in a loop",
                      domain, 'virsh domstats --balloon "$1"', ".*balloon.current=")]
        over_qmp = [
            Aerostat("aerostat QMP", "aerostat setmem, a plain QEMU guest", memfd, self.binary),
            Aerostat("QMP, anonymous RAM", "the same, but its RAM is not a memfd", anon,
                     self.binary),
            Aerostat("QMP, init_on_alloc=0", "the same, but its kernel does not zero memory",
                     unzeroed, self.binary, idle=False)]
        self.ways = [self.ours, *self.theirs, *over_qmp]
        self.pairs = list(zip([self.ours, *self.theirs], over_qmp, strict=True))

    def print_text(self):
        report.print_facts("Changing a guest's memory by hand, measured", self.facts,
                           "The ways, in turn in each round",
                           [(way.name, way.what) for way in self.ways])
        report.shrink(self.cycles, self.ways)
        report.told(self.cycles, self.ways)
        report.against(self.cycles, self.ours, self.theirs)
        report.host_bytes(self.cycles, self.ways)
        report.heartbeat(self.cycles, self.ways)
        report.waiting(self.cycles, self.ways)
        report.costs(self.costs.runs)
        report.print_limits(not_measured(self.lab.accel))

    def data(self):
        """Returns every single measurement, without medians."""
        runs = {name: [{"wall_s": run.wall_s, "cpu_s": run.cpu_s, "rss_bytes": run.rss_bytes}
                       for run in runs] for name, runs in self.costs.runs.items()}
        return {"machine": self.facts, "commands": runs,
                "cycles": [dataclasses.asdict(cycle) for cycle in self.cycles.cycles]}
