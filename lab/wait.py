# SPDX-License-Identifier: BSD-3-Clause
"""Waiting for a condition, never for a time."""

import time

from .errors import LabError

POLL_S = 0.02


def wait_for(condition, timeout, what):
    """Calls `condition` until it answers something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"waited {timeout} s in vain for {what}")
        time.sleep(POLL_S)
