# SPDX-License-Identifier: BSD-3-Clause
"""What a GUEST on the command line means, to the command and to the daemon."""
import contextlib
import json
import os
import re
import subprocess

import pytest

from asking import fake_qmp
from command import DONE, NO_GUEST
from conftest import BUILD
from daemon import Daemon
from lab.wait import HANG_S, wait_for

UUID = "aaaaaaaa-0000-4000-8000-00000000000"
# Socket, name and UUID of each guest behind a monitor.
GUESTS = [("alpha", "beta", "1"), ("beta", "alpha", "2"), ("one", "web", "3"),
          ("two", "web", "4"), ("three", "my vm 1", "5"), ("four", "--all", "6"),
          ("five", UUID + "1", "7"), ("six", "it's a/b \"c\" $(d)", "8"),
          ("seven", "[a-z]*", "9"), ("eight", "..", "d"), ("nine", "%41?#", "e")]
# libvirt's own test driver numbers domains in this order: "x y" has id 1.
NODE = "<node>" + "".join(
    f"<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>1048576</memory>"
    f"<vcpu>1</vcpu><os><type>hvm</type></os></domain>"
    for name, uuid in (("x y", UUID + "b"), ("1", UUID + "c"))) + "<cpu><mhz>1</mhz></cpu></node>"

ALONE = ["my vm 1", "three", "three.qmp", "--all", "four", f"uuid:{UUID}1", f"uuid:{UUID}7",
         "it's a/b \"c\" $(d)", "[a-z]*", "seven", "..", "%41?#", "x y", "2", f"uuid:{UUID}c",
         UUID + "3"]
AMBIGUOUS = ["alpha", "beta", "web", UUID + "1", "1"]
NOBODY = ["my vm", "nobody", "uuid:nobody", "three.", "-1", "*"]


class Scene:
    """The guests, a daemon that manages them, and the command."""

    def __init__(self, folder, daemon):
        self.folder, self.daemon = folder, daemon
        self.env = {"PATH": f"{BUILD / 'aerostat'}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8",
                    "AEROSTAT_CONFIG": "/dev/null", "XDG_RUNTIME_DIR": str(folder),
                    "AEROSTAT_SOCKET": str(daemon.socket_path)}
        self.sources = ["--qmp", f"{folder}/*.qmp", "-c", f"test://{folder}/node.xml"]

    def __call__(self, verb, *words):
        return subprocess.run(["aerostat", *self.sources, verb, *words], capture_output=True,
                              text=True, env=self.env, timeout=HANG_S)

    def until(self, code, verb, *words, says=""):
        """The result once all guests have answered: the command waits 1 s for their names."""
        def is_so():
            result = self(verb, *words)
            return result if result.returncode == code and says in result.stderr else None
        return wait_for(is_so, f"{verb} {words} to end with {code}")

    def shell(self, line):
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=self.env,
                              timeout=HANG_S)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    (folder / "node.xml").write_text(NODE)
    with contextlib.ExitStack() as stack:
        for file, name, digit in GUESTS:
            stack.enter_context(fake_qmp(folder / f"{file}.qmp", f"--name={name}",
                                         f"--uuid={UUID}{digit}"))
        daemon = stack.enter_context(Daemon(
            BUILD / "aerostatd/aerostatd", folder / "daemon", "", "--qmp", f"{folder}/*.qmp",
            "-c", f"test://{folder}/node.xml"))
        wait_for(lambda: sum(bool(guest["uuid"]) for guest in daemon.status()["guests"])
                 == len(GUESTS) + 2, "aerostatd to find all guests")
        yield Scene(folder, daemon)


@pytest.mark.parametrize("word", ALONE)
def test_a_word_means_the_same_guest_to_command_and_daemon(scene, word):
    answers = [scene.until(DONE, verb, "--json", "--", word) for verb in ("dominfo", "explain")]
    assert len({json.loads(answer.stdout)["uuid"] for answer in answers}) == 1


@pytest.mark.parametrize("word", AMBIGUOUS)
@pytest.mark.parametrize("verb", ["dominfo", "setmem", "explain", "auto"])
def test_a_word_that_means_two_guests_is_refused_by_all(scene, verb, word):
    result = scene.until(NO_GUEST, verb, word, *(["1G"] if verb == "setmem" else []),
                         says=f"'{word}' means 2 guests: ")
    exact = re.findall(r"\((qmp:[^)]+|uuid:[^)]+)\)", result.stderr)
    assert len(exact) == 2
    for one in exact:
        scene.until(DONE, "dominfo", one)


@pytest.mark.parametrize("word", NOBODY)
def test_a_word_that_means_nobody_is_refused_by_all(scene, word):
    for verb in ("dominfo", "explain", "auto"):
        result = scene(verb, "--", word)
        assert result.returncode == NO_GUEST, (verb, result)


@pytest.mark.parametrize("word", ["my vm 1", "--all", "it's a/b \"c\" $(d)", "[a-z]*",
                                  f"uuid:{UUID}3"])
def test_hints_work_when_pasted_into_a_shell(scene, word):
    for said in (scene("auto", "--observe", "--", word), scene("explain", "--", word)):
        assert said.returncode == DONE, said.stderr
        hint = re.search("aerostat auto .*", said.stdout)[0]
        assert scene.shell(hint + " --json" if " -- " not in hint else hint).returncode == DONE
        assert scene.daemon.guest(word)["mode"] == "auto"
        scene("auto", "--observe", "--", word)
    scene("auto", "--", word)


@pytest.mark.parametrize("verb", ["list", "status", "domstats"])
def test_guests_of_equal_names_are_shown_with_their_addresses(scene, verb):
    def shows_both():
        """Once both have answered in time."""
        out = scene(verb).stdout
        return out if all(f"qmp:{scene.folder}/{file}.qmp" in out for file in ("one", "two")) \
            else None
    out = wait_for(shows_both, f"{verb} to show both addresses")
    assert f"qmp:{scene.folder}/three.qmp" not in out


def test_explain_shows_the_address(scene):
    assert f"qmp:{scene.folder}/three.qmp" in scene("explain", "three").stdout
