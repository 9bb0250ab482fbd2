# SPDX-License-Identifier: BSD-3-Clause
"""aerostatd on real guests: three of 512 MiB share 1 GiB.

One daemon for nearly all tests here, because it takes no memory from a guest that it has just
found.  Each test leaves the guests idle; the last ones end the daemon.
"""
import contextlib
import time

import pytest

from command import MIB, set_size
from conftest import BUILD
from daemon import Daemon
from lab.wait import wait_for

MAX_MIB = 512
BUDGET_MIB = 1024
CALM_S = 30         # docs/policy.md: before that nothing is taken from a guest
NAMES = ["one", "two", "three"]
SPARE_MIB = 16      # with so much more than it takes, a guest does not have to kill


@pytest.fixture(scope="module")
def guests(lab):
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(lab.guest(name, memory=MAX_MIB)) for name in NAMES}


def daemon_of(guests, folder):
    words = [word for guest in guests.values() for word in ("--qmp", guest.qmp_path)]
    return Daemon(BUILD / "aerostatd/aerostatd", folder, f"[host]\nbudget={BUDGET_MIB}M\n", *words)


@pytest.fixture(scope="module")
def pilot(guests, tmp_path_factory):
    with daemon_of(guests, tmp_path_factory.mktemp("pilot")) as daemon:
        yield daemon


@pytest.fixture
def fleet(guests, pilot):
    """The guests as the daemon has settled them; nobody may have been killed in the end."""
    wait_for(lambda: promised_mib(pilot) <= BUDGET_MIB, "all to fit into the budget")
    before = {name: guest.vmstat()["oom_kill"] for name, guest in guests.items()}
    yield guests
    for guest in guests.values():
        guest.release_all()
        assert guest.alive()
    assert {name: guest.vmstat()["oom_kill"] for name, guest in guests.items()} == before


def use_mib(guests):
    return sum(guest.actual() for guest in guests.values()) // MIB


def promised_mib(pilot):
    """What all guests have or may take at any moment, in one view of them."""
    known = [max(guest["actual_bytes"], guest["target_bytes"] or 0)
             for guest in pilot.status()["guests"] if guest["actual_bytes"]]
    return sum(known) // MIB + (len(NAMES) - len(known)) * MAX_MIB


def works(pilot, guest, pieces=6, mib=40, every_s=3):
    """It needs more and more memory, as a program that starts does.

    It is no faster than the daemon and the other guests are scheduled: a piece comes after as many
    rounds as seconds, and when there is room for it.
    """
    for number in range(pieces):
        due, rounds = time.monotonic() + every_s, pilot.status()["rounds"] + every_s
        wait_for(lambda: available_mib(guest) >= mib + SPARE_MIB, "room for the next piece")
        assert guest.hold(f"piece{number}", mib).alive
        wait_for(lambda due=due, rounds=rounds: time.monotonic() >= due
                 and pilot.status()["rounds"] >= rounds, "the next piece")


def is_done(guest, pieces=6):
    for number in range(pieces):
        assert guest.touch(f"piece{number}").alive
        guest.release(f"piece{number}")


def available_mib(guest):
    return guest.meminfo()["MemAvailable"] // MIB


def wait_for_room(guest):
    wait_for(lambda: available_mib(guest) >= 64, f"{guest.name} to have what it works with")


def test_no_memory_is_taken_from_a_guest_that_was_not_watched(fleet, pilot):
    calm_us = pilot.status()["started_us"] + CALM_S * 1_000_000
    for name in fleet:
        told = pilot.guest(name)
        assert told["before_bytes"] == MAX_MIB * MIB
        assert all(past["time_us"] >= calm_us for past in told["history"]
                   if past["target_bytes"] < past["actual_bytes"])


def test_idle_guests_are_fitted_into_the_budget(fleet, pilot):
    shrunk = [past["reason"] for name in NAMES for past in pilot.guest(name)["history"]
              if past["target_bytes"] < past["actual_bytes"]]
    # The last one if other tests press the host at that moment, which takes memory as well.
    assert shrunk and {"idle", "share", "host"}.issuperset(shrunk)
    for guest in fleet.values():
        wait_for_room(guest)
    status = pilot.status()
    assert status["budget_bytes"] == BUDGET_MIB * MIB or status["host"]["critical"]
    assert not status["overcommitted"]


def test_memory_follows_the_work_from_one_guest_to_another(fleet, pilot):
    for name in ("one", "two"):
        guest = fleet[name]
        works(pilot, guest)
        wait_for_room(guest)
        wait_for(lambda guest=guest: guest.actual() >= (240 + 64) * MIB, "its size")
        grown = [past for past in pilot.guest(name)["history"]
                 if past["target_bytes"] > past["actual_bytes"]]
        assert grown and all(past["text"] for past in grown)
        assert promised_mib(pilot) <= BUDGET_MIB
        is_done(guest)


def test_cache_gives_way_to_what_cannot_be_dropped(fleet, pilot):
    fleet["one"].hold("files", 200, "cache")
    works(pilot, fleet["three"])
    wait_for_room(fleet["three"])
    is_done(fleet["three"])


def test_a_leak_takes_from_nobody_what_he_needs(fleet, pilot):
    works(pilot, fleet["two"], pieces=3)
    works(pilot, fleet["one"], pieces=8, mib=32, every_s=1)
    wait_for_room(fleet["two"])
    pilot.wait_for_guest("two", lambda told: told["actual_bytes"] >= told["need_bytes"])
    is_done(fleet["two"], 3)
    is_done(fleet["one"], 8)


def test_a_size_that_a_person_sets_holds_until_auto(fleet, pilot, aerostat):
    env = {**aerostat.env, "AEROSTAT_SOCKET": str(pilot.socket_path)}
    here = aerostat.looking_at("--qmp", fleet["three"].qmp_path)
    here.env = env
    set_size(here, "three", 300)
    pilot.wait_for_rounds(3)
    told = pilot.wait_for_guest("three", lambda told: told["actual_bytes"] == 300 * MIB)
    assert told["mode"] == "held" and told["mode_by"] == "person"
    assert fleet["three"].actual() == 300 * MIB
    assert told["held_bytes"] == 300 * MIB and told["before_bytes"] == MAX_MIB * MIB
    set_size(here, "three", 512)
    assert here("auto", "three").code == 0
    assert pilot.guest("three")["mode"] == "auto"


def is_held(told, guest, size):
    """Whether it is held.  A person sets its size, and again if the policy has set another."""
    if told["mode"] != "held" and told["target_bytes"] == told["actual_bytes"]:
        guest.qmp("balloon", value=size)
    return told["mode"] == "held"


def test_a_size_set_past_the_daemon_holds_too(fleet, pilot):
    guest = fleet["three"]
    assert pilot.set_mode("three", "held", 400 * MIB)[0] == 200
    assert pilot.set_mode("three", "auto")[0] == 200
    pilot.wait_for_guest("three", lambda told: told["target_bytes"] == told["actual_bytes"])
    told = pilot.wait_for_guest("three", lambda told: is_held(told, guest, 250 * MIB))
    assert told["mode_by"] == "person"
    wait_for(lambda: guest.actual() == 250 * MIB, "it to get there")
    pilot.wait_for_rounds(3)
    assert guest.actual() == 250 * MIB
    assert "no guest is changed" not in pilot.log()
    assert pilot.set_mode("three", "held", MAX_MIB * MIB)[0] == 200
    assert pilot.set_mode("three", "auto")[0] == 200


def test_a_guest_without_a_driver_is_left_alone_and_costs_nobody_his_needs(fleet, pilot):
    fleet["one"].unload_driver()
    try:
        told = pilot.wait_for_guest("one", lambda told: told["driver"] == "absent")
        assert told["actual_bytes"] == MAX_MIB * MIB
        pilot.wait_for_guest("one", lambda told: told["reason"] == "driver")
        works(pilot, fleet["two"], pieces=3)
        wait_for_room(fleet["two"])
        is_done(fleet["two"], 3)
    finally:
        fleet["one"].load_driver("stock")
    pilot.wait_for_guest("one", lambda told: told["driver"] == "ready")


def test_a_stopped_guest_holds_up_nobody(fleet, pilot):
    events = pilot.events()
    fleet["one"].stop()
    try:
        assert events.wait_for("guest-lost", "one")["text"]
        works(pilot, fleet["two"], pieces=4)
        wait_for_room(fleet["two"])
        is_done(fleet["two"], 4)
        pilot.wait_for_guest("one", lambda told: told["problem"])
    finally:
        fleet["one"].cont()
    events.wait_for("guest-back", "one")
    events.close()
    pilot.wait_for_guest("one", lambda told: told["problem"] is None)


def test_a_guest_that_comes_is_found_and_one_that_is_killed_is_forgotten(fleet, pilot, lab,
                                                                         tmp_path):
    pilot.configure(f"[host]\nbudget={BUDGET_MIB}M\n[guest four]\nmode=observe\n")
    assert pilot.reload()[0] == 200
    with lab.guest("four", memory=256) as four:
        pilot_of_four = Daemon(BUILD / "aerostatd/aerostatd", tmp_path / "four", "",
                               "--qmp", four.qmp_path)
        with pilot_of_four:
            pilot_of_four.wait_for_guest("four")
            four.kill()
            pilot_of_four.wait_for_no_guest("four")
    assert {guest["name"] for guest in pilot.status()["guests"]} == set(NAMES)


def test_a_recording_of_real_guests_replays_bit_for_bit(fleet, pilot, aerostat, tmp_path):
    lines = []
    with pilot.recording() as recording:
        while len(lines) < 6:
            lines.append(recording.line())
    path = tmp_path / "recording"
    path.write_text("\n".join(lines) + "\n")
    result = aerostat("simulate", "--recording", str(path), "--json")
    assert result.code == 0
    replay = result.json["policies"][0]
    assert replay["same"] == replay["compared"] == 3 * 5


def test_killed_while_guests_are_shrunk_it_leaves_them_as_they_were(fleet, pilot):
    assert {pilot.guest(name)["mode"] for name in NAMES} == {"auto"}
    assert {pilot.guest(name)["before_bytes"] for name in NAMES} == {MAX_MIB * MIB}
    pilot.kill()
    wait_for(lambda: use_mib(fleet) == 3 * MAX_MIB, "the guardian to put all guests back")


def test_killed_and_started_at_once_it_goes_on(guests, pilot):
    pilot.env["AEROSTATD_POLICY_CLOCK"] = "4"   # idle guests are shrunk sooner
    pilot.start()
    wait_for(lambda: promised_mib(pilot) <= BUDGET_MIB, "all to fit into the budget again")
    pilot.kill()
    pilot.start()
    for name in NAMES:
        # If the guardian was faster, it may be known only once the guest is at rest.
        pilot.wait_for_guest(name, lambda told: told["before_bytes"] == MAX_MIB * MIB)


def test_at_its_end_guests_are_as_they_were(guests, pilot):
    pilot.stop_and_restore()
    # Drivers that were slow may have the last few MiB before them (aerostatd/restore.h).
    wait_for(lambda: use_mib(guests) == 3 * MAX_MIB, "the guests to be whole")
    for guest in guests.values():
        assert guest.qmp("qom-get", path="/machine/peripheral/balloon0",
                         property="guest-stats-polling-interval") == 0
