# SPDX-License-Identifier: BSD-3-Clause
"""A strict reader of Prometheus' text format 0.0.4, with the rules of `promtool check metrics`.

read() takes an answer apart, or raises Wrong for the first thing that a server would refuse or
promtool would complain of.
"""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?Inf|NaN")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
# Units that have a base unit in whose place they stand.
NOT_BASE = ("milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "kilobytes",
            "megabytes", "gigabytes", "kibibytes", "mebibytes", "gibibytes", "bits", "percent",
            "ms", "us", "ns", "kb", "mb", "gb", "kib", "mib", "gib", "secs", "sec")


class Wrong(Exception):
    """What is wrong, with its line."""


class Family:
    """One metric: its help, its type, and {labels: value}, labels as a sorted tuple of pairs."""

    def __init__(self, name):
        self.name = name
        self.help = None
        self.type = None
        self.samples = {}

    def value(self, **labels):
        """Of the one series that has these labels, among others."""
        found = [value for series, value in self.samples.items()
                 if set(labels.items()) <= set(series)]
        assert len(found) == 1, f"{self.name}{labels}: {found}"
        return found[0]


def read(text):
    """{name: Family}, in the order of the text."""
    if not text.endswith("\n"):
        raise Wrong("the last line has no end")
    families = {}
    current = None
    for number, line in enumerate(text[:-1].split("\n"), 1):
        try:
            current = read_line(line, families, current)
        except Wrong as wrong:
            raise Wrong(f"line {number}: {wrong}: {line!r}") from None
    for family in families.values():
        lint(family)
    return families


def read_line(line, families, current):
    """One line, which is about family @current or begins another; the family it is about."""
    if line.startswith("# HELP ") or line.startswith("# TYPE "):
        return read_comment(line, families, current)
    if not line or line.startswith("#"):
        raise Wrong("neither a sample, nor HELP or TYPE")
    name, labels, value = read_sample(line)
    if current is None or name != current.name:
        raise Wrong("a sample that does not stand below its own HELP and TYPE")
    if current.type is None or current.help is None:
        raise Wrong("a sample before HELP and TYPE")
    if labels in current.samples:
        raise Wrong("a series for the second time")
    current.samples[labels] = value
    return current


def read_comment(line, families, current):
    word, name, rest = (line.split(" ", 3) + [""])[1:4]
    if not NAME.fullmatch(name):
        raise Wrong("no name of a metric")
    if current is None or current.name != name:
        if name in families:
            raise Wrong("a metric in two places")
        current = families[name] = Family(name)
    if current.samples:
        raise Wrong(f"{word} after samples")
    if getattr(current, word.lower()) is not None:
        raise Wrong(f"{word} for the second time")
    if word == "TYPE" and rest not in TYPES:
        raise Wrong("no type")
    if word == "HELP":
        rest = unescape(rest, {"\\": "\\", "n": "\n"})
    setattr(current, word.lower(), rest)
    return current


def unescape(text, letters):
    """Each backslash goes with one of @letters."""
    out = ""
    rest = iter(text)
    for letter in rest:
        if letter == "\\":
            letter = letters.get(next(rest, None))
            if letter is None:
                raise Wrong("a backslash that escapes nothing")
        out += letter
    return out


def read_sample(line):
    match = NAME.match(line)
    if not match:
        raise Wrong("no name of a metric")
    labels, rest = read_labels(line[match.end():])
    number = re.fullmatch(r" (\S+)", rest)
    if not number or not NUMBER.fullmatch(number[1]):
        raise Wrong("no value, or more than one")
    return match[0], labels, float(number[1])


def read_labels(text):
    """Labels as a sorted tuple of pairs, and what comes after them."""
    if not text.startswith("{"):
        return (), text
    labels = {}
    text = text[1:]
    while not text.startswith("}"):
        match = re.match(r'([^=]*)="((?:[^"\\\n]|\\.)*)"(,(?!})|(?=}))', text)
        if not match or not LABEL.fullmatch(match[1]):
            raise Wrong("labels that are none")
        if match[1] in labels or match[1].startswith("__"):
            raise Wrong("a label twice, or a reserved one")
        labels[match[1]] = unescape(match[2], {"\\": "\\", "n": "\n", '"': '"'})
        text = text[match.end():]
    return tuple(sorted(labels.items())), text[1:]


def lint(family):
    """promtool's rules."""
    name = family.name
    words = name.split("_")
    if not family.help:
        raise Wrong(f"{name} has no help")
    if family.type is None:
        raise Wrong(f"{name} has no type")
    if (family.type == "counter") != name.endswith("_total"):
        raise Wrong(f"{name}: counters, and no others, end with _total")
    if ":" in name or name != name.lower():
        raise Wrong(f"{name}: small letters, digits and _ only")
    if set(words) & set(TYPES):
        raise Wrong(f"{name} has its type in its name")
    if words[-1] in ("count", "sum", "bucket"):
        raise Wrong(f"{name} ends as a histogram's part does")
    if set(words) & set(NOT_BASE):
        raise Wrong(f"{name} is not in base units")
    if family.type == "counter" and any(value < 0 for value in family.samples.values()):
        raise Wrong(f"{name} is a counter below 0")
