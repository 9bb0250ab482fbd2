# SPDX-License-Identifier: BSD-3-Clause
"""One line for each step that takes long: what, how far, how long it took."""

import contextlib
import sys
import time


class Progress:
    """Writes plain text, a piece at a time, so it reads the same on a terminal and in a log."""

    def __init__(self, stream=None):
        self._stream = stream or sys.stderr

    def say(self, text):
        self._stream.write(text)
        self._stream.flush()

    @contextlib.contextmanager
    def step(self, what):
        """Yields a function that adds a word on how far the step has come."""
        start = time.monotonic()
        self.say(f"  {what} …")
        try:
            yield lambda word: self.say(f" {word} …")
        except BaseException:
            self.say(" failed\n")
            raise
        self.say(f" done {time.monotonic() - start:.1f} s\n")


class Silence(Progress):
    def say(self, text):
        pass
