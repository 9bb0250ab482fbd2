# SPDX-License-Identifier: BSD-3-Clause
"""A guest whose device breaks its rules when told to: what tests of it ask, and what must hold.

fake-bad-device (tests/fakes/misbehave.h) is our own device, which misbehaves where it is told to.
"""
import os

from conftest import BUILD
from command import MIB
from lab.wait import wait_for
from served import DRIVER, reach, state, wait_for_driver

FAKE = BUILD / "tests/fakes/fake-bad-device"
WHICH = os.environ.get("FAULTY_DRIVER", "aerostat")
MEMORY = 384
FULL = 150      # what a full balloon holds here
PAGES = MIB // 4096
SLACK = 24 * MIB    # by which free memory differs for other reasons
NEVER = -1
INFLATE, DEFLATE, STATS, REPORTING = "inflate", "deflate", "stats", "reporting"


# The device

def misbehave(guest, how, value=0, queue=None):
    """One order to the device; its answer tells what it keeps and what it did."""
    words = {"queue": queue} if queue else {}
    return guest.device_qmp("x-misbehave", how=how, value=value, **words)


def look(guest):
    return misbehave(guest, "look")


def heal(guest):
    misbehave(guest, "heal")


def keeps(guest, queue):
    return look(guest)["kept"][queue]


def wait_until_keeps(guest, queue):
    wait_for(lambda: keeps(guest, queue), f"the device to keep a buffer of {queue}")


def wait_for_more(guest, what, count):
    """So much more of what the device counts."""
    end = look(guest)[what] + count
    wait_for(lambda: look(guest)[what] >= end, f"{count} {what}")


# The guest

def bad_guest(lab, name, kernel="6.12", **spec):
    return lab.guest(name, **{"memory": MEMORY, "kernel": kernel, "device": "aerostat",
                              "device_program": FAKE, "driver": WHICH, **spec})


def free_bytes(guest):
    """What is free of the guest's memory, with no page hidden in a cache or a list of a CPU's."""
    guest.run("echo 3 >/proc/sys/vm/drop_caches; echo 1 >/proc/sys/vm/compact_memory")
    return guest.meminfo()["MemFree"]


def remember(guest):
    """What the guest has while nothing is wrong."""
    wait_for_driver(guest)
    guest.hold("kept", 40)
    guest.total = guest.meminfo()["MemTotal"]
    guest.free = free_bytes(guest)


def assert_lives(guest):
    """It beats, obeys, and has what it held."""
    guest.heartbeat.mark()
    assert guest.heartbeat.wait(10), "no heartbeat"
    assert guest.run("echo alive").output == "alive\n"
    kept = guest.touch("kept", full=True)
    assert kept.alive and kept.bad_pages == 0
    assert guest.heartbeat.reboots == 0
    guest.check_kernel_log()


def assert_whole(guest):
    """All its memory is there: by the count, free, and fit for use."""
    assert guest.meminfo()["MemTotal"] == guest.total
    wait_for(lambda: free_bytes(guest) > guest.free - SLACK,
             f"{guest.name} to have {guest.free // MIB} MiB free; "
             f"it has {guest.meminfo()['MemFree'] // MIB}")
    wait_for(lambda: can_use_all(guest), f"{guest.name} to use its memory")


def can_use_all(guest):
    """Whether nobody is killed for it: blocks that are being reported are nobody's meanwhile."""
    try:
        if not guest.hold("all", FULL + 30).alive:
            return False
        held = guest.touch("all", full=True)
        assert held.alive and held.bad_pages == 0
        return True
    finally:
        guest.release("all")


def loaded(guest):
    return guest.run("test -d /sys/module/virtio_balloon").status == 0


def bound(guest):
    return guest.run(f"ls -d {DRIVER}/virtio*").status == 0


def unload(guest):
    guest.unload_driver()


def unbind(guest):
    guest.virtio = guest.run(f"basename {DRIVER}/virtio*").output.strip()
    done = guest.run(f"echo {guest.virtio} >{DRIVER}/unbind")
    assert done.status == 0, "the driver does not let go of its device"


def bind(guest):
    assert guest.run(f"echo {guest.virtio} >{DRIVER}/bind").status == 0


def load(guest):
    guest.load_driver(WHICH)


def plug(guest):
    guest.plug()
    wait_for_driver(guest)


def put_back(guest):
    """As the next test expects it: the device behaves, all is well and whole."""
    heal(guest)
    if state(guest)["needs-reset"]:
        unload(guest)
    if not loaded(guest):
        load(guest)
    elif not bound(guest):
        bind(guest)
    wait_for_driver(guest)
    reach(guest, MEMORY)
    guest.release("kept")
    guest.hold("kept", 40)
    assert_lives(guest)
    assert_whole(guest)
