# SPDX-License-Identifier: BSD-3-Clause
"""The part “driver”: our guest driver compared with the kernel's own."""

import dataclasses

from lab import LabError

from . import driver_costs, driver_report, machine
from .driver_change import Changes


class Driver:
    def __init__(self, lab, build, options, say):
        self.lab, self.say = lab, say
        self.quick = options.quick
        self.rounds = options.rounds
        self.changes = Changes(lab, options, say)
        self.counts = []        # of instructions
        self.ages = []          # of statistics
        self.disturbances = []
        self.skipped = []       # (what, why)

    def run(self):
        self.lab.prepare([self.lab.kernel()[0].series])
        self.facts = {**machine.facts(self.lab), "huge pages": machine.huge_pages()}
        for group in self.changes.groups():
            self.try_to(group, lambda: self.changes.run(group))
        self.try_to("instructions", self.count)
        self.try_to("statistics", self.watch)
        self.try_to("work disturbed", self.disturb)
        self.try_to("the newer QEMU's version", self.name_newer_qemu)
        self.facts["load after"] = machine.load()

    def try_to(self, what, work):
        """Runs a part; if this machine cannot do it, the report lists it as skipped."""
        try:
            work()
        except LabError as error:
            self.say(f"skipped: {what}: {error}")
            self.skipped.append((what, str(error)))

    def count(self):
        self.counts = driver_costs.count_instructions(self.lab, self.say, self.quick)

    def watch(self):
        self.ages = driver_costs.watch_statistics(self.lab, self.say, self.quick)

    def disturb(self):
        self.disturbances = driver_costs.disturb(self.lab, self.say, self.quick, self.rounds)

    def name_newer_qemu(self):
        self.facts["newer QEMU"] = machine.version([self.lab.newer_qemu, "--version"])

    def print_text(self):
        driver_report.print_all(self)

    def data(self):
        """Returns every single measurement, without medians."""
        return {"machine": self.facts,
                "changes": [{**dataclasses.asdict(change), "group": self.changes.group_of(change)}
                            for change in self.changes.changes],
                "instructions": [dataclasses.asdict(count) for count in self.counts],
                "statistics": [dataclasses.asdict(age) for age in self.ages],
                "disturbances": [dataclasses.asdict(each) for each in self.disturbances],
                "skipped": self.skipped}
