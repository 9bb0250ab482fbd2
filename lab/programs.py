# SPDX-License-Identifier: BSD-3-Clause
"""Puts the programs into one folder, as when installed: adopt looks for the others there."""

import pathlib
import shutil

PROGRAMS = ("aerostat/aerostat", "aerostat-qemu/aerostat-qemu", "aerostat-device/aerostat-device")


def install(build, folder):
    """Copies them to where a libvirtd's user can run them; returns the path of `aerostat`."""
    folder.mkdir()
    folder.chmod(0o755)
    for program in PROGRAMS:
        shutil.copy(pathlib.Path(build) / program, folder)
    return folder / "aerostat"
