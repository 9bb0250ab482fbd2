# SPDX-License-Identifier: BSD-3-Clause
"""A guest with our own driver: what tests of the driver ask of it, and what holds after each.

The matrix
----------
Each such test runs on a kernel and under a host: QEMU 7.2's balloon ("host"), QEMU 11.1's
("newer") or our own device ("ours").  QUICK are the combinations of every run, the others are
for --long, or `make test-guest`.
"""
import concurrent.futures
import contextlib
import itertools
import os
import random
import re

import pytest

import served
from command import MIB
from lab import GuestError, GuestTimeout
from lab.wait import HANG_S, wait_for
from served import available_mib, ram_bytes

PAGE = 4096
BLOCK = 2 * MIB
COUNTERS = f"{served.DRIVER}/virtio*/balloon"
QEMU_BALLOON = "/machine/peripheral/balloon0/virtio-backend"

KERNELS = ("6.1", "6.12", "7.3")
HOSTS = {"host": {"qemu": "host"}, "newer": {"qemu": "newer"}, "ours": {"device": "aerostat"}}
QUICK = ("6.1 host", "6.12 ours")


def matrix(quick=QUICK, hosts=tuple(HOSTS), kernels=KERNELS):
    """Parameters for a fixture or a test: "KERNEL HOST", each once, those not quick being long."""
    return [pytest.param(kind, id=kind.replace(" ", "-"),
                         marks=() if kind in quick else pytest.mark.long)
            for kind in map(" ".join, itertools.product(kernels, hosts))]


def fewer(kinds, quick=("6.12 ours",)):
    """The same, of which these are quick: for a test of what no kernel does in a way of its own.

    The very same words, or pytest takes them for others, and boots each guest once more.
    """
    return [pytest.param(*kind.values, id=kind.id,
                         marks=() if kind.values[0] in quick else pytest.mark.long)
            for kind in kinds]


def spec(kind):
    """The words for lab.guest() of one of these."""
    kernel, _, host = kind.partition(" ")
    return {"kernel": kernel, "driver": "aerostat", **HOSTS[host]}


def is_ours(guest):
    return guest.spec.device == "aerostat"


@contextlib.contextmanager
def booted(lab, name, kind, **more):
    """A guest of this kind, sound until its end."""
    with lab.guest(name, **{**spec(kind), "memory": 512, **more}) as guest:
        wait_for_driver(guest)
        yield guest
        assert_sound(guest)


def dice():
    """Random numbers whose seed is printed; AEROSTAT_SEED gives the same again."""
    seed = int(os.environ.get("AEROSTAT_SEED", random.randrange(1 << 32)))
    print(f"AEROSTAT_SEED={seed}")
    return random.Random(seed)


# What the driver says

def counters(guest):
    """Its counters by name; "allocated" is a list, by order."""
    text = guest.run(f"cd {COUNTERS} && grep . *").output
    found = {name: [int(word) for word in value.split()] for name, value in
             re.findall(r"^(\w+):([-\d ]+)$", text, re.M)}
    return {name: values if name == "allocated" else values[0] for name, values in found.items()}


def size(guest):
    """The balloon's, in bytes, as the driver has it."""
    return counters(guest)["size"] * PAGE


def wait_for_driver(guest):
    """It has taken the device, and begun."""
    wait_for(lambda: counters(guest), f"{guest.name}'s driver to be ready")


def uptime_ms(guest):
    return guest.ping()[1]


def reload(guest, params=""):
    guest.unload_driver()
    guest.load_driver("aerostat", params)
    wait_for_driver(guest)


@contextlib.contextmanager
def with_params(guest, params):
    """The guest's driver has these parameters while the block runs."""
    reload(guest, params)
    try:
        yield guest
    finally:
        reload(guest)


@contextlib.contextmanager
def with_features(guest, *names):
    """The guest's device has these features, too, while the block runs."""
    before = guest.spec.balloon
    guest.spec.balloon = before | dict.fromkeys(names, True)
    try:
        guest.replug()
        wait_for_driver(guest)
        yield guest
        assert_sound(guest)     # while the device that saw it all is there
    finally:
        guest.spec.balloon = before
        guest.replug()
        wait_for_driver(guest)


# Sizes

def whole_mib(guest):
    """All its RAM, plugged memory included."""
    return sum(guest.qmp("query-memory-size-summary").values()) // MIB


def aim(guest, mib):
    guest.device_qmp("balloon", value=mib * MIB)


def keeps_account(guest):
    """Is the device told of each page?  It is not by a driver that releases by reporting."""
    return guest.run("cat /sys/module/virtio_balloon/parameters/release").output != "reporting\n" \
        or "free-page-reporting" not in guest.spec.balloon


def is_at(guest, mib, with_account=True):
    """By the device's word, by its account if it keeps one, and by what is left on the host."""
    if is_ours(guest) and with_account and not served.is_at(guest, mib):
        return False
    return guest.actual() == mib * MIB and ram_bytes(guest) <= mib * MIB


def go(guest, mib):
    """To this size, until the host has its memory, too."""
    with_account = keeps_account(guest)
    aim(guest, mib)
    wait_for(lambda: is_at(guest, mib, with_account), f"{guest.name} to have {mib} MiB")


def least_mib(guest, floor=64, spare=24):
    """The smallest size in reach now: the driver leaves so much available, and so do tests."""
    return guest.actual() // MIB - available_mib(guest) + floor + spare


def wait_until_moving(guest, from_mib):
    """The balloon has left this size, and need not be where it is going."""
    wait_for(lambda: size(guest) != (whole_mib(guest) - from_mib) * MIB,
             f"{guest.name}'s balloon to move")


def wander(guest, steps, low, high, numbers, between=None):
    """To so many random sizes; every other target is changed while the driver is on its way.

    between: called at each step with the number of it.
    """
    for step in range(steps):
        aim(guest, numbers.randint(low, high))
        if between:
            between(step)
        if numbers.random() < 0.5:
            go(guest, numbers.randint(low, high))
            assert_accounted(guest)


def wait_until_stuck(guest):
    """The driver has looked twice for memory that was not there."""
    before = counters(guest)["retries"]
    wait_for(lambda: counters(guest)["retries"] >= before + 2,
             f"{guest.name}'s balloon to find nothing more")


# Memory, in the guest and at the host

def free_mib(guest):
    return guest.meminfo()["MemFree"] // MIB


def whole_blocks(guest):
    """How many free blocks of 2 MiB there are, by themselves or in larger ones."""
    text = guest.run("cat /proc/buddyinfo").output
    zones = [[int(word) for word in line.split()[4:]] for line in text.splitlines()]
    return sum(count << order - 9 for zone in zones
               for order, count in enumerate(zone) if order >= 9)


SMALL = "/hold/small"


def fragment(guest, mib):
    """So much memory is filled with files of one page, and every other of them deleted."""
    fill = (f'for (i = 0; i < {mib * MIB // PAGE}; i++) {{ name = (i % 2 ? "odd/" : "even/") i; '
            f'printf "%{PAGE}d", i > name; close(name) }}')
    done = guest.run(f"mkdir {SMALL} && cd {SMALL} && mkdir odd even && awk 'BEGIN {{ {fill} }}' "
                     "&& rm -r even")
    assert done.status == 0, done


def fragments_sum(guest):
    return guest.run(f"cd {SMALL} && find odd -type f -exec cat '{{}}' + | md5sum").output


def compact(guest):
    done = guest.run("echo 1 >/proc/sys/vm/compact_memory")
    assert done.status == 0, done


def assert_intact(guest, *names):
    """Each word of what is held is what was written there."""
    for name in names:
        found = guest.touch(name, full=True)
        assert found.alive and found.bad_pages == 0, (name, found)


def assert_all_usable(guest, spare=48):
    """Nearly all memory can be had and keeps what is written to it."""
    mib = available_mib(guest) - spare
    assert guest.hold("everything", mib).alive
    assert_intact(guest, "everything")
    guest.release("everything")


# Asleep

# The kernel gives a suspend up if a process has not stopped for 20 s, which on a busy host may be
# no fault of anybody in the guest.
FREEZE_PATIENTLY = f"echo {HANG_S * 500} > /sys/power/pm_freeze_timeout"


@contextlib.contextmanager
def in_guest(guest, command):
    """A command in the guest while the block runs; it has to end well, and soon after."""
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        run = threads.submit(guest.run, command)
        yield run
    assert run.result().status == 0, run.result()


def driver_is_ready(guest):
    if is_ours(guest):
        return served.state(guest)["driver-ready"]
    status = guest.qmp("x-query-virtio-status", path=QEMU_BALLOON)["status"]["statuses"]
    return any(word.startswith("VIRTIO_CONFIG_S_DRIVER_OK") for word in status)


def is_asleep(guest, state):
    if state == "mem":
        return guest.qmp("query-status")["status"] == "suspended"
    return not driver_is_ready(guest)


def answers(guest, timeout=1):
    with contextlib.suppress(GuestTimeout):
        return guest.ping(timeout)
    return False


def wait_for_answer(guest):
    """Calls a guest that may be asleep, or about to be, until it answers: at longer intervals."""
    patience = itertools.count(1)
    return wait_for(lambda: answers(guest, next(patience)), f"{guest.name} to answer")


@contextlib.contextmanager
def asleep(guest, state, when="true", go=lambda: None):
    """The guest sleeps while the block runs: as soon as it is done with `when`, after go()."""
    sleep = (f"{when}; echo enabled > /sys/class/tty/ttyS1/power/wakeup; {FREEZE_PATIENTLY}; "
             f"echo {state} > /sys/power/state")
    with in_guest(guest, sleep) as run:
        go()
        wait_for(lambda: is_asleep(guest, state), f"{guest.name} to sleep")
        yield run
        if state == "mem":
            guest.qmp("system_wakeup")
        # It may have been about to sleep only, so it is called until it says that it is awake.
        wait_for(lambda: wait_for_answer(guest) and run.done(), f"{guest.name} to wake up")


HIBERNATE = ("cat $(dirname $(grep -l swap /sys/block/vd*/serial))/dev > /sys/power/resume; "
             f"{FREEZE_PATIENTLY}; "
             "echo 0 > /sys/power/image_size; echo {how} > /sys/power/disk; "
             "echo disk > /sys/power/state")


def hibernate(guest):
    """It writes its image to the disk and reads it from there, all in one boot.

    Linux 6.1 finds the disk in use by then, and goes on without the image.
    """
    slept = guest.run(HIBERNATE.format(how="test_resume"))
    if guest.spec.kernel == "6.1":
        assert "Image saving done" in guest.run("dmesg").output
    else:
        assert slept.status == 0, slept


# What holds after each test

def assert_accounted(guest):
    """Driver and device agree on the balloon's size, as soon as it stands still.

    A balloon that has not reached its target may move between any two looks.
    """
    wait_for(lambda: not counters(guest)["held"], "what was held in vain to go back")
    with_account = is_ours(guest) and keeps_account(guest)

    def agree():
        bytes_ = size(guest)
        return bytes_ == whole_mib(guest) * MIB - guest.actual() \
            and (not with_account or served.state(guest)["ballooned"] == bytes_)
    wait_for(agree, f"{guest.name}'s driver and device to agree on the balloon's size")


def assert_sound(guest):
    """It lives, nothing was done wrong, and its kernel does not complain."""
    assert guest.alive() and guest.heartbeat.reboots == 0
    if is_ours(guest):
        served.assert_sound(guest)
    guest.check_kernel_log()


def bring_back(guest):
    """Loads our driver if it is not there, whichever is."""
    if counters(guest):
        return
    with contextlib.suppress(GuestError):
        guest.unload_driver()
    guest.load_driver("aerostat")
    wait_for_driver(guest)


def put_back(guest):
    """As the next test expects it: whole, its driver there, nothing held."""
    guest.release_all()
    guest.run(f"rm -rf {SMALL}")
    bring_back(guest)
    go(guest, whole_mib(guest))
    assert_sound(guest)
