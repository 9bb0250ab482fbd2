# SPDX-License-Identifier: BSD-3-Clause
"""A part of ./run: a guest takes memory back by itself, faster than any daemon could act.

Two guests without swap are small, and a process in each suddenly needs more than its guest has.
One has our device and our driver.  The other has Linux's own driver, and a balloon that does not
deflate when the guest is out of memory, as most balloons in use today.
"""

import concurrent.futures
import contextlib
import time

from .errors import LabError, Unavailable
from .guest import MIB, choose_driver
from .wait import wait_for

WHOLE_MIB, SMALL_MIB, NEED_MIB = 512, 220, 300


class Loan:
    """The story's guests eve (ours) and fay (Linux's own driver)."""

    def __init__(self, story):
        self.story = story

    def why_not(self):
        """Returns why this part cannot be shown here; "" if it can."""
        if self.story.device != "aerostat":
            return "it needs our device"
        return "" if choose_driver() == "aerostat" else "it needs our driver"

    def boot(self, guests):
        story = self.story
        eve = story.plain_guest("eve", memory=WHOLE_MIB, driver="aerostat",
                                balloon={"deflate-on-oom": True, "free-page-reporting": True})
        fay = story.lab.guest("fay", memory=WHOLE_MIB, driver="stock")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for future in [pool.submit(guest.__enter__) for guest in (eve, fay)]:
                guests.push(future.result().__exit__)
        return eve, fay

    def burst(self, guest):
        """Makes a process need much more than the guest has; returns whether it lives."""
        kills, begin = guest.vmstat()["oom_kill"], time.monotonic()
        alive = guest.hold("burst", NEED_MIB).alive
        seconds = time.monotonic() - begin
        killed = guest.vmstat()["oom_kill"] - kills
        if alive != (not killed):
            raise LabError(f"{guest.name}: the process lives: {alive}, but {killed} were killed")
        print(f"       {guest.name}: a process needs {NEED_MIB} MiB: "
              + (f"it has them after {seconds:.1f} s; the guest took back "
                 f"{guest.actual() // MIB - SMALL_MIB} MiB by itself" if alive
                 else f"it was killed after {seconds:.1f} s"), flush=True)
        return alive

    def run(self):
        story, why_not = self.story, self.why_not()
        if why_not:
            story.say(f"Not shown here, as {why_not}: a guest takes memory back by itself.")
            return
        story.say(f"Two guests of {WHOLE_MIB} MiB without swap. eve has aerostat's device and "
                  f"driver; fay has\n       QEMU's and Linux's own. Both are made small:")
        with contextlib.ExitStack() as guests:
            try:
                eve, fay = self.boot(guests)
            except Unavailable as error:
                story.say_aside(f"not shown: {error}")
                return
            for guest in (eve, fay):
                story.command("setmem", guest.address, f"{SMALL_MIB}M")
            story.say("In each, a process needs more than the guest has, faster than a daemon "
                      "could act:")
            if not self.burst(eve):
                raise LabError("a process in eve was killed, though the host had memory")
            if self.burst(fay):
                raise LabError("fay has more memory than it was meant to have")
            wait_for(lambda: eve.touch("burst", full=True).bad_pages == 0, "eve's memory")
