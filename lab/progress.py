# SPDX-License-Identifier: BSD-3-Clause
"""Reports each long step in one line: what it is, how far it has come, how long it took."""

import contextlib
import sys
import time


class Progress:
    """Writes plain text, part by part, so that it looks the same on a terminal and in a log."""

    def __init__(self, stream=None):
        self._stream = stream or sys.stderr

    def say(self, text):
        self._stream.write(text)
        self._stream.flush()

    @contextlib.contextmanager
    def step(self, what):
        """Yields a function that adds a short text about the step's progress."""
        start = time.monotonic()
        self.say(f"  {what} …")
        try:
            yield lambda word: self.say(f" {word} …")
        except BaseException:
            self.say(" failed\n")
            raise
        self.say(f" done in {time.monotonic() - start:.1f} s\n")


class Silence(Progress):
    def say(self, text):
        pass
