# SPDX-License-Identifier: BSD-3-Clause
"""libvirt's system mode: the daemon of a whole host, and those who may only look."""
import pytest

from command import DONE, MIB, REFUSED, setmem


@pytest.fixture(scope="module")
def guest(lab, system):
    with lab.guest("epsilon", via="libvirt", libvirt=system, memory=256) as guest:
        yield guest


def test_setmem_on_the_system_daemon(guest, system, aerostat):
    run = aerostat.looking_at("-c", system.uri)
    result = setmem(run, "epsilon", "200M", "--json")
    assert result.code == DONE, result
    assert result.json["after_bytes"] == 200 * MIB == guest.actual()
    assert setmem(run, "epsilon", "256M").code == DONE


def test_a_read_only_connection_may_look_and_not_touch(guest, system, aerostat):
    run = aerostat.looking_at("-c", f"{system.uri}-ro")
    assert "epsilon" in run("list", "--name").out.split()
    assert run("dominfo", "epsilon").code == DONE
    result = run("setmem", "epsilon", "200M")
    assert result.code == REFUSED, result
    assert "read only" in result.error
    assert guest.actual() == 256 * MIB
    assert run("setmem", "epsilon", "200M", "--config").code == REFUSED
    assert run("setmaxmem", "epsilon", "1G", "--config").code == REFUSED
    assert run("dommemstat", "epsilon", "--period", "3").code == REFUSED
