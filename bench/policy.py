# SPDX-License-Identifier: BSD-3-Clause
"""The part “policy”: compares our policy with others on simulated hosts, and times its steps.

Theory of operation
-------------------
The simulator is seeded, so its results are the same on every machine and need no rounds.
policy_step.c measures the time of a step, in rounds that each have their own seed and in
which all policies and sizes take turns.
"""

import dataclasses
import json
import pathlib
import subprocess

from lab import LabError

from . import machine, policy_report

TRACES, QUICK_TRACES = 200, 10
ROUNDS = 5
SECONDS, QUICK_SECONDS = 240, 60    # of simulated time, with one step per second
SIZES = (10, 100, 1000)             # guests on one host
LIMIT_S = 1800


@dataclasses.dataclass
class Steps:
    """The times of all steps of one policy on one host."""

    policy: str
    guests: int
    seed: int
    step_us: list


class Policy:
    def __init__(self, _lab, build, options, say):
        self.build = pathlib.Path(build).resolve()
        self.say = say
        self.quick = options.quick
        self.traces = QUICK_TRACES if options.quick else TRACES
        self.rounds = options.rounds or (1 if options.quick else ROUNDS)
        self.steps = []

    def run(self):
        self.facts = {"processor": machine.processor(), "load before": machine.load(),
                      "traces": f"{self.traces}, seeds 1 to {self.traces}, all shapes in turn",
                      "rounds": f"{self.rounds}, of the time of a step"}
        self.say(f"simulating {self.traces} traces")
        self.simulated = call([self.build / "aerostat/aerostat", "simulate", "--json",
                                f"--traces={self.traces}"])
        for number in range(1, self.rounds + 1):
            self.say(f"timing steps, round {number} of {self.rounds}")
            self.time_steps(number)
        self.facts["load after"] = machine.load()

    def time_steps(self, seed):
        seconds = QUICK_SECONDS if self.quick else SECONDS
        names = policy_report.online(self.simulated)
        for guests in SIZES:
            for name in names if seed % 2 else reversed(names):
                line = call([self.build / "bench/policy-step", name, guests, seconds, seed])
                self.steps.append(Steps(**line))

    def print_text(self):
        policy_report.print_all(self)

    def data(self):
        """Returns every single measurement, without medians."""
        return {"machine": self.facts, "simulated": self.simulated,
                "steps": [dataclasses.asdict(steps) for steps in self.steps]}


def call(argv):
    """Runs a program that must succeed; returns the JSON that it prints."""
    argv = [str(word) for word in argv]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except FileNotFoundError:
        raise LabError(f"{argv[0]} does not exist: build it (“make build”)") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{argv[0]} did not end within {LIMIT_S} s") from None
    if done.returncode:
        raise LabError(f"{' '.join(argv)} exited with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)
