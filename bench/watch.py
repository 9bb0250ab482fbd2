# SPDX-License-Identifier: BSD-3-Clause
"""Finds out when the host really gets memory back, independently of the command.

The host memory of a guest that is backed by a memfd is that file's blocks.  A
thread reads their number every millisecond, which shows when the first and the
last page came back, whatever the command under measurement reports.  A guest
that gets memory allocates no blocks until it touches them, so only a shrink can
be observed in this way.
"""

import contextlib
import os
import threading
import time

LOOK_S = 0.001
BLOCK_BYTES = 512


def memory_file(pid):
    """Returns the path of the guest's memfd; None if its RAM is anonymous."""
    files = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):    # closed in the meantime
            if os.readlink(entry.path).startswith("/memfd:"):
                files.append((os.stat(entry.path).st_size, entry.path))
    return max(files, default=(0, None))[1]


class Watch(threading.Thread):
    """Observes the memory from the start of its `with` statement to the end."""

    def __init__(self, guest):
        super().__init__(daemon=True)
        self._path = memory_file(guest.pid)
        self._stopped = threading.Event()
        self.before_bytes = None    # allocated at the beginning
        self.first_s = None         # when the first page came back, by the monotonic clock
        self.last_s = None
        self.blind_s = 0.0          # the longest time between two reads

    def __enter__(self):
        if self._path:
            self.before_bytes = self._allocated()
            self.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        if self._path:
            self.join()

    def _allocated(self):
        return os.stat(self._path).st_blocks * BLOCK_BYTES

    def run(self):
        least, looked_s = self.before_bytes, time.monotonic()
        while not self._stopped.is_set():
            allocated, now = self._allocated(), time.monotonic()
            self.blind_s = max(self.blind_s, now - looked_s)
            looked_s = now
            if allocated < least:
                least, self.last_s = allocated, now
                self.first_s = self.first_s or now
            time.sleep(LOOK_S)
