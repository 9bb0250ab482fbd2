# SPDX-License-Identifier: BSD-3-Clause
"""The figures of the device and the driver can be measured; nothing here looks at a time."""

import json
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT


def quick(part):
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--build", str(BUILD), "--part", part, "--quick",
         "--json"], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[part]


@pytest.fixture(scope="module")
def figures():
    return quick("device")


@pytest.fixture(scope="module")
def driver_figures():
    return quick("driver")


def calls_a_gib(line):
    return line["calls"] * (1 << 30) / line["stream_bytes"]


def played(figures, kind, way):
    lines = [line for line in figures["played"][kind] if line.get("way") == way and "calls" in line]
    assert lines, figures["skipped"]
    return lines


@pytest.mark.parametrize("kind", ["fresh", "fragmented"])
def test_every_way_releases_all_that_the_stream_holds(figures, kind):
    for way in ("device", "device-untold", "per-page", "per-buffer"):
        for line in played(figures, kind, way):
            assert line["failed"] == 0
            assert line["released_bytes"] == line["stream_bytes"], line


@pytest.mark.parametrize("kind", ["fresh", "fragmented"])
def test_per_page_makes_a_call_for_each_page(figures, kind):
    for line in played(figures, kind, "per-page"):
        assert calls_a_gib(line) == 262144


def test_the_device_merges_a_fresh_guests_pages_into_few_calls(figures):
    for line in played(figures, "fresh", "device"):
        assert calls_a_gib(line) <= 512     # a huge page a call, at the very most
    for line in played(figures, "fresh", "per-buffer"):
        assert calls_a_gib(line) >= 1024    # a buffer holds a MiB


def test_the_device_never_needs_more_calls_than_merging_within_a_buffer(figures):
    for kind in ("fresh", "fragmented"):
        for ours, theirs in zip(played(figures, kind, "device"),
                                played(figures, kind, "per-buffer"), strict=True):
            assert ours["calls"] <= theirs["calls"]


def test_a_fragmented_guests_stream_has_few_whole_blocks(figures):
    assert figures["streams"]["fresh"]["whole_share"] > 0.9
    assert figures["streams"]["fragmented"]["whole_share"] < 0.5


def test_an_audit_finds_all_pages_touched_again_and_no_other(figures):
    audits = [line for line in figures["played"]["fresh"] if "audit" in line]
    assert {line["audit"] for line in audits} == {"touched", "untouched"}
    for line in audits:
        assert line["resident"] == (line["pages"] if line["audit"] == "touched" else 0)


def test_the_process_sleeps_and_replies_are_measured_under_floods(figures):
    assert figures["idle"]["wake_ups"] == 0
    assert len(figures["replies"]) == 4
    assert all(each["count"] > 0 for each in figures["replies"])


def test_both_devices_give_the_same_guest_its_size_and_the_host_its_memory(figures):
    skipped = dict(figures["skipped"])
    if "end to end" in skipped:
        pytest.skip(skipped["end to end"])
    changes = figures["end_to_end"]
    assert len({change["contender"] for change in changes}) == 2
    for change in changes:
        assert change["back_bytes"] > 0.9 * 256 * 1024 * 1024


# The driver

HUGE_PAGES = "huge pages behind the guest"


def changes(driver_figures, group, way):
    found = [change for change in driver_figures["changes"]
             if (change["group"], change["way"]) == (group, way)]
    if not found:
        pytest.skip(str(driver_figures["skipped"]))
    return found


@pytest.mark.long
@pytest.mark.parametrize("way", ["in-tree", "aerostat", "mode C"])
def test_each_driver_gives_the_host_the_used_memory_it_takes(driver_figures, way):
    for change in changes(driver_figures, HUGE_PAGES, way):
        assert change["freed_bytes"] > 0.95 * change["taken_bytes"], change


@pytest.mark.long
@pytest.mark.parametrize("way", ["in-tree", "aerostat", "mode C"])
def test_fresh_memory_has_nothing_behind_it_to_give(driver_figures, way):
    fresh = "fresh memory, huge pages behind the guest"
    for change in changes(driver_figures, fresh, way):
        assert change["freed_bytes"] < 0.25 * change["taken_bytes"], change


@pytest.mark.long
def test_our_driver_has_hugetlb_pages_freed_and_the_in_tree_one_has_not(driver_figures):
    hugetlb = "huge pages of hugetlbfs (2 MiB) behind the guest"
    for change in changes(driver_figures, hugetlb, "aerostat"):
        assert change["freed_bytes"] == change["taken_bytes"], change
    for change in changes(driver_figures, hugetlb, "in-tree"):
        assert change["freed_bytes"] < 0.1 * change["taken_bytes"], change


@pytest.mark.long
def test_our_driver_needs_fewer_instructions_a_page_than_the_in_tree_one(driver_figures):
    counts = {count["way"]: count for count in driver_figures["instructions"]}
    assert counts, driver_figures["skipped"]
    for way in ("aerostat", "mode C"):
        assert 0 < counts[way]["inflate"] < counts["in-tree"]["inflate"]
        assert 0 < counts[way]["deflate"] < counts["in-tree"]["deflate"]


@pytest.mark.long
def test_statistics_are_watched_while_the_target_is_out_of_reach(driver_figures):
    assert {age["way"] for age in driver_figures["statistics"]} == {"in-tree", "aerostat"}
    for age in driver_figures["statistics"]:
        assert age["updates"] > 0 and age["short_bytes"] > 0, age


@pytest.mark.long
def test_work_is_watched_at_rest_and_during_inflation(driver_figures):
    assert {each["probe"] for each in driver_figures["disturbances"]} == {"bandwidth", "latency"}
    for each in driver_figures["disturbances"]:
        assert each["idle"] and each["inflating"], each["way"]
    assert not [what for what, _ in driver_figures["skipped"] if "disturbed" in what]
