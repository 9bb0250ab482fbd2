# SPDX-License-Identifier: BSD-3-Clause
"""What guests' RAM is made of on the host: it is given back as that wants it, and looked after."""
import re

import pytest

from command import MIB
from lab import Unavailable
from lab.wait import wait_for
from served import (aim, another_device, assert_sound, counters, events, long, mapped_huge_bytes,
                    on_each_kernel_if_long, ram, ram_bytes, reach, resident, spec, state, use_up,
                    wait_for_driver, whole_mib)

OUT = 120       # MiB in the balloon


# The audit

def ballooned_pages(guest, file):
    """The pages whose memory went when the balloon grew."""
    use_up(guest)
    before = resident(file)
    reach(guest, whole_mib(guest) - OUT)
    return sorted(before - resident(file))


def touch(file, pages):
    """As a guest would that uses what it gave away; no driver of Linux does, so its memory is
    written to from outside."""
    for page in pages:
        file.seek(page * 4096 + 123)
        file.write(b"\1")


def audit(guest):
    with events(guest) as monitor:
        monitor.execute("x-audit")
        monitor.wait_event("X_AUDIT")
    return guest.device_qmp("x-query-audit")


@on_each_kernel_if_long
def test_the_audit_finds_no_page_of_an_honest_guest(carol):
    reach(carol, whole_mib(carol) - OUT)
    found = audit(carol)
    assert found["checked-pages"] == OUT * 256
    assert found["resident-pages"] == found["released-pages"] == 0
    assert counters(carol)["audit-resident-pages"] == 0


@on_each_kernel_if_long
def test_the_audit_finds_each_page_that_was_touched_again(carol):
    with another_device(carol), ram(carol) as file:     # whose log may tell of it
        touched = ballooned_pages(carol, file)[::97]
        touch(file, touched)
        found = audit(carol)
        assert found["resident-pages"] == len(touched) > 50
        assert found["released-pages"] == 0
        assert set(touched) <= resident(file)
        assert f"the guest uses {len(touched)} of" in carol.device_log.read_text()


@on_each_kernel_if_long
def test_the_audit_releases_what_it_finds_if_told_to(carol):
    with another_device(carol, "--audit=release"), ram(carol) as file:
        touched = ballooned_pages(carol, file)[::97]
        touch(file, touched)
        found = audit(carol)
        assert found["resident-pages"] == found["released-pages"] == len(touched)
        wait_for(lambda: not set(touched) & resident(file), "the pages to be released again")
        assert audit(carol)["resident-pages"] == 0


@on_each_kernel_if_long
def test_the_audit_comes_by_itself(carol):
    with another_device(carol, "--audit=release", "--audit-interval=1"), ram(carol) as file:
        touched = ballooned_pages(carol, file)[::97]
        touch(file, touched)
        wait_for(lambda: not set(touched) & resident(file), "the pages to be released again")


# Pages that come back

@on_each_kernel_if_long
def test_pages_that_the_guest_takes_back_may_be_populated_at_once(carol):
    whole = whole_mib(carol)
    use_up(carol)
    with another_device(carol, "--populate"):
        reach(carol, whole - OUT)
        small = ram_bytes(carol)
        reach(carol, whole)
        assert counters(carol)["populated-bytes"] == OUT * MIB
        assert ram_bytes(carol) - small >= OUT * MIB


@on_each_kernel_if_long
def test_unused_pages_that_the_guest_takes_back_stay_with_the_host(carol):
    whole = whole_mib(carol)
    use_up(carol)
    reach(carol, whole - OUT)
    small = ram_bytes(carol)
    reach(carol, whole)
    assert ram_bytes(carol) - small < 40 * MIB


@on_each_kernel_if_long
def test_a_page_that_is_used_again_before_it_was_released_keeps_its_content(carol):
    """A target out of reach keeps the driver taking; what it takes waits for its huge page to
    fill, while a process takes it back, out of memory."""
    parts = [f"used{number}" for number in range(4)]

    def take_back():
        """Whether a page that still waited was among what the guest took back."""
        carol.release_all()
        aim(carol, whole_mib(carol))
        aim(carol, 100)
        wait_for(lambda: state(carol)["ballooned"] > 100 * MIB, "the balloon to grow")
        for part in parts:
            assert carol.hold(part, 25).alive
        return counters(carol)["release-cancelled-pages"] > 0

    with another_device(carol, "--features=+deflate-on-oom", "--release-delay=60000"):
        wait_for(take_back, "a page to be used again that was not released yet")
        aim(carol, whole_mib(carol) - OUT // 2)     # reached, and all that waits is released
        wait_for(lambda: state(carol)["pending"] == 0, "the releases")
        for part in parts:
            held = carol.touch(part, full=True)
            assert held.alive and held.bad_pages == 0
            carol.release(part)


# Huge pages

@pytest.fixture
def on_huge(lab, request):
    backing, kind = request.param
    try:
        with lab.guest("frank", memory=384, backing=backing, **spec(kind)) as guest:
            wait_for_driver(guest)
            yield guest
            assert_sound(guest)
    except Unavailable as why:
        pytest.skip(str(why))


def on(backing):
    kinds = [("6.12 over vfio-user", ()), ("6.1 over vfio-user", long),
             ("7.3 over vfio-user", long), ("6.12 over vhost-user", long)]
    return pytest.mark.parametrize("on_huge", [
        pytest.param((backing, kind), id=kind, marks=marks) for kind, marks in kinds],
        indirect=True)


@on("hugetlb")
def test_pages_of_hugetlb_go_whole_and_come_back_unharmed(on_huge):
    assert state(on_huge)["memory"] == {"hugetlb": 384 * MIB}
    on_huge.hold("kept", 40)
    use_up(on_huge, spare=16)
    gather_free_pages(on_huge)
    # The guest's pages come in no order, so that some huge pages stay incomplete.
    most = (384 - OUT // 2) * MIB
    assert ram_bytes(on_huge) > most
    on_huge.device_qmp("balloon", value=(384 - OUT) * MIB)
    wait_for(lambda: on_huge.actual() == (384 - OUT) * MIB, "the balloon")
    wait_for(lambda: ram_bytes(on_huge) < most, "huge pages to be free")
    reach(on_huge, 384)
    on_huge.hold("again", 150)
    assert on_huge.touch("again", full=True).bad_pages == 0
    assert on_huge.touch("kept", full=True).bad_pages == 0


def gather_free_pages(guest):
    """In whole huge pages, as far as the guest can: tests before have left them in any order."""
    assert guest.run("echo 1 >/proc/sys/vm/compact_memory").status == 0


def huge_page_fallbacks():
    """How often the host had no huge page for shared memory."""
    with open("/proc/vmstat", encoding="ascii") as file:
        return int(re.search(r"^thp_file_fallback (\d+)$", file.read(), re.M)[1])


def assert_huge(guest, least, fallbacks):
    """Unless the host itself ran out of huge pages, which then are missing for that reason."""
    if mapped_huge_bytes(guest) <= least and huge_page_fallbacks() > fallbacks:
        pytest.skip("the host had no free huge pages for the guest")
    assert mapped_huge_bytes(guest) > least


@on("shmem-thp")
def test_transparent_huge_pages_survive_a_balloon(on_huge):
    fallbacks = huge_page_fallbacks()
    on_huge.hold("kept", 40)
    use_up(on_huge)
    gather_free_pages(on_huge)
    assert_huge(on_huge, 200 * MIB, fallbacks)
    huge = mapped_huge_bytes(on_huge)
    # The host keeps a huge page of which it cannot give back a part.
    most = (384 - OUT + 20) * MIB
    assert ram_bytes(on_huge) > most
    reach(on_huge, 384 - OUT)
    assert ram_bytes(on_huge) <= most
    # None but those at the edges was cut up.
    assert_huge(on_huge, huge - (OUT + 40) * MIB, fallbacks)
    reach(on_huge, 384)
    on_huge.hold("again", 180)
    assert on_huge.touch("again", full=True).bad_pages == 0
    assert on_huge.touch("kept", full=True).bad_pages == 0
    assert_huge(on_huge, huge - 60 * MIB, fallbacks)
