# SPDX-License-Identifier: BSD-3-Clause
"""A guest that aerostatd has shrunk moves into another process, and keeps its own size.

Without libvirt it is migrated between two QEMUs whose monitors the daemon watches.  With libvirt
it is saved, started from its saved state, or migrated between two daemons, and people copy its
metadata.
"""
import contextlib
import os
import re
import socket
import subprocess
import time
import uuid

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from lab import qmp
from lab.channel import Channel, Heartbeat
from lab.errors import LabError
from lab.libvirtd import SessionLibvirt
from lab.wait import wait_for

PROGRAM = BUILD / "aerostatd/aerostatd"
OWN_MIB = 320
SHRUNK_MIB = 280
CLOSE = 4 * MIB


def new_daemon(folder, name, *sources):
    config = f"[host]\nbudget=64G\n[guest {name}]\nmax={SHRUNK_MIB}M\n"
    return Daemon(PROGRAM, folder, config, *sources, env={"AEROSTATD_POLICY_CLOCK": "20"})


def is_shrunk(guest):
    return guest.actual() <= SHRUNK_MIB * MIB + CLOSE


# Without libvirt

class Destination:
    """A second QEMU, which waits for the migration of a guest."""

    def __init__(self, guest, folder):
        self.monitor = folder / "there.qmp"
        self.address = f"qmp:{self.monitor}"
        self._folder = folder
        self._argv = [self._word(guest, str(word)) for word in guest.command()]

    def _word(self, guest, word):
        for path, name in ((guest.qmp_path, "there.qmp"), (guest.console, "console"),
                           (guest.nest.path / "channel", "channel"),
                           (guest.nest.path / "heartbeat", "heartbeat")):
            word = word.replace(str(path), str(self._folder / name))
        return word.replace("format=raw", "format=raw,file.locking=off")

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for name in ("channel", "heartbeat"):
                line = stack.enter_context(socket.socket(socket.AF_UNIX))
                line.bind(str(self._folder / name))
                line.listen()
            log = stack.enter_context(open(self._folder / "qemu.log", "wb"))
            self._process = stack.enter_context(subprocess.Popen(
                [*self._argv, "-incoming", "defer"], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log))
            stack.callback(self._process.kill)
            wait_for(self.monitor.exists, "the other QEMU to start")
            self._lines = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._lines.close()

    def status(self):
        return qmp.ask(self.monitor, "query-status", {})["status"]

    def actual(self):
        return qmp.ask(self.monitor, "query-balloon", {})["actual"]

    def receive(self, guest):
        uri = f"unix:{self._folder}/migration"
        qmp.ask(self.monitor, "migrate-incoming", {"uri": uri})
        guest.qmp("migrate", uri=uri)
        wait_for(lambda: self.status() == "running", "the guest to arrive")


def test_a_guest_that_is_migrated_between_two_monitors_keeps_its_own_size(lab, tmp_path):
    with lab.guest("mona", memory=OWN_MIB, backing="anon") as mona, \
            new_daemon(tmp_path / "daemon", "mona", "--qmp", mona.qmp_path,
                       "--qmp", tmp_path / "*.qmp") as daemon:
        wait_for(lambda: is_shrunk(mona), "mona to be shrunk")
        with Destination(mona, tmp_path) as there:
            waiting = daemon.wait_for_guest(
                there.address, lambda guest: "migrated here" in (guest["problem"] or ""))
            assert waiting["before_bytes"] is None
            daemon.wait_for_rounds(2)
            assert there.actual() == OWN_MIB * MIB      # nothing was set
            there.receive(mona)
            mona.qmp("quit")
            arrived = daemon.wait_for_guest(there.address)
            assert arrived["before_bytes"] == OWN_MIB * MIB
            assert arrived["actual_bytes"] < OWN_MIB * MIB
            daemon.stop_and_restore()
            wait_for(lambda: there.actual() == OWN_MIB * MIB, "mona to be whole")


# With libvirt

@pytest.fixture(scope="module")
def nora(lab, libvirt):
    with lab.guest("nora", via="libvirt", libvirt=libvirt, memory=OWN_MIB) as guest:
        yield guest


def started(guest):
    guest.pid = wait_for(guest.nest.processes, f"the QEMU of domain {guest.name}")[0]


@pytest.mark.long
def test_a_guest_that_is_started_from_its_managed_save_keeps_its_own_size(nora, tmp_path):
    with new_daemon(tmp_path, nora.name, "-c", nora.uri) as daemon:
        wait_for(lambda: is_shrunk(nora), "nora to be shrunk")
        nora.libvirt.virsh("managedsave", nora.name)
        nora._prepare_start()
        daemon.wait_for_no_guest(nora.name)
        nora.libvirt.virsh("start", nora.name)
        started(nora)
        assert daemon.wait_for_guest(nora.name)["before_bytes"] == OWN_MIB * MIB
        daemon.stop_and_restore()
    wait_for(lambda: nora.actual() == OWN_MIB * MIB, "nora to be whole")


@pytest.mark.long   # libvirtd has to be back before the guardian gives up
def test_a_guest_is_restored_though_libvirt_is_just_starting_again(nora, tmp_path):
    with new_daemon(tmp_path, nora.name, "-c", nora.uri) as daemon:
        wait_for(lambda: is_shrunk(nora), "nora to be shrunk")
        nora.libvirt.kill()
        try:
            daemon.kill()
            wait_for(lambda: "restoring its guests" in daemon.log(), "the guardian to begin")
        finally:
            nora.libvirt.start()
        wait_for(lambda: nora.actual() == OWN_MIB * MIB, "the guardian to restore nora")


def test_metadata_that_a_person_copied_says_nothing_of_another_start_or_guest(nora, tmp_path):
    """The copies are made while nora is shrunk and held by a person."""
    virsh = nora.libvirt.virsh
    clone = nora.libvirt.nest.path / "clone.xml"
    copy = nora.libvirt.nest.path / "copy.xml"
    with new_daemon(tmp_path, nora.name, "-c", nora.uri) as daemon:
        wait_for(lambda: is_shrunk(nora), "nora to be shrunk")
        assert daemon.set_mode(nora.name, "held", 300 * MIB)[0] == 200
        wait_for(lambda: '"mode":"held"' in virsh("dumpxml", nora.name), "the note to say so")
        copy.write_text(virsh("dumpxml", nora.name))
        clone.write_text(re.sub("<uuid>.*</uuid>", f"<uuid>{uuid.uuid4()}</uuid>",
                                copy.read_text()).replace(">nora<", ">nadia<"))
        virsh("define", copy)
        nora.shut_off()
        daemon.wait_for_no_guest(nora.name)
        for name, xml in ((nora.name, copy), ("nadia", clone)):
            if name != nora.name:
                virsh("define", xml)
            virsh("start", name)
            try:
                guest = daemon.wait_for_guest(name)
                assert (guest["mode"], guest["mode_by"]) == ("auto", "file"), name
                assert "is ignored" in daemon.log()
            finally:
                virsh("destroy", name)
                daemon.wait_for_no_guest(name)
                nora._prepare_start()
        virsh("undefine", "nadia")


class NamedLibvirt(SessionLibvirt):
    """A daemon that migrates to others on this machine, as it takes them for other machines."""

    def _write_config(self, more=""):
        super()._write_config(f'{more}host_uuid = "{uuid.uuid4()}"\n')

    def _command(self, argv):
        if os.geteuid():
            pytest.skip("only root can give a libvirtd a host name of its own")
        enter = f'hostname {self.nest.path.name} && exec setpriv --reuid={self.uid} ' \
            f'--regid={self.account.pw_gid} --clear-groups "$0" "$@"'
        return ["unshare", "--uts", "sh", "-c", enter, *argv], {"env": self.env, "cwd": "/"}


def migrate(guest, source, target, folder, *words):
    """Moves the guest between two libvirts; False if this machine cannot do it so."""
    for name, kind in (("channel", Channel), ("heartbeat", Heartbeat)):
        getattr(guest, name).close()
        path = guest.nest.path / name
        path.unlink(missing_ok=True)
        setattr(guest, name, kind(path))
        guest._own(path)
    if "--tunnelled" not in words:
        words += ("--migrateuri", f"unix://{folder}/{time.monotonic_ns()}")
    try:
        source.virsh("migrate", guest.name, "--live", "--unsafe", *words,
                     "--desturi", target.uri.replace("qemu:///", "qemu+unix:///"))
    except LabError as error:
        if "Postcopy is not supported" in str(error):
            return False
        raise
    return True


@pytest.mark.long
def test_a_guest_that_is_migrated_between_two_libvirts_keeps_its_own_size(lab, tmp_path):
    ways = (["--p2p"], ["--p2p", "--tunnelled"], [],
            ["--p2p", "--postcopy", "--postcopy-after-precopy"],
            ["--p2p", "--persistent", "--undefinesource"])
    with NamedLibvirt() as here, NamedLibvirt() as there, \
            lab.guest("maya", via="libvirt", libvirt=here, memory=OWN_MIB) as maya, \
            new_daemon(tmp_path / "daemon", "maya", "-c", here.uri, "-c", there.uri) as daemon:
        wait_for(lambda: is_shrunk(maya), "maya to be shrunk")
        for way in ways:
            known = daemon.wait_for_guest("maya", lambda guest: guest["target_bytes"] != 0)
            if not migrate(maya, here, there, here.nest.path, *way):
                continue
            here, there = there, here
            moved = daemon.wait_for_guest("maya", lambda guest: guest["id"] != known["id"])
            assert moved["source"] == here.uri
            assert moved["before_bytes"] == OWN_MIB * MIB, way
        maya.libvirt = here
        started(maya)
        daemon.stop_and_restore()
        wait_for(lambda: maya.actual() == OWN_MIB * MIB, "maya to be whole")
