# SPDX-License-Identifier: BSD-3-Clause
"""Runs a command and writes what it took to a file descriptor.

    python3 -IS meter.py FD COMMAND…

A program of its own, and a small one: Linux counts the memory of whoever
starts a process into its ru_maxrss, so the starter must be smaller than any
command it is to measure.
"""

import os
import sys
import time


def main():
    report, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(report, False)
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    end = time.monotonic()
    code = os.waitstatus_to_exitcode(status)
    os.write(report, f"{code} {start} {end} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}"
             .encode())


main()
