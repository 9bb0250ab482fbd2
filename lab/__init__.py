# SPDX-License-Identifier: BSD-3-Clause
"""Real virtual machines to try, test and measure Aerostat with.  See README.md."""

from .errors import GuestError, GuestGone, GuestTimeout, LabError, Unavailable
from .lab import Lab
from .libvirtd import SessionLibvirt, SystemLibvirt
from .wait import wait_for

__all__ = ["GuestError", "GuestGone", "GuestTimeout", "Lab", "LabError", "SessionLibvirt",
           "SystemLibvirt", "Unavailable", "wait_for"]
