# SPDX-License-Identifier: BSD-3-Clause
"""Measures the time, CPU time and memory of commands that do not wait for their guest."""

import itertools

from lab import wait_for

from . import command
from .ways import MIB

# Three sizes, because two commands take turns: each sets all sizes, and each call is a change.
SIZES_MIB = (1000, 1012, 1024)


class Costs:
    def __init__(self, binary, over_libvirt, over_qmp, env):
        """Memory is changed of the first guest in each list."""
        self.runs = {}      # name → [command.Run]
        self._env = env
        domain, qmp = over_libvirt[0], over_qmp[0]
        sockets = [word for guest in over_qmp for word in ("--qmp", str(guest.qmp_path))]
        self._sizes = {guest: itertools.cycle(SIZES_MIB) for guest in (domain, qmp)}
        self._changes = [
            ("aerostat setmem --no-wait, libvirt", domain, [binary, "setmem", "--no-wait"]),
            ("virsh setmem", domain, ["virsh", "setmem"]),
            ("aerostat setmem --no-wait, QMP", qmp, [binary, "setmem", "--no-wait"]),
        ]
        self._lists = [
            ("aerostat list, 2 libvirt guests", [binary, "list"]),
            ("virsh list", ["virsh", "list"]),
            ("virsh domstats --balloon", ["virsh", "domstats", "--balloon"]),
            ("aerostat list, 2 QMP guests", [binary, *sockets, "list"]),
        ]

    def run(self, rounds):
        for _ in range(rounds):
            for name, guest, argv in self._changes:
                size_mib = next(self._sizes[guest])
                self._measure(name, [*argv, guest.address, f"{size_mib}M"])
                wait_for(lambda: guest.actual() == size_mib * MIB,
                         f"{guest.name} to have {size_mib} MiB")
            for name, argv in self._lists:
                self._measure(name, argv)

    def warm_up(self):
        """Runs each command once, because libvirtd's first answers are slow for every client."""
        for _, argv in self._lists:
            command.run(argv, self._env)

    def _measure(self, name, argv):
        self.runs.setdefault(name, []).append(command.run(argv, self._env))
