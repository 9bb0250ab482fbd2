# SPDX-License-Identifier: BSD-3-Clause
"""The lab's own client of monitors, with peers that are slow, busy, or in another order."""
import json
import socket
import threading

import pytest

from lab import qmp
from lab.wait import wait_for

EVENT = {"event": "BALLOON_CHANGE", "data": {"actual": 1}}
GREETING = {"QMP": {"version": {}, "capabilities": []}}


def serve(listener, before_greeting):
    """One client, each of whose commands succeeds."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rw") as file:
        for message in (*before_greeting, GREETING):
            print(json.dumps(message), file=file, flush=True)
        for _ in file:
            print(json.dumps({"return": {}}), file=file, flush=True)


@pytest.fixture
def listener(tmp_path):
    """A socket that nobody listens at yet."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "qmp"))
        yield one


def test_an_event_before_the_greeting_is_an_event(listener, tmp_path):
    listener.listen()
    server = threading.Thread(target=serve, args=(listener, [EVENT]))
    server.start()
    with qmp.session(tmp_path / "qmp", "watch") as monitor:
        assert monitor.execute("query-version") == {}
        assert monitor.wait_event("BALLOON_CHANGE", actual=1) == EVENT
    server.join()


def test_a_monitor_answers_only_when_somebody_listens(listener, tmp_path):
    assert not qmp.answers(tmp_path / "nothing")
    assert not qmp.answers(tmp_path / "qmp")
    listener.listen()
    server = threading.Thread(target=serve, args=(listener, []))
    server.start()
    assert qmp.answers(tmp_path / "qmp")
    server.join()


def test_a_place_in_a_full_queue_is_waited_for(listener, tmp_path):
    listener.listen(0)
    others = []

    def is_full():
        others.append(socket.socket(socket.AF_UNIX))
        others[-1].setblocking(False)
        return not qmp.is_connected(others[-1], tmp_path / "qmp")
    wait_for(is_full, "the queue to be full")
    client = threading.Thread(target=qmp.ask, args=(tmp_path / "qmp", "query-version", {}))
    client.start()
    for _ in others[:-1]:       # who hang up as soon as they are accepted
        listener.accept()[0].close()
    serve(listener, [])
    client.join()
    for other in others:
        other.close()
