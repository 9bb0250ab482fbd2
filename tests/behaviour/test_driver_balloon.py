# SPDX-License-Identifier: BSD-3-Clause
"""Our own driver goes where the host wants it, in each of its ways, and loses no memory."""
import re

import pytest

from command import MIB
from driver import (BLOCK, PAGE, aim, assert_accounted, assert_all_usable, assert_intact, booted,
                    compact, counters, dice, fewer, go, is_ours, least_mib, matrix, put_back,
                    reload, size, wait_until_moving, wait_until_stuck, wander, with_features,
                    with_params)
from lab import Unavailable
from lab.wait import wait_for
from served import assert_given, available_mib, ram_bytes, state, use_up

MEMORY = 448
OUT = 150       # MiB in the balloon
BLOCK_PAGES = BLOCK // PAGE
FLOOR = 64      # MiB, of so small a guest
FLOOR_MESSAGE = re.compile(r"stop\w* at \d+ MiB")
PARAMETER = "/sys/module/virtio_balloon/parameters"
KINDS = matrix()
on_one_or_all = pytest.mark.parametrize("_erna", fewer(KINDS), indirect=True)


@pytest.fixture(scope="module", params=KINDS)
def _erna(lab, request):
    with booted(lab, "erna", request.param, memory=MEMORY) as guest:
        use_up(guest)
        yield guest


@pytest.fixture
def erna(_erna):
    yield _erna
    put_back(_erna)


def mem_total(guest):
    return guest.meminfo()["MemTotal"]


# Targets

@pytest.mark.parametrize("kind", ["anon", "tmpfs",
                                  pytest.param("cache", marks=pytest.mark.long)])
def test_what_is_held_survives_random_targets(erna, kind):
    numbers = dice()
    assert erna.hold("kept", 60, kind).alive
    low = least_mib(erna, spare=64)

    def amid(step):
        if step % 3 == 0:
            assert erna.hold("more", 25).alive
        elif step % 3 == 1:
            assert_intact(erna, "kept", "more")
        else:
            erna.release("more")
    wander(erna, 9, low, MEMORY, numbers, amid)
    assert_intact(erna, "kept")
    go(erna, MEMORY)
    assert_accounted(erna)
    assert_intact(erna, "kept")
    erna.release("kept")
    assert_all_usable(erna)


@pytest.mark.long
def test_nothing_is_lost_in_a_hundred_targets(erna):
    numbers = dice()
    erna.hold("kept", 60)
    wander(erna, 100, least_mib(erna), MEMORY, numbers, lambda _: assert_intact(erna, "kept"))
    go(erna, MEMORY)
    erna.release("kept")
    assert_all_usable(erna)


def test_a_target_that_is_turned_about_amid_an_inflation_is_reached(erna):
    aim(erna, MEMORY - OUT)
    wait_until_moving(erna, MEMORY)
    go(erna, MEMORY)
    assert_accounted(erna)


def test_a_target_that_is_turned_about_amid_a_deflation_is_reached(erna):
    go(erna, MEMORY - OUT)
    aim(erna, MEMORY)
    wait_until_moving(erna, MEMORY - OUT)
    go(erna, MEMORY - OUT)
    assert_accounted(erna)


def test_free_memory_comes_back_with_the_balloon(erna):
    go(erna, MEMORY - OUT)
    small = erna.meminfo()["MemFree"]
    go(erna, MEMORY)
    wait_for(lambda: erna.meminfo()["MemFree"] >= small + (OUT - 8) * MIB,
             f"{OUT - 8} MiB more to be free")


def test_mem_total_is_what_the_balloon_leaves(erna):
    before = mem_total(erna)
    for mib in (MEMORY - OUT, MEMORY - OUT // 3, MEMORY - 1, MEMORY):
        go(erna, mib)
        assert mem_total(erna) == before - size(erna) == before - (MEMORY - mib) * MIB


def test_mem_total_stays_with_deflate_on_oom(erna):
    with with_features(erna, "deflate-on-oom"):
        before = mem_total(erna)
        for mib in (MEMORY - OUT, MEMORY):
            go(erna, mib)
            assert mem_total(erna) == before


def test_the_host_has_the_memory_of_the_balloon(erna):
    use_up(erna)
    before = ram_bytes(erna)
    go(erna, MEMORY - OUT)
    assert_given(erna, before, MEMORY - OUT)


def test_the_device_has_the_account_of_the_driver(erna):
    """And found no fault in what it was told, as holds after each test."""
    if not is_ours(erna):
        pytest.skip("QEMU keeps no account of the pages")
    for mib in (MEMORY - OUT, MEMORY - OUT // 2, MEMORY - OUT - 7):
        go(erna, mib)
        assert state(erna)["ballooned"] == size(erna) == (MEMORY - mib) * MIB


# Ways to gather memory, and to tell of it

@on_one_or_all
@pytest.mark.parametrize("params", [
    "harvest=0 order=0", "batch=300", "harvest=0 batch=300 in_flight=1 remerge=0",
    *(pytest.param(params, marks=pytest.mark.long) for params in (
        "harvest=0", "order=0", "harvest=0 order=4", "batch=256", "batch=1", "in_flight=1",
        "remerge=0"))])
def test_each_way_reaches_targets_and_loses_nothing(erna, params):
    with with_params(erna, params):
        assert erna.hold("kept", 40).alive
        for mib in (MEMORY - OUT, MEMORY - OUT // 3, MEMORY - OUT + 1, MEMORY):
            go(erna, mib)
            assert_accounted(erna)
        assert_intact(erna, "kept")
        erna.release("kept")
        assert_all_usable(erna)


def inflated(guest, params):
    """The counters after a fresh driver with these parameters has inflated.

    Tests before have left the free pages in any order, and this is about whole blocks.
    """
    compact(guest)
    reload(guest, params)
    go(guest, MEMORY - OUT)
    return counters(guest)


def test_a_harvest_takes_no_allocation(erna):
    told = inflated(erna, "")
    assert not any(told["allocated"])
    assert told["harvested"] >= told["inflated"] == OUT * MIB // PAGE


def test_without_a_harvest_all_is_allocated(erna):
    told = inflated(erna, "harvest=0")
    assert told["harvested"] == 0
    assert sum(count << order for order, count in enumerate(told["allocated"])) \
        >= told["inflated"] == OUT * MIB // PAGE
    reload(erna)


@on_one_or_all
def test_no_larger_blocks_are_allocated_than_it_is_told(erna):
    told = inflated(erna, "harvest=0 order=4")
    assert told["allocated"][4] and not any(told["allocated"][5:])
    reload(erna)


@on_one_or_all
@pytest.mark.parametrize("batch", [1, 256, 300])
def test_a_request_tells_of_no_more_pages_than_it_is_told(erna, batch):
    told = inflated(erna, f"batch={batch}")
    assert told["requests"] >= told["inflated"] / batch
    reload(erna)


def test_blocks_that_came_whole_go_whole(erna):
    inflated(erna, "")
    go(erna, MEMORY)
    told = counters(erna)
    assert told["merged"] * BLOCK_PAGES >= 0.95 * told["deflated"]


@on_one_or_all
def test_without_a_remerge_pages_go_one_by_one(erna):
    with with_params(erna, "remerge=0"):
        go(erna, MEMORY - OUT)
        go(erna, MEMORY)
        assert counters(erna)["merged"] == 0


# The floor

def floor_messages(guest):
    return len(FLOOR_MESSAGE.findall(guest.kernel_log()))


def press(guest, hold_mib):
    """A target 100 MiB out of reach, of a guest that holds so much."""
    assert guest.hold("held", hold_mib).alive
    mib = least_mib(guest, floor=0, spare=-100)
    aim(guest, mib)
    wait_until_stuck(guest)
    return mib


def assert_at_floor(guest, mib):
    """The memory that the driver watches is about what it is to leave.

    It may rise when the guest frees something; then the driver goes on.
    """
    wait_for(lambda: available_mib(guest) <= mib + 20, f"no more than {mib} MiB to be available")
    wait_until_stuck(guest)
    assert available_mib(guest) >= mib - 12


def test_a_target_out_of_reach_stops_at_the_floor_and_says_so_once(erna):
    reload(erna)
    before = floor_messages(erna)
    press(erna, 200)
    assert_at_floor(erna, FLOOR)
    wait_until_stuck(erna)
    assert floor_messages(erna) == before + 1
    assert counters(erna)["floored"] == 1
    assert_intact(erna, "held")


@on_one_or_all
def test_it_goes_on_when_memory_is_released(erna):
    mib = press(erna, 200)
    erna.release("held")
    go(erna, mib)


@on_one_or_all
def test_another_floor_is_kept(erna):
    with with_params(erna, "floor_mib=110"):
        press(erna, 120)
        assert_at_floor(erna, 110)


@on_one_or_all
def test_a_floor_that_is_lowered_is_gone_on_to(erna):
    press(erna, 160)
    erna.run(f"echo 40 >{PARAMETER}/floor_mib")
    try:
        assert_at_floor(erna, 40)
    finally:
        erna.run(f"echo -1 >{PARAMETER}/floor_mib")


@on_one_or_all
def test_without_a_floor_a_lower_target_is_reached(erna):
    with with_params(erna, "floor_mib=0"):
        assert erna.hold("held", 160).alive
        go(erna, least_mib(erna, floor=28, spare=0))
        assert available_mib(erna) < FLOOR - 12
        assert_intact(erna, "held")


# Free page reporting

def reports(guest):
    return wait_for(lambda: counters(guest)["reported"] > OUT * MIB // PAGE // 2,
                    "free pages to be reported")


def test_free_page_reporting_and_the_balloon_get_along(erna):
    numbers = dice()
    with with_features(erna, "free-page-reporting"):
        use_up(erna)
        reports(erna)
        erna.hold("kept", 60)
        wander(erna, 8, least_mib(erna), MEMORY, numbers, lambda _: assert_intact(erna, "kept"))
        go(erna, MEMORY)
        assert_accounted(erna)
        assert_intact(erna, "kept")
        erna.release("kept")
        assert_all_usable(erna)
        # Read while it is used: what is free may be reported before anybody looks.
        assert erna.hold("used", available_mib(erna) - 48).alive
        reported = counters(erna)["reported"]
        erna.release("used")
        wait_for(lambda: counters(erna)["reported"] > reported + OUT * MIB // PAGE,
                 "what was used meanwhile to be reported again")


@pytest.fixture
def by_reporting(erna):
    """Its driver tells of the balloon by the reporting queue alone."""
    with with_features(erna, "free-page-reporting"), with_params(erna, "release=reporting"):
        yield erna


@on_one_or_all
def test_release_by_reporting_reaches_targets_and_the_host_has_its_bytes(by_reporting):
    guest, numbers = by_reporting, dice()
    use_up(guest)
    guest.hold("kept", 60)
    wander(guest, 8, least_mib(guest), MEMORY, numbers, lambda _: assert_intact(guest, "kept"))
    if is_ours(guest):
        assert state(guest)["ballooned"] == 0       # not by page numbers, that is
    go(guest, MEMORY)
    assert_intact(guest, "kept")
    guest.release("kept")
    assert_all_usable(guest)


@on_one_or_all
def test_a_driver_that_releases_by_reporting_leaves_nothing_behind(by_reporting):
    whole = mem_total(by_reporting)
    go(by_reporting, MEMORY - OUT)
    aim(by_reporting, MEMORY)
    by_reporting.unload_driver()
    assert mem_total(by_reporting) == whole
    assert_all_usable(by_reporting)
    by_reporting.load_driver()


@on_one_or_all
def test_release_by_reporting_is_refused_where_there_is_none(erna):
    with with_params(erna, "release=reporting"):
        assert "release=reporting: the device has no free page reporting" in erna.kernel_log()
        go(erna, MEMORY - OUT)
        if is_ours(erna):
            assert state(erna)["ballooned"] == OUT * MIB


# Huge pages at the host

@pytest.mark.parametrize("kind", matrix(quick=("6.12 host",)))
def test_huge_pages_of_the_host_are_released(lab, kind):
    """The standard driver tells of pages in an order in which none of them is."""
    try:
        with booted(lab, "olga", kind, memory=MEMORY, backing="hugetlb") as guest:
            use_up(guest)
            before = ram_bytes(guest)
            go(guest, MEMORY - OUT)
            assert_given(guest, before, MEMORY - OUT)
            assert guest.hold("kept", 40).alive
            go(guest, MEMORY)
            assert_intact(guest, "kept")
    except Unavailable as error:
        pytest.skip(str(error))
