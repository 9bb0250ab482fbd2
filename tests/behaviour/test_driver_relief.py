# SPDX-License-Identifier: BSD-3-Clause
"""Early relief: a guest with our driver takes memory back by itself before it swaps or kills.

A hog touches more memory than the guest has without its balloon, as fast as it can.
"""
import pytest

import driver
from command import MIB
from faulty import (DEFLATE, FAKE, FULL, MEMORY, NEVER, assert_lives, bad_guest, heal, load,
                    misbehave, put_back, remember, unload, wait_until_keeps)
from served import reach, wait_for_driver

WHOLE, SMALL, HOG, SWAP = 512, 200, 300, 256    # MiB
STREAM = 300    # MiB, more than fits into the cache
LEAST_MS = 5000     # for which the balloon does not grow after a pull

QUICK = ("6.12 ours",)  # test_driver_oom.py has a guest of 6.1 in every run
on_each = pytest.mark.parametrize("_rich", driver.matrix(quick=QUICK, hosts=("host", "ours")),
                                  indirect=True)
on_one_or_all = pytest.mark.parametrize(
    "_rich", driver.fewer(driver.matrix(quick=QUICK, hosts=("host", "ours"))), indirect=True)


@pytest.fixture(scope="module")
def _rich(lab, request):
    with driver.booted(lab, "rich", request.param, memory=WHOLE, swap_disk=SWAP,
                       balloon={"deflate-on-oom": True}) as guest:
        yield guest


@pytest.fixture
def rich(_rich):
    """A guest that has little, and may take back more; nothing in it is killed."""
    driver.go(_rich, SMALL)
    before = kills(_rich)
    yield _rich
    set_relief(_rich, True)
    assert kills(_rich) == before
    driver.put_back(_rich)


def kills(guest):
    return guest.vmstat()["oom_kill"]


def set_relief(guest, on):
    done = guest.run(f"echo {'Y' if on else 'N'} >/sys/module/virtio_balloon/parameters/relief")
    assert done.status == 0, done


def pull(guest):
    """Makes the guest take memory back; what made it is gone afterwards."""
    before = driver.counters(guest)["pulls"]
    assert guest.hold("hog", driver.available_mib(guest) + 48).alive
    assert driver.counters(guest)["pulls"] > before
    guest.release("hog")


@on_each
def test_a_guest_without_swap_takes_memory_back_before_it_is_out_of_it(rich):
    before = driver.counters(rich)
    assert rich.hold("hog", HOG).alive
    after = driver.counters(rich)
    taken = after["early_relief"] - before["early_relief"]
    assert taken + after["oom_relief"] - before["oom_relief"] >= (HOG - SMALL) * MIB // driver.PAGE
    assert after["pulls"] > before["pulls"]
    assert after["size"] == before["size"] - taken - after["oom_relief"] + before["oom_relief"]
    driver.assert_accounted(rich)
    driver.assert_intact(rich, "hog")


@on_one_or_all
def test_a_guest_with_swap_takes_memory_back_rather_than_swap(rich):
    """There the OOM notifier is never called: without early relief it swaps all that it lacks."""
    rich.swap("on disk")
    before = rich.vmstat()["pswpout"]
    assert rich.hold("hog", HOG).alive
    swapped = rich.vmstat()["pswpout"] - before
    driver.assert_intact(rich, "hog")
    rich.release("hog")
    rich.swap("off disk")
    assert swapped < (HOG - SMALL) / 2 * MIB // driver.PAGE


@on_one_or_all
def test_streaming_through_the_cache_takes_nothing_back(rich):
    rich.hold("file", STREAM, "cache")      # more than fits, so it is read from the disk
    before = driver.counters(rich)["pulls"]
    scanned = rich.vmstat()["pgsteal_kswapd"]
    driver.assert_intact(rich, "file")
    assert rich.vmstat()["pgsteal_kswapd"] > scanned
    assert driver.counters(rich)["pulls"] == before


@on_one_or_all
def test_after_a_pull_the_balloon_waits_for_another_target(rich):
    begin = driver.uptime_ms(rich)
    pull(rich)
    size = driver.size(rich)
    inflated = driver.counters(rich)["inflated"]
    driver.aim(rich, SMALL - 8)
    driver.go(rich, SMALL - 8)
    assert driver.size(rich) > size
    assert driver.counters(rich)["inflated"] > inflated
    assert driver.uptime_ms(rich) - begin >= LEAST_MS   # the pull may have been later than that


@on_one_or_all
def test_the_host_learns_of_a_pull_from_its_size(rich):
    before = rich.actual()
    pull(rich)
    assert rich.actual() >= before + 48 * MIB
    driver.assert_accounted(rich)


@on_one_or_all
def test_relief_can_be_switched_off(rich):
    set_relief(rich, False)
    before = driver.counters(rich)
    assert rich.hold("hog", HOG).alive
    after = driver.counters(rich)
    assert after["pulls"] == before["pulls"]
    assert after["oom_relief"] > before["oom_relief"]


@on_one_or_all
def test_an_inflation_pulls_nothing_back(rich):
    """It stops where a pull would begin, although the guest has swap."""
    rich.swap("on disk")
    before = driver.counters(rich)["pulls"]
    driver.aim(rich, 48)
    driver.wait_until_stuck(rich)
    assert driver.counters(rich)["pulls"] == before
    driver.go(rich, SMALL)
    rich.swap("off disk")


COMPACT = "while [ ! -e /tmp/end ]; do echo 1 >/proc/sys/vm/compact_memory; done"


@pytest.mark.long
@pytest.mark.parametrize("kind", driver.matrix(quick=(), hosts=("host", "ours")))
def test_pulls_among_compaction_and_unloading_pass_strict_checks(lab, kind):
    """With the strictest checks that Debian's kernels have: they are built without lockdep."""
    with driver.booted(lab, "rita", kind, memory=WHOLE, cpus=2, swap_disk=SWAP,
                       balloon={"deflate-on-oom": True},
                       kernel_args="slub_debug=FZPU debug_pagealloc=on page_poison=1") as guest:
        guest.swap("on disk")       # what the checks take must not be missing to the hog
        guest.run(f"({COMPACT}) >/dev/null 2>&1 &")
        pulls = 0
        for _ in range(4):
            driver.go(guest, SMALL + 56)
            assert guest.hold("hog", HOG).alive
            pulls += driver.counters(guest)["pulls"]
            driver.assert_intact(guest, "hog")
            guest.unload_driver()
            guest.release("hog")
            guest.load_driver("aerostat")
            driver.wait_for_driver(guest)
        guest.run("touch /tmp/end")
        assert pulls > 0


@pytest.fixture(scope="module")
def _robin(lab):
    if not FAKE.exists():
        pytest.skip(f"{FAKE} is not built")
    with bad_guest(lab, "robin", "6.12", cpus=2, balloon={"deflate-on-oom": True}) as guest:
        remember(guest)
        yield guest


@pytest.fixture
def robin(_robin):
    """A guest whose pull the device does not acknowledge; its hog may be killed."""
    reach(_robin, MEMORY - FULL)
    misbehave(_robin, "keep", NEVER, DEFLATE)
    before = driver.counters(_robin)["pulls"]
    _robin.hold("hog", driver.available_mib(_robin) + FULL // 2)
    wait_until_keeps(_robin, DEFLATE)
    assert driver.counters(_robin)["pulls"] == before + 1   # the next one waits for its end
    yield _robin
    _robin.release("hog")
    put_back(_robin)


@pytest.mark.long
def test_a_pull_that_is_not_acknowledged_lets_the_driver_be_unloaded(robin):
    unload(robin)
    assert_lives(robin)
    heal(robin)
    load(robin)


@pytest.mark.long
def test_a_pull_that_is_not_acknowledged_lets_the_guest_sleep(robin):
    with driver.asleep(robin, "freeze"):
        heal(robin)
    wait_for_driver(robin)
    assert_lives(robin)
