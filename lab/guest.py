# SPDX-License-Identifier: BSD-3-Clause
"""One virtual machine, up and answering inside its `with` statement.

Theory of operation
-------------------
A guest lives in a nest (nest.py).  Its kernel and initramfs are linked there,
for a libvirt daemon may run as a user who cannot see the build folder.  QEMU is
started by us (qemu_guest.py) or by a libvirt daemon (libvirt_guest.py), and
connects the guest's serial ports to our channel and heartbeat (channel.py).
When init says hello the disks are there; the balloon driver is loaded next, if
the guest is to have one, and a guest with `current` is ready when it has that
size.

There are two drivers, and both are the module virtio_balloon: our own,
"aerostat", and the kernel's, "stock".  The variable DRIVER says which one a
guest has of which nothing else is said.
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
# The drivers, and what init calls each.
DRIVERS = {"aerostat": "aerostat", "stock": "virtio_balloon"}
# What a kernel says in trouble.
TROUBLE = re.compile(r"Bad page|BUG:|WARNING:|cut here|Oops|general protection|kernel panic|UBSAN"
                     r"|blocked for more than|list_(?:add|del) corruption|refcount_t"
                     r"|stack-protector|memory leak|kmemleak", re.I)
TROUBLE_LINES = 60      # as much of it as an error shows
LOG_BYTES = 120 << 10   # as much of a kernel's log as init hands out at once
KERNEL_ARGS = "console=ttyS0 panic=-1 quiet no_timer_check mitigations=off nowatchdog"
# What an emulated CPU need not do at boot: test ciphers, and measure its own speed.
EMULATED_ARGS = "cryptomgr.notests tsc=reliable lpj=10000000"


@dataclasses.dataclass
class Spec:
    """What a guest is to be.  Sizes are MiB."""

    name: str
    kernel: str = "6.12"
    memory: int = 1024          # RAM at boot
    current: int | None = None  # the balloon's first target; None: no balloon to begin with
    # The driver to load: "aerostat", "stock", or None (False); True: the one that DRIVER names.
    driver: str | bool | None = True
    driver_params: str = ""     # its parameters at boot, such as "a=1 b=2"
    backing: str = "memfd"      # or "anon", "hugetlb", "shmem-thp" (see backing.py)
    hot_memory: int = 0         # how much plug_memory() may add, in multiples of 128
    # The device's properties in QEMU's words, which are our own device's features, and
    # "stats-period"; None: no device.
    balloon: dict | None = dataclasses.field(default_factory=dict)
    device: str = "qemu"        # who serves the balloon: QEMU, or "aerostat", our own process
    device_args: tuple = ()     # more words for the command line of our own
    device_program: str | None = None   # another than aerostat-device, such as one of tests/fakes
    transport: str = "vfio-user"    # between QEMU and our own; or "vhost-user"
    qemu: str = "host"          # or "newer", which "aerostat" implies (see newer_qemu.py)
    swap_disk: int | None = None    # a disk for `swap("on disk")`
    cpus: int = 1
    kernel_args: str = ""       # more words for the guest's kernel
    persistent: bool = True     # over libvirt: define the domain, or only create it
    accel: str | None = None    # None: what the probe found
    ready_within: float = HANG_S    # seconds

    def __post_init__(self):
        self.driver = choose_driver(self.driver)
        device.check(self)
        backing.check(self)


def choose_driver(which=True):
    """The word for a driver, or None for none: see Spec.driver."""
    if which is True:
        which = os.environ.get("DRIVER") or "aerostat"
    if which and which not in DRIVERS:
        raise LabError(f"no balloon driver {which} in the lab, only {', '.join(DRIVERS)}")
    return which or None


@dataclasses.dataclass
class Pass:
    """One pass over held memory: is its holder alive, how long it took, what it found.

    A bad page of a new hold of kind anon was not zero to begin with.
    """

    alive: bool
    mib: int
    ms: int | None = None
    bad_pages: int | None = None
    signal: int | None = None   # what killed the holder


@dataclasses.dataclass
class Run:
    status: int     # 124: it was stopped, being late
    output: str


class Guest:
    """What all guests have in common, whoever started them."""

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
            error.add_note(str(another))    # what happened first is what counts

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
        self.kernel_image = give(self.kernel.image, path / "kernel")
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
        """Gives a file to whoever runs QEMU."""

    def _boot(self, deadline):
        hello = self.channel.hello(deadline - time.monotonic())
        self.boot_id = dict(word.split("=") for word in hello.split())["boot_id"]
        if self.spec.driver and self.spec.balloon is not None:
            self.load_driver(params=self.spec.driver_params)
            if self.spec.current:
                wait_for(lambda: 0 < self._size() <= self.spec.current * MIB,
                         f"{self.name} to start at its size",
                         timeout=deadline - time.monotonic())
        self.heartbeat.mark()

    def _tell(self, error):
        """Adds to an error what the guest and QEMU had to say."""
        if isinstance(error, Exception):
            for what, path in self._logs().items():
                lines = path.read_text(errors="replace").splitlines() if path.exists() else []
                if lines:
                    error.add_note("\n".join([f"{self.name}'s {what}, its end:", *lines[-20:]]))

    def _logs(self):
        return {"console": self.console, "QEMU": self.nest.path / "qemu.log"}

    @property
    def kernel_args(self):
        # Linux 6.1 of Debian leaves new memory to udev, which the guest lacks.
        hot = "memhp_default_state=online" if self.spec.hot_memory else ""
        emulated = "" if self.accel == "kvm" else EMULATED_ARGS
        return " ".join(filter(None, (KERNEL_ARGS, emulated, hot, self.spec.kernel_args)))

    def alive(self):
        """Is its QEMU there?  A stopped one is."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
                return file.read().rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def stop(self):
        """Stops the QEMU process, so that it no longer answers anybody."""
        os.kill(self.pid, signal.SIGSTOP)

    def cont(self):
        os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self._reap()

    def poweroff(self):
        """Lets the guest shut itself down."""
        self.channel.ask("poweroff")
        wait_for(lambda: not self._running(), f"{self.name} to power off")

    def kexec(self):
        """Has the guest's kernel boot itself anew, past the machine, and waits until it is up.

        Takes the scratch disk, so nothing may be held as cache.
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
        self.channel.order("kexec", "/tmp/kernel /tmp/initrd")
        self.boots_again()

    def boots_again(self):
        """Waits until the guest is up after a reboot, its driver loaded as at its start."""
        self._boot(time.monotonic() + HANG_S)

    def _running(self):
        return self.alive()

    def _reap(self):
        wait_for(lambda: not self.alive(), f"{self.name}'s QEMU to end")

    # What the guest is asked

    def run(self, command, timeout=HANG_S):
        """Runs a shell command in the guest, which ends it after so many seconds."""
        limit = int(timeout * 1000)
        return Run(*self.channel.ask("run", f"{limit} {command}", timeout + HANG_S))

    def hold(self, name, mib, kind="anon"):
        """Holds memory in the guest: "anon", "tmpfs" or "cache" (see guest/hold.c)."""
        self._held.add(name)
        return self._pass("hold", f"{name} {mib} {kind}")

    def touch(self, name, full=False):
        """One pass over what is held, which checks a few words of each page, or all."""
        return self._pass("touch", f"{name} {'full' if full else 'quick'}")

    def release(self, name):
        self.channel.order("release", name)
        self._held.discard(name)

    def release_all(self):
        """Whatever is still held, as after a test that failed."""
        for name in self._held:
            with contextlib.suppress(GuestError):   # a reboot has released it
                self.channel.order("release", name)
        self._held.clear()

    def _pass(self, verb, args):
        words = dict(word.split("=") for word in self.channel.order(verb, args).split())
        alive = words.pop("alive") == "1"
        return Pass(alive, **{key: int(value) for key, value in words.items()})

    def meminfo(self):
        """/proc/meminfo in bytes."""
        return {key: int(value) * 1024 for key, value in
                re.findall(r"^(\S+):\s+(\d+) kB$", self.channel.order("meminfo"), re.M)}

    def vmstat(self):
        return {key: int(value) for key, value in
                re.findall(r"^(\S+) (\d+)$", self.channel.order("vmstat"), re.M)}

    def psi(self):
        """Memory pressure, as {"some": {"avg10": …, "total": …}, "full": …}."""
        return {line.split()[0]: {key: float(value) for key, value in
                                  (word.split("=") for word in line.split()[1:])}
                for line in self.channel.order("psi").splitlines()}

    def swap(self, what):
        """"on disk", "off disk", "on zram MIB", "off zram"."""
        self.channel.order("swap", what)

    def load_driver(self, which=None, params=""):
        """Loads "aerostat" or "stock", with parameters, where none may be loaded yet.

        With no word said, the guest's own is loaded unless one is there.
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
        """Unloads whichever is loaded; out of a full balloon that takes its time."""
        self.channel.order("unload", "virtio_balloon")

    def kernel_log(self):
        """What the kernel has said, the end of it if it is long."""
        return self.run(f"dmesg | tail -c {LOG_BYTES}").output

    def kernel_trouble(self):
        """What the kernel has said from the first line on that tells of trouble, or []."""
        lines = []
        with contextlib.suppress(GuestGone, GuestTimeout):
            lines = self.kernel_log().splitlines()
        if not any(map(TROUBLE.search, lines)):     # a dead guest's console has its last words
            lines = self.console.read_text(errors="replace").splitlines()
        return list(itertools.dropwhile(lambda line: not TROUBLE.search(line), lines))

    def check_kernel_log(self):
        """It is an error if the kernel has told of trouble."""
        trouble = self.kernel_trouble()
        if trouble:
            raise LabError("\n".join([f"{self.name}'s kernel complains:",
                                      *trouble[:TROUBLE_LINES]]))

    def ping(self, timeout=HANG_S):
        """The boot id and the uptime in ms; a different id is a reboot."""
        words = dict(word.split("=") for word in self.channel.order("ping", "", timeout).split())
        return words["boot_id"], int(words["uptime_ms"])

    # What the host sees

    def qmp(self, command, **args):
        raise NotImplementedError

    def actual(self):
        """The guest's size in bytes, as whoever serves the balloon has it."""
        return self.qmp("query-balloon")["actual"]

    def _size(self):
        """The same, 0 while it is not known, as when the driver has only just begun."""
        try:
            return self.actual()
        except GuestError:
            return 0

    def host_bytes(self):
        """What the guest's process costs the host: anonymous memory, and blocks of RAM files."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            total = int(re.search(r"^Anonymous:\s+(\d+) kB$", file.read(), re.M)[1]) * 1024
        files = {}
        for entry in os.scandir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):    # QEMU has closed it meanwhile
                if backing.holds_ram(os.readlink(entry.path), self.nest):
                    status = os.stat(entry.path)
                    files[status.st_dev, status.st_ino] = status.st_blocks * 512
        return total + sum(files.values())
