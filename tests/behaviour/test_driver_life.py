# SPDX-License-Identifier: BSD-3-Clause
"""Our own driver comes, goes, is taken over from and to, sleeps, and boots again.

Whatever happens to it, the guest's memory is the guest's again when the driver is gone, keeps what
is written in it, and the balloon gets to where the host wants it when the driver is back.

A guest that sleeps is woken over the channel, which is a serial port that may wake it.
"""
import contextlib
import subprocess
import time

import pytest

import driver
import served
from command import MIB
from lab import GuestError
from lab.wait import wait_for

WHOLE, SMALL, KEPT = 512, 224, 48   # MiB
UNBIND = f"cd {served.DRIVER}; echo virtio* > unbind"
REMOVE = "rmmod virtio_balloon"
HOSTS = ("host", "ours")
KINDS = driver.matrix(hosts=HOSTS)
on_each = pytest.mark.parametrize("_dora", driver.fewer(KINDS), indirect=True)
on_each_and_6_1_always = pytest.mark.parametrize("_dora", KINDS, indirect=True)
# Guests that are hurt, and so are booted for each test.
on_each_anew = pytest.mark.parametrize("kind", driver.matrix(hosts=HOSTS, quick=("6.12 ours",)))
on_each_qemu = pytest.mark.parametrize("kind", driver.matrix(hosts=("host",), quick=("6.12 host",)))


@pytest.fixture(scope="module")
def _dora(lab, request):
    with driver.booted(lab, "dora", request.param, memory=WHOLE, packaged_kernel=True) as guest:
        guest.whole_bytes = guest.meminfo()["MemTotal"]
        guest.available_mib = driver.available_mib(guest) - KEPT
        yield guest


@pytest.fixture
def dora(_dora):
    """A guest that keeps something, which is found unharmed after each test."""
    _dora.hold("kept", KEPT)
    yield _dora
    driver.assert_intact(_dora, "kept")
    unload_unbound(_dora)
    driver.put_back(_dora)


def unload_unbound(guest):
    """So that a driver that is loaded next has the device."""
    if guest.run(f"ls -d {served.DRIVER}/virtio*").status:
        with contextlib.suppress(GuestError):
            guest.unload_driver()


def assert_whole(guest):
    """All its memory is there and good, and the host knows."""
    assert guest.meminfo()["MemTotal"] == guest.whole_bytes
    assert guest.actual() == WHOLE * MIB
    if driver.is_ours(guest):
        assert served.state(guest)["ballooned"] == 0
    wait_for(lambda: driver.available_mib(guest) >= guest.available_mib - 8,
             f"{guest.available_mib - 8} MiB to be available")


def pages(mib):
    """How many pages are in the balloon at a size of the guest."""
    return (WHOLE - mib) * MIB // driver.PAGE


class HalfWay:
    """A shell command that ends when the balloon is half way to a size of the guest.

    It has more of the CPU than the driver, which is there in a moment; but the host may run the
    driver's virtual CPU and not the command's meanwhile.  So this is tried until it succeeds.
    """

    def __init__(self, guest, mib):
        self._guest = guest
        self._mib = mib
        self._low, self._high = sorted((driver.counters(guest)["size"], pages(mib)))
        relation = "-lt" if self._high == pages(mib) else "-gt"
        self.command = (f"renice -n -10 $$; cd {driver.COUNTERS}; echo > /tmp/watching; "
                        "while read -r size < size && "
                        f"[ $size {relation} {(self._low + self._high) // 2} ]; do :; done; "
                        "rm /tmp/watching; echo $size")

    def go(self):
        """Sets out, when the command is watching."""
        wait_for(lambda: self._guest.run("test -e /tmp/watching").status == 0, "the watch")
        driver.aim(self._guest, self._mib)

    def is_met(self, run):
        """Whether the balloon was on its way when the command, which printed its size, ended."""
        return self._low < int(run.output.split()[0]) < self._high


def leave_on_the_way(guest, start, end, leave):
    """Returns whether the driver did leave on the way, after which it is gone."""
    unload_unbound(guest)
    driver.bring_back(guest)
    driver.go(guest, start)
    half_way = HalfWay(guest, end)
    with driver.in_guest(guest, f"{half_way.command}; {leave}") as run:
        half_way.go()
    return half_way.is_met(run.result())


def sleep_on_the_way(guest, start, end):
    """Returns whether the guest fell asleep on the way; it is awake again."""
    driver.go(guest, start)
    half_way = HalfWay(guest, end)
    with driver.asleep(guest, "freeze", half_way.command, half_way.go) as run:
        pass
    return half_way.is_met(run.result())


# Bound, unbound, loaded, unloaded

@on_each
@pytest.mark.parametrize("leave", (UNBIND, REMOVE), ids=("unbind", "rmmod"))
def test_a_full_balloon_is_given_back(dora, leave):
    driver.go(dora, SMALL)
    assert dora.run(leave).status == 0
    assert_whole(dora)
    driver.assert_all_usable(dora)


@on_each
@pytest.mark.parametrize("leave", (UNBIND, REMOVE), ids=("unbind", "rmmod"))
@pytest.mark.parametrize("way", ("inflation", "deflation"))
def test_a_balloon_on_its_way_is_given_back(dora, way, leave):
    start, end = (WHOLE, SMALL) if way == "inflation" else (SMALL, WHOLE)
    wait_for(lambda: leave_on_the_way(dora, start, end, leave), "the driver to leave on the way")
    assert_whole(dora)


@on_each
def test_a_driver_that_comes_again_goes_to_the_same_target(dora):
    driver.go(dora, SMALL)
    for away, back in ((UNBIND, f"cd {served.DRIVER}; echo $device > bind"),
                       (REMOVE, "true")):
        device = dora.run(f"cd {served.DRIVER}; echo virtio*").output.strip()
        assert dora.run(away).status == 0
        assert dora.run(f"device={device}; {back}").status == 0
        if away == REMOVE:
            dora.load_driver("aerostat")
        wait_for(lambda: driver.is_at(dora, SMALL), "the balloon to be full again")
        driver.assert_accounted(dora)


@on_each
def test_a_driver_can_come_and_go_all_the_time(dora):
    """And leaves nothing behind, neither of its own memory nor of the guest's."""
    def cycle():
        dora.load_driver("aerostat")
        dora.unload_driver()

    driver.aim(dora, SMALL)
    dora.unload_driver()
    cycle()
    before = driver.available_mib(dora)
    for _ in range(8):
        cycle()
    assert dora.meminfo()["MemTotal"] == dora.whole_bytes
    # The kernel frees a module's memory later, from a worker.
    wait_for(lambda: driver.available_mib(dora) > before - 4, "as much to be available")


# Taken over

@on_each_anew
def test_the_drivers_take_over_from_each_other(lab, kind):
    with lab.guest("heir", **{**driver.spec(kind), "memory": WHOLE, "driver": "stock"}) as guest:
        guest.hold("kept", KEPT)
        reach(guest, SMALL)
        for successor in ("aerostat", "stock", "aerostat"):
            begin = time.monotonic()
            guest.unload_driver()
            gone = time.monotonic()
            guest.load_driver(successor)
            wait_for(lambda: guest.actual() == SMALL * MIB, f"{successor} to be there")
            print(f"{kind}: unloaded in {gone - begin:.2f} s, then {successor} there in "
                  f"{time.monotonic() - gone:.2f} s")
        driver.assert_accounted(guest)
        driver.assert_intact(guest, "kept")
        driver.go(guest, WHOLE)
        driver.assert_all_usable(guest)
        driver.assert_sound(guest)


def reach(guest, mib):
    """By whichever driver, whose size is the host's only word of it."""
    driver.aim(guest, mib)
    wait_for(lambda: guest.actual() == mib * MIB, f"{guest.name} to have {mib} MiB")


# Asleep

def taken(guest):
    """How many pages the driver ever took from its guest."""
    told = driver.counters(guest)
    return told["harvested"] + sum(n << order for order, n in enumerate(told["allocated"]))


@on_each_and_6_1_always
@pytest.mark.parametrize("state", ("freeze", "mem"))
def test_the_balloon_keeps_its_pages_over_a_sleep(dora, state):
    driver.go(dora, SMALL)
    before = dora.meminfo()["MemTotal"], taken(dora)
    with driver.asleep(dora, state):
        assert driver.ram_bytes(dora) <= SMALL * MIB
    wait_for(lambda: driver.is_at(dora, SMALL), "the host to know of the balloon again")
    driver.assert_accounted(dora)
    assert (dora.meminfo()["MemTotal"], taken(dora)) == before
    driver.go(dora, WHOLE)
    driver.assert_all_usable(dora)


@on_each
@pytest.mark.parametrize("there, then", ((SMALL, WHOLE), (WHOLE, SMALL)), ids=("up", "down"))
def test_a_target_that_changed_during_a_sleep_is_reached(dora, there, then):
    driver.go(dora, there)
    with driver.asleep(dora, "freeze"):
        driver.aim(dora, then)
    wait_for(lambda: driver.is_at(dora, then), "the new target to be reached")
    driver.assert_accounted(dora)


@on_each
@pytest.mark.parametrize("way", ("inflation", "deflation"))
def test_a_balloon_on_its_way_goes_on_after_a_sleep(dora, way):
    start, end = (WHOLE, SMALL) if way == "inflation" else (SMALL, WHOLE)
    wait_for(lambda: sleep_on_the_way(dora, start, end), f"{dora.name} to sleep on the way")
    wait_for(lambda: driver.is_at(dora, end), "the target to be reached")
    driver.assert_accounted(dora)


@on_each
@pytest.mark.parametrize("setting", ("enabled", "disabled"))
def test_a_new_target_keeps_the_guest_awake_if_it_may(dora, setting):
    """Until it is reached, and no longer."""
    power = f"{served.DRIVER}/virtio*/power"
    assert dora.run(f"cd {power}; echo {setting} > wakeup").status == 0

    def wakeups():
        return int(dora.run(f"cat {power}/wakeup_active_count").output.strip() or 0)

    def is_kept_awake():
        return dora.run(f"cat {power}/wakeup_active").output.strip() == "1"

    before = wakeups()
    driver.go(dora, SMALL)
    wait_for(lambda: not is_kept_awake(), "the guest to be let sleep")
    assert (wakeups() > before) == (setting == "enabled")


# Hibernated

@on_each_anew
def test_a_hibernated_balloon_is_there_again(lab, kind):
    """Its image is written to the disk and read from it, all in one boot."""
    with driver.booted(lab, "dormouse", kind, memory=768, swap_disk=512) as guest:
        guest.hold("kept", KEPT)
        guest.swap("on disk")
        driver.go(guest, 384)
        before = guest.meminfo()["MemTotal"]
        driver.hibernate(guest)
        assert "resuming" not in guest.run("dmesg | grep PM").output
        wait_for(lambda: driver.is_at(guest, 384), "the host to know of the balloon again")
        driver.assert_accounted(guest)
        assert guest.meminfo()["MemTotal"] == before
        driver.assert_intact(guest, "kept")
        driver.go(guest, 768)
        driver.go(guest, 384)


@on_each_qemu
def test_a_guest_hibernated_wakes_up_in_another_qemu_with_another_target(lab, kind):
    spec = {**driver.spec(kind), "memory": WHOLE, "swap_disk": 256}
    with contextlib.ExitStack() as stack:
        guest = stack.enter_context(lab.guest("larva", **spec))
        whole_bytes = guest.meminfo()["MemTotal"]
        guest.hold("kept", KEPT)
        driver.go(guest, SMALL)
        guest.swap("on disk")
        guest.run(f"({driver.HIBERNATE.format(how='shutdown')}) >/dev/null 2>&1 &")
        wait_for(lambda: not guest.alive(), "the guest to hibernate")

        another = stack.enter_context(lab.guest("imago", **{**spec, "driver": None}))
        driver.aim(another, 300)
        subprocess.run(["cp", "--sparse=always", guest.nest.path / "swap",
                        another.nest.path / "swap"], check=True)
        another.run("echo 1 > /proc/sys/vm/drop_caches; "
                    "(cat $(dirname $(grep -l swap /sys/block/vd*/serial))/dev > /sys/power/resume)"
                    " > /dev/null 2>&1 &")
        wait_for(lambda: (driver.answers(another) or " ")[0] == guest.boot_id,
                 "the old boot to go on")
        wait_for(lambda: driver.is_at(another, 300), "the new target to be reached")
        driver.assert_accounted(another)
        driver.assert_intact(another, "kept")
        driver.go(another, WHOLE)
        assert another.meminfo()["MemTotal"] == whole_bytes
        another.check_kernel_log()


# Booted again

@on_each_anew
@pytest.mark.parametrize("how", ("reboot", "kexec"))
def test_a_guest_with_a_full_balloon_boots_again(lab, kind, how):
    # A kernel that was booted by kexec has as much memory as one booted the same way.
    packaged = how == "kexec"
    with driver.booted(lab, "phoenix", kind, memory=WHOLE, packaged_kernel=packaged) as guest:
        whole_bytes, boot_id = guest.meminfo()["MemTotal"], guest.boot_id
        driver.go(guest, SMALL)
        getattr(guest, how)()
        assert guest.boot_id != boot_id
        driver.wait_for_driver(guest)
        wait_for(lambda: driver.is_at(guest, SMALL), "the same target to be reached")
        driver.assert_accounted(guest)
        driver.go(guest, WHOLE)
        # A kernel that was booted by another has some pages of words from it.
        assert abs(guest.meminfo()["MemTotal"] - whole_bytes) < MIB // 4
        driver.assert_all_usable(guest)


# Kernels that look closely

def features(guest):
    """The numbers of the bits that driver and device agreed on."""
    bits = guest.run(f"cat {served.DRIVER}/virtio*/features").output.strip()
    return {number for number, bit in enumerate(bits) if bit == "1"}


PAGE_POISON, REPORTING = 4, 5
ZEROED = "init_on_free=1 init_on_alloc=0"


@pytest.mark.parametrize("kernel_args, poison, agreed", (
    (ZEROED, True, {PAGE_POISON, REPORTING}),
    (ZEROED, False, set()),
    pytest.param("", True, {REPORTING}, marks=pytest.mark.long),
), ids=("zeroes, host knows", "zeroes, host does not", "does not zero"))
def test_a_guest_that_zeroes_free_pages_lets_the_host_discard_them_if_it_knows(
        lab, kernel_args, poison, agreed):
    balloon = {"free-page-reporting": True, "page-poison": poison}
    with driver.booted(lab, "cleaner", "6.12 ours", memory=WHOLE, kernel_args=kernel_args,
                       balloon=balloon) as guest:
        assert features(guest) & {PAGE_POISON, REPORTING} == agreed
        guest.hold("used", 300)
        used = driver.ram_bytes(guest)
        guest.release("used")
        if REPORTING in agreed:     # also: the poison is zero, or our device would keep them
            wait_for(lambda: driver.ram_bytes(guest) < used - 250 * MIB, "free pages to go")
        driver.go(guest, SMALL)
        if REPORTING not in agreed:
            assert driver.counters(guest)["reported"] == 0


@pytest.mark.parametrize("kind", driver.matrix(hosts=HOSTS, quick=("6.12 host",)))
def test_pages_are_zero_when_they_come_back_to_a_kernel_that_counts_on_it(lab, kind):
    balloon = {"free-page-reporting": True, "page-poison": True}
    with driver.booted(lab, "believer", kind, memory=WHOLE, kernel_args=ZEROED,
                       balloon=balloon) as guest:
        for _ in range(3):
            served.use_up(guest)    # leaves something in them
            driver.aim(guest, SMALL)
            driver.go(guest, WHOLE)
            found = guest.hold("new", driver.available_mib(guest) - 64)
            assert found.bad_pages == 0
            driver.assert_intact(guest, "new")
            guest.release("new")


@on_each_anew
def test_a_kernel_that_checks_its_allocators_finds_nothing(lab, kind):
    numbers = driver.dice()
    with driver.booted(lab, "inspector", kind, memory=WHOLE,
                       kernel_args="slub_debug=FZPU init_on_free=1") as guest:
        guest.hold("kept", KEPT)
        driver.wander(guest, 12, SMALL, WHOLE, numbers)
        driver.assert_intact(guest, "kept")
        guest.unload_driver()       # its caches and allocations are looked at once more
        guest.load_driver("aerostat")
        driver.wait_for_driver(guest)
        driver.wander(guest, 4, SMALL, WHOLE, numbers, lambda step: driver.compact(guest))
        driver.assert_intact(guest, "kept")
