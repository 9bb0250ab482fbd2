# SPDX-License-Identifier: BSD-3-Clause
"""Real guests that need more than the host has, all at once: the gate of our device holds them."""
import concurrent.futures
import contextlib

import pytest

import driver
import served
from command import MIB
from conftest import BUILD
from daemon import Daemon
from lab.wait import wait_for

GUESTS = ("ida", "ilse")
WHOLE, SWAP, SMALL, HOG, BUDGET = 512, 512, 200, 300, 520     # MiB
# The daemon decides once per second, and a guest grows meanwhile.  Without the gate they hold 740.
MOST = BUDGET * 1.15
ROUNDS = 4
TRIES = 3   # where the machine gives the daemon no time, a credit runs out, and the gate is open


@pytest.fixture(scope="module")
def guests(lab):
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor() as pool:
        booting = [driver.booted(lab, name, "6.12 ours", memory=WHOLE, swap_disk=SWAP,
                                 balloon={"deflate-on-oom": True, "free-page-reporting": True})
                   for name in GUESTS]
        found = []
        for guest, future in [(each, pool.submit(each.__enter__)) for each in booting]:
            found.append(future.result())
            stack.push(guest.__exit__)
        for guest in found:
            guest.swap("on disk")
        yield found


def host_mib(guests):
    return sum(guest.ram_bytes() for guest in guests) / MIB


def all_wait(guests):
    gates = [served.state(guest)["gate"] for guest in guests]
    return all(gate["waiting"] and gate["credit"] == 0 for gate in gates)


def burst(guests, tmp_path):
    """All need memory at once; returns what they hold after they have waited for some rounds."""
    for guest in guests:
        driver.go(guest, SMALL)
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor() as pool:
        daemon = stack.enter_context(Daemon(
            BUILD / "aerostatd/aerostatd", tmp_path, f"[host]\nbudget={BUDGET}M\n",
            *(word for guest in guests for word in ("--qmp", guest.device.control))))
        wait_for(lambda: all(served.state(guest)["gate"]["credit"] is not None
                             for guest in guests), "both guests to be bounded")
        hogs = [pool.submit(guest.hold, "hog", HOG) for guest in guests]
        wait_for(lambda: all_wait(guests) or all(hog.done() for hog in hogs),
                 "all guests to wait at the gate")
        daemon.wait_for_rounds(ROUNDS)
        held = host_mib(guests)
        daemon.stop()       # and all of them get what they need
        assert all(hog.result().alive for hog in hogs)
    for guest in guests:
        driver.assert_intact(guest, "hog")
        guest.release("hog")
    return held


def test_the_gate_holds_guests_that_need_more_than_there_is(guests, tmp_path):
    kills = [guest.vmstat()["oom_kill"] for guest in guests]
    held = []
    while not held or (held[-1] > MOST and len(held) < TRIES):
        folder = tmp_path / str(len(held))
        folder.mkdir()
        held.append(burst(guests, folder))
    print("held:", *map(round, held))
    assert min(held) <= MOST
    assert [guest.vmstat()["oom_kill"] for guest in guests] == kills
