# SPDX-License-Identifier: BSD-3-Clause
"""What makes setmem safe with guests that tell little, and what it restores, however it ends."""
import signal
import subprocess

import pytest

from asking import ask, fake_qmp, socket_path  # noqa: F401
from command import DONE, MIB, NO_DRIVER, PATIENT, REFUSED, SHORT
from lab.wait import HANG_S, wait_for


@pytest.fixture
def monitor(tmp_path):
    """A guest of 1 GiB behind a fake monitor: monitor(mode, …)."""
    return lambda mode="honest", *words: fake_qmp(
        tmp_path / "gamma.qmp", "--name", "gamma", "--mode", mode, "--rate", "4096", *words)


INTERRUPTED = 130


def period(ask, address):
    return ask("dommemstat", address, "--json").json["period_s"]


def wait_until_polling(ask, process, address):
    """Until a setmem in the background has the guest asked for statistics every second."""
    ask.wait_until_asked(process)
    wait_for(lambda: process.poll() is not None or period(ask, address) == 1,
             "setmem to ask every second")
    assert process.poll() is None, process.communicate()


def size(ask, address):
    return ask("dommemstat", address, "--json").json["actual"]


def test_a_guest_that_reports_nothing_keeps_half_unless_forced(ask, monitor):
    with monitor("no-stats") as address:
        result = ask("setmem", address, "400M")
        assert result.code == REFUSED
        assert ("the guest reports no statistics, so what it can give is not known, and less "
                "than half of its maximum was asked for; use --force") in result.error
        assert size(ask, address) == 1024 * MIB
        result = ask("setmem", address, "600M", "--json")
        assert result.code == DONE
        assert "warning: gamma: the guest reports no statistics" in result.err
        assert result.json["note"].startswith("the guest reports no statistics")
        assert ask("setmem", address, "400M", "--force").code == DONE


def test_force_goes_below_the_floor(ask, monitor):
    with monitor("honest", "--used", "100") as address:
        result = ask("setmem", address, "200M")
        assert result.code == REFUSED
        assert "below its floor of 232 MiB" in result.error
        assert size(ask, address) == 1024 * MIB
        assert ask("setmem", address, "200M", "--force").code == DONE
        assert size(ask, address) == 200 * MIB


def test_frozen_statistics_are_as_good_as_none(ask, monitor):
    with monitor("stale-stats") as address:
        result = ask("setmem", address, "400M")
        assert result.code == REFUSED
        assert "the guest's last statistics are 3600 s old" in result.error


def test_free_memory_bounds_what_a_windows_guest_gives(ask, monitor):
    with monitor("free-only", "--used", "480") as address:
        result = ask("setmem", address, "300M", "--json")
        assert result.code == SHORT
        assert result.json["after_bytes"] == (480 + 64) * MIB == size(ask, address)
        assert result.json["reason_code"] == "in-use"


def test_a_guest_that_is_booting_is_waited_for(ask, monitor):
    with monitor("late-driver") as address:
        result = ask("setmem", address, "600M")
        assert result.code == DONE
        assert "gamma: waiting for its balloon driver; it may be booting\n" in result.err


def test_a_guest_that_is_still_booting_is_not_touched(ask, monitor):
    with monitor("no-driver") as address:
        result = ask("setmem", address, "600M", "--timeout", "1", "--json")
        assert result.code == NO_DRIVER
        assert result.json["reason_code"] == "booting"
        assert "may be booting" in result.json["reason"]
        assert result.err == ""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_leaves_the_period_as_it_was(ask, monitor, name):
    with monitor("never-moves") as address:
        assert ask("dommemstat", address, "--period", "7").code == DONE
        process = ask.start("setmem", address, "600M", *PATIENT)
        wait_until_polling(ask, process, address)
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=HANG_S)
        assert process.returncode == INTERRUPTED, out + err
        assert "interrupted" in out
        assert period(ask, address) == 7


def test_a_hang_up_that_nohup_ignores_stays_ignored(ask, monitor):
    with monitor("never-moves") as address:
        process = subprocess.Popen(
            ["nohup", ask.binary, *ask.args, "setmem", address, "600M", *PATIENT],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=ask.env)
        wait_until_polling(ask, process, address)
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
            ignored = [int(line.split()[1], 16) for line in status if line.startswith("SigIgn:")]
        assert ignored[0] >> (signal.SIGHUP - 1) & 1
        process.terminate()
        process.communicate(timeout=HANG_S)
        assert process.returncode == INTERRUPTED
        assert period(ask, address) == 0


def test_a_reader_that_went_away_leaves_the_period_as_it_was(ask, monitor):
    with monitor() as address:
        assert ask("dommemstat", address, "--period", "7").code == DONE
        process = ask.start("setmem", address, "600M")
        process.stdout.close()
        process.stderr.close()
        assert process.wait(HANG_S) == DONE
        assert period(ask, address) == 7


def config_of(libvirt, name):
    return libvirt.virsh("dumpxml", "--inactive", name)


def test_where_the_running_guest_refuses_its_next_start_is_not_changed(
        libvirt, beta, aerostat_libvirt):
    """A paused guest reports nothing, so less than half is refused."""
    before = config_of(libvirt, "beta")
    aerostat_libvirt("dommemstat", "beta", "--period", "0")
    libvirt.virsh("suspend", "beta")
    try:
        wait_for(lambda: aerostat_libvirt("dommemstat", "beta", "--json").json["stale"],
                 "its statistics to grow old")
        result = aerostat_libvirt("setmem", "beta", "240M", "--live", "--config")
        assert result.code == REFUSED, result
        assert config_of(libvirt, "beta") == before
        result = aerostat_libvirt("edit", "beta", env={
            "VISUAL": "sed -i 's|524288</currentMemory|245760</currentMemory|'"})
        assert result.code == SHORT, result
        assert "the text is defined, but the running guest was not changed" in result.error
        assert "245760</currentMemory" in config_of(libvirt, "beta")
    finally:
        libvirt.virsh("resume", "beta")


def test_a_maximum_that_a_running_guest_refuses_is_not_changed(libvirt, beta, aerostat_libvirt):
    before = config_of(libvirt, "beta")
    assert aerostat_libvirt("setmaxmem", "beta", "1G", "--live", "--config").code == REFUSED
    assert config_of(libvirt, "beta") == before


def test_frozen_statistics_with_new_dates_are_not_believed(ask, monitor):
    """They go on to report 824 of 1024 MiB as available, whatever is taken."""
    frozen = ('guest-stats={"stats": {"stat-free-memory": 864026624, "stat-total-memory": '
              '1073741824, "stat-available-memory": 864026624}, "last-update": NOW}')
    with monitor("honest", "--say", frozen) as address:
        result = ask("setmem", address, "300M", "--json")
        assert result.code == SHORT
        assert "stay the same while its balloon moves" in result.json["reason"]
        assert size(ask, address) == 512 * MIB
        assert period(ask, address) == 0
        assert ask("setmem", address, "300M", "--force").code == DONE
        assert size(ask, address) == 300 * MIB
