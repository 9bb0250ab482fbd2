# SPDX-License-Identifier: BSD-3-Clause
"""Processes stop, die, restart and lie; the command answers in time and says what happened."""
import contextlib
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from command import (DONE, MIB, NO_DRIVER, NO_GUEST, PATIENT, REFUSED, SHORT, UNREACHABLE,
                     setmem)
from lab.wait import HANG_S, wait_for

CALL_S = 5      # what the command waits for each answer of libvirt
FAKE = pathlib.Path(__file__).parents[1] / "fake_qmp.py"


@contextlib.contextmanager
def fake_qmp(tmp_path, mode, *words):
    """A QMP server that misbehaves as no real QEMU would."""
    path = tmp_path / "fake.qmp"
    process = subprocess.Popen([sys.executable, str(FAKE), str(path), "--mode", mode, *words],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("ready ")
        yield f"qmp:{path}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("mode, code, says", [
    ("no-greeting", UNREACHABLE, "another program holds the monitor"),
    ("garbage", UNREACHABLE, "JSON"),
    ("truncated", UNREACHABLE, ""),
    ("huge", UNREACHABLE, ""),
    ("endless", UNREACHABLE, ""),
    ("deep", UNREACHABLE, ""),
    ("drop-after-greeting", UNREACHABLE, ""),
    ("drop-mid-command", UNREACHABLE, ""),
    ("error", REFUSED, ""),
    ("bad-error", UNREACHABLE, ""),
    ("wrong-id", UNREACHABLE, ""),
    ("wrong-types", UNREACHABLE, ""),
    ("negative-actual", UNREACHABLE, "-4096"),
    ("huge-actual", UNREACHABLE, ""),
    ("no-balloon", NO_DRIVER, "no balloon device"),
])
def test_a_monitor_that_answers_nonsense(aerostat, tmp_path, mode, code, says):
    with fake_qmp(tmp_path, mode) as address:
        result = aerostat("setmem", address, "400M")
    assert result.code == code, result
    assert says in result.error
    assert result.err.count("\n") == 1
    assert len(result.err) < 1000
    assert "\033" not in result.err


def test_a_monitor_that_is_slower_than_the_deadline(aerostat, tmp_path):
    with fake_qmp(tmp_path, "slow", "--delay", "30") as address:
        result = aerostat("dominfo", address)
    assert result.code == UNREACHABLE, result


def test_a_connection_that_breaks_once_is_opened_anew(aerostat, tmp_path):
    with fake_qmp(tmp_path, "drop-once") as address:
        assert aerostat("setmem", address, "400M", "--no-wait").code == DONE


def test_forged_statistics_do_no_harm(aerostat, tmp_path):
    with fake_qmp(tmp_path, "forged-stats", "--rate", "4096") as address:
        assert aerostat("dommemstat", address).code in (DONE, UNREACHABLE)
        result = aerostat("setmem", address, "400M")
        assert result.code == REFUSED
        assert "statistics are incomplete or impossible" in result.error
        result = aerostat("setmem", address, "600M")
        assert result.code == DONE
        assert "cannot free" not in result.err      # nothing is concluded from nonsense


def test_old_statistics_are_not_shown_as_new(aerostat, tmp_path):
    with fake_qmp(tmp_path, "stale-stats") as address:
        assert aerostat("dommemstat", address, "--period", "1").code == DONE
        result = aerostat("dommemstat", address)
    assert "stale 1" in result.out
    assert "the guest does not answer" in result.err


def test_a_guest_that_takes_the_target_and_never_moves(aerostat, tmp_path):
    with fake_qmp(tmp_path, "never-moves") as address:
        result = aerostat("setmem", address, "400M", "--stall", "1")
    assert result.code == SHORT, result


def test_a_flood_of_events_hides_no_answer(aerostat, tmp_path):
    with fake_qmp(tmp_path, "event-flood") as address:
        assert aerostat("setmem", address, "400M", *PATIENT).code == DONE


def test_a_stopped_qemu_is_named_and_does_not_hang(reached):
    guest = reached.guest
    guest.stop()
    try:
        result = reached.run("setmem", reached.name, "400M")
    finally:
        guest.cont()
    assert result.code == UNREACHABLE, result
    assert "stopped" in result.error and f"kill -CONT {guest.pid}" in result.error
    wait_for(lambda: reached.run("dominfo", reached.name).code == DONE, "the guest to answer again")


def test_a_stopped_qemu_delays_no_other_guest(alpha, beta, aerostat_libvirt):
    both = aerostat_libvirt.looking_at(*aerostat_libvirt.args, "--qmp", str(alpha.qmp_path))

    def rows():
        return {row.get("name", row["address"]): row for row in both("list", "--json").json}

    def are_as_expected():
        """Not at once where the machine itself keeps beta from answering in time."""
        seen = rows()
        assert "error" in seen[alpha.address]
        return seen.get("beta", {}).get("actual_bytes") == 512 * MIB

    alpha.stop()
    try:
        wait_for(are_as_expected, "beta to be listed")
    finally:
        alpha.cont()


def test_qemu_killed_in_the_middle_of_a_change(way):
    with way.guest("doomed", memory=256, driver=False) as guest:
        process = way.run.start("setmem", guest.address, "200M", *PATIENT)
        way.run.wait_until_asked(process)
        guest.kill()
        out, err = process.communicate(timeout=HANG_S)
        assert process.returncode == UNREACHABLE, out + err
        assert "doomed" in err or guest.address in err


def test_a_monitor_held_by_another_program(alpha, aerostat):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.connect(str(alpha.qmp_path))
        assert other.recv(4096)     # its greeting, or an event before that
        result = aerostat("dominfo", alpha.address)
        assert result.code == UNREACHABLE
        assert "another program holds the monitor" in result.error
    assert aerostat("dominfo", alpha.address).code == DONE


def test_libvirtd_restarted_in_the_middle_of_a_change(lab, libvirt, aerostat_libvirt):
    with lab.guest("survivor", via="libvirt", libvirt=libvirt, memory=256, driver=False) as guest:
        def is_waited_for():
            """Not if the restart itself took longer than a call waits for its answer."""
            process = aerostat_libvirt.start("setmem", "survivor", "200M", *PATIENT)
            aerostat_libvirt.wait_until_asked(process)
            began = time.monotonic()
            libvirt.restart()
            took_s = time.monotonic() - began
            guest.load_driver()
            out, err = process.communicate(timeout=HANG_S)
            if process.returncode == UNREACHABLE and took_s > CALL_S / 2:
                guest.unload_driver()
                return False
            # Either the wait outlived the restart, or the driver was loaded too late for it.
            assert process.returncode in (DONE, NO_DRIVER), out + err
            return True
        wait_for(is_waited_for, "a restart that is quick enough")
        assert setmem(aerostat_libvirt, "survivor", "180M").code == DONE


def test_a_guest_that_is_shut_off(lab, libvirt, aerostat_libvirt):
    with lab.guest("off", via="libvirt", libvirt=libvirt, memory=256) as guest:
        libvirt.virsh("destroy", "off")
        result = aerostat_libvirt("setmem", "off", "200M")
        assert result.code == NO_GUEST
        assert "off is not running; use --config to change its next start" in result.error
        assert aerostat_libvirt("dommemstat", "off").code == NO_GUEST
        assert aerostat_libvirt("setmem", "off", "200M", "--current").code == DONE
        assert "off" in aerostat_libvirt("list", "--inactive", "--name").out.split()
        assert "off" not in aerostat_libvirt("list", "--name").out.split()
        assert aerostat_libvirt("setmaxmem", "off", "300M").code == DONE
        assert "<memory unit='KiB'>307200<" in libvirt.virsh("dumpxml", guest.name)


def test_the_device_removed_under_a_running_guest(lab, aerostat):
    with lab.guest("unplugged", memory=256) as guest:
        guest.qmp("device_del", id="balloon0")
        wait_for(lambda: not any(entry["name"] == "balloon0" for entry in
                                 guest.qmp("qom-list", path="/machine/peripheral")),
                 "the guest to let go of the device")
        result = aerostat("setmem", guest.address, "200M")
        assert result.code == NO_DRIVER
        assert "no balloon device" in result.error


def test_output_that_nobody_reads_is_no_crash(aerostat):
    process = aerostat.start("help")
    process.stdout.close()
    process.wait(HANG_S)
    process.stderr.close()
    assert process.returncode != -signal.SIGPIPE
    assert process.returncode is not None and process.returncode >= 0
