# SPDX-License-Identifier: BSD-3-Clause
"""A temporary folder whose files and processes never outlive the program that uses it.

Theory of operation
-------------------
Every guest and every libvirt daemon of the lab has its own folder, whose random
name is on the command line of each of its processes.  A guard runs beside it:
this file as a program, which waits for the end of its standard input.  The input
ends when the nest is closed, and also when the test that opened the nest is
killed.  The guard then kills every process whose command line names the folder,
and removes the folder.  It also returns the huge pages that the nest took; their
numbers arrive on its standard input.
"""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time


HUGE_PAGES = "/proc/sys/vm/nr_hugepages"


def processes(folder):
    """Returns the pids of processes, except guards, whose command line names this folder."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and names(int(entry), folder):
            found.append(int(entry))
    return found


def names(pid, folder):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return False
    guard = os.fsencode(__file__) in words
    return not guard and any(os.fsencode(str(folder)) in word for word in words)


def kill_processes(folder, deadline_s=60):
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        pids = processes(folder)
        if not pids:
            return
        for pid in pids:
            kill_if_names(pid, folder)
        time.sleep(0.01)


def kill_if_names(pid, folder):
    """Kills through a pidfd, so that a process that reuses the pid is never hit."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if names(pid, folder):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def change_huge_pages(by):
    """Grows or shrinks the machine's pool; returns by how many pages it changed."""
    with open(HUGE_PAGES, "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)    # two runs at once must not both add to the same size
        before = int(file.read())
        file.seek(0)
        file.write(str(max(0, before + by)))
        file.flush()
        file.seek(0)
        return int(file.read()) - before


class Nest:
    """A temporary folder with a guard; `path` is short enough for Unix sockets."""

    def __init__(self, owner=None):
        # Not $TMPDIR: a socket's path is limited to 107 characters, of which libvirt needs many.
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))
        if owner is not None:
            os.chown(self.path, owner, -1)
        self._guard = subprocess.Popen(
            [sys.executable, "-IS", __file__, str(self.path)],
            stdin=subprocess.PIPE, start_new_session=True)

    def reserve_huge_pages(self, count):
        """Adds huge pages to the machine's pool until the nest is closed; returns how many."""
        got = change_huge_pages(count)
        self._guard.stdin.write(b"%d\n" % got)
        self._guard.stdin.flush()
        return got

    def processes(self):
        return processes(self.path)

    def close(self):
        """Kills what still runs in the nest, and removes it."""
        if self._guard.stdin.closed:
            return
        self._guard.stdin.close()
        self._guard.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def guard(folder):
    huge_pages = sum(map(int, sys.stdin.buffer))
    kill_processes(folder)
    if huge_pages:
        change_huge_pages(-huge_pages)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    guard(sys.argv[1])
