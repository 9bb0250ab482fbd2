# SPDX-License-Identifier: BSD-3-Clause
"""The last part of ./run: aerostatd moves memory between the guests by itself."""

import contextlib
import json
import os
import subprocess
import tempfile
import time

from .errors import LabError
from .guest import MIB
from .wait import wait_for

SHARED_MIB = 1024
BURST_MIB = 480
PIECE_MIB = 80
PIECE_S = 3         # one piece is allocated per so many seconds
IDLE_MIB = 300
SHOWN_MIB = 24      # smaller changes are not printed


class Autopilot:
    """aerostatd at work on the story's two guests."""

    def __init__(self, story, build, alpha, beta):
        self.story = story
        self.guests = (alpha, beta)
        self.program = os.path.abspath(f"{build}/aerostatd/aerostatd")
        self.folder = tempfile.TemporaryDirectory(prefix="aerostatd-")
        self.log = open(f"{self.folder.name}/log", "w+", encoding="utf-8")
        self.before = [guest.actual() for guest in self.guests]
        self.shown = None

    @property
    def env(self):
        return {"AEROSTAT_SOCKET": f"{self.folder.name}/aerostatd.sock"}

    @contextlib.contextmanager
    def running(self):
        alpha = self.guests[0]
        config = f"{self.folder.name}/aerostat.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(f"[host]\nbudget={SHARED_MIB}M\n")
        daemon = subprocess.Popen(
            [self.program, "--config", config, "--folder", self.folder.name,
             "--qmp", alpha.address.removeprefix("qmp:"), "-c", self.story.libvirt.uri],
            stdout=self.log, stderr=self.log)
        try:
            wait_for(lambda: self.check(daemon) and self.has_found_all(),
                     "aerostatd to find both guests")
            yield
        finally:
            daemon.terminate()
            daemon.wait()
            self.folder.cleanup()

    def check(self, daemon):
        if daemon.poll() is not None:
            self.log.seek(0)
            raise LabError(f"aerostatd ended: {self.log.read().strip()}")
        return True

    def ask(self, *words):
        return subprocess.run([self.story.aerostat, *words], env={**os.environ, **self.env},
                              check=False, capture_output=True, text=True)

    def seen(self):
        """Returns the daemon's status by guest name; empty while the daemon does not answer."""
        answer = self.ask("status", "--json")
        guests = json.loads(answer.stdout)["guests"] if answer.returncode == 0 else []
        return {guest["name"]: guest for guest in guests}

    def has_found_all(self):
        return {guest.name for guest in self.guests} <= self.seen().keys()

    def knows_all(self):
        return all(guest["reason"] not in ("stale", "claim") for guest in self.seen().values())

    def sees_idle(self, guest):
        return self.seen()[guest.name]["need_bytes"] < IDLE_MIB * MIB

    def show(self):
        """Prints a line if memory has moved since the last one."""
        sizes = [guest.actual() // MIB for guest in self.guests]
        if not self.shown or max(abs(a - b) for a, b in zip(sizes, self.shown)) >= SHOWN_MIB:
            self.shown = sizes
            words = ", ".join(f"{guest.name} {size:4}" for guest, size in zip(self.guests, sizes))
            self.story.say_aside(f"{words} MiB")

    def burst(self, guest):
        """Makes the guest need more and more memory; nothing informs the daemon."""
        pieces = [f"piece{n}" for n in range(BURST_MIB // PIECE_MIB)]
        for piece in pieces:
            due = time.monotonic() + PIECE_S
            guest.hold(piece, PIECE_MIB)
            wait_for(lambda due=due: self.show() or time.monotonic() >= due,
                     "the next piece of work")
        wait_for(lambda: self.show() or self.is_relieved(guest),
                 f"{guest.name} to have the memory that it needs")
        for piece in pieces:
            if not guest.touch(piece).alive:
                raise LabError(f"{guest.name} lost a process that held memory")
        if guest.vmstat()["oom_kill"]:
            raise LabError(f"the OOM killer killed a process in {guest.name}")
        print(f"       {guest.name} uses {len(pieces) * PIECE_MIB} MiB more; no process was killed",
              flush=True)
        return pieces

    @staticmethod
    def is_relieved(guest):
        return guest.meminfo()["MemAvailable"] >= 64 * MIB

    def run(self, meanwhile):
        story, (alpha, beta) = self.story, self.guests
        story.say(f"From here on, memory moves automatically. aerostatd takes over alpha and beta\n"
                  f"       with a budget of {SHARED_MIB} MiB and observes them for half a minute.\n"
                  f"       In the meantime, two changes that cannot succeed:")
        with self.running():
            meanwhile()
            wait_for(self.knows_all, "aerostatd to know both guests")
            story.say("aerostatd now knows how much both guests need:")
            story.command("status", env=self.env)
            story.say("alpha needs more and more memory:")
            pieces = self.burst(alpha)
            story.say("alpha frees that memory, and beta needs more and more:")
            for piece in pieces:
                alpha.release(piece)
            pieces = self.burst(beta)
            story.command("explain", "beta", "--number", "2", env=self.env)
            for piece in pieces:
                beta.release(piece)
            wait_for(lambda: self.sees_idle(beta), "aerostatd to see that beta is idle")
        story.say("beta frees its memory, too; aerostatd stops, and restores both guests' sizes:")
        self.show()
        if [guest.actual() for guest in self.guests] != self.before:
            raise LabError("aerostatd did not restore its guests' sizes")
