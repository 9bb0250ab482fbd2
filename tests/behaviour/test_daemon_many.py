# SPDX-License-Identifier: BSD-3-Clause
"""aerostatd with a thousand guests, some of which are stuck, lie, or cannot be ballooned.

The guests are fakes (tests/fakes/fake_guests.h): a thousand real ones fit nowhere, and no real
one lies.  One daemon for all tests, the last of which ends it.
"""
import os
import pathlib
import time

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from fakes import FakeGuests, fake_guests
from lab import qmp
from lab.wait import wait_for

COUNT = 1000
MAX_MIB = 1024
FLOOR_MIB = 104 + MAX_MIB // 8      # policy/floor.h
BUDGET_MIB = COUNT * MAX_MIB * 6 // 10
SEED = 20
STUCK, LIARS, VFIO, FROZEN, DEAD = (10, 30, 10, 10, 10)
WATCH_ROUNDS = 15
ROUND_CPU_S = 0.5   # of the second that a round has
FRESH_US = 5_000_000
NEVER_US = 1 << 62


def kinds():
    """Which numbers are what, as fake-guests hands them out."""
    found, start = {}, 0
    for kind, count in (("stuck", STUCK), ("liars", LIARS), ("vfio", VFIO), ("frozen", FROZEN),
                        ("dead", DEAD)):
        found[kind] = {FakeGuests.name(number) for number in range(start, start + count)}
        start += count
    found["honest"] = {FakeGuests.name(number) for number in range(start, COUNT)}
    return found


KIND = kinds()


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    print("seed", SEED)
    with fake_guests(tmp_path_factory.mktemp("many"), COUNT, max=f"{MAX_MIB}M", seed=SEED,
                     stuck=STUCK, liars=LIARS, vfio=VFIO, frozen=FROZEN, dead=DEAD) as guests:
        yield guests


@pytest.fixture(scope="module")
def daemon(many, tmp_path_factory):
    with Daemon(BUILD / "aerostatd/aerostatd", tmp_path_factory.mktemp("daemon"),
                f"[host]\nbudget={BUDGET_MIB}M\n", "--qmp", many.sources) as one:
        wait_for(lambda: len(met(one)) == COUNT - STUCK, "all that answer to be met")
        yield one


def name_of(guest):
    """A guest that never answered has no name but its socket's."""
    return guest["address"].rpartition("/")[2].removesuffix(".qmp")


def by_name(daemon):
    return {name_of(guest): guest for guest in daemon.status()["guests"]}


def met(daemon):
    return {name for name, guest in by_name(daemon).items() if guest["max_bytes"]}


def sizes(guest):
    """What it has, and what it is asked to have, if it ever was."""
    return [size for size in (guest["actual_bytes"], guest["target_bytes"]) if size]


def use_mib(status):
    """What all have, or may take at any moment."""
    return sum(max(sizes(guest), default=0) for guest in status["guests"]) // MIB


def lost(guests, names):
    return {name for name in names if guests[name]["problem"]}


def test_a_thousand_guests_are_met_and_the_stuck_ones_named(daemon):
    never_well = set().union(*KIND.values())

    def are_named():
        """All that are stuck; and each other one is well, if not at the same moment."""
        guests = by_name(daemon)
        never_well.difference_update({name for name in never_well if guests[name]["max_bytes"]
                                      and not guests[name]["problem"]})
        return never_well == KIND["stuck"] == lost(guests, KIND["stuck"])
    wait_for(are_named, "the stuck ones to be told of, and nobody else")
    assert len(by_name(daemon)) == COUNT
    assert met(daemon) == set().union(*KIND.values()) - KIND["stuck"]


def loop_cpu_s(daemon):
    """The CPU time of the daemon's main thread, which is its loop."""
    pid = daemon.process.pid
    fields = pathlib.Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_loop_holds_its_second(daemon):
    """By the CPU time of its rounds, which other work on the machine does not make longer."""
    start, cpu_s, before = time.monotonic(), loop_cpu_s(daemon), daemon.status()["rounds"]
    rounds = 0
    while rounds < WATCH_ROUNDS:    # seldom, as each answer about a thousand guests is work, too
        time.sleep(WATCH_ROUNDS - rounds)
        rounds = daemon.status()["rounds"] - before
    cpu_s, seconds = loop_cpu_s(daemon) - cpu_s, time.monotonic() - start
    assert cpu_s / rounds < ROUND_CPU_S
    # Rounds may come early, when a guest needs help.
    assert rounds <= 4 * seconds + 1


def oldest_but_few_us(guests, names):
    """An age that no more than 5 % of these guests' statistics exceed."""
    ages = sorted(NEVER_US if guests[name]["stats"]["age_us"] is None
                  else guests[name]["stats"]["age_us"] for name in names)
    return ages[len(ages) * 95 // 100]


def worst_of_rounds(daemon, names, rounds=5):
    """How old they get at worst, and which are lost at every moment."""
    age_us, always_lost = 0, set(names)
    for _ in range(rounds):
        daemon.wait_for_rounds()
        guests = by_name(daemon)
        age_us = max(age_us, oldest_but_few_us(guests, names))
        always_lost &= lost(guests, names)
    return age_us, always_lost


def test_stuck_guests_do_not_make_the_others_old(daemon, many):
    """Beside the ages just before: how busy the machine is otherwise may change, though."""
    numbers = range(500, 520)
    names = {many.name(number) for number in numbers}
    others = KIND["honest"] - names

    def are_as_fresh_as_before():
        before_us, lost_before = worst_of_rounds(daemon, others)
        for number in numbers:
            many.order("stuck", number)
        try:
            wait_for(lambda: names <= lost(by_name(daemon), names),
                     "those that got stuck to be told of")
            age_us, lost_now = worst_of_rounds(daemon, others)
        finally:
            for number in numbers:
                many.order("go", number)
        wait_for(lambda: not lost(by_name(daemon), names), "them to be back")
        return age_us < max(FRESH_US, 2 * before_us) and lost_now <= lost_before
    wait_for(are_as_fresh_as_before, "the others to be as fresh as before")


def test_all_fit_into_the_budget_and_nobody_is_below_his_floor(daemon):
    def fits():
        status = daemon.status()
        return status if use_mib(status) <= BUDGET_MIB else None
    status = wait_for(fits, "all to fit into the budget")
    assert status["budget_bytes"] == BUDGET_MIB * MIB or status["host"]["critical"]
    assert not status["overcommitted"]
    assert all(size >= FLOOR_MIB * MIB for guest in status["guests"] for size in sizes(guest))


def test_a_guest_with_a_device_of_the_host_is_left_alone_and_that_is_said(daemon):
    wait_for_reason(daemon, KIND["vfio"], "fixed")
    guests = by_name(daemon)
    for name in KIND["vfio"]:
        guest = guests[name]
        assert guest["obstacle"] == "a host device (VFIO) pins its memory"
        assert (guest["actual_bytes"], guest["times_set"]) == (MAX_MIB * MIB, 0)
    assert not any(guests[name]["obstacle"] for name in KIND["honest"])


def test_a_device_that_is_gone_is_in_the_way_no_more(daemon, many):
    number = STUCK + LIARS
    many.order("go", number)
    daemon.wait_for_guest(many.name(number), lambda guest: not guest["obstacle"])
    many.order("vfio", number)
    daemon.wait_for_guest(many.name(number), lambda guest: guest["obstacle"])


def wait_for_reason(daemon, names, reason):
    """Each of them has it at some moment."""
    missing = set(names)

    def all_had():
        guests = by_name(daemon)
        missing.difference_update({name for name in missing if guests[name]["reason"] == reason})
        return not missing
    wait_for(all_had, f"the reason {reason}")


def test_old_statistics_are_no_ground_to_take(daemon):
    wait_for_reason(daemon, KIND["frozen"], "silent")
    guests = by_name(daemon)
    assert all(guests[name]["actual_bytes"] == MAX_MIB * MIB for name in KIND["frozen"])


def test_a_balloon_that_does_not_follow_is_noticed(daemon):
    wait_for_reason(daemon, KIND["dead"], "inactive")


def failures(status):
    return sum(guest["times_failed"] for guest in status["guests"])


def test_liars_gain_nothing_beyond_their_bounds(daemon):
    """Whatever they claim, round after round; and none is taken for one that does not answer."""
    wait_for(lambda: not lost(by_name(daemon), KIND["liars"]), "the liars to be heard")
    fitting = failures(daemon.status())
    for _ in range(5):
        daemon.wait_for_rounds()
        status = daemon.status()
        guests = {name_of(guest): guest for guest in status["guests"]}
        for name in KIND["liars"]:
            assert all(FLOOR_MIB * MIB <= size <= MAX_MIB * MIB for size in sizes(guests[name]))
        # A target that was not answered in time may be in force, which nobody knows.
        assert use_mib(status) <= BUDGET_MIB or failures(status) > fitting
        assert not status["overcommitted"]


def test_a_guest_that_ends_and_starts_again_is_another(daemon, many):
    number = COUNT - 1
    before = daemon.guest(many.name(number))
    many.order("vanish", number)
    daemon.wait_for_no_guest(many.name(number))
    many.order("appear", number)
    after = daemon.wait_for_guest(many.name(number))
    assert after["id"] != before["id"] and after["pid"] != before["pid"]
    assert after["times_set"] == 0 and after["actual_bytes"] == MAX_MIB * MIB


def wait_until_asked(daemon, name):
    """The guest once its statistics, and a decision about them, are later than now."""
    began = time.monotonic()

    def is_later(guest):
        age_us = guest["stats"]["age_us"]
        return age_us is not None and age_us < (time.monotonic() - began - 1) * 1e6
    daemon.wait_for_guest(name, is_later)
    daemon.wait_for_rounds(2)
    return daemon.guest(name)


def test_a_burst_is_followed_among_a_thousand(daemon, many):
    number = COUNT - 2
    many.order("burst", number, 0)      # from now on only orders change what it needs
    before = wait_until_asked(daemon, many.name(number))
    many.order("burst", number, 300)
    daemon.wait_for_guest(many.name(number), lambda guest: guest["need_bytes"]
                          > before["need_bytes"] + 200 * MIB
                          and guest["actual_bytes"] > guest["need_bytes"])


def test_the_end_puts_all_back(daemon, many):
    daemon.stop_and_restore()
    waits = set().union(*KIND.values()) - KIND["stuck"]

    def back():
        for name in sorted(waits):
            if qmp.ask(many.folder / f"{name}.qmp", "query-balloon", {})["actual"] \
                    != MAX_MIB * MIB:
                return False
            waits.discard(name)
        return True
    wait_for(back, "all to have their sizes from before")
