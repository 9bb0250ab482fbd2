# SPDX-License-Identifier: BSD-3-Clause
"""Drivers come and go, guests reboot and grow, processes stop and die: the balloon goes on."""
import time

import pytest

from command import DONE, MIB
from lab.wait import HANG_S, wait_for
from served import (DRIVER, FULL, aim, another_device, assert_full, assert_given, assert_sound,
                    counters, frozen, long, on_each_kernel_if_long, on_vfio_user, put_back,
                    ram_bytes, reach, spec, state, use_up, wait_for_driver, wait_until_at,
                    wait_until_moving, whole_mib)

# The driver

@on_each_kernel_if_long
def test_a_driver_that_is_unbound_leaves_the_guest_whole_and_a_bound_one_follows(full):
    name = full.run(f"basename {DRIVER}/virtio*").output.strip()
    for _ in range(2):
        assert full.run(f"echo {name} >{DRIVER}/unbind").status == 0
        if full.spec.transport == "vfio-user":  # else it looks like a pause of the guest
            assert not state(full)["driver-ready"]
        assert full.actual() == whole_mib(full) * MIB
        assert state(full)["ballooned"] == 0
        assert full.run(f"echo {name} >{DRIVER}/bind").status == 0
        assert_full(full)


@on_each_kernel_if_long
def test_a_driver_that_is_unloaded_while_the_balloon_grows(carol):
    whole = whole_mib(carol)
    carol.hold("kept", 40)
    aim(carol, whole - FULL)
    wait_until_moving(carol, whole)
    carol.unload_driver()
    assert state(carol)["ballooned"] == 0
    carol.load_driver()
    assert_full(carol)
    carol.release("kept")


# The guest

def reboot(guest):
    """A reset of the machine, by its QEMU, which was told to end at one."""
    boots = guest.heartbeat.boots
    guest.qmp("set-action", reboot="reset")
    guest.qmp("system_reset")
    guest.wait_for_boot(time.monotonic() + HANG_S, boots)


@on_vfio_user
def test_a_reboot_empties_the_balloon_and_the_next_driver_fills_it(carol):
    whole = whole_mib(carol)
    reach(carol, whole - FULL)
    first, resets = carol.ping()[0], counters(carol)["resets"]
    reboot(carol)
    assert carol.ping()[0] != first
    assert counters(carol)["resets"] > resets
    assert state(carol)["ballooned"] == 0
    assert carol.actual() == whole * MIB
    carol.load_driver()
    wait_until_at(carol, whole - FULL)
    carol.hold("new", 40)
    reach(carol, whole)
    assert carol.touch("new", full=True).bad_pages == 0
    carol.release("new")


# QEMU

@on_each_kernel_if_long
def test_a_guest_that_is_paused_while_the_balloon_grows_goes_on(carol):
    whole = whole_mib(carol)
    for there, back in ((whole - FULL, whole), (whole, whole - FULL)):
        aim(carol, there)
        wait_until_moving(carol, back)
        carol.qmp("stop")
        aim(carol, back)        # the driver learns of it later, if ever
        aim(carol, there)
        carol.qmp("cont")
        wait_until_at(carol, there)


@on_each_kernel_if_long
def test_a_qemu_that_stands_still_while_the_balloon_grows_goes_on(carol):
    whole = whole_mib(carol)
    aim(carol, whole - FULL)
    wait_until_moving(carol, whole)
    with frozen(carol.pid):
        # The device waits for nobody: what it has in hand it releases, and it answers.
        wait_for(lambda: state(carol)["pending"] == 0, "the releases")
        aim(carol, whole - FULL - 10)
    wait_until_at(carol, whole - FULL - 10)


# The device

@on_each_kernel_if_long
def test_a_device_that_stands_still_for_a_second_holds_nobody_up_for_good(full):
    aim(full, whole_mib(full))
    wait_until_moving(full, whole_mib(full) - FULL)
    full.heartbeat.mark()
    with frozen(full.device_pid):
        # The guest may stand with it, when it waits for an answer, or live on.
        wait_for(lambda: full.heartbeat.longest_gap_ms > 1000 or full.heartbeat.beats > 20,
                 "a second of the guest")
    wait_until_at(full, whole_mib(full))
    reach(full, whole_mib(full) - FULL)
    assert_full(full)


@on_each_kernel_if_long
def test_a_full_balloon_is_handed_to_a_new_process(full):
    pid = full.device_pid
    with another_device(full, f"--target={whole_mib(full) - FULL}M"):
        assert full.device_pid != pid
        assert_full(full)
        reach(full, whole_mib(full) - FULL // 2)


@pytest.fixture(scope="module", params=["6.12", pytest.param("6.1", marks=long),
                                        pytest.param("7.3", marks=long)])
def _dora(lab, request):
    """One with MSI-X, which QEMU cannot unplug, and room for more memory."""
    with lab.guest("dora", memory=256, hot_memory=256, device_args=["--msix"],
                   **spec(f"{request.param} over vfio-user")) as guest:
        wait_for_driver(guest)
        yield guest


@pytest.fixture
def dora(_dora):
    yield _dora
    put_back(_dora)


def msix_interrupts(guest):
    name = guest.run(f"basename {DRIVER}/virtio*").output.strip()
    lines = guest.run(f"grep '{name}-' /proc/interrupts").output.splitlines()
    assert all("MSI" in line for line in lines)
    return {line.split()[-1].partition("-")[2]: int(line.split()[1]) for line in lines}


def test_msix_has_an_interrupt_for_each_purpose(dora):
    before = msix_interrupts(dora)
    assert {"config", "inflate", "deflate"} <= set(before)
    reach(dora, 200)
    reach(dora, 256)
    after = msix_interrupts(dora)
    for purpose in ("config", "inflate", "deflate"):
        assert after[purpose] > before[purpose]


def test_msix_lives_through_a_new_driver_and_a_reboot(dora):
    reach(dora, 200)
    dora.unload_driver()
    dora.load_driver()
    wait_until_at(dora, 200)
    reboot(dora)
    dora.load_driver()
    wait_until_at(dora, 200)
    assert msix_interrupts(dora)["inflate"] > 0


def test_memory_that_is_plugged_in_is_ballooned_too(dora):
    dora.hold("kept", 40)
    dora.plug_memory(256)
    wait_for(lambda: whole_mib(dora) == 512, "the device to know of it")
    use_up(dora)
    before = ram_bytes(dora)
    reach(dora, 240)        # more goes out than the old memory has
    assert_given(dora, before, 240)
    reach(dora, 512)
    dora.hold("again", 300)
    for name in ("kept", "again"):
        assert dora.touch(name, full=True).bad_pages == 0


def kill(guest):
    guest.kill_device()


def end(guest):
    guest.device_qmp("quit")
    assert guest.device.wait_end() == DONE


@pytest.mark.parametrize("transport, leave", [
    ("vfio-user", kill), *(pytest.param(*how, marks=long) for how in
                           (("vfio-user", end), ("vhost-user", kill), ("vhost-user", end)))])
def test_a_device_that_leaves_takes_no_guest_with_it(lab, transport, leave):
    with lab.guest("bereft", memory=256, **spec(f"6.12 over {transport}")) as guest:
        wait_for_driver(guest)
        guest.hold("kept", 40)
        reach(guest, 200)
        assert_sound(guest)
        leave(guest)
        assert guest.qmp("query-status")["status"] == "running"
        assert guest.touch("kept", full=True).bad_pages == 0
        guest.hold("more", 40)
        assert guest.touch("more", full=True).bad_pages == 0
        assert guest.run("echo alive").output == "alive\n"
        assert guest.heartbeat.reboots == 0
