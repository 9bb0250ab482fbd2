# SPDX-License-Identifier: BSD-3-Clause
"""Our own driver in guests whose memory is in pieces, in use, on the move, or taken away."""
import contextlib

import pytest

from command import MIB
from driver import (BLOCK, SMALL, assert_accounted, assert_all_usable, assert_intact, aim, booted,
                    compact, counters, fewer, fragment, fragments_sum, go, least_mib, matrix,
                    put_back, size, uptime_ms, wait_for_driver, wait_until_stuck, whole_blocks,
                    whole_mib, with_features, with_params)
from lab.wait import wait_for
from served import available_mib, use_up

MEMORY = 448
OUT = 150       # MiB in the balloon
HOT = 256
SWAP = 200
ZEROS = "/hold/zeros"
ZEROS_MIB = 60
SMALL_MIB = 40  # of files of one page, half of which are deleted
IN_PIECES_MIB = 70  # of them where nearly all free memory is to be in pieces
BLOCK_ORDER = 9
STRIPES = 5
STRIPE_MIB = 20
REPORTED_AFTER_MS = 3000    # the kernel reports free pages 2 s after it is asked to

KINDS = matrix()
on_one_or_all = pytest.mark.parametrize("_fina", fewer(KINDS), indirect=True)


@pytest.fixture(scope="module", params=KINDS)
def _fina(lab, request):
    with booted(lab, "fina", request.param, memory=MEMORY, swap_disk=SWAP) as guest:
        use_up(guest)
        yield guest


@pytest.fixture
def fina(_fina):
    yield _fina
    put_back(_fina)


# Guests that have no whole blocks to spare

@contextlib.contextmanager
def nothing_compacted_for_blocks(guest):
    """No allocation of a block makes one out of pieces while the block runs."""
    threshold = "/proc/sys/vm/extfrag_threshold"
    assert guest.run(f"echo 1000 >{threshold}").status == 0
    try:
        yield
    finally:
        guest.run(f"echo 500 >{threshold}")


@on_one_or_all
def test_memory_in_pieces_is_taken_page_by_page(fina):
    """The balloon takes more than lies in whole blocks, and what lies between stays.

    Of the pieces the larger are left, without which the guest cannot start a process.
    """
    def in_pieces():
        """The least size in reach, if what lies in whole blocks is not enough for that."""
        fina.release_all()
        fina.run(f"rm -rf {SMALL}")
        assert fina.hold("rest", available_mib(fina) - IN_PIECES_MIB * 3 // 2).alive
        fragment(fina, IN_PIECES_MIB)
        mib = least_mib(fina, floor=16, spare=8)
        return whole_blocks(fina) * BLOCK < (MEMORY - mib) * MIB and mib

    with with_params(fina, "floor_mib=16"), nothing_compacted_for_blocks(fina):
        mib = wait_for(in_pieces, "memory to be in pieces")
        before, kills = fragments_sum(fina), fina.vmstat()["oom_kill"]
        go(fina, mib)
        single, *larger = counters(fina)["allocated"][:BLOCK_ORDER]
        assert single and sum(larger) < BLOCK_ORDER     # of each a last one, perhaps
        for _ in range(20):
            assert fina.run("true").status == 0
        assert fina.vmstat()["oom_kill"] == kills
        assert fragments_sum(fina) == before
        go(fina, MEMORY)
        assert_accounted(fina)
        assert_intact(fina, "rest")


@pytest.mark.parametrize("kind", matrix(hosts=("host", "ours"), quick=("6.12 ours",)))
def test_a_driver_that_finds_no_block_to_try_leaves_nothing_behind(lab, kind):
    """The kernel's reporting, which it joined for that, is left; or a timer outlives it."""
    with booted(lab, "hera", kind, memory=256, balloon={"free-page-reporting": True}) as guest:
        def finds_no_block():
            """A few may be left, as chance has it."""
            guest.unload_driver()
            guest.release_all()
            guest.run(f"rm -rf {SMALL}")
            assert guest.hold("rest", available_mib(guest) - 70).alive
            fragment(guest, SMALL_MIB)
            guest.load_driver()
            wait_for_driver(guest)
            return counters(guest)["harvested"] == 0
        wait_for(finds_no_block, "no block to be free")
        guest.unload_driver()
        gone = uptime_ms(guest)
        wait_for(lambda: uptime_ms(guest) >= gone + REPORTED_AFTER_MS, "the guest to live on")
        guest.check_kernel_log()
        guest.load_driver()
        wait_for_driver(guest)


@on_one_or_all
def test_page_cache_makes_room(fina):
    held = available_mib(fina) - 20
    assert fina.hold("file", held, "cache").alive
    mib = least_mib(fina)
    assert mib < MEMORY - OUT
    go(fina, mib)
    assert_intact(fina, "file")
    go(fina, MEMORY)
    assert_accounted(fina)


@on_one_or_all
def test_tmpfs_stays(fina):
    held = available_mib(fina) - 120
    assert fina.hold("file", held, "tmpfs").alive
    go(fina, least_mib(fina))
    assert_intact(fina, "file")
    go(fina, MEMORY)
    assert_accounted(fina)
    assert_intact(fina, "file")


@pytest.fixture(params=["disk", f"zram {SWAP}"])
def swapping(fina, request):
    fina.swap(f"on {request.param}")
    yield fina
    fina.run(f"rm -f {ZEROS}")
    fina.release_all()
    go(fina, MEMORY)
    fina.swap(f"off {request.param.split()[0]}")


@on_one_or_all
def test_a_guest_with_swap_swaps_and_loses_nothing(swapping):
    """Zeros go first: they are old, and fit into zram, which the pattern of a hold does not."""
    assert swapping.run(f"head -c {ZEROS_MIB * MIB} /dev/zero >{ZEROS}").status == 0
    assert swapping.hold("held", available_mib(swapping) - 80).alive
    before = swapping.meminfo()["SwapFree"]     # pages of zeros are not written, and not counted
    go(swapping, least_mib(swapping, floor=-20, spare=0))
    assert swapping.meminfo()["SwapFree"] < before
    assert_intact(swapping, "held")
    go(swapping, MEMORY)
    assert_accounted(swapping)
    assert_intact(swapping, "held")
    assert swapping.run(f"tr -d '\\0' <{ZEROS} | wc -c").output == "0\n"


def test_a_guest_without_swap_keeps_what_it_holds_at_a_target_out_of_reach(fina):
    kills = fina.vmstat()["oom_kill"]
    assert fina.hold("held", 200).alive
    aim(fina, 150)
    wait_until_stuck(fina)
    assert_intact(fina, "held")
    assert fina.run("true").status == 0
    assert fina.vmstat()["oom_kill"] == kills


# Compaction

def scatter(guest):
    """A balloon that lies between other pages, most of which are free then."""
    parts = [f"part{number}" for number in range(STRIPES)]
    assert guest.hold("kept", 20).alive
    for number, part in enumerate(parts, 1):
        go(guest, MEMORY - number * STRIPE_MIB)
        assert guest.hold(part, STRIPE_MIB).alive
    for part in parts:
        guest.release(part)


def compact_until_it_moves(guest):
    """Compaction moves what lies low into what is free above; where that is, chance decides."""
    def compaction_moves_it():
        scatter(guest)
        compact(guest)
        if counters(guest)["migrated"]:
            return True
        fragment(guest, SMALL_MIB)      # another order of all that is free
        go(guest, MEMORY)
        guest.release_all()
        guest.run(f"rm -rf {SMALL}")
        return False
    wait_for(compaction_moves_it, "compaction to move the balloon")


def test_compaction_moves_the_balloon_and_leaves_all_intact(fina):
    with with_params(fina, "harvest=0 order=0"):
        compact_until_it_moves(fina)
        assert size(fina) == STRIPES * STRIPE_MIB * MIB
        assert_accounted(fina)
        assert_intact(fina, "kept")
        go(fina, MEMORY)
        assert_intact(fina, "kept")
        fina.release("kept")
        assert_all_usable(fina)


@on_one_or_all
def test_compaction_amid_changes_of_the_target_is_harmless(fina):
    with with_params(fina, "harvest=0 order=0"):
        scatter(fina)
        low, high = MEMORY - OUT, MEMORY - OUT // 4
        for mib in (low, high) * 4:
            aim(fina, mib)
            compact(fina)
        go(fina, low)
        assert_accounted(fina)
        assert_intact(fina, "kept")


@pytest.mark.long
def test_a_balloon_by_reporting_can_be_compacted(fina):
    with with_features(fina, "free-page-reporting"), \
            with_params(fina, "release=reporting harvest=0 order=0"):
        compact_until_it_moves(fina)
        assert_intact(fina, "kept")
        go(fina, MEMORY)
        assert_intact(fina, "kept")


def blocks_after_compaction(guest):
    """With a balloon that grew while memory was in pieces."""
    scatter(guest)
    compact(guest)
    blocks = whole_blocks(guest)
    guest.release_all()
    go(guest, MEMORY)
    return blocks


@pytest.mark.parametrize("kind", matrix(quick=()))
def test_compaction_leaves_as_many_whole_blocks_as_with_the_standard_driver(lab, kind):
    """In a new guest, and but for a few that the order of things decides."""
    with booted(lab, "ines", kind, memory=MEMORY) as guest:
        use_up(guest)
        ours = blocks_after_compaction(guest)
        guest.unload_driver()
        guest.load_driver("stock")
        standard = blocks_after_compaction(guest)
    print(f"whole blocks: {ours}, with the standard driver {standard}")
    assert ours >= 0.93 * standard


def test_memory_that_comes_back_is_in_whole_blocks_again(fina):
    compact(fina)
    before = whole_blocks(fina)
    go(fina, MEMORY - OUT)
    assert whole_blocks(fina) <= before - OUT * MIB // BLOCK + 4
    go(fina, MEMORY)
    wait_for(lambda: whole_blocks(fina) >= before - 4, f"{before - 4} whole blocks")


# Memory that is taken away

def blocks_of_hot_memory(guest):
    """The names of those above 4 GiB, where hot-plugged memory lies here."""
    first = (4 << 30) // int(guest.run(
        "cat /sys/devices/system/memory/block_size_bytes").output, 16)
    names = guest.run("ls /sys/devices/system/memory").output.split()
    return sorted((name for name in names if name.startswith("memory")
                   and int(name.removeprefix("memory")) >= first),
                  key=lambda name: int(name.removeprefix("memory")))


def put(guest, block, state):
    """The kernel refuses to take memory away of which something is in use just then."""
    wait_for(lambda: guest.run(f"echo {state} >/sys/devices/system/memory/{block}/state").status
             == 0, f"{block} to be {state}")


@pytest.mark.parametrize("kind", matrix(quick=("6.12 ours",)))
def test_memory_goes_offline_through_the_balloon(lab, kind):
    # In a zone of their own blocks can go offline, and are the first that an allocation gets.
    with booted(lab, "gina", kind, memory=MEMORY, hot_memory=HOT, driver_params="harvest=0",
                kernel_args="memhp_default_state=online_movable") as guest:
        guest.plug_memory(HOT)
        total = guest.meminfo()["MemTotal"]
        assert guest.hold("kept", 40).alive
        go(guest, whole_mib(guest) - OUT)
        assert guest.meminfo()["MemTotal"] == total - OUT * MIB
        block = blocks_of_hot_memory(guest)[0]
        put(guest, block, "offline")
        assert counters(guest)["migrated"] > 0
        assert size(guest) == OUT * MIB
        assert_intact(guest, "kept")
        put(guest, block, "online_movable")
        go(guest, whole_mib(guest))
        assert guest.meminfo()["MemTotal"] == total
        assert_intact(guest, "kept")
