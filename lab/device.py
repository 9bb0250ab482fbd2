# SPDX-License-Identifier: BSD-3-Clause
"""Aerostat's own balloon device: a process beside QEMU that serves one guest.

Theory of operation
-------------------
The device starts first and listens; QEMU connects to it over vfio-user or
vhost-user.  QEMU's monitor does not know of this balloon, so the device has its
own control socket, which speaks QMP.  Successive processes that serve one guest
use the same control socket (`control`), but each has a new `socket`.

A device ends with its guest or on request.  If it ends in another way, or with
an error status, leaving the guest raises an error with the end of the device's
log.  This is how a sanitizer's report becomes visible.
"""

import contextlib
import os
import pathlib
import signal
import subprocess

from . import qmp
from .errors import LabError
from .wait import HANG_S, wait_for

PROTOCOLS = ("vfio-user", "vhost-user")
ID = "balloon0"


def serving_pid(pid):
    """Returns the pid of the process that serves the guest.

    Where it may have a PID namespace, the device is a child of the process that was started.
    """
    with contextlib.suppress(OSError):
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid
    return pid


class Device:
    """One process of the device; `number` counts the processes that serve a guest in turn."""

    def __init__(self, binary, spec, nest, number=1):
        stem = nest.path / f"device{number if number > 1 else ''}"
        self.name = spec.name
        self.protocol = spec.transport
        self.socket = stem.with_suffix(".sock")
        self.log = stem.with_suffix(".log")
        self.control = nest.path / "device.qmp"
        self.chardev = f"balloon-{number}"
        self._binary = binary
        self._forgiven = False      # its end was expected, or has been reported
        self._process = None

    def start(self, words):
        """Starts it with these extra arguments, and waits until it listens."""
        self.control.unlink(missing_ok=True)    # left behind by a killed process
        argv = [self._binary, f"--protocol={self.protocol}", f"--socket-path={self.socket}",
                f"--control={self.control}", f"--name={self.name}", *map(str, words)]
        try:
            with open(self.log, "wb") as log:
                self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=log, start_new_session=True)
        except FileNotFoundError:
            raise LabError(f"{self._binary} does not exist: build it (“make build”), or set "
                           "LAB_DEVICE to a device") from None
        # An answer also means that the process that serves is there (serving_pid()).
        wait_for(lambda: not self.alive() or self.socket.exists() and qmp.answers(self.control),
                 f"the balloon device of {self.name} to listen")
        if not self.alive():
            self._forgiven = True
            raise LabError(f"the balloon device of {self.name} ended {self._how()}: "
                           f"{self.last_words()}")

    @property
    def pid(self):
        return serving_pid(self._process.pid)

    def alive(self):
        return self._process.poll() is None

    def _how(self):
        status = self._process.returncode
        return f"with {status}" if status >= 0 else f"by {signal.Signals(-status).name}"

    def last_words(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def qmp(self, command, **args):
        return qmp.ask(self.control, command, args)

    # For QEMU

    def properties(self):
        """Returns the properties of QEMU's end of the device, for -device and for device_add."""
        if self.protocol == "vfio-user":
            return {"driver": "vfio-user-pci", "id": ID, "x-msg-timeout": HANG_S * 1000,
                    "socket": {"type": "unix", "path": str(self.socket)}}
        return {"driver": "vhost-user-test-device-pci", "id": ID, "chardev": self.chardev,
                "virtio-id": 5, "num_vqs": 5, "config_size": 16}

    @property
    def needs_chardev(self):
        return self.protocol == "vhost-user"

    # Its end

    def kill(self):
        """Kills it, as if it crashed."""
        self._forgiven = True
        served = self.pid
        self._process.kill()
        self._process.wait()
        wait_for(lambda: not os.path.exists(f"/proc/{served}"), "the device to die")

    def wait_end(self):
        """Waits for an end that the caller requested; returns the exit status."""
        try:
            status = self._process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            raise LabError(f"the balloon device of {self.name} did not end within "
                           f"{HANG_S} s") from None
        self._forgiven = True
        return status

    def end(self, early=False):
        """Ends it if it has not ended with its guest; raises an error if it ended badly.

        early: it ended before its guest.
        """
        if not self._process or self._forgiven:
            return
        late = False
        if self.alive():
            self._process.terminate()
            try:
                self._process.wait(HANG_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                late = True
        status = self._process.returncode
        self._forgiven = True
        if early or late or status not in (0, -signal.SIGTERM):
            how = (f"did not end within {HANG_S} s" if late else
                   f"ended {self._how()}{', before its guest' if early else ''}")
            raise LabError(f"the balloon device of {self.name} {how}: {self.last_words()}")


def check(spec):
    for key, value, known in (("device", spec.device, ("qemu", "aerostat")),
                              ("transport", spec.transport, PROTOCOLS),
                              ("qemu", spec.qemu, ("host", "newer"))):
        if value not in known:
            raise LabError(f"unknown {key} {value}: use one of {', '.join(known)}")
