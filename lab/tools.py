# SPDX-License-Identifier: BSD-3-Clause
"""Runs system programs, whose error output becomes the text of an error; and links files.

Mounts are made in a mount namespace of their own (mount_namespace()).  unshare makes
all mounts private there, except in a chroot whose root is not a mount point, where it
cannot reach the mount that the root lies on.  So that nothing leaks from there either,
scripts mount only on folders that they have made private with private_folder().
"""

import functools
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


@functools.cache
def mount_namespace():
    """Returns a command prefix for a command that mounts; it fails where that is not allowed."""
    unshare = [tool("unshare"), "--mount"]
    if os.geteuid():
        return [*unshare, "--map-root-user"]
    in_chroot = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    return [*unshare, *(["--propagation", "unchanged"] if in_chroot else [])]


def private_folder(path):
    """Returns a shell command after which a mount on `path` stays in its namespace.

    path: an absolute path, or a word such as "$1/dev"
    """
    return f'mount --bind "{path}" "{path}" && mount --make-private "{path}"'


def give(source, target):
    """Makes a hard link to a file, or a copy if that is not possible; returns its path."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
    return target
