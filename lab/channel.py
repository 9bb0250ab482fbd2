# SPDX-License-Identifier: BSD-3-Clause
"""The lab's two connections to a guest's init: the channel and the heartbeat.

Both are Unix sockets on which the lab listens and to which QEMU connects when
it starts, so that no byte is lost.  A thread reads each of them.  guest/init.c
describes the protocol.
"""

import itertools
import socket
import threading
import time

from .errors import GuestError, GuestGone, GuestTimeout, LabError
from .wait import HANG_S

REQUEST_MAX = 2000


class Line(threading.Thread):
    """Accepts one connection and reads until it ends."""

    def __init__(self, path):
        super().__init__(daemon=True, name=f"lab {path}")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._socket = None
        self._stopping = False
        self.start()

    def run(self):
        try:
            self._socket, _ = self._listener.accept()
            with self._socket, self._socket.makefile("rb") as file:
                self.read(file)
        except OSError:
            pass
        finally:
            self._listener.close()
            self.ended()

    def read(self, file):
        raise NotImplementedError

    def ended(self):
        pass

    def close(self):
        for end in (self._socket, self._listener):
            try:
                if end:
                    end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.join()


class Channel(Line):
    """Sends requests to init, from any number of threads, and receives the answers."""

    def __init__(self, path):
        self._ids = itertools.count(1)
        self._changed = threading.Condition()
        self._waiting = set()
        self._answers = {}
        self._gone = False
        super().__init__(path)

    def read(self, file):
        for header in file:
            words = header.split()
            if len(words) != 3 or not words[0].isdigit() or not words[1].isdigit():
                continue    # the rest of an answer that was cut short
            number, length, status = int(words[0]), int(words[1]), int(words[2])
            payload = file.read(length)
            with self._changed:
                if number == 0 or number in self._waiting:
                    self._answers[number] = (status, payload.decode(errors="replace"))
                    self._changed.notify_all()

    def ended(self):
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def hello(self, timeout):
        """Waits for the hello that init sends after a boot; returns its payload."""
        return self._wait(0, "hello", timeout)[1]

    def ask(self, verb, args="", timeout=HANG_S):
        """Sends a request; returns the status and the payload of init's answer."""
        request = f"{verb} {args}".rstrip()
        if "\n" in request or len(request) > REQUEST_MAX:
            raise LabError(f"a request to the guest's init must be one line of at most "
                           f"{REQUEST_MAX} bytes: {request}")
        number = next(self._ids)
        with self._changed:
            self._waiting.add(number)
        try:
            self._socket.sendall(f"\n{number} {request}\n".encode())
        except (OSError, AttributeError):
            raise GuestGone(f"cannot send {verb} to the guest: it is gone") from None
        return self._wait(number, verb, timeout)

    def order(self, verb, args="", timeout=HANG_S):
        """Sends a request that must succeed; returns the payload of the answer."""
        status, payload = self.ask(verb, args, timeout)
        if status:
            raise GuestError(f"{verb} {args}: {payload}", status)
        return payload

    def _wait(self, number, verb, timeout):
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers or self._gone, timeout)
            self._waiting.discard(number)
            if number in self._answers:
                return self._answers.pop(number)
            if self._gone:
                raise GuestGone(f"no answer to {verb}: the guest is gone")
            raise GuestTimeout(f"no answer to {verb} within {timeout:.0f} s")


class Heartbeat(Line):
    """Measures, by the host's clock, the longest time between two signs of life of the guest."""

    def __init__(self, path):
        self._changed = threading.Condition()
        self._last_s = None
        self._longest_s = 0.0
        self._sequence = 0
        self._marked_boots = 0
        self.beats = 0
        self.boots = 0
        super().__init__(path)

    def read(self, file):
        for line in file:
            now = time.monotonic()
            words = line.split()
            if len(words) != 2 or not words[0].isdigit():
                continue
            with self._changed:
                self._beat(now, int(words[0]))
                self._changed.notify_all()

    def _beat(self, now, sequence):
        if sequence <= self._sequence or not self.boots:
            self.boots += 1
        if self._last_s is not None:
            self._longest_s = max(self._longest_s, now - self._last_s)
        self._sequence = sequence
        self._last_s = now
        self.beats += 1

    def mark(self):
        """Starts a new measurement."""
        with self._changed:
            self._last_s = time.monotonic()
            self._longest_s = 0.0
            self.beats = 0
            self._marked_boots = self.boots

    @property
    def reboots(self):
        """How often the guest has booted since mark()."""
        with self._changed:
            return self.boots - self._marked_boots

    @property
    def longest_gap_ms(self):
        """The longest gap since mark(), including the current one."""
        with self._changed:
            running = time.monotonic() - self._last_s if self._last_s is not None else 0.0
            return 1000 * max(self._longest_s, running)

    def wait_for_boot(self, boots, timeout=HANG_S):
        """Waits until it has beaten in more boots than this.

        The heartbeat is a line of its own: what follows on the channel may overtake it.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.boots > boots, timeout):
                raise GuestTimeout(f"no heartbeat of boot {boots + 1} within {timeout:.0f} s")

    def wait(self, beats, timeout=HANG_S):
        """Waits for this many beats since mark(); returns False on a timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: self.beats >= beats, timeout)
