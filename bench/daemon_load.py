# SPDX-License-Identifier: BSD-3-Clause
"""Measures what aerostatd costs by its number of guests, and the effect of stuck guests.

Theory of operation
-------------------
fake-guests is one process behind any number of monitors; its CPU time is listed separately.
The budget is smaller than the guests' memory, so that the daemon has something to do once
they have been calm for long enough.  At first nothing sends requests to the daemon: its CPU
time and the lateness of its rounds are from this time.  Then a client requests the status of
one guest 50 times per second: an answer takes as long as the loop is busy with other work.
"""

import dataclasses
import statistics
import time

from lab.nest import Nest

from .daemon_process import daemon, fake_guests, running, status_number
from .driver_costs import percentile
from .process import process_cpu_s

CASES = ((10, 0), (100, 0), (100, 10), (1000, 0))      # guests, of these stuck
QUICK_CASES = ((10, 0), (100, 0), (100, 10))
GUEST_MIB, BUDGET_SHARE = 4096, 0.6
CALM_ROUNDS, QUICK_CALM_ROUNDS = 35, 3      # no memory is taken in the first half minute
WATCH_S, QUICK_WATCH_S = 10, 4
ASK_EVERY_S = 0.02


@dataclasses.dataclass
class Load:
    """The measurements of one daemon with a number of guests."""

    round: int
    guests: int
    stuck: int
    seconds: float          # without requests
    rounds: int             # within this time
    cpu_s: float
    fakes_cpu_s: float      # of the process that serves its guests
    late_max_us: int        # of the worst round since it started
    rss_bytes: int          # of the daemon and its guardian
    threads: int
    targets_set: int
    step_us: list           # while requests were sent
    answer_s: list


class Loads:
    def __init__(self, build, quick, rounds, say):
        self._aerostatd = build / "aerostatd/aerostatd"
        self._fakes = build / "tests/fakes/fake-guests"
        self._quick, self._rounds, self._say = quick, rounds, say
        self.cases = QUICK_CASES if quick else CASES
        self.found = []

    def run(self):
        for number in range(self._rounds):
            for guests, stuck in self.cases if number % 2 == 0 else reversed(self.cases):
                self._say(f"load, round {number + 1} of {self._rounds}: {guests} guests"
                          + (f", {stuck} of them stuck" if stuck else ""))
                self.found.append(self._measure(number, guests, stuck))

    def of(self, guests, stuck=0):
        found = [load for load in self.found if (load.guests, load.stuck) == (guests, stuck)]
        return sorted(found, key=lambda load: load.round)

    def _measure(self, number, guests, stuck):
        config = f"[host]\nbudget = {round(guests * GUEST_MIB * BUDGET_SHARE)}M\n"
        with Nest() as nest, \
                fake_guests(self._fakes, nest, guests, f"--max={GUEST_MIB}M",
                            f"--stuck={stuck}") as fakes, \
                daemon(self._aerostatd, nest, [fakes.glob], config) as one:
            met = one.wait_until_met(guests - stuck)
            one.wait_until_rounds(
                met["rounds"] + (QUICK_CALM_ROUNDS if self._quick else CALM_ROUNDS))
            alone = self._leave_alone(nest, one)
            step_us, answer_s = self._ask(one, f"guest-{guests - 1:04}")
            return Load(number, guests, stuck, *alone, step_us, answer_s)

    def _leave_alone(self, nest, one):
        ours, theirs = running(nest, self._aerostatd), running(nest, self._fakes)
        before = one.status()
        start, cpu_s, fakes_cpu_s = time.monotonic(), sum_cpu_s(ours), sum_cpu_s(theirs)
        time.sleep(QUICK_WATCH_S if self._quick else WATCH_S)
        seconds = time.monotonic() - start
        cpu_s, fakes_cpu_s = sum_cpu_s(ours) - cpu_s, sum_cpu_s(theirs) - fakes_cpu_s
        after = one.status()
        return (seconds, after["rounds"] - before["rounds"], cpu_s, fakes_cpu_s,
                after["late_max_us"], sum(status_number(pid, "VmRSS") for pid in ours),
                status_number(one.pid, "Threads"),
                sum(guest["times_set"] for guest in after["guests"]))

    def _ask(self, one, name):
        """Returns the times of policy steps and of answers."""
        step_us, answer_s = [], []
        end = time.monotonic() + (QUICK_WATCH_S if self._quick else WATCH_S)
        next_status_s = 0
        while time.monotonic() < end:
            start = time.monotonic()
            if start >= next_status_s:      # once per round
                step_us.append(one.status()["step_us"])
                next_status_s = start + 1
                continue
            one.api.read(f"/v1/guests/{name}")
            answer_s.append(time.monotonic() - start)
            time.sleep(ASK_EVERY_S)
        return step_us, answer_s


def sum_cpu_s(pids):
    return sum(map(process_cpu_s, pids))


# Figures of one load

def cpu_ms_s(load):
    return 1000 * load.cpu_s / load.seconds


def fakes_cpu_ms_s(load):
    return 1000 * load.fakes_cpu_s / load.seconds


def median_step_us(load):
    return statistics.median(load.step_us)


def answer_ms(load, percent):
    return 1000 * percentile(load.answer_s, percent)
