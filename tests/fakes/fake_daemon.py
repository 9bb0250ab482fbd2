#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A fake aerostatd: its API over a Unix socket, with two invented guests.

It does on demand what the real one does not: refuse, hang, lie, and close the connection in the
middle of an answer.  A test changes `status` and `refuse`, reads `asked`, and decides how
recordings end.  Run as a program, it serves PATH until Ctrl-C, to try commands by hand.
"""
import contextlib
import copy
import http.server
import json
import socketserver
import sys
import threading
import urllib.parse

MIB = 1 << 20
GIB = 1 << 30
DECIDED_US = 1_790_000_000_000_000

STATS = {"age_us": 800_000, "available_bytes": 192 * MIB, "free_bytes": 50 * MIB,
         "total_bytes": 490 * MIB, "cache_bytes": 120 * MIB, "swap_in_bytes": 0,
         "swap_out_bytes": 0, "major_faults": 12, "oom_kills": None, "alloc_stalls": None,
         "direct_scan_bytes": None, "psi_some_us": None, "psi_full_us": None}

CHANGE = {"time_us": DECIDED_US, "actual_bytes": 600 * MIB, "target_before_bytes": 600 * MIB,
          "target_bytes": 512 * MIB, "reason": "idle",
          "text": "needs 320 MiB, plus a reserve of 128 MiB: wants 448 MiB, has 600 MiB; "
                  "gives 88 MiB",
          "need_bytes": 320 * MIB, "demand_bytes": 320 * MIB, "reserve_bytes": 128 * MIB,
          "want_bytes": 448 * MIB}


def guest(number, name, **changes):
    """A guest as the daemon reports it, with changes."""
    plain = {
        "id": number, "name": name, "uuid": f"00000000-0000-4000-8000-00000000000{number}",
        "address": f"qmp:/nonexistent/{name}.qmp", "source": "qmp", "pid": None,
        "state": "running", "driver": "ready", "autodeflate": False, "obstacle": None,
        "problem": None, "mode": "auto", "mode_by": "file", "held_bytes": None,
        "max_bytes": GIB, "actual_bytes": 512 * MIB, "target_bytes": 512 * MIB,
        "before_bytes": GIB, "resident_bytes": 530 * MIB, "min_bytes": None, "limit_bytes": None,
        "weight": 1.0, "stats": dict(STATS), "need_bytes": 320 * MIB, "demand_bytes": 330 * MIB,
        "reserve_bytes": 128 * MIB, "want_bytes": 458 * MIB, "floor_bytes": 232 * MIB,
        "pressured": False, "critical": False, "reason": "calm",
        "text": "needs 330 MiB, plus a reserve of 128 MiB: wants 458 MiB, has 512 MiB; gives "
                "memory after 30 s of calm",
        "times_set": 3, "times_failed": 0, "free_page_reporting": False, "abilities": [],
        "pulled_bytes": 0, "trimmed_bytes": None, "credit_bytes": None, "ceiling_bytes": None,
        "gains": []}
    assert set(changes) <= set(plain)
    return {**plain, **changes}


def whole_status():
    """The answer to GET /v1/status on a host without problems."""
    return {
        "version": "0.1.0", "policy": "aerostat", "started_us": DECIDED_US, "rounds": 100,
        "late_us": 10, "late_max_us": 900, "step_us": 40, "trigger": True, "recording": False,
        "host": {"total_bytes": 16 * GIB, "available_bytes": 6 * GIB, "free_bytes": 2 * GIB,
                 "cache_bytes": 4 * GIB, "swap_used_bytes": 0, "pressure": 0.0125,
                 "reserved_bytes": 0, "critical": False},
        "budget_bytes": 12 * GIB, "usable_bytes": 12 * GIB, "want_bytes": 900 * MIB,
        "in_reserve_bytes": GIB + 200 * MIB, "overcommitted": False, "to_restore": 0,
        "guests": [guest(1, "alpha"), guest(2, "beta", mode="held", mode_by="person",
                                            held_bytes=512 * MIB)],
        "reservations": [], "limits": [], "problems": []}


def recording(steps):
    """The lines of a recording, but not one that simulate could replay."""
    yield {"aerostat-recording": 1, "policy": "aerostat", "settings": {}}
    for step in range(steps):
        yield {"host": {"now_us": step}, "guests": []}


class Refused(Exception):
    """Carries status, code and message of an error answer."""


class FakeDaemon:
    """What it answers, and what it was asked."""

    def __init__(self, path):
        self.path = str(path)
        self.status = whole_status()
        self.history = [dict(CHANGE, time_us=DECIDED_US - 60_000_000 * age) for age in range(3)]
        self.asked = []             # (method, path, body)
        self.refuse = {}            # (method, path) → (status, code, message)
        self.raw = {}               # (method, path) → bytes instead of an answer
        self.hang = threading.Event()       # set: no request is answered
        self.closed = threading.Event()
        self.grows = []             # free_bytes of a reservation, one per request; the last stays
        self.lines = list(recording(3))     # of /v1/recording; a str is sent as it is
        self.pause_s = 0                    # before each line
        self.recording_ends = False         # the daemon ends it, not the client
        self.next_id = 7
        self.server = Server(self.path, Handler)
        self.server.daemon = self
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={
            "poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()

    def puts(self):
        """The modes that were set, as (path, body)."""
        return [(path, body) for method, path, body in self.asked if method == "PUT"]

    def find(self, name):
        fitting = [one for one in self.status["guests"]
                   if name in (one["name"], one["uuid"], "uuid:" + str(one["uuid"]),
                               one["address"])]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise Refused(409, "ambiguous", f"'{name}' is the name of several guests")
        raise Refused(404, "not-found", f"aerostatd knows no guest '{name}'; there are: " +
                      ", ".join(one["name"] for one in self.status["guests"]))

    def set_mode(self, guests, body):
        for one in guests:
            one["mode"] = body["mode"]
            one["mode_by"] = "file" if body["mode"] == "auto" else "person"
            one["held_bytes"] = body.get("bytes")
        return 200, {"guests": [one["name"] for one in guests]}

    def reservation(self, number):
        for one in self.status["reservations"]:
            if one["id"] == number:
                if self.grows:
                    one["free_bytes"] = self.grows.pop(0) if len(self.grows) > 1 else self.grows[0]
                return one
        raise Refused(404, "not-found", f"there is no reservation {number}")

    def answer(self, method, path, body):
        """Status and body of what the real one would answer."""
        words = [urllib.parse.unquote(word) for word in path.split("/")[2:]]
        if (method, words) == ("GET", ["status"]):
            return 200, self.status
        if method == "GET" and words[0] == "guests":
            return 200, {**self.find(words[1]), "history": self.history,
                         "reason_help": "it will be shrunk once it has been calm for long enough"}
        if method == "PUT" and words[0] == "guests" and words[2] == "own-size":
            guest = self.find(words[1])
            guest["before_bytes"] = body["bytes"]
            return 200, {"guests": [guest["name"]]}
        if method == "PUT" and words[0] == "guests":
            return self.set_mode([self.find(words[1])], body)
        if (method, words) == ("PUT", ["mode"]):
            return self.set_mode(self.status["guests"], body)
        if (method, words) == ("POST", ["reload"]):
            return 200, {"reloaded": "/etc/aerostat/aerostat.conf"}
        if (method, words) == ("POST", ["reservations"]):
            self.status["reservations"].append({
                "id": self.next_id, "bytes": body["bytes"], "free_bytes": 0,
                "seconds_left": body["ttl_s"], "note": body.get("note", "")})
            return 201, self.reservation(self.next_id)
        if words[0] == "reservations":
            one = self.reservation(int(words[1]))
            if method == "DELETE":
                self.status["reservations"].remove(one)
                return 204, None
            return 200, one
        raise Refused(404, "no-such-path", f"the API has no path '{path}'")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 16


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, format, *args):   # pylint: disable=redefined-builtin
        pass

    def send_json(self, status, body):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def send_chunk(self, text):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def record(self):
        """Sends the lines, in chunks that are not lines, then nothing until either side ends."""
        daemon = self.server.daemon
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in daemon.lines:
            daemon.closed.wait(daemon.pause_s)
            text = (line if isinstance(line, str) else json.dumps(line) + "\n").encode()
            self.send_chunk(text[:5])
            self.send_chunk(text[5:])
        if not daemon.recording_ends:
            self.rfile.read(1)      # until the client goes
        self.close_connection = True

    def handle(self):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):    # clients go
            super().handle()

    def serve(self):
        daemon = self.server.daemon
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(body) if body else None
        what = (self.command, self.path)
        daemon.asked.append((*what, copy.deepcopy(body)))
        if daemon.hang.is_set():
            daemon.closed.wait()
        if what in daemon.raw:
            self.wfile.write(daemon.raw[what])
            self.close_connection = True
        elif what in daemon.refuse:
            status, code, message = daemon.refuse[what]
            self.send_json(status, {"error": {"code": code, "message": message}})
        elif what == ("POST", "/v1/recording"):
            self.record()
        else:
            try:
                self.send_json(*daemon.answer(*what, body))
            except Refused as why:
                status, code, message = why.args
                self.send_json(status, {"error": {"code": code, "message": message}})

    do_GET = do_PUT = do_POST = do_DELETE = serve


def main():
    with FakeDaemon(sys.argv[1]) as daemon:
        print("ready", daemon.path, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
