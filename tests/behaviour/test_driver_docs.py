# SPDX-License-Identifier: BSD-3-Clause
"""docs/driver.md and virtio_balloon(4) agree with the module, its sources and the tests."""
import re
import subprocess

import pytest

from conftest import ROOT

PAGE = (ROOT / "docs/driver.md").read_text()
MAN = (ROOT / "docs/man/virtio_balloon.4.scd").read_text()
SOURCES = {path.name: path.read_text() for path in sorted((ROOT / "guest").glob("*.[ch]"))}
TESTS = {path.name: path.read_text()
         for path in sorted((ROOT / "tests/behaviour").glob("test_driver_*.py"))}
# Of the lab and its choice of a driver, not of the driver.
OF_THE_LAB = ("test_driver_build.py", "test_driver_docs.py")


def section(title):
    """From the heading to the next one of its level."""
    level, name = title.split(" ", 1)
    found = re.search(rf"^{level} {re.escape(name)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", PAGE,
                      re.M | re.S)
    assert found, f"docs/driver.md has no '{title}'"
    return found[1]


def cells(text):
    """The rows of the tables in a section, without their heads."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows
            if row[0] not in ("rule", "feature", "counter", "parameter")]


def man_section(title):
    found = re.search(rf"^# {title}$(.*?)(?=^# |\Z)", MAN, re.M | re.S)
    assert found, f"virtio_balloon(4) has no '{title}'"
    return found[1]


def literal(text):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))


@pytest.fixture(scope="module")
def parameters(lab):
    """(name, type, default, can it be changed at run time, text), of the built module."""
    listed = subprocess.run(["/usr/sbin/modinfo", "-F", "parm", lab.module("6.12").path],
                            check=True, capture_output=True, text=True).stdout.splitlines()
    modes = {name: int(mode, 8) for name, mode in re.findall(
        r"module_param(?:_named)?\((\w+),.*?(0\d+)\);", "".join(SOURCES.values()), re.S)}
    rows = []
    for line in listed:
        found = re.fullmatch(r"(\w+):(.*) \(default: (.*)\) \((\w+)\)", line)
        assert found, f"a parameter without a text and a default: {line}"
        name, text, default, kind = found.groups()
        rows.append((name, kind, default, bool(modes[name] & 0o222), text))
    return sorted(rows)


def counters():
    return re.findall(r'^\tC\((\w+), "([^"]*)"\)', SOURCES["counters.h"], re.M)


def states():
    """Other files in the counters' folder."""
    names = re.findall(r"^static ssize_t (\w+)_show\(", SOURCES["counters.c"], re.M)
    assert len(names) >= 3
    return names


def messages():
    """Each message of the driver, as the man page writes it."""
    texts = [literal(text) for text in re.findall(
        r"\bdev_\w+\(&\S+, *((?:\s*\"(?:[^\"\\]|\\.)*\")+)", "".join(SOURCES.values()))]
    return {re.sub(r"%s", "_NAME_", re.sub(r"%l?[du]", "_N_", text.removesuffix("\\n")))
            for text in texts}


def test_the_module_says_what_it_is(lab):
    shown = subprocess.run(["/usr/sbin/modinfo", lab.module("6.12").path], check=True,
                           capture_output=True, text=True).stdout
    for line in (r"description: +\S.*Aerostat.*", "license: +GPL", r"version: +[\d.]+",
                 r"alias: +virtio:d00000005v\*"):
        assert re.search(rf"^{line}$", shown, re.M), line


# docs/driver.md

def test_parameters_stand_as_in_the_module(parameters):
    assert cells(section("### Parameters")) == [
        [f"`{name}`", kind, default, "yes" if changes else "no", text]
        for name, kind, default, changes, text in parameters]


def test_counters_stand_as_in_their_table():
    assert len(counters()) >= 10
    assert cells(section("### Counters")) == [[f"`{name}`", text] for name, text in counters()]
    for name in states():
        assert f"`{name}`" in section("### Counters")


def test_features_stand_as_in_their_table():
    table = re.search(r"features\[\] = \{(.*?)\}", SOURCES["main.c"], re.S)[1]
    assert [row[0] for row in cells(section("### Features"))] == \
        re.findall(r"VIRTIO_BALLOON_F_(\w+)", table)


def test_each_file_that_is_named_is_there():
    for name in re.findall(r"`(\w+\.[ch])`", PAGE):
        assert name in SOURCES, name


def named_tests():
    rows = cells(section("## Which test verifies which rule"))
    assert rows
    for row in rows:
        assert len(row) == 2 and re.fullmatch(r"`test_\w+`(, `test_\w+`)*", row[1]), row
    return {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}


def written_tests():
    return {name for file, text in TESTS.items() if file not in OF_THE_LAB
            for name in re.findall(r"^def (test_\w+)\(", text, re.M)}


def test_each_rule_names_a_test_that_is_there():
    assert sorted(named_tests() - written_tests()) == []


def test_each_test_of_the_driver_holds_a_rule():
    assert sorted(written_tests() - named_tests()) == []


# virtio_balloon(4)

def test_the_man_page_has_each_parameter_and_when_to_change_it(parameters):
    entries = re.findall(r"^\*(\w+)\*( \\\*)? \((\w+), default: (.*)\)\n((?:\t.*\n)+)",
                         man_section("PARAMETERS"), re.M)
    assert [(name, kind, default, bool(star)) for name, star, kind, default, _ in entries] == [
        (name, kind, default, changes) for name, kind, default, changes, _ in parameters]
    for (*_, text), (*_, told) in zip(parameters, entries):
        told = " ".join(told.split())
        assert told.startswith(text)
        assert "Change it" in told or "see RELEASE" in told


def test_the_man_page_has_each_counter():
    entries = re.findall(r"^\*(\w+)\*\n\t(.*)$", man_section("FILES"), re.M)
    assert entries[:len(counters())] == counters()
    assert sorted(name for name, _ in entries[len(counters()):]) == sorted(states())


def test_the_man_page_has_each_private_statistic():
    sent = re.findall(r"#define PRIVATE_S_\w+ (0x\w+)", SOURCES["private_stats.h"])
    assert re.findall(r"^\|  (0x\w+)$", man_section("STATISTICS"), re.M) == sent


def test_the_man_page_has_each_message():
    assert len(messages()) >= 8
    told = set(re.findall(r"^(\S.*)\n\t", man_section("MESSAGES"), re.M))
    assert told == messages()


def test_scdoc_takes_the_man_page():
    done = subprocess.run(["scdoc"], input=MAN, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "virtio_balloon" in done.stdout, done.stderr
