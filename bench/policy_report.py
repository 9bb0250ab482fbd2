# SPDX-License-Identifier: BSD-3-Clause
"""Prints the measurements of the part “policy”."""

import dataclasses
import statistics

from .device_report import at_least, at_most
from .driver_costs import percentile
from .report import print_facts, print_limits
from .table import NONE, show, spread

POLICIES = {
    "aerostat": "ours",
    "static": "what people do by hand: every guest keeps the same share",
    "proxmox": "Proxmox VE's: keeps 80 % of the host used, by shares, 100 MiB every 10 s",
    "mom": "oVirt's MOM: all guests give when the host is short, and get when it is not",
    "qmemman": "Qubes OS's: 1.3 times what each guest uses, the rest in proportion",
    "squeezed": "Xen's: all guests get the same share of the range from minimum to maximum",
    "maximum": "no ballooning: the host has what the guests report as free",
    "tmo": "Meta's TMO: no ballooning, and guests always give up a little page cache",
    "clairvoyant": "knows the future of all loads; plans sizes only, so it is no bound",
}
OURS, RIVAL, CLAIRVOYANT = "aerostat", "proxmox", "clairvoyant"
STEP_AIM_MS, STEP_AIM_GUESTS = 1, 1000


@dataclasses.dataclass(frozen=True)
class Figure:
    """A result of aerostat simulate."""

    key: str
    title: str
    digits: int = 0
    more_is_better: bool = False


KILLS = Figure("oom_kills", "processes killed in guests")
STALLED = Figure("psi_full_s", "stalled, PSI full, s", 1)
FIGURES = (
    KILLS,
    Figure("guests_lost", "guests killed by the host"),
    STALLED,
    Figure("relief_p50_s", "burst to relief, p50, s", 1),
    Figure("relief_p99_s", "burst to relief, p99, s", 1),
    Figure("unrelieved_percent", "bursts never relieved, %", 1),
    Figure("swap_gib", "swapped by guests, GiB", 1),
    Figure("host_min_mib", "least available on the host, MiB", more_is_better=True),
    Figure("spare_percent", "spare, % of all guests' RAM", 1, more_is_better=True),
    Figure("returned_gib_h", "returned, GiB·h", 2, more_is_better=True),
    Figure("operations", "targets set"),
    Figure("unfair_percent", "fairness error, %", 2),
)


def online(simulated):
    """Returns the names of the policies that do not know the future."""
    return [row["policy"] for row in simulated["policies"] if row["policy"] != CLAIRVOYANT]


def by_name(simulated):
    return {row["policy"]: row for row in simulated["policies"]}


def print_all(part):
    print_facts("Comparison of policies", part.facts, "The policies",
                [(name, POLICIES.get(name, "")) for name in by_name(part.simulated)])
    compared(part.simulated)
    by_shape(part.simulated, "2a", KILLS)
    by_shape(part.simulated, "2b", STALLED)
    steps(part.steps)
    aims(part)
    print_limits(["Real kernels: simulator/ describes how far a simulated guest resembles one.",
                  "The work of the guests' drivers for a step's targets, and the rest of the"
                  " daemon's work."])


def text(figure, row):
    value = row[figure.key]
    return NONE if value is None else f"{value:.{figure.digits}f}"


def compared(simulated):
    policies = by_name(simulated)
    rows = [[figure.title, *(text(figure, row) for row in policies.values())]
            for figure in FIGURES]
    show(f"1. {simulated['traces']} traces of {simulated['seconds']} s,"
         f" {simulated['guests']} guests each", ["", *policies], rows,
         "“Spare” is what is not resident, “returned” what is in the balloons.  A burst that is"
         " never relieved counts in p50 and p99 with its whole length.  “Targets set” counts"
         " targets that differ by at least 1 MiB from the previous one.")


def by_shape(simulated, number, figure):
    policies = by_name(simulated)
    shapes = next(iter(policies.values()))["shapes"]
    rows = [[shape, *(text(figure, row["shapes"][shape]) for row in policies.values())]
            for shape in shapes]
    show(f"{number}. By shape of the trace: {figure.title}", ["", *policies], rows)


# The time of a step

def of(found, policy, guests):
    return [steps.step_us for steps in found if (steps.policy, steps.guests) == (policy, guests)]


def medians(found, policy, guests):
    return [statistics.median(step_us) for step_us in of(found, policy, guests)]


def p99(found, policy, guests):
    return [percentile(step_us, 99) for step_us in of(found, policy, guests)]


def steps(found):
    sizes = sorted({each.guests for each in found})
    names = list(dict.fromkeys(each.policy for each in found))
    rows = []
    for name in names:
        row = [name]
        for guests in sizes:
            row += [spread(medians(found, name, guests), digits=1),
                    f"{statistics.median(p99(found, name, guests)):.0f}"]
        rows.append([*row, *(grown(found, name, a, b) for a, b in zip(sizes, sizes[1:]))])
    columns = [word for guests in sizes for word in (f"{guests:,} guests", "p99")]
    show("3. One step, µs of CPU time", ["", *columns,
                                         *(f"{a:,} → {b:,}" for a, b in zip(sizes, sizes[1:]))],
         rows, "The guests are on simulated hosts of all shapes.  The last columns show how many"
         " times as long a step takes with ten times as many guests.  A policy that does nothing"
         " in most steps has a small median; its p99 is the time of a step that does something.")


def grown(found, name, few, many):
    return "× " + spread((b / a for a, b in zip(medians(found, name, few),
                                                medians(found, name, many), strict=True)),
                         digits=1)


# The aims

def aims(part):
    policies = by_name(part.simulated)
    rows = [*no_worse_than_any(policies, KILLS), *no_worse_than_any(policies, STALLED),
            *no_worse_than_rival(policies), *step_aims(part.steps)]
    show("Aims", ["", "aim", "measured", ""],
         [[what, aim, value, "met" if met else "MISSED"] for what, aim, value, met in rows])


def no_worse_than_any(policies, figure):
    others = [row for name, row in policies.items() if name not in (OURS, CLAIRVOYANT)]
    least = min(others, key=lambda row: row[figure.key])
    what, _, value, met = at_most(f"{figure.title}: lowest of all except clairvoyant",
                                  policies[OURS][figure.key], least[figure.key], figure.digits)
    yield what, f"≤ {text(figure, least)}", value, met


def no_worse_than_rival(policies):
    ours, theirs = policies[OURS], policies[RIVAL]
    for figure in FIGURES:
        aim = at_least if figure.more_is_better else at_most
        what, _, value, met = aim(f"no worse than Proxmox: {figure.title}", ours[figure.key],
                                  theirs[figure.key], figure.digits)
        sign = "≥" if figure.more_is_better else "≤"
        yield what, f"{sign} {text(figure, theirs)}", value, met


def step_aims(found):
    for what, pick in (("median", medians), ("p99", p99)):
        value_ms = statistics.median(pick(found, OURS, STEP_AIM_GUESTS)) / 1000
        yield at_most(f"a step at {STEP_AIM_GUESTS:,} guests, {what}", value_ms, STEP_AIM_MS, 2,
                      " ms")
