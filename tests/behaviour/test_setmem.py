# SPDX-License-Identifier: BSD-3-Clause
"""setmem moves real memory, waits, and tells the truth about it."""
import contextlib
import os
import re
import signal

import pytest

from command import (DONE, MIB, NO_DRIVER, PATIENT, REFUSED, SHORT, read_terminal, setmem,
                     wait_until_shown, wait_until_usable)
from lab.wait import HANG_S, wait_for


TOUCHED = 380 * MIB
QEMU_GROWTH = 32 * MIB      # at most: when it emulates a CPU, it keeps what it has translated


def move_touched_memory(run, guest):
    """It goes to the host, and comes back."""
    guest.hold("all", TOUCHED // MIB)
    guest.release("all")
    wait_until_usable(run, guest, 340)
    host_before = guest.host_bytes()

    result = setmem(run, guest.address, "256M", "--json")

    assert result.code == DONE, result
    answer = result.json
    assert answer["outcome"] == "done"
    assert answer["before_bytes"] == 512 * MIB
    assert answer["after_bytes"] == 256 * MIB == guest.actual()
    # All but 256 MiB of what was touched, less what QEMU may have come to need meanwhile.
    assert answer["host_gain_bytes"] > TOUCHED - 256 * MIB - QEMU_GROWTH
    measured = host_before - guest.host_bytes()
    assert abs(measured - answer["host_gain_bytes"]) < QEMU_GROWTH
    assert guest.meminfo()["MemTotal"] < 256 * MIB

    assert setmem(run, guest.address, "512M").code == DONE
    assert guest.actual() == 512 * MIB
    guest.hold("again", 380)
    assert guest.touch("again", full=True).bad_pages == 0
    guest.release("again")


def test_touched_memory_goes_to_the_host_and_comes_back(reached):
    move_touched_memory(reached.run, reached.guest)


@pytest.mark.parametrize("way", ["qmp", pytest.param("libvirt", marks=pytest.mark.long)],
                         indirect=True)
def test_touched_memory_of_an_older_kernel_does_so_too(way):
    with way.guest("moving", kernel="6.1", memory=512) as guest:
        move_touched_memory(way.run, guest)


def test_the_guest_is_neither_paused_nor_rebooted(alpha, aerostat):
    boot_id = alpha.ping()[0]
    alpha.heartbeat.mark()
    assert setmem(aerostat, alpha.address, "256M").code == DONE
    assert setmem(aerostat, alpha.address, "512M").code == DONE
    assert alpha.ping()[0] == boot_id
    assert alpha.heartbeat.wait(1)
    assert alpha.heartbeat.reboots == 0


def test_the_report_for_people(alpha, aerostat):
    wait_until_usable(aerostat, alpha, 340)
    result = aerostat("setmem", alpha.address, "300M", *PATIENT)
    assert re.match(r"alpha: 512 MiB -> 300 MiB in \d+\.\d s\n"
                    r"  host: got back \d+(\.\d)? [KM]?i?B of the 212 MiB taken, measured",
                    result.out), result
    result = aerostat("setmem", alpha.address, "512M", *PATIENT)
    assert re.match(r"alpha: 300 MiB -> 512 MiB in \d+\.\d s\n"
                    r"  host: 212 MiB more promised", result.out), result


def test_already_there(reached):
    def gains_nothing():
        """Unless QEMU itself has freed memory meanwhile."""
        result = reached.run("setmem", reached.name, "512M", "--json")
        assert result.code == DONE
        assert result.json["first_move_s"] is None
        return result.json["host_gain_bytes"] < 4 * MIB
    wait_for(gains_nothing, "a setmem that gains nothing")


def test_no_wait_asks_and_returns(reached):
    """Of a guest that cannot move: whoever waits for it ends with another exit code."""
    guest = reached.guest
    guest.qmp("stop")
    try:
        result = reached.run("setmem", guest.address, "400M", "--no-wait", "--json")
        assert result.code == DONE
        assert result.json["outcome"] == "asked"
        assert result.json["waited"] is False
    finally:
        guest.qmp("cont")
    wait_for(lambda: guest.actual() == 400 * MIB, "the target that was asked for")


def test_quiet_is_quiet(alpha, aerostat):
    wait_until_usable(aerostat, alpha, 340)
    result = aerostat("--quiet", "setmem", "--domain", alpha.address, "--size", "400M", *PATIENT)
    assert result.code == DONE
    assert result.err == ""


def test_bare_sizes_are_kib_and_rounded_up_to_a_page(alpha, aerostat):
    result = setmem(aerostat, alpha.address, "409598", "--json")
    assert result.json["target_bytes"] == 409600 * 1024
    assert alpha.actual() == 409600 * 1024


def test_force_goes_below_the_floor(alpha, aerostat):
    """As far as it can: what it cannot free, and what its CPU keeps in lists, is not known here."""
    result = aerostat("setmem", alpha.address, "160M", "--force", "--json")
    assert result.code in (DONE, SHORT)
    assert result.json["target_bytes"] == 160 * MIB
    assert result.json["after_bytes"] < 512 * MIB
    assert alpha.ping()


def test_a_guest_with_no_driver(way):
    with way.guest("driverless", memory=256, driver=False) as guest:
        result = way.run("setmem", guest.address, "200M", "--json", "--timeout", "1")
        assert result.code == NO_DRIVER
        assert result.json["outcome"] == "no-driver"
        assert guest.actual() == 256 * MIB

        guest.load_driver()
        assert setmem(way.run, guest.address, "200M").code == DONE
        assert guest.actual() == 200 * MIB


def test_a_driver_that_was_unloaded(way):
    with way.guest("unloaded", memory=256, balloon={"stats-period": 1}) as guest:
        assert setmem(way.run, guest.address, "200M").code == DONE
        guest.unload_driver()
        assert guest.actual() == 256 * MIB
        result = way.run("setmem", guest.address, "180M", "--json", "--timeout", "1")
        assert result.code == NO_DRIVER, result


@pytest.fixture
def paused(alpha, aerostat):
    """A guest whose size stays until it goes on."""
    wait_until_usable(aerostat, alpha, 340)
    alpha.qmp("stop")
    yield alpha
    alpha.qmp("cont")


def test_a_paused_guest(paused, aerostat):
    result = aerostat("setmem", paused.address, "400M", "--stall", "1", "--json")
    assert result.code == SHORT
    assert "the guest is paused" in result.json["reason"]
    paused.qmp("cont")
    assert setmem(aerostat, paused.address, "400M").code == DONE


@contextlib.contextmanager
def asking_for_300_mib(guest, aerostat):
    """A setmem of a paused guest that waits, and has set the target."""
    process = aerostat.start_at_terminal("setmem", guest.address, "300M", *PATIENT)
    wait_until_shown(process, b"going to 300 MiB")
    yield process
    process.wait(HANG_S)
    os.close(process.terminal)


def end_of(process):
    """What it has printed, at its end."""
    while read_terminal(process):
        pass
    return process.communicate(timeout=HANG_S)[0]


def test_the_newer_of_two_setmem_stands(paused, aerostat):
    with asking_for_300_mib(paused, aerostat) as first:
        second = aerostat.start("setmem", paused.address, "400M", *PATIENT)
        out = end_of(first)
    assert first.returncode == SHORT, out
    assert "another setmem has asked for 400 MiB meanwhile" in out
    paused.qmp("cont")
    out, err = second.communicate(timeout=HANG_S)
    assert second.returncode == DONE, out + err
    assert paused.actual() == 400 * MIB


def test_a_newer_no_wait_overtakes_too(paused, aerostat):
    with asking_for_300_mib(paused, aerostat) as first:
        assert aerostat("setmem", paused.address, "400M", "--no-wait").code == DONE
        out = end_of(first)
    assert first.returncode == SHORT, out
    assert "another setmem has asked for 400 MiB meanwhile" in out
    paused.qmp("cont")
    wait_for(lambda: paused.actual() == 400 * MIB, "the newer target")


def test_a_transient_guest_has_no_next_start(lab, libvirt, aerostat_libvirt):
    with lab.guest("fleeting", via="libvirt", libvirt=libvirt, memory=256,
                   persistent=False) as guest:
        result = aerostat_libvirt("setmem", "fleeting", "200M", "--config")
        assert result.code == REFUSED
        assert "transient" in result.error
        assert aerostat_libvirt("edit", "fleeting", env={"VISUAL": "false"}).code == REFUSED
        both = "--live", "--config"     # neither is changed
        assert aerostat_libvirt("setmem", "fleeting", "200M", *both).code == REFUSED
        assert guest.actual() == 256 * MIB
        period = aerostat_libvirt("dommemstat", "fleeting", "--json").json["period_s"]
        assert aerostat_libvirt("dommemstat", "fleeting", "--period", "9", *both).code == REFUSED
        assert aerostat_libvirt("dommemstat", "fleeting", "--json").json["period_s"] == period
        assert setmem(aerostat_libvirt, "fleeting", "200M").code == DONE
        assert guest.actual() == 200 * MIB


def test_ctrl_c_leaves_the_target_and_says_so(paused, aerostat):
    with asking_for_300_mib(paused, aerostat) as process:
        process.send_signal(signal.SIGINT)
        out = end_of(process)
    assert process.returncode == 130, out
    assert "interrupted; the target stays set" in out
    paused.qmp("cont")
    wait_for(lambda: paused.actual() == 300 * MIB, "the target that was left")


def test_config_changes_the_next_start_alone(libvirt, beta, aerostat_libvirt):
    result = aerostat_libvirt("setmem", "beta", "400M", "--config")
    assert result.code == DONE
    assert result.out == "beta: will start with 400 MiB next time\n"
    assert beta.actual() == 512 * MIB
    assert "<currentMemory unit='KiB'>409600<" in libvirt.virsh("dumpxml", "--inactive", "beta")


def test_live_and_config_together(libvirt, beta, aerostat_libvirt):
    assert setmem(aerostat_libvirt, "beta", "400M", "--live", "--config").code == DONE
    assert beta.actual() == 400 * MIB
    assert "<currentMemory unit='KiB'>409600<" in libvirt.virsh("dumpxml", "--inactive", "beta")
    assert setmem(aerostat_libvirt, "beta", "512M", "--live", "--config").code == DONE


def test_the_next_start_has_its_own_maximum(beta, aerostat_libvirt):
    assert aerostat_libvirt("setmaxmem", "beta", "1G", "--config").code == DONE
    assert "Next max:       1048576 KiB (1 GiB)" in aerostat_libvirt("dominfo", "beta").out
    assert aerostat_libvirt("setmem", "beta", "700M", "--config").code == DONE
    result = aerostat_libvirt("setmem", "beta", "700M")
    assert "700 MiB is above its maximum of 512 MiB" in result.error
    result = aerostat_libvirt("setmem", "beta", "1100M", "--config")
    assert "1100 MiB is above its maximum of 1 GiB" in result.error
    result = aerostat_libvirt("setmem", "beta", "200M", "--config")
    assert "below its floor of 232 MiB" in result.error


def test_setmaxmem_for_the_next_start_warns_that_current_falls(libvirt, beta, aerostat_libvirt):
    result = aerostat_libvirt("setmaxmem", "beta", "300M", "--config")
    assert result.code == DONE
    assert "this also lowers currentMemory at the next start, from 512 MiB to 300 MiB" in result.err
    assert "<memory unit='KiB'>307200<" in libvirt.virsh("dumpxml", "--inactive", "beta")
