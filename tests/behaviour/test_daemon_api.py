# SPDX-License-Identifier: BSD-3-Clause
"""The API of a real aerostatd: what docs/openapi.json says is what it does, and who may do it."""
import contextlib
import grp
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile

import jsonschema
import pytest

import prometheus
from command import MIB
from conftest import BUILD, ROOT
from daemon import Daemon, UnixConnection
from lab.wait import HANG_S, wait_for

BINARY = BUILD / "aerostatd/aerostatd"
FAKE = ROOT / "tests/fake_qmp.py"
OPENAPI = json.loads((ROOT / "docs/openapi.json").read_text())
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
NOBODY, SOMEBODY, A_GROUP = 65534, 4001, 4002
TTL_S = 10000       # of a reservation that does not end by itself in a test


@contextlib.contextmanager
def fake_guest(folder, name, *words):
    """A QEMU that is none, of 1 GiB; its name is that of its socket."""
    process = subprocess.Popen([sys.executable, str(FAKE), str(folder / f"{name}.qmp"), *words],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("ready ")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def config(folder, more=""):
    """With a budget of its own: what the host has free changes while other tests run."""
    return f"[discover]\nqmp={folder}/*.qmp\n[host]\nbudget=64G\n{more}"


@pytest.fixture
def alone(tmp_path):
    """A daemon that finds no guest."""
    with Daemon(BINARY, tmp_path / "d", config(tmp_path)) as daemon:
        yield daemon


@pytest.fixture
def daemon(tmp_path):
    """A daemon that observes one guest, whose address `daemon.address` is."""
    with fake_guest(tmp_path, "alpha"), \
            Daemon(BINARY, tmp_path / "d", config(tmp_path)) as daemon:
        daemon.address = f"qmp:{tmp_path}/alpha.qmp"
        daemon.wait_for_guest(daemon.address)
        yield daemon


# docs/openapi.json

def as_json_schema(part):
    """OpenAPI 3.0's nullable in JSON Schema's words."""
    if isinstance(part, list):
        return [as_json_schema(each) for each in part]
    if not isinstance(part, dict):
        return part
    part = {key: as_json_schema(value) for key, value in part.items()}
    if part.pop("nullable", False):
        part["type"] = [part["type"], "null"]
    return part


SCHEMAS = as_json_schema(OPENAPI)


def resolve(part):
    while "$ref" in part:
        found = SCHEMAS
        for word in part["$ref"].removeprefix("#/").split("/"):
            found = found[word]
        part = found
    return part


def validate(value, schema):
    resolver = jsonschema.RefResolver("", SCHEMAS)
    jsonschema.Draft4Validator(schema, resolver=resolver).validate(value)


def check(method, path, answer):
    """An answer is one that the documentation of its path promises."""
    operation = SCHEMAS["paths"][path][method]
    assert str(answer.status) in operation["responses"], (method, path, answer)
    content = resolve(operation["responses"][str(answer.status)]).get("content")
    if content is None:
        assert answer.body is None
        return
    assert list(content) == [answer.headers.get_content_type()]
    validate(answer.body, content[answer.headers.get_content_type()]["schema"])


def ask(daemon, method, path, body=None, **words):
    """A request whose answer is checked; @words fill the documented @path."""
    real = path
    for name, word in words.items():
        real = real.replace("{%s}" % name, word)
    answer = daemon.request(method.upper(), real, body)
    check(method, path, answer)
    return answer


def quoted(address):
    return address.replace("/", "%2F")


def test_the_document_is_strict_about_every_object():
    def look(part, where):
        if isinstance(part, dict):
            if part.get("type") == "object" and isinstance(part.get("properties"), dict):
                assert part.get("additionalProperties") is False, where
                assert set(part.get("required", [])) <= set(part["properties"]), where
            for key, value in part.items():
                look(value, f"{where}/{key}")
        elif isinstance(part, list):
            for each in part:
                look(each, where)
    look(OPENAPI["components"]["schemas"], "schemas")


def test_the_document_refers_to_nothing_that_is_not_there_and_has_nothing_idle():
    refs = set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(OPENAPI)))
    parts = {f"{kind}/{name}" for kind, named in OPENAPI["components"].items() for name in named}
    assert refs == parts


def test_the_document_names_the_version_that_is_built():
    built = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
    assert OPENAPI["info"]["version"] == built


def test_every_documented_method_is_there_and_no_other(alone):
    for path, item in OPENAPI["paths"].items():
        real = path.replace("{name}", "nobody").replace("{id}", "99")
        allowed = {method.upper() for method in METHODS if method in item}
        for method in METHODS:
            if method in item:
                connection = UnixConnection(alone.socket_path)
                connection.request(method.upper(), real)
                answer = connection.getresponse()
                # A stream's body has no end, so it is not read.
                assert answer.status not in (404, 405) or b"not-found" in answer.read(), path
                connection.close()
            else:
                answer = alone.request(method.upper(), real)
                assert answer.status == 405, (method, path)
                assert set(answer.headers["Allow"].split(", ")) == allowed
    assert alone.get("/v1/nothing")[1]["error"]["code"] == "no-such-path"


def test_the_answers_of_a_daemon_with_no_guest_are_as_documented(alone):
    status = ask(alone, "get", "/v1/status").body
    assert status["guests"] == [] and status["reservations"] == []
    assert ask(alone, "get", "/v1/guests/{name}", name="nobody").status == 404
    assert ask(alone, "put", "/v1/mode", {"mode": "auto"}).body == {"guests": []}
    assert ask(alone, "get", "/v1/reservations/{id}", id="1").status == 404
    assert ask(alone, "delete", "/v1/reservations/{id}", id="1").status == 404
    assert ask(alone, "post", "/v1/reload").body == {"reloaded": str(alone.config_path)}
    ask(alone, "get", "/metrics")


def test_the_answers_about_a_guest_are_as_documented(daemon):
    name = quoted(daemon.address)
    daemon.wait_for_rounds(2)
    status = ask(daemon, "get", "/v1/status").body
    assert [guest["address"] for guest in status["guests"]] == [daemon.address]
    assert "history" not in status["guests"][0]
    guest = ask(daemon, "get", "/v1/guests/{name}", name=name).body
    assert guest["history"] == [] or guest["history"][0]["time_us"]
    assert guest["reason_help"]
    assert guest["text"]
    assert guest["max_bytes"] == guest["before_bytes"] == guest["actual_bytes"]
    names = ask(daemon, "put", "/v1/mode", {"mode": "observe"}).body["guests"]
    assert names == [guest["name"]]


def test_what_is_documented_as_wrong_is_refused_as_documented(daemon):
    name = quoted(daemon.address)
    for body in ({}, {"mode": "on"}, {"mode": "held", "bytes": 0}, {"mode": "auto", "x": 1}):
        assert ask(daemon, "put", "/v1/guests/{name}/mode", body, name=name).status == 400
        with pytest.raises(jsonschema.ValidationError):
            validate(body, SCHEMAS["components"]["schemas"]["modeWish"])
    for body in (b"{", {"mode": "held", "bytes": 1 << 62}):     # no schema can tell
        assert ask(daemon, "put", "/v1/guests/{name}/mode", body, name=name).status == 400
    assert ask(daemon, "put", "/v1/mode", {"mode": "held", "bytes": MIB}).status == 400
    for body in ({}, {"bytes": 1, "ttl_s": 86401}, {"bytes": 1, "note": 3}):
        assert ask(daemon, "post", "/v1/reservations", body).status == 400
        with pytest.raises(jsonschema.ValidationError):
            validate(body, SCHEMAS["components"]["schemas"]["reservationWish"])
    assert ask(daemon, "post", "/v1/reload", b" " * 70000).status == 413
    assert daemon.guest(daemon.address)["mode_by"] == "file"


# What people ask for

def test_a_guest_is_held_and_given_free_again(daemon):
    name = quoted(daemon.address)
    with daemon.events() as events:
        answer = ask(daemon, "put", "/v1/guests/{name}/mode",
                     {"mode": "held", "bytes": 768 * MIB}, name=name)
        assert answer.status == 200
        event = events.wait_for("mode")
        validate(event, SCHEMAS["components"]["schemas"]["event"])
        assert "held" in event["text"]
    held = daemon.wait_for_guest(daemon.address,
                                 lambda guest: guest["actual_bytes"] == 768 * MIB)
    assert (held["mode"], held["mode_by"]) == ("held", "person")
    assert held["held_bytes"] == 768 * MIB
    daemon.set_mode(daemon.address, "auto")
    daemon.wait_for_guest(daemon.address, lambda guest: guest["mode"] == "auto")


def test_a_reservation_is_made_and_ends(alone):
    alone.wait_for_rounds(1)
    with alone.events() as events:
        made = ask(alone, "post", "/v1/reservations",
                   {"bytes": 64 * MIB, "ttl_s": TTL_S, "note": "for a test"})
        assert made.status == 201
        assert made.body["bytes"] == 64 * MIB
        assert TTL_S - HANG_S <= made.body["seconds_left"] <= TTL_S
        assert events.wait_for("reservation")["guest"] is None
    number = str(made.body["id"])
    assert ask(alone, "get", "/v1/reservations/{id}", id=number).body["note"] == "for a test"
    assert [each["id"] for each in alone.status()["reservations"]] == [made.body["id"]]
    assert ask(alone, "delete", "/v1/reservations/{id}", id=number).status == 204
    assert ask(alone, "get", "/v1/reservations/{id}", id=number).status == 404


def test_more_than_the_host_has_is_not_reserved(alone):
    alone.wait_for_rounds(1)
    answer = ask(alone, "post", "/v1/reservations", {"bytes": 1 << 60})
    assert answer.status == 409
    assert answer.body["error"]["code"] == "refused"
    assert alone.status()["reservations"] == []


def test_a_wrong_file_is_refused_and_what_was_in_force_stays(alone, tmp_path):
    alone.configure("[host]\nbudget=lots\n")
    answer = ask(alone, "post", "/v1/reload")
    assert answer.status == 409
    assert "line 2" in answer.body["error"]["message"]
    with fake_guest(tmp_path, "late"):
        alone.wait_for_guest(f"qmp:{tmp_path}/late.qmp")


# Streams

def test_events_come_in_order_and_can_be_had_again(alone, tmp_path):
    with alone.events() as events:
        with fake_guest(tmp_path, "beta"):
            found = events.wait_for("guest-found")
            validate(found, SCHEMAS["components"]["schemas"]["event"])
        gone = events.wait_for("guest-gone")
    assert gone["number"] > found["number"]
    with alone.events(after=0) as events:
        numbers = [events.next()["number"] for _ in range(gone["number"])]
    assert numbers == list(range(1, gone["number"] + 1))
    with alone.events(after=0, headers={"Last-Event-ID": str(found["number"])}) as events:
        assert events.next()["number"] == found["number"] + 1


def test_a_recording_lasts_until_its_client_goes(daemon):
    with daemon.recording() as recording:
        assert "aerostat-recording" in json.loads(recording.line())
        step = json.loads(recording.line())
        assert len(step["guests"]) == len(step["decisions"]) == 1
        assert daemon.status()["recording"]
        assert daemon.post("/v1/recording")[0] == 409
    wait_for(lambda: not daemon.status()["recording"], "the recording to end")
    with daemon.recording() as recording:
        assert recording.line()


def test_streams_end_when_the_daemon_is_stopped(alone):
    with alone.events() as events:
        assert alone.stop() == 0
        with pytest.raises((EOFError, ConnectionError)):
            events.next()
    assert not alone.socket_path.exists()


def test_a_client_that_does_not_read_holds_up_nobody(alone):
    with alone.events() as slow:
        assert slow.line() == ":"
        for _ in range(100):
            assert alone.reload()[0] == 200
        alone.wait_for_rounds(2)


# Metrics

def test_metrics_follow_the_rules_of_promtool(daemon):
    daemon.wait_for_rounds(2)
    families = prometheus.read(ask(daemon, "get", "/metrics").body)
    status = daemon.status()
    guest, = status["guests"]
    assert families["aerostat_build_info"].value(version=status["version"]) == 1
    assert families["aerostat_guest_actual_bytes"].value(
        guest=guest["name"], source="qmp") == guest["actual_bytes"]
    assert families["aerostat_host_total_bytes"].value() == status["host"]["total_bytes"]
    assert families["aerostat_rounds_total"].value() <= status["rounds"]
    assert families["aerostat_events_total"].value(kind="guest-found") == 1


def test_metrics_of_a_daemon_with_no_guest_follow_the_rules_too(alone):
    families = prometheus.read(alone.get("/metrics")[1])
    assert families["aerostat_guest_actual_bytes"].samples == {}
    assert families["aerostat_host_guests"].value(mode="auto") == 0


@pytest.mark.parametrize("text, says", [
    ("# HELP a b\n# TYPE a gauge\na 1", "no end"),
    ("a 1\n", "its own HELP"),
    ("# TYPE a gauge\na 1\n", "before HELP"),
    ("# HELP a b\n# TYPE a gauge\na 1\na 2\n", "second time"),
    ("# HELP a b\n# HELP a b\n", "second time"),
    ("# HELP a b\n# TYPE a gauge\na 1\n# HELP b b\n# TYPE b gauge\n# TYPE a gauge\n", "two places"),
    ("# HELP a b\n# TYPE a gauge\na 1\n# HELP a b\n", "after samples"),
    ("# HELP a b\n# TYPE a number\n", "no type"),
    ("# HELP a b\n# TYPE a counter\n", "_total"),
    ("# HELP a_total b\n# TYPE a_total gauge\n", "_total"),
    ("# HELP a_ms b\n# TYPE a_ms gauge\n", "base units"),
    ("# HELP a_gauge b\n# TYPE a_gauge gauge\n", "its type"),
    ("# HELP a_count b\n# TYPE a_count gauge\n", "histogram"),
    ("# HELP a b\n# TYPE a gauge\na{b=1} 1\n", "labels"),
    ("# HELP a b\n# TYPE a gauge\na{b=\"1\",} 1\n", "labels"),
    ("# HELP a b\n# TYPE a gauge\na{b=\"\\t\"} 1\n", "backslash"),
    ("# HELP a b\n# TYPE a gauge\na{b=\"1\",b=\"1\"} 1\n", "label twice"),
    ("# HELP a b\n# TYPE a gauge\na one\n", "no value"),
    ("# HELP a b\n# TYPE a gauge\na 1 2\n", "no value"),
    ("# HELP a b\n# TYPE a gauge\n\na 1\n", "neither"),
    ("# HELP a\n# TYPE a gauge\na 1\n", "no help"),
])
def test_the_reader_of_metrics_is_strict(text, says):
    with pytest.raises(prometheus.Wrong, match=says):
        prometheus.read(text)


def test_the_reader_of_metrics_understands_what_is_right():
    families = prometheus.read('# HELP a x\\ny\n# TYPE a gauge\na{b="\\\\\\"\\n",c="é"} 1.5e3\n')
    assert families["a"].help == "x\ny"
    assert families["a"].value(b='\\"\n', c="é") == 1500


# Who may

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="asks as other users, so it needs root")


# Runs as a user who may not be able to read the checkout, so it uses Python's own library alone.
ASK = """\
import http.client, socket, sys
path, method, where = sys.argv[1:]
connection = http.client.HTTPConnection("aerostatd")
connection.sock = socket.socket(socket.AF_UNIX)
try:
    connection.sock.connect(path)
except PermissionError:
    print("None")
else:
    connection.request(method, where)
    print(connection.getresponse().status)
"""


def ask_as(uid, groups, path, method, where):
    """The status that another user gets, and None when it cannot even connect."""
    result = subprocess.run(
        [sys.executable, "-I", "-c", ASK, str(path), method, where], capture_output=True,
        text=True, timeout=HANG_S, cwd="/", user=uid, group=uid, extra_groups=groups)
    assert result.returncode == 0, result.stderr
    return None if result.stdout == "None\n" else int(result.stdout)


@pytest.fixture
def open_daemon():
    """Starts a daemon whose socket every user gets to, and can open if @mode lets it."""
    with contextlib.ExitStack() as stack:
        # Not pytest's own folder, which each run of pytest closes to others.
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)

        def start(lists, mode=0o666):
            daemon = stack.enter_context(
                Daemon(BINARY, folder / "d", config(folder, f"[api]\n{lists}")))
            daemon.folder.chmod(0o711)
            daemon.socket_path.chmod(mode)
            return daemon
        yield start


def rights(daemon, uid, *groups):
    """What a user may: "" nothing, "r" look, "w" change, too."""
    look = ask_as(uid, groups, daemon.socket_path, "GET", "/v1/status")
    change = ask_as(uid, groups, daemon.socket_path, "POST", "/v1/reload")
    assert look in (200, 403) and change in (200, 403)
    return "w" if change == 200 else "r" if look == 200 else ""


@needs_root
def test_the_socket_is_opened_by_owner_and_group_alone(open_daemon):
    group = grp.getgrnam("nogroup").gr_gid
    daemon = open_daemon("group=nogroup\n", mode=0o660)
    assert daemon.socket_path.stat().st_gid == group
    assert ask_as(SOMEBODY, [], daemon.socket_path, "GET", "/v1/status") is None
    assert ask_as(SOMEBODY, [group], daemon.socket_path, "GET", "/v1/status") == 200


@needs_root
def test_unless_said_otherwise_all_may_look_and_only_root_may_change(open_daemon):
    daemon = open_daemon("")
    assert rights(daemon, SOMEBODY) == "r"
    assert daemon.post("/v1/reload")[0] == 200


@needs_root
def test_readers_and_writers_are_who_the_file_says(open_daemon):
    daemon = open_daemon(f"readers={SOMEBODY};@{A_GROUP}\nwriters=nobody;@{A_GROUP + 1}\n")
    assert rights(daemon, SOMEBODY) == "r"
    assert rights(daemon, 4010) == ""
    assert rights(daemon, 4010, A_GROUP) == "r"
    assert rights(daemon, 4010, A_GROUP + 1) == "w"
    assert rights(daemon, NOBODY) == "w"
    assert re.search(r"refused GET /v1/status from user 4010", daemon.log())


@needs_root
def test_a_reload_changes_who_may(open_daemon, tmp_path):
    daemon = open_daemon("readers=\n")
    assert rights(daemon, SOMEBODY) == ""
    assert daemon.reload(config(tmp_path, f"[api]\nreaders={SOMEBODY}\n"))[0] == 200
    assert rights(daemon, SOMEBODY) == "r"
    daemon.configure(config(tmp_path, f"[api]\nwriters={SOMEBODY}\n"))
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: rights(daemon, SOMEBODY) == "w", "the new list")


@needs_root
def test_who_may_only_look_can_neither_hold_nor_record(open_daemon):
    daemon = open_daemon("")
    for method, path in (("PUT", "/v1/mode"), ("PUT", "/v1/guests/a/mode"),
                         ("POST", "/v1/reservations"), ("DELETE", "/v1/reservations/1"),
                         ("POST", "/v1/reload"), ("POST", "/v1/recording")):
        assert ask_as(SOMEBODY, [], daemon.socket_path, method, path) == 403
    for path in ("/v1/status", "/metrics", "/v1/events"):
        assert ask_as(SOMEBODY, [], daemon.socket_path, "GET", path) == 200


# The socket

def test_the_socket_is_closed_to_all_others(alone):
    assert stat.S_IMODE(alone.socket_path.stat().st_mode) == 0o660


def test_the_socket_of_a_daemon_that_was_killed_is_replaced(alone):
    alone.kill()
    assert alone.socket_path.exists()
    alone.start()
    assert alone.status()["rounds"] >= 0


def test_a_socket_that_another_daemon_listens_at_is_not_taken(alone, tmp_path):
    second = Daemon(BINARY, tmp_path / "second", config(tmp_path))
    second.socket_path = alone.socket_path
    second.start(wait=False)
    assert second.process.wait(HANG_S) == 1
    assert "another daemon listens on" in second.log()
    assert alone.answers()


def test_a_client_that_connects_and_says_nothing_holds_up_nobody(alone):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(str(alone.socket_path))
        assert alone.status()


# A real guest

def test_a_real_guest_is_told_of_as_documented(lab, tmp_path):
    with lab.guest("delta", memory=256, balloon={"stats-period": 1}) as guest:
        with Daemon(BINARY, tmp_path / "d", f"[discover]\nqmp={guest.qmp_path}\n") as daemon:
            told = daemon.wait_for_guest(guest.address,
                                         lambda told: told["stats"]["available_bytes"])
            assert 0 <= told["stats"]["age_us"] < HANG_S * 1_000_000
            told = ask(daemon, "get", "/v1/guests/{name}", name=quoted(guest.address)).body
            assert told["pid"] == guest.pid
            assert told["max_bytes"] == 256 * MIB
            assert told["resident_bytes"] > 32 * MIB    # a kernel and QEMU have touched more
            assert told["driver"] in ("ready", "unknown")
            families = prometheus.read(daemon.get("/metrics")[1])
            assert families["aerostat_guest_stats_available_bytes"].value(
                guest=told["name"]) > 0
