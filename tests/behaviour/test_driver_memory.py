# SPDX-License-Identifier: BSD-3-Clause
"""Our own driver in guests whose memory is in pieces, in use, on the move, or taken away."""
import pytest

from command import MIB
from driver import (BLOCK, SMALL, assert_accounted, assert_all_usable, assert_intact, aim,
                    available_mib, booted, compact, counters, fragment, fragments_sum, go,
                    least_mib, matrix, put_back, size, use_up, wait_for_driver, wait_until_stuck,
                    whole_blocks, whole_mib, with_features, with_params)

MEMORY = 448
OUT = 150       # MiB in the balloon
HOT = 256
SWAP = 200
ZEROS = "/hold/zeros"
ZEROS_MIB = 60
SMALL_MIB = 40  # of files of one page, half of which are deleted
STRIPES = 5
STRIPE_MIB = 20
TRIES = 5


@pytest.fixture(scope="module", params=matrix())
def _fina(lab, request):
    with booted(lab, "fina", request.param, memory=MEMORY, swap_disk=SWAP) as guest:
        use_up(guest)
        yield guest


@pytest.fixture
def fina(_fina):
    yield _fina
    put_back(_fina)


# Guests that have no whole blocks to spare

def test_memory_in_pieces_is_taken_page_by_page(fina):
    """The balloon takes more than lies in whole blocks, and what lies between stays."""
    with with_params(fina, "floor_mib=16"):
        assert fina.hold("rest", available_mib(fina) - 80).alive
        fragment(fina, SMALL_MIB)
        before = fragments_sum(fina)
        go(fina, least_mib(fina, floor=16, spare=8))
        assert any(counters(fina)["allocated"][:9])
        assert fragments_sum(fina) == before
        go(fina, MEMORY)
        assert_accounted(fina)
        assert_intact(fina, "rest")


def test_page_cache_makes_room(fina):
    held = available_mib(fina) - 20
    assert fina.hold("file", held, "cache").alive
    mib = least_mib(fina)
    assert mib < MEMORY - OUT
    go(fina, mib)
    assert_intact(fina, "file")
    go(fina, MEMORY)
    assert_accounted(fina)


def test_tmpfs_stays(fina):
    held = available_mib(fina) - 120
    assert fina.hold("file", held, "tmpfs").alive
    go(fina, least_mib(fina, spare=8))
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


def test_a_guest_with_swap_swaps_and_loses_nothing(swapping):
    """Zeros go first: they are old, and fit into zram, which the pattern of a hold does not."""
    assert swapping.run(f"head -c {ZEROS_MIB * MIB} /dev/zero >{ZEROS}").status == 0
    assert swapping.hold("held", available_mib(swapping) - 80).alive
    before = swapping.vmstat()["pswpout"]
    go(swapping, least_mib(swapping, floor=-20, spare=0))
    assert swapping.vmstat()["pswpout"] > before
    assert_intact(swapping, "held")
    go(swapping, MEMORY)
    assert_accounted(swapping)
    assert_intact(swapping, "held")
    assert swapping.run(f"tr -d '\\0' <{ZEROS} | wc -c").output == "0\n"


def test_a_guest_without_swap_keeps_what_it_holds_at_a_target_out_of_reach(fina):
    assert fina.hold("held", 200).alive
    aim(fina, 150)
    wait_until_stuck(fina)
    assert_intact(fina, "held")
    assert fina.run("true").status == 0
    assert fina.vmstat()["oom_kill"] == 0


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
    for _ in range(TRIES):
        scatter(guest)
        compact(guest)
        if counters(guest)["migrated"]:
            return
        fragment(guest, SMALL_MIB)      # another order of all that is free
        go(guest, MEMORY)
        guest.release_all()
        guest.run(f"rm -rf {SMALL}", timeout=60)
    pytest.fail(f"compaction moved nothing in {TRIES} tries")


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


@pytest.mark.long
def test_compaction_leaves_as_many_whole_blocks_as_with_the_standard_driver(fina):
    """But for a few that the order of things decides."""
    ours = blocks_after_compaction(fina)
    fina.unload_driver()
    fina.load_driver("stock")
    standard = blocks_after_compaction(fina)
    fina.unload_driver()
    fina.load_driver("aerostat")
    wait_for_driver(fina)
    print(f"whole blocks: {ours}, with the standard driver {standard}")
    assert ours >= 0.95 * standard


def test_memory_that_comes_back_is_in_whole_blocks_again(fina):
    compact(fina)
    before = whole_blocks(fina)
    go(fina, MEMORY - OUT)
    assert whole_blocks(fina) <= before - OUT * MIB // BLOCK + 4
    go(fina, MEMORY)
    assert whole_blocks(fina) >= before - 2


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
    done = guest.run(f"echo {state} >/sys/devices/system/memory/{block}/state", timeout=120)
    assert done.status == 0, done


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
