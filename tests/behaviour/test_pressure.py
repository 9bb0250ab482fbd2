# SPDX-License-Identifier: BSD-3-Clause
"""Guests under pressure: each row of what Linux does when a balloon wants too much.

A guest of 1 GiB holds 400 MiB and is asked down to 256 MiB.  By itself setmem
takes what the guest can give without harm.  With --force it presses on, and
what happens then depends on how the memory is held, on swap, and on
deflate-on-oom; setmem must say what happened, and never leave the guest where
its next fork kills it.
"""
import contextlib
import re

import pytest

from asking import fake_qmp
from command import DONE, MIB, SHORT, UNREACHABLE
from conftest import put_back
from lab.wait import HANG_S, wait_for

# What the guest itself uses, and keeps for itself, is less than 200 MiB.
USED_MIB = 400 + 200
HEADROOM_MIB = 64
LEAST_MIB = USED_MIB + HEADROOM_MIB


@contextlib.contextmanager
def pressed(lab, kind, autodeflate, swap=None):
    """A guest that holds its 400 MiB, and is busy."""
    balloon = {"deflate-on-oom": autodeflate, "stats-period": 1}
    with lab.guest("pressed", memory=1024, balloon=balloon,
                   swap_disk=1024 if swap == "disk" else None) as guest:
        if swap:
            guest.swap("on disk" if swap == "disk" else "on zram 512")
        if kind:
            guest.hold("data", 400, kind)
        # The driver alone never wakes the OOM killer; whoever else needs a page does.
        guest.run("(while :; do date; done) >/dev/null 2>&1 &")
        yield guest


@pytest.fixture(scope="module", params=[False, True], ids=["strict", "deflate-on-oom"])
def _spared(lab, request):
    with pressed(lab, None, request.param) as guest:
        yield guest


@pytest.fixture
def spared(_spared):
    """A guest for what hurts nobody; it holds nothing, and is whole again afterwards."""
    yield _spared
    _spared.release_all()
    put_back(_spared)


def assert_alive(guest):
    """Its own init answers, and it can start a process."""
    assert guest.alive()
    assert guest.run("echo alive").output.strip() == "alive"
    assert guest.heartbeat.reboots == 0


def shrink_pressed(guest, aerostat, words=("--force",), target=256, stall=4):
    """The story of one row; returns the answer and the guest's last word on its memory.

    stall: HANG_S for a guest that gets there, however long it stands still meanwhile
    """
    result = aerostat("setmem", guest.address, f"{target}M", "--json", "--stall", str(stall),
                      "--timeout", str(HANG_S), *words)
    held = guest.touch("data")
    assert_alive(guest)
    return result, held, guest.actual()


def shrink(lab, aerostat, kind, autodeflate, swap=None, **how):
    """The same of a guest of its own, which this may cost its life."""
    with pressed(lab, kind, autodeflate, swap) as guest:
        return shrink_pressed(guest, aerostat, **how)


def assert_stopped_short_and_eased(result, autodeflate):
    assert result.code == SHORT, result
    answer = result.json
    assert answer["after_bytes"] > 400 * MIB
    assert (400 + HEADROOM_MIB) * MIB <= answer["eased_target_bytes"] <= LEAST_MIB * MIB
    assert ("deflate on OOM" in answer["reason"]) == autodeflate
    assert "give it swap" in answer["remedy"]


def test_tmpfs_with_deflate_on_oom_stops_short_and_is_eased(lab, aerostat):
    result, held, actual = shrink(lab, aerostat, "tmpfs", True)
    assert_stopped_short_and_eased(result, True)
    assert held.alive and held.bad_pages == 0
    assert actual >= (400 + HEADROOM_MIB) * MIB


def test_tmpfs_without_swap_stops_short_or_panics_as_was_said(lab, aerostat):
    """Nothing can be killed that would help, so that a kernel thread's own need is its end."""
    with pressed(lab, "tmpfs", False) as guest:
        result = aerostat("setmem", guest.address, "256M", "--json", "--stall", "4", "--force")
        assert "it will swap or kill processes" in result.err
        if result.code == UNREACHABLE:
            wait_for(lambda: "Kernel panic - not syncing: System is deadlocked on memory" in
                     guest.console.read_text(errors="replace"), "the guest's last words")
        else:
            assert_stopped_short_and_eased(result, False)


def test_anonymous_without_swap_is_killed_for_it(lab, aerostat):
    """The row to warn of: the target is reached, at the price of the process."""
    result, held, actual = shrink(lab, aerostat, "anon", False, stall=HANG_S)
    assert result.code == DONE, result
    need = re.search(r"uses about (\d+) MiB that it cannot free: it will swap or kill", result.err)
    assert 400 < int(need[1]) < USED_MIB
    assert not held.alive
    assert actual == 256 * MIB


def test_anonymous_with_deflate_on_oom_survives_and_stops_short(lab, aerostat):
    result, held, _ = shrink(lab, aerostat, "anon", True)
    assert result.code == SHORT, result
    assert "deflate on OOM" in result.json["reason"]
    assert held.alive and held.bad_pages == 0


@pytest.mark.parametrize("autodeflate", [False, True])
def test_anonymous_with_a_swap_disk_gets_there(lab, aerostat, autodeflate):
    result, held, actual = shrink(lab, aerostat, "anon", autodeflate, swap="disk", stall=HANG_S)
    assert result.code == DONE, result
    assert held.alive and held.bad_pages == 0
    assert actual == 256 * MIB


def test_anonymous_with_zram_swaps_until_it_cannot(lab, aerostat):
    """Swap that lives in the same memory helps little with data that does not compress."""
    result, held, _ = shrink(lab, aerostat, "anon", False, swap="zram")
    assert result.code == (DONE if result.json["after_bytes"] == 256 * MIB else SHORT), result
    if result.code == DONE:
        assert not held.alive
    else:
        assert "the guest" in result.json["reason"]


def test_keep_target_leaves_the_target_as_virsh_would(lab, aerostat):
    with lab.guest("kept", memory=512, balloon={"deflate-on-oom": True}) as guest:
        guest.hold("data", 300, "tmpfs")
        result = aerostat("setmem", guest.address, "200M", "--json", "--stall", "2",
                          "--force", "--keep-target")
        assert result.code == SHORT
        assert result.json["eased_target_bytes"] is None
        guest.release("data")       # as soon as it can, the driver goes on
        assert aerostat("setmem", guest.address, "200M").code == DONE


def test_a_timeout_while_still_moving_says_so(aerostat, tmp_path):
    """A real guest may have arrived by then, or not have set out."""
    with fake_qmp(tmp_path / "slow.qmp", "--rate", "1") as address:
        result = aerostat("setmem", address, "600M", "--json", "--timeout", "2")
        assert result.code == SHORT
        assert "still moving" in result.json["reason"]
        assert "--timeout" in result.json["remedy"]
        assert result.json["eased_target_bytes"] is None


# Last, as their guest is busy until the last of them has ended

@pytest.mark.parametrize("kind", ["anon", "tmpfs"])
def test_unforced_the_guest_gives_what_it_can_and_nobody_is_hurt(spared, aerostat, kind):
    spared.hold("data", 400, kind)
    result, held, actual = shrink_pressed(spared, aerostat, words=())
    assert result.code == SHORT, result
    answer = result.json
    assert "that it cannot free" in answer["reason"]
    assert "--force" in answer["remedy"]
    assert answer["eased_target_bytes"] is None     # it was never pressed
    assert (400 + HEADROOM_MIB) * MIB <= answer["after_bytes"] == actual <= LEAST_MIB * MIB
    assert held.alive and held.bad_pages == 0


@pytest.mark.parametrize("_spared", [False], indirect=True, ids=["strict"])
def test_page_cache_is_given_up_without_harm(spared, aerostat):
    spared.hold("data", 400, "cache")
    result, _, actual = shrink_pressed(spared, aerostat, words=(), target=384, stall=HANG_S)
    assert result.code == DONE, result
    assert actual == 384 * MIB
