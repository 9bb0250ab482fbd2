# SPDX-License-Identifier: BSD-3-Clause
"""Our own driver when its guest is out of memory: who gives, who is killed, and what comes after.

A hog touches more memory than the guest has without its balloon.  It has no swap to go to.
"""
import concurrent.futures
import time

import pytest

import driver
import served
from command import MIB
from lab.wait import wait_for

WHOLE, SMALL, HOG = 512, 200, 300   # MiB
SIGKILL = 9

PAUSE_MS = 5000     # how long the balloon stays away from whom it relieved
LATE_S = 0.5        # An answer of the device that takes longer may be too late for the driver.

# Whether the host has to be told before a page is used again: only our own device asks for it.
QUICK = ("6.1 host", "6.12 ours must-tell-host")
KINDS = [pytest.param(kind, id=kind.replace(" ", "-"),
                      marks=() if kind in QUICK else pytest.mark.long)
         for kernel in driver.KERNELS
         for kind in (f"{kernel} host", f"{kernel} ours", f"{kernel} ours must-tell-host")]
on_each = pytest.mark.parametrize("_rescued", KINDS, indirect=True)
on_one_or_all = pytest.mark.parametrize(
    "_rescued", driver.fewer(KINDS, quick=("6.12 ours must-tell-host",)), indirect=True)


@pytest.fixture(scope="module")
def _rescued(lab, request):
    kernel, host, *must_tell = request.param.split()
    balloon = {"deflate-on-oom": True}
    if host == "ours":
        balloon["must-tell-host"] = bool(must_tell)
    with driver.booted(lab, "rescued", f"{kernel} {host}", memory=WHOLE, balloon=balloon,
                       driver_params="relief=0") as guest:
        yield guest


@pytest.fixture
def rescued(_rescued):
    """A guest that may have its memory back when it is short of it; its balloon is full."""
    driver.go(_rescued, SMALL)
    _rescued.kills = kills(_rescued)
    yield _rescued
    assert kills(_rescued) == _rescued.kills
    driver.put_back(_rescued)


def kills(guest):
    return guest.vmstat()["oom_kill"]


def slowest_answer_s(guest, until):
    """Of its device, which is asked all the time until that is true."""
    slowest_s = 0

    def is_over():
        nonlocal slowest_s
        begin = time.monotonic()
        guest.actual()
        slowest_s = max(slowest_s, time.monotonic() - begin)
        return until()
    wait_for(is_over, f"{guest.name} to end what it does")
    return slowest_s


def hold_relieved(guest, name, mib):
    """Has the guest hold more than it has without its balloon, which relieves it.

    The driver gives the device a second to answer.  Where that was too little because the machine
    has much to do, this is tried again.
    """
    def survives():
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            hold = threads.submit(guest.hold, name, mib)
            slowest_s = slowest_answer_s(guest, hold.done)
        if not hold.result().alive:
            assert slowest_s > LATE_S, f"{hold.result()}, though the device was never late"
            guest.release(name)
            guest.kills = kills(guest)
        return hold.result().alive
    wait_for(survives, f"{name} to survive")


@on_each
def test_the_host_knows_whether_memory_is_taken_back_early(rescued, aerostat):
    """On QEMU's device, too, which passes on neither features nor statistics of our own."""
    def abilities():
        return aerostat("dominfo", rescued.address, "--json").json["abilities"]
    assert aerostat("dommemstat", rescued.address, "--period", "1").code == 0
    wait_for(lambda: "relieve" in abilities(), "the guest's abilities to be known")
    assert "pull" not in abilities()
    rescued.run("echo Y >/sys/module/virtio_balloon/parameters/relief")
    wait_for(lambda: "pull" in abilities(), "statistics with the mark")
    rescued.run("echo N >/sys/module/virtio_balloon/parameters/relief")
    wait_for(lambda: "pull" not in abilities(), "statistics without the mark")


@on_each
def test_the_balloon_gives_before_anybody_is_killed(rescued):
    before = driver.counters(rescued)
    assert rescued.meminfo()["MemTotal"] > SMALL * MIB      # the balloon counts as used
    hold_relieved(rescued, "hog", HOG)
    after = driver.counters(rescued)
    relief = after["oom_relief"] - before["oom_relief"]
    assert relief >= (HOG - SMALL) * MIB // driver.PAGE

    def adds_up():
        """It may come back a little, if the hog was slow: see PAUSE_MS."""
        after = driver.counters(rescued)    # which are read one after the other
        return after["size"] == before["size"] + sum(
            sign * (after[name] - before[name]) for name, sign in
            (("inflated", 1), ("deflated", -1)))
    wait_for(adds_up, "the counters to add up to the size")
    driver.assert_accounted(rescued)
    driver.assert_intact(rescued, "hog")


@on_one_or_all
def test_the_balloon_presses_nobody_whom_it_relieved(rescued):
    """It comes back after a while, but not below the floor."""
    hold_relieved(rescued, "hog", HOG)
    size = driver.size(rescued)
    driver.wait_until_stuck(rescued)
    assert driver.size(rescued) <= size
    driver.assert_intact(rescued, "hog")
    rescued.release("hog")
    wait_for(lambda: driver.is_at(rescued, SMALL), "the balloon to be full again")
    driver.assert_accounted(rescued)


@on_one_or_all
def test_the_balloon_stays_away_for_a_while(rescued):
    before = driver.counters(rescued)
    begin = driver.uptime_ms(rescued)
    # Short of little, so that it does not take long, but more than the estimate of what is
    # available leaves out.
    hold_relieved(rescued, "hog", served.available_mib(rescued) + 64)
    rescued.release("hog")
    assert driver.counters(rescued)["oom_relief"] > before["oom_relief"]
    wait_for(lambda: driver.counters(rescued)["inflated"] > before["inflated"],
             "the balloon to come back")
    assert driver.uptime_ms(rescued) - begin >= PAUSE_MS


@on_each
def test_a_balloon_that_still_grows_gives_all_the_same(rescued):
    """Its target is out of reach, so the driver looks for memory all the time."""
    driver.aim(rescued, 64)
    driver.wait_until_stuck(rescued)
    before = driver.counters(rescued)["oom_relief"]
    hold_relieved(rescued, "hog", HOG)
    driver.assert_intact(rescued, "hog")
    rescued.release("hog")
    assert driver.counters(rescued)["oom_relief"] > before
    driver.go(rescued, WHOLE)
    driver.assert_accounted(rescued)


@pytest.mark.parametrize("kind", driver.matrix(quick=("6.12 ours",),
                                                hosts=("host", "ours")))
def test_unless_the_host_allows_it_the_balloon_gives_nothing(lab, kind):
    """The OOM killer takes the hog, as with the stock driver; guest and driver live."""
    with driver.booted(lab, "strict", kind, memory=WHOLE,
                       balloon={"deflate-on-oom": False}) as guest:
        guest.hold("kept", 24, "tmpfs")
        driver.go(guest, SMALL)
        size = driver.size(guest)
        hog = guest.hold("hog", HOG)
        assert not hog.alive and hog.signal == SIGKILL
        assert kills(guest) == 1
        assert driver.counters(guest)["oom_relief"] == 0
        assert driver.size(guest) == size
        driver.assert_intact(guest, "kept")
        driver.go(guest, WHOLE)
        driver.assert_accounted(guest)
