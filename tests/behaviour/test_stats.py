# SPDX-License-Identifier: BSD-3-Clause
"""What the guest says of its memory, and how old it is; events as they happen."""
import itertools
import json
import select

import pytest

from command import DONE, MIB, REFUSED, setmem
from lab.wait import HANG_S, wait_for

VIRSH_NAMES = {"actual", "swap_in", "swap_out", "major_fault", "minor_fault", "unused", "available",
               "usable", "last_update", "disk_caches", "hugetlb_pgalloc", "hugetlb_pgfail", "rss"}


def fresh(reached):
    """Statistics that flow."""
    assert reached.run("dommemstat", reached.name, "--period", "1").code == DONE
    total = reached.guest.meminfo()["MemTotal"]     # older figures are those of another size
    wait_for(lambda: shown(reached).get("available") == total, "fresh statistics")


def fresh_figures(reached):
    """What is printed, unless that is old: the guest may have had no time for the last question."""
    result = reached.run("dommemstat", reached.name)
    figures = dict(line.split() for line in result.out.splitlines())
    return figures if figures["stale"] == "0" else None


def shown(reached):
    return reached.run("dommemstat", reached.name, "--json").json


def test_statistics_are_virshs_and_the_guests_own(reached):
    fresh(reached)

    def agree():
        """Not while something in the guest still frees memory."""
        figures = wait_for(lambda: fresh_figures(reached), "figures that are not old")
        assert VIRSH_NAMES <= set(figures)
        assert int(figures["actual"]) == 512 * 1024
        inside = reached.guest.meminfo()
        assert int(figures["available"]) * 1024 == inside["MemTotal"]
        return abs(int(figures["usable"]) * 1024 - inside["MemAvailable"]) < 32 * MIB
    wait_for(agree, "statistics that are the guest's own")


def test_domstats_prints_virshs_keys(reached):
    fresh(reached)
    result = reached.run("domstats", "--balloon", reached.name)
    assert result.out.startswith(f"Domain: '{reached.guest.name}'\n")
    keys = {line.strip().split("=")[0] for line in result.out.splitlines() if "=" in line}
    assert {"balloon.current", "balloon.maximum", "balloon.usable", "balloon.last-update",
            "balloon.age"} <= keys


def test_statistics_agree_with_virsh(beta, libvirt, aerostat_libvirt):
    aerostat_libvirt("dommemstat", "beta", "--period", "1")
    wait_for(lambda: "usable" in libvirt.virsh("dommemstat", "beta"), "statistics")

    def agree():
        """Not while the sample of another size gives way to the next one."""
        ours, theirs = (dict(line.split() for line in text.splitlines() if line) for text in (
            aerostat_libvirt("dommemstat", "beta").out, libvirt.virsh("dommemstat", "beta")))
        assert set(theirs) <= set(ours)
        return all(ours[name] == theirs[name] for name in ("actual", "available"))
    wait_for(agree, "both to report the same")


def test_never_asked_is_said_so(lab, aerostat):
    with lab.guest("quiet", memory=256, driver=False) as guest:
        result = aerostat("dommemstat", guest.address)
        assert result.code == DONE
        assert "never been asked for statistics; --period 1" in result.err
        assert "last_update 0" in result.out


def test_stale_statistics_are_marked(lab, aerostat):
    with lab.guest("stale", memory=256, balloon={"stats-period": 1}) as guest:
        wait_for(lambda: aerostat("dommemstat", guest.address, "--json").json["stale"] is False,
                 "fresh statistics")
        guest.unload_driver()
        wait_for(lambda: aerostat("dommemstat", guest.address, "--json").json["stale"],
                 "statistics to grow old")
        result = aerostat("dommemstat", guest.address)
        assert "the guest does not answer" in result.err
        assert "stale 1" in result.out


def test_period_zero_stops_the_questions(alpha, aerostat):
    assert aerostat("dommemstat", alpha.address, "--period", "0").code == DONE
    assert alpha.qmp("qom-get", path="/machine/peripheral/balloon0",
                     property="guest-stats-polling-interval") == 0


@pytest.mark.parametrize("words", [[], ["--no-wait"]])
@pytest.mark.parametrize("period", [0, 7])
def test_setmem_puts_the_period_back(reached, period, words):
    reached.run("dommemstat", reached.name, "--period", str(period))
    assert setmem(reached.run, reached.name, "400M", *words).code == DONE
    assert reached.run("dommemstat", reached.name, "--json").json["period_s"] == period
    wait_for(lambda: reached.guest.actual() == 400 * MIB, "the guest to follow its target")


def test_events_tell_of_a_balloon_that_moves(reached):
    reached.settled(400)
    watcher = reached.run.start("event", reached.name, "--event", "balloon-change",
                                "--timeout", str(HANG_S), "--json")
    # Events are not kept for those who come late: move until the watcher has seen it.
    moves = itertools.cycle(ways_to_move(reached.guest))
    wait_for(lambda: watcher.poll() is not None or next(moves)(), "an event")
    out, err = watcher.communicate(timeout=HANG_S)
    reached.guest.load_driver()
    reached.guest.qmp("balloon", value=450 * MIB)
    wait_for(lambda: reached.guest.actual() == 450 * MIB, "the guest to follow its last target")
    assert watcher.returncode == DONE, err
    event = json.loads(out.splitlines()[0])
    assert event["event"] == "balloon-change"
    assert event["guest"] == reached.guest.name
    assert 300 * MIB < event["actual_bytes"] <= 512 * MIB


def ways_to_move(guest):
    """The watcher of a QMP guest holds its monitor, so that its driver has to move it: out, the
    guest is whole; in again, it follows its target."""
    if guest.uri:
        return [lambda size=size: guest.qmp("balloon", value=size * MIB) for size in (500, 400)]
    return [guest.unload_driver, guest.load_driver]


def test_an_event_that_does_not_come(alpha, aerostat):
    result = aerostat("event", alpha.address, "--event", "lifecycle", "--timeout", "1")
    assert result.code == REFUSED
    assert "events received: 0" in result.out


def test_events_tell_of_the_guests_end(way):
    with way.guest("ending", memory=256) as guest:
        setmem(way.run, guest.address, "200M")
        watcher = way.run.start("event", guest.address, "--loop", "--timeout", str(HANG_S),
                                "--json")
        moves = itertools.cycle(ways_to_be_noticed(guest))
        # That the watcher reports one of them shows that it listens.
        wait_for(lambda: next(moves)() or readable(watcher.stdout), "the watcher")
        guest.poweroff()
        out, err = watcher.communicate(timeout=HANG_S)
        assert watcher.returncode == DONE, err
        events = map(json.loads, out.splitlines())
        details = [event["detail"] for event in events if event["event"] == "lifecycle"]
        assert any("Shutdown" in detail or "Stopped" in detail for detail in details), details


def ways_to_be_noticed(guest):
    def pause():
        guest.qmp("stop")
        guest.qmp("cont")
    return [pause] if guest.uri else ways_to_move(guest)


def readable(file):
    return bool(select.select([file], [], [], 0.2)[0])
