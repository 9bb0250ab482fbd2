# SPDX-License-Identifier: BSD-3-Clause
"""A real aerostatd for a test: started in a folder of its own, spoken to over its socket."""
import collections
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.parse

from lab.wait import HANG_S, wait_for

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)    # loaded here: between fork and exec another thread may hold its lock

# A start gives up when another aerostatd, or a guardian that restores guests, is not done in time.
LOCKED = re.compile(r"^error: another aerostatd \(pid \d+\) uses ", re.M)
STOP_WAIT_S = 10    # after that a daemon that stops gives up all guests (aerostatd/manager.h)
# Why a guest that is well may have to be restored again (aerostatd/restore.h).
NOT_YET = ("it is still on its way", "it does not report what it can spare", "and keeps that")

Answer = collections.namedtuple("Answer", "status headers body")


class UnixConnection(http.client.HTTPConnection):
    """HTTP to a Unix socket."""

    def __init__(self, path, timeout=HANG_S):
        super().__init__("aerostatd", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Without a timeout: with one it would not wait while many others connect.
        self.sock.connect(self._path)
        self.sock.settimeout(self.timeout)


def body_of(answer, raw):
    """JSON as what it says, no body as None, all else as text."""
    if not raw:
        return None
    if answer.headers.get_content_type() == "application/json":
        return json.loads(raw)
    return raw.decode()


class Stream:
    """An answer without an end, line by line."""

    def __init__(self, connection, answer):
        self._connection = connection
        self._answer = answer
        self.headers = answer.headers

    def line(self, timeout=HANG_S):
        """The next line without its end; None when the daemon has ended it."""
        self._answer.fp.raw._sock.settimeout(timeout)
        line = self._answer.readline()
        return line.decode().rstrip("\n") if line else None

    def close(self):
        self._answer.close()
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Events(Stream):
    """Server-sent events, taken apart as the standard says."""

    def next(self, timeout=HANG_S):
        """The next event's data; its id and name must be the data's own."""
        fields = {}
        while True:
            line = self.line(timeout)
            if line is None:
                raise EOFError("the daemon ended the events")
            if line and not line.startswith(":"):
                key, value = line.split(": ", 1)
                assert key in ("id", "event", "data") and key not in fields, line
                fields[key] = value
            elif not line and fields:
                event = json.loads(fields["data"])
                assert fields["id"] == str(event["number"])
                assert fields["event"] == event["kind"]
                return event

    def wait_for(self, kind, guest=None, timeout=HANG_S):
        """The next event of a kind, and of a guest if one is named."""
        while True:
            event = self.next(timeout)
            if event["kind"] == kind and guest in (None, event["guest"]):
                return event


def is_guardian(pid):
    try:
        return b"--guard" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_stopped(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Daemon:
    """aerostatd with a configuration; use it with `with`.

    `binary` is build/aerostatd/aerostatd.  Everything is in `folder`: the configuration
    (`config_path`), the socket (`socket_path`), what outlives the daemon (`run`), the log.
    """

    def __init__(self, binary, folder, config="", *words, env=None):
        self.binary = str(binary)
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.run = self.folder / "run"
        self.config_path = self.folder / "aerostat.conf"
        self.socket_path = self.folder / "aerostatd.sock"
        self.log_path = self.folder / "log"
        self.words = [str(word) for word in words]
        # Fakes of several tests have the same UUIDs, by which /run/aerostat knows who set a size.
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                    "XDG_RUNTIME_DIR": str(self.folder), **(env or {})}
        self.process = None
        self._born = 0      # how long the log was when it started last
        self.configure(config)

    def configure(self, text):
        """Writes the configuration; reload() or a start takes it."""
        self.config_path.write_text(text)

    def start(self, wait=True):
        assert self.process is None or self.process.poll() is not None, \
            "it runs already: an earlier test has failed before it could end it"
        self._spawn()
        if wait:
            wait_for(self._has_started, "aerostatd to answer")
        return self

    def _spawn(self):
        argv = [self.binary, "--config", str(self.config_path), "--folder", str(self.run),
                "--socket", str(self.socket_path), *self.words]
        with open(self.log_path, "ab") as log:
            self._born = log.tell()
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.env,
                                            preexec_fn=die_with_parent)

    def _has_started(self):
        """As systemd, it starts again one that gave up because a guardian takes long."""
        if self.process.poll() is None:
            return self.answers()
        log = self.log(self._born)
        assert LOCKED.search(log), f"aerostatd has ended:\n{log}"
        self._spawn()
        return False

    def answers(self):
        try:
            return self.request("GET", "/v1/status").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def log(self, since=0):
        """What it logged, or what comes after so many bytes of that."""
        return self.log_path.read_bytes()[since:].decode()

    def saved(self):
        """The guests in the state file, which whoever restores them removes at any moment."""
        try:
            return json.loads((self.run / "guests.json").read_text())["guests"]
        except FileNotFoundError:
            return []

    @property
    def pid(self):
        return self.process.pid

    # Asking

    def request(self, method, path, body=None, headers=None, timeout=HANG_S):
        """One request; `body` is bytes as they are, or what is made JSON of."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = UnixConnection(self.socket_path, timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, body_of(answer, answer.read()))

    def get(self, path):
        """(status, JSON or text)"""
        answer = self.request("GET", path)
        return answer.status, answer.body

    def put(self, path, body=None):
        answer = self.request("PUT", path, body)
        return answer.status, answer.body

    def post(self, path, body=None):
        answer = self.request("POST", path, body)
        return answer.status, answer.body

    def delete(self, path):
        answer = self.request("DELETE", path)
        return answer.status, answer.body

    def status(self):
        code, body = self.get("/v1/status")
        assert code == 200, body
        return body

    def guest(self, name):
        """A guest with its history; None when there is none of that name."""
        code, body = self.get(f"/v1/guests/{urllib.parse.quote(name, safe='')}")
        assert code in (200, 404), body
        return body if code == 200 else None

    def set_mode(self, name, mode, size=None):
        body = {"mode": mode} if size is None else {"mode": mode, "bytes": size}
        return self.put(f"/v1/guests/{urllib.parse.quote(name, safe='')}/mode", body)

    def reload(self, text=None):
        """Reads the configuration again, after writing it if one is given."""
        if text is not None:
            self.configure(text)
        return self.post("/v1/reload")

    def _stream(self, kind, method, path, headers):
        connection = UnixConnection(self.socket_path)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return kind(connection, answer)

    def events(self, after=None, headers=None):
        """The events from now on, or those after a number first."""
        query = "" if after is None else f"?after={after}"
        return self._stream(Events, "GET", f"/v1/events{query}", headers or {})

    def recording(self):
        return self._stream(Stream, "POST", "/v1/recording", {})

    # Waiting

    def wait_for_guest(self, name, condition=lambda guest: guest["max_bytes"]):
        """The guest, once there is one and `condition` of it; as a rule once it has answered."""
        def found():
            guest = self.guest(name)
            return guest if guest and condition(guest) else None
        return wait_for(found, f"aerostatd and guest {name}")

    def wait_for_no_guest(self, name):
        wait_for(lambda: self.guest(name) is None, f"aerostatd to forget {name}")

    def wait_for_rounds(self, count=1):
        """So many rounds more than there were."""
        until = self.status()["rounds"] + count
        wait_for(lambda: self.status()["rounds"] >= until, f"{count} rounds")

    # Ending

    def end(self, how):
        self.process.send_signal(how)
        try:
            return self.process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def stop(self):
        """As systemd does; its exit status, once guests are put back."""
        return self.end(signal.SIGTERM)

    def stop_and_restore(self):
        """stop(), and --restore for guests that are slower than the daemon waits."""
        since, began = self.log_path.stat().st_size, time.monotonic()
        code = self.stop()
        late = re.findall(r"^error: .*: not restored to .*", self.log(since), re.M)
        assert code == 0 or late or time.monotonic() - began >= STOP_WAIT_S, self.log(since)
        assert all(any(why in line for why in NOT_YET) for line in late), self.log(since)
        if code:
            self.restore()

    def restore(self):
        """aerostatd --restore, again while a guest is slow; what the last one printed."""
        def is_restored():
            nonlocal result
            result = self.run_restore()
            errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
            assert bool(errors) == bool(result.returncode), result.stderr
            assert all(LOCKED.match(line) or any(why in line for why in NOT_YET)
                       for line in errors), result.stderr
            return not errors
        result = None
        wait_for(is_restored, "all guests to be restored")
        return result.stderr

    def run_restore(self):
        """One aerostatd --restore, as a subprocess.CompletedProcess."""
        return subprocess.run([self.binary, "--restore", "--folder", self.run], timeout=HANG_S,
                              capture_output=True, text=True, env=self.env)

    def guardians(self):
        """The process ids of its guardian: at most one, and none in the second after its end."""
        try:
            children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [int(pid) for pid in children.split() if is_guardian(pid)]

    def kill(self):
        """As a crash would; its guardian goes on."""
        return self.end(signal.SIGKILL)

    def kill_with_guardian(self):
        """So that nobody restores anything.  A daemon that runs starts another guardian."""
        self.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_stopped(self.pid), "aerostatd to stop")
        for pid in self.guardians():
            os.kill(pid, signal.SIGKILL)
        self.kill()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.stop()
        print(f"log of aerostatd:\n{self.log()}")      # shown if the test fails
