# SPDX-License-Identifier: BSD-3-Clause
"""Prints the measurements of the part “command”, and what all parts have in common."""

import textwrap

from .rounds import HALF_MIB, MAX_MIB, TOUCH_MIB
from .table import WIDTH, ratio, show, spread
from .ways import MIB

TAKEN_BYTES = (MAX_MIB - HALF_MIB) * MIB


def print_facts(title, facts, subtitle, words):
    print(f"{title}\n")
    print_words(facts.items())
    print(f"\n{subtitle}\n")
    print_words(words)
    print("\nFigures are medians, followed by (lowest–highest).")


def print_words(pairs):
    for word, text in pairs:
        print(f"  {word:22}{text}")


class Columns:
    """Makes table rows, one per way, with one figure per column."""

    def __init__(self, rounds, ways):
        self._rounds = rounds
        self._ways = ways

    def rows(self, *columns):
        """Returns the rows; a column is (what to pick from a cycle, scale, digits)."""
        return [[way.name, *(spread(map(pick, self._rounds.of(way)), scale, digits)
                             for pick, scale, digits in columns)] for way in self._ways]


def ms(pick):
    return pick, 1000, 0


def lateness(change):
    """Returns the time from the last page to the command's return; None if it was not seen."""
    return change.last_back_s and change.returned_s - change.last_back_s


def shrink(rounds, ways):
    blind_ms = max(c.shrink.blind_s for c in rounds.cycles) * 1000
    show(f"1. Shrinking {MAX_MIB} → {HALF_MIB} MiB, {TOUCH_MIB} MiB touched"
         " (ms from the command's start)",
         ["", "first page back", "last page back", "command returned", "… after last page"],
         Columns(rounds, ways).rows(ms(lambda c: c.shrink.first_back_s),
                                    ms(lambda c: c.shrink.last_back_s),
                                    ms(lambda c: c.shrink.returned_s),
                                    ms(lambda c: lateness(c.shrink))),
         "“Back” is what the host sees: the blocks of the guest's memfd, counted every millisecond;"
         f" the longest time between two counts was {blind_ms:.0f} ms.")


def told(rounds, ways):
    show("2. The same, and growing again, as the commands report it (ms)",
         ["", "shrink: first", "shrink: target", "grow: first", "grow: target", "grow: returned"],
         Columns(rounds, ways).rows(ms(lambda c: c.shrink.told_first_s),
                                    ms(lambda c: c.shrink.told_target_s),
                                    ms(lambda c: c.grow.told_first_s),
                                    ms(lambda c: c.grow.told_target_s),
                                    ms(lambda c: c.grow.returned_s)),
         "aerostat's times start at its request, and end at the first answer that shows a change"
         " and at the target.  The loops' times, and “returned”, start with the command.")


def against(rounds, ours, theirs):
    def each(pick, way):
        return [pick(cycle) for cycle in rounds.of(way)]

    picks = [("shrink: first page back", lambda c: c.shrink.first_back_s),
             ("shrink: last page back", lambda c: c.shrink.last_back_s),
             ("shrink: returned", lambda c: c.shrink.returned_s),
             ("grow: returned", lambda c: c.grow.returned_s),
             ("shrink: CPU time", lambda c: c.shrink.cpu_s),
             ("shrink: CPU time, with libvirtd's",
              lambda c: c.shrink.cpu_s + c.shrink.libvirtd_cpu_s)]
    rows = [[name, *(ratio(each(pick, way), each(pick, ours)) for way in theirs)]
            for name, pick in picks]
    show(f"3. Ratio to {ours.name}, in pairs of the same round",
         ["", *(way.name for way in theirs)], rows)


def host_bytes(rounds, ways):
    show(f"4. What the host got back of {TAKEN_BYTES // MIB} MiB taken by the balloon",
         ["", "RAM backed before", "MiB back", "back ÷ taken", "aerostat reports"],
         Columns(rounds, ways).rows(
             (lambda c: c.backed_bytes, 1 / MAX_MIB / MIB, 3),
             (lambda c: c.shrink.host_gain_bytes, 1 / MIB, 1),
             (lambda c: c.shrink.host_gain_bytes, 1 / TAKEN_BYTES, 3),
             (lambda c: c.shrink.told_gain_bytes, 1 / TAKEN_BYTES, 3)),
         "“RAM backed before” is the share of RAM that the host had allocated before the shrink:"
         " memory that was never touched cannot come back.")


def heartbeat(rounds, ways):
    rows = Columns(rounds, ways).rows((lambda c: c.shrink.gap_ms, 1, 0),
                                      (lambda c: c.grow.gap_ms, 1, 0),
                                      (lambda c: c.idle_gap_ms, 1, 0))
    for row, way in zip(rows, ways, strict=True):
        row.append(ratio([c.shrink.gap_ms for c in rounds.of(way)],
                         [c.idle_gap_ms for c in rounds.of(way)]))
    show("5. The longest gap in the guest's heartbeat (ms; a beat is due every 50 ms)",
         ["", "while shrinking", "while growing", "at rest", "shrinking ÷ at rest"], rows)


def waiting(rounds, ways):
    show(f"6. Cost of waiting, {MAX_MIB} → {HALF_MIB} MiB",
         ["", "CPU ms", "CPU ms of libvirtd", "polls by virsh", "largest RSS, MiB"],
         Columns(rounds, ways).rows(ms(lambda c: c.shrink.cpu_s),
                                    ms(lambda c: c.shrink.libvirtd_cpu_s),
                                    (lambda c: c.shrink.polls, 1, 0),
                                    (lambda c: c.shrink.rss_bytes, 1 / MIB, 1)),
         "The loops do not sleep; with a sleep they would cost less, but notice the end later.")


def costs(runs_by_name):
    rows = [[name, spread((run.wall_s for run in runs), 1000, 0),
             spread((run.cpu_s for run in runs), 1000, 0),
             spread((run.rss_bytes for run in runs), 1 / MIB, 1)]
            for name, runs in runs_by_name.items()]
    show("7. Commands that do not wait", ["", "ms", "CPU ms", "largest RSS, MiB"], rows)


def print_limits(sentences):
    print("\nNot measured here\n")
    for sentence in sentences:
        print(textwrap.fill(sentence, WIDTH, initial_indent="  - ", subsequent_indent="    "))
