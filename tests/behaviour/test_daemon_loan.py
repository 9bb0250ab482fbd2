# SPDX-License-Identifier: BSD-3-Clause
"""aerostatd and a real guest that takes memory back by itself: our device and our driver.

The guest has no swap, so a process that needs more than there is would be killed.
"""
import os
import signal

import pytest

import driver
import served
from command import MIB
from conftest import BUILD
from daemon import Daemon
from lab.wait import wait_for

WHOLE, SMALL, BUDGET = 512, 200, 480    # MiB
NAME = "hugo"


@pytest.fixture(scope="module")
def _hugo(lab):
    with driver.booted(lab, NAME, "6.12 ours", memory=WHOLE,
                       balloon={"deflate-on-oom": True, "free-page-reporting": True}) as guest:
        yield guest


@pytest.fixture
def hugo(_hugo):
    """Small, and nothing in it is killed."""
    driver.go(_hugo, SMALL)
    before = _hugo.vmstat()["oom_kill"]
    yield _hugo
    _hugo.release_all()
    assert _hugo.vmstat()["oom_kill"] == before


@pytest.fixture
def pilot(hugo, tmp_path):
    with Daemon(BUILD / "aerostatd/aerostatd", tmp_path, f"[host]\nbudget={BUDGET}M\n", "--qmp",
                hugo.device.control) as daemon:
        yield daemon


def has_settled(guest, pilot):
    """Its size is the target that the policy chose, below the whole of its RAM."""
    told = pilot.guest(NAME)
    return told["target_bytes"] and told["times_set"] and \
        told["target_bytes"] == guest.actual() < WHOLE * MIB and told


def test_what_a_guest_takes_back_by_itself_becomes_its_target(hugo, pilot, aerostat):
    settled = wait_for(lambda: has_settled(hugo, pilot), "the guest to have what it is to have")
    assert settled["abilities"] == ["report", "relieve", "pull", "trim", "gate"]
    assert settled["credit_bytes"] and served.state(hugo)["gate"]["credit"] is not None
    # Faster than any daemon: this one sleeps while the guest needs more than it has.
    os.kill(pilot.process.pid, signal.SIGSTOP)
    assert hugo.hold("hog", settled["actual_bytes"] // MIB - 30).alive
    print(settled, hugo.actual(), served.counters(hugo), driver.counters(hugo), hugo.meminfo())
    taken = hugo.actual() - settled["actual_bytes"]
    assert taken > 0
    with pilot.events() as events:
        os.kill(pilot.process.pid, signal.SIGCONT)
        pulled = events.wait_for("pull", NAME)
    assert pulled["text"] == f"took back {taken // MIB} MiB by itself"
    told = pilot.wait_for_guest(NAME, lambda told: told["target_bytes"] >= hugo.actual() - MIB)
    assert told["pulled_bytes"] == taken and told["mode"] == "auto"
    assert told["reason"] not in ("inactive", "regret", "fixed")
    driver.assert_intact(hugo, "hog")
    text = aerostat("explain", NAME, "--socket", pilot.socket_path).out
    assert "Pulled" in text and "taken back by itself" in text


def test_a_gate_is_open_when_the_daemon_has_ended(hugo, pilot):
    wait_for(lambda: served.state(hugo)["gate"]["credit"] is not None, "the guest to be bounded")
    pilot.stop()
    assert served.state(hugo)["gate"]["credit"] is None
