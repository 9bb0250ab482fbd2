# SPDX-License-Identifier: BSD-3-Clause
"""Sizes set through aerostatd's API: what `aerostat setmem` refuses and reports, they do, too."""
import contextlib
import signal

import pytest

from asking import fake_qmp
from command import DONE, MIB, REFUSED
from daemon import Daemon
from test_daemon_api import BINARY, SCHEMAS, ask, config, quoted, validate

# Moves for minutes, so that it is not given up for want of progress, and arrives in no test.
SLOW = ("--rate", "1")


@contextlib.contextmanager
def managing(folder, *words):
    """A daemon and the one fake guest, of 1 GiB, that it manages."""
    with fake_qmp(folder / "gamma.qmp", "--name", "gamma", *words) as address, \
            Daemon(BINARY, folder / "d", config(folder)) as daemon:
        daemon.address = address
        daemon.wait_for_guest(address, lambda guest: guest["max_bytes"] and (
            guest["stats"]["age_us"] is not None or "no-stats" in words))
        yield daemon


def set_size(daemon, mib, **more):
    return ask(daemon, "put", "/v1/guests/{name}/size", {"bytes": mib * MIB, **more},
               name=quoted(daemon.address))


def get_size(daemon):
    return ask(daemon, "get", "/v1/guests/{name}/size", name=quoted(daemon.address)).body


def result_of(daemon, mib, **more):
    """The event that ends a request, and the answer to whoever asks afterwards."""
    with daemon.events() as events:
        assert set_size(daemon, mib, **more).status == 202
        event = events.wait_for("resize-result")
    validate(event, SCHEMAS["components"]["schemas"]["event"])
    return event, get_size(daemon)


def test_what_setmem_refuses_is_refused_in_the_same_words(aerostat, tmp_path):
    with managing(tmp_path) as daemon:
        command = aerostat("setmem", daemon.address, "1M")
        assert command.code == REFUSED
        said = command.error.removeprefix("error: ")
        answer = set_size(daemon, 1)
        assert (answer.status, answer.body["error"]["code"]) == (409, "refused")
        assert answer.body["error"]["message"] == said
        code, body = daemon.set_mode(daemon.address, "held", MIB)
        assert (code, body["error"]["message"]) == (409, said)
        assert set_size(daemon, 2048).status == 400
        assert get_size(daemon)["state"] == "none"
        guest = daemon.guest(daemon.address)
        assert guest["actual_bytes"] == 1024 * MIB and guest["mode"] == "auto"


def test_a_guest_is_not_held_at_less_than_it_can_give_unless_forced(tmp_path):
    with managing(tmp_path, "--used", "600") as daemon:
        code, body = daemon.set_mode(daemon.address, "held", 500 * MIB)
        assert code == 409
        assert "the guest uses about 600 MiB that it cannot free" in body["error"]["message"]
        body = {"mode": "held", "bytes": 500 * MIB, "force": True}
        assert ask(daemon, "put", "/v1/guests/{name}/mode", body,
                   name=quoted(daemon.address)).status == 200
        daemon.wait_for_guest(daemon.address, lambda guest: guest["actual_bytes"] == 500 * MIB)


def test_a_size_is_reached_reported_and_held(tmp_path):
    with managing(tmp_path, "--rate", "4096") as daemon:
        event, size = result_of(daemon, 600)
        assert event["reason"] == size["reason"] == "reached"
        assert (event["bytes_before"], event["bytes_after"]) == (1024 * MIB, 600 * MIB)
        assert size["state"] == "done" and size["why"] is None
        assert (size["before_bytes"], size["actual_bytes"]) == (1024 * MIB, 600 * MIB)
        guest = daemon.wait_for_guest(daemon.address, lambda guest: guest["mode"] == "held")
        assert guest["held_bytes"] == 600 * MIB


def test_progress_is_reported_and_nobody_waits_for_it(tmp_path):
    with managing(tmp_path, *SLOW) as daemon, daemon.events() as events:
        assert set_size(daemon, 600).body["state"] == "running"
        event = events.wait_for("resize-progress")
        validate(event, SCHEMAS["components"]["schemas"]["event"])
        assert "going to 600 MiB" in event["text"]
        daemon.wait_for_rounds(2)       # it goes on meanwhile
        assert get_size(daemon)["state"] == "running"
        daemon.set_mode(daemon.address, "auto")
        assert events.wait_for("resize-result")["reason"] == "interrupted"
        daemon.wait_for_guest(daemon.address, lambda guest: guest["problem"] is None)


def test_no_more_is_taken_than_the_guest_can_give(tmp_path):
    with managing(tmp_path, "--used", "600", "--rate", "4096") as daemon:
        event, size = result_of(daemon, 500)
        assert event["reason"] == "in-use"
        assert "uses about 600 MiB that it cannot free" in size["why"]
        assert size["actual_bytes"] == 664 * MIB
        assert daemon.guest(daemon.address)["held_bytes"] == 664 * MIB
        assert result_of(daemon, 500, force=True)[0]["reason"] == "reached"


def test_a_guest_that_reports_nothing_keeps_half(tmp_path):
    with managing(tmp_path, "--mode", "no-stats") as daemon:
        event, size = result_of(daemon, 400)
        assert event["reason"] == size["reason"] == "refused"
        assert "the guest reports no statistics" in size["why"]
        assert daemon.guest(daemon.address)["mode"] == "auto"


def test_the_newer_of_two_sizes_wins(tmp_path):
    with managing(tmp_path, *SLOW) as daemon, daemon.events() as events:
        assert set_size(daemon, 700).status == 202
        daemon.wait_for_guest(daemon.address, lambda guest: guest["held_bytes"] == 700 * MIB)
        assert set_size(daemon, 800).status == 202
        event = events.wait_for("resize-result")
        assert event["reason"] == "superseded"
        assert "another setmem has asked for 800 MiB" in event["text"]
        daemon.wait_for_guest(daemon.address, lambda guest: guest["held_bytes"] == 800 * MIB)
        assert get_size(daemon)["target_bytes"] == 800 * MIB
        daemon.set_mode(daemon.address, "auto")
        assert events.wait_for("resize-result")["reason"] == "interrupted"
        assert daemon.guest(daemon.address)["mode"] == "auto"


def test_a_guest_that_ends_meanwhile_is_reported(tmp_path):
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Daemon(BINARY, tmp_path / "d", config(tmp_path)))
        with fake_qmp(tmp_path / "gamma.qmp", "--name", "gamma", *SLOW) as address:
            daemon.address = address
            daemon.wait_for_guest(address)
            events = stack.enter_context(daemon.events())
            assert set_size(daemon, 700).status == 202
            daemon.wait_for_guest(address, lambda guest: guest["held_bytes"] == 700 * MIB)
        assert events.wait_for("resize-result")["reason"] in ("gone", "failed")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_that_stops_meanwhile_leaves_the_period_as_it_was(aerostat, tmp_path, how):
    def period(address):
        return aerostat("dommemstat", address, "--json").json["period_s"]

    with fake_qmp(tmp_path / "gamma.qmp", "--name", "gamma", *SLOW) as address:
        assert aerostat("dommemstat", address, "--period", "7").code == DONE
        rules = config(tmp_path, "[guest gamma]\nmode=off\n")
        with Daemon(BINARY, tmp_path / "d", rules) as daemon:
            daemon.address = address
            daemon.wait_for_guest(address)
            with daemon.events() as events:
                assert set_size(daemon, 700).status == 202
                events.wait_for("resize-progress")
            assert period(address) == 1
            daemon.end(how)
        assert period(address) == 7
