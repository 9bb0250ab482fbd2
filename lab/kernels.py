# SPDX-License-Identifier: BSD-3-Clause
"""Unpacks Debian's cloud kernels in the build folder, without installing them.

The metapackage of a series names the exact package.  The lab looks for it in the
machine's own apt sources first, and otherwise in the series' suite, through
a private apt state (debian.py).

If the packaged image is compressed with zstd, guests boot the uncompressed kernel
inside it, which QEMU starts through its PVH entry point.  An emulated CPU would
need 1.5 s per boot to decompress it.  QEMU writes such a kernel into RAM again at
each reset, and waking up from suspend to RAM is one: that needs the packaged image.
"""

import os
import re
import shutil
import struct
import subprocess

from .debian import Apt, private_apt, unpack
from .errors import LabError
from .tools import call, tool

# Series: metapackage, suite.
SERIES = {
    "6.1": ("linux-image-cloud-amd64", "bookworm"),
    "6.12": ("linux-image-6.12-cloud-amd64", "bookworm"),
    "7.3": ("linux-image-cloud-amd64", "trixie-backports"),
}


ZSTD = b"\x28\xb5\x2f\xfd"


class Kernel:
    """An unpacked kernel.

    vmlinuz: the packaged image; image: the file that QEMU boots; modules: the modules' folder.
    """

    def __init__(self, series, root):
        self.series = series
        self.root = root
        self.modules = next((root / "lib/modules").iterdir())
        self.release = self.modules.name
        self.vmlinuz = self._file("vmlinuz")
        vmlinux = root / "vmlinux"
        self.image = vmlinux if vmlinux.exists() else self.vmlinuz

    def config(self):
        """Returns the kernel's build configuration as a dict."""
        return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", self._file("config").read_text(), re.M))

    def _file(self, name):
        """Returns a file's path: in /boot or, in newer packages, in the modules' folder."""
        beside = self.modules / name
        return beside if beside.exists() else self.root / "boot" / f"{name}-{self.release}"


def fetch(series, cache, progress):
    """Returns the kernel of this series, fetching it unless it is cached."""
    if series not in SERIES:
        raise LabError(f"unknown kernel {series}: use one of {', '.join(SERIES)}")
    root = cache / "kernels" / series
    if not root.exists():
        with progress.step(f"fetching kernel {series}") as word:
            build(series, cache, root, word)
    if not (root / "vmlinux").exists():
        decompress(Kernel(series, root).vmlinuz, root / "vmlinux")
    return Kernel(series, root)


def decompress(vmlinuz, vmlinux):
    """Extracts the ELF file from a bzImage, if it is compressed with zstd.

    Linux's Documentation/arch/x86/boot.rst describes where it is.
    """
    image = vmlinuz.read_bytes()
    setup_sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start:start + length]
    if not payload.startswith(ZSTD):
        return
    scratch = vmlinux.with_name(f".{vmlinux.name}.{os.getpid()}")
    with open(scratch, "wb") as file:
        # The last four bytes are the decompressed size.
        subprocess.run([tool("zstd"), "-dc"], input=payload[:-4], check=True, stdout=file)
    scratch.rename(vmlinux)


def build(series, cache, root, word):
    apt, packages = find(series, cache)
    scratch = root.with_name(f".{series}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "root").mkdir(parents=True)
    try:
        unpack(apt.download(packages, scratch, word), scratch / "root")
        if not (scratch / "root/lib").exists():
            (scratch / "root/lib").symlink_to("usr/lib")
        release = next((scratch / "root/lib/modules").iterdir()).name
        call([tool("depmod"), "-b", scratch / "root", release])
        (scratch / "root").rename(root)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def find(series, cache):
    """Returns an apt that knows the kernel, preferably the machine's own, and the packages."""
    metapackage, suite = SERIES[series]
    machine = Apt()
    for apt in (lambda: machine, lambda: private_apt(suite, cache)):
        packages = parts(apt(), metapackage, series)
        if packages:
            return apt(), packages
    raise LabError(f"{metapackage} of Linux {series} is neither in this machine's apt sources "
                   f"nor in Debian's {suite} at {machine.debian_uri()}")


def parts(apt, metapackage, series):
    """Returns the packages of the series' newest kernel, as `package=version`."""
    pattern = rf"linux-image-({re.escape(series)}\.\S+) \(= ([^)]+)\)"
    image = re.search(pattern, apt.depends(metapackage))
    if not image:
        return []
    release, version = image.groups()
    package = f"linux-image-{release}={version}"
    more = re.findall(rf"(linux-\w+-{re.escape(release)}) \(= {re.escape(version)}\)",
                      apt.depends(package))
    return [package, *(f"{name}={version}" for name in more)]
