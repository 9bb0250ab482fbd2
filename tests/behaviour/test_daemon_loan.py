# SPDX-License-Identifier: BSD-3-Clause
"""aerostatd and a real guest that takes memory back by itself: our device and our driver.

The guest has no swap, so a process that needs more than there is would be killed.
"""
import concurrent.futures
import os
import re
import signal

import pytest

import driver
import served
from command import MIB
from conftest import BUILD
from daemon import Daemon
from lab.wait import wait_for

WHOLE, SMALL, BUDGET = 512, 220, 480    # MiB
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


def is_held(guest, pilot):
    told = pilot.guest(NAME)
    return told["mode"] == "held" and told["target_bytes"] == guest.actual() == SMALL * MIB


def test_what_a_guest_takes_back_by_itself_is_followed(hugo, pilot, aerostat):
    """Faster than any daemon: this one sleeps while the guest needs more than it has."""
    told = pilot.wait_for_guest(NAME, lambda told: told["credit_bytes"] is not None
                                and "pull" in told["abilities"])    # of its statistics
    assert told["abilities"] == ["report", "relieve", "pull", "trim", "gate"]
    pilot.set_mode(NAME, "held", SMALL * MIB)
    wait_for(lambda: is_held(hugo, pilot), "the guest to be held")
    wait_for(lambda: served.state(hugo)["gate"]["credit"] is None, "the gate to be open")
    wait_for(lambda: rests(hugo, pilot), "a guest at rest")
    with pilot.events() as events:
        os.kill(pilot.process.pid, signal.SIGSTOP)
        assert hugo.hold("hog", driver.available_mib(hugo) + 96).alive
        os.kill(pilot.process.pid, signal.SIGCONT)
        text = events.wait_for("pull", NAME)["text"]
        assert re.fullmatch(rf"took back \S+ MiB by itself, beyond the size at which it is held, "
                            rf"{SMALL} MiB; the host has \S+ \w+ in reserve for all", text), text
    told = pilot.guest(NAME)
    assert told["pulled_bytes"] >= 64 * MIB and told["held_bytes"] == SMALL * MIB
    pilot.set_mode(NAME, "auto")
    told = pilot.wait_for_guest(NAME, lambda told: told["target_bytes"] >= hugo.actual())
    assert told["mode"] == "auto" and told["reason"] not in ("inactive", "regret")
    driver.assert_intact(hugo, "hog")
    assert "taken back by itself" in aerostat("explain", NAME, "--socket", pilot.socket_path).out


def rests(guest, pilot):
    """For longer than a guest may be on its way to another target, when growth is no pull."""
    before = served.state(guest)
    pilot.wait_for_rounds(4)
    after = served.state(guest)
    return before["target"] == after["target"] == before["actual"] == after["actual"]


def asleep_with_credit(guest, pilot):
    """The daemon sleeps, and no target is on its way; otherwise it is woken again."""
    os.kill(pilot.process.pid, signal.SIGSTOP)
    served.state(guest)     # once it has answered, it has read all that the daemon sent
    state = served.state(guest)
    if state["gate"]["credit"] and state["target"] == state["actual"] <= (WHOLE - 192) * MIB:
        return True
    os.kill(pilot.process.pid, signal.SIGCONT)
    return False


def test_a_pull_within_the_credit_is_explained(hugo, pilot, aerostat):
    """Nobody raises its target meanwhile: the daemon sleeps, and the hog cannot wait."""
    pilot.wait_for_guest(NAME, lambda told: "pull" in told["abilities"])
    pilot.set_mode(NAME, "held", SMALL * MIB)
    wait_for(lambda: is_held(hugo, pilot), "the guest to be held")
    pilot.set_mode(NAME, "auto")
    with pilot.events() as events:
        wait_for(lambda: rests(hugo, pilot) and asleep_with_credit(hugo, pilot),
                 "a guest at rest, with credit")
        assert hugo.hold("hog", driver.available_mib(hugo) + 128).alive
        os.kill(pilot.process.pid, signal.SIGCONT)
        text = events.wait_for("pull", NAME)["text"]
    assert re.fullmatch(r"took back \S+ MiB by itself; the host has \S+ \w+ in reserve for all",
                        text), text
    explained = aerostat("explain", NAME, "--socket", pilot.socket_path).out
    assert re.search(r"^Pulled +\S+ MiB +taken back by itself since aerostatd found it; the host "
                     r"has \S+ \w+ in reserve for all$", explained, re.M), explained
    pilot.wait_for_guest(NAME, lambda told: told["target_bytes"] >= hugo.actual())
    driver.assert_intact(hugo, "hog")


def waits_without_credit(guest, before):
    """Whether it has waited at the gate; a credit of 0 is in effect for 5 s from now on."""
    guest.device_qmp("x-set-credit", credit=0)
    return served.counters(guest)["gate-waits"] > before


def test_a_daemon_that_is_killed_leaves_no_guest_waiting(hugo, pilot):
    """It is killed while the device holds an acknowledgement back."""
    pilot.wait_for_guest(NAME)
    pilot.set_mode(NAME, "held", SMALL * MIB)
    wait_for(lambda: is_held(hugo, pilot), "the guest to be held")
    assert pilot.put(f"/v1/guests/{NAME}/own-size", {"bytes": WHOLE * MIB})[0] == 200
    pilot.set_mode(NAME, "auto")
    wait_for(lambda: asleep_with_credit(hugo, pilot), "a guest at rest, with credit")
    mib, before = driver.available_mib(hugo) + 128, served.counters(hugo)["gate-waits"]
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        waits_without_credit(hugo, before)
        hog = threads.submit(hugo.hold, "hog", mib)
        wait_for(lambda: waits_without_credit(hugo, before), "the guest to wait at the gate")
        pilot.kill()
        assert hog.result().alive
    wait_for(lambda: hugo.actual() == WHOLE * MIB, "the guardian to give everything back")
    wait_for(lambda: served.state(hugo)["gate"]["credit"] is None, "the gate to be open")
    driver.assert_intact(hugo, "hog")


def test_a_gate_is_open_when_the_daemon_has_ended(hugo, pilot):
    wait_for(lambda: served.state(hugo)["gate"]["credit"] is not None, "the guest to be bounded")
    pilot.stop()
    assert served.state(hugo)["gate"]["credit"] is None
