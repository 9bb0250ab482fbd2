# SPDX-License-Identifier: BSD-3-Clause
"""Free pages that the guest reports or hints at, and a guest that is out of free pages."""
import contextlib

import pytest

from command import MIB
from lab.errors import GuestError
from lab.wait import wait_for
from served import (another_device, assert_sound, counters, events, frozen,
                    on_each_kernel_if_long, on_vfio_user, ram_bytes, reach, spec, state, use_up,
                    wait_for_driver, whole_mib)


# Reporting

@contextlib.contextmanager
def reporting(carol, *words):
    with another_device(carol, "--features=+free-page-reporting", *words):
        yield carol


def wait_for_fall(guest, before, mib):
    wait_for(lambda: before - ram_bytes(guest) > mib * MIB, "host memory to fall")


def wait_for_reports(guest, mib):
    """Since now."""
    before = counters(guest)["reported-bytes"]
    use_up(guest)
    wait_for(lambda: counters(guest)["reported-bytes"] - before > mib * MIB, "reports")


@on_each_kernel_if_long
def test_memory_that_the_guest_frees_goes_to_the_host_by_itself(carol):
    carol.hold("kept", 30)
    with reporting(carol):
        assert state(carol)["reporting"]
        carol.hold("freed", 150)
        before = ram_bytes(carol)
        carol.release("freed")
        wait_for_fall(carol, before, 120)
        assert counters(carol)["reported-bytes"] >= 120 * MIB
        carol.hold("again", 150)
        assert carol.touch("again", full=True).bad_pages == 0
        carol.release("again")
    assert carol.touch("kept", full=True).bad_pages == 0
    carol.release("kept")


@on_each_kernel_if_long
def test_reports_release_nothing_while_that_is_switched_off(carol):
    with reporting(carol):
        carol.device_qmp("x-set-reporting", enable=False)
        assert not state(carol)["reporting"]
        wait_for(lambda: state(carol)["pending"] == 0, "what was reported before to be released")
        released = counters(carol)["released-bytes"]
        wait_for_reports(carol, 100)
        assert counters(carol)["released-bytes"] == released
        carol.device_qmp("x-set-reporting", enable=True)
        wait_for_reports(carol, 100)
        wait_for(lambda: counters(carol)["released-bytes"] - released > 90 * MIB, "the releases")


@on_each_kernel_if_long
def test_reporting_and_a_balloon_get_along(carol):
    whole = whole_mib(carol)
    with reporting(carol):
        carol.hold("freed", 100)
        carol.release("freed")
        for _ in range(3):
            reach(carol, whole - 100)
            reach(carol, whole)
        carol.hold("again", 150)
        assert carol.touch("again", full=True).bad_pages == 0
        carol.release("again")


def test_a_guest_that_zeroes_what_it_frees_loses_nothing(lab):
    """The only poison that Debian's kernels know is zero, which is what a hole reads as.

    Another one forbids that reports are released; that is for the unit tests.
    """
    balloon = {"free-page-reporting": True}
    with lab.guest("erin", memory=384, kernel_args="init_on_free=1", balloon=balloon,
                   **spec("6.12 over vfio-user")) as guest:
        wait_for_driver(guest)
        assert {"page-poison", "free-page-reporting"} <= set(state(guest)["acknowledged"])
        guest.hold("freed", 150)
        before = ram_bytes(guest)
        guest.release("freed")
        wait_for_fall(guest, before, 120)
        reach(guest, 284)
        reach(guest, 384)
        guest.hold("again", 150)
        assert guest.touch("again", full=True).bad_pages == 0
        assert_sound(guest)


# Hinting

def hint(guest, action):
    guest.device_qmp("x-hint", action=action)


def wait_for_hinting(guest, *states):
    wait_for(lambda: state(guest)["hinting"] in states, f"hinting to be {' or '.join(states)}")


def one_round(guest):
    """How much was hinted at, in bytes."""
    before = counters(guest)["hinted-bytes"]
    hint(guest, "start")
    wait_for_hinting(guest, "ended")
    return counters(guest)["hinted-bytes"] - before


def free_bytes(guest):
    return guest.meminfo()["MemFree"]


def end_round(guest, free):
    """Waits until the driver has taken back what it held out: until so much is free again."""
    hint(guest, "done")
    assert state(guest)["hinting"] == "done"
    wait_for(lambda: free_bytes(guest) > free - 8 * MIB, "the guest to have its pages back")


def reclaimable_bytes(guest):
    """What the kernel may free for a driver that allocates all that is free."""
    info = guest.meminfo()
    return info["SReclaimable"] + info["Buffers"] + info["Cached"]


@on_each_kernel_if_long
def test_rounds_of_hints_list_the_free_pages_each_time(carol):
    carol.hold("kept", 40)
    reach(carol, whole_mib(carol) - 20)
    for _ in range(3):
        free, more = free_bytes(carol), reclaimable_bytes(carol)
        hinted = one_round(carol)
        # The driver takes them for the time, in pieces of 4 MiB, as long as there are some.
        assert 0.5 * free < hinted <= free + more + 8 * MIB
        end_round(carol, free)
    assert carol.touch("kept", full=True).bad_pages == 0
    carol.release("kept")
    reach(carol, whole_mib(carol) - 100)    # the balloon has not suffered


@on_each_kernel_if_long
def test_hints_take_nothing_from_the_guest(carol):
    use_up(carol)
    before, free = ram_bytes(carol), free_bytes(carol)
    one_round(carol)
    assert ram_bytes(carol) >= before
    end_round(carol, free)


@on_each_kernel_if_long
def test_the_end_of_a_round_is_an_event(carol):
    free = free_bytes(carol)
    with events(carol) as monitor:
        monitor.execute("x-hint", action="start")
        assert monitor.wait_event("X_HINTS")
    wait_for_hinting(carol, "ended")
    end_round(carol, free)


@on_each_kernel_if_long
def test_a_round_may_be_stopped_or_be_done_with_early(carol):
    for early, then in (("stop", "stopped"), ("done", "done")):
        with frozen(carol.pid):     # so that its round does not end before that
            hint(carol, "start")
            hint(carol, early)
            assert state(carol)["hinting"] == then
    with pytest.raises(GuestError, match="hinting cannot done now"):
        hint(carol, "done")
    reach(carol, whole_mib(carol) - 20)


@on_vfio_user       # over vhost-user it looks like a pause of the guest
def test_a_driver_that_goes_during_a_round_ends_it(carol):
    hint(carol, "start")
    carol.unload_driver()
    assert state(carol)["hinting"] in ("done", "ended")
    with pytest.raises(GuestError, match="needs a driver that acknowledged free-page-hint"):
        hint(carol, "start")
    carol.load_driver()
    wait_for_driver(carol)
    free = free_bytes(carol)
    one_round(carol)
    end_round(carol, free)


# Out of memory

def pressed(guest, whole):
    """With a balloon of 150 MiB, and a process that wants more than that leaves.

    What is available is an estimate, which leaves out a few MiB that a process can have.
    """
    reach(guest, whole - 150)
    return guest.hold("greedy", guest.meminfo()["MemAvailable"] // MIB + 80)


@on_each_kernel_if_long
def test_a_guest_out_of_memory_takes_pages_back_if_it_may(carol):
    whole = whole_mib(carol)
    with another_device(carol, "--features=+deflate-on-oom"):
        held = pressed(carol, whole)
        assert held.alive, held
        wait_for(lambda: state(carol)["ballooned"] < 150 * MIB
                 and carol.actual() > (whole - 150) * MIB, "the device to know")
        assert carol.touch("greedy", full=True).bad_pages == 0
        carol.release("greedy")
        reach(carol, whole - 150)       # by the same target, if it is said again


@on_each_kernel_if_long
def test_a_guest_out_of_memory_kills_if_it_may_not(carol):
    whole = whole_mib(carol)
    held = pressed(carol, whole)
    assert not held.alive and held.signal == 9
    assert carol.actual() == (whole - 150) * MIB
    carol.release("greedy")
