# SPDX-License-Identifier: BSD-3-Clause
"""Guests are found, named and shown."""
import os
import re

from asking import fake_qmp
from command import (DONE, MIB, NO_GUEST, PATIENT, UNREACHABLE, read_terminal,
                     wait_until_usable)
from lab.wait import HANG_S, wait_for


def rows_of(run, *names):
    """list's rows by their names, once all these have answered in time for one."""
    def listed():
        rows = {row.get("name"): row for row in run("list", "--json").json}
        return rows if all("actual_bytes" in rows.get(name, ()) for name in names) else None
    return wait_for(listed, f"{names} to be listed")


def test_list_shows_guests_of_every_source(alpha, beta, aerostat, libvirt):
    both = aerostat.looking_at("-c", libvirt.uri, "--qmp", f"{alpha.nest.path}/q*")
    rows = rows_of(both, "alpha", "beta")
    assert rows["alpha"]["source"] == "qmp"
    assert rows["beta"]["source"] == libvirt.uri
    for row in (rows["alpha"], rows["beta"]):
        assert row["max_bytes"] == row["actual_bytes"] == 512 * MIB
        assert row["state"] == "running"
    assert rows["alpha"]["driver"] == "ready"
    table = both("list").out
    assert re.search(r"^ -     alpha  running +512 MiB +512 MiB  ready", table, re.M), table


def test_a_guest_behind_a_glob_goes_by_its_name(alpha, aerostat):
    found = aerostat.looking_at("--qmp", f"{alpha.nest.path}/q*")
    # The command waits only 1 s for the names of guests.
    wait_for(lambda: "alpha" in found("dominfo", "alpha").out, "alpha to be found by its name")
    assert found("dominfo", "qmp").code == DONE     # the socket's file name
    result = found("dominfo", "omega")
    assert result.code == NO_GUEST
    assert f"there are: {alpha.address}" in result.error


def test_a_name_of_two_guests_is_refused(alpha, aerostat, tmp_path):
    twin = tmp_path / "twin.qmp"
    with fake_qmp(twin, "--name", "alpha") as address:
        both = aerostat.looking_at("--qmp", str(alpha.qmp_path), "--qmp", str(twin))

        def refused():
            """None if one of the two did not report its name within 1 s."""
            result = both("setmem", "alpha", "512M")
            return result if "'alpha' means 2 guests" in result.err else None
        result = wait_for(refused, "two guests of one name to be seen")
        assert result.code == NO_GUEST
        assert alpha.address in result.error and address in result.error


def test_the_configuration_says_where_to_look(alpha, libvirt, beta, aerostat, tmp_path):
    config = tmp_path / "aerostat.conf"
    config.write_text(f"[discover]\nlibvirt={libvirt.uri}\nqmp={alpha.qmp_path};/nonexistent/*\n")
    run = aerostat.looking_at()
    run.env = {**run.env, "AEROSTAT_CONFIG": str(config)}
    rows_of(run, "alpha", "beta")
    assert {"alpha", "beta"} <= set(run("list", "--name").out.split())


def test_a_source_that_is_gone_is_a_warning(alpha, aerostat):
    half = aerostat.looking_at("-c", "qemu:///session?socket=/nonexistent/libvirt",
                               "--qmp", str(alpha.qmp_path))
    result = half("list", "--name")
    assert result.code == DONE
    assert result.out.split() == ["alpha"]
    assert "warning: " in result.err and "/nonexistent/libvirt" in result.err


def test_no_source_at_all_is_an_error(aerostat):
    alone = aerostat.looking_at("-c", "qemu:///session?socket=/nonexistent/libvirt")
    assert alone("list").code == UNREACHABLE
    assert alone("setmem", "alpha", "1G").code == UNREACHABLE


def test_dominfo_tells_what_virsh_does_not(reached):
    reached.run("dommemstat", reached.name, "--period", "1")
    result = reached.run("dominfo", reached.name)
    assert result.code == DONE
    keys = {line.split(":")[0]: line.split(":", 1)[1].strip() for line in result.out.splitlines()}
    assert keys["Name"] == reached.guest.name
    assert keys["State"] == "running"
    assert keys["Max memory"] == "524288 KiB (512 MiB)"
    assert keys["Used memory"] == "524288 KiB (512 MiB)"
    assert keys["Floor"] == "172032 KiB (168 MiB)"
    assert keys["PID"] == str(reached.guest.pid)
    assert keys["Deflate on OOM"] == "off"

    def host_bytes_agree():
        """Not while QEMU takes or frees memory between the two measurements."""
        host = reached.run("dominfo", reached.name, "--json").json["host_bytes"]
        return abs(host - reached.guest.host_bytes()) < 16 * MIB
    wait_for(host_bytes_agree, "dominfo to measure what the lab does")


def test_list_shows_what_a_guest_has_now(reached):
    reached.settled(400)
    row = rows_of(reached.run.looking_at(*reached.sources),
                  reached.guest.name)[reached.guest.name]
    assert (row["actual_bytes"], row["max_bytes"]) == (400 * MIB, 512 * MIB)


def test_list_for_scripts(beta, libvirt, aerostat_libvirt):
    assert libvirt.virsh("domuuid", "beta").strip() in aerostat_libvirt("list", "--uuid").out
    assert "beta" not in aerostat_libvirt("list", "--inactive", "--name").out.split()


def test_fresh_statistics_prove_a_driver_over_libvirt(beta, aerostat_libvirt):
    aerostat_libvirt("dommemstat", "beta", "--period", "1")
    wait_for(lambda: "Driver:         ready" in aerostat_libvirt("dominfo", "beta").out,
             "the driver to be known")


def test_libvirts_own_variables_say_where_to_look(beta, libvirt, aerostat):
    for variable in ("VIRSH_DEFAULT_CONNECT_URI", "LIBVIRT_DEFAULT_URI"):
        result = aerostat.looking_at()("list", "--name", env={variable: libvirt.uri})
        assert "beta" in result.out.split()


def test_a_guest_by_uuid_and_id(beta, libvirt, aerostat_libvirt):
    uuid = libvirt.virsh("domuuid", "beta").strip()
    number = libvirt.virsh("domid", "beta").strip()
    for name in (uuid, number):
        assert "beta" in aerostat_libvirt("dominfo", name).out


def test_output_is_plain_when_not_a_terminal(alpha, aerostat):
    for words in (["list"], ["dominfo", alpha.address], ["setmem", alpha.address, "400M"]):
        result = aerostat(*words)
        assert "\033" not in result.out + result.err


def test_a_terminal_gets_a_progress_bar(alpha, aerostat):
    """Through a pseudo-terminal, as a person would see it."""
    wait_until_usable(aerostat, alpha, 340)
    process = aerostat.start_at_terminal("setmem", alpha.address, "300M", *PATIENT, with_out=True)
    seen = b"".join(iter(lambda: read_terminal(process), b""))
    os.close(process.terminal)
    assert process.wait(HANG_S) == DONE
    assert b"going to 300 MiB" in seen and b"[" in seen
    assert b"alpha: 512 MiB -> 300 MiB" in seen
