# SPDX-License-Identifier: BSD-3-Clause
"""Waits for conditions, never for a fixed time.

HANG_S limits every wait in the lab and in the behaviour tests.  Only something that hangs may
reach it, even on a machine that has ten times as much to do as it has processors.  No test
asserts how long something takes.
"""

import time

from .errors import LabError

HANG_S = 600
POLL_S = 0.02


def wait_for(condition, what, *, timeout=HANG_S):
    """Calls `condition` until it returns something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"waited {timeout} s for {what}, which did not happen")
        time.sleep(POLL_S)
