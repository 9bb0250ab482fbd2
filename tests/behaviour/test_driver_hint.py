# SPDX-License-Identifier: BSD-3-Clause
"""Free pages that our own driver offers for a migration, and has back."""
import contextlib

import pytest

from command import MIB
from driver import asleep
from lab.errors import GuestError
from lab.wait import wait_for
from served import assert_sound, counters, state, wait_for_driver

KERNELS = ("6.12", *(pytest.param(kernel, marks=pytest.mark.long) for kernel in ("6.1", "7.3")))


@contextlib.contextmanager
def hinting(lab, kernel="6.12", **spec):
    with lab.guest("hinter", kernel=kernel, memory=384, device="aerostat", driver="aerostat",
                   **spec) as guest:
        wait_for_driver(guest)
        yield guest
        assert_sound(guest)
        guest.check_kernel_log()


@pytest.fixture(scope="module", params=KERNELS)
def _dora(lab, request):
    with hinting(lab, request.param) as guest:
        yield guest


@pytest.fixture
def dora(_dora):
    yield _dora
    _dora.release_all()
    if state(_dora)["hinting"] not in ("done", "stopped"):
        hint(_dora, "done")
    assert_sound(_dora)


def hint(guest, action):
    guest.device_qmp("x-hint", action=action)


def free(guest):
    return guest.meminfo()["MemFree"]


def reclaimable(guest):
    """What the kernel may free for a driver that takes all that is free."""
    info = guest.meminfo()
    return info["SReclaimable"] + info["Buffers"] + info["Cached"]


def one_round(guest):
    """Until the driver has said STOP; how much it offered."""
    before = counters(guest)["hinted-bytes"]
    hint(guest, "start")
    wait_for(lambda: state(guest)["hinting"] == "ended", "the round to end")
    return counters(guest)["hinted-bytes"] - before


def wait_for_free(guest, bytes_):
    wait_for(lambda: free(guest) >= bytes_ - 8 * MIB, "the guest to have its pages back")


def test_a_round_offers_what_is_free_and_done_gives_it_back(dora):
    before = free(dora)
    most = before + reclaimable(dora) + 8 * MIB
    for _ in range(3):
        hinted = one_round(dora)
        assert 0.5 * before < hinted <= most
        assert free(dora) <= most - hinted      # kept, for the host's sake
        hint(dora, "done")
        wait_for_free(dora, before)


def test_pages_are_kept_from_round_to_round_until_done(dora):
    before = free(dora)
    offered = counters(dora)["hinted-bytes"]
    hint(dora, "start")
    wait_for(lambda: counters(dora)["hinted-bytes"] > offered + 20 * MIB, "hints")
    with contextlib.suppress(GuestError):       # a fast guest's round has ended
        hint(dora, "stop")
    for _ in range(3):                          # time enough for the driver to hear of it
        assert free(dora) < before - 16 * MIB
    assert one_round(dora) < before - 16 * MIB  # what is kept is not offered again
    assert free(dora) < before // 2
    assert one_round(dora) < before // 2
    hint(dora, "done")
    wait_for_free(dora, before)


def test_a_guest_that_needs_its_memory_takes_it_back_amid_a_round(dora):
    before = free(dora)
    one_round(dora)
    held = dora.hold("needed", before // MIB - 60)
    assert held.alive
    assert dora.touch("needed", full=True).bad_pages == 0
    dora.release("needed")
    hint(dora, "done")
    wait_for_free(dora, before)


def test_the_balloon_moves_amid_a_round(dora):
    before = free(dora)
    one_round(dora)
    for mib in (284, 384):
        dora.device_qmp("balloon", value=mib * MIB)
        wait_for(lambda mib=mib: dora.actual() == mib * MIB, f"{mib} MiB")
    hint(dora, "done")
    wait_for_free(dora, before)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_driver_unloaded_amid_a_round_leaves_nothing_behind(dora, at_once):
    before = free(dora)
    if at_once:
        hint(dora, "start")
    else:
        one_round(dora)
    dora.unload_driver()
    wait_for_free(dora, before)
    dora.load_driver()
    wait_for_driver(dora)
    assert one_round(dora) > 0.5 * before
    hint(dora, "done")
    wait_for_free(dora, before)


def test_a_sleep_gives_pages_back_and_the_next_round_is_heard(dora):
    before = free(dora)
    one_round(dora)
    with asleep(dora, "freeze"):
        pass
    wait_for_driver(dora)
    wait_for_free(dora, before)
    assert one_round(dora) > 0.5 * before
    hint(dora, "done")
    wait_for_free(dora, before)


def test_a_round_asked_as_soon_as_the_driver_is_there_is_heard(dora):
    before = free(dora)
    dora.unload_driver()
    dora.load_driver()
    wait_for_driver(dora)
    assert one_round(dora) > 0.5 * before
    hint(dora, "done")
    wait_for_free(dora, before)


def test_hints_can_be_switched_off(lab):
    with hinting(lab, driver_params="hinting=0") as guest:
        assert "free-page-hint" not in state(guest)["acknowledged"]
        with pytest.raises(GuestError, match="needs a driver that acknowledged free-page-hint"):
            hint(guest, "start")
