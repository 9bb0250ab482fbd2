# SPDX-License-Identifier: BSD-3-Clause
"""Prints the measurements of the part “driver”."""

import statistics

from .device_report import at_least, at_most
from .driver_change import FRESH, HUGETLB
from .driver_costs import IDLE_S, PROBES, STUCK_MIB, percentile
from .driver_guest import IN_TREE, MIB, MODE_C, OURS, WAYS
from .machine import no_kvm
from .report import print_facts, print_limits
from .table import NONE, show, spread

FASTER_AIM, OUR_DEVICE_AIM, MODE_C_AIM, DEFLATE_AIM, AGE_AIM = 4, 20, 40, 2, 2


def print_all(part):
    print_facts("Measurements of the guest driver", part.facts, "The drivers",
                [(way.name, way.what) for way in WAYS])
    for number, group in enumerate(part.changes.groups(), 1):
        changed(f"{number}", part.changes, group)
    instructions(part.counts)
    ages(part.ages)
    disturbed(part.disturbances)
    aims(part)
    if part.skipped:
        show("Skipped", ["", "reason"], [[what, why.splitlines()[0]] for what, why in part.skipped])
    print_limits([*no_kvm(part.lab.accel), "Guests with more than one NUMA node."])


# Sizes changed

def wall(changes, move):
    return [getattr(change, move).wall_s for change in changes]


def all_cpu(changes, move):
    return [getattr(change, move).cpu.total_s for change in changes]


def faster(these, those, pick, move):
    """Returns `those` ÷ `these` for each round; [] if they are not of the same rounds."""
    if not those or [c.round for c in these] != [c.round for c in those]:
        return []
    return [b / a for a, b in zip(pick(these, move), pick(those, move), strict=True)]


def cells(changes, group):
    """Yields (machine, way, changes) of everything that was measured."""
    for machine in changes.of_group(group):
        for way in machine.ways:
            found = changes.of(machine, way)
            if found:
                yield machine, way, found


def baseline(changes, group):
    """Returns the changes of the in-tree driver on the host's QEMU, the usual setup."""
    machine = next((each for each in changes.of_group(group) if each.stock), None)
    return machine and changes.of(machine, IN_TREE)


def changed(number, changes, group):
    size = changes.size(group)
    title = f"{group}: {size.full} → {size.small} MiB and back"
    times, costs = [], []
    for machine, way, found in cells(changes, group):
        name = f"{machine.name}: {way.name}"
        times.append([name, *timed(changes, group, machine, found)])
        costs.append([name, *cost(found)])
    if times:
        show(f"{number}a. Time, {title}",
             ["", "inflate s", "deflate s", "in-tree ÷ it", "deflate", "by CPU", "deflate",
              "host's QEMU in-tree ÷ it", "by CPU"], times,
             "“In-tree ÷ it” is how many times as long the in-tree driver takes on the same"
             " machine; in the last columns, to inflate on the host's QEMU.  “By CPU” is the same"
             " ratio of the CPU time of all processes, which other work on this machine disturbs"
             " less.")
        show(f"{number}b. Cost, {title}",
             ["", "guest s", "device s", "deflate: guest s", "device s", "MiB freed",
              "blocks before → after"], costs,
             "CPU time: the guest's is the user time of its vCPU thread, with a resolution of"
             " 10 ms; the device's is the rest of QEMU's and that of our device's process, if it"
             " serves the balloon.  Blocks are free blocks of 2 MiB in the guest.  The balloon took"
             f" {size.taken} MiB.")


def timed(changes, group, machine, found):
    in_tree = changes.of(machine, IN_TREE)
    yield from (spread(wall(found, move), 1, 3) for move in ("inflate", "deflate"))
    for pick in (wall, all_cpu):
        for move in ("inflate", "deflate"):
            yield NONE if found == in_tree else spread(faster(found, in_tree, pick, move), 1, 1)
    stock = baseline(changes, group)
    for pick in (wall, all_cpu):
        yield NONE if found == stock else spread(faster(found, stock or [], pick, "inflate"), 1, 1)


def cost(found):
    for move in ("inflate", "deflate"):
        for part in ("guest_s", "host_s"):
            yield spread((getattr(getattr(change, move).cpu, part) for change in found), 1, 2)
    yield spread((round(change.freed_bytes / MIB) for change in found), digits=0)
    before, after = (round(statistics.median(getattr(change, name) for change in found))
                     for name in ("blocks_before", "blocks_after"))
    yield f"{before} → {after}"


# Costs to the guest

def instructions(counts):
    rows = [[f"{count.kernel_args}: {count.way}", f"{count.inflate:.0f}", f"{count.deflate:.0f}"]
            for count in counts]
    if rows:
        show("Instructions of the guest's kernel threads per page (-icount, host's QEMU, anon)",
             ["", "inflate", "deflate"], rows)


def ages(found):
    rows = [[f"host's QEMU, anon, {STUCK_MIB} MiB: {age.way}", f"{age.worst_periods:.2f}",
             str(age.updates), f"{age.short_bytes / MIB:.0f}"] for age in found]
    if rows:
        show("Statistics while the balloon cannot reach its target (period 1 s)",
             ["", "worst age, periods", "updates", "MiB short of target"], rows,
             "This includes the time in which the balloon still approaches its target.")


def disturbed(found):
    for probe, title, columns, note in zip(PROBES, (
            "Copying memory during inflation, as a share of the rate at rest (windows of 10 ms)",
            "Sleeps of 1 ms during inflation (how long they take, ms)"), (
            ["", "rest MiB/s", "rest p1", "p1", "p50", "windows", "lost s per round"],
            ["", "rest p50", "p99", "worst", "inflating p50", "p99", "worst", "sleeps"]), (
            "“p1” is the worst 1 %.  “Lost” is how long the process would have needed at rest for"
            f" what it did not copy.  Each round starts with {IDLE_S} s at rest.",
            "Even at rest a sleep of 1 ms ends late, because of timers and of other work on the"
            " machine."),
            strict=True):
        rows = [[each.name, *(copied if probe == "bandwidth" else slept)(each)]
                for each in found if each.probe == probe and each.idle and each.inflating]
        if rows:
            show(title, columns, rows, note)


def copied(each):
    at_rest = statistics.mean(each.idle)
    yield f"{at_rest * 100 / 1024:.0f}"
    yield f"{percentile(each.idle, 1) / at_rest:.2f}"
    for percent in (1, 50):
        yield f"{percentile(each.inflating, percent) / at_rest:.2f}"
    yield str(len(each.inflating))
    yield f"{sum(1 - sample / at_rest for sample in each.inflating) * 0.01 / each.rounds:.2f}"


def slept(each):
    for samples in (each.idle, each.inflating):
        for percent in (50, 99, 100):
            yield f"{percentile(samples, percent) / 1000:.1f}"
    yield str(len(each.inflating))


# The aims

def aims(part):
    rows = []
    for group in part.changes.groups():
        for machine, way, found in cells(part.changes, group):
            rows += change_aims(part.changes, group, machine, way, found)
    rows += [at_most(f"age of statistics, stuck: {age.way}", age.worst_periods, AGE_AIM, 2,
                     " periods") for age in part.ages if age.way == OURS.name]
    if rows:
        show("Aims", ["", "aim", "measured", ""],
             [[what, aim, value, "met" if met else "MISSED"] for what, aim, value, met in rows],
             "Ratios of times are medians over the rounds.")


def change_aims(changes, group, machine, way, found):
    """Yields the aims that apply to one way on one machine."""
    if way == IN_TREE:
        return
    name = f"{machine.name}: {way.name}"
    if group not in (HUGETLB, FRESH):
        yield from inflation_aims(changes, group, machine, way, found)
        yield from faster_aim(f"{name}: deflates faster", found, changes.of(machine, IN_TREE),
                              "deflate", DEFLATE_AIM)
    if group == FRESH:
        return  # a guest that has just booted still takes memory for its kernel
    if group == HUGETLB:
        share = statistics.median(change.freed_bytes / change.taken_bytes for change in found)
        yield at_least(f"{name}: share of the taken memory that was freed", share, 0.99, 3)
    more = statistics.median(change.blocks_after - change.blocks_before for change in found)
    yield at_least(f"{name}: blocks of 2 MiB more than before", more, 0, 0)


def inflation_aims(changes, group, machine, way, found):
    name = f"{machine.name}: {way.name}"
    aim = MODE_C_AIM if way == MODE_C else OUR_DEVICE_AIM if machine.our_device else FASTER_AIM
    rival = changes.of(machine, IN_TREE)
    if machine.our_device:
        rival = baseline(changes, group) or []
        name += ", compared with in-tree on the host's QEMU"
    yield from faster_aim(f"{name}: inflates faster", found, rival, "inflate", aim)


def faster_aim(what, found, rival, move, aim):
    """Yields an aim for the ratio of times, with the ratio of CPU times in brackets."""
    gains = faster(found, rival, wall, move)
    if gains:
        by_cpu = statistics.median(faster(found, rival, all_cpu, move))
        what, wanted, value, met = at_least(what, statistics.median(gains), aim, unit=" ×")
        yield what, wanted, f"{value} ({by_cpu:.1f} by CPU)", met
