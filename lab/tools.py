# SPDX-License-Identifier: BSD-3-Clause
"""Runs system programs, whose error output becomes the text of an error; and links files."""

import os
import shutil
import subprocess

from .errors import LabError


def tool(name):
    """Returns the path of a system tool, which need not be in an ordinary user's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise LabError(f"{name} is not installed: packages.txt lists what the lab needs")
    return path


def call(argv):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise LabError(f"{argv[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def give(source, target):
    """Makes a hard link to a file, or a copy if that is not possible; returns its path."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
    return target
