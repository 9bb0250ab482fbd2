# SPDX-License-Identifier: BSD-3-Clause
"""A guest whose balloon our own device serves: what tests ask of it, and what holds after each."""
import contextlib
import os
import pathlib
import re
import signal

import pytest

from command import MIB
from lab import GuestError, qmp
from lab.wait import wait_for

BALLOON = "/machine/peripheral/balloon0"
DRIVER = "/sys/bus/virtio/drivers/virtio_balloon"
FULL = 150      # MiB, what a full balloon holds here
LOG_MAX = 8192
# What the guest's kernel says when its memory is not what it was, or it waits for ever.
LAMENTS = "BUG:|WARNING:|corruption|Bad page|blocked for more than|segfault|general protection"

MAIN = "6.12 over vfio-user"
OTHERS = ("6.1 over vfio-user", "7.3 over vfio-user", "6.12 over vhost-user")
long = pytest.mark.long
on_each_kernel = pytest.mark.parametrize("_carol", (MAIN, *OTHERS), indirect=True)
on_each_kernel_if_long = pytest.mark.parametrize(
    "_carol", (MAIN, *(pytest.param(kind, marks=long) for kind in OTHERS)), indirect=True)
on_vfio_user = pytest.mark.parametrize(
    "_carol", (MAIN, *(pytest.param(kind, marks=long) for kind in OTHERS
                        if kind.endswith("vfio-user"))), indirect=True)


def spec(kind):
    kernel, _, transport = kind.split()
    return {"kernel": kernel, "transport": transport, "device": "aerostat"}


# Sizes

def state(guest):
    return guest.device_qmp("x-query-balloon")


def counters(guest):
    return guest.device_qmp("x-query-counters")


def whole_mib(guest):
    """All its RAM, plugged memory included."""
    return state(guest)["max"] // MIB


def aim(guest, mib):
    guest.device_qmp("balloon", value=mib * MIB)


def is_at(guest, mib):
    """Has it this size, by the driver's word and the device's account, and is all released?"""
    now = state(guest)
    away = now["max"] - mib * MIB
    return now["actual"] == mib * MIB and now["ballooned"] == away and now["pending"] == 0


def wait_until_at(guest, mib):
    wait_for(lambda: is_at(guest, mib), f"{guest.name} to have {mib} MiB")


def reach(guest, mib):
    aim(guest, mib)
    wait_until_at(guest, mib)


def assert_full(guest):
    """Its balloon is, and what it keeps (the fixture `full`) is unharmed."""
    wait_until_at(guest, whole_mib(guest) - FULL)
    assert guest.touch("kept", full=True).bad_pages == 0


def wait_until_moving(guest, from_mib):
    wait_for(lambda: state(guest)["ballooned"] != (whole_mib(guest) - from_mib) * MIB,
             f"{guest.name}'s balloon to move")


def wait_for_driver(guest):
    wait_for(lambda: state(guest)["driver-ready"], f"{guest.name}'s driver to be ready")


def available_mib(guest):
    return guest.meminfo()["MemAvailable"] // MIB


def use_up(guest, spare=64):
    """All its memory but a little becomes the host's loss."""
    guest.hold("used", available_mib(guest) - spare)
    guest.release("used")


# Its memory as the host has it

def ram_bytes(guest):
    """What the host has of the guest's RAM.

    The code that QEMU translates, and what else it needs for itself, differs from one look to
    the next.
    """
    return guest.ram_bytes()


def assert_given(guest, before, mib):
    """The host had more of its RAM than so much, and has no more now."""
    assert before > mib * MIB >= ram_bytes(guest)


@contextlib.contextmanager
def ram(guest):
    """The file of its RAM at boot, whose offsets are guest addresses."""
    for entry in os.scandir(f"/proc/{guest.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if "memfd:memory-backend" in os.readlink(entry.path):
                with open(entry.path, "r+b", buffering=0) as file:
                    yield file
                return
    pytest.fail(f"no memfd among the files of {guest.name}'s QEMU")


def resident(file):
    """The pages of the file that the host keeps, as a set of numbers."""
    pages = set()
    at = 0
    with contextlib.suppress(OSError):      # ENXIO: nothing but a hole up to the end
        while True:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            pages.update(range(at // 4096, end // 4096))
            at = end
    return pages


def mapped_huge_bytes(guest):
    """How much of shared memory its QEMU has mapped in huge pages."""
    text = pathlib.Path(f"/proc/{guest.pid}/smaps").read_text(encoding="ascii", errors="replace")
    return 1024 * sum(map(int, re.findall(r"^(?:Shmem|File)PmdMapped:\s+(\d+) kB$", text, re.M)))


# Its device

@contextlib.contextmanager
def frozen(pid):
    """A process stops for as long as the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def events(guest):
    """A session with the device that keeps the events that come meanwhile."""
    with qmp.session(guest.device.control, "watch the balloon") as monitor:
        yield monitor


@contextlib.contextmanager
def another_device(guest, *words):
    """The guest with a device that has these words on its command line, plugged in for another."""
    guest.replug(*words)
    try:
        wait_for_driver(guest)
        yield guest
        assert_sound(guest)
    finally:
        guest.replug()
    wait_for_driver(guest)


# What holds after each test

def assert_sound(guest):
    """Everybody lives, and the stock driver was found to do nothing wrong."""
    assert guest.alive() and guest.device_alive(), guest.device_log.read_text()
    assert guest.run("echo alive").output == "alive\n"
    assert guest.heartbeat.reboots == 0
    told = counters(guest)
    assert not {name: count for name, count in told.items() if count and
                (name.startswith("fault-") or name == "release-failed")}
    assert not state(guest)["needs-reset"]
    log = guest.device_log.read_text()
    assert len(log) < LOG_MAX and "error:" not in log, log
    laments = guest.run(f"dmesg | grep -E '{LAMENTS}'").output
    assert not laments


def put_back(guest):
    """As the next test expects it: whole, its driver there, nothing held."""
    guest.release_all()
    if guest.run(f"ls -d {DRIVER}/virtio*").status:     # not loaded, or unbound
        with contextlib.suppress(GuestError):
            guest.unload_driver()
        guest.load_driver()
    wait_for_driver(guest)
    reach(guest, whole_mib(guest))
    assert_sound(guest)
