# SPDX-License-Identifier: BSD-3-Clause
"""Provides a QEMU that supports balloon devices in separate processes (vfio-user, >= 10.1).

Theory of operation
-------------------
The lab's default QEMU is used if it supports vfio-user; Debian 12's is too old.
Otherwise the QEMU of Debian 13's backports is unpacked in the build folder, with
all libraries that it needs.  It runs there without chroot or privileges, and
nothing is installed: `qemu-system-x86_64` in the tree is a script that starts
the tree's own dynamic loader on the tree's QEMU, with its libraries, modules and
firmware.  The tree works in any folder, and so does a copy of it.

QEMU looks for a module first in the folder that the script sets, and then in the
folder that it was built for.  The latter has the modules of the machine's QEMU,
and QEMU aborts when it finds those.  So in the tree's QEMU the second folder is
replaced by a name that does not exist.
"""

import os
import pathlib
import shutil
import subprocess

from .debian import private_apt, unpack
from .errors import LabError
from .tools import give

SUITE = "trixie-backports"
PACKAGE = "qemu-system-x86"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
BINARY = "usr/bin/qemu-system-x86_64"
# Everything else is dropped, including setuid programs (passwd and the like).
NEEDED = (LIBRARIES, BINARY, "usr/share/qemu", "usr/share/seabios")
MODULES = b"/" + LIBRARIES.encode() + b"/qemu\0"
WRAPPER = "qemu-system-x86_64"
SCRIPT = f"""\
#!/bin/sh
# Runs this folder's QEMU, which is not installed; see lab/newer_qemu.py.
root=${{0%/*}}
export QEMU_MODULE_DIR="$root/{LIBRARIES}/qemu"
exec "$root/{LIBRARIES}/ld-linux-x86-64.so.2" --inhibit-cache --argv0 "$0" \\
	--library-path "$root/{LIBRARIES}" "$root/{BINARY}" \\
	-L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
"""


def find(qemu, cache, progress):
    """Returns the path of a QEMU that supports vfio-user: `qemu` itself or the private one."""
    if knows_vfio_user(qemu):
        return qemu
    root = cache / "qemu"
    if not root.exists():
        with progress.step("fetching a QEMU that supports vfio-user") as word:
            build(cache, root, word)
    return str(root / WRAPPER)


def knows_vfio_user(qemu):
    try:
        done = subprocess.run([qemu, "-device", "help"], capture_output=True, text=True,
                              check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0 and '"vfio-user-pci"' in done.stdout


def build(cache, root, word):
    scratch = root.with_name(f".{root.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        archives = private_apt(SUITE, cache).download_all([PACKAGE], scratch, word)
        unpack(archives, scratch / "all")
        settle(scratch / "all", scratch / "root")
        if not knows_vfio_user(scratch / "root" / WRAPPER):
            raise LabError(f"{PACKAGE} from {SUITE} does not run here or does not support "
                           "vfio-user: set LAB_QEMU to a QEMU >= 10.1 that does")
        (scratch / "root").rename(root)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def settle(unpacked, root):
    """Creates the tree from the packages' files."""
    for name in NEEDED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / name).rename(root / name)
    binary = root / BINARY
    code = binary.read_bytes()
    if MODULES not in code:
        raise LabError(f"{PACKAGE} from {SUITE} was built for another folder of modules: "
                       "correct MODULES in lab/newer_qemu.py")
    binary.write_bytes(code.replace(MODULES, b"/nonexistent".ljust(len(MODULES), b"\0")))
    (root / WRAPPER).write_text(SCRIPT)
    (root / WRAPPER).chmod(0o755)
    for folder in (root, root / "usr", *(root / name for name in ("usr/bin", "usr/lib",
                                                                  "usr/share"))):
        folder.chmod(0o755)     # despite the umask: a session's libvirtd runs it, too


def is_private(qemu):
    """Returns whether this is the QEMU of such a tree."""
    return (pathlib.Path(qemu).parent / BINARY).exists()


def copy(wrapper, target):
    """Copies the tree for users who cannot read the build folder; returns its QEMU's path."""
    if not target.exists():
        shutil.copytree(pathlib.Path(wrapper).parent, target, symlinks=True, copy_function=give)
    return str(target / WRAPPER)
