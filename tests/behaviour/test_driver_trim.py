# SPDX-License-Identifier: BSD-3-Clause
"""Trim: a guest with our driver gives up cold page cache when the host asks our device for it."""
import pytest

import driver
import served
from command import MIB
from lab.wait import wait_for

WHOLE, FILE, ANON, ASKED = 512, 200, 100, 120   # MiB
# Before 6.9 a kernel cannot be asked for cache only, so a guest that can swap is left alone.
SWAP = 256
CAN_WITH_SWAP = ("6.12", "7.3")


@pytest.fixture(scope="module", params=driver.matrix(quick=("6.12 ours",), hosts=("ours",)))
def _trudy(lab, request):
    with driver.booted(lab, "trudy", request.param, memory=WHOLE, swap_disk=SWAP,
                       balloon={"free-page-reporting": True}) as guest:
        if guest.spec.kernel in CAN_WITH_SWAP:
            guest.swap("on disk")
        yield guest


@pytest.fixture
def trudy(_trudy):
    """A guest with a file in its cache that nobody reads."""
    _trudy.hold("anon", ANON)
    _trudy.hold("file", FILE, "cache")
    yield _trudy
    driver.assert_intact(_trudy, "anon", "file")
    driver.put_back(_trudy)


def trimmed(guest):
    return driver.counters(guest)["trimmed"] * driver.PAGE // MIB


def cache(guest):
    info = guest.meminfo()
    return info["Cached"] + info["Buffers"]     # the file is a disk


def test_a_trim_gives_up_cache_and_nothing_else(trudy):
    begin, swapped = trimmed(trudy), trudy.vmstat()["pswpout"]
    cached, size = cache(trudy), trudy.actual()
    cost = driver.ram_bytes(trudy)
    trudy.device_qmp("x-trim", value=ASKED * MIB)
    wait_for(lambda: trimmed(trudy) >= begin + ASKED * 3 // 4, "the cache to be given up")
    assert cache(trudy) < cached - ASKED // 2 * MIB
    assert trudy.vmstat()["pswpout"] == swapped
    assert trudy.actual() == size
    wait_for(lambda: driver.ram_bytes(trudy) < cost - ASKED // 2 * MIB, "the host to have it")
    trudy.device_qmp("qom-set", path=served.BALLOON, property="guest-stats-polling-interval",
                     value=1)
    wait_for(lambda: 0 < trudy.device_qmp("qom-get", path=served.BALLOON, property="guest-stats")
             ["stats"]["trimmed"] <= WHOLE * MIB, "the statistics to show it")


@pytest.mark.long
def test_a_guest_may_refuse_to_be_trimmed(trudy):
    switch = "/sys/module/virtio_balloon/parameters/trim"
    assert trudy.run(f"echo N >{switch}").status == 0
    before = trimmed(trudy)
    trudy.device_qmp("x-trim", value=ASKED * MIB)
    assert trudy.run(f"sleep 1; echo Y >{switch}").status == 0
    assert trimmed(trudy) == before
