# SPDX-License-Identifier: BSD-3-Clause
"""Names and texts from outside are printed without anything that could steer a terminal."""
import contextlib
import json
import os
import re
import subprocess
import sys

import pytest

from asking import TESTS
from conftest import BUILD
from daemon import Daemon
from lab.wait import HANG_S, wait_for

EVIL = "web\033]0;evil\007\n\u009b2J\u202e\u2066\177"
# What it is called everywhere: see common/plain_text.h.
SHOWN = r"web\x1b]0;evil\x07\x0a\xc2\x9b2J\xe2\x80\xae\xe2\x81\xa6\x7f"
FILE = b"a\033[7m\xff\xc2\x9b.qmp"
FILE_SHOWN = r"a\x1b[7m\xff\xc2\x9b.qmp"
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")

# One row per verb: how it is called, and whether it prints the guest's name.
VERBS = {
    "list": (["list"], True),
    "dominfo": (["dominfo", "GUEST"], True),
    "setmem": (["setmem", "GUEST", "1G"], True),
    "setmaxmem": (["setmaxmem", "GUEST", "2G"], False),
    "dommemstat": (["dommemstat", "GUEST", "--period", "1"], True),
    "domstats": (["domstats"], True),
    "event": (["event", "GUEST", "--timeout", "1"], False),
    "edit": (["edit", "GUEST"], False),
    "adopt": (["adopt", "GUEST"], False),
    "unadopt": (["unadopt", "GUEST"], False),
    "status": (["status"], True),
    "top": (["top"], False),
    "explain": (["explain", "GUEST"], True),
    "auto": (["auto", "GUEST", "--observe"], True),
    "reserve": (["reserve", "1M", "--note", EVIL], False),
    "reload": (["reload"], False),
    "record": (["record", f"/nonexistent/{EVIL}"], False),
    "simulate": (["simulate", "--recording", f"/nonexistent/{EVIL}"], False),
    "help": (["help", EVIL], False),
}
TAKES_JSON = {"list", "dominfo", "setmem", "dommemstat", "domstats", "status", "explain", "auto",
              "reload", "setmaxmem", "edit", "adopt", "record", "help"}


def assert_plain(raw):
    """@raw is valid UTF-8 that steers nothing; returns its text."""
    text = raw.decode()
    assert not STEERS.search(text), repr(text)
    return text


@contextlib.contextmanager
def peer(folder, *words, name=EVIL, file=FILE):
    """A guest whose name and whose socket's name are not what one hopes for."""
    path = os.path.join(os.fsencode(folder), file)
    process = subprocess.Popen([sys.executable, str(TESTS / "fake_qmp.py"), path, "--name", name,
                                *words], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline().startswith(b"ready ")
        yield path
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """The guest, and a daemon that manages it; returns how to run a verb."""
    folder = tmp_path_factory.mktemp("scene")
    with peer(folder) as path:
        with Daemon(BUILD / "aerostatd/aerostatd", folder / "daemon", "", "--qmp",
                    f"{folder}/*.qmp") as daemon:
            wait_for(lambda: any(guest["max_bytes"] for guest in daemon.status()["guests"]),
                     "aerostatd to find the guest")

            def run(*words):
                return subprocess.run(
                    [BUILD / "aerostat/aerostat", "--qmp", f"{folder}/*.qmp", *words],
                    stdin=subprocess.DEVNULL, capture_output=True, timeout=HANG_S,
                    env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "dumb",
                         "XDG_RUNTIME_DIR": str(folder), "EDITOR": "true",
                         "AEROSTAT_CONFIG": "/dev/null",
                         "AEROSTAT_SOCKET": str(daemon.socket_path)})
            run.daemon, run.path = daemon, path
            yield run


def test_every_verb_has_a_row(scene):
    verbs = json.loads(scene("help", "--json").stdout)["verbs"]
    assert {verb["name"] for verb in verbs} == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_lets_a_name_steer_the_terminal(scene, verb):
    words, prints_name = VERBS[verb]
    result = scene(*[SHOWN if word == "GUEST" else word for word in words])
    out = assert_plain(result.stdout) + assert_plain(result.stderr)
    assert out.strip()
    assert not prints_name or SHOWN in out, out


@pytest.mark.parametrize("verb", sorted(TAKES_JSON))
def test_json_is_never_empty_whatever_a_guest_is_called(scene, verb):
    words = [SHOWN if word == "GUEST" else word for word in VERBS[verb][0]]
    text = assert_plain(scene(*words, "--json").stdout)
    assert json.loads(text)


@pytest.mark.parametrize("form", ["address as shown", "address as it is", "name as shown"])
def test_a_guest_is_found_by_what_is_shown_of_it(scene, form):
    word = {"address as shown": f"qmp:{os.path.dirname(os.fsdecode(scene.path))}/{FILE_SHOWN}",
            "address as it is": b"qmp:" + scene.path, "name as shown": SHOWN}[form]

    def found():
        """The command waits only 1 s for the names of guests."""
        info = json.loads(scene("dominfo", word, "--json").stdout)
        return info if "name" in info else None
    info = wait_for(found, "the guest to be found")
    assert info["name"] == SHOWN
    assert info["address"].endswith("/" + FILE_SHOWN)


def test_a_socket_whose_name_is_not_utf_8_is_listed(scene):
    rows = json.loads(scene("list", "--json").stdout)     # also of one that does not answer
    assert [row["address"].rsplit("/", 1)[1] for row in rows] == [FILE_SHOWN]


def test_an_error_of_a_peer_cannot_steer_the_terminal(tmp_path, aerostat):
    with peer(tmp_path, "--mode", "error", "--refusal", EVIL) as path:
        for words in (["list"], ["list", "--json"], ["dominfo", b"qmp:" + path], ["domstats"]):
            result = subprocess.run([aerostat.binary, "--qmp", f"{tmp_path}/*.qmp", *words],
                                    capture_output=True, env=aerostat.env, timeout=HANG_S)
            out = assert_plain(result.stdout) + assert_plain(result.stderr)
            assert "evil" in out, out


@pytest.mark.parametrize("word", [b"\xff", b"no" + EVIL.encode()])
def test_a_word_that_is_not_printable_is_refused_in_json_too(scene, word):
    result = scene("dominfo", word, "--json")
    assert json.loads(assert_plain(result.stdout))["error"]["code"] == "no-guest"
    assert_plain(result.stderr)


@pytest.mark.parametrize("path", ["/v1/status", "/metrics"])
def test_the_api_answers_with_printable_names(scene, path):
    body = scene.daemon.request("GET", path).body
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    assert "evil" in assert_plain(text.encode())


def test_events_recordings_and_the_log_have_printable_names(scene):
    with scene.daemon.events(after=0) as events:
        found = events.wait_for("guest-found")
    assert found["guest"] == SHOWN
    assert assert_plain(scene.daemon.log_path.read_bytes())
    assert SHOWN in scene.daemon.log()
