# SPDX-License-Identifier: BSD-3-Clause
"""docs/device.md agrees with the device's tables, and with the tests that it names."""
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs/device.md").read_text()
TABLES = (ROOT / "device/tables.c").read_text()
HEADER = (ROOT / "device/balloon.h").read_text()
DRIVER = (ROOT / "guest/private_stats.h").read_text()


def section(title):
    """From the heading to the next one of its level."""
    level, name = title.split(" ", 1)
    found = re.search(rf"^{level} {re.escape(name)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", PAGE,
                      re.M | re.S)
    assert found, f"docs/device.md has no '{title}'"
    return found[1]


def cells(text):
    """The rows of the tables in a section, without their heads."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] not in ("rule", "feature", "counter", "tag")]


def literal(text):
    return "".join(re.findall(r'"([^"]*)"', text))


def programs():
    """Those that drive the whole device; test_balloon_wait.c is about the command."""
    return [file for file in sorted((ROOT / "tests/unit").glob("test_balloon_*.c"))
            if "tests/unit/device_rig.h" in file.read_text()]


def names_of_tests():
    """The tests that the balloon's programs really run."""
    names = set()
    for file in programs():
        rows = file.read_text().split("const struct CMUnitTest tests[] = {")[1]
        names |= set(re.findall(r"(?:TEST|cmocka_unit_test\w*)\(\s*([a-z]\w+)", rows))
    return names


def named_tests():
    rows = cells(section("## Which test covers which rule"))
    assert rows
    for row in rows:
        assert len(row) == 2 and re.fullmatch(r"`\w+`(, `\w+`)*", row[1]), row
    return [name for row in rows for name in re.findall(r"`(\w+)`", row[1])]


def test_each_rule_names_a_test_that_is_run():
    assert not set(named_tests()) - names_of_tests()


def test_each_test_of_the_balloon_covers_a_rule():
    assert not names_of_tests() - set(named_tests())


def test_no_test_of_the_balloon_is_written_and_not_run():
    written = set()
    for file in programs():
        written |= set(re.findall(r"^static void (\w+)\(void \*\*state\)", file.read_text(), re.M))
    assert written == names_of_tests()


def test_each_program_of_tests_is_run():
    build = (ROOT / "tests/unit/meson.build").read_text()
    for file in (ROOT / "tests/unit").glob("test_*.c"):
        assert f"'{file.stem.removeprefix('test_')}':" in build, file.name


def test_features_stand_as_in_their_table():
    bits = dict(re.findall(r"\b(BALLOON_F_\w+|VIRTIO_F_\w+) = (\d+)", HEADER))
    rows = re.findall(r'\{ (\w+), "([\w-]+)", (true|false),\s*((?:"[^"]*"\s*)+)\}', TABLES)
    assert len(rows) >= 10
    assert [(row[0], row[1], row[2], row[4]) for row in cells(section("### Features"))] == [
        (f"`{name}`", bits[bit], "yes" if default == "true" else "no", literal(text))
        for bit, name, default, text in rows]


def test_private_statistics_stand_as_in_their_table():
    rows = re.findall(r'\{ (0x\w+), "([\w-]+)", "([^"]*)" \}', TABLES)
    assert len(rows) >= 5
    assert cells(section("### Private statistics")) == [
        [tag, f"`{name}`", text] for tag, name, text in rows]


def test_the_driver_sends_the_tags_that_the_device_knows():
    sent = re.findall(r"#define PRIVATE_S_\w+ (0x\w+)", DRIVER)
    assert [tag.lower() for tag in sent] == re.findall(r"\{ (0x\w+), ", TABLES)


def test_counters_stand_as_in_their_table():
    rows = re.findall(r'\[BALLOON_C_\w+\] = \{ "([\w-]+)",\s*((?:"[^"]*"\s*)+)\}', TABLES)
    assert len(rows) >= 20
    assert cells(section("### Counters")) == [[f"`{name}`", literal(text)] for name, text in rows]
