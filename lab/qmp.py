# SPDX-License-Identifier: BSD-3-Clause
"""A minimal QMP client, with which tests see what QEMU and our device really did."""

import contextlib
import json
import socket
import time

from .errors import GuestError, GuestGone, GuestTimeout
from .wait import HANG_S, wait_for


def ask(path, command, args):
    """Opens a session, executes one command, and returns the answer."""
    with session(path, command) as monitor:
        return monitor.execute(command, **args)


def answers(path):
    """Returns whether the monitor answers.  Its socket exists a moment before anybody listens."""
    try:
        ask(path, "query-version", {})
    except GuestGone:
        return False
    return True


@contextlib.contextmanager
def session(path, what, timeout=HANG_S):
    """Opens a Session; its errors name the purpose, `what`."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            wait_for(lambda: is_connected(connection, path), f"a place in the queue of {path}",
                     timeout=timeout)
            with connection.makefile("rw") as file:
                yield Session(connection, file)
    except TimeoutError:
        raise GuestTimeout(f"no answer from {path} to “{what}” within {timeout} s: it may be "
                           "stopped, or busy with another client") from None
    except (ConnectionError, FileNotFoundError) as error:
        raise GuestGone(f"cannot send “{what}” to {path}: {error}") from None


def is_connected(connection, path):
    """Connects, unless too many others wait for that, which a socket with a timeout does not."""
    try:
        connection.connect(str(path))
    except BlockingIOError:
        return False
    return True


class Session:
    def __init__(self, connection, file):
        self._connection = connection
        self._file = file
        self._events = []
        while "QMP" not in (message := self._read()):
            self._events.append(message)    # QEMU may send one before its greeting
        self.execute("qmp_capabilities")

    def execute(self, command, **args):
        self._file.write(json.dumps({"execute": command, "arguments": args}) + "\n")
        self._file.flush()
        while True:
            answer = self._read()
            if "error" in answer:
                raise GuestError(f"{command}: {answer['error']['desc']}", 1)
            if "return" in answer:
                return answer["return"]
            self._events.append(answer)

    def wait_event(self, name, timeout=HANG_S, **data):
        """Waits for an event of this session whose data contains at least `data`."""
        end = time.monotonic() + timeout
        while True:
            for event in self._events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    return event
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            self._events = [self._read()]

    def _read(self):
        line = self._file.readline()
        if not line:
            raise ConnectionResetError("the monitor closed the connection")
        return json.loads(line)
