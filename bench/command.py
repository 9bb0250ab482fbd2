# SPDX-License-Identifier: BSD-3-Clause
"""Runs the commands under measurement, and measures each run."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

from lab import LabError
from lab.wait import HANG_S

METER = pathlib.Path(__file__).with_name("meter.py")


@dataclasses.dataclass
class Run:
    """One run.  CPU time and memory include those of its children."""

    start_s: float
    wall_s: float
    cpu_s: float
    rss_bytes: int
    lines: list     # (seconds since the start, text) of each line printed

    @property
    def output(self):
        return "".join(text for _, text in self.lines)


def run(argv, env):
    """Runs a command that must succeed."""
    report, report_end = os.pipe()
    with open(report, encoding="ascii") as report_file:
        process = subprocess.Popen(
            [sys.executable, "-IS", METER, str(report_end), *argv], text=True, env=env,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[report_end], process_group=0)
        os.close(report_end)
        with killed_late(process):
            stamped = [(time.monotonic(), line) for line in process.stdout]
            errors = process.stderr.read()
        words = report_file.read().split()
    if not words or words[0] != "0":
        raise LabError(f"{' '.join(argv)} ended with {words[0] if words else 'a signal'}: {errors}")
    start, end, cpu, rss_kib = (float(word) for word in words[1:])
    return Run(start, end - start, cpu, int(rss_kib) * 1024,
               [(stamp - start, line) for stamp, line in stamped])


@contextlib.contextmanager
def killed_late(process):
    """Ends a command, and what it started, if it takes too long or we are interrupted."""
    def kill():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(HANG_S, kill)
    timer.start()
    with process:
        try:
            yield
        except BaseException:
            kill()
            raise
        finally:
            process.wait()
            timer.cancel()


def cpu_seconds(pid):
    """Returns the CPU time of a running process, with the kernel's resolution of 10 ms or so."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
