# SPDX-License-Identifier: BSD-3-Clause
"""The programs side by side, as when installed: adopt looks for the others beside itself."""

import pathlib
import shutil

PROGRAMS = ("aerostat/aerostat", "aerostat-qemu/aerostat-qemu", "aerostat-device/aerostat-device")


def install(build, folder):
    """Copies them where a libvirt daemon's user can run them; the path of the command."""
    folder.mkdir()
    folder.chmod(0o755)
    for program in PROGRAMS:
        shutil.copy(pathlib.Path(build) / program, folder)
    return folder / "aerostat"
