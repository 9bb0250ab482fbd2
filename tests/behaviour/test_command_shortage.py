# SPDX-License-Identifier: BSD-3-Clause
"""The command and the device when a call of theirs fails for want of something.

They succeed, or fail with an error: they never crash, and never say that a guest is not there.
"""
import json
import random
import re
import subprocess

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from fakes import fake_guests
from lab import qmp
from lab.errors import GuestError, GuestGone
from lab.wait import HANG_S, wait_for

AEROSTAT = BUILD / "aerostat/aerostat"
DEVICE = BUILD / "aerostat-device/aerostat-device"
SHORTAGE = BUILD / "tests/fakes/fake-shortage.so"
CLASSES = ("open", "socket", "thread", "disk", "memory")
COUNTS = (1, 3)     # how many calls fail
SAMPLE = 12         # points per command, when not all are tried
MEMORY_SAMPLE = 60  # of the thousands of calls, when all others are tried
COUNT = 3
NAME = "guest-0001"
LIBVIRT = "test:///default"     # libvirt's test driver, in the command's own process
VARIES = ("rss", "CPU time", "Resident")     # from one moment to the next
# GLib ends a process that has no descriptor or thread for its first loops, or no memory.
GLIB_ENDS = re.compile(r"GLib-ERROR.*(GWakeup|thread 'gmain'|failed to allocate)|"
                       r"GLib \(gthread-posix.c\): .* Aborting")
NO_GUEST = 6        # docs/man/aerostat.1.scd


@pytest.fixture(scope="module")
def fakes(tmp_path_factory):
    with fake_guests(tmp_path_factory.mktemp("guests"), COUNT, max="1024M", rate=100000) as guests:
        yield guests


def environment(counts, plan=""):
    """With a runtime folder that no other test's guests of the same UUIDs are known in."""
    return {"LC_ALL": "C.UTF-8", "XDG_RUNTIME_DIR": str(counts.parent),
            "LD_PRELOAD": str(SHORTAGE), "FAKE_SHORTAGE": plan,
            "FAKE_SHORTAGE_COUNTS": str(counts)}


def run(fakes, counts, words, plan=""):
    return subprocess.run([AEROSTAT, "--qmp", fakes.sources, *words], timeout=HANG_S,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=environment(counts, plan))


def choose_plans(counts, everything, sample=SAMPLE):
    calls = dict(line.split() for line in counts.read_text().splitlines())
    points = {name: [f"{name}:{first}:{count}" for count in COUNTS
                     for first in range(1, int(calls[name]) + 1)] for name in CLASSES}
    seed = random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)
    memory = points.pop("memory")
    plans = sum(points.values(), [])
    if everything:
        plans += chance.sample(memory, min(MEMORY_SAMPLE, len(memory)))
    print("seed", seed, "points", len(plans), {name: int(calls[name]) for name in CLASSES})
    return plans if everything else chance.sample(plans, min(sample, len(plans)))


def size(fakes):
    return qmp.ask(fakes.folder / f"{NAME}.qmp", "query-balloon", {})["actual"]


def explain(plan, result):
    return f"{plan}: {result.returncode}\n{result.stdout}\n{result.stderr}"


def check_failure(plan, result):
    ended = GLIB_ENDS.search(result.stderr)
    assert result.returncode >= 0 or ended, explain(plan, result)
    assert result.returncode != NO_GUEST, explain(plan, result)
    assert not result.returncode or "error: " in result.stderr or ended, explain(plan, result)


def test_list_shows_every_guest_or_says_what_it_could_not_see(fakes, tmp_path, request):
    counts = tmp_path / "counts"
    assert run(fakes, counts, ["list"]).returncode == 0
    for plan in choose_plans(counts, request.config.getoption("--long")):
        result = run(fakes, counts, ["list"], plan)
        check_failure(plan, result)
        seen = [name for name in map(fakes.name, range(COUNT)) if name in result.stdout]
        assert result.returncode or len(seen) == COUNT or "warning: " in result.stderr, \
            explain(plan, result)


@pytest.mark.parametrize("words", [("dominfo", NAME), ("dommemstat", NAME),
                                   ("-c", LIBVIRT, "dominfo", "test")],
                         ids=lambda words: " ".join(words[:2]))
def test_what_an_answer_says_is_true(fakes, tmp_path, request, words):
    counts = tmp_path / "counts"
    right = run(fakes, counts, words)
    assert right.returncode == 0, right.stderr
    for plan in choose_plans(counts, request.config.getoption("--long")):
        result = run(fakes, counts, words, plan)
        check_failure(plan, result)
        # What could not be measured may be left out.
        false = [line for line in result.stdout.splitlines() if line not in right.stdout
                 and not line.startswith(VARIES)]
        assert result.returncode or not false, explain(plan, result)


def test_setmem_succeeds_only_if_the_guest_has_its_size(fakes, tmp_path, request):
    counts = tmp_path / "counts"
    assert run(fakes, counts, ["setmem", NAME, "1000M"]).returncode == 0
    for number, plan in enumerate(choose_plans(counts, request.config.getoption("--long"))):
        target = 980 + number % 2 * 20
        result = run(fakes, counts, ["setmem", NAME, f"{target}M"], plan)
        check_failure(plan, result)
        assert result.returncode or size(fakes) == target * MIB, explain(plan, result)


def test_event_waits_or_says_why_it_cannot(fakes, tmp_path, request):
    """Nothing happens to a guest that no test here resizes, so that there is nothing to print."""
    counts = tmp_path / "counts"
    words = ["event", fakes.name(COUNT - 1), "--timeout", "1"]
    none = "events received: 0\n"
    assert run(fakes, counts, words).stdout == none
    for plan in choose_plans(counts, request.config.getoption("--long"), sample=3):
        result = run(fakes, counts, words, plan)
        if result.stdout != none or "error: " in result.stderr:
            check_failure(plan, result)
        assert result.returncode, explain(plan, result)
        assert result.stdout in ("", none), explain(plan, result)


@pytest.fixture(scope="module")
def daemon(fakes, tmp_path_factory):
    """One that only watches, so that the guests stay as they are."""
    with Daemon(BUILD / "aerostatd/aerostatd", tmp_path_factory.mktemp("daemon"),
                "[guest *]\nmode=observe\n", "--qmp", fakes.sources) as daemon:
        for number in range(COUNT):
            daemon.wait_for_guest(fakes.name(number))
        daemon.wait_for_rounds(2)
        yield daemon


@pytest.mark.parametrize("words", [("status",), ("explain", NAME), ("status", "--json"),
                                   ("explain", NAME, "--json")], ids=" ".join)
def test_what_is_asked_of_the_daemon_is_whole_or_an_error(fakes, daemon, tmp_path, request, words):
    counts = tmp_path / "counts"
    words = [*words, f"--socket={daemon.socket_path}"]

    def count_lines():
        """As many as there are now; the daemon learns more of its guests with time."""
        right = run(fakes, counts, words)
        assert right.returncode == 0, right.stderr
        return right.stdout.count("\n")

    before = count_lines()
    for plan in choose_plans(counts, request.config.getoption("--long")):
        while True:     # until nothing has changed around it
            result = run(fakes, counts, words, plan)
            check_failure(plan, result)
            last, before = before, count_lines()
            if result.returncode or last == before:
                break
        assert result.returncode or (result.stdout.count("\n") == before and
                                     NAME in result.stdout), explain(plan, result)


def serves(control, process):
    """Whether a device answers, which it may do late; False when it has ended."""
    def answers():
        try:
            return qmp.ask(control, "query-balloon", {})
        except (GuestGone, json.JSONDecodeError):
            return None
        except GuestError as error:
            # jansson does not always distinguish a want of memory from a wrong text.
            assert re.search("out of memory|JSON parse error", str(error)), error
            return None
    return wait_for(lambda: process.poll() is not None or answers(), "the device") is not True


def test_the_device_serves_or_refuses_to_start(tmp_path, request):
    counts = tmp_path / "counts"
    path, control = tmp_path / "device.sock", tmp_path / "control.sock"

    def live(plan=""):
        """No sandbox, which would not let the calls be written down at the end."""
        control.unlink(missing_ok=True)
        process = subprocess.Popen([DEVICE, f"--socket-path={path}", f"--control={control}",
                                    "--max=1G", "--sandbox=off"], env=environment(counts, plan),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        expected = 0 if serves(control, process) else 1
        process.terminate()
        _, errors = process.communicate(timeout=HANG_S)
        assert process.returncode == expected, f"{plan}: {process.returncode}\n{errors}"
        assert expected == 0 or "error: " in errors, f"{plan}\n{errors}"

    live()
    for plan in choose_plans(counts, request.config.getoption("--long")):
        live(plan)
