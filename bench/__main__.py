# SPDX-License-Identifier: BSD-3-Clause
"""Runs all figures: python3 -m bench [--build DIR] [--quick] [--json] [--rounds N]."""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import math
import os
import pathlib
import sys
import tempfile
import time

from lab import Lab, LabError, SessionLibvirt

from . import machine, report
from .costs import Costs
from .rounds import MAX_MIB, Rounds
from .ways import Aerostat, VirshLoop

ROUNDS, QUICK_ROUNDS = 5, 1
COST_ROUNDS, QUICK_COST_ROUNDS = 12, 3
BUDGET_S = 280      # all rounds end by then, unless their number was asked for
# Or a tenth of the guest's memory waits untouched in per-CPU lists after each growth (README.md).
KERNEL_ARGS = "sysctl.vm.percpu_pagelist_high_fraction=1000"


class Bench:
    def __init__(self, build, rounds, cost_rounds, budget_s):
        self.lab = Lab(build)
        self.binary = str(pathlib.Path(build).resolve() / "cli/aerostat")
        self.rounds, self.cost_rounds = rounds, cost_rounds
        self.started = time.monotonic()
        self.until_s = self.started + budget_s

    def say(self, text):
        print(f"{time.monotonic() - self.started:4.0f}s  {text}", file=sys.stderr, flush=True)

    def run(self):
        """Measures everything while five guests are up."""
        self.facts = machine.facts(self.lab)
        with contextlib.ExitStack() as stack:
            runtime = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            config = pathlib.Path(runtime, "aerostat.conf")     # nobody's own
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
            self.cycles.run(self.rounds, self.until_s)
            self.say("commands that do not wait")
            self.costs.run(self.cost_rounds)
            self.facts["load after"] = machine.load()
            self.facts["rounds"] = str(len(self.cycles.of(self.ours)))
            self.say("done")

    def guest(self, name, **spec):
        return self.lab.guest(name, **{"memory": MAX_MIB, "kernel_args": KERNEL_ARGS, **spec})

    def boot(self, stack, guests):
        """Two at a time, each taking a core of its own."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(guest.__enter__) for guest in guests]:
                stack.push(future.result().__exit__)
        return guests

    def make_ways(self, domain, memfd, anon, unzeroed):
        self.ours = Aerostat("aerostat libvirt", "aerostat setmem, a guest of libvirt", domain,
                             self.binary)
        self.theirs = [
            VirshLoop("virsh dommemstat", "virsh setmem, then dommemstat in a shell's loop",
                      domain, 'virsh dommemstat "$1"', "^actual "),
            VirshLoop("virsh domstats", "virsh setmem, then domstats --balloon in a loop",
                      domain, 'virsh domstats --balloon "$1"', ".*balloon.current=")]
        over_qmp = [
            Aerostat("aerostat QMP", "aerostat setmem, a guest of plain QEMU", memfd, self.binary),
            Aerostat("QMP, anonymous RAM", "another, whose RAM is no memfd", anon, self.binary),
            Aerostat("QMP, init_on_alloc=0", "another, whose kernel zeroes no page it allocates",
                     unzeroed, self.binary, idle=False)]
        self.ways = [self.ours, *self.theirs, *over_qmp]
        self.pairs = list(zip([self.ours, *self.theirs], over_qmp, strict=True))

    def print_text(self):
        report.print_facts(self.facts, self.ways)
        report.shrink(self.cycles, self.ways)
        report.told(self.cycles, self.ways)
        report.against(self.cycles, self.ours, self.theirs)
        report.host_bytes(self.cycles, self.ways)
        report.heartbeat(self.cycles, self.ways)
        report.waiting(self.cycles, self.ways)
        report.costs(self.costs.runs)
        report.print_limits(self.lab.accel)

    def print_json(self):
        """Every single measurement; whoever reads it can take medians as well."""
        runs = {name: [{"wall_s": run.wall_s, "cpu_s": run.cpu_s, "rss_bytes": run.rss_bytes}
                       for run in runs] for name, runs in self.costs.runs.items()}
        json.dump({"machine": self.facts, "commands": runs,
                   "cycles": [dataclasses.asdict(cycle) for cycle in self.cycles.cycles]},
                  sys.stdout, indent=2, ensure_ascii=False)
        print()


def main():
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=(
        "The figures of changing a guest's memory by hand, on real guests: aerostat beside virsh, "
        "in turn.  See bench/README.md."))
    parser.add_argument("--build", default="build", metavar="DIR", help="the build folder (build)")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how often ({ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="one round: does it all work?")
    parser.add_argument("--json", action="store_true", help="every measurement, as JSON")
    options = parser.parse_args()
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    bench = Bench(options.build, rounds, QUICK_COST_ROUNDS if options.quick else COST_ROUNDS,
                  math.inf if options.rounds else BUDGET_S)
    bench.run()
    if options.json:
        bench.print_json()
    else:
        bench.print_text()


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        sys.exit("\n".join([f"error: {error}", *getattr(error, "__notes__", [])]))
    except KeyboardInterrupt:
        sys.exit(130)
