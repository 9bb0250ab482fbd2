# SPDX-License-Identifier: BSD-3-Clause
"""aerostat-qemu starts the device, becomes the emulator, and keeps the device running.

Real guests have it in test_adopt.py.  Here emulator and device are fakes, scripts
that record how they were called and wait, for what real ones will not do.
"""
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys

import pytest

from conftest import BUILD
from lab.nest import Nest
from lab.wait import HANG_S, wait_for

# Of vfio-user.
VERSION, UNMAP, READ, WRITE, RESET = 1, 3, 9, 10, 13
REPLY, NO_REPLY = 0x1, 0x10
SHORTAGE = BUILD / "tests/fakes/fake-shortage.so"

# Connects as QEMU does, whenever the test asks, and passes the connection to the test: the
# supervisor serves the process that it belongs to, and no other.
EMULATOR = """\
#!{python} -IS
import os, select, socket, sys
told = "{path}/emulator-told"
with open(told + ".new", "w") as file:
    print(*sys.argv[1:], os.getpid(), sep="\\n", file=file)
os.rename(told + ".new", told)
tests = socket.socket(socket.AF_UNIX)
tests.connect("{path}/errands")
while not os.path.exists("{path}/end"):
    if select.select([tests], [], [], 0.02)[0]:
        if not tests.recv(1):
            break
        device = socket.socket(socket.AF_UNIX)
        device.connect("{path}/run/alpha.sock")
        socket.send_fds(tests, [b"!"], [device.fileno()])
        device.close()
"""

TELL = """\
#!/bin/sh
for word; do printf '%s\\n' "$word"; done >{told}.new
echo $$ >>{told}.new
mv {told}.new {told}
{then}
"""


class Launched:
    """A nest with the launcher's link and the fakes, and what runs in it."""

    def __init__(self, nest):
        self.path = nest.path
        self.socket = nest.path / "run/alpha.sock"
        self.control = nest.path / "run/alpha.qmp"
        self.log = nest.path / "log"
        self.emulator = nest.path / "bin/fake-qemu"
        self.device = nest.path / "bin/fake-device"
        (nest.path / "bin").mkdir()
        self.emulator.write_text(EMULATOR.format(python=sys.executable, path=nest.path))
        self.emulator.chmod(0o755)
        self.errands = socket.socket(socket.AF_UNIX)
        self.errands.bind(str(nest.path / "errands"))
        self.errands.listen()
        self.errands.settimeout(HANG_S)
        self.emulators_end = None       # of the connection over which it is sent on errands
        self.fake("device", "exec sleep 600 # " + str(nest.path))
        self.link = pathlib.Path(f"{nest.path}/aerostat/emulators{self.emulator}")
        self.link.parent.mkdir(parents=True)
        self.link.symlink_to(BUILD / "aerostat-qemu/aerostat-qemu")
        self.process = None
        self.qemu = None        # its connection to the device

    def fake(self, which, then):
        script = getattr(self, which)
        script.write_text(TELL.format(told=self.path / f"{which}-told", then=then))
        script.chmod(0o755)

    def start(self, env=None, device=True):
        words = ["-name", "guest=alpha,debug-threads=on", "-uuid", "not-a-real-one"]
        if device:
            words += ["-device", json.dumps({"driver": "vfio-user-pci", "id": "aerostat0",
                                             "socket": {"type": "unix",
                                                        "path": str(self.socket)}})]
        env = {"AEROSTAT_DEVICE": f"{self.device} --extra"} if env is None else env
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.link, *words], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log,
                                            env={"PATH": os.environ["PATH"], **env})
        return words

    def told(self, which):
        """How the fake was called: its words and its pid."""
        told = self.path / f"{which}-told"
        wait_for(told.exists, f"the {which} to be started")
        *words, pid = told.read_text().splitlines()
        return words, int(pid)

    def connect(self):
        """Has the emulator connect; how the device was called."""
        self.told("emulator")
        if not self.emulators_end:
            self.emulators_end = self.errands.accept()[0]
        self.emulators_end.sendall(b"!")
        fds = socket.recv_fds(self.emulators_end, 1, 1)[1]
        self.qemu = socket.socket(fileno=fds[0])
        self.qemu.settimeout(HANG_S)
        return self.told("device")

    def connect_a_stranger(self):
        """A connection from this process, which has QEMU's user and is not QEMU."""
        stranger = socket.socket(socket.AF_UNIX)
        stranger.connect(str(self.socket))      # which waits while many others connect
        stranger.settimeout(HANG_S)
        return stranger

    def kill_device(self):
        pid = self.told("device")[1]
        (self.path / "device-told").unlink()
        os.kill(pid, signal.SIGKILL)
        self.said(f"aerostat-device (pid {pid}) was killed by signal 9")

    def ask(self, command, body=b"", flags=0):
        """One vfio-user request; the answer's command, flags, error and body."""
        self.qemu.sendall(struct.pack("<HHIII", 7, command, 16 + len(body), flags, 0) + body)
        if flags & NO_REPLY:
            return None
        number, command, size, flags, error = struct.unpack("<HHIII", self._read(16))
        assert number == 7
        return command, flags, error, self._read(size - 16)

    def _read(self, size):
        data = b""
        while len(data) < size:
            piece = self.qemu.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def end(self):
        (self.path / "end").touch()
        return self.process.wait(HANG_S)

    def said(self, text):
        wait_for(lambda: text in self.log.read_text(), f"“{text}” in the log")


@pytest.fixture
def launched():
    with Nest() as nest:
        one = Launched(nest)
        yield one
        one.errands.close()
        for connection in (one.qemu, one.emulators_end):
            if connection:
                connection.close()
        if one.process and one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        # The supervisor is no child of ours.
        wait_for(lambda: not nest.processes(), "all to end with the emulator")


def test_without_a_device_it_just_becomes_the_emulator(launched):
    words = launched.start(device=False)
    told, pid = launched.told("emulator")
    assert told == words
    assert pid == launched.process.pid
    assert not launched.socket.exists()
    assert launched.end() == 0


def test_with_one_it_can_connect_to_it_as_soon_as_it_runs(launched):
    words = launched.start()
    told, pid = launched.told("emulator")
    assert told == words
    assert pid == launched.process.pid
    assert launched.socket.stat().st_mode & 0o077 == 0
    assert launched.connect()[0] == ["--extra", "--fd=3", "--control-fd=4", "--name=alpha"]
    assert launched.control.stat().st_mode & 0o077 == 0


def test_the_device_has_no_descriptor_but_its_own(launched):
    launched.start()
    pid = launched.connect()[1]
    # The shell that the fake is has one for its script, until it becomes sleep.
    wait_for(lambda: set(os.listdir(f"/proc/{pid}/fd")) == set("01234"), "the device's descriptors")


@pytest.mark.parametrize("kill", [False, True])
def test_all_ends_with_the_emulator(launched, kill):
    launched.start()
    device = launched.connect()[1]
    launched.told("emulator")
    if kill:
        launched.process.kill()
    else:
        assert launched.end() == 0
    wait_for(lambda: not os.path.exists(f"/proc/{device}"), "the device to end")
    wait_for(lambda: not launched.socket.exists() and not launched.control.exists(),
             "the sockets to be removed")


def test_each_plug_has_a_device_of_its_own(launched):
    launched.fake("device", "exit 0")
    launched.start()
    first = launched.connect()[1]
    launched.said(f"aerostat-device (pid {first}) has ended")
    assert launched.qemu.recv(1) == b""
    wait_for(lambda: not launched.control.exists(), "the control socket to be removed")
    (launched.path / "device-told").unlink()
    launched.fake("device", "exec sleep 600 # " + str(launched.path))
    assert launched.connect()[1] != first
    assert launched.control.exists()


def test_a_new_plug_does_not_wait_for_the_old_device(launched):
    """QEMU may still be about to close the old connection, and does so only when served."""
    launched.start()
    first = launched.connect()[1]
    (launched.path / "device-told").unlink()
    old = launched.qemu
    assert launched.connect()[1] != first
    wait_for(lambda: not os.path.exists(f"/proc/{first}"), "the old device to end")
    assert old.recv(1) == b""
    assert launched.control.exists()


def test_only_its_qemu_reaches_the_device(launched):
    launched.start()
    device = launched.connect()[1]
    for _ in range(3):
        with launched.connect_a_stranger() as stranger:
            assert stranger.recv(1) == b""
    assert os.path.exists(f"/proc/{device}")
    assert launched.control.exists()
    launched.said(f"refused process {os.getpid()}, which is not the guest's QEMU")
    assert launched.log.read_text().count("refused") == 1


def test_strangers_before_qemu_keep_it_from_nothing(launched):
    launched.start()
    launched.told("emulator")
    strangers = [launched.connect_a_stranger() for _ in range(50)]
    device = launched.connect()[1]
    for stranger in strangers:
        with stranger:
            assert stranger.recv(1) == b""
    launched.kill_device()
    with launched.connect_a_stranger() as stranger:
        assert stranger.recv(1) == b""
    assert launched.ask(RESET) == (RESET, REPLY, 0, b"")    # answered for it, as ever
    assert not os.path.exists(f"/proc/{device}")


def test_a_device_that_cannot_work_leaves_nobody_waiting(launched):
    """A QEMU that starts asks for the version first, which nobody answers for a dead device."""
    launched.fake("device", "exit 7")
    launched.start()
    launched.connect()
    launched.said("failed with status 7")
    with pytest.raises((EOFError, ConnectionError)):
        launched.ask(VERSION, b"\0\0\1\0{}\0")


def test_a_dead_device_is_answered_for_until_it_is_unplugged(launched):
    launched.start()
    launched.connect()
    launched.kill_device()
    launched.said("aerostat adopt --replug alpha")
    access = struct.pack("<QII", 0x14, 0, 1)
    assert launched.ask(WRITE, access + b"\xff") == (WRITE, REPLY, 0, access)
    assert launched.ask(READ, access) == (READ, REPLY, 0, access + b"\0")
    launched.ask(WRITE, access + b"\xff", NO_REPLY)
    unmap = struct.pack("<IIQQ", 24, 0, 0, 4096)
    assert launched.ask(UNMAP, unmap) == (UNMAP, REPLY, 0, unmap)
    assert launched.ask(RESET) == (RESET, REPLY, 0, b"")
    launched.qemu.close()
    assert launched.connect()[0][-1] == "--name=alpha"      # plugged in again


@pytest.mark.parametrize("request_bytes", [
    struct.pack("<HHIII", 1, 9, 15, 0, 0),                              # shorter than a header
    struct.pack("<HHIII", 1, 9, 1 << 30, 0, 0),                         # too long
    struct.pack("<HHIII", 1, 9, 16, 0, 0),                              # nothing to read
    struct.pack("<HHIIIQII", 1, 9, 32, 0, 0, 0, 0, 1 << 30),            # too much of it
    struct.pack("<HHIII", 1, 99, 16, 0, 0),
])
def test_nonsense_for_a_dead_device_ends_its_connection(launched, request_bytes):
    launched.start()
    launched.connect()
    launched.kill_device()
    launched.qemu.sendall(request_bytes)
    with contextlib.suppress(ConnectionError):
        assert launched.qemu.recv(1) == b""
    assert launched.connect()       # its supervisor is there


def test_a_guest_started_right_after_its_end_is_served(launched):
    """The launcher waits for the last supervisor to be through."""
    launched.fake("device", "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done")
    launched.start()
    launched.told("emulator")
    device = launched.connect()[1]
    stat = pathlib.Path(f"/proc/{device}/stat").read_text()
    supervisor = stat.rpartition(")")[2].split()[1]
    launched.process.kill()
    launched.process.wait()
    for which in ("emulator", "device"):
        (launched.path / f"{which}-told").unlink()
    launched.emulators_end.close()
    launched.emulators_end = None
    launched.start()
    assert launched.connect()
    wait_for(lambda: not os.path.exists(f"/proc/{supervisor}"), "the last supervisor to end")
    assert launched.socket.exists() and launched.control.exists()


@pytest.mark.parametrize("env, says", [
    ({}, "no <qemu:env name='AEROSTAT_DEVICE'>"),
    ({"AEROSTAT_DEVICE": "/nonexistent/device"}, "/nonexistent/device"),
    ({"AEROSTAT_DEVICE": "'"}, "alpha: "),
])
def test_without_a_usable_device_the_emulator_is_not_run(launched, env, says):
    launched.start(env)
    assert launched.process.wait(HANG_S) == 1
    assert says in launched.log.read_text()
    assert not (launched.path / "emulator-told").exists()
    assert not launched.socket.exists()


@pytest.mark.parametrize("nth, says", [(1, "alpha: cannot create a process"),
                                        (2, "alpha: the supervisor of its balloon device did")])
def test_without_a_supervisor_the_emulator_is_not_run(launched, nth, says):
    """A process in between creates the supervisor; either of the two can fail."""
    launched.start(env={"AEROSTAT_DEVICE": str(launched.device), "LD_PRELOAD": str(SHORTAGE),
                        "FAKE_SHORTAGE": f"thread:{nth}:1"})
    assert launched.process.wait(HANG_S) == 1
    assert says in launched.log.read_text()
    assert not (launched.path / "emulator-told").exists()
    assert not launched.socket.exists()


def test_an_emulator_that_is_gone_is_named(launched):
    launched.emulator.unlink()
    launched.start()
    assert launched.process.wait(HANG_S) == 1
    assert f"cannot run the emulator {launched.emulator}" in launched.log.read_text()
    wait_for(lambda: not launched.socket.exists(), "the socket to be removed")


def test_run_by_hand_it_says_what_it_is(launched):
    done = subprocess.run([BUILD / "aerostat-qemu/aerostat-qemu"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1
    assert "aerostat adopt" in done.stderr
