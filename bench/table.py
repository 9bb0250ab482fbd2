# SPDX-License-Identifier: BSD-3-Clause
"""Plain text tables of medians."""

import statistics
import textwrap

NONE = "-"
WIDTH = 96


def spread(values, scale=1.0, digits=2):
    """Returns "median (lowest–highest)" of the values that are not None."""
    values = [value * scale for value in values if value is not None]
    if not values:
        return NONE
    median, least, most = (f"{value:.{digits}f}" for value in
                           (statistics.median(values), min(values), max(values)))
    return f"{median} ({least}–{most})"


def ratio(these, those):
    """Returns the spread of ratios of pairs that were measured in the same round."""
    return spread(None if a is None or b is None else a / b
                  for a, b in zip(these, those, strict=True))


def show(title, columns, rows, note=""):
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in (columns, ["─" * width for width in widths], *rows):
        first, *others = map(str.rjust, row, widths)
        print("  " + "  ".join([first.strip().ljust(widths[0]), *others]))
    if note:
        print(f"\n{textwrap.fill(note, WIDTH, initial_indent='  ', subsequent_indent='  ')}")
