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


def test_a_thousand_guests_are_met_and_the_stuck_ones_named(daemon):
    wait_for(lambda: {name for name, guest in by_name(daemon).items() if guest["problem"]}
             == KIND["stuck"], "the stuck ones to be told of, and nobody else")
    assert len(by_name(daemon)) == COUNT
    assert met(daemon) == set().union(*KIND.values()) - KIND["stuck"]


def loop_cpu_s(daemon):
    """The CPU time of the daemon's main thread, which is its loop."""
    pid = daemon.process.pid
    fields = pathlib.Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_loop_holds_its_second(daemon):
    """By the CPU time of its rounds, which other work on the machine does not make longer."""
    before, cpu_s, start = daemon.status()["rounds"], loop_cpu_s(daemon), time.monotonic()
    daemon.wait_for_rounds(WATCH_ROUNDS)
    cpu_s = loop_cpu_s(daemon) - cpu_s
    rounds, seconds = daemon.status()["rounds"] - before, time.monotonic() - start
    assert cpu_s / rounds < ROUND_CPU_S
    # Rounds may come early, when a guest needs help.
    assert rounds <= 4 * seconds


def oldest_but_few_us(guests, names):
    """An age that no more than 5 % of these guests' statistics exceed."""
    ages = sorted(guests[name]["stats"]["age_us"] for name in names)
    return ages[len(ages) * 95 // 100]


def are_well(guests, names, age_us):
    return oldest_but_few_us(guests, names) < age_us \
        and not any(guests[name]["problem"] for name in names)


def test_stuck_guests_do_not_make_the_others_old(daemon, many):
    numbers = range(500, 520)
    names = {many.name(number) for number in numbers}
    others = KIND["honest"] - names
    before_us = oldest_but_few_us(by_name(daemon), others)
    for number in numbers:
        many.order("stuck", number)
    try:
        wait_for(lambda: all(by_name(daemon)[name]["problem"] for name in names),
                 "those that got stuck to be told of")
        daemon.wait_for_rounds(3)
        # Not at every moment: the machine may have something else to do.
        wait_for(lambda: are_well(by_name(daemon), others, max(FRESH_US, 2 * before_us)),
                 "the others to be as fresh as before")
    finally:
        for number in numbers:
            many.order("go", number)
    wait_for(lambda: not any(by_name(daemon)[name]["problem"] for name in names), "them to be back")


def test_all_fit_into_the_budget_and_nobody_is_below_his_floor(daemon):
    def fits():
        status = daemon.status()
        return status if use_mib(status) <= BUDGET_MIB else None
    status = wait_for(fits, "all to fit into the budget")
    assert status["budget_bytes"] == BUDGET_MIB * MIB
    assert not status["overcommitted"]
    assert all(size >= FLOOR_MIB * MIB for guest in status["guests"] for size in sizes(guest))


def test_a_guest_with_a_device_of_the_host_is_left_alone_and_that_is_said(daemon):
    wait_for(lambda: all(by_name(daemon)[name]["reason"] == "fixed" for name in KIND["vfio"]),
             "the devices to be seen")
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


def test_old_statistics_are_no_ground_to_take(daemon):
    wait_for(lambda: all(by_name(daemon)[name]["reason"] == "silent" for name in KIND["frozen"]),
             "the frozen statistics to be seen")
    guests = by_name(daemon)
    assert all(guests[name]["actual_bytes"] == MAX_MIB * MIB for name in KIND["frozen"])


def test_a_balloon_that_does_not_follow_is_noticed(daemon):
    wait_for(lambda: all(by_name(daemon)[name]["reason"] == "inactive" for name in KIND["dead"]),
             "the dead balloons to be seen")


def test_liars_gain_nothing_beyond_their_bounds(daemon):
    """Whatever they claim, round after round; and none is taken for one that does not answer."""
    wait_for(lambda: not any(by_name(daemon)[name]["problem"] for name in KIND["liars"]),
             "the liars to be heard")
    for _ in range(5):
        daemon.wait_for_rounds()
        status = daemon.status()
        guests = {name_of(guest): guest for guest in status["guests"]}
        for name in KIND["liars"]:
            assert all(FLOOR_MIB * MIB <= size <= MAX_MIB * MIB for size in sizes(guests[name]))
        assert use_mib(status) <= BUDGET_MIB
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


def test_a_burst_is_followed_among_a_thousand(daemon, many):
    number = COUNT - 2
    before = daemon.guest(many.name(number))
    many.order("burst", number, 300)
    daemon.wait_for_guest(many.name(number), lambda guest: guest["need_bytes"]
                          > before["need_bytes"] + 200 * MIB
                          and guest["actual_bytes"] > guest["need_bytes"])


def test_the_end_puts_all_back(daemon, many):
    daemon.stop()
    waits = set().union(*KIND.values()) - KIND["stuck"]

    def back():
        for name in sorted(waits):
            if qmp.ask(many.folder / f"{name}.qmp", "query-balloon", {})["actual"] \
                    != MAX_MIB * MIB:
                return False
            waits.discard(name)
        return True
    wait_for(back, "all to have their sizes from before")
