# SPDX-License-Identifier: BSD-3-Clause
"""aerostat simulate: the table, the picture, and recordings."""
import json
import pathlib
import re
import xml.etree.ElementTree as ElementTree

import pytest

from command import DONE, REFUSED, USAGE

ROOT = pathlib.Path(__file__).parents[2]
POLICIES = ["aerostat", "static", "proxmox", "mom", "qmemman", "squeezed", "maximum", "tmo",
            "clairvoyant"]
SHAPES = ["idle", "diurnal", "phased", "build", "bursts", "cache", "leak", "dead", "frozen", "liar"]
SHORT = ["--traces", "10", "--seconds", "60", "--guests", "4"]


@pytest.fixture(scope="module")
def table(aerostat):
    return aerostat("simulate", *SHORT, "--json").json


def test_all_policies_run_over_all_shapes(table):
    assert [row["policy"] for row in table["policies"]] == POLICIES
    for row in table["policies"]:
        assert sorted(row["shapes"]) == sorted(SHAPES)
        assert row["traces"] == 10


def test_who_knows_the_future_does_best(table):
    *others, clairvoyant = table["policies"]
    assert clairvoyant["oom_kills"] <= min(row["oom_kills"] for row in others)
    assert clairvoyant["psi_full_s"] <= min(row["psi_full_s"] for row in others)


def test_a_fleet_says_what_guests_can_do(aerostat, table):
    ours = aerostat("simulate", *SHORT, "--fleet", "ours", "-p", "static", "-p", "tmo",
                    "--json").json
    assert ours["fleet"] == "ours"
    static, tmo = ours["policies"]
    assert static["pulled_gib"] > 0 and static["trimmed_gib"] == 0
    assert tmo["trimmed_gib"] > 0


def test_a_denser_host_stalls_more(aerostat):
    dense, roomy = (aerostat("simulate", *SHORT, "--slack", slack, "-p", "maximum", "--json").json
                    for slack in ("0.7", "1.5"))
    assert dense["policies"][0]["psi_full_s"] > roomy["policies"][0]["psi_full_s"]


def test_wide_traces_can_be_drawn(aerostat, tmp_path):
    plot = tmp_path / "wide.svg"
    result = aerostat("simulate", *SHORT, "--wide", "--guests", "20", "-p", "static",
                      "--plot", str(plot))
    assert result.code == DONE
    assert "nan" not in plot.read_text()


def test_a_seed_gives_one_table(aerostat, table):
    assert aerostat("simulate", *SHORT, "--json").json == table
    assert aerostat("simulate", *SHORT, "--json", "--seed", "77").json != table


def test_one_trace_of_many_is_had_alone(aerostat):
    """Number n has the seed S + n and, without --shape, the shape in n's turn."""
    many = aerostat("simulate", *SHORT, "--json", "-p", "mom", "--seed", "5").json
    alone = aerostat("simulate", *SHORT, "--json", "-p", "mom", "--seed", "9", "--shape", "bursts",
                     "--traces", "1").json
    assert many["policies"][0]["shapes"]["bursts"] == alone["policies"][0]["shapes"]["bursts"]


def test_the_table_for_people_has_the_same_numbers(aerostat, table):
    result = aerostat("simulate", *SHORT)
    assert result.code == DONE
    assert "10 traces of all shapes in turn, 4 guests, 60 s each; seeds 1 to 10" in result.out
    kills = re.search(r"^processes killed in guests +(.*)$", result.out, re.M).group(1).split()
    assert kills == [str(row["oom_kills"]) for row in table["policies"]]
    assert result.err == ""


def test_only_the_policies_asked_for(aerostat):
    result = aerostat("simulate", *SHORT, "-p", "clairvoyant", "--policy", "static", "-p", "static")
    assert re.search(r"^ +clairvoyant +static$", result.out, re.M)


def test_the_picture_is_svg_and_shows_every_guest(aerostat, tmp_path):
    file = tmp_path / "plot.svg"
    assert aerostat("simulate", *SHORT, "-p", "static", "--shape", "bursts", "--seed", "3",
                    "--plot", str(file)).code == DONE
    root = ElementTree.parse(file).getroot()
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "policy static, shape bursts, seed 3" in words
    for word in ("guest 1", "guest 4", "host", "needs", "has", "target", "0 s", "55 s"):
        assert word in words, word


@pytest.fixture
def recording(aerostat, tmp_path):
    def record(policy="proxmox"):
        file = tmp_path / f"{policy}.jsonl"
        assert aerostat("simulate", *SHORT, "--traces", "1", "-p", policy, "--record",
                        str(file)).code == DONE
        return file
    return record


@pytest.mark.parametrize("policy", POLICIES[:-1])
def test_a_replay_decides_the_same(aerostat, recording, policy):
    result = aerostat("simulate", "--recording", str(recording(policy)), "--json")
    assert result.code == DONE
    answer, = result.json["policies"]
    assert answer["policy"] == policy
    assert answer["steps"] >= 60
    assert answer["same"] == answer["compared"] == answer["decisions"] == 4 * answer["steps"]
    assert answer["first_difference"] is None


def test_a_decision_that_differs_fails_the_replay(aerostat, recording):
    file = recording()
    lines = file.read_text().splitlines()
    step = json.loads(lines[7])
    step["decisions"][2]["target_bytes"] += 1
    lines[7] = json.dumps(step)
    file.write_text("\n".join(lines) + "\n")
    result = aerostat("simulate", "--recording", str(file))
    assert result.code == REFUSED
    assert "first: step 7, guest 3" in result.out


def test_other_policies_may_differ(aerostat, recording):
    result = aerostat("simulate", "--recording", str(recording()), "-p", "static")
    assert result.code == DONE
    assert "as recorded, targets" in result.out


def test_a_recording_of_clairvoyant_needs_another_policy(aerostat, recording):
    file = str(recording("clairvoyant"))
    result = aerostat("simulate", "--recording", file)
    assert result.code == REFUSED
    assert "of policy 'clairvoyant', which cannot be replayed; name another" in result.error
    assert aerostat("simulate", "--recording", file, "-p", "mom").code == DONE


def test_the_recordings_document_has_every_key(recording):
    page = (ROOT / "docs/recording.md").read_text()
    start, step = map(json.loads, recording().read_text().splitlines()[:2])
    for part in (start["settings"], step["host"], step["guests"][0], step["decisions"][0]):
        for key in part:
            assert f"`{key}`" in page, key


def test_a_damaged_recording_is_told_with_its_line(aerostat, recording):
    file = recording()
    text = file.read_text()
    file.write_text(text[:len(text) // 2])
    result = aerostat("simulate", "--recording", str(file))
    assert result.code == REFUSED
    assert re.search(rf"{re.escape(str(file))}, line \d+: is not JSON", result.error)
    assert result.out == ""


@pytest.mark.parametrize("words, says", [
    (["--policy", "party"], "policy 'party' is not known; there are: aerostat, static, proxmox"),
    (["--shape", "party"], "shape 'party' is not known; there are: idle, diurnal"),
    (["--traces", "0"], "traces '0' is not a number from 1 to 100000"),
    (["--traces", "many"], "traces 'many'"),
    (["--seed", "-1"], "seed '-1'"),
    (["--guests", "65"], "guests '65' is not a number from 1 to 64"),
    (["--seconds", "29"], "seconds '29' is not a number from 30 to 3600"),
    (["--fleet", "party"], "fleet 'party' is not known; there are: drawn, reporting, stock"),
    (["--slack", "0"], "slack '0' is not a number from 0.1 to 10"),
    (["--slack", "1x"], "slack '1x'"),
    (["--recording", "x", "--traces", "3"], "--recording excludes all other options"),
    (["--recording", "x", "-p", "clairvoyant"], "policy 'clairvoyant' cannot replay a recording"),
    (["alpha"], "unexpected argument 'alpha'"),
])
def test_a_wrong_command_line(aerostat, words, says):
    result = aerostat("simulate", *words)
    assert result.code == USAGE
    assert says in result.error
    assert result.err.count("\n") == 1
    assert result.out == ""


@pytest.mark.parametrize("words, says", [
    (["--recording", "/nonexistent/file"], "/nonexistent/file cannot be opened"),
    (["--recording", "/tmp"], "recording /tmp cannot be opened: it is a folder"),
    (["--recording", "/etc/passwd"], "/etc/passwd, line 1: is not JSON"),
    (["--plot", "/nonexistent/plot.svg"], "cannot write /nonexistent/plot.svg"),
    (["--record", "/nonexistent/file"], "cannot write /nonexistent/file"),
    (["--record", "/dev/full"], "cannot write /dev/full: No space left"),
])
def test_files_that_cannot_be_used(aerostat, words, says):
    result = aerostat("simulate", *([] if words[0] == "--recording" else SHORT), *words)
    assert result.code == REFUSED
    assert says in result.error
    assert result.err.count("\n") == 1
