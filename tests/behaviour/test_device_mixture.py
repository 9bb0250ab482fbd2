# SPDX-License-Identifier: BSD-3-Clause
"""Very many changes of the target, amid all else that may happen to a balloon.

Theory of operation
-------------------
A seeded story: most of its steps set a target, the others do what drivers,
VMMs, operators and faulty machines do at the worst time.  The guest holds
memory all along whose every byte is known, and takes and frees more.  Nothing
waits for a target to be reached, but for some that are drawn.  In the end the
guest must have its target, and all that it held; and nobody may have died or
done wrong.

The seed is printed; AEROSTAT_SEED plays the same story again, as far as real
time allows.
"""
import os
import random

import pytest

from command import MIB
from lab.errors import GuestError
from served import (DRIVER, MAIN, OTHERS, aim, assert_sound, frozen, long, reach, spec, state,
                    wait_for_driver, whole_mib)

MEMORY = 384
HOT = 256
LEAST = 200     # what the guest needs without what it holds
KEPT = 40


class Story:
    """One guest, and what happens to it."""

    def __init__(self, guest, dice):
        self.guest = guest
        self.dice = dice
        self.holding = {}
        self.names = 0
        self.changes = 0
        self.whole = MEMORY
        self.steps = [
            (60, self.change), (12, self.change_and_wait), (5, self.hold), (4, self.release),
            (3, self.check), (2, self.reload), (2, self.rebind), (2, self.pause),
            (3, self.freeze_device), (2, self.freeze_qemu), (1, self.replug), (4, self.hint),
            (3, self.report), (2, self.audit), (3, self.poll), (1, self.plug), (1, self.swing)]

    def go(self, changes):
        weights, steps = zip(*self.steps)
        while self.changes < changes:
            self.dice.choices(steps, weights)[0]()

    # Targets

    def least(self):
        return min(self.whole, LEAST + KEPT + sum(self.holding.values()))

    def change(self):
        """Mostly a little, as an operator or a policy would; now and then far."""
        self.changes += 1
        low, now = self.least(), state(self.guest)["target"] // MIB
        near = self.dice.random() < 0.8
        aimed = now + self.dice.randint(-24, 24) if near else self.dice.randint(low, self.whole)
        self.aimed = max(low, min(self.whole, aimed))
        aim(self.guest, self.aimed)

    def change_and_wait(self):
        self.change()
        reach(self.guest, self.aimed)

    def swing(self):
        """Faster than any driver can follow."""
        for _ in range(10):
            aim(self.guest, self.least())
            aim(self.guest, self.whole)
            self.changes += 2

    # The guest's memory

    def hold(self):
        mib = self.dice.randint(5, 30)
        if self.least() + mib > self.whole - 20 or len(self.holding) == 3:
            return
        self.names += 1
        name = f"more{self.names}"
        self.holding[name] = mib
        reach(self.guest, max(self.least(), state(self.guest)["target"] // MIB))
        held = self.guest.hold(name, mib)
        assert held.alive, held

    def release(self):
        if self.holding:
            name = self.dice.choice(list(self.holding))
            self.verify(name)
            self.guest.release(name)
            del self.holding[name]

    def check(self):
        for name in ("kept", *self.holding):
            self.verify(name)

    def verify(self, name):
        held = self.guest.touch(name, full=True)
        assert held.alive and held.bad_pages == 0, (name, held)

    # The driver

    def reload(self):
        self.guest.unload_driver()
        self.guest.load_driver()

    def rebind(self):
        name = self.guest.run(f"basename {DRIVER}/virtio*").output.strip()
        assert self.guest.run(f"echo {name} >{DRIVER}/unbind").status == 0
        assert self.guest.run(f"echo {name} >{DRIVER}/bind").status == 0

    # QEMU and the device

    def pause(self):
        self.guest.qmp("stop")
        self.change()
        self.guest.qmp("cont")

    def freeze_device(self):
        """What the guest does meanwhile, it has to wait with, or is not told of."""
        with frozen(self.guest.device_pid):
            self.guest.heartbeat.wait(self.guest.heartbeat.beats + 4, 0.3)

    def freeze_qemu(self):
        with frozen(self.guest.pid):
            self.change()

    def replug(self):
        assert_sound(self.guest)    # of this process: the next one begins to count anew
        words = [f"--features={self.dice.choice('+-')}{name}" for name in
                 ("must-tell-host", "stats", "deflate-on-oom", "free-page-hint", "event-idx",
                  "free-page-reporting", "packed", "indirect")]
        words += self.dice.sample(["--populate", "--release-delay=0", "--release-delay=2000",
                                   "--audit=report"], 1)
        target = state(self.guest)["target"] // MIB
        print(f"replugged with {' '.join(words)}")
        self.guest.replug(f"--target={target}M", *words)
        wait_for_driver(self.guest)

    def plug(self):
        if self.whole < MEMORY + HOT:
            self.guest.plug_memory(128)
            self.whole += 128

    # Those who steer

    def hint(self):
        try:
            self.guest.device_qmp("x-hint", action=self.dice.choice(("start", "stop", "done")))
        except GuestError as refused:
            assert "hinting cannot" in str(refused)

    def report(self):
        self.guest.device_qmp("x-set-reporting", enable=self.dice.random() < 0.7)

    def audit(self):
        self.guest.device_qmp("x-audit")

    def poll(self):
        self.guest.device_qmp("qom-set", path="/machine/peripheral/balloon0",
                              property="guest-stats-polling-interval",
                              value=self.dice.choice((0, 1)))


def end_well(story):
    guest = story.guest
    guest.device_qmp("x-set-reporting", enable=False)
    try:
        guest.device_qmp("x-hint", action="done")
    except GuestError as refused:
        assert "hinting cannot" in str(refused)
    reach(guest, story.least())
    reach(guest, whole_mib(guest))
    story.check()
    guest.release_all()
    guest.hold("all", 180)
    assert guest.touch("all", full=True).bad_pages == 0
    assert_sound(guest)


@pytest.mark.parametrize("kind, changes", [
    (MAIN, 200), *(pytest.param(kind, 1000, marks=long) for kind in (MAIN, *OTHERS))])
def test_the_balloon_lives_through_everything_at_once(lab, kind, changes):
    seed = os.environ.get("AEROSTAT_SEED") or str(random.SystemRandom().randrange(10 ** 9))
    print(f"AEROSTAT_SEED={seed}")
    with lab.guest("gina", memory=MEMORY, hot_memory=HOT,
                   balloon={"free-page-reporting": True}, **spec(kind)) as guest:
        wait_for_driver(guest)
        guest.hold("kept", KEPT)
        story = Story(guest, random.Random(seed))
        story.go(changes)
        end_well(story)
