# SPDX-License-Identifier: BSD-3-Clause
"""Bad input, row by row as people give it to virsh: one clear line, nothing changed."""
import pytest

from command import DONE, MIB, NO_DRIVER, NO_GUEST, PATIENT, REFUSED, UNREACHABLE, USAGE


@pytest.mark.parametrize("size, code, says", [
    ("2G", REFUSED, "2 GiB is above its maximum of 512 MiB"),
    ("-1", USAGE, "size '-1' is negative"),
    ("abc", USAGE, "size 'abc' is not a number"),
    ("", USAGE, "size '' is empty"),
    ("10furlongs", USAGE, "unknown unit 'furlongs'"),
    ("1,5G", USAGE, "comma"),
    ("0", USAGE, "size '0' is zero"),
    ("99999999999999999999G", USAGE, "out of range"),
    ("1k", REFUSED, "below its floor of 168 MiB"),
    ("167M", REFUSED, "use --force to do it anyway"),
])
def test_a_bad_size_changes_nothing(reached, size, code, says):
    before = reached.guest.actual()
    result = reached.run("setmem", reached.name, size)
    assert result.code == code
    assert says in result.error
    assert result.err.count("\n") == 1
    assert reached.guest.actual() == before == 512 * MIB


@pytest.mark.parametrize("words", [["400M"], ["400 M"], ["400", "M"], ["0.4G"], ["419430400b"],
                                   ["409600"], ["--size", "400MiB"]])
def test_a_size_may_be_written_in_many_ways(alpha, aerostat, words):
    assert aerostat("setmem", alpha.address, *words, *PATIENT).code == DONE
    assert abs(alpha.actual() - 400 * MIB) < 10 * MIB


def test_no_size(reached):
    result = reached.run("setmem", reached.name)
    assert result.code == USAGE
    assert "setmem needs GUEST SIZE" in result.error


def test_live_and_current_exclude_each_other(reached):
    result = reached.run("setmem", reached.name, "400M", "--live", "--current")
    assert result.code == USAGE
    assert "--current excludes --live" in result.error
    assert reached.guest.actual() == 512 * MIB


def test_unknown_guest_over_libvirt_names_those_there_are(beta, aerostat_libvirt):
    result = aerostat_libvirt("setmem", "betta", "400M")
    assert result.code == NO_GUEST
    assert "no guest 'betta'; there are: beta" in result.error


@pytest.mark.parametrize("path, code, says", [
    ("/nonexistent/socket", UNREACHABLE, "no such socket"),
    ("/etc/passwd", UNREACHABLE, "not a stream socket"),
    ("/tmp", UNREACHABLE, "not a stream socket"),
    ("/" + "x" * 120, REFUSED, "107"),
])
def test_a_monitor_that_is_none(aerostat, path, code, says):
    result = aerostat("setmem", f"qmp:{path}", "400M")
    assert result.code == code
    assert says in result.error


def test_a_libvirt_that_is_not_there(aerostat):
    result = aerostat("-c", "qemu:///session?socket=/nonexistent/libvirt", "list")
    assert result.code == UNREACHABLE
    assert "/nonexistent/libvirt" in result.error


def test_setmaxmem_on_a_running_guest(reached):
    result = reached.run("setmaxmem", reached.name, "1G")
    assert result.code == REFUSED
    assert "maximum" in result.error


def test_config_over_qmp(alpha, aerostat):
    result = aerostat("setmem", alpha.address, "400M", "--config")
    assert result.code == REFUSED
    assert "persistent" in result.error
    assert alpha.actual() == 512 * MIB


def test_edit_over_qmp(alpha, aerostat):
    result = aerostat("edit", alpha.address, env={"EDITOR": "false"})
    assert result.code == REFUSED
    assert "not possible for a guest that is reached by qmp" in result.error


def test_a_guest_with_no_balloon_device(way):
    with way.guest("bare", memory=256, balloon=None) as guest:
        result = way.run("setmem", guest.address, "200M")
        assert result.code == NO_DRIVER
        assert "no balloon device" in result.error
        assert "Balloon:        none" in way.run("dominfo", guest.address).out
