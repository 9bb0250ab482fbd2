# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of guests that aerostatd has changed, when they or their sources go.

The guests are fakes (tests/fakes/fake_guests.h).  So that no test has to wait until the policy has
shrunk them, the daemon goes on from a state file that says so, and leaves them as they are.
"""
import json
import os
import resource
import subprocess

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from fakes import fake_guests
from lab import qmp
from lab.wait import HANG_S, wait_for

PROGRAM = BUILD / "aerostatd/aerostatd"
RAM_MIB = 1024
SHRUNK_MIB = 512


@pytest.fixture
def fakes(tmp_path):
    with fake_guests(tmp_path / "guests", 2, max=f"{RAM_MIB}M", rate=500) as guests:
        # The first guest gets a process of its own, which ends with it.
        guests.order("vanish", 0)
        guests.order("appear", 0)
        for number in (0, 1):
            ask(guests, guests.name(number), "balloon", value=SHRUNK_MIB * MIB)
        for number in (0, 1):
            wait_for(lambda name=guests.name(number): size(guests, name) == SHRUNK_MIB * MIB,
                     "the guests to be shrunk")
        yield guests


@pytest.fixture
def daemon(fakes, tmp_path):
    daemon = Daemon(PROGRAM, tmp_path / "daemon", config(fakes))
    daemon.run.mkdir()
    (daemon.run / "guests.json").write_text(json.dumps({"guests": [
        {"source": "qmp", "address": fakes.address(number), "name": fakes.name(number), "pid": 0,
         "start_ticks": 0, "before_bytes": RAM_MIB * MIB, "before_period_s": 0, "changed": True}
        for number in (0, 1)]}))
    with daemon:
        for number in (0, 1):
            guest = daemon.wait_for_guest(fakes.name(number))
            assert guest["before_bytes"] == RAM_MIB * MIB
            assert guest["actual_bytes"] == SHRUNK_MIB * MIB
        daemon.wait_for_rounds(2)
        yield daemon


def config(fakes, listed=True):
    glob = fakes.sources if listed else f"{fakes.folder}/none-*.qmp"
    return f"[discover]\nqmp={glob}\n[host]\nbudget=64G\n[guest *]\nmode=observe\n"


def ask(fakes, name, command, **arguments):
    return qmp.ask(fakes.folder / f"{name}.qmp", command, arguments)


def size(fakes, name):
    return ask(fakes, name, "query-balloon")["actual"]


def is_restored(fakes, name):
    """Drivers may work in huge pages, so 4 MiB short counts (aerostatd/restore.h)."""
    return size(fakes, name) >= (RAM_MIB - 4) * MIB


def saved(daemon):
    """name → its entry of the state file."""
    return {guest["name"]: guest for guest in daemon.saved()}


def limit(daemon, descriptors):
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (descriptors, 1024))


def test_guests_of_a_removed_source_get_their_size_back(fakes, daemon):
    assert daemon.reload(config(fakes, listed=False))[0] == 200
    for number in (0, 1):
        daemon.wait_for_no_guest(fakes.name(number))
        wait_for(lambda name=fakes.name(number): is_restored(fakes, name),
                 "it to be restored")
    wait_for(lambda: not saved(daemon), "the state file to be empty")
    assert daemon.stop() == 0


def test_a_stuck_guest_of_a_removed_source_is_not_forgotten(fakes, daemon):
    name = fakes.name(0)
    fakes.order("stuck", 0)
    assert daemon.reload(config(fakes, listed=False))[0] == 200
    wait_for(lambda: f"{name}: not restored to 1 GiB" in daemon.log(), "the failure")
    assert daemon.guest(name) is None
    wait_for(lambda: list(saved(daemon)) == [name], "the other guest to be restored")
    assert saved(daemon)[name]["changed"]
    assert daemon.stop() == 1
    assert "guests not restored: 1" in daemon.log()
    fakes.order("go", 0)
    assert size(fakes, name) == SHRUNK_MIB * MIB
    result = daemon.run_restore()
    assert result.returncode == 0 and f"{name}: restored to 1 GiB" in result.stderr
    assert is_restored(fakes, name)
    assert not saved(daemon)


def test_a_source_that_comes_back_finds_the_size_from_before(fakes, daemon):
    name = fakes.name(0)
    assert daemon.reload(config(fakes, listed=False))[0] == 200
    daemon.wait_for_no_guest(name)
    # On its way, as a rule; nobody sees that on a machine that has much else to do.
    wait_for(lambda: SHRUNK_MIB * MIB < size(fakes, name), "it to set out")
    assert daemon.reload(config(fakes))[0] == 200
    guest = daemon.wait_for_guest(name)
    assert guest["before_bytes"] == RAM_MIB * MIB
    assert daemon.stop() == 0
    assert is_restored(fakes, name)


def test_a_guest_that_ends_while_the_daemon_stops_is_no_failure(fakes, daemon):
    name = fakes.name(0)
    fakes.order("stuck", 0)
    wait_for(lambda: daemon.guest(name)["problem"], "the guest to be stuck")
    daemon.process.terminate()
    wait_for(lambda: "restoring the guests" in daemon.log(), "the daemon to stop")
    fakes.order("vanish", 0)
    assert daemon.process.wait(HANG_S) == 0, daemon.log()
    assert f"{name}: has ended, nothing to restore" in daemon.log()
    assert "not restored" not in daemon.log()
    assert not saved(daemon).get(name)


def test_a_daemon_without_free_descriptors_forgets_no_guest(fakes, daemon):
    """It cannot look whether processes live, which does not mean that they have ended."""
    names = [fakes.name(0), fakes.name(1)]
    limit(daemon, 1)
    wait_for(lambda: "no file descriptor left" in daemon.log(), "calls to the guests to fail")
    limit(daemon, 1024)
    for name in names:
        guest = daemon.wait_for_guest(name, lambda guest: guest["max_bytes"]
                                      and not guest["problem"])
        assert guest["before_bytes"] == RAM_MIB * MIB
    assert daemon.stop() == 0
    assert all(is_restored(fakes, name) for name in names)


def end_restore(process):
    """The exit status and the log of aerostatd --restore."""
    _, log = process.communicate(timeout=HANG_S)
    return process.returncode, log


def start_restore(daemon):
    return subprocess.Popen([PROGRAM, "--restore", "--folder", daemon.run], text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def move(fakes, number, to):
    """Renames a guest's monitor socket."""
    os.rename(fakes.folder / f"{fakes.name(number)}.qmp", fakes.folder / to)


def at(fakes, name):
    return f"qmp:{fakes.folder}/{name}"


def test_a_stuck_guest_of_a_removed_source_is_restored_as_soon_as_it_answers(fakes, daemon):
    name = fakes.name(0)
    fakes.order("stuck", 0)
    assert daemon.reload(config(fakes, listed=False))[0] == 200
    wait_for(lambda: f"{name}: this is tried again" in daemon.log(), "the failure")
    wait_for(lambda: daemon.status()["to_restore"] == 1, "the other guest to be restored")
    assert "aerostat_host_guests_to_restore 1\n" in daemon.get("/metrics")[1]
    fakes.order("go", 0)
    wait_for(lambda: daemon.status()["to_restore"] == 0, "the guest to be restored")
    assert is_restored(fakes, name) and not saved(daemon)
    assert daemon.log().count(f"{name}: not restored to 1 GiB") == 1
    assert daemon.stop() == 0


def test_a_source_that_comes_back_while_its_guest_is_stuck_finds_the_size_from_before(fakes,
                                                                                      daemon):
    name = fakes.name(0)
    fakes.order("stuck", 0)
    assert daemon.reload(config(fakes, listed=False))[0] == 200
    daemon.wait_for_no_guest(name)
    assert daemon.reload(config(fakes))[0] == 200
    wait_for(lambda: daemon.guest(fakes.address(0)), "the guest to be listed again")
    fakes.order("go", 0)
    guest = daemon.wait_for_guest(name)
    assert guest["before_bytes"] == RAM_MIB * MIB
    wait_for(lambda: daemon.status()["to_restore"] == 0, "the other guest to be found, too")
    assert daemon.stop() == 0
    assert is_restored(fakes, name)


def test_a_guest_whose_socket_moved_is_the_same(fakes, daemon):
    name, moved = fakes.name(0), "guest-9000.qmp"
    move(fakes, 0, moved)
    guest = daemon.wait_for_guest(name, lambda guest: guest["address"] == at(fakes, moved)
                                  and guest["max_bytes"])
    assert guest["before_bytes"] == RAM_MIB * MIB
    wait_for(lambda: [row["address"] for row in saved(daemon).values() if row["name"] == name]
             == [at(fakes, moved)], "the state file to have the new address, and only that")


def test_a_guest_that_moved_while_there_was_no_daemon_is_the_same(fakes, daemon):
    name, moved = fakes.name(0), "guest-9000.qmp"
    daemon.kill_with_guardian()
    move(fakes, 0, moved)
    daemon.start()
    guest = daemon.wait_for_guest(name)
    assert (guest["address"], guest["before_bytes"]) == (at(fakes, moved), RAM_MIB * MIB)


def test_a_guest_behind_two_sockets_is_one_guest(fakes, daemon):
    name, link, moved = fakes.name(0), "guest-9000.qmp", "guest-9001.qmp"
    os.symlink(fakes.folder / f"{name}.qmp", fakes.folder / link)
    remark = f"{at(fakes, link)} is {name}, which is managed at {fakes.address(0)} already"
    wait_for(lambda: remark in daemon.log(), "the second address to be recognized")
    daemon.wait_for_rounds(3)
    assert [guest["address"] for guest in daemon.status()["guests"]] \
        == [fakes.address(0), fakes.address(1)]
    # The socket moves out of sight, and the link follows: it is the only address now.
    os.rename(fakes.folder / f"{name}.qmp", fakes.folder / "elsewhere")
    os.unlink(fakes.folder / link)
    os.symlink(fakes.folder / "elsewhere", fakes.folder / moved)
    guest = daemon.wait_for_guest(name, lambda guest: guest["address"] == at(fakes, moved)
                                  and guest["max_bytes"])
    assert guest["before_bytes"] == RAM_MIB * MIB
    assert daemon.log().count("which is managed at") <= 2


def test_an_address_that_was_ignored_is_used_when_the_first_is_gone(fakes, daemon):
    name, link = fakes.name(0), "guest-9000.qmp"
    os.link(fakes.folder / f"{name}.qmp", fakes.folder / link)
    wait_for(lambda: "which is managed at" in daemon.log(), "the second address to be recognized")
    os.unlink(fakes.folder / f"{name}.qmp")
    guest = daemon.wait_for_guest(name, lambda guest: guest["address"] == at(fakes, link)
                                  and guest["max_bytes"])
    assert guest["before_bytes"] == RAM_MIB * MIB


@pytest.mark.parametrize("mode, size", [("held", 600 * MIB), ("held", None), ("off", None)])
def test_a_choice_that_cannot_be_stored_is_refused(fakes, daemon, mode, size):
    name, path = fakes.name(0), daemon.run / "guests.json"
    before = daemon.guest(name)
    path.rename(daemon.run / "aside")
    (path / "full").mkdir(parents=True)
    try:
        code, body = daemon.set_mode(name, mode, size)
        assert (code, body["error"]["code"]) == (507, "not-kept"), body
        assert "nothing was changed" in body["error"]["message"]
        assert daemon.put("/v1/mode", {"mode": "off"})[0] == 507
        daemon.wait_for_rounds(2)
        after = daemon.guest(name)
        assert all(after[key] == before[key] for key in ("mode", "mode_by", "held_bytes",
                                                         "before_bytes", "times_set"))
    finally:
        (path / "full").rmdir()
        path.rmdir()
        (daemon.run / "aside").rename(path)
    assert daemon.set_mode(name, mode, size)[0] == 200
    assert saved(daemon)[name]["mode"] == mode


def test_a_guest_without_a_size_does_not_keep_others_from_being_stored(fakes, daemon, tmp_path):
    """A balloon device that no QEMU has connected to has no size."""
    control = fakes.folder / "guest-9000.qmp"
    with subprocess.Popen([BUILD / "aerostat-device/aerostat-device", "--protocol=vfio-user",
                           f"--socket-path={tmp_path}/socket", f"--control={control}"]) as device:
        try:
            wait_for(lambda: daemon.guest(f"qmp:{control}"), "the device to be found")
            daemon.wait_for_rounds(3)
            assert daemon.set_mode(fakes.name(0), "held", 600 * MIB)[0] == 200
            assert saved(daemon)[fakes.name(0)]["held_bytes"] == 600 * MIB
            assert saved(daemon)[fakes.name(1)]["before_bytes"] == RAM_MIB * MIB
        finally:
            device.terminate()


def test_a_guest_that_ends_during_restore_is_no_failure(fakes, daemon):
    daemon.kill_with_guardian()
    fakes.order("stuck", 0)
    process = start_restore(daemon)
    wait_for(lambda: is_restored(fakes, fakes.name(1)), "the other guest to be restored")
    fakes.order("vanish", 0)
    code, log = end_restore(process)
    assert code == 0 and f"{fakes.name(0)}: has ended, nothing to restore" in log, log
    assert not saved(daemon)


def test_a_guest_that_ends_while_the_guardian_restores_is_no_failure(fakes, daemon):
    fakes.order("stuck", 0)
    daemon.kill()
    wait_for(lambda: "restoring its guests" in daemon.log(), "the guardian")
    fakes.order("vanish", 0)
    wait_for(lambda: f"{fakes.name(0)}: has ended, nothing to restore" in daemon.log(), "the end")
    wait_for(lambda: not saved(daemon), "the state file to be empty")
    assert "not restored" not in daemon.log()


def test_a_guest_in_the_place_of_one_that_ended_is_left_alone(fakes, daemon):
    daemon.kill_with_guardian()
    fakes.order("vanish", 0)
    fakes.order("appear", 0)
    ask(fakes, fakes.name(0), "balloon", value=SHRUNK_MIB * MIB)
    wait_for(lambda: size(fakes, fakes.name(0)) == SHRUNK_MIB * MIB, "it to be resized")
    code, log = end_restore(start_restore(daemon))
    assert code == 0 and f"{fakes.name(0)}: has ended, nothing to restore" in log, log
    assert size(fakes, fakes.name(0)) == SHRUNK_MIB * MIB
    assert is_restored(fakes, fakes.name(1))


def test_the_problem_of_a_removed_source_is_gone(fakes, daemon):
    uri = "qemu+unix:///system?socket=/nonexistent"
    assert daemon.reload(f"[discover]\nqmp={fakes.sources}\nlibvirt={uri}\n")[0] == 200
    wait_for(lambda: [problem["source"] for problem in daemon.status()["problems"]] == [uri],
             "the problem")
    assert daemon.reload(config(fakes))[0] == 200
    wait_for(lambda: not daemon.status()["problems"], "the problem to be gone")
    assert "aerostat_source_problem{" not in daemon.get("/metrics")[1]


@pytest.mark.parametrize("words, code", [([], 0), (["--restore"], 1)])
def test_a_daemon_that_waits_for_another_can_be_stopped(daemon, tmp_path, words, code):
    second = Daemon(PROGRAM, tmp_path / "second", "", *words)
    second.run = daemon.run
    second.start(wait=False)
    wait_for(lambda: "waiting for its end" in second.log(), "the second daemon to wait")
    assert second.stop() == code
    assert f"stopped before it could start: another aerostatd (pid {daemon.pid})" in second.log()
    assert daemon.answers()
