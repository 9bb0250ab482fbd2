# SPDX-License-Identifier: BSD-3-Clause
"""Shows the main job on real guests, step by step, for ./run.

Two guests of 1 GiB share a budget of 1.5 GiB.  alpha, a plain QEMU guest, has
used all of its memory once.  Its balloon is served by our own device, a process
beside QEMU, if the lab has a QEMU that can connect to one.  beta, a libvirt
domain with QEMU's device, starts with 512 MiB.  RAM is taken from alpha and
given to beta while both run.  Then beta is made smaller again by an edit of its
XML, and from its next start on it has our device, too.  Two more guests show
how a change that is impossible fails.  Then aerostatd takes over alpha and beta,
and moves memory to where it is needed.  At the end a guest with our device and our
driver takes memory back by itself, where one without them kills.  A heartbeat in each guest,
timed by the host, shows that no change paused or rebooted it.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
import time

from .errors import LabError, Unavailable
from .guest import MIB, choose_driver
from .lab import DEFAULT_KERNEL, Lab
from .libvirtd import SessionLibvirt
from .programs import install
from .story_autopilot import Autopilot
from .story_loan import Loan

BUDGET_MIB = 1536
MAX_MIB = 1024
HALF_MIB = 512
EXIT_SHORT, EXIT_NO_DRIVER = 3, 4


@dataclasses.dataclass
class Row:
    """One row of the table at the end."""

    what: str
    device: str     # what serves the balloon
    before: int
    after: int
    host: int       # what the host gained
    gap_ms: float


class Story:
    def __init__(self, lab, build, libvirt):
        self.lab = lab
        self.build = build
        self.aerostat = os.path.abspath(f"{build}/aerostat/aerostat")
        self.libvirt = libvirt
        self.installed = install(build, libvirt.nest.path / "bin")
        self.rows = []
        self.device, self.why_not = self.find_device()
        self.find_driver()
        self.qemu = "newer" if self.device == "aerostat" else "host"
        self.started = time.monotonic()
        self.runtime = tempfile.TemporaryDirectory(prefix="aerostat-")

    def find_device(self):
        """Returns "aerostat" if there is a QEMU for our device, else "qemu" and the reason."""
        try:
            self.lab.newer_qemu
        except LabError as error:
            return "qemu", error
        return "aerostat", None

    def find_driver(self):
        """Makes guests load Linux's own driver if ours cannot be built here."""
        try:
            if choose_driver() == "aerostat":
                self.lab.need_driver(DEFAULT_KERNEL)
        except Unavailable:
            os.environ["DRIVER"] = "stock"

    def plain_guest(self, name, **spec):
        return self.lab.guest(name, device=self.device, **spec)

    def say(self, text):
        print(f"\n{time.monotonic() - self.started:4.0f}s  {text}", flush=True)

    def say_aside(self, text):
        print(f"       {time.monotonic() - self.started:4.0f}s  {text}", flush=True)

    def command(self, *words, expect=0, env=None):
        """Runs aerostat, and shows the command, its output and its exit code."""
        shown = " ".join(f'{key}="{value}"' for key, value in (env or {}).items())
        print(f"       $ {shown}{' ' if shown else ''}aerostat {' '.join(words)}", flush=True)
        self.show(words, expect, subprocess.run(
            [self.aerostat, "-c", self.libvirt.uri, *words], check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": self.runtime.name, **(env or {})}))

    def command_of_user(self, *words):
        """Does the same as the user of beta's libvirtd, which is to start the device."""
        print(f"       $ aerostat {' '.join(words)}", flush=True)
        self.show(words, 0, self.libvirt.run([self.installed, "-c", self.libvirt.uri, *words],
                                             capture_output=False, stdout=subprocess.PIPE,
                                             stderr=subprocess.STDOUT))

    @staticmethod
    def show(words, expect, done):
        for line in done.stdout.splitlines():
            print(f"       {line}")
        print(f"       (exit code {done.returncode})", flush=True)
        if done.returncode != expect:
            raise LabError(f"aerostat {words[0]} exited with {done.returncode}, not {expect}")

    @contextlib.contextmanager
    def measured(self, what, guest, device=None):
        """Adds a row to the table: the guest before and after the block."""
        before, host = guest.actual(), guest.host_bytes()
        boot_id = guest.ping()[0]
        guest.heartbeat.mark()
        yield
        gap_ms = guest.heartbeat.longest_gap_ms
        self.rows.append(Row(what, device or guest.spec.device, before, guest.actual(),
                             host - guest.host_bytes(), gap_ms))
        if guest.ping()[0] != boot_id or guest.heartbeat.reboots:
            raise LabError(f"{guest.name} was rebooted")

    def show_budget(self, *guests):
        costs = [guest.host_bytes() // MIB for guest in guests]
        parts = " + ".join(f"{guest.name} {cost}" for guest, cost in zip(guests, costs))
        room = BUDGET_MIB - sum(costs)
        verdict = f"{room} MiB free" if room >= 0 else f"{-room} MiB over"
        print(f"       host memory in use: {parts} = {sum(costs)} MiB of the budget of "
              f"{BUDGET_MIB} MiB ({verdict})", flush=True)

    # The chapters

    def take_from_alpha(self, alpha, beta):
        self.say("alpha uses nearly all of its 1 GiB once; the host now backs that memory.")
        alpha.hold("work", 850)
        alpha.release("work")
        self.show_budget(alpha, beta)
        self.say("Taking 512 MiB from alpha while it runs:")
        with self.measured("alpha: setmem 512M", alpha):
            self.command("setmem", alpha.address, "512M")
        self.show_device(alpha)
        self.show_budget(alpha, beta)

    def show_device(self, guest):
        if guest.spec.device != "aerostat":
            return
        counters = guest.device_qmp("x-query-counters")
        with open(f"/proc/{guest.device_pid}/status", encoding="ascii") as file:
            rss_kib = int(re.search(r"^VmRSS:\s+(\d+) kB$", file.read(), re.M)[1])
        print(f"       device: {counters['inflated-pages']} pages in the balloon, returned to the "
              f"host in {counters['release-calls']} calls;\n"
              f"       aerostat-device itself uses {rss_kib / 1024:.1f} MiB (RSS)", flush=True)

    def give_to_beta(self, alpha, beta):
        self.say("Giving 512 MiB to beta, a libvirt guest that started with currentMemory 512 MiB:")
        with self.measured("beta: setmem 1G, then used", beta):
            self.command("setmem", "beta", "1G", "--live", "--config")
            print("       beta fills 800 MiB with a pattern and reads it back …", flush=True)
            held = beta.hold("work", 800)
            bad = beta.touch("work", full=True).bad_pages
            if not held.alive or bad:
                raise LabError("beta could not use the memory that it was given")
            print(f"       … {held.mib} MiB written and read back, {bad} bad pages", flush=True)
        self.show_budget(alpha, beta)
        beta.release("work")

    def take_by_xml(self, alpha, beta):
        self.say("Taking the 512 MiB back by editing beta's libvirt XML (currentMemory):")
        with self.measured("beta: edit currentMemory", beta):
            self.command("edit", "beta", env={
                "EDITOR": "sed -i /currentMemory/s/1048576/524288/"})
        self.show_budget(alpha, beta)

    def adopt(self, beta):
        self.say("Giving beta our own device, too, from its next start on:")
        self.command_of_user("adopt", "beta")
        print("       beta is shut off, starts again, and uses 250 MiB …", flush=True)
        beta.adopted()
        beta.shut_off()
        beta.start()
        beta.hold("work", 250)
        beta.release("work")
        with self.measured("beta, adopted: setmem 400M", beta, "aerostat"):
            self.command_of_user("setmem", "beta", "400M")

    def show_failures(self):
        self.say("A guest without a balloon driver:")
        with self.plain_guest("gamma", memory=256, driver=False) as gamma:
            with self.measured("gamma: no driver", gamma):
                self.command("setmem", gamma.address, "192M", "--timeout", "3",
                             expect=EXIT_NO_DRIVER)
        self.say("A guest that cannot free enough (300 of its 512 MiB in tmpfs, no swap):")
        with self.plain_guest("delta", memory=512) as delta:
            delta.hold("work", 300, "tmpfs")
            with self.measured("delta: cannot free enough", delta):
                self.command("setmem", delta.address, "200M", expect=EXIT_SHORT)

    def run(self):
        with concurrent.futures.ThreadPoolExecutor() as pool, contextlib.ExitStack() as guests:
            self.say(f"Booting alpha (QEMU) and beta (libvirt) with Linux "
                     f"{self.lab.kernel()[0].release} under {self.lab.accel.upper()}.\n"
                     f"       Each can have up to 1 GiB; the budget for both is {BUDGET_MIB} MiB.")
            print(f"       alpha's balloon device: {self.describe_device()}\n"
                  f"       beta's balloon device: QEMU's own\n"
                  f"       balloon driver in all guests: {describe_driver()}", flush=True)
            alpha = self.plain_guest("alpha", memory=MAX_MIB)
            beta = self.lab.guest("beta", memory=MAX_MIB, current=HALF_MIB, via="libvirt",
                                  libvirt=self.libvirt, qemu=self.qemu)
            for future in [pool.submit(guest.__enter__) for guest in (alpha, beta)]:
                guests.push(future.result().__exit__)
            self.command("--qmp", alpha.address.removeprefix("qmp:"), "list")
            self.take_from_alpha(alpha, beta)
            self.give_to_beta(alpha, beta)
            self.take_by_xml(alpha, beta)
            if self.device == "aerostat":
                self.adopt(beta)
            Autopilot(self, self.build, alpha, beta).run(meanwhile=self.show_failures)
        Loan(self).run()
        self.print_table()

    def describe_device(self):
        if self.device == "aerostat":
            return "aerostat-device, over vfio-user"
        return f"QEMU's own, because no QEMU here supports vfio-user:\n       {self.why_not}"

    def print_table(self):
        self.say("No guest was paused or rebooted (sizes in MiB; a heartbeat is due every 50 ms;\n"
                 f"       the driver in the guests is {describe_driver()}):\n")
        print(f"       {'change':28} {'device':8} {'before':>7} {'after':>7} {'host gain':>10} "
              f"{'longest heartbeat gap':>22}")
        for row in self.rows:
            print(f"       {row.what:28} {row.device:8} {row.before // MIB:7} {row.after // MIB:7} "
                  f"{row.host / MIB:+10.0f} {row.gap_ms:19.0f} ms")


def describe_driver():
    return {"aerostat": "aerostat's", "stock": "Linux's own"}[choose_driver()]


def main():
    parser = argparse.ArgumentParser(prog="python3 -m lab.story",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", metavar="DIR", help="the build folder (build)")
    build = parser.parse_args().build
    try:
        with SessionLibvirt() as libvirt:
            Story(Lab(build), build, libvirt).run()
    except LabError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
