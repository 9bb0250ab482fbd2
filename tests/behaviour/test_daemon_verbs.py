# SPDX-License-Identifier: BSD-3-Clause
"""The verbs that ask aerostatd, against a fake of it that can refuse, lie and go away."""
import contextlib
import copy
import grp
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from asking import GIB, FakeDaemon, ask, fake, guest, socket_path  # noqa: F401
from command import DONE, MIB, NO_GUEST, REFUSED, SHORT, UNREACHABLE, USAGE
from lab.wait import HANG_S, wait_for

INTERRUPTED = 130
EVERY_VERB = [["status"], ["explain", "alpha"], ["auto", "alpha"], ["reserve", "1G"], ["reload"]]


def row(table, name):
    """The cells of guest @name."""
    line, = re.findall(rf"^ ({name} .*)$", table, re.M)
    return re.split(r"  +", line)


# Reaching the daemon

@pytest.mark.parametrize("words", [*EVERY_VERB, ["record", "FILE"]])
def test_without_a_daemon_how_to_start_one_is_said(ask, tmp_path, words):
    words = [str(tmp_path / "file") if word == "FILE" else word for word in words]
    result = ask(*words)
    assert result.code == UNREACHABLE
    assert (f"aerostatd is not running (no socket {tmp_path}/aerostatd.sock); start it with "
            "systemctl start aerostatd, or aerostatd -c URI") in result.error
    assert result.out == ""
    assert not (tmp_path / "file").exists()


def test_a_socket_that_nobody_listens_at(ask, tmp_path):
    (tmp_path / "aerostatd.sock").touch()
    result = ask("status")
    assert result.code == UNREACHABLE
    assert "is not running (nothing listens on" in result.error


def test_the_socket_may_be_said(ask, fake, tmp_path):
    elsewhere = {"AEROSTAT_SOCKET": "/nonexistent/socket"}
    assert ask("status", env=elsewhere).code == UNREACHABLE
    assert ask("status", "--socket", fake.path, env=elsewhere).code == DONE


def test_a_path_too_long_for_a_socket(ask):
    result = ask("status", "--socket", "/" + "x" * 120)
    assert result.code == USAGE
    assert "longer than 107 bytes" in result.error


@pytest.mark.parametrize("words", EVERY_VERB)
def test_errors_are_json_too(ask, words):
    result = ask("--json", *words)
    assert result.json["error"]["code"] == "unreachable"
    assert result.json["error"]["exit_code"] == result.code == UNREACHABLE


@pytest.mark.parametrize("path, words", [("/v1/status", ["status"]),
                                         ("/v1/guests/alpha", ["explain", "alpha"])])
def test_a_daemon_that_denies_is_believed(ask, fake, path, words):
    fake.refuse["GET", path] = 403, "denied", "user nobody may not read"
    result = ask(*words)
    assert result.code == REFUSED
    assert result.error == "error: user nobody may not read"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_not_use_the_socket_is_told_whose_it_is(ask):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        program = shutil.copy(ask.binary, folder)
        with FakeDaemon(folder / "socket") as daemon:
            os.chmod(daemon.path, 0o660)
            result = subprocess.run([program, "status", "--socket", daemon.path], env=ask.env,
                                    capture_output=True, text=True, user=65534, group=65534,
                                    extra_groups=[], timeout=HANG_S)
        group = grp.getgrgid(os.getegid()).gr_name
        assert result.stderr == (
            f"error: no permission to use the socket {daemon.path} of aerostatd; "
            f"run as root, or as a member of the group {group}\n")
    assert result.returncode == REFUSED


@pytest.mark.parametrize("answer, says", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot JSON!", "its answer is not a JSON object"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "its answer is not a JSON object"),
    (b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n", "answered 500"),
    (b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n",
     "answered 302"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"host\":", "lost aerostatd"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "lost aerostatd"),
])
def test_whoever_else_listens_is_not_believed(ask, fake, answer, says):
    fake.raw["GET", "/v1/status"] = answer
    result = ask("status")
    assert result.code in (UNREACHABLE, REFUSED)
    assert says in result.error and fake.path in result.error
    assert result.out == ""


def test_a_daemon_that_hangs_is_not_waited_for_long(ask, fake):
    fake.hang.set()
    result = ask("status")
    assert result.code == UNREACHABLE
    assert "does not answer" in result.error


# status

def test_status_shows_the_host_in_a_few_words(ask, fake):
    fake.status["host"]["reserved_bytes"] = GIB
    result = ask("status")
    assert result.code == DONE
    assert ("host: 16 GiB RAM, 6 GiB available, memory pressure 1.2 %, 1 GiB reserved\n"
            "guests: want 900 MiB of the 12 GiB that they may use together\n") in result.out
    assert "overcommitted" not in result.out and "short" not in result.out
    assert "Problems" not in result.out and "Reservations" not in result.out
    assert "\033" not in result.out and result.err == ""


def test_status_of_a_daemon_that_has_just_started(ask, fake):
    fake.status.update(rounds=0, budget_bytes=None, want_bytes=None, guests=[])
    fake.status["host"] = {}
    assert ask("status").out == ("aerostatd has just started and has not sampled the host yet\n\n"
                                 "no guests\n")


def test_status_says_when_the_host_is_in_trouble(ask, fake):
    fake.status["overcommitted"] = fake.status["host"]["critical"] = True
    fake.status["recording"] = True
    out = ask("status").out
    assert "overcommitted: the guests need more than there is, and will swap" in out
    assert "the host is short of memory" in out
    assert "a recording is in progress" in out


def test_status_shows_each_guest_in_a_row(ask, fake):
    fake.status["guests"] = [guest(1, "alpha", actual_bytes=512 * MIB, target_bytes=448 * MIB,
                                   want_bytes=400 * MIB, max_bytes=GIB, need_bytes=300 * MIB)]
    assert row(ask("status").out, "alpha") == [
        "alpha", "auto", "512 MiB", "530 MiB", "448 MiB", "400 MiB", "1 GiB", "300 MiB", "0 s",
        "calm"]


def test_status_marks_what_a_person_decided(ask, fake):
    out = ask("status").out
    assert row(out, "alpha")[1] == "auto"
    assert row(out, "beta")[1] == "held*"
    assert " * set by a user; to undo: aerostat auto GUEST" in out
    fake.status["guests"].pop()
    assert "by a user" not in ask("status").out


@pytest.mark.parametrize("age_us, says", [(5_000_000, "5 s"), (5_000_001, "5 s stale"),
                                          (119_000_000, "119 s stale"),
                                          (120_000_000, "2 min stale"), (None, "none"),
                                          (10_000_000_000, "2 h stale")])
def test_status_marks_statistics_that_are_too_old(ask, fake, age_us, says):
    fake.status["guests"][0]["stats"]["age_us"] = age_us
    assert row(ask("status").out, "alpha")[8] == says


@pytest.mark.parametrize("changes, says", [
    ({"problem": "no such socket"}, "no answer"), ({"state": "paused"}, "paused"),
    ({"driver": "absent"}, "no driver"), ({"reason": "distress"}, "distress")])
def test_status_says_in_a_word_why(ask, fake, changes, says):
    fake.status["guests"][0].update(changes)
    assert row(ask("status").out, "alpha")[9] == says


def test_what_is_not_known_is_a_dash(ask, fake):
    fake.status["guests"][0].update(need_bytes=None, want_bytes=None, target_bytes=None)
    assert row(ask("status").out, "alpha")[4:8] == ["-", "-", "1 GiB", "-"]


def test_status_tells_problems_below(ask, fake):
    fake.status["problems"] = [{"source": "qemu:///system", "text": "no libvirtd"}]
    fake.status["guests"][0]["problem"] = "does not answer since 5 s"
    fake.status["guests"][1]["obstacle"] = "its memory is locked"
    out = ask("status").out
    assert ("\nProblems:\n  qemu:///system: no libvirtd\n  alpha: does not answer since 5 s\n"
            "  beta: cannot be shrunk: its memory is locked\n") in out


def test_status_says_what_guests_would_gain(ask, fake):
    alpha, beta = fake.status["guests"]
    alpha["gains"] = [{"ability": "report", "bytes": 212 * MIB},
                      {"ability": "relieve", "bytes": 512 * MIB},
                      {"ability": "pull", "bytes": None}, {"ability": "gate", "bytes": None},
                      {"ability": "of a later version", "bytes": 1}]
    beta["gains"] = [{"ability": "report", "bytes": 1000}, {"ability": "gate", "bytes": None}]
    assert ask("status").out.partition("\nNot in use:\n")[2].splitlines() == [
        "  alpha (212 MiB now), beta: freePageReporting='on' (QEMU: free-page-reporting=on) would "
        "return what it frees to the host at once",
        "  alpha (up to 512 MiB): autodeflate='on' (QEMU: deflate-on-oom=on) would have it take "
        "memory back instead of killing processes",
        "  alpha: aerostat's driver, with autodeflate='on', would have it take memory back before "
        "it swaps or kills",
        "  alpha, beta: aerostat's device (aerostat adopt) would bound what it takes back, so that "
        "the host can lend more"]
    assert ask("status", "--json").json["guests"][0]["gains"] == alpha["gains"]
    alpha["gains"] = beta["gains"] = []
    assert "Not in use" not in ask("status").out


def test_status_says_what_is_in_reserve(ask, fake):
    assert "\nin reserve for all: 1224 MiB\n" in ask("status").out
    fake.status["in_reserve_bytes"] = None
    assert "in reserve" not in ask("status").out


def test_status_tells_reservations_below(ask, fake):
    fake.status["reservations"] = [
        {"id": 4, "bytes": GIB, "free_bytes": 300 * MIB, "seconds_left": 250, "note": "db"},
        {"id": 5, "bytes": GIB, "free_bytes": GIB, "seconds_left": 9, "note": ""}]
    assert ("\nReservations:\n  4: 1 GiB, 300 MiB of it free now, ends in 250 s; db\n"
            "  5: 1 GiB, 1 GiB of it free now, ends in 9 s\n") in ask("status").out


def test_status_of_no_guests(ask, fake):
    fake.status["guests"] = []
    assert "no guests\n" in ask("status").out


@pytest.mark.parametrize("by", ["name", "address", "uuid"])
def test_status_of_some_guests(ask, fake, by):
    word = fake.status["guests"][1][by]
    out = ask("status", word).out
    assert row(out, "beta") and " alpha " not in out
    assert [one["name"] for one in ask("status", word, "--json").json["guests"]] == ["beta"]


def test_status_of_a_guest_that_is_not_managed(ask, fake):
    result = ask("status", "alpha", "gamma")
    assert result.code == NO_GUEST
    assert "aerostatd manages no guest 'gamma'; it manages: alpha, beta" in result.error
    assert result.out == ""


def test_status_in_json_is_the_daemons(ask, fake):
    assert ask("status", "--json").json == fake.status


def test_what_a_guest_is_called_cannot_steer_the_terminal(ask, fake):
    evil = "\033]0;evil\007a\nb\u009b2J\u202e"
    fake.status["guests"][0].update(name=evil, reason=evil, text=evil, problem=evil, mode=evil)
    fake.status["problems"] = [{"source": evil, "text": evil}]
    fake.status["reservations"] = [{"id": 1, "bytes": 1, "free_bytes": 1, "seconds_left": 1,
                                    "note": evil}]
    fake.history[0].update(reason=evil, text=evil)
    address = fake.status["guests"][0]["address"]
    for result in (ask("status"), ask("explain", address), ask("auto", address)):
        assert result.code == DONE
        assert not re.search("[\033\007\u009b\u202e]|a\nb", result.out), result.out
        assert "evil" in result.out


def on_a_terminal(ask, *words, **env):
    """What a person sees."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([ask.binary, *ask.args, *words], stdout=follower, stderr=follower,
                               env={**ask.env, "TERM": "xterm", **env})
    os.close(follower)
    seen = b""
    with contextlib.suppress(OSError):      # the end of a terminal
        while chunk := os.read(leader, 4096):
            seen += chunk
    os.close(leader)
    return process.wait(HANG_S), seen.decode()


def test_colours_are_for_terminals_that_want_them(ask, fake):
    fake.status["guests"][0]["critical"] = True
    _, seen = on_a_terminal(ask, "status")
    assert "\033[1;31mcalm\033[0m" in seen and "\033[1mGuest\033[0m" in seen
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\033[" not in on_a_terminal(ask, "status", **env)[1]
    coloured = re.sub("\033\\[[0-9;]*m", "", seen).replace("\r\n", "\n")
    assert coloured == ask("status").out


# explain

def test_explain_reads_well_at_three_in_the_morning(ask, fake):
    out = ask("explain", "alpha").out
    assert out.startswith("alpha has 512 MiB of 1 GiB\n"
                          "Why          calm: it will be shrunk once it has been calm for long")
    for line in (r" +needs 330 MiB, plus a reserve of 128 MiB: wants 458 MiB, has 512 MiB; gives",
                 r"Needs +320 MiB +in use, and cannot be dropped",
                 r"Demand +330 MiB", r"Reserve +128 MiB", r"Wants +458 MiB", r"Floor +232 MiB",
                 r"Bounds +232 MiB \(its floor\) to 1 GiB \(its RAM at boot\)",
                 r"Mode +auto: the policy sets its size", r"Distress +none",
                 r"Statistics +0 s old: 192 MiB available, 50 MiB free, 120 MiB cache$",
                 r"On the host +530 MiB", r"Own size +1 GiB +restored when aerostatd ends",
                 r"Targets +3 set, 0 failed",
                 r"  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d +600 MiB -> 512 MiB +idle"):
        assert re.search(rf"^{line}", out, re.M), line
    assert out.count("needs 320 MiB, plus a reserve of 128 MiB") == 3
    assert fake.asked == [("GET", "/v1/guests/alpha", None), ("GET", "/v1/status", None)]


def test_explain_says_what_a_guest_does_by_itself(ask, fake):
    assert re.search(r"^By itself +it does nothing$", ask("explain", "alpha").out, re.M)
    assert not re.search(r"^(Credit|Pulled|Trimmed)", ask("explain", "alpha").out, re.M)
    fake.status["guests"][0].update(
        abilities=["report", "relieve", "pull", "trim", "gate"], credit_bytes=64 * MIB,
        ceiling_bytes=768 * MIB, pulled_bytes=128 * MIB, trimmed_bytes=32 * MIB)
    out = ask("explain", "alpha").out
    for line in (r"By itself +returns what it frees, takes memory back instead of an OOM kill, "
                 r"takes memory back before it swaps, gives up cache on request, waits for credit",
                 r"Credit +64 MiB +it may take back now, up to a size of 768 MiB",
                 r"Pulled +128 MiB +taken back by itself since aerostatd found it; the host has "
                 r"1224 MiB in reserve for all",
                 r"Trimmed +32 MiB +page cache that it gave up on request"):
        assert re.search(rf"^{line}$", out, re.M), line


def test_explain_says_where_it_is_going(ask, fake):
    fake.status["guests"][0]["target_bytes"] = 448 * MIB
    assert ask("explain", "alpha").out.startswith(
        "alpha has 512 MiB of 1 GiB; its target is 448 MiB\n")


@pytest.mark.parametrize("changes, says", [
    ({"mode": "held", "mode_by": "person", "held_bytes": 300 * MIB},
     "Mode         held at 300 MiB by a user; to release it: aerostat auto alpha\nDistress"),
    ({"mode": "held", "mode_by": "person", "held_bytes": None},
     "Mode         held at the size it has by a user; to release it: aerostat auto alpha\n"
     "Distress"),
    ({"mode": "held", "mode_by": "file", "held_bytes": 300 * MIB},
     "Mode         held at 300 MiB by the configuration\nDistress"),
    ({"mode": "held", "mode_by": "person", "held_bytes": 300 * MIB},
     "not restored, as a user holds the guest at another\n"),
    ({"mode": "observe"},
     "Mode         observe: it is watched, but its size is not changed\nDistress"),
    ({"mode": "off"}, "Mode         off: it is left alone\nDistress"),
    ({"mode": "off", "mode_by": "person"},
     "a user set this mode; to undo: aerostat auto alpha\n"),
    ({"min_bytes": 300 * MIB, "limit_bytes": 600 * MIB},
     "Bounds       300 MiB (configured) to 600 MiB (configured)\n"),
    ({"pressured": True}, "Distress     pressured"),
    ({"pressured": True, "critical": True}, "Distress     critical"),
    ({"problem": "no such socket"}, "It does not answer: no such socket\n"),
    ({"obstacle": "its memory is locked"},
     "Obstacle     it cannot be shrunk: its memory is locked\n"),
    ({"state": "paused"}, "State        paused\n"),
    ({"driver": "absent"}, "Driver       no balloon driver runs in the guest"),
    ({"text": ""}, "Why          nothing has been decided yet\n"),
])
def test_explain_says_what_is_special(ask, fake, changes, says):
    assert says not in ask("explain", "alpha").out
    fake.status["guests"][0].update(changes)
    assert says in ask("explain", "alpha").out


@pytest.mark.parametrize("age_us, says", [(17_000_000, "17 s old (STALE, so no memory is taken):"),
                                          (None, "none: the guest has never reported any")])
def test_explain_doubts_old_statistics(ask, fake, age_us, says):
    fake.status["guests"][0]["stats"]["age_us"] = age_us
    assert f"Statistics   {says}" in ask("explain", "alpha").out


def test_explain_shows_as_many_changes_as_asked(ask, fake):
    fake.history = [dict(fake.history[0], text=f"change {number}") for number in range(20)]
    assert ask("explain", "alpha").out.count("    change ") == 10
    few = ask("explain", "alpha", "--number", "2").out
    assert "change 0\n" in few and "change 1\n" in few and "change 2\n" not in few
    assert len(ask("explain", "alpha", "-n", "3", "--json").json["history"]) == 3
    fake.history = []
    assert "The policy has not changed its size yet." in ask("explain", "alpha").out


@pytest.mark.parametrize("told, says", [(600 * MIB, "600 MiB"), (None, "580 MiB")])
def test_a_change_begins_at_what_the_guest_was_told_before(ask, fake, told, says):
    fake.history[0].update(actual_bytes=580 * MIB, target_before_bytes=told)
    assert f" {says} -> 512 MiB " in ask("explain", "alpha", "--number", "1").out


def test_explain_in_json_is_the_daemons(ask, fake):
    answer = ask("explain", "alpha", "--json").json
    assert answer.pop("history") == fake.history
    assert answer.pop("reason_help")
    assert answer == fake.status["guests"][0]


def test_a_guest_is_asked_for_by_any_name_it_has(ask, fake):
    for word in ("qmp:/nonexistent/alpha.qmp", fake.status["guests"][0]["uuid"]):
        assert ask("explain", word).out.startswith("alpha has")
    fake.status["guests"][0]["name"] = "a b/c?d#e%41ä"
    assert ask("explain", "a b/c?d#e%41ä").code == DONE


def test_a_guest_that_nobody_knows(ask, fake):
    result = ask("explain", "gamma")
    assert result.code == NO_GUEST
    assert "aerostatd knows no guest 'gamma'; there are: alpha, beta" in result.error


def test_a_name_of_two_guests(ask, fake):
    fake.status["guests"][1]["name"] = "alpha"
    for words in (["explain", "alpha"], ["auto", "alpha"]):
        result = ask(*words)
        assert result.code == NO_GUEST
        assert "'alpha' is the name of several guests" in result.error


# auto

def test_auto_takes_back_what_a_person_said(ask, fake):
    result = ask("auto", "beta")
    assert result.code == DONE
    assert result.out == "beta: the mode of the configuration applies again\n"
    assert fake.puts() == [("/v1/guests/beta/mode", {"mode": "auto"})]


@pytest.mark.parametrize("mode, says", [("observe", "watched, and left at its size"),
                                        ("off", "left alone")])
def test_auto_takes_hands_off(ask, fake, mode, says):
    assert ask("auto", "alpha", f"--{mode}").out == f"alpha: {says}, until: aerostat auto alpha\n"
    assert fake.puts() == [("/v1/guests/alpha/mode", {"mode": mode})]


def test_auto_of_all(ask, fake):
    assert ask("auto", "--all", "--json").json == {"guests": ["alpha", "beta"]}
    assert fake.puts() == [("/v1/mode", {"mode": "auto"})]
    fake.status["guests"] = []
    assert ask("auto", "--all").out == "no guest was changed\n"


def test_auto_declares_the_own_size_first(ask, fake):
    assert ask("auto", "alpha", "--own-size", "700M").code == DONE
    assert fake.puts() == [("/v1/guests/alpha/own-size", {"bytes": 700 * MIB}),
                           ("/v1/guests/alpha/mode", {"mode": "auto"})]


def test_an_own_size_that_is_refused_leaves_the_mode(ask, fake):
    fake.refuse["PUT", "/v1/guests/alpha/own-size"] = 400, "invalid", "its maximum is 1 GiB"
    result = ask("auto", "alpha", "--own-size", "2G")
    assert result.code != DONE and "its maximum is 1 GiB" in result.error
    assert fake.puts() == [("/v1/guests/alpha/own-size", {"bytes": 2048 * MIB})]


@pytest.mark.parametrize("words, says", [
    (["--all", "--own-size", "1G"], "--own-size excludes"),
    (["alpha", "--off", "--own-size", "1G"], "--own-size excludes"),
    (["alpha", "--own-size", "much"], "much")])
def test_auto_refuses_own_sizes_that_make_no_sense(ask, fake, words, says):
    result = ask("auto", *words)
    assert result.code == USAGE and says in result.error
    assert fake.puts() == []


def test_auto_that_is_denied(ask, fake):
    fake.refuse["PUT", "/v1/guests/alpha/mode"] = 403, "denied", "user joe may only read"
    result = ask("auto", "alpha")
    assert result.code == REFUSED
    assert "user joe may only read" in result.error


# reserve

def test_reserve_waits_until_all_is_free(ask, fake):
    fake.grows = [0, 400 * MIB, GIB]
    result = ask("reserve", "1", "GiB", "--ttl", "60", "--note", "db")
    assert result.code == DONE
    assert result.out == ("reservation 7: all of 1 GiB is free\n  ends:   in 60 s by itself\n"
                          "  cancel: aerostat reserve --cancel 7\n")
    assert fake.asked[0] == ("POST", "/v1/reservations",
                             {"bytes": GIB, "ttl_s": 60, "note": "db"})
    assert fake.asked[1:] == 2 * [("GET", "/v1/reservations/7", None)]


def test_reserve_shows_its_progress(ask, fake):
    fake.grows = [0, 512 * MIB, 512 * MIB, GIB]
    code, seen = on_a_terminal(ask, "reserve", "1G")
    assert code == DONE
    assert re.search(r"reservation 7 \[#+\.+\]  50%  512 MiB, going to 1 GiB", seen)
    assert "all of 1 GiB is free" in seen


def test_reserve_without_waiting(ask, fake):
    fake.grows = [100 * MIB]
    result = ask("reserve", "1G", "--no-wait")
    assert result.code == DONE
    assert "reservation 7: 100 MiB of 1 GiB is free; more becomes free as guests " in result.out
    assert [method for method, _, _ in fake.asked] == ["POST"]
    assert fake.asked[0][2] == {"bytes": GIB, "ttl_s": 300}


def test_reserve_that_is_not_free_in_time_stays(ask, fake):
    fake.grows = [100 * MIB]
    result = ask("reserve", "1G", "--timeout", "1")
    assert result.code == SHORT
    assert "100 MiB of 1 GiB is free after the timeout; more" in result.out
    assert len(fake.asked) < 20     # every 250 ms
    assert "aerostat reserve --cancel 7" in result.out
    assert fake.status["reservations"]
    result = ask("reserve", "--json", "1G", "--timeout", "1")
    assert result.code == SHORT
    assert (result.json["free_bytes"], result.json["bytes"]) == (100 * MIB, GIB)


def test_reserve_that_is_interrupted_stays(ask, fake):
    process = ask.start("reserve", "1G")
    wait_for(lambda: len(fake.asked) > 2, "it to wait")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=HANG_S)
    assert process.returncode == INTERRUPTED
    assert "interrupted, but it stays" in out and "--cancel 7" in out
    assert fake.status["reservations"]


def test_reserve_that_is_refused(ask, fake):
    fake.refuse["POST", "/v1/reservations"] = 409, "refused", "at most 2 GiB could get free"
    result = ask("reserve", "4G")
    assert result.code == REFUSED
    assert result.error == "error: at most 2 GiB could get free"


def test_reserve_that_ends_while_it_is_waited_for(ask, fake):
    process = ask.start("reserve", "1G")
    wait_for(lambda: len(fake.asked) > 1, "it to wait")
    fake.status["reservations"].clear()
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == REFUSED
    assert "the reservation ended before all of it was free" in err


def test_reserve_loses_the_daemon(ask, fake):
    process = ask.start("reserve", "1G")
    wait_for(lambda: len(fake.asked) > 1, "it to wait")
    os.unlink(fake.path)
    fake.raw["GET", "/v1/reservations/7"] = b""
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == UNREACHABLE
    assert err.count("\n") == 1


def test_a_reservation_is_cancelled(ask, fake):
    ask("reserve", "1G", "--no-wait")
    assert ask("reserve", "--cancel", "7").out == "reservation 7: cancelled\n"
    assert fake.asked[-1] == ("DELETE", "/v1/reservations/7", None)
    result = ask("reserve", "--cancel", "7")
    assert result.code == REFUSED
    assert "there is no reservation 7" in result.error


# reload

def test_reload_says_what_is_in_force(ask, fake):
    assert ask("reload").out == "/etc/aerostat/aerostat.conf is in effect\n"
    assert ask("reload", "--json").json == {"reloaded": "/etc/aerostat/aerostat.conf"}
    assert fake.asked[0] == ("POST", "/v1/reload", None)


@pytest.mark.parametrize("status, code", [(400, "invalid"), (409, "refused")])
def test_reload_that_is_refused_says_where_and_why(ask, fake, status, code):
    why = "/etc/aerostat/aerostat.conf, line 7: min '1furlong': unknown unit 'furlong'"
    fake.refuse["POST", "/v1/reload"] = status, code, why
    result = ask("reload")
    assert result.code == REFUSED
    assert result.error == f"error: {why}"


# record

@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.jsonl"


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def record(ask, fake, file, *words, end=signal.SIGINT):
    """Records all that the fake has, and ends that by a signal; returns the output."""
    process = ask.start("record", str(file), *words)
    wait_for(lambda: process.poll() is not None or
             file.exists() and len(file.read_text().splitlines()) == len(fake.lines), "lines")
    process.send_signal(end)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == DONE, err
    return out, err


def test_record_ends_by_ctrl_c_with_whole_lines(ask, fake, file):
    for number in (signal.SIGINT, signal.SIGTERM):
        file.unlink(missing_ok=True)
        out, err = record(ask, fake, file, end=number)
        assert out == (f"3 steps recorded in {file}\n"
                       f"  replay: aerostat simulate --recording {file}\n")
        assert err == ""
        assert lines_of(file) == fake.lines


def test_record_ends_after_its_seconds_though_nothing_comes(ask, fake, file):
    result = ask("record", str(file), "--seconds", "1", "--json")
    assert result.code == DONE
    # Less than all, or none, if the machine was busy for a second.
    lines = lines_of(file) if file.exists() else []
    assert result.json == {"file": str(file), "steps": max(0, len(lines) - 1)}
    assert lines == fake.lines[:len(lines)]


def test_record_goes_on_for_longer_than_an_answer_may_take(ask, fake, file):
    fake.pause_s = 2        # four lines: 8 s, and an answer may take 5
    record(ask, fake, file)
    assert lines_of(file) == fake.lines


def test_record_counts_steps_not_settings(ask, fake, file):
    fake.lines[2:3] = [{"settings": {}}]
    assert record(ask, fake, file)[0].startswith("2 steps recorded in")


def test_a_file_that_exists_is_kept(ask, fake, file):
    file.write_text("precious")
    result = ask("record", str(file), "--seconds", "1")
    assert result.code == REFUSED
    assert f"{file} exists; --force replaces it" in result.error
    assert file.read_text() == "precious" and fake.asked == []
    file.write_text("longer than what replaces it\n" * 100)
    record(ask, fake, file, "--force")
    assert lines_of(file) == fake.lines


def test_a_recording_that_is_refused_leaves_nothing(ask, fake, file):
    fake.refuse["POST", "/v1/recording"] = 409, "refused", "a recording is under way already"
    result = ask("record", str(file))
    assert result.code == REFUSED
    assert result.error == "error: a recording is under way already"
    assert not file.exists()
    file.write_text("precious")
    assert ask("record", str(file), "--force").code == REFUSED
    assert file.read_text() == "precious"


def test_a_daemon_that_ends_meanwhile_loses_no_step(ask, fake, file):
    fake.recording_ends = True
    fake.lines.append('{"host": {}, "half a li')
    result = ask("record", str(file))
    assert result.code == UNREACHABLE
    assert f"3 steps recorded in {file}" in result.error
    assert lines_of(file) == fake.lines[:-1]


@pytest.mark.parametrize("place, line", [(0, '{"host": {}}\n'), (2, "not JSON\n"), (2, "\n"),
                                         (1, '{"aerostat-recording": 1}\n')])
def test_what_is_no_recording_is_not_taken_for_one(ask, fake, file, place, line):
    fake.lines.insert(place, line)
    before = copy.copy(fake.lines[:place])
    result = ask("record", str(file))
    assert result.code == UNREACHABLE
    assert "is not part of a recording" in result.error
    assert (lines_of(file) if file.exists() else []) == before


def test_what_comes_at_once_is_taken_line_by_line(ask, fake, file):
    lines = [json.dumps(line) + "\n" for line in fake.lines]
    fake.raw["POST", "/v1/recording"] = (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" +
        "".join([*lines[:2], "not JSON\n", *lines[2:]]).encode())
    assert ask("record", str(file)).code == UNREACHABLE
    assert file.read_text() == "".join(lines[:2])


@pytest.mark.parametrize("path, force", [("/nonexistent/file", []), ("/dev/full", ["--force"]),
                                         ("/tmp", ["--force"])])
def test_a_file_that_cannot_be_written(ask, fake, path, force):
    result = ask("record", path, *force)
    assert result.code == REFUSED
    assert f"{path} cannot be written: " in result.error


@pytest.mark.parametrize("words, says", [
    (["explain"], "explain needs GUEST"),
    (["explain", "a", "b"], "unexpected argument 'b'"),
    (["explain", "a", "--number", "many"], "number 'many' is not a number from 0 to 1000"),
    (["auto"], "auto needs GUEST, or --all"),
    (["auto", "a", "--all"], "--all excludes a guest"),
    (["auto", "a", "--observe", "--off"], "--observe excludes --off"),
    (["reserve"], "reserve needs SIZE, or --cancel ID"),
    (["reserve", "1G", "--cancel", "3"], "--cancel excludes SIZE, --no-wait and --note"),
    (["reserve", "--cancel", "three"], "'three' is not the number of a reservation"),
    (["reserve", "--cancel", "0"], "'0' is not the number of a reservation"),
    (["reserve", "0"], "size '0' is zero"),
    (["reserve", "-1"], "size '-1' is negative"),
    (["reserve", "1furlong"], "unknown unit 'furlong'"),
    (["reserve", "1G", "--ttl", "0"], "ttl '0' is not a number from 1 to 86400"),
    (["reserve", "1G", "--timeout", "-3"], "timeout '-3' is not a number"),
    (["reload", "now"], "unexpected argument 'now'"),
    (["record"], "record needs FILE"),
    (["record", "/nonexistent/x", "--seconds", "0"], "seconds '0' is not a number from 1 to"),
    (["status", "--frobnicate"], "unknown option '--frobnicate'"),
])
def test_a_wrong_command_line_is_one_clear_line(ask, fake, words, says):
    result = ask(*words)
    assert result.code == USAGE
    assert says in result.error
    assert result.err.count("\n") == 1 and result.out == ""
    assert fake.asked == []
