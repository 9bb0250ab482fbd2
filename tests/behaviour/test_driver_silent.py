# SPDX-License-Identifier: BSD-3-Clause
"""A device that falls silent in the midst of something: the guest leaves it, and sleeps.

Whatever is in flight (DOINGS), each way to end the use of the device (ENDINGS) succeeds, on any
number of CPUs, and all memory is there afterwards.  test_driver_device_faults.py covers devices
that misbehave in other ways.
"""
import pytest

import driver
from faulty import (DEFLATE, FAKE, FULL, INFLATE, MEMORY, NEVER, REPORTING, STATS, assert_lives,
                    assert_whole, bad_guest, heal, keeps, load, misbehave, plug, put_back, remember,
                    wait_until_keeps)
from lab.wait import wait_for
from served import DRIVER, aim, reach, state, wait_for_driver, wait_until_at

COMPACTING, PASSES = "/tmp/compacting", "/tmp/passes"
STRIPES, STRIPE_MIB = 4, 25
HINTS = "free-page"
IN_FLIGHT = 2   # requests that the driver sends at once


# What is in flight when the device falls silent

def wait_until_keeps_all(guest, queue):
    """The driver can do nothing more without an answer."""
    wait_for(lambda: keeps(guest, queue) == IN_FLIGHT, f"the device to keep all of {queue}")


def inflation(guest):
    misbehave(guest, "keep", NEVER, INFLATE)
    aim(guest, MEMORY - FULL)
    wait_until_keeps_all(guest, INFLATE)


def deflation(guest):
    reach(guest, MEMORY - FULL)
    misbehave(guest, "keep", NEVER, DEFLATE)
    aim(guest, MEMORY)
    wait_until_keeps_all(guest, DEFLATE)


def compaction_begins(guest):
    """Whether compaction moves a page of the balloon: chance decides where the free pages are.

    The balloon lies between other memory, most of which is free then.
    """
    reach(guest, MEMORY)
    for number in range(STRIPES):
        reach(guest, MEMORY - (number + 1) * STRIPE_MIB)
        guest.hold(f"stripe{number}", STRIPE_MIB)
    for number in range(STRIPES):
        guest.release(f"stripe{number}")
    for queue in (INFLATE, DEFLATE):
        misbehave(guest, "keep", NEVER, queue)
    guest.run(f"touch {COMPACTING} {PASSES}; (while [ -e {COMPACTING} ]; do echo 1 "
              f">/proc/sys/vm/compact_memory; echo >>{PASSES}; done; rm {PASSES}) "
              ">/dev/null 2>&1 &")
    wait_for(lambda: keeps(guest, INFLATE)
             or int(guest.run(f"wc -l <{PASSES}").output) > 2, "compaction")
    if keeps(guest, INFLATE):
        return True
    end_compaction(guest)
    heal(guest)
    wait_for(lambda: guest.run(f"test -e {PASSES}").status, "compaction to end")
    driver.fragment(guest, STRIPE_MIB)      # another order of all that is free
    guest.run(f"rm -rf {driver.SMALL}")
    return False


def compaction(guest):
    """Without a pause, so that there is a migration in flight whatever the driver does."""
    wait_for(lambda: compaction_begins(guest), "compaction to move the balloon")


def end_compaction(guest):
    guest.run(f"rm -f {COMPACTING}")


def report(guest):
    misbehave(guest, "keep", NEVER, REPORTING)
    guest.hold("used", FULL)
    guest.release("used")
    wait_until_keeps(guest, REPORTING)


def hinting(guest):
    """The second round waits for the id of the first, which the device has still."""
    misbehave(guest, "keep", NEVER, HINTS)
    guest.device_qmp("x-hint", action="start")
    wait_for(lambda: state(guest)["hinting"] == "ended", "the first round to end")
    guest.device_qmp("x-hint", action="start")


def statistics(guest):
    misbehave(guest, "keep", NEVER, STATS)
    misbehave(guest, "stats-flood", True)
    wait_until_keeps(guest, STATS)


DOINGS = (inflation, deflation, compaction, report, hinting, statistics)


# How the use of the device ends

def unloading(guest):
    guest.unload_driver()
    end_compaction(guest)
    assert_whole(guest)
    heal(guest)
    load(guest)


def unplugging(guest):
    guest.unplug()
    end_compaction(guest)
    assert_whole(guest)
    plug(guest)


def sleeping(guest):
    """The device answers at last, when nobody waits for it any more."""
    with driver.asleep(guest, "freeze"):
        heal(guest)
    end_compaction(guest)
    wait_for_driver(guest)


ENDINGS = (unloading, unplugging, sleeping)
QUICK = {(compaction, unloading), (compaction, sleeping), (inflation, sleeping),
         (hinting, sleeping), (report, sleeping)}
amid_anything = pytest.mark.parametrize("doing, ending", [
    pytest.param(doing, ending, id=f"{doing.__name__}-{ending.__name__}",
                 marks=() if (doing, ending) in QUICK else pytest.mark.long)
    for doing in DOINGS for ending in ENDINGS])

# What preempt= may be; since 7.0 there is no other.  The first is the kernel's own choice.
PREEMPTION = {"6.1": ("voluntary", "none", "full"), "6.12": ("voluntary", "none", "full"),
              "7.3": ("lazy", "full")}
MAIN = "6.12, 2 CPUs, full"     # other tests of the driver have the kernel's own choice
KINDS = [pytest.param(kind, marks=() if kind == MAIN else pytest.mark.long)
         for kernel in driver.KERNELS for preempt in PREEMPTION[kernel] for cpus in (1, 2, 4)
         for kind in [f"{kernel}, {cpus} CPUs, {preempt}"]]
FEATURES = {"free-page-reporting": True, "free-page-hint": True}


@pytest.fixture(scope="module", params=KINDS)
def _sofia(lab, request):
    if not FAKE.exists():
        pytest.skip(f"{FAKE} is not built")
    kernel, cpus, _, preempt = request.param.replace(",", "").split()
    with bad_guest(lab, "sofia", kernel, cpus=int(cpus), driver_params="harvest=0 order=0",
                   balloon=FEATURES, kernel_args=f"preempt={preempt}") as guest:
        assert f"Dynamic Preempt: {preempt}" in guest.run("dmesg").output
        remember(guest)
        yield guest


@pytest.fixture
def sofia(_sofia):
    """A guest whose device falls silent, and which is whole afterwards."""
    yield _sofia
    end_compaction(_sofia)
    if state(_sofia)["hinting"] not in ("done", "stopped"):
        _sofia.device_qmp("x-hint", action="done")
    put_back(_sofia)


@amid_anything
def test_a_silent_device_can_be_left_amid_anything(sofia, doing, ending):
    doing(sofia)
    ending(sofia)
    assert_lives(sofia)


def test_a_silent_device_lets_the_guest_sleep_though_it_may_keep_it_awake(sofia):
    """For a second, no longer."""
    power = f"{DRIVER}/virtio*/power"
    assert sofia.run(f"cd {power}; echo enabled > wakeup").status == 0
    inflation(sofia)
    wait_for(lambda: sofia.run(f"cat {power}/wakeup_active").output == "0\n",
             "the guest to be let sleep")
    sleeping(sofia)
    assert sofia.run(f"cd {power}; echo disabled > wakeup").status == 0


def test_a_sleep_that_is_called_off_leaves_the_balloon_at_work(sofia):
    """The driver has left the silent device by then."""
    device = sofia.run(f"cd {DRIVER}/virtio*; pwd -P").output.strip()
    report(sofia)
    # The kernel refuses a count to which an event has just been added.
    assert sofia.run(f"cd {device}/power; echo enabled > wakeup; until "
                     "cat /sys/power/wakeup_count > /sys/power/wakeup_count; do :; done"
                     ).status == 0
    aim(sofia, MEMORY - 8)      # the event that calls it off
    wait_for(lambda: sofia.run(f"cat {device}/power/wakeup_count").output != "0\n", "the event")
    assert sofia.run("echo freeze > /sys/power/state").status
    wait_for(lambda: not keeps(sofia, REPORTING), "the device to be reset")
    wait_for_driver(sofia)
    reach(sofia, MEMORY - FULL)
    sofia.run(f"echo disabled > {device}/power/wakeup")
    assert_lives(sofia)


def test_a_device_that_refuses_its_features_on_resume_keeps_no_memory(sofia):
    """Linux does not ask the driver to resume then.  The next resume makes up for it."""
    reach(sofia, MEMORY - FULL)
    with driver.asleep(sofia, "freeze"):
        misbehave(sofia, "refuse-features", True)
    assert not state(sofia)["driver-ready"]
    assert_whole(sofia)
    with driver.asleep(sofia, "freeze"):
        heal(sofia)
    wait_until_at(sofia, MEMORY - FULL)


@pytest.mark.long
@pytest.mark.parametrize("how", ("reboot", "kexec"))
@pytest.mark.parametrize("doing", DOINGS)
@pytest.mark.parametrize("kernel", driver.KERNELS)
def test_a_guest_boots_again_amid_anything(lab, kernel, doing, how):
    """And the new boot's memory is not the device's, whenever it answers what the old one sent."""
    with bad_guest(lab, "phoenix", kernel, cpus=2, driver_params="harvest=0 order=0",
                   balloon=FEATURES, packaged_kernel=how == "kexec") as guest:
        remember(guest)
        doing(guest)
        aim(guest, MEMORY)
        getattr(guest, how)()
        guest.hold("kept", 40)
        heal(guest)
        wait_for_driver(guest)
        reach(guest, MEMORY - FULL)
        reach(guest, MEMORY)
        found = guest.touch("kept", full=True)
        assert found.alive and found.bad_pages == 0
        guest.check_kernel_log()


@pytest.mark.long
@pytest.mark.parametrize("doing", DOINGS)
@pytest.mark.parametrize("kernel", driver.KERNELS)
def test_a_guest_hibernates_amid_anything(lab, kernel, doing):
    with bad_guest(lab, "dormouse", kernel, cpus=2, driver_params="harvest=0 order=0",
                   balloon=FEATURES, swap_disk=512) as guest:
        remember(guest)
        guest.swap("on disk")
        doing(guest)
        driver.hibernate(guest)
        end_compaction(guest)
        heal(guest)
        reach(guest, MEMORY - FULL)
        reach(guest, MEMORY)
        assert_lives(guest)
