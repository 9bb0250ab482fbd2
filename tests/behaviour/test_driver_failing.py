# SPDX-License-Identifier: BSD-3-Clause
"""Each step of the driver's start fails once, at probe and on resume, and nothing is left behind.

Debian's kernels are built without fault injection, so the driver is built here with calls that
fail on request (FALLIBLE): its parameter fail_at=N makes the N-th of them fail.  The guest's
allocator poisons what is freed, so that whatever uses it afterwards crashes.
"""
import re
import shutil

import pytest

import driver
import served
from conftest import BUILD
from lab import Lab
from lab.wait import wait_for

MEMORY, SMALL = 384, 256
# What the driver calls that can fail, and what a failure returns.
FALLIBLE = {
    "kzalloc": "NULL", "kmalloc_array": "NULL", "alloc_workqueue": "NULL",
    "virtio_find_vqs": "-ENOENT", "page_reporting_register": "-EBUSY",
    "register_oom_notifier": "-ENOMEM", "register_pm_notifier": "-ENOMEM",
    "shrinker_alloc": "NULL", "register_shrinker": "-ENOMEM",
}
COUNT_DOWN = """
#include <linux/atomic.h>
#include <linux/moduleparam.h>
int vb_fail_at;
module_param_named(fail_at, vb_fail_at, int, 0644);
"""
FAILS = """
extern int vb_fail_at;
#define FAILS(failure, call) (vb_fail_at && !--vb_fail_at ? (failure) : (call))
"""
PROBE_STEPS = 8     # at least so many of them prevent the driver from taking the device
FEATURES = {"deflate-on-oom": True, "free-page-reporting": True, "free-page-hint": True}
FAIL_AT = "/sys/module/virtio_balloon/parameters/fail_at"
KERNELS = ("6.12", *(pytest.param(kernel, marks=pytest.mark.long) for kernel in ("6.1", "7.3")))


def with_failures(source, folder):
    """A copy of the driver whose calls fail on request."""
    shutil.copytree(source, folder)
    calls = re.compile(rf"\b({'|'.join(FALLIBLE)})\(")
    for path in folder.glob("*.[ch]"):
        path.write_text(calls.sub(r"FALLIBLE_\1(", path.read_text()))
    (folder / "fails.c").write_text(COUNT_DOWN)
    (folder / "fails.h").write_text(FAILS + "".join(
        f"#define FALLIBLE_{name}(...) FAILS({failure}, {name}(__VA_ARGS__))\n"
        for name, failure in FALLIBLE.items()))
    with open(folder / "Kbuild", "a", encoding="ascii") as kbuild:
        kbuild.write("virtio_balloon-y += fails.o\nccflags-y += -include $(src)/fails.h\n")
    return folder


@pytest.fixture(scope="module")
def failing_lab(tmp_path_factory):
    lab = Lab(BUILD)
    folder = tmp_path_factory.mktemp("driver")
    lab.driver_source = with_failures(lab.driver_source, folder / "guest")
    return lab


@pytest.fixture(scope="module", params=KERNELS)
def _ruth(failing_lab, request):
    with failing_lab.guest("ruth", kernel=request.param, memory=MEMORY, device="aerostat",
                           packaged_kernel=True, driver="aerostat", balloon=FEATURES,
                           kernel_args="slub_debug=FZPU init_on_free=1") as guest:
        driver.wait_for_driver(guest)
        guest.whole_bytes = guest.meminfo()["MemTotal"]
        guest.free_mib = driver.free_mib(guest)
        yield guest


@pytest.fixture
def ruth(_ruth):
    """A guest whose driver fails on request, and is there and whole afterwards."""
    yield _ruth
    driver.reload(_ruth)
    driver.go(_ruth, MEMORY)
    assert_whole(_ruth)


def assert_whole(guest):
    guest.check_kernel_log()
    assert guest.meminfo()["MemTotal"] == guest.whole_bytes
    guest.run("echo 3 >/proc/sys/vm/drop_caches")
    wait_for(lambda: driver.free_mib(guest) > guest.free_mib - 24, "all memory to be free")


def fail_at(guest, number):
    assert guest.run(f"echo {number} >{FAIL_AT}").status == 0


def is_bound(guest):
    return guest.run(f"ls -d {served.DRIVER}/virtio*").status == 0


def is_used_up(guest):
    return guest.run(f"cat {FAIL_AT}").output == "0\n"


def test_a_probe_that_fails_at_any_step_leaves_nothing_behind(ruth):
    number, failed = 0, 0
    while True:
        number += 1
        ruth.unload_driver()
        ruth.load_driver("aerostat", f"fail_at={number}")
        if not is_used_up(ruth):
            break
        failed += not is_bound(ruth)
        ruth.check_kernel_log()
    print(f"{failed} of {number - 1} failures kept the driver from its device")
    assert failed >= PROBE_STEPS
    ruth.unload_driver()
    assert_whole(ruth)
    ruth.load_driver("aerostat")


def sleep_and_fail(guest):
    """Its queues cannot be had on resume."""
    fail_at(guest, 1)
    with driver.asleep(guest, "mem"):
        pass
    assert is_used_up(guest)
    assert not served.state(guest)["driver-ready"]


def use_what_is_left(guest):
    """Everything that can reach a driver which lost its queues."""
    driver.compact(guest)
    assert driver.counters(guest)["size"] == 0
    assert guest.meminfo()["MemTotal"] == guest.whole_bytes
    assert guest.hold("used", driver.available_mib(guest) - 48).alive
    guest.release("used")


def test_a_resume_without_queues_gives_all_memory_back(ruth):
    driver.go(ruth, SMALL)
    sleep_and_fail(ruth)
    use_what_is_left(ruth)
    assert_whole(ruth)


def test_a_device_that_could_not_be_resumed_can_be_unplugged(ruth):
    driver.go(ruth, SMALL)
    sleep_and_fail(ruth)
    ruth.unplug()
    assert_whole(ruth)
    ruth.plug()


def test_a_resume_that_failed_is_made_up_for_by_the_next_one(ruth):
    driver.go(ruth, SMALL)
    for _ in range(2):
        sleep_and_fail(ruth)
    driver.aim(ruth, SMALL + 32)
    with driver.asleep(ruth, "mem"):
        pass
    wait_for(lambda: driver.is_at(ruth, SMALL + 32), "the target to be reached")
    driver.assert_accounted(ruth)
