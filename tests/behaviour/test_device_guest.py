# SPDX-License-Identifier: BSD-3-Clause
"""Our own device under real guests and their stock drivers: it serves them as QEMU's would."""
import json

import pytest

from command import DONE, MIB, SHORT
from lab.wait import HANG_S, wait_for
from served import (BALLOON, DRIVER, aim, another_device, assert_full, assert_given, counters,
                    on_each_kernel, on_each_kernel_if_long, on_vfio_user, ram_bytes, reach, state,
                    use_up, wait_for_driver, wait_until_at, whole_mib)

ALWAYS = {"must-tell-host", "stats", "free-page-hint", "event-idx", "version-1"}
STATS_OF_6_1 = 10
UNSET = (1 << 64) - 1


# The driver

@on_each_kernel
def test_the_stock_driver_binds(carol):
    bound = carol.run(f"ls -d {DRIVER}/virtio*").output.split()
    assert len(bound) == 1
    now = state(carol)
    assert now["transport"] == carol.spec.transport
    assert now["driver-ready"] and now["vmm-connected"]
    assert ALWAYS <= set(now["acknowledged"]) <= set(now["offered"])
    assert now["memory"] == {"shmem": now["max"]}


@on_each_kernel
def test_stock_linux_uses_packed_rings(carol):
    assert "packed" in state(carol)["acknowledged"]


@on_each_kernel
def test_pages_go_to_the_host_and_come_back_unharmed(carol):
    whole = whole_mib(carol)
    carol.hold("kept", 40)
    use_up(carol)
    before = ram_bytes(carol)
    reach(carol, whole - 160)
    assert_given(carol, before, whole - 160)
    assert carol.meminfo()["MemTotal"] < (whole - 160) * MIB
    reach(carol, whole)
    carol.hold("again", 180)
    assert carol.touch("again", full=True).bad_pages == 0
    assert carol.touch("kept", full=True).bad_pages == 0
    carol.release("again")
    carol.release("kept")


@on_each_kernel
def test_a_driver_that_is_unloaded_and_loaded_follows_the_target(full):
    for _ in range(2):
        full.unload_driver()
        assert state(full)["ballooned"] == 0
        full.load_driver()
        assert_full(full)


@on_each_kernel_if_long
def test_target_on_the_command_line_is_there_from_the_start(carol):
    whole = whole_mib(carol)
    with another_device(carol, f"--target={whole - 100}M"):
        wait_until_at(carol, whole - 100)


@on_each_kernel_if_long
def test_the_guest_is_neither_paused_nor_rebooted(carol):
    boot_id = carol.ping()[0]
    carol.heartbeat.mark()
    reach(carol, whole_mib(carol) - 100)
    reach(carol, whole_mib(carol))
    assert carol.ping()[0] == boot_id
    assert carol.heartbeat.reboots == 0 and carol.heartbeat.beats > 0


# aerostat, as on QEMU's balloon

@on_each_kernel_if_long
def test_setmem_measures_what_the_host_got(carol, aerostat):
    use_up(carol)
    whole = whole_mib(carol)
    before, before_ram = carol.host_bytes(), ram_bytes(carol)
    result = aerostat("setmem", carol.address, f"{whole - 100}M", "--json")
    assert result.code == DONE, result
    answer = result.json
    assert answer["after_bytes"] == (whole - 100) * MIB == carol.actual()
    wait_until_at(carol, whole - 100)
    assert_given(carol, before_ram, whole - 100)
    # Between the looks of both, QEMU needs more for the code that it translates.
    measured = before - carol.host_bytes()
    assert abs(measured - answer["host_gain_bytes"]) < 32 * MIB
    assert aerostat("setmem", carol.address, f"{whole}M").code == DONE


@on_each_kernel_if_long
def test_setmem_of_a_paused_guest_says_so(carol, aerostat):
    """Who is asked knows nothing of the pause: then at least that the guest does not move."""
    carol.qmp("stop")
    try:
        result = aerostat("setmem", carol.address, f"{whole_mib(carol) - 50}M", "--stall", "1")
    finally:
        carol.qmp("cont")
    assert result.code == SHORT, result
    assert "the guest" in result.out


@on_each_kernel_if_long
def test_aerostat_shows_it(carol, aerostat):
    whole = whole_mib(carol)
    told = aerostat("dominfo", carol.address)
    assert told.code == DONE, told
    assert "Name:           carol" in told.out
    assert f"Max memory:     {whole * 1024} KiB" in told.out
    listed = aerostat.looking_at("--qmp", str(carol.device.control))("list", "--json").json
    assert [(row["name"], row["state"], row["driver"]) for row in listed] == \
        [("carol", "running", "ready")]
    assert listed[0]["actual_bytes"] == listed[0]["max_bytes"] == whole * MIB


@on_each_kernel_if_long
def test_aerostat_sees_events_while_others_steer_it(carol, aerostat):
    """Unlike QEMU's monitor the control socket serves several at once."""
    whole = whole_mib(carol)
    watcher = aerostat.start("event", carol.address, "--event", "balloon-change",
                             "--timeout", str(HANG_S), "--json")
    sizes = [whole - 20, whole]
    wait_for(lambda: watcher.poll() is not None or reach(carol, sizes[0]) or sizes.reverse(),
             "an event")
    out, err = watcher.communicate(timeout=HANG_S)
    assert watcher.returncode == DONE, err
    event = json.loads(out.splitlines()[0])
    assert event["event"] == "balloon-change"
    assert (whole - 20) * MIB <= event["actual_bytes"] <= whole * MIB


# Statistics

def ask_every(guest, seconds):
    guest.device_qmp("qom-set", path=BALLOON, property="guest-stats-polling-interval",
                     value=seconds)


def guest_stats(guest):
    return guest.device_qmp("qom-get", path=BALLOON, property="guest-stats")


def wait_for_sample(guest):
    """One that was taken from now on."""
    seen = counters(guest)["stats-received"]
    wait_for(lambda: counters(guest)["stats-received"] > seen + 1, "fresh statistics")
    return guest_stats(guest)["stats"]


@pytest.fixture
def polled(carol):
    ask_every(carol, 1)
    yield carol
    ask_every(carol, 0)


@on_each_kernel
def test_statistics_are_the_guests_own(polled):
    def agree():
        """A guest that a test before has just left alone may still be freeing memory."""
        stats, inside = wait_for_sample(polled), polled.meminfo()
        return stats["stat-total-memory"] == inside["MemTotal"] and all(
            abs(stats[f"stat-{name}"] - inside[key]) < 32 * MIB for name, key in
            (("free-memory", "MemFree"), ("available-memory", "MemAvailable"))) and stats
    stats = wait_for(agree, "the statistics to be the guest's own")
    assert stats["stat-minor-faults"] > 0
    known = {name for name, value in stats.items() if value != UNSET}
    assert len(known) == (STATS_OF_6_1 if polled.spec.kernel == "6.1" else 16), known
    assert state(polled)["unknown-stats"] == {}


@on_each_kernel_if_long
def test_statistics_are_fresh_as_long_as_they_are_asked_for(polled):
    """What happens in the guest shows in the next sample."""
    before = wait_for_sample(polled)["stat-free-memory"]
    polled.hold("shown", 100)
    assert before - wait_for_sample(polled)["stat-free-memory"] > 60 * MIB
    polled.release("shown")
    ask_every(polled, 0)
    age = state(polled)["stats-age-ms"]
    wait_for(lambda: state(polled)["stats-age-ms"] > age + 1500, "statistics to grow old")


@on_each_kernel_if_long
def test_statistics_go_on_after_the_driver_was_reloaded(polled):
    wait_for_sample(polled)
    polled.unload_driver()
    polled.load_driver()
    wait_for_driver(polled)
    assert wait_for_sample(polled)["stat-total-memory"] == polled.meminfo()["MemTotal"]


@on_each_kernel_if_long
def test_aerostat_prints_the_statistics(carol, aerostat):
    assert aerostat("dommemstat", carol.address, "--period", "1").code == DONE
    wait_for(lambda: aerostat("dommemstat", carol.address, "--json").json.get("available") ==
             carol.meminfo()["MemTotal"], "statistics")

    def fresh():
        """They are stale in between if the guest answers late."""
        lines = aerostat("dommemstat", carol.address).out.splitlines()
        return (found := dict(line.split() for line in lines))["stale"] == "0" and found
    figures = wait_for(fresh, "fresh statistics")
    assert int(figures["actual"]) == whole_mib(carol) * 1024
    keys = aerostat("domstats", "--balloon", carol.address).out
    assert f"balloon.maximum={whole_mib(carol) * 1024}" in keys and "balloon.usable=" in keys
    assert aerostat("dommemstat", carol.address, "--period", "0").code == DONE


# Rings

@pytest.mark.parametrize("without", ["packed", "event-idx", "indirect", "must-tell-host", "stats",
                                     "free-page-hint"])
@on_each_kernel_if_long
def test_each_feature_may_be_missing(carol, without):
    """Rings of the other kind, and queues that have other numbers."""
    whole = whole_mib(carol)
    use_up(carol)
    before = ram_bytes(carol)
    with another_device(carol, f"--features=-{without}"):
        assert without not in state(carol)["acknowledged"]
        reach(carol, whole - 100)
        assert_given(carol, before, whole - 100)
        reach(carol, whole)
        carol.hold("again", 150)
        assert carol.touch("again", full=True).bad_pages == 0
        carol.release("again")


@on_each_kernel_if_long
def test_only_what_virtio_needs(carol):
    whole = whole_mib(carol)
    with another_device(carol, "--features=-must-tell-host,-stats,-free-page-hint,-page-poison,"
                               "-indirect,-event-idx,-packed"):
        assert state(carol)["acknowledged"] == ["version-1"]
        reach(carol, whole - 100)
        reach(carol, whole)


# Interrupts

def interrupts(guest, pattern):
    """How many came so far, by the lines of /proc/interrupts that say so."""
    lines = guest.run(f"grep -E '{pattern}' /proc/interrupts").output.splitlines()
    return [int(line.split()[1]) for line in lines]


@on_each_kernel_if_long
def test_by_default_it_interrupts_as_pci_always_could(carol):
    name = carol.run(f"basename {DRIVER}/virtio*").output.strip()
    before = interrupts(carol, f"IO-APIC.*\\<{name}$")
    assert len(before) == 1
    reach(carol, whole_mib(carol) - 20)
    assert interrupts(carol, f"IO-APIC.*\\<{name}$") > before
    assert interrupts(carol, f"MSI.*\\<{name}-") == []


@on_vfio_user
def test_a_target_during_the_boot_is_followed(carol):
    """Several targets before the driver is there: the last one counts."""
    whole = whole_mib(carol)
    carol.unload_driver()
    wait_for(lambda: not state(carol)["driver-ready"], "the driver to be gone")
    for mib in (whole - 120, whole - 20, whole - 60):
        aim(carol, mib)
    assert carol.actual() == whole * MIB
    carol.load_driver()
    wait_until_at(carol, whole - 60)
