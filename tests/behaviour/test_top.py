# SPDX-License-Identifier: BSD-3-Clause
"""aerostat top on a terminal of its own, over a daemon that answers from a script."""
import contextlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from command import DONE, MIB, UNREACHABLE, USAGE
from lab.wait import HANG_S, wait_for
from terminal import Terminal

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "fakes"))

import fake_daemon  # noqa: E402

GIB = 1024 * MIB
HOSTILE = "ev\x1b[31mil\nname\u202e\u2028" + "漢字" * 30
LONG_REASON = ("needs 610 MiB, plus a reserve of 128 MiB (peak growth 45 MiB/s): wants 738 MiB, "
               "has 1638 MiB; left unchanged")


def guest(number, name, actual, **changes):
    """A guest of 2 GiB that wants 738 MiB."""
    return fake_daemon.guest(number, name, **{
        "address": f"qmp:/run/{number}.qmp", "max_bytes": 2 * GIB, "actual_bytes": actual * MIB,
        "target_bytes": actual * MIB, "resident_bytes": actual * MIB, "need_bytes": 610 * MIB,
        "want_bytes": 738 * MIB, "reason": "none", "text": f"the reason of {name}", **changes})


def some_guests():
    return [guest(1, "alpha", 1638, text=LONG_REASON),
            guest(2, "beta", 1024, critical=True, pressured=True, reason="distress"),
            guest(3, "carol", 512, mode="held", mode_by="person", held_bytes=512 * MIB,
                  reason="fixed"),
            guest(4, "delta", 2048, stats={"age_us": 17_000_000}, reason="stale",
                  want_bytes=1900 * MIB)]


class OneRequest(fake_daemon.Handler):
    """Ends each connection, so that none outlives the daemon."""

    protocol_version = "HTTP/1.0"


class Daemon(fake_daemon.FakeDaemon):
    """Its guests each have a past of their own."""

    def __init__(self, path):
        super().__init__(path)
        self.server.RequestHandlerClass = OneRequest
        self.status["host"]["pressure"] = 0.034
        self.status.update(guests=some_guests(), budget_bytes=13 * GIB)

    def answer(self, method, path, body):
        code, answer = super().answer(method, path, body)
        if "history" in answer:
            past = {**fake_daemon.CHANGE, "text": f"past of {answer['name']}"}
            answer = {**answer, "history": [past]}
        return code, answer

    @property
    def guests(self):
        return self.status["guests"]

    @guests.setter
    def guests(self, guests):
        self.status["guests"] = guests


@pytest.fixture
def socket(tmp_path):
    return tmp_path / "daemon.sock"


@pytest.fixture
def daemon(socket):
    with Daemon(socket) as running:
        yield running


def let_pass(seconds):
    """Until the clock, which the picture shows in seconds, has moved on."""
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end, "time to pass")


@pytest.fixture
def top(aerostat, socket):
    """Starts aerostat top; ends it with the test."""
    with contextlib.ExitStack() as stack:
        def start(*words, width=80, height=24, **env):
            argv = [aerostat.binary, "top", "--socket", str(socket), *words]
            env = {**aerostat.env, "TERM": "linux", "TZ": "UTC", **env}
            while True:
                terminal = Terminal(argv, env, width, height)
                stack.callback(terminal.close)
                terminal.begins()
                # It waits a second for the daemon, which is in this process, and may be late.
                if terminal.code is None or b"does not answer" not in terminal.raw:
                    return terminal
        yield start


# A key's request, too, is given up after a second.
LATE = "was not changed: aerostatd on "


def does(terminal, key, *patterns):
    """A key has its effect; it is pressed again if the daemon was late."""
    terminal.press(key)
    terminal.until(lambda text: all(re.search(pattern, text, re.M) for pattern in patterns)
                   or LATE in text and terminal.press(key), f"{patterns} to match")


def shows_past_of(terminal, name):
    """What is asked for once in an interval, and again with any key if the daemon was late."""
    terminal.until(lambda text: f"▸{name}" in text and (
        f"past of {name}" in text or terminal.press("x")), f"the past of {name}")


@pytest.mark.parametrize("words, hint", [(["top"], "aerostat status"),
                                         (["--json", "top"], "aerostat status --json")])
def test_without_a_terminal_it_points_to_status(aerostat, words, hint):
    result = aerostat(*words)
    assert result.code == USAGE
    assert hint in result.error
    assert result.out == "" or result.json["error"]["code"] == "usage"


def test_json_is_refused_on_a_terminal_too(top):
    terminal = top("--json")
    assert terminal.ends() == USAGE
    assert "aerostat status --json" in terminal.look()


def test_keys_are_needed_as_much_as_a_screen(aerostat, socket):
    ours, theirs = os.openpty()
    with open(ours, "rb"), open(theirs, "wb") as out:
        ended = subprocess.run([aerostat.binary, "top", "--socket", str(socket)], check=False,
                               env=aerostat.env, stdin=subprocess.DEVNULL, stdout=out,
                               stderr=subprocess.PIPE, text=True, timeout=HANG_S)
    assert ended.returncode == USAGE
    assert "aerostat status" in ended.stderr


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "1e9"])
def test_an_interval_that_makes_no_sense_is_refused(aerostat, interval):
    result = aerostat("top", f"--interval={interval}")
    assert result.code == USAGE
    assert "interval" in result.error


@pytest.mark.parametrize("term", ["dumb", "no-such-terminal"])
def test_a_terminal_that_cannot_be_drawn_on_is_refused(top, daemon, term):
    terminal = top(TERM=term)
    assert terminal.ends() == USAGE
    assert f"terminal type '{term}' cannot be drawn on" in terminal.look()


def test_without_a_daemon_it_says_so_and_takes_no_terminal(top):
    terminal = top()
    assert terminal.ends() == UNREACHABLE
    assert terminal.line("error: ")
    assert b"\x1b" not in terminal.raw


def test_it_shows_host_and_guests(top, daemon):
    top().matches("alpha", "past of", "16 GiB", "13 GiB", "pressure 3[.]4 %",
                  r"^ beta +!! .*1 GiB +2 GiB +0 s distress",
                  r"^ carol .*512 MiB +2 GiB +0 s held/user",
                  r"^ delta +\? .*2 GiB +2 GiB +17 s stale")


def test_the_picture_follows_the_daemon(top, daemon):
    terminal = top("--interval", "0.1")
    terminal.shows("alpha")
    assert "OVERCOMMITTED" not in terminal.look()
    daemon.guests = daemon.guests[:1] + [guest(9, "newcomer", 300)]
    daemon.status["overcommitted"] = True
    terminal.shows("newcomer", "OVERCOMMITTED", without=["carol"])


def test_a_long_interval_is_kept(top, daemon):
    terminal = top("--interval", "3600")
    shows_past_of(terminal, "alpha")
    daemon.guests = daemon.guests + [guest(9, "newcomer", 300)]
    let_pass(1.5)
    assert "newcomer" not in terminal.look()
    terminal.press("j")
    shows_past_of(terminal, "beta")


def test_the_guest_selected_is_explained_in_full(top, daemon):
    terminal = top()
    terminal.until(lambda text: LONG_REASON in " ".join(text.split()), "the whole reason")
    terminal.shows("▸alpha", "past of alpha")
    for keys, name in (("j", "beta"), ("\x1b[B", "carol"), ("k", "beta"), ("\x1b[A", "alpha"),
                       ("G", "delta"), ("g", "alpha"), ("k", "alpha")):
        terminal.press(keys)
        terminal.shows(f"▸{name}", f"past of {name}")


def test_hold_observe_and_auto_are_asked_of_the_daemon(top, daemon):
    terminal = top("--interval", "3600")
    terminal.shows("▸alpha")
    terminal.press("j")
    does(terminal, "h", "beta is held at 1 GiB; press a to undo", "^▸beta.* held/user")
    assert {path for path, _ in daemon.puts()} == {"/v1/guests/beta/mode"}
    assert all(body == {"mode": "held"} for _, body in daemon.puts())
    does(terminal, "o", "beta is only observed")
    does(terminal, "a", "beta is in the mode of the configuration again")
    modes = [mode for mode, _ in itertools.groupby(body["mode"] for _, body in daemon.puts())]
    assert modes == ["held", "observe", "auto"]


def test_what_the_daemon_refuses_is_told(top, daemon):
    daemon.refuse["PUT", "/v1/guests/alpha/mode"] = (409, "refused", "it is being moved")
    terminal = top()
    terminal.shows("▸alpha")
    does(terminal, "h", "alpha was not changed: it is being moved")


def test_of_namesakes_the_one_selected_is_meant(top, daemon):
    daemon.guests = [guest(1, "twin", 300), guest(2, "twin", 400)]
    terminal = top()
    terminal.shows("▸twin", "past of twin")
    terminal.press("j")
    does(terminal, "h", "twin is held at 400 MiB")
    assert [one["mode"] for one in daemon.guests] == ["auto", "held"]


def test_a_name_of_any_letters_is_asked_for(top, daemon):
    daemon.guests = [guest(1, HOSTILE + "/../%2f?#", 300)]
    terminal = top()
    terminal.shows("▸ev?[31mil?nam…")
    does(terminal, "h", "is held at 300 MiB")
    assert daemon.guests[0]["mode"] == "held"


def test_sorting_goes_round_and_keeps_the_selection(top, daemon):
    terminal = top()
    terminal.shows("▸alpha")
    orders = {"actual": ["delta", "alpha", "beta", "carol"],
              "pressure": ["beta", "carol", "alpha", "delta"],
              "want": ["delta", "alpha", "beta", "carol"],
              "name": ["alpha", "beta", "carol", "delta"]}
    for sort, order in orders.items():
        terminal.press("s")
        rows = "(?s:.*)".join(f"^[ ▸]{name} " for name in order)
        terminal.matches(f"s sort: {sort}", rows, "▸alpha")


def test_help_covers_the_list_until_a_key(top, daemon):
    terminal = top()
    terminal.shows("▸alpha")
    terminal.press("?")
    terminal.shows("N need  W want  T target", "any key: back", without=["▸alpha"])
    terminal.press("x")
    terminal.shows("▸alpha")


def test_it_follows_the_size_of_the_terminal(top, daemon):
    terminal = top("--interval", "3600")
    terminal.shows("▸alpha")
    terminal.resize(120, 40)
    terminal.until(lambda text: "q quit" in text.splitlines()[39]
                   and re.search(r"carol .*held/user +fixed", text), "the keys to go down")
    terminal.resize(30, 6)
    terminal.shows("needs 40x8; the")
    terminal.resize(40, 8)
    terminal.until(lambda text: "q quit" in text.splitlines()[7] and "▸alpha" in text
                   and "delta" in text, "the smallest picture")


def colours(terminal):
    terminal.look()
    return {char.fg for line in terminal.screen.buffer.values() for char in line.values()}


def test_pressure_is_coloured(top, daemon):
    terminal = top()
    terminal.shows("▸alpha", "past of alpha", "delta")
    wait_for(lambda: "red" in {char.fg for char in terminal.row(" beta ")}, "beta to be red")
    assert "red" not in {char.fg for char in terminal.row("▸alpha")}


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "vt100"}])
def test_without_colours_pressure_is_marked_all_the_same(top, daemon, env):
    terminal = top(**env)
    terminal.matches("▸alpha", "^ beta .* !! ", "past of alpha")
    assert colours(terminal) == {"default"}


def test_other_locales_get_ascii(top, daemon):
    daemon.guests[1]["name"] = HOSTILE
    terminal = top(LC_ALL="C")
    text = terminal.matches(">alpha.*########", "past of alpha", r"ev\?\[31mil\?")
    assert text.isascii() and terminal.raw.isascii()


def columns_of(pattern, text):
    """Where it begins, in each line that has it."""
    found = [re.search(pattern, line) for line in text.splitlines()]
    return [match.start() for match in found if match]


def test_a_hostile_name_moves_nothing(top, daemon):
    daemon.guests[1]["name"] = HOSTILE
    daemon.guests[1]["text"] = HOSTILE
    terminal = top()
    terminal.shows(" ev?[31mil?nam…", "delta")
    terminal.until(lambda text: columns_of(r" 2 GiB +\d+ s ", text) == 4 * [
        min(columns_of(r" 2 GiB +\d+ s ", text), default=0)], "four rows with the same columns")
    assert HOSTILE[2:9].encode() not in terminal.raw


def test_a_daemon_that_goes_leaves_the_picture_and_is_found_again(top, socket):
    with Daemon(socket):
        terminal = top("--interval", "0.1")
        terminal.shows("▸alpha")
    socket.unlink()
    text = terminal.matches(r"no answer since \d+:\d+:\d+", "▸alpha", "delta")
    since = re.search(r"no answer since (\S+)", text)[1]
    let_pass(2)
    terminal.press("j")
    terminal.shows("▸beta", since)
    terminal.press("h")
    terminal.shows("beta was not changed: ")
    with Daemon(socket) as again:
        terminal.until(lambda text: "no answer since" not in text, "the daemon to be found")
        assert not again.puts()


def test_a_daemon_that_hangs_holds_up_nobody_for_long(top, daemon):
    terminal = top("--interval", "0.1")
    terminal.shows("▸alpha")
    daemon.hang.set()
    terminal.shows("no answer since")
    terminal.press("j")
    terminal.shows("▸beta")
    terminal.press("q")
    assert terminal.ends() == DONE


@pytest.mark.parametrize("way", ["q", "\x03", signal.SIGTERM])
def test_it_leaves_the_terminal_as_it_was(top, daemon, way):
    terminal = top()
    terminal.shows("▸alpha")
    assert not terminal.echoes
    if isinstance(way, str):
        terminal.press(way)
    else:
        os.kill(terminal.pid, way)
    assert terminal.ends() == DONE
    assert terminal.echoes


def test_it_ends_with_its_terminal(top, daemon):
    terminal = top("--interval", "3600")
    terminal.shows("▸alpha")
    terminal.hang_up()
    assert terminal.ends() == DONE
