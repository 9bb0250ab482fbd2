#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A fake QEMU monitor (QMP), for faults that a real QEMU will not produce.

Serves one client at a time, as QEMU does, and keeps its balloon's state from
one client to the next.  Each --mode but "honest" is one fault; all else about
it is honest.  Prints "ready PATH" when it listens.
"""
import argparse
import json
import os
import select
import signal
import socket
import time

MIB = 1 << 20
UNSET = (1 << 64) - 1
LIST_FOLDERS = ("/machine/peripheral", "/machine/peripheral-anon")

MODES = {
    "honest": "actual moves to the target at --rate",
    "no-greeting": "accepts and says nothing",
    "garbage": "answers with bytes that are not JSON",
    "truncated": "says half of an answer and closes",
    "huge": "answers with one line of 64 MiB",
    "endless": "answers with a line that never ends",
    "deep": "answers with 100000 nested arrays",
    "drop-after-greeting": "closes once it has greeted",
    "drop-mid-command": "closes on the first command after the negotiation",
    "drop-once": "the same for the first client only; later ones are served",
    "slow": "answers each command after --delay seconds",
    "error": "answers every command with an error",
    "bad-error": "answers every command with an error that says nothing",
    "wrong-id": "answers with the id of another command",
    "wrong-types": "answers with strings for numbers and lists for objects",
    "negative-actual": "query-balloon and BALLOON_CHANGE say -4096",
    "huge-actual": "query-balloon and BALLOON_CHANGE say 2^63 and more",
    "event-flood": "says 2000 events before each answer",
    "no-balloon": "there is no balloon: DeviceNotActive",
    "no-driver": "there is a balloon, but no driver sets it up; targets are taken and ignored",
    "never-moves": "the driver is ready and targets are taken, but actual stays",
    "forged-stats": "statistics are numbers that cannot all be true",
    "late-driver": "no driver is ready the first five times that somebody asks",
    "no-stats": "the driver is ready, but never reports statistics",
    "free-only": "statistics are those of a Windows driver: what is free, not what is available",
    "stale-stats": "statistics were true an hour ago",
}


class Drop(Exception):
    """Close this client and take the next."""


class QmpError(Exception):
    """An error to answer with: class and text."""


class Guest:
    """What the guest behind the monitor is: its memory, its balloon and its statistics."""

    def __init__(self, options):
        self.options = options
        self.max = options.memory * MIB
        self.actual = self.target = self.max
        self.moved_at = time.monotonic()
        self.told = self.actual
        self.told_at = 0.0
        self.period = 0
        self.running = True
        self.status_asked = 0

    @property
    def mode(self):
        return self.options.mode

    def move(self):
        """Lets actual go towards the target for the time that has passed."""
        now = time.monotonic()
        step = int((now - self.moved_at) * self.options.rate * MIB) & ~4095
        if self.mode in ("never-moves", "no-driver") or not self.running:
            step = 0
        elif step == 0 and self.actual != self.target:
            return
        self.moved_at = now
        distance = self.target - self.actual
        self.actual += max(-step, min(step, distance))

    def shown_actual(self):
        return {"negative-actual": -4096, "huge-actual": 1 << 63,
                "wrong-types": "512M"}.get(self.mode, self.actual)

    def events(self):
        """BALLOON_CHANGE, at most once a second, as QEMU limits it."""
        self.move()
        if self.actual == self.told or time.monotonic() - self.told_at < 1:
            return []
        self.told, self.told_at = self.actual, time.monotonic()
        return [event("BALLOON_CHANGE", actual=self.shown_actual())]

    def stats(self):
        """The answer to guest-stats."""
        self.move()
        used = min(self.options.used * MIB, self.actual)
        values = {
            "stat-swap-in": 0, "stat-swap-out": 0,
            "stat-major-faults": 10, "stat-minor-faults": 1000,
            "stat-free-memory": self.actual - used,
            "stat-total-memory": self.actual,
            "stat-available-memory": self.actual - used,
            "stat-disk-caches": 0, "stat-htlb-pgalloc": 0, "stat-htlb-pgfail": 0,
        }
        updated = int(time.time())
        if self.mode == "forged-stats":
            values["stat-free-memory"] = 1 << 62
            values["stat-available-memory"] = 4 * self.max
            values["stat-total-memory"] = 1
            values["stat-disk-caches"] = UNSET
        if self.mode == "stale-stats":
            updated -= 3600
        if self.mode == "free-only":
            del values["stat-available-memory"]
        if self.period == 0 or self.mode in ("no-driver", "no-stats"):
            values, updated = dict.fromkeys(values, UNSET), 0
        return {"stats": values, "last-update": updated}


def event(name, **data):
    """An event of now, in QEMU's form."""
    now = time.time()
    return {"event": name, "data": data,
            "timestamp": {"seconds": int(now), "microseconds": int(now % 1 * 1e6)}}


def expect(arguments, name, kind):
    """Argument @name of type @kind, or QEMU's error."""
    value = arguments.get(name)
    if type(value) is not kind:  # a bool is an int to isinstance()
        raise QmpError("GenericError", f"Invalid parameter type for '{name}'")
    return value


class Commands:
    """One method a command; dashes are underscores."""

    def __init__(self, guest, options):
        self.guest = guest
        self.options = options
        self.device = options.balloon
        self.backend = options.balloon + "/virtio-backend"

    def run(self, command, arguments):
        if self.guest.mode == "error":
            raise QmpError("GenericError", self.options.refusal)
        method = getattr(self, "do_" + command.replace("-", "_"), None)
        if not method:
            raise QmpError("CommandNotFound", f"The command {command} has not been found")
        return method(arguments)

    def need_balloon(self):
        if self.guest.mode == "no-balloon":
            raise QmpError("DeviceNotActive", "No balloon device has been activated")

    def do_query_name(self, _):
        return {"name": self.options.name} if self.options.name else {}

    def do_query_uuid(self, _):
        return {"UUID": self.options.uuid}

    def do_query_status(self, _):
        status = "running" if self.guest.running else "paused"
        return {"status": status, "singlestep": False, "running": self.guest.running}

    def do_query_memory_size_summary(self, _):
        return {"base-memory": self.guest.max, "plugged-memory": 0}

    def do_query_cpus_fast(self, _):
        return [{"cpu-index": 0, "target": "x86_64", "thread-id": os.getpid()}]

    def do_query_version(self, _):
        return {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": "fake"}

    def do_query_balloon(self, _):
        self.need_balloon()
        self.guest.move()
        return {"actual": self.guest.shown_actual()}

    def do_balloon(self, arguments):
        self.need_balloon()
        value = expect(arguments, "value", int)
        if value <= 0:
            raise QmpError("GenericError", "Parameter 'target' expects a size")
        self.guest.move()
        self.guest.target = min(value, self.guest.max)
        return {}

    def do_stop(self, _):
        self.guest.move()
        self.guest.running = False
        return {}

    def do_cont(self, _):
        self.guest.move()
        self.guest.running = True
        return {}

    def do_qom_list(self, arguments):
        path = expect(arguments, "path", str)
        folder, name = self.device.rsplit("/", 1)
        if path not in LIST_FOLDERS + (folder,):
            raise QmpError("DeviceNotFound", f"Device '{path}' not found")
        children = [{"name": "type", "type": "string"}]
        if path == folder and self.guest.mode != "no-balloon":
            children.append({"name": name, "type": "child<virtio-balloon-pci>"})
        return children

    def need_property(self, arguments):
        path = expect(arguments, "path", str)
        if path not in (self.device, self.backend) or self.guest.mode == "no-balloon":
            raise QmpError("DeviceNotFound", f"Device '{path}' not found")
        return expect(arguments, "property", str)

    def do_qom_get(self, arguments):
        name = self.need_property(arguments)
        if name == "guest-stats":
            return self.guest.stats()
        known = {"guest-stats-polling-interval": self.guest.period,
                 "deflate-on-oom": False, "free-page-reporting": False}
        if name not in known:
            raise QmpError("GenericError", f"Property 'virtio-balloon-pci.{name}' not found")
        return known[name]

    def do_qom_set(self, arguments):
        name = self.need_property(arguments)
        if name != "guest-stats-polling-interval":
            raise QmpError("GenericError", f"Property 'virtio-balloon-pci.{name}' not found")
        value = expect(arguments, "value", int)
        if value < 0:
            raise QmpError("GenericError", "timer value must be greater than zero")
        self.guest.period = value
        return {}

    def do_x_query_virtio_status(self, arguments):
        if expect(arguments, "path", str) != self.backend:
            raise QmpError("GenericError", "Path is not a VirtIODevice")
        ready = ["VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready"]
        self.guest.status_asked += 1
        if self.guest.mode == "no-driver" or \
                (self.guest.mode == "late-driver" and self.guest.status_asked <= 5):
            ready = []
        return {"status": {"statuses": ready}}


class Client:
    """One connection, from its greeting to its end."""

    def __init__(self, connection, guest, commands, options):
        self.connection = connection
        self.guest = guest
        self.commands = commands
        self.options = options
        self.pending = b""

    def send(self, data):
        self.connection.sendall(data)

    def say(self, message):
        self.send(json.dumps(message).encode() + b"\r\n")

    def listen(self):
        """The next line of the client's; its balloon may speak meanwhile."""
        while b"\n" not in self.pending:
            for message in self.guest.events():
                self.say(message)
            if not select.select([self.connection], [], [], 0.1)[0]:
                continue
            data = self.connection.recv(65536)
            if not data:
                raise Drop
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return line

    def serve(self):
        if self.options.mode == "no-greeting":
            while self.connection.recv(65536):
                pass
            return
        self.say({"QMP": {"version": self.commands.do_query_version(None),
                          "capabilities": ["oob"]}})
        if self.options.mode == "drop-after-greeting":
            return
        while True:
            self.answer(json.loads(self.listen()))

    def answer(self, request):
        command = request["execute"]
        reply = {"id": request["id"]} if "id" in request else {}
        if command == "qmp_capabilities":
            self.say({"return": {}, **reply})
            return
        forged = self.forged(command, request.get("arguments", {}))
        if forged is not None:
            self.send(f'{{"return": {forged}, "id": "{request["id"]}"}}\r\n'.encode())
            return
        self.misbehave()
        try:
            result = self.commands.run(command, request.get("arguments", {}))
            if command in ("stop", "cont"):
                self.say(event({"stop": "STOP", "cont": "RESUME"}[command]))
            reply["return"] = self.twist(result)
        except QmpError as why:
            reply["error"] = {"class": why.args[0], "desc": why.args[1]}
        if self.options.mode == "bad-error":
            reply.pop("return", None)
            reply["error"] = {"class": 5}
        if self.options.mode == "wrong-id":
            reply["id"] = "somebody-else"
        self.say(reply)

    def forged(self, command, arguments):
        """What --say has for this command or property, as JSON text; None: nothing."""
        words = dict(word.split("=", 1) for word in self.options.say)
        what = arguments.get("property", command) if command == "qom-get" else command
        text = words.get(what)
        return text and text.replace("NOW", str(int(time.time())))

    def twist(self, result):
        """@result with other types, in that mode."""
        if self.options.mode != "wrong-types":
            return result
        if isinstance(result, dict):
            return {key: str(value) if isinstance(value, int) else [value]
                    for key, value in result.items()}
        return {"not": "a list"} if isinstance(result, list) else [result]

    def misbehave(self):
        """The faults that come in place of an answer, or before it."""
        mode = self.options.mode
        if mode == "garbage":
            self.send(b"\x00\xff\x1b[2J not JSON at all\r\n")
        elif mode == "truncated":
            self.send(b'{"return": {"actual": 10485')
            raise Drop
        elif mode in ("huge", "endless"):
            self.send(b'{"return": "')
            sent = 0
            while mode == "endless" or sent < 64:
                self.send(b"x" * MIB)
                sent += 1
            self.send(b'"}\r\n')
        elif mode == "deep":
            self.send(b'{"return": ' + b"[" * 100000 + b"]" * 100000 + b"}\r\n")
        elif mode == "drop-mid-command":
            raise Drop
        elif mode == "drop-once":
            self.options.mode = "honest"
            raise Drop
        elif mode == "slow":
            time.sleep(self.options.delay)
        elif mode == "event-flood":
            line = json.dumps(event("RTC_CHANGE", offset=0)).encode() + b"\r\n"
            self.send(line * 2000)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="modes:\n" + "".join(f"  {mode:21}{what}\n" for mode, what in MODES.items()))
    parser.add_argument("path", help="the socket to make")
    parser.add_argument("--mode", choices=MODES, default="honest", metavar="MODE",
                        help="what to do wrong (default: nothing)")
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB",
                        help="the guest's maximum (default: %(default)s)")
    parser.add_argument("--used", type=int, default=200, metavar="MIB",
                        help="what the guest uses of it (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=256, metavar="MIB",
                        help="how far actual moves in a second (default: %(default)s)")
    parser.add_argument("--delay", type=float, default=3, metavar="SECONDS",
                        help="before each answer in mode slow (default: %(default)s)")
    parser.add_argument("--refusal", default="the fake refuses", metavar="TEXT",
                        help="what it answers in mode error (default: %(default)s)")
    parser.add_argument("--say", action="append", default=[], metavar="WHAT=TEXT",
                        help="answer this command, or qom-get of this property, with TEXT as it "
                        "is, in which NOW is the time")
    parser.add_argument("--name", default="fake", help="of the guest; empty for none")
    parser.add_argument("--uuid", default="00000000-0000-0000-0000-000000000000",
                        help="of the guest; zeros, as QEMU has without -uuid, by default")
    parser.add_argument("--balloon", default="/machine/peripheral/balloon0", metavar="QOM-PATH",
                        help="where the balloon is (default: %(default)s)")
    return parser.parse_args()


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    guest = Guest(options)
    commands = Commands(guest, options)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(options.path)
    listener.listen(1)
    print("ready", options.path, flush=True)
    try:
        while True:
            connection, _ = listener.accept()
            with connection:
                try:
                    Client(connection, guest, commands, options).serve()
                except (Drop, BrokenPipeError, ConnectionResetError, ValueError):
                    pass
    except KeyboardInterrupt:
        pass
    finally:
        os.unlink(options.path)


if __name__ == "__main__":
    main()
