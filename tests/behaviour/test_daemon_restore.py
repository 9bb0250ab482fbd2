# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of guests that aerostatd has changed, when they or their sources go.

The guests are fakes (tests/fakes/fake_guests.h).  So that no test has to wait until the policy has
shrunk them, the daemon goes on from a state file that says so, and leaves them as they are.
"""
import json
import re
import resource
import subprocess

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from fakes import fake_guests
from lab import qmp
from lab.wait import HANG_S, wait_for

PROGRAM = BUILD / "aerostatd/aerostatd"
RAM_MIB = 1024
SHRUNK_MIB = 512


@pytest.fixture
def fakes(tmp_path):
    with fake_guests(tmp_path / "guests", 2, max=f"{RAM_MIB}M", rate=200) as guests:
        # The first guest gets a process of its own, which ends with it.
        guests.order("vanish", 0)
        guests.order("appear", 0)
        for number in (0, 1):
            ask(guests, guests.name(number), "balloon", value=SHRUNK_MIB * MIB)
        for number in (0, 1):
            wait_for(lambda name=guests.name(number): size(guests, name) == SHRUNK_MIB * MIB,
                     "the guests to be shrunk")
        yield guests


@pytest.fixture
def daemon(fakes, tmp_path):
    daemon = Daemon(PROGRAM, tmp_path / "daemon", config(fakes))
    daemon.run.mkdir()
    (daemon.run / "guests.json").write_text(json.dumps({"guests": [
        {"source": "qmp", "address": fakes.address(number), "name": fakes.name(number), "pid": 0,
         "start_ticks": 0, "before_bytes": RAM_MIB * MIB, "before_period_s": 0, "changed": True}
        for number in (0, 1)]}))
    with daemon:
        for number in (0, 1):
            guest = daemon.wait_for_guest(fakes.name(number))
            assert guest["before_bytes"] == RAM_MIB * MIB
            assert guest["actual_bytes"] == SHRUNK_MIB * MIB
        daemon.wait_for_rounds(2)
        yield daemon


def config(fakes, listed=True):
    glob = fakes.sources if listed else f"{fakes.folder}/none-*.qmp"
    return f"[discover]\nqmp={glob}\n[guest *]\nmode=observe\n"


def ask(fakes, name, command, **arguments):
    return qmp.ask(fakes.folder / f"{name}.qmp", command, arguments)


def size(fakes, name):
    return ask(fakes, name, "query-balloon")["actual"]


def is_restored(fakes, name):
    """Drivers may work in huge pages, so 4 MiB short counts (aerostatd/restore.h)."""
    return size(fakes, name) >= (RAM_MIB - 4) * MIB


def saved(daemon):
    """name → its entry of the state file."""
    path = daemon.run / "guests.json"
    guests = json.loads(path.read_text())["guests"] if path.exists() else []
    return {guest["name"]: guest for guest in guests}


def limit(daemon, descriptors):
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (descriptors, 1024))


def restore(daemon):
    return subprocess.run([PROGRAM, "--restore", "--folder", daemon.run], timeout=HANG_S,
                          capture_output=True, text=True)


def test_guests_of_a_removed_source_get_their_size_back(fakes, daemon):
    assert daemon.reload(config(fakes, listed=False))[0] == 200
    for number in (0, 1):
        daemon.wait_for_no_guest(fakes.name(number))
        wait_for(lambda name=fakes.name(number): is_restored(fakes, name),
                 "it to be restored")
    wait_for(lambda: not saved(daemon), "the state file to be empty")
    assert daemon.stop() == 0


def test_a_stuck_guest_of_a_removed_source_is_not_forgotten(fakes, daemon):
    name = fakes.name(0)
    fakes.order("stuck", 0)
    assert daemon.reload(config(fakes, listed=False))[0] == 200
    wait_for(lambda: f"{name}: not restored to 1 GiB" in daemon.log(), "the failure")
    assert daemon.guest(name) is None
    assert saved(daemon)[name]["changed"]
    assert daemon.stop() == 1
    assert "guests not restored: 1" in daemon.log()
    fakes.order("go", 0)
    assert size(fakes, name) == SHRUNK_MIB * MIB
    result = restore(daemon)
    assert result.returncode == 0 and f"{name}: restored to 1 GiB" in result.stderr
    assert is_restored(fakes, name)
    assert not saved(daemon)


def test_a_source_that_comes_back_finds_the_size_from_before(fakes, daemon):
    name = fakes.name(0)
    assert daemon.reload(config(fakes, listed=False))[0] == 200
    daemon.wait_for_no_guest(name)
    wait_for(lambda: SHRUNK_MIB * MIB < size(fakes, name) < RAM_MIB * MIB,
             "it to be on its way")
    assert daemon.reload(config(fakes))[0] == 200
    guest = daemon.wait_for_guest(name)
    assert guest["before_bytes"] == RAM_MIB * MIB
    assert daemon.stop() == 0
    assert is_restored(fakes, name)


def test_a_guest_that_ends_while_the_daemon_stops_is_no_failure(fakes, daemon):
    name = fakes.name(0)
    fakes.order("stuck", 0)
    wait_for(lambda: daemon.guest(name)["problem"], "the guest to be stuck")
    daemon.process.terminate()
    wait_for(lambda: "restoring the guests" in daemon.log(), "the daemon to stop")
    fakes.order("vanish", 0)
    assert daemon.process.wait(HANG_S) == 0, daemon.log()
    assert f"{name}: has ended, nothing to restore" in daemon.log()
    assert "not restored" not in daemon.log()
    assert not saved(daemon).get(name)


def test_a_daemon_without_free_descriptors_forgets_no_guest(fakes, daemon):
    """It cannot look whether processes live, which does not mean that they have ended."""
    names = [fakes.name(0), fakes.name(1)]
    limit(daemon, 1)
    wait_for(lambda: len(re.findall("guest-000.: ", daemon.log())) >= 4,
             "calls to both guests to fail")
    limit(daemon, 1024)
    for name in names:
        guest = daemon.wait_for_guest(name, lambda guest: guest["max_bytes"]
                                      and not guest["problem"])
        assert guest["before_bytes"] == RAM_MIB * MIB
    assert daemon.stop() == 0
    assert all(is_restored(fakes, name) for name in names)
