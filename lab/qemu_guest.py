# SPDX-License-Identifier: BSD-3-Clause
"""A guest in a QEMU that the lab starts, controlled through its monitor socket.

Its balloon is QEMU's own device or, with device="aerostat", our own process
(device.py), which is started before QEMU.  In that case `address`, `actual()`
and `device_qmp()` refer to our device, and `qmp()` still refers to QEMU, which
itself has no balloon then.
"""

import json
import subprocess

from . import backing, qmp
from .device import ID, Device
from .domain import SERIAL_PORTS
from .errors import LabError
from .guest import MIB, Guest
from .wait import HANG_S, wait_for

BALLOON_PATH = f"/machine/peripheral/{ID}"
DIMMS = 8
DIMM_MIB = 128      # a Linux guest adds memory in blocks of this size


class QemuGuest(Guest):
    uri = None

    def __init__(self, lab, spec):
        super().__init__(lab, spec)
        self.device = None
        self._process = None
        self._devices = 0
        self._dimms = 0

    def _start(self):
        self.qmp_path = self.nest.path / "qmp"
        if self.spec.device == "aerostat" and self.spec.balloon is not None:
            self._start_device()
        with open(self.nest.path / "qemu.log", "wb") as log:
            self._process = subprocess.Popen(
                backing.wrapped(self.spec, self.nest, self.command()), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        self.pid = self._process.pid
        wait_for(lambda: qmp.answers(self.qmp_path) or self._process.poll() is not None,
                 f"{self.name}'s QEMU to start")
        if self._process.poll() is not None:
            raise LabError(f"{self.name}'s QEMU exited with {self._process.returncode}")
        if self.device:
            self._begin_stats()
        elif self.spec.balloon is not None:
            if self.spec.current:
                self.qmp("balloon", value=self.spec.current * MIB)
            self._begin_stats()

    def _begin_stats(self):
        period = self.spec.balloon.get("stats-period")
        if period:
            self.device_qmp("qom-set", path=BALLOON_PATH,
                            property="guest-stats-polling-interval", value=period)

    @property
    def address(self):
        """The guest's address on aerostat's command line."""
        return f"qmp:{self.device.control if self.device else self.qmp_path}"

    def command(self):
        spec, path = self.spec, self.nest.path
        argv = [self.qemu, "-name", spec.name, "-nodefaults", "-no-user-config",
                "-display", "none", "-no-reboot",
                *(["-accel", "kvm", "-cpu", "host"] if self.accel == "kvm" else
                  ["-accel", "tcg,tb-size=128", "-cpu", "max"]),
                "-smp", str(spec.cpus),
                "-kernel", str(self.kernel_image), "-initrd", str(self.initrd),
                "-append", self.kernel_args,
                "-qmp", f"unix:{self.qmp_path},server=on,wait=off",
                "-chardev", f"file,id=console,path={self.console}",
                *self._memory_words()]
        for name in ("channel", "heartbeat"):
            argv += ["-chardev", f"socket,id={name},path={path / name}"]
        for index, (name, iobase, irq) in enumerate(SERIAL_PORTS):
            argv += ["-device", f"isa-serial,index={index},chardev={name},"
                                f"iobase={iobase:#x},irq={irq}"]
        for serial in self.disks:
            argv += ["-drive", f"if=none,id={serial},file={path / serial},format=raw,cache=unsafe",
                     "-device", f"virtio-blk-pci,drive={serial},serial={serial}"]
        return argv + self._balloon_words()

    def _memory_words(self):
        spec = self.spec
        hot = f",slots={DIMMS},maxmem={spec.memory + spec.hot_memory}M" if spec.hot_memory else ""
        words = ["-m", f"{spec.memory}M{hot}"]
        if spec.backing == "anon":
            return [*words, "-machine", "pc"]
        ram = backing.properties(spec.backing, "mem", spec.memory, self.nest)
        return [*words, "-object", json.dumps(ram), "-machine", "pc,memory-backend=mem"]

    def _balloon_words(self):
        if self.spec.balloon is None:
            return []
        if not self.device:
            return ["-device", json.dumps(self._qemu_balloon())]
        words = ["-device", json.dumps(self.device.properties())]
        if self.device.needs_chardev:
            words += ["-chardev", f"socket,id={self.device.chardev},path={self.device.socket}"]
        return words

    def _qemu_balloon(self):
        """Returns the properties of QEMU's own device, for -device and for device_add."""
        return {"driver": "virtio-balloon-pci", "id": ID, **dict(self._properties())}

    def _properties(self):
        return [pair for pair in self.spec.balloon.items() if pair[0] != "stats-period"]

    def qmp(self, command, **args):
        """Runs one command in its own session, because QEMU serves one client at a time."""
        return qmp.ask(self.qmp_path, command, args)

    def device_qmp(self, command, **args):
        """Runs one command in whatever serves the balloon: our own device, or else QEMU."""
        return self.device.qmp(command, **args) if self.device else self.qmp(command, **args)

    def actual(self):
        return self.device_qmp("query-balloon")["actual"]

    def reboot(self):
        """Makes the guest reboot, and waits until it is up."""
        self.qmp("set-action", reboot="reset")      # otherwise QEMU exits, see command()
        with self.booting_again():
            self.channel.order("reboot")

    # Our own device

    def _start_device(self, words=()):
        spec = self.spec
        self._devices += 1
        self.device = Device(spec.device_program or self.lab.device, spec, self.nest,
                             self._devices)
        own = [f"--target={spec.current}M"] if spec.current else []
        # Our device's features have the names of QEMU's properties.
        own += [f"--features={'+' if value else '-'}{key}" for key, value in self._properties()]
        self.device.start([*own, *spec.device_args, *words])

    @property
    def device_pid(self):
        return self.device.pid

    @property
    def device_log(self):
        return self.device.log

    def device_alive(self):
        return self.device.alive()

    def kill_device(self):
        """Kills our own device, as if it crashed; the guest keeps a dead balloon."""
        self.device.kill()

    def replug(self, *words):
        """Unplugs the balloon, and plugs in one that a new process serves.

        words: extra arguments for the new process.
        """
        self.unplug()
        self.plug(*words)

    def plug(self, *words):
        """Plugs in a balloon that a new process serves: the second half of replug()."""
        if self.spec.device == "aerostat":
            self._start_device(words)
            if self.device.needs_chardev:
                address = {"type": "unix", "data": {"path": str(self.device.socket)}}
                self.qmp("chardev-add", id=self.device.chardev, backend={
                    "type": "socket", "data": {"addr": address, "server": False}})
            self.qmp("device_add", **self.device.properties())
        else:
            self.qmp("device_add", **self._qemu_balloon())
        self._begin_stats()
        if self.run("test -d /sys/module/virtio_balloon").status == 0:
            wait_for(self._size, f"{self.name}'s driver to take its new balloon")

    def unplug(self):
        """Unplugs the balloon, with the guest's cooperation; our own device ends with it."""
        with qmp.session(self.qmp_path, "unplug the balloon") as monitor:
            monitor.execute("device_del", id=ID)
            monitor.wait_event("DEVICE_DELETED", device=ID)
        if self.device:
            if self.device.needs_chardev:
                self.qmp("chardev-remove", id=self.device.chardev)
            self.device.end()

    # More memory

    def plug_memory(self, mib):
        """Plugs memory into the running guest, and waits until it is online there."""
        if mib % DIMM_MIB:
            raise LabError(f"cannot plug {mib} MiB: use a multiple of {DIMM_MIB} MiB")
        if not self.spec.hot_memory:
            raise LabError(f"{self.name} has no room for more memory: set hot_memory in its Spec")
        before = self.online_bytes()
        self._dimms += 1
        backing.provide_more(self.spec, mib, self.nest)
        self.qmp("object-add", **backing.properties(self.spec.backing, f"hot{self._dimms}", mib,
                                                    self.nest))
        self.qmp("device_add", driver="pc-dimm", id=f"dimm{self._dimms}",
                 memdev=f"hot{self._dimms}")
        wait_for(lambda: self.online_bytes() >= before + mib * MIB,
                 f"{self.name} to add {mib} MiB")

    def online_bytes(self):
        """Returns the guest's online RAM as the guest reports it, including the balloon's."""
        answer = self.run("cat /sys/devices/system/memory/block_size_bytes; "
                          "cat /sys/devices/system/memory/memory*/state | grep -c '^online'")
        size, blocks = answer.output.split()
        return int(size, 16) * int(blocks)

    # Its end

    def _logs(self):
        device = {"balloon device": self.device.log} if self.device else {}
        return {**super()._logs(), **device}

    def _reap(self):
        self._process.wait(HANG_S)

    def _running(self):
        return self._process.poll() is None

    def _end(self):
        early = self.device and self._process and self._running() and not self.device.alive()
        if self._process:
            self._process.kill()
            self._process.wait()
        if self.device:
            self.device.end(early)
