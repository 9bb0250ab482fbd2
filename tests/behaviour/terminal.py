# SPDX-License-Identifier: BSD-3-Clause
"""A command on a terminal of its own, which pyte keeps the picture of."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios

import pyte

from lab.wait import wait_for


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, argv, env, width=80, height=24):
        self.screen = pyte.Screen(width, height)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self.code = None
        self.pid, self._fd = pty.fork()
        if not self.pid:
            self._set_size(0, width, height)
            os.execve(argv[0], argv, env)
        os.set_blocking(self._fd, False)

    @staticmethod
    def _set_size(fd, width, height):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width, height):
        self.screen.resize(height, width)
        self._set_size(self._fd, width, height)

    def press(self, keys):
        os.write(self._fd, keys.encode())

    @property
    def echoes(self):
        return bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)

    def look(self):
        """All that came until now; the picture as text."""
        while self._fd is not None and select.select([self._fd], [], [], 0)[0]:
            try:
                data = os.read(self._fd, 65536)
            except OSError:    # the other end is closed
                break
            if not data:
                break
            self.raw += data
            self._stream.feed(data)
        return "\n".join(self.screen.display)

    def line(self, word):
        """The first line that holds a word."""
        return next((line for line in self.look().splitlines() if word in line), "")

    def row(self, word):
        """The cells of that line."""
        y = next(i for i, line in enumerate(self.look().splitlines()) if word in line)
        return [self.screen.buffer[y][x] for x in range(self.screen.columns)]

    def until(self, condition, what):
        """The picture when a condition on it holds.

        It may be half drawn: what else a test asks of it belongs into the condition.
        """
        try:
            wait_for(lambda: condition(self.look()), what)
        except Exception as error:
            raise AssertionError(f"{error}; there is:\n{self.look()}") from error
        return self.look()

    def shows(self, *words, without=()):
        return self.until(lambda text: all(word in text for word in words)
                          and not any(word in text for word in without),
                          f"{words} to show, without {without}" if without else f"{words} to show")

    def matches(self, *patterns):
        """Shows a line for each pattern."""
        return self.until(lambda text: all(re.search(pattern, text, re.M) for pattern in patterns),
                          f"{patterns} to match")

    def _has_ended(self):
        self.look()
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.look()
        return self.code is not None

    def begins(self):
        """Waits until it has drawn something, or has ended."""
        wait_for(lambda: self._has_ended() or b"\x1b" in self.raw, "the command to begin")

    def ends(self):
        """Waits for the end; the exit code."""
        wait_for(self._has_ended, "the command to end")
        return self.code

    def hang_up(self):
        os.close(self._fd)
        self._fd = None

    def close(self):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._fd is not None:
            os.close(self._fd)
