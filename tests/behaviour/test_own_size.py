# SPDX-License-Identifier: BSD-3-Clause
"""A real guest's own size, whatever the policy, people, the guest and the host do.

All tests here use one guest and one daemon.  The policy sets the size through a configured limit,
so nothing here waits for the guest to be idle.
tests/unit/test_own_size_model.c does the same with thousands of sequences on a simulated guest.
"""
import os
import random
import time

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from lab.wait import wait_for

NAME = "owner"
RAM_MIB = 384
DIMM_MIB = 128
LIMITS = (240, 288, 320)    # what the policy may let it have
CLOSE = 4 * MIB             # as the daemon itself says of a size that has arrived


@pytest.fixture(scope="module")
def guest(lab):
    with lab.guest(NAME, memory=RAM_MIB, hot_memory=4 * DIMM_MIB) as guest:
        yield guest


class Scene:
    """A daemon, its guest, and what its own size is to be."""

    def __init__(self, guest, folder):
        self.guest = guest
        self.daemon = Daemon(BUILD / "aerostatd/aerostatd", folder, "", "--qmp", guest.qmp_path,
                             env={"AEROSTATD_POLICY_CLOCK": "20"})
        self.max = guest.actual()
        self.own = guest.actual()
        self.limit = None

    def limits(self, mib):
        self.limit = mib * MIB
        self.daemon.configure(f"[host]\nbudget=64G\n[guest {NAME}]\nmax={mib}M\n")
        if self.daemon.process and self.daemon.process.poll() is None:
            assert self.daemon.reload()[0] == 200

    def is_own(self):
        told = self.daemon.guest(NAME)
        assert abs(told["before_bytes"] - self.own) <= CLOSE, told

    def wait_for_limit(self):
        self.daemon.wait_for_guest(NAME, lambda told: told["actual_bytes"] <= self.limit + CLOSE)

    def has(self, size):
        wait_for(lambda: abs(self.guest.actual() - size) <= CLOSE, f"a size of {size // MIB} MiB")


@pytest.fixture(scope="module")
def scene(guest, tmp_path_factory):
    scene = Scene(guest, tmp_path_factory.mktemp("own") / "daemon")
    scene.limits(LIMITS[0])
    with scene.daemon:
        scene.wait_for_limit()
        scene.is_own()
        yield scene
        if scene.daemon.process.poll() is None:
            scene.daemon.stop_and_restore()
    scene.has(scene.own)


def test_a_reboot_changes_neither_mode_nor_own_size(scene):
    scene.guest.reboot()
    scene.wait_for_limit()
    told = scene.daemon.guest(NAME)
    assert told["mode"] == "auto"
    scene.is_own()


def test_memory_that_is_plugged_in_moves_the_own_size(scene):
    scene.guest.plug_memory(DIMM_MIB)
    scene.own += DIMM_MIB * MIB
    scene.max += DIMM_MIB * MIB
    scene.daemon.wait_for_guest(NAME, lambda told: told["max_bytes"] == scene.max)
    scene.is_own()
    scene.wait_for_limit()
    assert scene.daemon.guest(NAME)["mode"] == "auto"


def test_a_held_size_moves_with_plugged_memory(scene):
    held = 300 * MIB
    assert scene.daemon.set_mode(NAME, "held", held)[0] == 200
    scene.has(held)
    scene.guest.plug_memory(DIMM_MIB)
    scene.own += DIMM_MIB * MIB
    scene.max += DIMM_MIB * MIB
    told = scene.daemon.wait_for_guest(NAME, lambda told: told["max_bytes"] == scene.max)
    assert told["held_bytes"] == held + DIMM_MIB * MIB
    scene.has(held + DIMM_MIB * MIB)
    scene.is_own()
    assert scene.daemon.set_mode(NAME, "auto")[0] == 200


# Sequences

def the_policy_decides(scene, dice):
    scene.limits(dice.choice(LIMITS))


def a_person_holds_it(scene, dice):
    size = dice.choice((256, 300, 340)) * MIB
    assert scene.daemon.set_mode(NAME, "held", size)[0] == 200
    scene.has(size)
    scene.is_own()
    assert scene.daemon.set_mode(NAME, "auto")[0] == 200


def a_person_goes_past(scene, dice):
    scene.wait_for_limit()
    if scene.daemon.guest(NAME)["target_bytes"] is None:
        return      # the policy wants no other size, so a person overrules nobody
    scene.daemon.wait_for_guest(NAME, lambda told: told["target_bytes"] == told["actual_bytes"])
    scene.daemon.wait_for_rounds(4)
    size = scene.guest.actual() - dice.choice((20, 30)) * MIB

    def is_held(told):
        """Set again where the daemon has not seen that the guest was at its target before."""
        if told["mode"] != "held" and told["target_bytes"] == told["actual_bytes"]:
            scene.guest.qmp("balloon", value=size)
        return told["mode"] == "held"
    scene.daemon.wait_for_guest(NAME, is_held)
    scene.is_own()
    assert scene.daemon.set_mode(NAME, "auto")[0] == 200


def a_person_declares_it(scene, dice):
    size = min(scene.guest.actual() + dice.choice((20, 40)) * MIB, scene.max)
    answer = scene.daemon.put(f"/v1/guests/{NAME}/own-size", {"bytes": size})
    assert answer[0] == 200, answer
    scene.own = size


def it_boots(scene, _dice):
    scene.guest.reboot()


def it_is_paused(scene, dice):
    scene.guest.qmp("stop")
    scene.daemon.wait_for_rounds(dice.choice((2, 6)))
    scene.guest.qmp("cont")


def its_driver_is_loaded_again(scene, _dice):
    scene.guest.unload_driver()
    scene.guest.load_driver("stock")


def the_daemon_is_killed_and_goes_on(scene, _dice):
    scene.daemon.kill()
    scene.daemon.start()
    scene.daemon.wait_for_guest(NAME, lambda told: told["before_bytes"])


def the_daemon_ends(scene, _dice):
    scene.daemon.stop_and_restore()
    scene.has(scene.own)
    scene.daemon.start()
    scene.daemon.wait_for_guest(NAME, lambda told: told["before_bytes"])


EVENTS = [the_policy_decides, a_person_holds_it, a_person_goes_past, a_person_declares_it,
          it_boots, it_is_paused, its_driver_is_loaded_again, the_daemon_is_killed_and_goes_on,
          the_daemon_ends]


def play(scene, dice, events):
    for event in [dice.choice(EVENTS) for _ in range(events)]:
        print(event.__name__)
        event(scene, dice)
        scene.daemon.wait_for_rounds(dice.choice((1, 4)))
        scene.is_own()


def seed(usual):
    number = int(os.environ.get("AEROSTAT_SEED", usual))
    print(f"AEROSTAT_SEED={number}")
    return number


def test_the_own_size_is_right_whatever_happens(scene):
    play(scene, random.Random(seed(18)), 5)


@pytest.mark.long
@pytest.mark.parametrize("number", range(30))
def test_the_own_size_is_right_whatever_happens_next(scene, number):
    play(scene, random.Random(seed(time.time()) + number), 8)
