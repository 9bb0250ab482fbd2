# SPDX-License-Identifier: BSD-3-Clause
"""A guest of libvirt that aerostatd has shrunk is saved and restored, and keeps its own size.

Restored, it runs in another process.  What identifies it is the note in its live metadata, which
libvirt saves with it.  One guest for all tests, in their order; each leaves it whole.
"""
import os
import random
import subprocess
import time

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from lab.wait import wait_for

PROGRAM = BUILD / "aerostatd/aerostatd"
NAME = "sara"
OWN_MIB = 384
SHRUNK_MIB = 320
PERIOD_S = 7
NAMESPACE = "urn:aerostat:daemon"


@pytest.fixture(scope="module")
def sara(lab, libvirt):
    with lab.guest(NAME, via="libvirt", libvirt=libvirt, memory=OWN_MIB,
                   balloon={"stats-period": PERIOD_S}) as guest:
        yield guest


@pytest.fixture
def daemon(sara, tmp_path):
    with new_daemon(sara, tmp_path / "daemon") as daemon:
        shrink(sara, daemon)
        yield daemon


def new_daemon(sara, folder):
    """Its configuration, which enforces a size, is in force from the start."""
    config = f"[host]\nbudget=64G\n[guest {NAME}]\nmax={SHRUNK_MIB}M\n"
    return Daemon(PROGRAM, folder, config, "-c", sara.uri, env={"AEROSTATD_POLICY_CLOCK": "10"})


def shrink(sara, daemon):
    daemon.wait_for_guest(NAME, lambda guest: guest["before_bytes"] == OWN_MIB * MIB)
    wait_for(lambda: sara.actual() == SHRUNK_MIB * MIB, "the guest to be shrunk")
    wait_for_note(sara, f'"before_bytes":{OWN_MIB * MIB}')


def wait_for_note(sara, text):
    """It is left again while libvirt is slow."""
    wait_for(lambda: text in (note(sara) or ""), f"a note with {text}")


def note(sara):
    """The note, or None."""
    result = subprocess.run(["virsh", "-c", sara.libvirt.uri, "metadata", NAME, "--live",
                             "--uri", NAMESPACE], capture_output=True, text=True)
    return result.stdout if result.returncode == 0 else None


def save_and_restore(sara, path, meanwhile=lambda: None):
    before = sara.pid
    sara.save(path)
    meanwhile()
    sara.restore(path)
    assert sara.pid != before
    assert sara.actual() == SHRUNK_MIB * MIB


@pytest.fixture
def image(libvirt):
    path = libvirt.nest.path / "sara.save"
    yield path
    path.unlink(missing_ok=True)


def is_whole(sara):
    return sara.actual() == OWN_MIB * MIB


def wait_until_whole(sara):
    """A driver that was slow may have the last few MiB before it (aerostatd/restore.h)."""
    wait_for(lambda: is_whole(sara), "the guest to be whole")


def test_a_guest_that_is_saved_and_restored_keeps_its_own_size(sara, daemon, image):
    save_and_restore(sara, image, meanwhile=lambda: daemon.wait_for_no_guest(NAME))
    guest = daemon.wait_for_guest(NAME)
    assert guest["before_bytes"] == OWN_MIB * MIB
    daemon.stop_and_restore()
    assert note(sara) is None
    wait_until_whole(sara)


def test_another_daemon_knows_the_own_size_of_a_restored_guest(sara, daemon, image, tmp_path):
    daemon.kill_with_guardian()
    save_and_restore(sara, image)
    with new_daemon(sara, tmp_path / "another") as another:
        guest = another.wait_for_guest(NAME)
        assert guest["before_bytes"] == OWN_MIB * MIB
        another.stop_and_restore()
    assert note(sara) is None
    wait_until_whole(sara)


def test_restore_knows_a_guest_that_was_saved_while_there_was_no_daemon(sara, daemon, image):
    daemon.kill_with_guardian()
    save_and_restore(sara, image)
    assert f"{NAME}: restored to {OWN_MIB} MiB" in daemon.restore()
    assert note(sara) is None
    wait_until_whole(sara)
    assert not (daemon.run / "guests.json").exists()


def test_a_mode_that_a_person_chose_follows_the_guest(sara, daemon, image, tmp_path):
    assert daemon.set_mode(NAME, "held", SHRUNK_MIB * MIB)[0] == 200
    wait_for_note(sara, '"mode":"held"')
    daemon.kill_with_guardian()
    save_and_restore(sara, image)
    with new_daemon(sara, tmp_path / "another") as another:
        guest = another.wait_for_guest(NAME, lambda guest: guest["mode"] == "held")
        assert guest["held_bytes"] == SHRUNK_MIB * MIB
        assert another.set_mode(NAME, "auto")[0] == 200
        another.stop_and_restore()
    wait_until_whole(sara)


def test_a_guest_that_is_shut_down_and_started_is_a_new_one(sara, daemon):
    daemon.kill_with_guardian()
    sara.shut_off()
    sara.start()
    assert note(sara) is None
    result = daemon.run_restore()
    assert result.returncode == 0 and "has ended, nothing to restore" in result.stderr


@pytest.mark.long
def test_a_real_guest_keeps_its_own_size_through_kills(sara, tmp_path):
    """The daemon, or it and its guardian, 40 times at random moments."""
    seed = int(os.environ.get("SEED", "1130"))
    chance = random.Random(seed)
    daemon = new_daemon(sara, tmp_path / "killed")
    killed = {"daemon": 0, "both": 0}
    print(f"seed {seed}")
    wait_for(lambda: is_whole(sara), "the guest to be whole")
    for _ in range(40):
        whom = chance.choice(("daemon", "both"))
        daemon.start()
        if chance.random() < 0.6:
            wait_for(lambda: not is_whole(sara), "the guest to be shrunk")
        time.sleep(chance.random())
        if whom == "both":
            daemon.kill_with_guardian()
        else:
            daemon.kill()
        killed[whom] += 1
        if chance.random() < 0.4:
            daemon.restore()
            assert note(sara) is None
            wait_until_whole(sara)
    daemon.start()
    assert daemon.wait_for_guest(NAME)["before_bytes"] == OWN_MIB * MIB
    daemon.stop_and_restore()
    wait_until_whole(sara)
    print(f"kills {killed}, wrong own sizes 0")
