# SPDX-License-Identifier: BSD-3-Clause
"""aerostatd under measurement, and the many fake guests that it is given.

Everything lives in a nest of the lab, so nothing outlives its user.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import time

from lab import LabError, wait_for
from lab.wait import HANG_S

ASK_EVERY_S = 0.5


class Api(http.client.HTTPConnection):
    """HTTP over the daemon's socket."""

    def __init__(self, path):
        super().__init__("aerostat", timeout=HANG_S)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def read(self, path):
        """Returns the answer to a GET request, as bytes."""
        try:
            self.request("GET", path)
            answer = self.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise LabError(f"aerostatd does not answer GET {path}: {error}") from None
        if answer.status != 200:
            raise LabError(f"aerostatd answers GET {path} with {answer.status}: {body!r}")
        return body


class Daemon:
    """An aerostatd that has sent its first answer."""

    def __init__(self, process, socket_path, log):
        self.process, self.log = process, log
        self.pid = process.pid
        self.api = Api(socket_path)

    def status(self):
        return json.loads(self.api.read("/v1/status"))

    def wait_until_met(self, count):
        """Waits until it knows this many guests; returns its status."""
        return self._wait(lambda status: sum(guest["actual_bytes"] is not None
                                             for guest in status["guests"]) >= count,
                          f"meet {count} guests")

    def wait_until_rounds(self, count):
        return self._wait(lambda status: status["rounds"] >= count,
                          f"make {count} rounds")

    def _wait(self, condition, what):
        """Polls the status; rarely, because an answer about a thousand guests takes CPU time."""
        end_s = time.monotonic() + HANG_S
        while not condition(status := self.status()):
            if time.monotonic() > end_s:
                raise LabError(f"waited {HANG_S} s for aerostatd to {what}, which did not happen")
            time.sleep(ASK_EVERY_S)
        return status


@contextlib.contextmanager
def daemon(program, nest, globs, config):
    """Runs an aerostatd that answers; at the end it restores its guests."""
    folder, path = nest.path / "daemon", nest.path / "api"
    file = nest.path / "aerostat.conf"
    file.write_text(config, encoding="utf-8")
    words = [program, f"--config={file}", f"--folder={folder}", f"--socket={path}",
             *(f"--qmp={glob}" for glob in globs)]
    log = nest.path / "daemon.log"
    with open(log, "ab") as output:
        process = start(words, stdout=output, stderr=output)
    try:
        wait_for(lambda: process.poll() is not None or listens(path), "aerostatd to listen")
        if process.poll() is not None:
            raise LabError(f"aerostatd exited with {process.returncode}: {last_words(log)}")
        one = Daemon(process, path, log)
        with contextlib.closing(one.api):
            yield one
    finally:
        end(process, "aerostatd")


def start(words, **streams):
    try:
        return subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, **streams)
    except FileNotFoundError:
        raise LabError(f"{words[0]} does not exist: build it (“make build”)") from None


def listens(path):
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def last_words(log):
    return "; ".join(log.read_text("utf-8", "replace").splitlines()[-3:])


def end(process, name):
    process.terminate()
    try:
        process.wait(HANG_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise LabError(f"{name} did not end within {HANG_S} s") from None


class FakeGuests:
    """A running fake-guests (tests/fakes/fake_guests.h)."""

    def __init__(self, process, folder):
        self.process = process
        self.folder = folder
        self.glob = f"{folder}/guest-*.qmp"

    def order(self, words):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(f"{self.folder}/control")
            control.sendall(f"{words}\n".encode())
            answer = control.makefile("r").readline().strip()
        if answer != "ok":
            raise LabError(f"fake-guests answered “{words}” with: {answer}")


@contextlib.contextmanager
def fake_guests(program, nest, count, *options):
    folder = nest.path / "fakes"
    folder.mkdir()
    process = start([program, f"--folder={folder}", f"--count={count}", *options],
                    stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            raise LabError(f"{program} did not start to listen for {count} guests")
        yield FakeGuests(process, folder)
    finally:
        end(process, "fake-guests")
        process.stdout.close()


def running(nest, program):
    """Returns the pids of the program's processes in the nest, including their helpers."""
    found = []
    for pid in nest.processes():
        with contextlib.suppress(OSError):
            if os.path.samefile(f"/proc/{pid}/exe", program):
                found.append(pid)
    return found


def status_number(pid, key):
    """Returns a number from /proc/PID/status; sizes are in bytes."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    number, unit = re.search(rf"^{key}:\s+(\d+)( kB)?$", text, re.M).groups()
    return int(number) * (1024 if unit else 1)
