# SPDX-License-Identifier: BSD-3-Clause
"""What our own driver tells the host of its guest's memory, against what the guest itself says."""
import contextlib
import time

import pytest

from command import MIB
from driver import asleep
from lab.wait import wait_for
from served import BALLOON

PAGE = 4096
long = pytest.mark.long
# Linux has had more of the standard ones since 6.12.
KERNELS = ("6.1", "6.12", pytest.param("7.3", marks=long))
ONE_KERNEL_OR_ALL = ("6.12", *(pytest.param(kernel, marks=long) for kernel in ("6.1", "7.3")))
UNSET = 1 << 63     # from here on a statistic was not sent: 2^64 - 1, as a double perhaps

# The statistics that only grow: their names in /proc/vmstat, and the unit of the protocol.
COUNTED = {
    "stat-swap-in": ("pswpin", PAGE),
    "stat-swap-out": ("pswpout", PAGE),
    "stat-major-faults": ("pgmajfault", 1),
    "stat-minor-faults": ("pgfault", 1),
    "stat-htlb-pgalloc": ("htlb_buddy_alloc_success", 1),
    "stat-htlb-pgfail": ("htlb_buddy_alloc_fail", 1),
    "stat-oom-kills": ("oom_kill", 1),
    "stat-async-scans": ("pgscan_kswapd", PAGE),
    "stat-direct-scans": ("pgscan_direct", PAGE),
    "stat-async-reclaims": ("pgsteal_kswapd", PAGE),
    "stat-direct-reclaims": ("pgsteal_direct", PAGE),
}
SIZES = {
    "stat-free-memory": lambda info: info["MemFree"],
    "stat-available-memory": lambda info: info["MemAvailable"],
    "stat-disk-caches": lambda info: info["Cached"] + info["Buffers"] + info["SwapCached"],
}
PRIVATE_COUNTED = {
    "refaults-anon": ("workingset_refault_anon", 1),
    "refaults-file": ("workingset_refault_file", 1),
}
PRESSURE = {"psi-some-us": "some", "psi-full-us": "full"}


@contextlib.contextmanager
def telling(lab, kernel="6.12", driver="aerostat", **spec):
    """A guest of our driver that is asked each second."""
    with lab.guest("teller", kernel=kernel, driver=driver, balloon={"stats-period": 1},
                   **spec) as guest:
        yield guest
        guest.check_kernel_log()


def told(guest):
    return guest.device_qmp("qom-get", path=BALLOON, property="guest-stats")


def sample(guest):
    """One that was taken wholly after this was called."""
    begin = time.time()
    wait_for(lambda: told(guest)["last-update"] > begin + 1, "a fresh sample")
    return {name: value for name, value in told(guest)["stats"].items() if value < UNSET}


def stir(guest):
    """Has the guest reclaim, swap out, swap in, kill, and fault its pages in again."""
    guest.run("echo 8 > /proc/sys/vm/nr_hugepages; echo 0 > /proc/sys/vm/nr_hugepages")
    guest.hold("too-much", 1000)        # the OOM killer's
    guest.release("too-much")
    guest.swap("on disk")
    guest.hold("cache", 60, "cache")
    assert guest.hold("overflow", guest.meminfo()["MemAvailable"] // MIB + 60).alive
    assert guest.touch("overflow", full=True).alive
    guest.touch("cache", full=True)
    guest.release("overflow")


def sample_at_rest(guest):
    """A sample, and what the guest itself said before it and after it.

    Meanwhile nothing was reclaimed, swapped or freed.
    """
    def look():
        return guest.vmstat(), guest.psi(), guest.meminfo()

    def taken_at_rest():
        before = look()
        stats = sample(guest)
        after = look()
        return before[-1]["SwapFree"] == after[-1]["SwapFree"] \
            and all(abs(size(before[-1]) - size(after[-1])) < MIB for size in SIZES.values()) \
            and (stats, before, after)
    return wait_for(taken_at_rest, "the guest to rest")


def stalls(vmstat):
    return sum(value for name, value in vmstat.items() if name.startswith("allocstall_"))


def assert_between(stats, names, before, after):
    """What only grows is not below what it was before, nor above what it is now."""
    for name, (counter, unit) in names.items():
        assert before[counter] * unit <= stats[name] <= after[counter] * unit, name


@pytest.mark.parametrize("kernel", KERNELS)
def test_standard_statistics_are_the_guests_own(lab, kernel):
    with telling(lab, kernel, memory=256, swap_disk=256, qemu="newer") as guest:
        stir(guest)
        stats, (before, _, _), (after, _, info) = sample_at_rest(guest)
        assert_between(stats, COUNTED, before, after)
        assert stalls(before) <= stats["stat-alloc-stalls"] <= stalls(after)
        assert stats["stat-total-memory"] == info["MemTotal"]
        for name, size in SIZES.items():
            assert abs(stats[name] - size(info)) < 8 * MIB, name
        # Nothing was compared with nothing.
        for name in ("stat-swap-in", "stat-swap-out", "stat-oom-kills", "stat-htlb-pgalloc"):
            assert stats[name] > 0, name
        for what in ("scans", "reclaims"):      # who reclaims is a matter of timing
            assert stats[f"stat-async-{what}"] + stats[f"stat-direct-{what}"] > 0


@pytest.mark.parametrize("kernel", ONE_KERNEL_OR_ALL)
def test_private_statistics_are_the_guests_own(lab, aerostat, kernel):
    with telling(lab, kernel, memory=256, swap_disk=256, device="aerostat") as guest:
        stir(guest)
        stats, (before, pressed_before, _), (after, pressed, info) = sample_at_rest(guest)
        assert_between(stats, PRIVATE_COUNTED, before, after)
        for name, kind in PRESSURE.items():
            assert pressed_before[kind]["total"] <= stats[name] <= pressed[kind]["total"], name
            assert stats[name] > 0
        assert stats["refaults-anon"] > 0
        assert 0 < stats["free-swap"] == info["SwapFree"]

        def free_swap_is_shown():
            """The guest may swap again between any two looks."""
            free = sample(guest)["free-swap"]
            lines = aerostat("dommemstat", guest.address).out.splitlines()
            shown = aerostat("dommemstat", guest.address, "--json").json
            assert shown["psi_some_us"] >= stats["psi-some-us"]
            return shown["free_swap"] == free and f"free_swap {free // 1024}" in lines
        wait_for(free_swap_is_shown, "the free swap to be shown")


def test_a_kernel_without_psi_tells_the_rest(lab):
    with telling(lab, memory=256, device="aerostat", kernel_args="psi=0") as guest:
        stats = sample(guest)
        assert not set(PRESSURE) & set(stats)
        assert {"refaults-anon", "free-swap", "stat-free-memory"} <= set(stats)


def test_a_driver_that_is_there_before_proc_tells_of_pressure(lab):
    with telling(lab, memory=256, device="aerostat", driver=None) as guest:
        assert guest.run("umount -l /proc; test ! -e /proc/pressure").status == 0
        guest.load_driver("aerostat")
        try:
            assert set(PRESSURE) <= set(sample(guest))
        finally:
            guest.run("mount -t proc proc /proc")
        mounts = guest.run("grep -c ' proc ' /proc/mounts").output
        assert mounts == "1\n"      # the driver's own is nobody's business


def test_private_statistics_can_be_left_out(lab):
    with telling(lab, memory=256, device="aerostat", driver_params="extra_stats=0") as guest:
        stats = sample(guest)
        assert not [name for name in stats if not name.startswith("stat-")]
        assert "stat-direct-reclaims" in stats


def test_statistics_stay_fresh_while_an_inflation_is_stuck(lab):
    with telling(lab, memory=384, driver_params="floor_mib=0") as guest:
        guest.hold("kept", 200)
        guest.qmp("balloon", value=64 * MIB)
        wait_for(lambda: guest.actual() < 300 * MIB, "the balloon to be as large as it gets")
        guest.heartbeat.mark()
        looks, oldest, seen = [time.monotonic()], 0, set()

        def watched():
            nonlocal oldest
            last = told(guest)["last-update"]
            oldest = max(oldest, time.time() - last)
            seen.add(last)
            looks.append(time.monotonic())
            return len(seen) >= 8

        wait_for(watched, "eight samples")
        assert guest.actual() > 200 * MIB       # out of reach it was
        # Two periods, and the second that is cut off; more only if the guest, its QEMU, or we
        # had to wait for the processor.
        longest_s = max(guest.heartbeat.longest_gap_ms / 1000,
                        *(late - early for early, late in zip(looks, looks[1:])))
        assert oldest <= 3 + 10 * longest_s
        assert guest.touch("kept", full=True).bad_pages == 0
        guest.qmp("balloon", value=384 * MIB)
        wait_for(lambda: guest.actual() == 384 * MIB, "the guest to be whole")


def test_statistics_go_on_after_the_driver_came_again(lab):
    with telling(lab, memory=256) as guest:
        for _ in range(3):
            guest.unload_driver()
            guest.load_driver()
            assert sample(guest)["stat-total-memory"] == guest.meminfo()["MemTotal"]


@pytest.mark.parametrize("device", [pytest.param("qemu", marks=long), "aerostat"])
def test_statistics_go_on_after_a_sleep(lab, device):
    with telling(lab, memory=256, device=device) as guest:
        for _ in range(2):
            with asleep(guest, "freeze"):
                pass
            assert sample(guest)["stat-total-memory"] == guest.meminfo()["MemTotal"]
