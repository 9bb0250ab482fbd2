# SPDX-License-Identifier: BSD-3-Clause
"""The figures of all parts can be measured; nothing here looks at a time."""

import json
import pathlib
import re
import subprocess
import sys
import types

import pytest
from conftest import BUILD, ROOT

from bench import (daemon_burst, daemon_load, daemon_report, relief_budget, relief_hogs,
                   relief_report)
from lab.wait import HANG_S

MIB = 1 << 20


def bench(part, *words):
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--build", str(BUILD), "--part", part, "--quick", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=6 * HANG_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def quick(part):
    return json.loads(bench(part, "--json"))[part]


@pytest.fixture(scope="module")
def figures():
    return quick("device")


@pytest.fixture(scope="module")
def driver_figures():
    return quick("driver")


@pytest.fixture(scope="module")
def policy_figures():
    return quick("policy")


@pytest.fixture(scope="module")
def daemon_figures():
    return quick("daemon")


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


# The policy

ONLINE = ["aerostat", "static", "proxmox", "mom", "qmemman", "squeezed", "maximum", "tmo"]


def test_policies_are_compared_as_aerostat_simulate_compares_them(aerostat, policy_figures):
    simulated = policy_figures["simulated"]
    assert [row["policy"] for row in simulated["policies"]] == [*ONLINE, "clairvoyant"]
    assert simulated == aerostat("simulate", "--traces", "10", "--seed", "1", "--json").json


def test_steps_of_every_policy_are_timed_by_the_number_of_guests(policy_figures):
    timed = {(steps["policy"], steps["guests"]) for steps in policy_figures["steps"]}
    assert timed == {(name, guests) for name in ONLINE for guests in (10, 100, 1000)}
    for steps in policy_figures["steps"]:
        assert len(steps["step_us"]) == 60
        assert all(us > 0 for us in steps["step_us"])


def test_the_tables_of_policies_tell_kills_by_shape_and_whether_aims_are_met(policy_figures):
    text = bench("policy")
    kills = [str(row["oom_kills"]) for row in policy_figures["simulated"]["policies"]]
    assert re.search(r"^ +processes killed in guests +(.*)$", text, re.M)[1].split() == kills
    for shape in policy_figures["simulated"]["policies"][0]["shapes"]:
        of_shape = [row["shapes"][shape] for row in policy_figures["simulated"]["policies"]]
        rows = re.findall(rf"^ +{shape} +(\d.*)$", text, re.M)
        assert [row.split() for row in rows] == [[str(each["oom_kills"]) for each in of_shape],
                                                 [f"{each['psi_full_s']:.1f}" for each in of_shape]]
    theirs = kills[ONLINE.index("proxmox")]
    assert re.search(rf"no worse than Proxmox: processes killed .* ≤ {theirs} +{kills[0]} +met$",
                     text, re.M)
    assert re.search(r"no worse than Proxmox: least available on the host, MiB +≥ \d+ ", text)


@pytest.mark.parametrize("words", [[], ["aerostat", "0", "60", "1"],
                                   ["clairvoyant", "10", "60", "1"],
                                   ["aerostat", "10", "29", "1"], ["aerostat", "10", "60", "x"],
                                   ["aerostat", "10", "60", "1", "1"]])
def test_policy_step_says_how_it_is_used(words):
    done = subprocess.run([BUILD / "bench/policy-step", *words], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: policy-step POLICY GUESTS SECONDS SEED\n")
    assert done.stdout == ""


# The daemon

@pytest.mark.long
def test_the_daemon_is_measured_with_many_guests_and_with_stuck_ones(daemon_figures):
    assert not [what for what, _ in daemon_figures["skipped"] if what == "many guests"]
    loads = {(load["guests"], load["stuck"]): load for load in daemon_figures["loads"]}
    assert set(loads) == {(10, 0), (100, 0), (100, 10)}
    for (guests, _), load in loads.items():
        assert load["rounds"] > 0 and load["cpu_s"] > 0 and load["fakes_cpu_s"] > 0
        assert load["threads"] > guests and load["rss_bytes"] > MIB
        assert load["step_us"] and load["answer_s"]


@pytest.mark.long
def test_each_policy_meets_the_same_burst(daemon_figures):
    assert not [what for what, _ in daemon_figures["skipped"] if what == "burst to relief"]
    bursts = {burst["policy"]: burst for burst in daemon_figures["bursts"]}
    assert set(bursts) == {"aerostat", "proxmox", "static"}
    for burst in bursts.values():
        assert 300 * MIB < burst["need_bytes"] <= 512 * MIB
        assert burst["most_bytes"] >= 256 * MIB
        assert burst["passes"] > 0 or burst["kills"] > 0


def made_up_load(stuck, late_us):
    return daemon_load.Load(0, 100, stuck, 10.0, 10, 0.5, 0.1, late_us, 20 * MIB, 103, 7, [40, 60],
                            [0.001] * 99 + [0.004])


def made_up_burst(policy, relief_s, kills=0):
    return daemon_burst.Burst("room", policy, 0, 400 * MIB, relief_s, 300 * MIB, 2.5, 64 * MIB,
                              kills, 5, 100, 50.0)


def daemon_report_of(capsys, *bursts):
    loads = daemon_load.Loads(pathlib.Path(), True, 1, print)
    loads.found = [made_up_load(0, 1000), made_up_load(10, 3000)]
    found = daemon_burst.Bursts(None, pathlib.Path(), True, 1, print)
    found.found = list(bursts)
    daemon_report.print_all(types.SimpleNamespace(
        facts={}, loads=loads, bursts=found, skipped=[("a", "b\nc")],
        lab=types.SimpleNamespace(accel="kvm")))
    return capsys.readouterr().out


def test_the_report_holds_stuck_guests_beside_none(capsys):
    text = daemon_report_of(capsys)
    assert re.search(r"^  100 guests +50\.0 .* 20\.0 ", text, re.M)
    assert "With 10 of 100 guests stuck, rounds started × 3.00 (3.00–3.00) as late" in \
        " ".join(text.split())
    assert "Burst to relief" not in text


def test_a_burst_that_is_not_relieved_is_told_as_that(capsys):
    text = daemon_report_of(capsys, made_up_burst("aerostat", None, kills=1),
                            made_up_burst("proxmox", 9.0))
    assert re.search(r"^  aerostat +0 of 1 +- ", text, re.M)
    assert re.search(r"^  proxmox +1 of 1 +9\.00 ", text, re.M)
    assert re.search(r"relief no later than Proxmox's +≤ 9\.0 s +not in 12 s +MISSED$", text, re.M)
    assert re.search(r"kills +≤ 0 +1 +MISSED$", text, re.M)


@pytest.mark.parametrize("ours, theirs, row", [(2.0, 9.0, r"≤ 9\.0 s +2\.0 s +met"),
                                               (9.0, 2.0, r"≤ 2\.0 s +9\.0 s +MISSED"),
                                               (2.0, None, r"≤ not in 12 s +2\.0 s +met")])
def test_relief_is_held_beside_proxmoxs(capsys, ours, theirs, row):
    text = daemon_report_of(capsys, made_up_burst("aerostat", ours),
                            made_up_burst("proxmox", theirs))
    assert re.search(rf"relief no later than Proxmox's +{row}$", text, re.M)


# Relief

@pytest.fixture(scope="module")
def relief_figures():
    return quick("relief")


@pytest.mark.long
def test_only_a_balloon_that_never_deflates_kills(relief_figures):
    assert not relief_figures["skipped"]
    kills = {hog["way"]: hog["kills"] for hog in relief_figures["hogs"]}
    assert set(kills) == {way.name for way in relief_hogs.WAYS}
    assert [way for way, count in kills.items() if count] == ["in-tree, off"]


@pytest.mark.long
def test_guests_that_need_more_than_the_budget_are_measured_with_and_without_a_gate(relief_figures):
    shortages = {each["way"]: each for each in relief_figures["shortages"]}
    assert set(shortages) == set(relief_budget.WAYS)
    for each in shortages.values():
        assert each["peak_bytes"] > each["before_bytes"] > 0
    assert shortages["gate"]["device_peak_bytes"] >= shortages["gate"]["device_rest_bytes"] > 0


def test_the_time_of_a_process_that_was_killed_does_not_count(capsys):
    hogs = relief_hogs.Hogs(None, True, 2, print)
    hogs.found = [relief_hogs.Hog("ours", None, False, 0, 0, 4.0, 0.2, 0.1, 6 * MIB, 64 * MIB),
                  relief_hogs.Hog("ours", None, False, 1, 1, 1.0, 0.2, 0.1, 6 * MIB, 0)]
    shortages = relief_budget.Shortages(None, None, True, 1, print)
    shortages.found = [relief_budget.Shortage("gate", 0, MIB, 861 * MIB, 840 * MIB, 7.0, MIB, 0, 5,
                                              3 * MIB, 4 * MIB)]
    relief_report.print_all(types.SimpleNamespace(
        facts={}, hogs=hogs, shortages=shortages, skipped=[],
        lab=types.SimpleNamespace(accel="kvm")))
    text = capsys.readouterr().out
    assert re.search(r"^  ours +1 of 2 +4\.00 \(4\.00–4\.00\) ", text, re.M)
    assert re.search(r"^  gate +11 \(11–11\) +-10 \(-10–-10\) +0 ", text, re.M)
