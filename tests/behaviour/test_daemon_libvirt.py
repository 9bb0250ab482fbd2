# SPDX-License-Identifier: BSD-3-Clause
"""aerostatd on a real guest of libvirt, whose daemon may be restarted and asked by others.

One guest and one daemon for all tests here, in their order; each leaves the guest whole and
in the policy's hands, and the last one ends the daemon.
"""
import time

import pytest

from command import MIB, set_size
from conftest import BUILD
from daemon import Daemon
from lab.wait import wait_for

MAX_MIB = 512
NAME = "dora"
FRESH_S = 3
PERIOD_S = 7        # of the guest's statistics before the daemon; its own is another
CONFIG = "[host]\nbudget=64G\n"    # no matter what other tests leave of the host's memory


@pytest.fixture(scope="module")
def dora(lab, libvirt):
    with lab.guest(NAME, via="libvirt", libvirt=libvirt, memory=MAX_MIB,
                   balloon={"stats-period": PERIOD_S}) as guest:
        yield guest


@pytest.fixture(scope="module")
def pilot(dora, tmp_path_factory):
    with Daemon(BUILD / "aerostatd/aerostatd", tmp_path_factory.mktemp("pilot"), CONFIG,
                "-c", dora.uri, env={"AEROSTATD_POLICY_CLOCK": "4"}) as daemon:
        yield daemon


@pytest.fixture
def command(pilot, dora, aerostat):
    """aerostat as a person beside the daemon uses it."""
    here = aerostat.looking_at("-c", dora.uri)
    here.env = {**here.env, "AEROSTAT_SOCKET": str(pilot.socket_path)}
    return here


def is_fresh(told, within_s=FRESH_S):
    age_us = told["stats"]["age_us"]
    return age_us is not None and age_us <= within_s * 1e6


def period(guest):
    return guest.qmp("qom-get", path="/machine/peripheral/balloon0",
                     property="guest-stats-polling-interval")


def wait_until_fresh(pilot):
    return pilot.wait_for_guest(NAME, is_fresh)


def is_given_back_whole(pilot, guest):
    assert pilot.set_mode(NAME, "held", MAX_MIB * MIB)[0] == 200
    wait_for(lambda: guest.actual() == MAX_MIB * MIB, "dora to be whole")
    assert pilot.set_mode(NAME, "auto")[0] == 200


def test_the_guest_is_found_and_asked_often(dora, pilot):
    # The driver is inferred from fresh statistics, and looked for every five seconds.
    told = pilot.wait_for_guest(NAME, lambda told: is_fresh(told) and told["driver"] == "ready"
                                and told["problem"] is None)
    assert told["source"] == dora.uri and told["address"] == NAME
    assert told["before_bytes"] == told["max_bytes"] == MAX_MIB * MIB
    assert told["mode"] == "auto"
    wait_for(lambda: period(dora) != PERIOD_S, "the daemon's stats period")


def test_a_size_that_a_person_sets_holds_until_auto(dora, pilot, command):
    set_size(command, NAME, 400)
    pilot.wait_for_rounds(3)
    told = pilot.wait_for_guest(NAME, lambda told: told["actual_bytes"] == 400 * MIB)
    assert (told["mode"], told["mode_by"]) == ("held", "person")
    assert dora.actual() == 400 * MIB
    set_size(command, NAME, MAX_MIB)
    assert command("auto", NAME).code == 0
    assert pilot.guest(NAME)["mode"] == "auto"


def test_a_size_set_by_virsh_holds_too(dora, pilot, libvirt):
    def is_held(told):
        """Whether it is held.  A person sets its size, and again if the policy has set another."""
        if told["mode"] != "held" and dora.actual() != 350 * MIB:
            libvirt.virsh("setmem", NAME, "350M", "--live")
        return told["mode"] == "held"

    is_given_back_whole(pilot, dora)        # so that the daemon has a target to compare with
    pilot.wait_for_rounds(3)
    told = pilot.wait_for_guest(NAME, is_held)
    assert told["mode_by"] == "person"
    wait_for(lambda: dora.actual() == 350 * MIB, "dora to get there")
    pilot.wait_for_rounds(3)
    assert dora.actual() == 350 * MIB
    is_given_back_whole(pilot, dora)


def test_libvirt_restarted_loses_nobody(dora, pilot, libvirt):
    known = wait_until_fresh(pilot)
    with pilot.events() as events:
        libvirt.kill()
        try:
            wait_for(lambda: pilot.status()["problems"], "the problem to be told")
        finally:
            libvirt.start()
        since = time.monotonic()
        told = pilot.wait_for_guest(NAME, lambda told: told["problem"] is None and is_fresh(
            told, min(FRESH_S, time.monotonic() - since - 1)))
        assert told["id"] == known["id"]
        wait_for(lambda: not pilot.status()["problems"], "libvirt to be asked again")
        assert pilot.set_mode(NAME, "observe")[0] == 200
        told = [events.next()]
        while told[-1]["kind"] != "mode":
            told.append(events.next())
    assert not {"guest-gone", "guest-found"}.intersection(event["kind"] for event in told)
    assert pilot.set_mode(NAME, "auto")[0] == 200


def test_a_domain_started_anew_is_another_guest(dora, pilot):
    assert pilot.set_mode(NAME, "held", 450 * MIB)[0] == 200
    wait_for(lambda: dora.actual() == 450 * MIB, "dora to be smaller")
    known = pilot.guest(NAME)
    with pilot.events() as events:
        dora.shut_off()
        events.wait_for("guest-gone", NAME)
        pilot.wait_for_no_guest(NAME)
        dora.start()
        events.wait_for("guest-found", NAME)
    told = wait_until_fresh(pilot)
    assert told["id"] > known["id"]
    assert told["pid"] in (None, dora.pid)
    assert told["mode"] == "auto"
    assert told["before_bytes"] == told["actual_bytes"] == MAX_MIB * MIB


def test_killed_while_the_guest_is_smaller_it_leaves_it_as_it_was(dora, pilot):
    code, body = pilot.reload(f"{CONFIG}[guest {NAME}]\nmax=300M\n")
    assert code == 200, body
    wait_for(lambda: dora.actual() == 300 * MIB, "the policy to enforce the max")
    assert pilot.guest(NAME)["before_bytes"] == MAX_MIB * MIB
    pilot.kill()
    wait_for(lambda: dora.actual() == MAX_MIB * MIB, "the guardian to put dora back")
    wait_for(lambda: period(dora) == PERIOD_S, "the guardian to put its period back")
    pilot.configure(CONFIG)
    pilot.start()


def test_at_its_end_the_stats_period_is_as_it_was(dora, pilot):
    wait_until_fresh(pilot)
    wait_for(lambda: period(dora) != PERIOD_S, "the daemon's stats period")
    pilot.stop_and_restore()
    assert period(dora) == PERIOD_S
    assert f"<stats period='{PERIOD_S}'/>" in dora.libvirt.virsh("dumpxml", NAME)
    # A driver that was slow may have the last few MiB before it (aerostatd/restore.h).
    wait_for(lambda: dora.actual() == MAX_MIB * MIB, "dora to be whole")
