# SPDX-License-Identifier: BSD-3-Clause
"""aerostatd sees what is in the way of ballooning a real guest, says so, and leaves it alone.

Devices of the host, which no test can have, are in test_daemon_many.py.
"""
import contextlib
import itertools
import os
import socket
import subprocess

import pytest

from command import DONE, REFUSED, setmem
from conftest import BUILD
from daemon import Daemon
from lab import qmp
from lab.wait import HANG_S, wait_for

MIGRATION = "it is being migrated or saved"
LOCKED = "its memory is locked"
HUGE_PAGES = "some or all of its memory is on huge pages, of which its balloon releases only parts"
NONE_BACK = ", so the host would get none of it back"
WHOLE_PAGES = "; the host gets such a page back only when all of it is in the balloon"


@pytest.fixture
def watching(tmp_path):
    """A daemon that looks at some guests, to be used with `with`."""
    return lambda *words: Daemon(BUILD / "aerostatd/aerostatd", tmp_path, "", *words)


def wait_for_obstacle(daemon, name, text):
    """The guest is seen to be in the way of that, or of nothing; for the policy, too."""
    daemon.wait_for_guest(name, lambda guest: guest["obstacle"] == text
                          and guest["driver"] == "ready"
                          and (guest["reason"] == "fixed") == bool(text))


@contextlib.contextmanager
def a_sink(path):
    """A socket to migrate to: whoever listens there reads nothing, and hangs up in the end."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        os.chmod(path, 0o777)
        yield listener


def test_a_migration_is_in_the_way_until_it_fails(lab, watching, tmp_path):
    with lab.guest("mover", memory=256) as guest, a_sink(tmp_path / "sink") as listener:
        guest.qmp("migrate", uri=f"unix:{tmp_path}/sink")
        with listener.accept()[0] as connection, \
                watching("--qmp", guest.qmp_path) as daemon:
            wait_for_obstacle(daemon, "mover", MIGRATION)
            connection.close()
            wait_for_obstacle(daemon, "mover", None)
        assert guest.ping()


@pytest.fixture
def a_pipe(libvirt):
    """A file to save to that takes no more than a pipe does, until it is closed."""
    path = libvirt.nest.path / "pipe"
    os.mkfifo(path)
    os.chown(path, libvirt.uid, -1)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    with contextlib.suppress(OSError):      # the test has closed it
        os.close(reader)
    path.unlink()


def test_saving_by_libvirt_is_in_the_way_until_it_fails(lab, libvirt, watching, a_pipe):
    path, reader = a_pipe
    with lab.guest("saved", via="libvirt", libvirt=libvirt, memory=256,
                   balloon={"stats-period": 1}) as guest, \
            watching("-c", libvirt.uri) as daemon:
        wait_for_obstacle(daemon, "saved", None)
        with subprocess.Popen(["virsh", "-c", libvirt.uri, "save", "saved", path],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as virsh:
            daemon.wait_for_guest("saved", lambda guest: guest["obstacle"] == MIGRATION)
            os.close(reader)
            assert virsh.wait(HANG_S) != 0
        wait_for_obstacle(daemon, "saved", None)
        assert guest.ping()


@contextlib.contextmanager
def stopped_qemu(binary, folder, name, *options):
    """A QEMU with a balloon and without a guest; skips if it does not start."""
    path = folder / f"{name}.qmp"
    process = subprocess.Popen(
        [binary, "-name", name, "-S", "-nodefaults", "-no-user-config", "-display", "none",
         "-accel", "tcg,tb-size=8", "-m", "64M", *options,
         "-device", "virtio-balloon-pci", "-qmp", f"unix:{path},server=on,wait=off"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: qmp.answers(path) or process.poll() is not None, "QEMU to start")
        if process.poll() is not None:
            pytest.skip(f"QEMU cannot do that here: {process.stderr.read().strip()}")
        yield path
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_locked_memory_is_in_the_way(lab, watching, tmp_path):
    with stopped_qemu(lab.qemu, tmp_path, "locked", "-overcommit", "mem-lock=on") as path, \
            watching("--qmp", path) as daemon:
        daemon.wait_for_guest("locked", lambda guest: guest["obstacle"] == LOCKED)


def test_a_locked_file_is_released_all_the_same(lab, aerostat, tmp_path):
    """QEMU punches holes into it, which frees pages whoever has locked them."""
    ram = "memory-backend-memfd,id=ram,size=64M,share=on"
    with stopped_qemu(lab.qemu, tmp_path, "file", "-overcommit", "mem-lock=on", "-object", ram,
                      "-machine", "memory-backend=ram") as path:
        assert aerostat("setmem", f"qmp:{path}", "50M", "--no-wait").code == DONE


def test_huge_pages_are_in_the_way(lab, watching, tmp_path):
    """No page of the pool is needed, because nothing runs that would touch one."""
    ram = "memory-backend-memfd,id=ram,size=64M,hugetlb=on,reserve=off"
    with stopped_qemu(lab.qemu, tmp_path, "huge", "-object", ram,
                      "-machine", "memory-backend=ram") as path, \
            watching("--qmp", path) as daemon:
        daemon.wait_for_guest("huge", lambda guest: guest["obstacle"] == HUGE_PAGES)


def test_only_what_the_balloon_can_take_is_its_maximum(lab, aerostat, tmp_path):
    """QEMU reports an NVDIMM as plugged memory, but its balloon counts only DIMMs."""
    ram = [word for name, size in (("dimm", "128M"), ("nvdimm", "64M"), ("mem", "1G"))
           for word in ("-object", f"memory-backend-ram,id={name},size={size}")]
    with stopped_qemu(lab.qemu, tmp_path, "devices", "-m", "64M,slots=4,maxmem=4G",
                      "-machine", "pc,nvdimm=on", *ram, "-device", "pc-dimm,memdev=dimm",
                      "-device", "nvdimm,memdev=nvdimm",
                      "-device", "virtio-mem-pci,memdev=mem,requested-size=256M") as path:
        shown = aerostat("dominfo", f"qmp:{path}", "--json").json
        assert shown["max_bytes"] == shown["actual_bytes"] == 192 << 20


@pytest.mark.parametrize("text, rest, options", [
    (LOCKED, NONE_BACK, ["-overcommit", "mem-lock=on"]),
    (HUGE_PAGES, WHOLE_PAGES, [
        "-object", "memory-backend-memfd,id=ram,size=64M,hugetlb=on,reserve=off",
        "-machine", "memory-backend=ram"]),
    (HUGE_PAGES, WHOLE_PAGES, [
        "-object", "memory-backend-memfd,id=small,size=32M",
        "-object", "memory-backend-memfd,id=huge,size=32M,hugetlb=on,reserve=off",
        "-numa", "node,memdev=small", "-numa", "node,memdev=huge"])])
def test_setmem_takes_nothing_that_the_host_would_not_get_back(
        lab, aerostat, tmp_path, text, rest, options):
    with stopped_qemu(lab.qemu, tmp_path, "vain", *options) as path:
        result = aerostat("setmem", f"qmp:{path}", "50M", "--no-wait")
        assert result.code == REFUSED
        assert text + rest in result.error
        result = aerostat("setmem", f"qmp:{path}", "50M", "--no-wait", "--force", "--json")
        assert result.code == DONE
        assert text in result.json["note"]


def test_setmem_names_no_cause_for_what_does_not_come_back(lab, aerostat, tmp_path, monkeypatch):
    """A QEMU whose discards do nothing, which nothing about it shows."""
    qemu = tmp_path / "qemu"
    qemu.write_text(f'#!/bin/sh\nLD_PRELOAD={BUILD}/tests/fakes/fake-discard.so exec {lab.qemu} '
                    '"$@"\n', encoding="ascii")
    qemu.chmod(0o755)
    monkeypatch.setattr(lab, "qemu", str(qemu))
    with lab.guest("vain", memory=256, backing="anon") as guest:
        guest.hold("touched", 130)
        guest.release("touched")
        sizes = itertools.cycle((250, 245))

        def has_gained_nothing():
            """What QEMU takes or frees for itself meanwhile is measured, too."""
            result = setmem(aerostat, guest.address, f"{next(sizes)}M")
            if "host: got back" not in result.out:      # it was larger before
                return False
            assert "the rest was not in use" not in result.out, result.out
            return "got back 0 B" in result.out and "is not known" in result.out
        wait_for(has_gained_nothing, "a change by which the host gains nothing")
