# SPDX-License-Identifier: BSD-3-Clause
"""Prints the measurements of the part “daemon”."""

import statistics

from .daemon_burst import BURST_MIB, GUEST_MIB, MIB, POLICIES
from .daemon_load import answer_ms, cpu_ms_s, fakes_cpu_ms_s, median_step_us
from .device_report import at_most
from .machine import no_kvm
from .policy_report import OURS, RIVAL, STEP_AIM_GUESTS, STEP_AIM_MS
from .report import print_facts, print_limits
from .table import ratio, show, spread


def print_all(part):
    print_facts("Measurements of the daemon", part.facts, "Bursts: the situations",
                [(case.name, case.what) for case in part.bursts.cases])
    if part.loads.found:
        costs(part.loads)
        delays(part.loads)
    for number, case in enumerate(part.bursts.cases, 3):
        burst(number, part.bursts, case)
    aims(part)
    if part.skipped:
        show("Skipped", ["", "reason"], [[what, why.splitlines()[0]] for what, why in part.skipped])
    print_limits([*no_kvm(part.lab.accel),
                  "Many libvirt guests: the guests here are reached through their monitors.",
                  "The cost of reading each guest's /proc: all fake guests are one process."])


# Many guests

def cells(loads):
    """Yields (name, measurements) of each case that was measured."""
    for guests, stuck in loads.cases:
        found = loads.of(guests, stuck)
        if found:
            yield f"{guests:,} guests" + (f", {stuck} stuck" if stuck else ""), found


def column(found, pick, scale=1.0, digits=1):
    return spread(map(pick, found), scale, digits)


def costs(loads):
    rows = [[name, column(found, cpu_ms_s),
             column(found, lambda load: 1000 * load.cpu_s / max(1, load.rounds)
                    / load.guests),
             column(found, lambda load: load.rss_bytes, 1 / MIB),
             column(found, lambda load: load.threads, digits=0),
             column(found, fakes_cpu_ms_s),
             column(found, lambda load: load.targets_set, digits=0)]
            for name, found in cells(loads)]
    show("1. Cost of the daemon", ["", "CPU ms/s", "per round and guest", "RSS MiB", "threads",
                                   "guests' CPU ms/s", "targets set"], rows,
         "These are the costs of the daemon and its guardian while no client sends requests.  The"
         " guests are fakes in one process, whose CPU time is not part of the daemon's.")


def delays(loads):
    rows = [[name, column(found, lambda load: load.late_max_us, 1 / 1000),
             column(found, median_step_us, digits=0),
             column(found, lambda load: max(load.step_us), digits=0),
             *(column(found, lambda load, p=percent: answer_ms(load, p), digits=1)
               for percent in (50, 99, 100))]
            for name, found in cells(loads)]
    show("2. Delays of the daemon", ["", "round's start, worst ms", "policy step µs", "worst",
                                     "answer, p50 ms", "p99", "worst"], rows,
         "Rounds: the worst one since the daemon started, when it found all guests at once."
         "  Answers: the status of one guest, requested 50 times per second over one connection.  "
         + stuck_words(loads))


def stuck_words(loads):
    for guests, stuck in loads.cases:
        with_them, without = loads.of(guests, stuck), loads.of(guests)
        if stuck and len(with_them) == len(without) > 0:
            late = ratio([load.late_max_us for load in with_them],
                         [load.late_max_us for load in without])
            answers = ratio([answer_ms(load, 100) for load in with_them],
                            [answer_ms(load, 100) for load in without])
            return (f"With {stuck} of {guests} guests stuck, rounds started × {late} as late, and"
                    f" the worst answer took × {answers} as long.")
    return ""


# Burst to relief

def burst(number, bursts, case):
    rows = []
    for policy in POLICIES:
        found = bursts.of(case.name, policy)
        if found:
            rows.append([policy, relieved(found), spread((b.relief_s for b in found), digits=2),
                         spread((b.most_bytes for b in found), 1 / MIB, 0),
                         spread((b.stalled_s for b in found), digits=2),
                         spread((b.swap_bytes for b in found), 1 / MIB, 0),
                         str(sum(b.kills for b in found)),
                         spread((b.passes for b in found), digits=0),
                         spread((b.slowest_ms for b in found), digits=0)])
    if not rows:
        return
    need = statistics.median(b.need_bytes for b in bursts.found if b.case == case.name) / MIB
    show(f"{number}. Burst to relief, “{case.name}”: {case.what}",
         ["", "relieved", "relief s", "had, MiB", "stalled s", "swapped MiB", "kills", "passes",
          "slowest ms"], rows,
         f"A guest of {case.start_mib} MiB (at most {GUEST_MIB}) suddenly needs {need:.0f}: a job"
         f" takes {BURST_MIB} MiB and passes over them for {bursts.watch_s} s.  The budget of all"
         f" guests is {case.budget_mib} MiB.  Relief is when the host sees that the guest has what"
         " it needs; the median covers only rounds with relief in this time.  “Stalled” is the"
         " guest's PSI “full”.")


def relieved(found):
    return f"{sum(b.relief_s is not None for b in found)} of {len(found)}"


# The aims

def aims(part):
    rows = [*step_aims(part.loads), *(row for case in part.bursts.cases
                                      for row in burst_aims(part.bursts, case))]
    if rows:
        show("Aims", ["", "aim", "measured", ""],
             [[what, aim, value, "met" if met else "MISSED"] for what, aim, value, met in rows])


def step_aims(loads):
    found = loads.of(STEP_AIM_GUESTS)
    if found:
        value_ms = statistics.median(map(median_step_us, found)) / 1000
        yield at_most(f"a step at {STEP_AIM_GUESTS:,} guests", value_ms, STEP_AIM_MS, 2, " ms")


def burst_aims(bursts, case):
    ours, theirs = bursts.of(case.name, OURS), bursts.of(case.name, RIVAL)
    if not ours or len(ours) != len(theirs):
        return
    ours_s, theirs_s = median_relief_s(ours), median_relief_s(theirs)
    yield (f"{case.name}: relief no later than Proxmox's",
           f"≤ {seconds(theirs_s, bursts.watch_s)}", seconds(ours_s, bursts.watch_s),
           ours_s is not None and (theirs_s is None or ours_s <= theirs_s))
    for what, pick, digits in (("kills", lambda b: b.kills, 0),
                               ("stalled s", lambda b: b.stalled_s, 2),
                               ("swapped MiB", lambda b: b.swap_bytes / MIB, 0)):
        least = statistics.median(map(pick, theirs))
        what, _, value, met = at_most(f"{case.name}: no more than Proxmox's: {what}",
                                      statistics.median(map(pick, ours)), least, digits)
        yield what, f"≤ {least:.{digits}f}", value, met


def median_relief_s(found):
    """Returns None if the median is beyond the time observed."""
    late = float("inf")
    median = statistics.median_high(late if b.relief_s is None else b.relief_s for b in found)
    return None if median == late else median


def seconds(value, watched_s):
    return f"not in {watched_s} s" if value is None else f"{value:.1f} s"
