# SPDX-License-Identifier: BSD-3-Clause
"""The ways to change a guest's memory and to wait for it that are compared."""

import dataclasses
import json

from lab import LabError

MIB = 1 << 20

# What people script around virsh, which cannot wait; the loop does not sleep.
VIRSH_LOOP = """
virsh --quiet setmem "$1" "$2" || exit
while [ "$now" != "$2" ]; do
	now=$({poll} | sed -n 's/{pattern}//p')
	echo "$now"
done
"""


@dataclasses.dataclass
class Told:
    """What a command reported; times are in seconds since its request or its start."""

    first_s: float | None
    target_s: float
    host_gain_bytes: int | None = None
    polls: int | None = None


class Aerostat:
    def __init__(self, name, what, guest, binary, idle=True):
        self.name = name
        self.what = what
        self.guest = guest
        self.idle = idle    # whether the guest's heartbeat is also measured at rest
        self._binary = binary

    def argv(self, mib):
        return [self._binary, "--json", "setmem", self.guest.address, f"{mib}M"]

    def told(self, run, before_mib):
        answer = json.loads(run.output)
        if answer["outcome"] != "done":
            raise LabError(f"aerostat setmem: {answer['outcome']}: {answer['reason']}")
        return Told(answer["first_move_s"], answer["seconds"], answer["host_gain_bytes"])


class VirshLoop:
    idle = False

    def __init__(self, name, what, guest, poll, pattern):
        self.name = name
        self.what = what
        self.guest = guest
        self._script = VIRSH_LOOP.format(poll=poll, pattern=pattern)

    def argv(self, mib):
        return ["sh", "-c", self._script, "sh", self.guest.name, str(mib * MIB // 1024)]

    def told(self, run, before_mib):
        sizes = [(seconds, int(line)) for seconds, line in run.lines]
        first_s = next(seconds for seconds, size in sizes if size != before_mib * MIB // 1024)
        return Told(first_s, sizes[-1][0], polls=len(sizes))
