# SPDX-License-Identifier: BSD-3-Clause
"""Prints the measurements of the part “relief”."""

from .machine import no_kvm
from .relief_budget import BUDGET_MIB, GUEST_MIB, GUESTS
from .relief_budget import WAYS as GATES
from .relief_hogs import HOG_MIB, SMALL_MIB, WAYS, WHOLE_MIB
from .report import print_facts, print_limits
from .table import NONE, show, spread

MIB = 1 << 20


def print_all(part):
    print_facts("Measurements of guests that suddenly need memory", part.facts, "The ways",
                [(way.name, way.what) for way in WAYS])
    for swap in part.hogs.swaps:
        for rate in part.hogs.rates:
            print_hogs(part.hogs, rate, swap)
    print_shortages(part.shortages)
    if part.skipped:
        show("Skipped", ["", "reason"], [[what, why.splitlines()[0]] for what, why in part.skipped])
    print_limits(no_kvm(part.lab.accel))


def print_hogs(hogs, rate, swap):
    rows = [hog_row(way.name, hogs.of(way, rate, swap)) for way in WAYS]
    rows = [row for row in rows if row]
    if rows:
        pace = f"{rate} MiB/s" if rate else "full speed"
        show(f"{HOG_MIB} MiB at {pace}, {'with' if swap else 'without'} swap, in a guest of"
             f" {WHOLE_MIB} MiB that was shrunk to {SMALL_MIB} MiB",
             ["", "killed", "s until it has them", "PSI some, s", "PSI full, s", "swapped, MiB",
              "taken back, MiB"], rows)


def hog_row(name, found):
    """Times are those of the turns in which nothing was killed."""
    alive = [hog for hog in found if not hog.kills]
    return found and [name, f"{len(found) - len(alive)} of {len(found)}",
                      spread([hog.wall_s for hog in alive]),
                      spread([hog.some_s for hog in found]),
                      spread([hog.full_s for hog in found]),
                      spread([hog.swapped_bytes for hog in found], 1 / MIB, 0),
                      spread([hog.taken_back_bytes for hog in found], 1 / MIB, 0)]


def print_shortages(shortages):
    rows = [shortage_row(way, shortages.of(way)) for way in GATES]
    rows = [row for row in rows if row]
    if rows:
        show(f"{GUESTS} guests of {GUEST_MIB} MiB that need more than a budget of {BUDGET_MIB} MiB,"
             " all at once",
             ["", "beyond it, MiB", "at the end", "killed", "PSI full, s", "swapped, MiB",
              "device, MiB", "most"], rows,
             "“Beyond” is the most that the host had behind all guests' RAM, less the budget."
             "  “Device” is the resident memory of aerostat-device at rest and at most.")


def shortage_row(way, found):
    def device(pick):
        sizes = [pick(each) for each in found if pick(each)]
        return spread(sizes, 1 / MIB, 1) if sizes else NONE

    return found and [way, spread([each.peak_bytes - BUDGET_MIB * MIB for each in found],
                                  1 / MIB, 0),
                      spread([each.end_bytes - BUDGET_MIB * MIB for each in found], 1 / MIB, 0),
                      str(sum(each.kills for each in found)),
                      spread([each.full_s for each in found], 1, 1),
                      spread([each.swap_bytes for each in found], 1 / MIB, 0),
                      device(lambda each: each.device_rest_bytes),
                      device(lambda each: each.device_peak_bytes)]
