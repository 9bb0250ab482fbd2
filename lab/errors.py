# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong in the lab."""


class LabError(Exception):
    """The lab cannot do what was asked; the text says why, and what would help."""


class Unavailable(LabError):
    """This machine cannot give what was asked: a reason to skip a test."""


class GuestError(LabError):
    """The guest answered that it could not; `status` is an errno or an exit status."""

    def __init__(self, text, status):
        super().__init__(text)
        self.status = status


class GuestTimeout(LabError):
    """The guest did not answer in time."""


class GuestGone(LabError):
    """The guest is no longer there to answer."""
