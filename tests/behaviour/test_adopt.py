# SPDX-License-Identifier: BSD-3-Clause
"""adopt and unadopt: a libvirt guest with our own balloon device, and back.

aerostat runs as the user of the session daemon, from a folder of that user's
own, for both have to find the launcher and the device.
"""
import os
import pathlib
import re
import signal
import subprocess

import pytest

from command import DONE, MIB, NO_GUEST, REFUSED, UNREACHABLE, Result, setmem
from conftest import BUILD
from lab.errors import LabError
from lab.programs import install
from lab.wait import HANG_S, wait_for

@pytest.fixture(scope="module")
def run(libvirt):
    """aerostat as the daemon's user."""
    binary = install(BUILD, libvirt.nest.path / "bin")

    def aerostat(*words):
        argv = [str(binary), "-c", libvirt.uri, *map(str, words)]
        return Result(argv, libvirt.run(argv, env={"AEROSTAT_CONFIG": "/dev/null",
                                                   "LC_ALL": "C.UTF-8"}))

    return aerostat


def config(libvirt, name):
    return libvirt.virsh("dumpxml", "--inactive", "--security-info", name)


class Adopted:
    """A guest that was adopted and started anew, and what to ask of it."""

    def __init__(self, guest, libvirt):
        self.guest = guest
        self.name = guest.name
        self.libvirt = libvirt
        guest.adopted()
        self.control = guest.control
        self.actual = guest.actual

    def device_pid(self):
        """The process of the device; None when there is none at the moment."""
        for pid in self.libvirt.nest.processes():
            words = cmdline(pid)
            if b"--control-fd=4" in words and f"--name={self.name}".encode() in words:
                return pid
        return None

    def wait_for_another_device(self, before):
        """The old one may take a moment to end."""
        wait_for(lambda: self.device_pid() not in (None, before), "another process")

    def kill_device(self):
        os.kill(self.device_pid(), signal.SIGKILL)
        wait_for(lambda: not self.device_pid() and not self.control.exists(),
                 "the death of the device to be seen")


def replug(run, name):
    """Replugs a guest's device; whether the guest let go of the old one in time, at once."""
    results = []

    def is_done():
        results.append(run("adopt", "--replug", name))
        return "has not released its balloon device yet" not in results[-1].err
    wait_for(is_done, f"{name} to release its device")
    assert results[-1].code == DONE, results[-1]
    return len(results) == 1


def replug_at(adopted, run, name, size):
    """Replugs the device of a guest of that size, which the new device has to know."""
    def is_replugged():
        nonlocal before
        assert setmem(run, name, size).code == DONE
        before = adopted.device_pid()
        return replug(run, name)

    before = None
    wait_for(is_replugged, "a replug that is not repeated, which would not know the size")
    adopted.wait_for_another_device(before)


def cmdline(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):     # the latter while it ends
        return []


@pytest.fixture(scope="module")
def adopted(lab, libvirt, run):
    with lab.guest("adam", via="libvirt", libvirt=libvirt, memory=512, qemu="newer",
                   balloon={"stats-period": 2}) as guest:
        result = run("adopt", "adam")
        assert result.code == DONE, result
        libvirt.virsh("setmem", "adam", "400M", "--config")
        guest.shut_off()
        guest.start()
        yield Adopted(guest, libvirt)


# With a running, adopted guest


def test_it_starts_with_the_current_memory_of_its_xml(adopted):
    wait_for(lambda: adopted.actual() == 400 * MIB, "the size of the XML")
    assert adopted.guest.meminfo()["MemFree"] < 400 * MIB   # MemTotal stays, as it may deflate


def test_it_starts_with_the_statistics_period_of_its_former_balloon(adopted, run):
    result = run("dommemstat", "adam", "--json")
    assert result.code == DONE, result
    assert result.json["period_s"] == 2


def test_touched_memory_goes_to_the_host_and_comes_back(adopted, run):
    guest = adopted.guest
    assert setmem(run, "adam", "512M").code == DONE
    guest.hold("all", 380)
    guest.release("all")
    host_before = guest.host_bytes()

    result = setmem(run, "adam", "256M", "--json")

    assert result.code == DONE, result
    assert result.json["after_bytes"] == 256 * MIB == adopted.actual()
    # All but 256 of the 380 MiB that were touched, less what QEMU may have come to need.
    wait_for(lambda: host_before - guest.host_bytes() > 90 * MIB, "the host to get its memory")
    assert setmem(run, "adam", "512M").code == DONE
    assert adopted.actual() == 512 * MIB
    guest.hold("again", 380)
    assert guest.touch("again", full=True).bad_pages == 0
    guest.release("again")


def test_dominfo_and_list_show_its_balloon(adopted, run):
    result = run("dominfo", "adam", "--json")
    assert result.json["actual_bytes"] == adopted.actual()
    assert result.json["pid"] == adopted.guest.pid
    rows = {row["name"]: row for row in run("list", "--json").json}
    assert rows["adam"]["driver"] == "ready"


def test_statistics_are_of_the_guest_and_of_its_qemu(adopted, run):
    result = run("dommemstat", "adam", "--period", "1")
    assert result.code == DONE, result
    wait_for(lambda: "\nusable " in run("dommemstat", "adam").out, "statistics")

    def is_rss_of_qemu():
        """Not while QEMU takes or frees memory between the two measurements."""
        rss = int(re.search(r"^rss (\d+)$", run("dommemstat", "adam").out, re.M)[1]) * 1024
        statm = pathlib.Path(f"/proc/{adopted.guest.pid}/statm").read_text().split()
        return abs(rss - int(statm[1]) * 4096) < 64 * MIB
    wait_for(is_rss_of_qemu, "dommemstat to show QEMU's resident memory")


def test_setmem_config_is_what_it_starts_with_next(adopted, run, libvirt):
    assert setmem(run, "adam", "512M").code == DONE
    assert run("setmem", "adam", "480M", "--config").code == DONE
    assert "<currentMemory unit='KiB'>491520<" in config(libvirt, "adam")
    assert adopted.actual() == 512 * MIB
    assert setmem(run, "adam", "500M", "--live", "--config").code == DONE
    assert "<currentMemory unit='KiB'>512000<" in config(libvirt, "adam")
    assert adopted.actual() == 500 * MIB


def test_a_statistics_period_for_the_next_start_is_refused(adopted, run):
    result = run("dommemstat", "adam", "--period", "3", "--config")
    assert result.code == REFUSED
    assert "without --config" in result.error


def test_balloon_changes_are_events(adopted, run, libvirt):
    before = adopted.actual()
    binary = libvirt.nest.path / "bin/aerostat"
    script = (f"{binary} -c '{libvirt.uri}' event adam --event balloon-change --timeout {HANG_S} & "
              f"while kill -0 $! 2>/dev/null; do for size in 450M 500M; do "
              f"{binary} -q -c '{libvirt.uri}' setmem adam $size >/dev/null; done; done; wait $!")
    done = libvirt.run(["sh", "-c", script], env={"AEROSTAT_CONFIG": "/dev/null"})
    assert "event 'balloon-change' for domain 'adam'" in done.stdout, done
    setmem(run, "adam", f"{before}b")


def test_the_control_socket_is_a_guest_too(adopted, run):
    result = setmem(run, f"qmp:{adopted.control}", "480M")
    assert result.code == DONE, result
    assert adopted.actual() == 480 * MIB


def test_a_replug_is_a_new_process_and_the_same_size(adopted, run):
    boot_id = adopted.guest.ping()[0]

    replug_at(adopted, run, "adam", "400M")
    wait_for(lambda: adopted.actual() == 400 * MIB, "the size it had")
    assert adopted.guest.ping()[0] == boot_id
    assert setmem(run, "adam", "512M").code == DONE


def test_a_dead_device_is_named_and_replaced(adopted, run):
    boot_id = adopted.guest.ping()[0]
    adopted.kill_device()
    result = run("setmem", "adam", "300M")
    assert result.code == UNREACHABLE, result
    assert "its balloon device does not answer" in result.error
    assert "aerostat adopt --replug adam" in result.error
    assert run("dominfo", "adam", "--json").json["actual_bytes"] is None

    replug(run, "adam")

    assert setmem(run, "adam", "300M").code == DONE
    assert adopted.actual() == 300 * MIB
    assert adopted.guest.ping()[0] == boot_id
    assert setmem(run, "adam", "512M").code == DONE


def test_all_ends_with_the_guest_and_unadopt_gives_back_qemus_balloon(lab, libvirt, run):
    with lab.guest("noah", via="libvirt", libvirt=libvirt, memory=256, qemu="newer") as guest:
        before = config(libvirt, "noah")
        assert run("adopt", "noah").code == DONE
        assert guest.actual() == 256 * MIB      # by QEMU: nothing is done live
        guest.shut_off()
        guest.start()
        noah = Adopted(guest, libvirt)
        device = noah.device_pid()
        result = run("unadopt", "noah")
        assert result.code == DONE, result
        assert "keeps its present device" in result.out
        assert config(libvirt, "noah") == before
        assert noah.actual() == 256 * MIB

        guest.shut_off()
        wait_for(lambda: not cmdline(device), "the device to end")
        wait_for(lambda: not noah.control.exists(), "its sockets to be removed")
        guest.adopted(False)
        guest.start()

        assert setmem(run, "noah", "200M").code == DONE
        assert guest.actual() == 200 * MIB
        assert noah.device_pid() is None


@pytest.fixture(scope="module")
def express(lab, libvirt, run, tmp_path_factory):
    """An adopted guest of a PCI Express machine, which its reset does not end."""
    with lab.guest("express", via="libvirt", libvirt=libvirt, memory=256, qemu="newer") as guest:
        guest.shut_off()
        text = re.sub(r" *<address type='pci'.*\n| *<controller type='pci'.*\n", "",
                      config(libvirt, "express"))
        text = re.sub(r"machine='[^']*'", "machine='q35'", text)
        text = text.replace("<on_reboot>destroy", "<on_reboot>restart")
        xml = tmp_path_factory.mktemp("express") / "express.xml"
        xml.write_text(text)
        libvirt.virsh("define", xml)
        result = run("adopt", "express")
        assert result.code == DONE, result
        guest.start()
        yield Adopted(guest, libvirt)


def test_a_guest_of_pci_express_can_be_replugged(express, run):
    replug_at(express, run, "express", "200M")
    wait_for(lambda: express.actual() == 200 * MIB, "the size it had")


def test_a_guest_whose_device_died_survives_its_reset(express, run):
    boot_id = express.guest.ping()[0]
    express.kill_device()
    with express.guest.booting_again():
        express.guest.qmp("system_reset")
    assert express.guest.ping()[0] != boot_id
    replug(run, "express")
    assert setmem(run, "express", "200M").code == DONE


# Without


DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{kernel}</kernel></os>
  {top}
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    {devices}
    <memballoon model='virtio' {balloon}><stats period='5'/></memballoon>
  </devices>
</domain>
"""


@pytest.fixture
def define(lab, libvirt, tmp_path):
    """Defines domains that are never meant to boot."""
    names = []

    def make(name, top="", devices="", kernel="/nonexistent", balloon="autodeflate='on'"):
        path = tmp_path / f"{name}.xml"
        emulator = libvirt.emulator(lab.newer_qemu)
        path.write_text(DOMAIN.format(name=name, top=top, devices=devices, kernel=kernel,
                                      balloon=balloon, emulator=emulator))
        libvirt.virsh("define", path)
        names.append(name)
        return config(libvirt, name)

    yield make
    for name in names:
        libvirt.forget(name)


HUGE = "<memoryBacking><hugepages/><locked/></memoryBacking>"
METADATA = "<metadata><a:b xmlns:a='urn:a'><a:c d='e'>f</a:c></a:b></metadata>"
WORDS = ("<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'><arg value='-global'/>"
         "<arg value='PIIX4_PM.disable_s3=1'/><env name='X' value='y'/></commandline>")


@pytest.mark.parametrize("top, devices", [
    ("", ""), (HUGE, ""), (METADATA, ""), (WORDS, ""), (HUGE + METADATA + WORDS, ""),
    ("", "<disk type='file'><source file='/x'/><target dev='vda' bus='virtio'/></disk>"),
])
def test_there_and_back_is_the_same_xml(define, libvirt, run, top, devices):
    before = define("round", top, devices)
    assert run("adopt", "round").code == DONE
    adopted = config(libvirt, "round")
    assert "vfio-user-pci" in adopted and "<memballoon model='none'/>" in adopted
    assert ("PIIX4_PM.disable_s3=1" in adopted) == ("PIIX4_PM" in top)
    assert run("unadopt", "round").code == DONE
    assert config(libvirt, "round") == before


@pytest.mark.parametrize("words, offered", [
    ("", {"deflate-on-oom", "free-page-reporting"}),
    ("autodeflate='on' freePageReporting='off'", {"deflate-on-oom"}),
    ("autodeflate='off'", {"free-page-reporting"}),
])
def test_the_device_offers_what_the_balloon_was_not_told_not_to(define, libvirt, run, words,
                                                                offered):
    define("offers", balloon=words)
    assert run("adopt", "offers").code == DONE
    assert set(re.findall(r"--features=\+([-a-z]+)", config(libvirt, "offers"))) == offered


def test_twice_is_refused_and_changes_nothing(define, libvirt, run):
    define("twice")
    assert run("adopt", "twice").code == DONE
    before = config(libvirt, "twice")
    result = run("adopt", "twice")
    assert result.code == REFUSED
    assert "already" in result.error
    assert config(libvirt, "twice") == before


def test_unadopt_of_what_is_not_adopted_is_refused(define, libvirt, run):
    before = define("never")
    result = run("unadopt", "never")
    assert result.code == REFUSED
    assert "does not have" in result.error
    assert config(libvirt, "never") == before


def test_a_guest_that_does_not_start_is_as_it_was(define, libvirt, run):
    before = define("stuck")
    result = run("adopt", "stuck", "--start")
    assert result.code == REFUSED, result
    assert "/nonexistent" in result.error
    assert "as it was before" in result.error
    assert config(libvirt, "stuck") == before


@pytest.mark.parametrize("devices, says", [
    ("<hostdev mode='subsystem' type='pci'><source>"
     "<address domain='0' bus='0xfe' slot='1' function='0'/></source></hostdev>", "pins all"),
    ("<iommu model='intel'/>", "IOMMU"),
])
def test_what_stands_in_the_way_is_named(define, libvirt, run, devices, says):
    try:
        before = define("blocked", devices=devices)
    except LabError as error:
        pytest.skip(f"libvirt here defines no such guest: {error}")
    result = run("adopt", "blocked")
    assert result.code == REFUSED
    assert says in result.error
    assert config(libvirt, "blocked") == before


def test_an_emulator_that_is_too_old_is_named_with_its_version(lab, beta, libvirt, run):
    if lab.newer_qemu == lab.qemu:
        pytest.skip("the QEMU of this host is new enough")
    before = config(libvirt, "beta")
    result = run("adopt", "beta")
    assert result.code == REFUSED
    assert re.search(r"/qemu-system-x86_64 \(QEMU emulator version \d", result.error)
    assert "--emulator PATH" in result.error
    assert config(libvirt, "beta") == before


def test_another_emulator_can_be_named(lab, define, libvirt, run):
    define("newer")
    emulator = libvirt.emulator(lab.newer_qemu)
    assert run("adopt", "newer", "--emulator", emulator).code == DONE
    assert f"/aerostat/emulators{emulator}</emulator>" in config(libvirt, "newer")


@pytest.mark.parametrize("words, code, says", [
    (["adopt", "nobody-there"], NO_GUEST, "nobody-there"),
    (["unadopt", "nobody-there"], NO_GUEST, "nobody-there"),
    (["adopt", "beta", "--emulator", "/nonexistent"], REFUSED, "/nonexistent cannot be run"),
    (["adopt", "beta", "--start"], REFUSED, "without --start"),
    (["adopt", "--replug", "beta"], REFUSED, "is not running with aerostat's"),
])
def test_a_request_that_cannot_be_met_is_one_clear_line(beta, libvirt, run, words, code, says):
    before = config(libvirt, "beta")
    result = run(*words)
    assert result.code == code, result
    assert says in result.error
    assert config(libvirt, "beta") == before


def test_a_guest_of_plain_qemu_cannot_be_adopted(alpha, aerostat):
    result = aerostat("adopt", alpha.address)
    assert result.code == REFUSED
    assert "only a libvirt guest" in result.error


# In system mode


def test_system_mode_has_its_own_places(lab, system):
    binary = install(BUILD, system.nest.path / "bin")

    def run(*words):
        """Where the daemon lives: in its mount namespace."""
        argv, options = system._command([str(binary), "-c", system.uri, *words])
        return Result(argv, subprocess.run(argv, capture_output=True, text=True, check=False,
                                           **options))

    with lab.guest("sysadam", via="libvirt", libvirt=system, memory=256, qemu="newer") as guest:
        before = config(system, "sysadam")
        result = run("adopt", "sysadam")
        assert result.code == DONE, result
        adopted = config(system, "sysadam")
        assert "<emulator>/var/lib/aerostat/emulators/" in adopted
        assert "/run/aerostat/sysadam.sock" in adopted
        guest.shut_off()
        guest.start()
        result = setmem(run, "sysadam", "200M")
        assert result.code == DONE, result
        assert run("unadopt", "sysadam").code == DONE
        assert config(system, "sysadam") == before
