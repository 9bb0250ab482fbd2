# SPDX-License-Identifier: BSD-3-Clause
"""A guest that a libvirt daemon runs (domain.py has its XML)."""

import json
import os
import time

from . import qmp
from .channel import Channel, Heartbeat
from .domain import domain_xml
from .errors import GuestError, GuestGone, LabError
from .guest import Guest
from .libvirtd import SessionLibvirt
from .nest import Nest
from .wait import wait_for


class LibvirtGuest(Guest):
    """A domain of a libvirt daemon."""

    def __init__(self, lab, spec, libvirt=None):
        if spec.device != "qemu" or spec.hot_memory or spec.backing not in ("memfd", "anon"):
            raise LabError("via=\"libvirt\" cannot be combined with our own device, with "
                           "hot_memory, or with a backing other than memfd and anon: leave out "
                           "one or the other")
        self.control = None     # the socket of our own device, once the guest is adopted
        self._own_libvirt = libvirt is None
        self.libvirt = libvirt
        super().__init__(lab, spec)

    @property
    def address(self):
        return self.name

    @property
    def uri(self):
        """The daemon's URI, which works for any user of the lab."""
        return self.libvirt.uri

    def _make_nest(self):
        if self._own_libvirt:
            self.libvirt = SessionLibvirt().__enter__()
        return Nest(self.libvirt.uid)

    def _own(self, path):
        os.chown(path, self.libvirt.uid, -1)

    def _start(self):
        if self.accel == "kvm" and not self.libvirt.may_use_kvm():
            self.accel = "tcg"
        self.libvirt.start_domain(self.name, domain_xml(self), self.spec.persistent)
        self.pid = wait_for(self.nest.processes, f"the QEMU of domain {self.name}")[0]

    def qmp(self, command, **args):
        """Sends one monitor command through libvirt; returns the answer."""
        request = json.dumps({"execute": command, **({"arguments": args} if args else {})})
        answer = json.loads(self.libvirt.virsh("qemu-monitor-command", self.name, request))
        if "error" in answer:
            raise GuestError(f"{command}: {answer['error']['desc']}", 1)
        return answer["return"]

    def adopted(self, adopted=True):
        """Records that the domain was adopted or unadopted: what serves its balloon from now on.

        The change takes effect at the domain's next start.
        """
        own = self.libvirt.nest.path / f"run/aerostat/{self.name}.qmp"
        self.control = own if adopted else None

    def device_qmp(self, command, **args):
        return qmp.ask(self.control, command, args) if self.control else self.qmp(command, **args)

    def actual(self):
        return self.device_qmp("query-balloon")["actual"]

    def shut_off(self):
        """Destroys the domain with virsh, and prepares the lab for its next start."""
        self.libvirt.virsh("destroy", self.name)
        self._prepare_start()

    def save(self, path):
        """Saves the guest to a file, which ends its process, and prepares the lab for restore()."""
        self.libvirt.virsh("save", self.name, path)
        self._prepare_start()

    def restore(self, path):
        """Goes on with the saved guest, in a new process.  It can be asked nothing from inside."""
        self.libvirt.virsh("restore", path)
        self.pid = wait_for(self.nest.processes, f"the QEMU of domain {self.name}")[0]

    def _prepare_start(self):
        self._reap()
        for name, kind in (("channel", Channel), ("heartbeat", Heartbeat)):
            getattr(self, name).close()
            path = self.nest.path / name
            path.unlink()
            setattr(self, name, kind(path))
            self._own(path)

    def start(self):
        """Starts the domain again after shut_off()."""
        self._retry_boot(self._start_again)

    def _start_again(self):
        self.libvirt.virsh("start", self.name)
        try:
            self.started()
        except GuestGone as error:
            self._tell(error)
            self._prepare_start()
            wait_for(lambda: "shut off" in self.libvirt.virsh("domstate", self.name),
                     f"libvirt to notice that {self.name} has ended")
            raise

    def started(self):
        """Waits until the guest is up after its domain was started again."""
        self.pid = wait_for(self.nest.processes, f"the QEMU of domain {self.name}")[0]
        self._boot(time.monotonic() + self.spec.ready_within)

    def _end(self):
        if self.pid and self.alive():
            self.kill()
        if self._own_libvirt:
            self.libvirt.__exit__()
        else:
            self.libvirt.forget(self.name)
