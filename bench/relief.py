# SPDX-License-Identifier: BSD-3-Clause
"""The part “relief”: what guests that suddenly need memory can do by themselves."""

import dataclasses
import pathlib

from lab import LabError

from . import machine, relief_report
from .relief_budget import Shortages
from .relief_hogs import Hogs

ROUNDS, QUICK_ROUNDS = 3, 1


class Relief:
    def __init__(self, lab, build, options, say):
        self.lab, self.say = lab, say
        rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
        self.hogs = Hogs(lab, options.quick, rounds, say)
        self.shortages = Shortages(lab, pathlib.Path(build).resolve(), options.quick, rounds, say)
        self.skipped = []       # (what, why)

    def run(self):
        self.lab.prepare([self.lab.kernel()[0].series])
        self.facts = machine.facts(self.lab)
        self.try_to("one guest in need", self.hogs.run)
        self.try_to("several guests in need", self.shortages.run)
        self.facts["load after"] = machine.load()

    def try_to(self, what, work):
        """Runs a part; if this machine cannot do it, the report lists it as skipped."""
        try:
            work()
        except LabError as error:
            self.say(f"skipped: {what}: {error}")
            self.skipped.append((what, str(error)))

    def print_text(self):
        relief_report.print_all(self)

    def data(self):
        """Returns every single measurement, without medians."""
        return {"machine": self.facts,
                "hogs": [dataclasses.asdict(hog) for hog in self.hogs.found],
                "shortages": [dataclasses.asdict(each) for each in self.shortages.found],
                "skipped": self.skipped}
