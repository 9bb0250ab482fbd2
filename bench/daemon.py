# SPDX-License-Identifier: BSD-3-Clause
"""The part “daemon”: what aerostatd costs, and how soon a guest gets the memory it needs."""

import dataclasses
import pathlib

from lab import LabError

from . import daemon_report, machine
from .daemon_burst import Bursts
from .daemon_load import Loads

ROUNDS, QUICK_ROUNDS = 2, 1


class Daemon:
    def __init__(self, lab, build, options, say):
        self.lab, self.say = lab, say
        build = pathlib.Path(build).resolve()
        rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
        self.rounds = rounds
        self.loads = Loads(build, options.quick, rounds, say)
        self.bursts = Bursts(lab, build, options.quick, rounds, say)
        self.skipped = []       # (what, why)

    def run(self):
        self.facts = {**machine.facts(self.lab), "rounds": str(self.rounds)}
        self.try_to("many guests", self.loads.run)
        self.try_to("burst to relief", self.bursts.run)
        self.facts["load after"] = machine.load()

    def try_to(self, what, work):
        """Runs a part; if this machine cannot do it, the report lists it as skipped."""
        try:
            work()
        except LabError as error:
            self.say(f"skipped: {what}: {error}")
            self.skipped.append((what, str(error)))

    def print_text(self):
        daemon_report.print_all(self)

    def data(self):
        """Returns every single measurement, without medians."""
        return {"machine": self.facts,
                "loads": [dataclasses.asdict(load) for load in self.loads.found],
                "bursts": [dataclasses.asdict(burst) for burst in self.bursts.found],
                "skipped": self.skipped}
