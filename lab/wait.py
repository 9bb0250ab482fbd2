# SPDX-License-Identifier: BSD-3-Clause
"""Waiting for a condition, never for a time.

HANG_S is the limit of every wait in the lab and in the behaviour tests.  It only ends what hangs:
a machine with ten times as much to do as it has processors must not reach it.  No test asserts
how long something takes.
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
            raise LabError(f"waited {timeout} s in vain for {what}")
        time.sleep(POLL_S)
