# SPDX-License-Identifier: BSD-3-Clause
"""The command explains itself, and its documents agree with its tables."""
import pathlib
import re
import subprocess

import pytest

from command import DONE, USAGE
from conftest import BUILD
from lab.wait import HANG_S

ROOT = pathlib.Path(__file__).parents[2]
VERBS = ["list", "dominfo", "setmem", "setmaxmem", "dommemstat", "domstats", "event", "edit",
         "adopt", "unadopt", "status", "top", "explain", "auto", "reserve", "reload", "record",
         "simulate", "help"]


@pytest.fixture(scope="module")
def tables(aerostat):
    return aerostat("--json", "help").json


def test_help_lists_every_verb_and_exit_code(aerostat, tables):
    result = aerostat("help")
    assert result.code == DONE
    for verb in tables["verbs"]:
        assert re.search(rf"^  {verb['name']} ", result.out, re.M)
    for row in tables["exit_codes"]:
        assert re.search(rf"^ +{row['code']}  {re.escape(row['meaning'])}$", result.out, re.M)


def test_the_verbs_are_those_that_this_file_tests(tables):
    assert [verb["name"] for verb in tables["verbs"]] == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_teaches_by_example(aerostat, verb):
    for words in ([verb, "--help"], ["help", verb]):
        result = aerostat(*words)
        assert result.code == DONE
        assert f"Usage:\n  aerostat {verb}" in result.out
        assert re.search(rf"^Examples:\n  (.*)aerostat .*{verb}", result.out, re.M)


def test_man_page_holds_every_verb_and_exit_code(tables):
    page = (ROOT / "docs/man/aerostat.1.scd").read_text()
    for verb in tables["verbs"]:
        assert re.search(rf"^\*{verb['name']}\*", page, re.M), verb
    for row in tables["exit_codes"]:
        assert f"*{row['code']}*\n\t{row['meaning']}" in page, row


@pytest.mark.parametrize("verb", VERBS)
def test_man_page_holds_every_option(aerostat, verb):
    page = (ROOT / "docs/man/aerostat.1.scd").read_text()
    for option in re.findall(r"^  (?:-\w, )?(--[a-z-]+)", aerostat(verb, "--help").out, re.M):
        if option not in ("--help", "--domain", "--size"):
            assert f"*{option}*" in page, option


@pytest.mark.parametrize("words, says", [
    ([], "no verb given"),
    (["frobnicate"], "no verb 'frobnicate'"),
    (["--frobnicate", "list"], "--frobnicate"),
    (["--qmp=", "list"], "--qmp has an empty value; give it one, or leave the option out"),
    (["--qmp", "/a", "--qmp", "", "list"], "--qmp has an empty value"),
    (["-c", "", "list"], "--connect has an empty value"),
    (["list", "--frobnicate"], "unknown option '--frobnicate'"),
    (["list", "alpha"], "unexpected argument 'alpha'"),
    (["dominfo"], "dominfo needs GUEST"),
    (["dominfo", "a", "b"], "unexpected argument 'b'"),
    (["setmem", "alpha"], "setmem needs GUEST SIZE"),
    (["setmaxmem", "alpha"], "setmaxmem needs GUEST SIZE"),
    (["dommemstat"], "dommemstat needs GUEST"),
    (["dommemstat", "alpha", "--period", "-1"], "period '-1'"),
    (["dommemstat", "alpha", "--period", "soon"], "period 'soon'"),
    (["event", "--event", "party"], "unknown event 'party'"),
    (["event", "--timeout", "-3"], "timeout '-3'"),
    (["edit"], "edit needs GUEST"),
    (["adopt"], "adopt needs GUEST"),
    (["adopt", "a", "--replug", "--start"], "--replug excludes"),
    (["unadopt"], "unadopt needs GUEST"),
    (["unadopt", "a", "--start"], "unknown option '--start'"),
    (["help", "frobnicate"], "no verb 'frobnicate'"),
    (["setmem", "alpha", "512M", "--timeout", "0"], "timeout '0'"),
    (["setmem", "alpha", "512M", "--timeout", "soon"], "soon"),
    (["setmem", "alpha", "512M", "--size", "1G"], "unexpected argument '512M'"),
])
def test_a_wrong_command_line_is_one_clear_line(aerostat, words, says):
    result = aerostat(*words)
    assert result.code == USAGE
    assert says in result.error
    assert result.err.count("\n") == 1
    assert result.out == ""


@pytest.mark.parametrize("option", ["--config", "--connect", "--qmp", "--folder", "--socket"])
def test_an_empty_value_starts_no_daemon(tmp_path, option):
    result = subprocess.run([BUILD / "aerostatd/aerostatd", f"{option}="], cwd=tmp_path,
                            capture_output=True, text=True, timeout=HANG_S)
    assert result.returncode == USAGE
    assert result.stderr == (f"error: {option} has an empty value; give it one, or leave the "
                             "option out\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", ["", " ", "0x10", "1e3", "1.5", "+1", "-1", "1s", "nan",
                                    "4294967297", "18446744073709551616"])
@pytest.mark.parametrize("words", [
    ["setmem", "a", "1G", "--timeout"], ["setmem", "a", "1G", "--stall"], ["edit", "a", "--stall"],
    ["event", "--timeout"], ["explain", "a", "--number"], ["record", "f", "--seconds"],
    ["reserve", "1G", "--ttl"], ["reserve", "1G", "--timeout"], ["dommemstat", "a", "--period"],
    ["simulate", "--traces"],
], ids=" ".join)
def test_a_number_is_whole_and_decimal(aerostat, words, number):
    result = aerostat(*words[:-1], f"{words[-1]}={number}")
    assert result.code == USAGE
    assert f"{words[-1].lstrip('-')} '{number}' is not a number from " in result.error


def test_errors_are_json_too(aerostat):
    result = aerostat("--json", "setmem", "alpha", "abc")
    assert result.code == USAGE
    assert result.json["error"]["code"] == "usage"
    assert "size 'abc' is not a number" in result.json["error"]["message"]


def test_version(aerostat):
    assert re.fullmatch(r"aerostat \d+\.\d+\.\d+\n", aerostat("--version").out)


def test_a_misspelt_configuration_is_refused(aerostat, tmp_path):
    config = tmp_path / "aerostat.conf"
    config.write_text("[discover]\nqpm=/run/*.qmp\n")
    result = aerostat.looking_at()("list", env={"AEROSTAT_CONFIG": str(config)})
    assert result.code != DONE
    assert f"configuration {config}: [discover] has no key 'qpm'" in result.error


def test_a_missing_configuration_that_was_named_is_refused(aerostat):
    result = aerostat.looking_at()("list", env={"AEROSTAT_CONFIG": "/nowhere/aerostat.conf"})
    assert result.code != DONE
    assert "/nowhere/aerostat.conf" in result.error
