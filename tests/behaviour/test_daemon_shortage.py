# SPDX-License-Identifier: BSD-3-Clause
"""What aerostatd makes of a shortage of its own: no guest is lost, and none is declared dead.

The guests are fakes (tests/fakes/fake_guests.h), and so are most of the shortages
(tests/fakes/fake_shortage.c): a short life of the daemon is repeated, and each time another of its
calls fails.
"""
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import resource
import subprocess
import time

from command import MIB
from conftest import BUILD
from daemon import Daemon
from fakes import fake_guests
from lab import qmp
from lab.wait import HANG_S, wait_for

PROGRAM = BUILD / "aerostatd/aerostatd"
SHORTAGE = BUILD / "tests/fakes/fake-shortage.so"
COUNT = 5
RAM_MIB = 1024
BUDGET_MIB = COUNT * 600
SHRUNK_MIB = 900
TWICE = 2           # 30 requests in more than a minute: the API's shortage is logged each minute
ARRIVED_MIB = 4     # drivers may work in huge pages (aerostatd/restore.h)
LIVES_AT_ONCE = 12
SAMPLE = 40         # lives, when not all calls are tried
COUNTS = (1, 5)     # how many calls fail
CLASSES = ("open", "socket", "thread", "disk", "memory")
MEMORY_SAMPLE = 60  # of the ten thousands of calls, also when all others are tried
# GLib ends a process that has no descriptor or thread for its first loops.
GLIB_ENDS = re.compile("GLib-ERROR.*(GWakeup|thread 'gmain')")
FALSE = re.compile("has ended|no longer listed|another guest has taken")


def sizes(fakes):
    return [qmp.ask(fakes.folder / f"{fakes.name(number)}.qmp", "query-balloon", {})["actual"]
            for number in range(COUNT)]


def are_restored(fakes):
    return all(size >= (RAM_MIB - ARRIVED_MIB) * MIB for size in sizes(fakes))


class Life:
    """One short life: all guests are found and some shrunk, and the daemon is stopped."""

    def __init__(self, fakes, folder, plan=None):
        self.fakes = fakes
        self.plan = plan
        self.counts = folder / "counts"
        folder.mkdir(exist_ok=True)
        env = {"AEROSTATD_POLICY_CLOCK": "50", "LD_PRELOAD": str(SHORTAGE),
               "FAKE_SHORTAGE": plan or "", "FAKE_SHORTAGE_COUNTS": str(self.counts)}
        self.daemon = Daemon(PROGRAM, folder, f"[host]\nbudget={BUDGET_MIB}M\n", "--qmp",
                             fakes.sources, env=env)
        self.daemon.log_path.write_bytes(b"")
        (self.daemon.run / "guests.json").unlink(missing_ok=True)

    def live(self):
        """Raises AssertionError if something was lost."""
        try:
            self.end(self.begin())
        except Exception as error:
            raise AssertionError(f"with {self.plan}: {error}\n{sizes(self.fakes)}\n"
                                 f"{self.daemon.log()}") from error

    def begin(self):
        """Starts it, and stops it when it has changed a guest; its exit status."""
        process = self.daemon.start(wait=False).process
        wait_for(lambda: min(sizes(self.fakes)) < SHRUNK_MIB * MIB or process.poll() is not None,
                 "a guest to be shrunk")
        if process.poll() is None:
            process.terminate()
        return process.wait(HANG_S)

    def end(self, code):
        """Whoever failed said so, and somebody restores the guests: guardian or --restore."""
        assert code <= 0 or "error: " in self.daemon.log(), "it failed without an error"
        assert code >= 0 or GLIB_ENDS.search(self.daemon.log()) or "memory" in self.plan, code
        if code:
            result = subprocess.run([PROGRAM, "--restore", "--folder", self.daemon.run],
                                    timeout=HANG_S, capture_output=True, text=True)
            assert result.returncode == 0, result.stderr
            assert not FALSE.search(result.stderr), result.stderr
        assert not FALSE.search(self.daemon.log()), "a living guest was declared gone"
        wait_for(lambda: are_restored(self.fakes), "the guests to have their own size")
        assert not any(guest["changed"] or guest["before_period_s"] >= 0
                       for guest in self.daemon.saved()), self.daemon.saved()

    def calls(self):
        return {name: int(number) for name, number in
                (line.split() for line in self.counts.read_text().splitlines())}


def choose_plans(calls, everything, chance):
    plans = [f"{name}:{first}:{count}" for name in CLASSES[:-1] for count in COUNTS
             for first in range(1, calls[name] + 1)]
    memory = [f"memory:{chance.randint(1, calls['memory'])}:1" for _ in range(MEMORY_SAMPLE)]
    if everything:
        return plans + memory
    return chance.sample(plans, SAMPLE - SAMPLE // 8) + memory[:SAMPLE // 8]


def live_all(folder, plans):
    """Lives of one daemon after the other, beside the same guests; the failures."""
    failures = []
    folder.mkdir()
    with fake_guests(folder / "guests", COUNT, max=f"{RAM_MIB}M", rate=100000) as fakes:
        for plan in plans:
            try:
                Life(fakes, folder / "daemon", plan).live()
            except AssertionError as error:
                failures.append(str(error))
    return failures


def count_plans(plans, calls):
    return ", ".join(f"{name}: {sum(plan.startswith(name) for plan in plans)} lives for "
                     f"{calls[name]} calls" for name in CLASSES)


def test_no_guest_is_lost_whichever_call_fails(tmp_path, request):
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    with fake_guests(tmp_path / "guests", COUNT, max=f"{RAM_MIB}M", rate=100000) as fakes:
        whole = Life(fakes, tmp_path / "whole")
        whole.live()
    plans = choose_plans(whole.calls(), request.config.getoption("--long"), chance)
    chance.shuffle(plans)
    with concurrent.futures.ThreadPoolExecutor(LIVES_AT_ONCE) as pool:
        failures = sum(pool.map(live_all,
                                [tmp_path / str(number) for number in range(LIVES_AT_ONCE)],
                                [plans[number::LIVES_AT_ONCE] for number in range(LIVES_AT_ONCE)]),
                       [])
    print(count_plans(plans, whole.calls()))
    assert not failures, f"{len(failures)} of {len(plans)} lives:\n" + "\n\n".join(failures)


def limited(folder, soft, hard):
    """aerostatd, with a limit of open files."""
    folder.mkdir(exist_ok=True)
    program = folder / "aerostatd"
    program.write_text(f'#!/bin/sh\nulimit -Sn {soft}\nulimit -Hn {hard}\nexec {PROGRAM} "$@"\n')
    program.chmod(0o755)
    return program


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(tmp_path):
    with Daemon(limited(tmp_path / "bin", 100, 200), tmp_path / "daemon", "", "--qmp",
                f"{tmp_path}/none-*.qmp") as daemon:
        limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
        assert re.search("Max open files +200 +200 ", limits), limits
        assert "LimitNOFILE" not in daemon.log()


def test_with_few_descriptors_guests_are_reached_one_after_the_other(tmp_path):
    count = 20
    with fake_guests(tmp_path / "guests", count, max=f"{RAM_MIB}M", rate=100000) as fakes:
        def size(number):
            return qmp.ask(fakes.folder / f"{fakes.name(number)}.qmp", "query-balloon",
                           {})["actual"]
        with Daemon(limited(tmp_path / "bin", 20, 20), tmp_path / "daemon",
                    f"[host]\nbudget={count * 600}M\n", "--qmp", fakes.sources,
                    env={"AEROSTATD_POLICY_CLOCK": "50"}) as daemon:
            for number in range(count):
                daemon.wait_for_guest(fakes.name(number), lambda guest: guest["times_set"])
            daemon.stop_and_restore()
        assert all(size(number) >= (RAM_MIB - ARRIVED_MIB) * MIB for number in range(count))
        assert not FALSE.search(daemon.log())
        assert "LimitNOFILE" in daemon.log(), daemon.log()


def count_descriptors(daemon):
    """How many it always has open: the least of several counts in each of several rounds."""
    def count():
        return 1 + max(int(number) for number in os.listdir(f"/proc/{daemon.pid}/fd"))

    def least_of_a_round():
        daemon.wait_for_rounds()
        return min(count() for _ in range(20))
    return min(least_of_a_round() for _ in range(3))


def test_a_daemon_that_can_open_nothing_says_so_once_and_still_answers(tmp_path):
    folder = tmp_path / "guests"
    with Daemon(PROGRAM, tmp_path / "daemon", "", "--qmp", f"{folder}/guest-*.qmp") as daemon:
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (count_descriptors(daemon), 1024))
        with fake_guests(folder, COUNT, max=f"{RAM_MIB}M") as fakes:
            problems = wait_for(lambda: daemon.status()["problems"], "the shortage to be reported")
            assert "LimitNOFILE" in problems[0]["text"]
            wait_for(lambda: "nothing is decided" in daemon.log(), "a round")
            for _ in range(30):
                daemon.status()
            lines = collections.Counter(daemon.log().splitlines())
            assert max(lines.values()) <= TWICE, daemon.log()
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (1024, 1024))
            for number in range(COUNT):
                daemon.wait_for_guest(fakes.name(number))
            wait_for(lambda: not daemon.status()["problems"], "the shortage to be over")
            assert daemon.stop() == 0
            assert not FALSE.search(daemon.log())
            assert are_restored(fakes)
