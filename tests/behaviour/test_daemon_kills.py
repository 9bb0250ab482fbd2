# SPDX-License-Identifier: BSD-3-Clause
"""Daemon, guardian or both are killed at random moments, and no guest loses its own size.

The guests are fakes (tests/fakes/fake_guests.h), each resized before the daemon first sees it, so
that its own size is a number of its own, and put under a budget that shrinks all of them.  A kill
may come at any moment: while the daemon starts, manages, stops, or while the guardian restores.
After each, somebody has to finish: the guardian, the next daemon, or `aerostatd --restore`.

`pytest --long -k thousand` kills 1,000 times; KILLS and SEED in the environment change that.
"""
import os
import pathlib
import random
import signal
import time

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from fakes import fake_guests
from lab import qmp
from lab.wait import wait_for

PROGRAM = BUILD / "aerostatd/aerostatd"
COUNT = 8
RAM_MIB = 1024
BUDGET_MIB = COUNT * 400
ARRIVED_MIB = 4     # as close as this is there (aerostatd/restore.h)
CLOCK = "60"        # the policy waits half a minute before it takes memory
KILLS_IN_CI = 8
SEED = int(os.environ.get("SEED", "1130"))


def guardian_of(daemon):
    return next(iter(daemon.guardians()), None)


def is_own(size, own):
    """A guest that gives back what it was given may stop a little above its own size."""
    return abs(size - own) <= ARRIVED_MIB * MIB


def kill(pid):
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def has_ended(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Soak:
    """The guests, what their own sizes are, and the kills."""

    def __init__(self, guests, daemon, seed):
        self.guests = guests
        self.daemon = daemon
        self.random = random.Random(seed)
        self.kills = {"daemon": 0, "guardian": 0, "both": 0}
        self.own = {}
        for number in range(COUNT):
            name = guests.name(number)
            self.own[name] = self.random.randrange(700, RAM_MIB) * MIB
            self.ask(name, "balloon", value=self.own[name])
        wait_for(lambda: self.sizes() == self.own, "the guests to have their own sizes")

    def ask(self, name, command, **arguments):
        return qmp.ask(self.guests.folder / f"{name}.qmp", command, arguments)

    def sizes(self):
        return {name: self.ask(name, "query-balloon")["actual"] for name in self.own}

    def wrong(self):
        return {name: (size // MIB, self.own[name] // MIB) for name, size in self.sizes().items()
                if not is_own(size, self.own[name])}

    def entries(self):
        return {row["name"]: row for row in self.daemon.saved()}

    def check_entries(self):
        """A guest that is not whole must have an entry with its own size."""
        smaller = self.wrong()
        for name, row in self.entries().items():
            assert not row["changed"] or is_own(row["before_bytes"], self.own[name]), row
        return smaller

    def kill_something(self):
        """Starts a daemon and kills at a random moment; returns who was killed."""
        daemon, whom = self.daemon, self.random.choice(("daemon", "both", "both", "guardian"))
        moment = self.random.choice((0, 0.02, 0.1, 0.4, 1.2)) * (0.5 + self.random.random())
        daemon.start(wait=self.random.random() < 0.7)
        # Only what is smaller than it was can be forgotten.
        if self.random.random() < (0.9 if whom == "both" else 0.5):
            self.wait_until_shrunk()
        if self.random.random() < 0.15:
            daemon.process.terminate()      # while it restores
        time.sleep(moment)
        guardian = guardian_of(daemon)
        if whom != "daemon":
            kill(guardian)
        if whom != "guardian":
            daemon.process.kill()
        self.kills[whom] += 1
        return whom, guardian

    def wait_until_shrunk(self):
        wait_for(lambda: self.daemon.process.poll() is not None
                 or self.wrong() and any(row["changed"] for row in self.entries().values()),
                 "the policy to shrink a guest")

    def finish(self, whom, guardian):
        """Lets whoever is left do its work; sometimes kills the guardian at that, too."""
        daemon, finisher = self.daemon, self.random.choice(("wait", "next", "restore"))
        if whom == "guardian":
            daemon.process.kill()
            daemon.process.wait()
            return
        daemon.process.wait()
        if whom == "both" or not guardian:
            return
        if finisher == "wait":
            wait_for(lambda: has_ended(guardian), "the guardian to finish")
        elif finisher == "restore":
            self.random.random() < 0.5 and kill(guardian)
            self.daemon.restore()

    def run(self, kills):
        for number in range(kills):
            whom, guardian = self.kill_something()
            self.finish(whom, guardian)
            self.check_entries()
            if number % 5 == 4:
                self.daemon.restore()
                wrong = self.wrong()
                assert not wrong, f"kill {number} ({whom}): {wrong}"
                assert not self.entries()
        self.daemon.restore()
        assert not self.wrong() and not self.entries()


def soak(tmp_path, seed, kills):
    print(f"seed {seed}")
    with fake_guests(tmp_path / "guests", COUNT, max=f"{RAM_MIB}M", rate=2000, seed=seed) as guests:
        daemon = Daemon(PROGRAM, tmp_path / "daemon", f"[host]\nbudget={BUDGET_MIB}M\n",
                        "--qmp", guests.sources, env={"AEROSTATD_POLICY_CLOCK": CLOCK})
        one = Soak(guests, daemon, seed)
        try:
            one.run(kills)
        except BaseException:
            print(f"kills {one.kills}\nlog of aerostatd:\n{daemon.log()[-8000:]}")
            raise
        finally:
            if daemon.process and daemon.process.poll() is None:
                kill(guardian_of(daemon))
                daemon.kill()
        print(f"kills {one.kills}, wrong own sizes 0")
        return one.kills


def test_no_guest_loses_its_own_size_to_kills(tmp_path):
    soak(tmp_path, SEED, KILLS_IN_CI)


@pytest.mark.long
def test_no_guest_loses_its_own_size_to_a_thousand_kills(tmp_path):
    soak(tmp_path, SEED, int(os.environ.get("KILLS", "1000")))
