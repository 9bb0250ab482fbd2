# SPDX-License-Identifier: BSD-3-Clause
"""The lab's exceptions."""


class LabError(Exception):
    """The lab cannot do what was requested; the text gives the reason and the remedy."""


class Unavailable(LabError):
    """This machine cannot provide what was requested: a reason to skip a test."""


class GuestError(LabError):
    """The guest reported a failure; `status` is an errno or an exit status."""

    def __init__(self, text, status):
        super().__init__(text)
        self.status = status


class GuestTimeout(LabError):
    """The guest did not answer in time."""


class GuestGone(LabError):
    """The guest no longer exists."""
