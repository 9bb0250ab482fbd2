# SPDX-License-Identifier: BSD-3-Clause
"""setmem tells aerostatd, so that its policy does not fight a person; and the real one."""
import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

from asking import GIB, ask, fake, fake_qmp, guest, socket_path  # noqa: F401
from command import DONE, MIB, REFUSED, SHORT, UNREACHABLE
from lab.wait import HANG_S, wait_for

UUID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def monitor(tmp_path):
    with fake_qmp(tmp_path / "gamma.qmp", "--name", "gamma", "--uuid", UUID, "--rate",
                  "4096") as address:
        yield address


@pytest.fixture
def gamma(fake, monitor):
    """The guest behind the monitor, managed by the daemon."""
    fake.status["guests"].append(guest(3, "gamma", uuid=UUID, address=monitor))
    return fake.status["guests"][-1]


def held(mib):
    """Forced, because setmem has asked the guest what it can give."""
    return {"mode": "held", "bytes": mib * MIB, "force": True}


def test_setmem_holds_a_managed_guest_first(ask, fake, gamma):
    result = ask("setmem", gamma["address"], "600M")
    assert result.code == DONE
    assert f"\n  held: at 600 MiB until: aerostat auto {gamma['address']}\n" in result.out
    assert fake.puts() == [(f"/v1/guests/{UUID}/mode", held(600))]
    assert result.err == ""
    result = ask("setmem", gamma["address"], "700M", "--no-wait", "--json")
    assert result.json["held_bytes"] == 700 * MIB
    assert "held: at 800 MiB" in ask("setmem", gamma["address"], "800M", "--no-wait").out


@pytest.mark.parametrize("changes", [
    {"uuid": None}, {"uuid": None, "name": "other"}, {"name": "other", "address": "gamma",
                                                      "source": "qemu:///system"}])
def test_setmem_finds_the_guest_by_what_the_daemon_knows_of_it(ask, fake, gamma, monitor, changes):
    gamma.update(changes)
    assert ask("setmem", monitor, "600M").code == DONE
    assert gamma["held_bytes"] == 600 * MIB


@pytest.mark.parametrize("changes", [
    {"uuid": None, "address": "qmp:/elsewhere"},    # of the same name
    {"uuid": None, "source": "qemu:///system"},     # of the same address at another source
    {"uuid": None, "address": "gamma", "source": "qemu:///system"}])
def test_setmem_holds_no_other_guest_of_that_name(ask, fake, gamma, monitor, changes):
    gamma.update(changes)
    result = ask("setmem", monitor, "600M", "--json")
    assert result.code == DONE
    assert result.json["held_bytes"] is None
    assert fake.puts() == [] and result.err == ""


@pytest.mark.parametrize("mode", ["observe", "off"])
def test_setmem_leaves_a_mode_that_sets_no_size(ask, fake, gamma, mode):
    gamma["mode"] = mode
    assert "held" not in ask("setmem", gamma["address"], "600M").out
    assert fake.puts() == []


def test_setmem_holds_what_it_really_asks_for(ask, fake, tmp_path):
    """The guest uses 600 MiB, so less than that and some air is not taken."""
    with fake_qmp(tmp_path / "gamma.qmp", "--name", "gamma", "--used", "600", "--rate",
                  "4096") as address:
        fake.status["guests"].append(guest(3, "gamma", address=address))
        result = ask("setmem", address, "500M", "--json")
        assert result.code == SHORT
        assert result.json["held_bytes"] == result.json["after_bytes"] == 664 * MIB
        assert [body for _, body in fake.puts()] == [held(664)]


def test_a_guest_that_is_eased_is_held_there(ask, fake, tmp_path):
    with fake_qmp(tmp_path / "gamma.qmp", "--name", "gamma", "--mode",
                  "never-moves") as address:
        fake.status["guests"].append(guest(3, "gamma", address=address))
        result = ask("setmem", address, "600M", "--stall", "4", "--json")
        assert result.code == SHORT
        eased = result.json["eased_target_bytes"]
        assert eased == result.json["held_bytes"] == GIB
        assert [body for _, body in fake.puts()] == [held(600), held(1024)]


def test_a_size_that_is_refused_holds_nothing(ask, fake, gamma):
    assert ask("setmem", gamma["address"], "2G").code == REFUSED
    assert ask("setmem", gamma["address"], "1M").code == REFUSED
    assert fake.asked == []


def test_setmem_without_a_daemon_is_as_it_was(ask, monitor, tmp_path):
    result = ask("setmem", monitor, "600M")
    assert result.code == DONE
    assert "held" not in result.out and result.err == ""
    (tmp_path / "aerostatd.sock").touch()       # nobody listens
    result = ask("setmem", monitor, "700M")
    assert result.code == DONE
    assert "held" not in result.out and result.err == ""


@pytest.mark.parametrize("what", ["GET", "PUT"])
def test_a_daemon_that_refuses_is_warned_of(ask, fake, gamma, what):
    path = f"/v1/guests/{UUID}" + ("/mode" if what == "PUT" else "")
    fake.refuse[what, path] = 403, "denied", "user joe may not"
    result = ask("setmem", gamma["address"], "600M")
    assert result.code == DONE
    assert ("warning: aerostatd may set gamma to another size: user joe may "
            "not\n") == result.err
    assert "held" not in result.out
    assert "-> 600 MiB" in result.out


def test_a_daemon_that_hangs_holds_up_nobody_for_long(ask, fake, gamma):
    fake.hang.set()
    result = ask("setmem", gamma["address"], "600M")
    assert result.code == DONE
    assert "warning: aerostatd may set gamma to another size" in result.err
    wait_for(lambda: fake.asked, "the request to be read")
    assert len(fake.asked) == 1


@pytest.mark.parametrize("before, after", [
    ({}, {"mode": "auto"}), ({"mode": "held", "mode_by": "person", "held_bytes": 900 * MIB},
                             held(900))])
def test_a_guest_that_cannot_be_asked_is_not_held(ask, fake, gamma, tmp_path, before, after):
    gamma.update(before)
    original = fake.set_mode

    def set_mode(guests, body):
        """Once it is held, the monitor is gone."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(tmp_path / "gamma.qmp")
        return original(guests, body)
    fake.set_mode = set_mode
    result = ask("setmem", gamma["address"], "600M")
    assert result.code == UNREACHABLE
    assert [body for _, body in fake.puts()] == [held(600), after]


# The real one

@pytest.fixture
def real(ask, monitor, socket_path, tmp_path):
    """aerostatd, managing the guest behind the monitor."""
    binary = pathlib.Path(ask.binary).parents[1] / "aerostatd/aerostatd"
    config = tmp_path / "aerostat.conf"
    config.write_text("[host]\nbudget=64G\n")
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            [binary, "--config", config, "--qmp", f"{tmp_path}/*.qmp", "--folder",
             tmp_path / "run", "--socket", socket_path], stdout=log, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or
                 "gamma" in ask("status", "--json").out, "aerostatd to find its guest")
        wait_for(lambda: ask("explain", "gamma", "--json").json.get("text"), "a decision")
        yield config
    finally:
        process.terminate()
        assert process.wait(HANG_S) == 0, (tmp_path / "log").read_text()


def test_the_real_daemon_tells_of_itself_and_its_guest(ask, real):
    out = ask("status").out
    assert "RAM, " in out and "guests: want " in out
    assert " gamma  auto " in out
    out = ask("explain", UUID).out
    assert out.startswith("gamma has 1 GiB of 1 GiB\nWhy ")
    assert "Mode         auto: the policy sets its size\n" in out


def test_the_real_daemon_holds_and_lets_go(ask, real, monitor):
    out = ask("setmem", monitor, "700M").out
    assert f"held: at 700 MiB until: aerostat auto {monitor}\n" in out
    for words, mode in ((None, "held at 700 MiB by a user"), ([monitor], "auto: the policy"),
                        (["--all", "--off"], "off: it is left alone")):
        if words:
            assert ask("auto", *words).code == DONE
        wait_for(lambda: f"Mode         {mode}" in ask("explain", "gamma").out, mode)


def test_the_real_daemon_reserves(ask, real):
    result = ask("reserve", "16M", "--json")
    assert result.code == DONE
    number = str(result.json["id"])
    assert f"\nReservations:\n  {number}: 16 MiB, " in ask("status").out
    assert ask("reserve", "--cancel", number).code == DONE
    assert ask("reserve", "--cancel", number).code == REFUSED
    assert ask("reserve", "1000T").code == REFUSED


def test_the_real_daemon_reloads(ask, real):
    assert ask("reload").out == f"{real} is in effect\n"
    real.write_text("[host]\n\nbudget=1furlong\n")
    result = ask("reload")
    assert result.code == REFUSED
    assert f"{real}, line 3: " in result.error


def test_the_real_daemons_recording_is_replayed(ask, real, tmp_path):
    file = tmp_path / "night.jsonl"
    process = ask.start("record", str(file))
    wait_for(lambda: process.poll() is not None or
             file.exists() and len(file.read_text().splitlines()) > 3, "steps")
    assert ask("record", str(tmp_path / "second")).code == REFUSED
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=HANG_S)
    assert process.returncode == DONE
    assert ask("simulate", "--recording", str(file)).code == DONE
