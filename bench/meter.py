# SPDX-License-Identifier: BSD-3-Clause
"""Runs a command and writes its time, CPU time and memory to a file descriptor.

    python3 -IS meter.py FD COMMAND…

This is a separate, small program because Linux counts the memory of the parent
into a child's ru_maxrss, so the parent must be smaller than any command that it
measures.
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
