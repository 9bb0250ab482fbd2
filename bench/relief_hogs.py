# SPDX-License-Identifier: BSD-3-Clause
"""One guest whose balloon holds more than half of it, and a process that needs that memory.

Theory of operation
-------------------
Each way has a guest of its own, and all of them are up all the time.  In each round each way
takes its turn at each rate, without swap and with it.  A turn makes the guest small, and then
touches memory in it: at once, or in pieces that begin on time.  Nobody helps it from outside.
What the turn cost the guest is read from its own counters.  Then the guest gets all its memory
back and rests while others have their turns, as a driver may not inflate soon after relief.

The way “not shrunk” shows what the process costs in a guest that has enough memory.
"""

import concurrent.futures
import contextlib
import dataclasses
import time

from lab import GuestError, wait_for

from .daemon_burst import turned
from .rounds import KERNEL_ARGS

MIB = 1 << 20
PAGE_BYTES = 4096
WHOLE_MIB, SMALL_MIB, HOG_MIB, SWAP_MIB = 768, 320, 336, 512
PIECE_MIB = 42      # the lab holds at most 8 pieces in a guest
RATES = (None, 100, 50)     # MiB/s; None: as fast as the guest can


@dataclasses.dataclass(frozen=True)
class Way:
    name: str
    what: str
    driver: str
    params: str = ""
    deflates: bool = True       # whether the device offers deflate-on-oom
    device: str = "qemu"
    small_mib: int = SMALL_MIB


ENOUGH = Way("not shrunk", "a guest that has enough memory", "stock", deflates=False,
             small_mib=WHOLE_MIB)
WAYS = (ENOUGH,
        Way("in-tree, off", "the kernel's driver, deflate-on-oom=off", "stock", deflates=False),
        Way("in-tree, on", "the kernel's driver, deflate-on-oom=on", "stock"),
        Way("ours, relief=0", "our driver without early relief", "aerostat", "relief=0"),
        Way("ours", "our driver", "aerostat"),
        Way("ours, our device", "our driver and our device, no daemon", "aerostat",
            device="aerostat"))


@dataclasses.dataclass
class Hog:
    """What one turn cost the guest."""

    way: str
    rate: int | None            # MiB/s
    swap: bool
    round: int
    kills: int
    wall_s: float               # until the process had all its memory, or was killed
    some_s: float               # PSI
    full_s: float
    swapped_bytes: int          # out
    taken_back_bytes: int       # from the balloon


class Hogs:
    def __init__(self, lab, quick, rounds, say):
        self._lab, self._say, self._rounds = lab, say, rounds
        self.rates = RATES[:1] if quick else RATES
        self.swaps = (False,) if quick else (False, True)
        self.found = []

    def run(self):
        self._say(f"booting {len(WAYS)} guests of {WHOLE_MIB} MiB")
        with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(2) as pool:
            guests = [self._guest(way) for way in WAYS]
            for future in [pool.submit(guest.__enter__) for guest in guests]:
                stack.push(future.result().__exit__)
            pairs = list(zip(WAYS, guests, strict=True))
            for number in range(self._rounds):
                self._say(f"one guest in need, round {number + 1} of {self._rounds}")
                for swap in self.swaps:
                    for rate in self.rates:
                        for way, guest in turned(pairs, number):
                            self.found.append(measure(way, guest, rate, swap, number))

    def of(self, way, rate, swap):
        return [hog for hog in self.found
                if (hog.way, hog.rate, hog.swap) == (way.name, rate, swap)]

    def _guest(self, way):
        balloon = {"deflate-on-oom": way.deflates}
        return self._lab.guest(f"hog{WAYS.index(way)}", memory=WHOLE_MIB, swap_disk=SWAP_MIB,
                               driver=way.driver, driver_params=way.params, device=way.device,
                               balloon=balloon, kernel_args=KERNEL_ARGS)


def resize(guest, mib):
    guest.device_qmp("balloon", value=mib * MIB)
    wait_for(lambda: guest.actual() == mib * MIB, f"{guest.name} to have {mib} MiB")


def set_swap(guest, on):
    with contextlib.suppress(GuestError):   # it is off
        guest.swap("off disk")
    if on:
        guest.swap("on disk")


def measure(way, guest, rate, swap, number):
    set_swap(guest, swap)
    guest.run("echo 3 >/proc/sys/vm/drop_caches")
    resize(guest, way.small_mib)
    before, size = suffered(guest), guest.actual()
    start_s = time.monotonic()
    take_memory(guest, rate)
    wall_s = time.monotonic() - start_s
    kills, some_s, full_s, swapped = (b - a for a, b in zip(before, suffered(guest), strict=True))
    taken_back = guest.actual() - size
    guest.release_all()
    set_swap(guest, False)
    resize(guest, WHOLE_MIB)
    return Hog(way.name, rate, swap, number, kills, wall_s, some_s, full_s, swapped, taken_back)


def take_memory(guest, rate):
    """Ends early when something was killed."""
    if rate is None:
        guest.hold("hog", HOG_MIB)
        return
    kills, start_s = guest.vmstat()["oom_kill"], time.monotonic()
    for done_mib in range(0, HOG_MIB, PIECE_MIB):
        time.sleep(max(0, start_s + done_mib / rate - time.monotonic()))
        guest.hold(f"hog{done_mib}", PIECE_MIB)
        if guest.vmstat()["oom_kill"] > kills:
            return


def suffered(guest):
    """Returns kills, seconds of PSI some and full, and bytes swapped out since the boot."""
    vmstat, psi = guest.vmstat(), guest.psi()
    return (vmstat["oom_kill"], psi["some"]["total"] / 1e6, psi["full"]["total"] / 1e6,
            PAGE_BYTES * vmstat["pswpout"])
