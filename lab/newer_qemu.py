# SPDX-License-Identifier: BSD-3-Clause
"""A QEMU for balloon devices that are processes of their own (vfio-user, QEMU >= 10.1).

Theory of operation
-------------------
The lab's own QEMU is used if it knows vfio-user; Debian 12's is too old.  Else
that of Debian 13's backports is unpacked with all the libraries it needs, under
the build folder, and runs there, with no chroot, no rights and nothing
installed: `qemu-system-x86_64` in the tree is a script that starts the tree's
own dynamic loader on the tree's QEMU, with its libraries, modules and firmware.
It works from any folder, and so does a copy of the tree.

QEMU looks for a module first where the script says and then in the folder it
was built for, where the machine's QEMU has its own; it aborts when it meets
those.  So in the tree's QEMU that second folder is a name that does not exist.
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
# All else is left behind, with what may run with its owner's rights (passwd and the like).
NEEDED = (LIBRARIES, BINARY, "usr/share/qemu", "usr/share/seabios")
MODULES = b"/" + LIBRARIES.encode() + b"/qemu\0"
WRAPPER = "qemu-system-x86_64"
SCRIPT = f"""\
#!/bin/sh
# Runs this folder's QEMU, which is not installed; lab/newer_qemu.py says how.
root=${{0%/*}}
export QEMU_MODULE_DIR="$root/{LIBRARIES}/qemu"
exec "$root/{LIBRARIES}/ld-linux-x86-64.so.2" --inhibit-cache --argv0 "$0" \\
	--library-path "$root/{LIBRARIES}" "$root/{BINARY}" \\
	-L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
"""


def find(qemu, cache, progress):
    """The path of a QEMU that knows vfio-user: `qemu` itself, or else the private one."""
    if knows_vfio_user(qemu):
        return qemu
    root = cache / "qemu"
    if not root.exists():
        with progress.step("fetching a QEMU that knows vfio-user") as word:
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
            raise LabError(f"{PACKAGE} of {SUITE} does not run here, or knows no vfio-user: "
                           "set LAB_QEMU to a QEMU >= 10.1 that does")
        (scratch / "root").rename(root)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def settle(unpacked, root):
    """Makes the tree out of the packages' files."""
    for name in NEEDED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / name).rename(root / name)
    binary = root / BINARY
    code = binary.read_bytes()
    if MODULES not in code:
        raise LabError(f"{PACKAGE} of {SUITE} looks for modules elsewhere than it used to: "
                       "look at MODULES in lab/newer_qemu.py")
    binary.write_bytes(code.replace(MODULES, b"/nonexistent".ljust(len(MODULES), b"\0")))
    (root / WRAPPER).write_text(SCRIPT)
    (root / WRAPPER).chmod(0o755)
    for folder in (root, root / "usr", *(root / name for name in ("usr/bin", "usr/lib",
                                                                  "usr/share"))):
        folder.chmod(0o755)     # whatever the umask is: a session's libvirt runs it, too


def is_private(qemu):
    """Is this the QEMU of such a tree?"""
    return (pathlib.Path(qemu).parent / BINARY).exists()


def copy(wrapper, target):
    """The tree once more, for those who cannot see the build folder; the path of its QEMU."""
    if not target.exists():
        shutil.copytree(pathlib.Path(wrapper).parent, target, symlinks=True, copy_function=give)
    return str(target / WRAPPER)
