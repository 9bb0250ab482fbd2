# SPDX-License-Identifier: BSD-3-Clause
"""One virtual machine, which runs and answers inside its `with` statement.

Theory of operation
-------------------
A guest lives in a nest (nest.py).  Its kernel and initramfs are linked into the
nest, because a libvirt daemon may run as a user who cannot read the build
folder.  Either the lab starts QEMU (qemu_guest.py) or a libvirt daemon does
(libvirt_guest.py).  QEMU connects the guest's serial ports to the lab's channel
and heartbeat (channel.py).  When init sends its hello, the disks exist.  The
balloon driver is loaded next, if the guest is to have one.  A guest with
`current` is ready when it has that size.

There are two drivers, our own ("aerostat") and the kernel's ("stock"), and both
are the module virtio_balloon.  The environment variable DRIVER selects the
driver of guests for which nothing else is given.
"""

import contextlib
import dataclasses
import errno
import itertools
import os
import re
import signal
import time

from . import backing, device
from .channel import Channel, Heartbeat
from .errors import GuestError, GuestGone, GuestTimeout, LabError
from .nest import Nest
from .tools import give
from .wait import HANG_S, wait_for

MIB = 1024 * 1024
# The drivers, and init's name for each.
DRIVERS = {"aerostat": "aerostat", "stock": "virtio_balloon"}
# What a kernel logs when it is in trouble.
TROUBLE = re.compile(r"Bad page|BUG:|WARNING:|cut here|Oops|general protection|kernel panic|UBSAN"
                     r"|blocked for more than|list_(?:add|del) corruption|refcount_t"
                     r"|stack-protector|memory leak|kmemleak", re.I)
TROUBLE_LINES = 60      # shown in an error
LOG_BYTES = 120 << 10   # of a kernel's log, which fits into one answer of init
KERNEL_ARGS = "console=ttyS0 panic=-1 quiet no_timer_check mitigations=off nowatchdog"
# Linux keeps up to an eighth of the memory in the per-CPU lists of free pages, for seconds or for
# ever, and counts it neither as free nor as available.  So no figure of a guest could be relied on.
FEW_HIDDEN_PAGES = "sysctl.vm.percpu_pagelist_high_fraction=1000"
# A task that waits is in trouble when the lab would soon give up, not on a slow machine.
HUNG_TASK = f"sysctl.kernel.hung_task_timeout_secs={HANG_S // 2}"
BOOTS = 3               # at most, of a guest whose kernel panics before it has a process
NO_PROCESS_YET = "Attempted to kill the idle task"
# Save work of an emulated CPU at boot: no self-tests of ciphers, no measuring of its speed.
EMULATED_ARGS = "cryptomgr.notests tsc=reliable lpj=10000000"


@dataclasses.dataclass
class Spec:
    """The specification of a guest.  Sizes are in MiB."""

    name: str
    kernel: str = "6.12"
    # Boot the packaged kernel, not the uncompressed one (kernels.py): for suspend to RAM.
    packaged_kernel: bool = False
    memory: int = 1024          # RAM at boot
    current: int | None = None  # the balloon's first target; None: start with an empty balloon
    # The driver to load: "aerostat", "stock", None (False) for none; True: the one in DRIVER.
    driver: str | bool | None = True
    driver_params: str = ""     # its parameters at boot, such as "a=1 b=2"
    backing: str = "memfd"      # or "anon", "hugetlb", "shmem-thp" (see backing.py)
    hot_memory: int = 0         # how much plug_memory() may add, in multiples of 128
    # The device's properties by QEMU's names (our own device's features have the same names),
    # and "stats-period"; None: no device.
    balloon: dict | None = dataclasses.field(default_factory=dict)
    device: str = "qemu"        # what serves the balloon: QEMU, or "aerostat", our own process
    device_args: tuple = ()     # extra arguments for our own device
    device_program: str | None = None   # instead of aerostat-device, such as one of tests/fakes
    transport: str = "vfio-user"    # between QEMU and our own device; or "vhost-user"
    qemu: str = "host"          # or "newer", which device="aerostat" implies (see newer_qemu.py)
    swap_disk: int | None = None    # the size of a disk for `swap("on disk")`
    cpus: int = 1
    kernel_args: str = ""       # extra arguments for the guest's kernel
    persistent: bool = True     # over libvirt: define the domain; False: only create it
    accel: str | None = None    # None: the one that the probe found
    ready_within: float = HANG_S    # seconds

    def __post_init__(self):
        self.driver = choose_driver(self.driver)
        device.check(self)
        backing.check(self)


def choose_driver(which=True):
    """Returns "aerostat", "stock" or None; `which` is as in Spec.driver."""
    if which is True:
        which = os.environ.get("DRIVER") or "aerostat"
    if which and which not in DRIVERS:
        raise LabError(f"there is no balloon driver {which} in the lab: use one of "
                       f"{', '.join(DRIVERS)}")
    return which or None


@dataclasses.dataclass
class Pass:
    """One pass over held memory: whether its holder is alive, its duration, and bad pages.

    In a new hold of kind anon, a bad page is one that was not zero at first.
    """

    alive: bool
    mib: int
    ms: int | None = None
    bad_pages: int | None = None
    signal: int | None = None   # what killed the holder


@dataclasses.dataclass
class Run:
    status: int     # 124: it exceeded its time and was stopped
    output: str


class Guest:
    """The common part of all guests, with and without libvirt."""

    def __init__(self, lab, spec):
        self.lab = lab
        self.spec = spec
        self.name = spec.name
        self.accel = spec.accel or lab.accel
        self.kernel, self.initramfs = lab.kernel(spec.kernel)
        if spec.driver == "aerostat":
            lab.need_driver(spec.kernel)
        newer = spec.qemu == "newer" or spec.device == "aerostat"
        self.qemu = lab.newer_qemu if newer else lab.qemu
        self.nest = None
        self.channel = None
        self.heartbeat = None
        self.pid = None
        self.boot_s = None
        self.boot_id = None
        self._held = set()

    # Life

    def __enter__(self):
        return self._retry_boot(self._build_and_boot)

    def _retry_boot(self, boot):
        """Calls `boot`, again if the kernel panicked before it had a process.

        An emulated boot was seen to end in text_poke_early(), where the kernel patches itself.
        """
        for left in reversed(range(BOOTS)):
            try:
                return boot()
            except GuestGone as error:
                notes = getattr(error, "__notes__", ())
                if not left or not any(NO_PROCESS_YET in note for note in notes):
                    raise

    def _build_and_boot(self):
        start = time.monotonic()
        self.nest = self._make_nest()
        try:
            self._build()
            self._start()
            self._boot(start + self.spec.ready_within)
        except BaseException as error:
            self._tell(error)
            self.__exit__(type(error), error)
            raise
        self.boot_s = time.monotonic() - start
        return self

    def __exit__(self, _kind=None, error=None, _trace=None):
        try:
            self._close()
        except LabError as another:
            if error is None:
                raise
            error.add_note(str(another))    # the first error is the one to report

    def _close(self):
        with contextlib.ExitStack() as last_first:
            last_first.callback(self.nest.close)
            for line in filter(None, (self.channel, self.heartbeat)):
                last_first.callback(line.close)
            last_first.callback(self._end)

    def _make_nest(self):
        return Nest()

    def _build(self):
        path = self.nest.path
        self.console = path / "console.log"
        image = self.kernel.vmlinuz if self.spec.packaged_kernel else self.kernel.image
        self.kernel_image = give(image, path / "kernel")
        self.initrd = give(self.initramfs, path / "initrd")
        self.disks = {"scratch": 2 * self.spec.memory}
        if self.spec.swap_disk:
            self.disks["swap"] = self.spec.swap_disk
        for serial, size in self.disks.items():
            with open(path / serial, "wb") as file:
                file.truncate(size * MIB)
            self._own(path / serial)
        backing.provide(self.spec, self.nest)
        self.channel = Channel(path / "channel")
        self.heartbeat = Heartbeat(path / "heartbeat")
        self._own(path / "channel")
        self._own(path / "heartbeat")

    def _own(self, path):
        """Makes a file accessible to the user that runs QEMU."""

    def _boot(self, deadline, boots=0):
        self.wait_for_boot(deadline, boots)
        if self.spec.driver and self.spec.balloon is not None:
            self.load_driver(params=self.spec.driver_params)
            if self.spec.current:
                wait_for(lambda: 0 < self._size() <= self.spec.current * MIB,
                         f"{self.name} to reach its first size",
                         timeout=deadline - time.monotonic())
        self.heartbeat.mark()

    def wait_for_boot(self, deadline, boots):
        """Waits until the guest is up in another boot than those that its heartbeat has counted."""
        hello = self.channel.hello(deadline - time.monotonic())
        self.boot_id = dict(word.split("=") for word in hello.split())["boot_id"]
        self.heartbeat.wait_for_boot(boots, deadline - time.monotonic())
        self.heartbeat.mark()

    def _tell(self, error):
        """Adds the ends of the guest's console and of QEMU's log to an error."""
        if isinstance(error, Exception):
            for what, path in self._logs().items():
                lines = path.read_text(errors="replace").splitlines() if path.exists() else []
                if lines:
                    error.add_note("\n".join([f"the end of {self.name}'s {what} log:",
                                              *lines[-20:]]))

    def _logs(self):
        return {"console": self.console, "QEMU": self.nest.path / "qemu.log"}

    @property
    def kernel_args(self):
        # Debian's Linux 6.1 leaves new memory offline for udev, which the guest does not have.
        hot = "memhp_default_state=online" if self.spec.hot_memory else ""
        emulated = "" if self.accel == "kvm" else EMULATED_ARGS
        return " ".join(filter(None, (KERNEL_ARGS, FEW_HIDDEN_PAGES, HUNG_TASK, emulated, hot,
                                      self.spec.kernel_args)))

    def alive(self):
        """Returns whether its QEMU exists, even if it is stopped."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
                return file.read().rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def stop(self):
        """Stops the QEMU process, so that it no longer answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def cont(self):
        os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self._reap()

    def poweroff(self):
        """Makes the guest shut itself down."""
        self.channel.ask("poweroff")
        wait_for(lambda: not self._running(), f"{self.name} to power off")

    def kexec(self):
        """Makes the guest's kernel start itself again by kexec, and waits until it is up.

        This overwrites the scratch disk, so no memory may be held as "cache".
        """
        disk = "/dev/$(basename $(dirname $(grep -l scratch /sys/block/vd*/serial)))"
        copy, at = "echo 1 > /proc/sys/vm/drop_caches", 0
        with open(self.nest.path / "scratch", "r+b") as file:
            for name, source in (("kernel", self.kernel.vmlinuz), ("initrd", self.initrd)):
                file.seek(at * MIB)
                size = file.write(source.read_bytes())
                copy += f"; dd if={disk} bs=1M skip={at} | head -c {size} > /tmp/{name}"
                at += -(-size // MIB)
        self.run(copy)
        with self.booting_again():
            self.channel.order("kexec", "/tmp/kernel /tmp/initrd")

    @contextlib.contextmanager
    def booting_again(self):
        """The block makes the guest reboot.  Waits until it is up, and loads its driver."""
        boots = self.heartbeat.boots
        yield
        self._boot(time.monotonic() + HANG_S, boots)

    def _running(self):
        return self.alive()

    def _reap(self):
        wait_for(lambda: not self.alive(), f"{self.name}'s QEMU to end")

    # Requests to the guest

    def run(self, command, timeout=HANG_S):
        """Runs a shell command in the guest, which stops it after `timeout` seconds."""
        limit = int(timeout * 1000)
        return Run(*self.channel.ask("run", f"{limit} {command}", timeout + HANG_S))

    def hold(self, name, mib, kind="anon"):
        """Holds memory in the guest, of kind "anon", "tmpfs" or "cache" (see guest/hold.c)."""
        self._held.add(name)
        return self._pass("hold", f"{name} {mib} {kind}")

    def touch(self, name, full=False):
        """Makes a pass over held memory, and checks a few words of each page, or all of them."""
        return self._pass("touch", f"{name} {'full' if full else 'quick'}")

    def release(self, name):
        self.channel.order("release", name)
        self._held.discard(name)

    def release_all(self):
        """Releases whatever is still held, for example after a failed test."""
        for name in self._held:
            with contextlib.suppress(GuestError):   # a reboot has released it
                self.channel.order("release", name)
        self._held.clear()

    def _pass(self, verb, args):
        words = dict(word.split("=") for word in self.channel.order(verb, args).split())
        alive = words.pop("alive") == "1"
        return Pass(alive, **{key: int(value) for key, value in words.items()})

    def meminfo(self):
        """Returns /proc/meminfo, with sizes in bytes."""
        return {key: int(value) * 1024 for key, value in
                re.findall(r"^(\S+):\s+(\d+) kB$", self.channel.order("meminfo"), re.M)}

    def vmstat(self):
        return {key: int(value) for key, value in
                re.findall(r"^(\S+) (\d+)$", self.channel.order("vmstat"), re.M)}

    def psi(self):
        """Returns memory pressure as {"some": {"avg10": …, "total": …}, "full": …}."""
        return {line.split()[0]: {key: float(value) for key, value in
                                  (word.split("=") for word in line.split()[1:])}
                for line in self.channel.order("psi").splitlines()}

    def swap(self, what):
        """Changes swap; `what` is "on disk", "off disk", "on zram MIB" or "off zram"."""
        self.channel.order("swap", what)

    def load_driver(self, which=None, params=""):
        """Loads "aerostat" or "stock", with parameters; no driver may be loaded yet.

        Without arguments, loads the driver of the guest's Spec unless one is already loaded.
        """
        driver = choose_driver(which or self.spec.driver or True)
        if driver == "aerostat":
            self.lab.need_driver(self.spec.kernel)
        try:
            self.channel.order("load", f"{DRIVERS[driver]} {params}".rstrip())
        except GuestError as error:
            if which or params or error.status != errno.EEXIST:
                raise

    def unload_driver(self):
        """Unloads the driver that is loaded, which takes a while if its balloon is full."""
        self.channel.order("unload", "virtio_balloon")

    def kernel_log(self):
        """Returns the kernel's log, or the end of it if it is long."""
        return self.run(f"dmesg | tail -c {LOG_BYTES}").output

    def kernel_trouble(self):
        """Returns the kernel's log from the first line that reports trouble on, or []."""
        lines = []
        with contextlib.suppress(GuestGone, GuestTimeout):
            lines = self.kernel_log().splitlines()
        if not any(map(TROUBLE.search, lines)):     # a dead guest can only have used its console
            lines = self.console.read_text(errors="replace").splitlines()
        return list(itertools.dropwhile(lambda line: not TROUBLE.search(line), lines))

    def check_kernel_log(self):
        """Raises an error if the kernel has logged trouble."""
        trouble = self.kernel_trouble()
        if trouble:
            raise LabError("\n".join([f"{self.name}'s kernel complains:",
                                      *trouble[:TROUBLE_LINES]]))

    def ping(self, timeout=HANG_S):
        """Returns the boot id and the uptime in ms; a different id means a reboot."""
        words = dict(word.split("=") for word in self.channel.order("ping", "", timeout).split())
        return words["boot_id"], int(words["uptime_ms"])

    # The host's view

    def qmp(self, command, **args):
        raise NotImplementedError

    def actual(self):
        """Returns the guest's size in bytes, according to whatever serves the balloon."""
        return self.qmp("query-balloon")["actual"]

    def _size(self):
        """Returns the size, or 0 while it is unknown because the driver has just started."""
        try:
            return self.actual()
        except GuestError:
            return 0

    def host_bytes(self):
        """Returns the host memory of the guest's process: anonymous, and blocks of RAM files."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            total = int(re.search(r"^Anonymous:\s+(\d+) kB$", file.read(), re.M)[1]) * 1024
        return total + self.ram_bytes()

    def ram_bytes(self):
        """Returns the host memory of the guest's RAM, unless its backing is "anon"."""
        files = {}
        for entry in os.scandir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):    # QEMU has closed it in the meantime
                if backing.holds_ram(os.readlink(entry.path), self.nest):
                    status = os.stat(entry.path)
                    files[status.st_dev, status.st_ino] = status.st_blocks * 512
        return sum(files.values())
