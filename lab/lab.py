# SPDX-License-Identifier: BSD-3-Clause
"""The lab: everything that guests need, prepared once and cached in the build folder.

    BUILD/lab/kernels/SERIES/     a Debian kernel, unpacked
    BUILD/lab/kbuild/SUITE/       tools that build modules for the kernels (see kbuild.py)
    BUILD/lab/modules/            our driver, for each kernel and state of its sources
    BUILD/lab/initramfs/          init, and an archive for each kernel and driver
    BUILD/lab/qemu/               a newer QEMU, if the machine's does not support vfio-user
    BUILD/lab/apt/SUITE/          a private apt state, if the machine's apt lacks the suite
    BUILD/lab/accel               what the probe found: kvm or tcg
    BUILD/lab/lock                held while any of this is created
"""

import contextlib
import fcntl
import os
import pathlib

from . import accel, initramfs, kbuild, kernels, newer_qemu
from .errors import LabError, Unavailable
from .guest import Spec
from .libvirt_guest import LibvirtGuest
from .progress import Progress
from .qemu_guest import QemuGuest

DEFAULT_KERNEL = "6.12"
DRIVER_SOURCE = pathlib.Path(__file__).resolve().parent.parent / "guest"


class Lab:
    """Guests from one build folder, which any number of runs can share at the same time."""

    def __init__(self, build_dir, progress=None):
        build = pathlib.Path(build_dir).resolve()
        self.cache = build / "lab"
        self.progress = progress or Progress()
        self.qemu = os.environ.get("LAB_QEMU", "qemu-system-x86_64")
        self.device = os.environ.get("LAB_DEVICE", build / "aerostat-device/aerostat-device")
        self.driver_source = os.environ.get("LAB_DRIVER", DRIVER_SOURCE)
        self._newer_qemu = None
        self._accel = None
        self._parts = {}
        self._no_driver = {}

    @contextlib.contextmanager
    def _locked(self):
        self.cache.mkdir(parents=True, exist_ok=True)
        with open(self.cache / "lock", "w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def kernel(self, series=DEFAULT_KERNEL):
        """Returns the kernel and its initramfs, preparing them if necessary."""
        if series not in self._parts:
            with self._locked():
                kernel = kernels.fetch(series, self.cache, self.progress)
                driver = self._build_driver(kernel)
                self._parts[series] = (kernel, initramfs.build(kernel, driver, self.cache,
                                                               self.progress))
        return self._parts[series]

    def _build_driver(self, kernel):
        """Returns the path of our driver, or None if it cannot be built.

        The error is kept for need_driver(), because guests with another driver still work.
        """
        try:
            return kbuild.build(kernel, self.driver_source, self.cache, self.progress).path
        except LabError as error:
            self._no_driver[kernel.series] = error
            return None

    def need_driver(self, series):
        """Builds our driver for this kernel, or raises the error that prevents it."""
        self.kernel(series)
        if series in self._no_driver:
            raise self._no_driver[series]

    def module(self, series, words=(), packages=()):
        """Builds our driver for a kernel with extra arguments for make (see kbuild.py)."""
        with self._locked():
            kernel = kernels.fetch(series, self.cache, self.progress)
            return kbuild.build(kernel, self.driver_source, self.cache, self.progress, words,
                                packages)

    @property
    def accel(self):
        """"kvm" if KVM really works, else "tcg"."""
        if not self._accel:
            self.kernel()
            with self._locked():
                self._accel = accel.find(self)
        return self._accel

    @property
    def newer_qemu(self):
        """A QEMU that supports devices in separate processes, fetched if necessary."""
        if not self._newer_qemu:
            with self._locked():
                self._newer_qemu = newer_qemu.find(self.qemu, self.cache, self.progress)
        return self._newer_qemu

    def prepare(self, series=tuple(kernels.SERIES)):
        """Prepares everything that guests with these kernels need; returns `accel`."""
        try:
            for each in series:
                self.need_driver(each)
        except Unavailable as error:
            self.progress.say("  guests can only use Linux's own balloon driver (DRIVER=stock): "
                              f"{error}\n")
        return self.accel

    def guest(self, name, *, via="qmp", libvirt=None, **spec):
        """Returns a guest for a `with` statement; Spec in guest.py lists the arguments.

        via: "qmp", or "libvirt", which uses the daemon `libvirt` or else starts one.
        """
        if via == "libvirt":
            return LibvirtGuest(self, Spec(name, **spec), libvirt)
        return QemuGuest(self, Spec(name, **spec))
