# SPDX-License-Identifier: BSD-3-Clause
"""The command under test: runs aerostat and keeps what it said."""
import contextlib
import json
import os
import pathlib
import pty
import subprocess

from lab.wait import HANG_S, wait_for

DONE, REFUSED, USAGE, SHORT, NO_DRIVER, UNREACHABLE, NO_GUEST = range(7)
MIB = 1 << 20
# setmem waits 2 s for the daemon, which is enough on a machine that is not busy.
NO_HOLD = "warning: aerostatd may set "
# A guest may get no CPU time for longer than setmem and edit wait by default.
PATIENT = "--stall", str(HANG_S), "--timeout", str(HANG_S)


class Result:
    """How one run ended."""

    def __init__(self, argv, process):
        self.argv = argv
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        """The one line that a failure may print."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, f"one clear line expected, not:\n{self.err}"
        return lines[0]

    def __repr__(self):
        return f"{' '.join(self.argv)}\nexit {self.code}\n{self.out}\n{self.err}"


def set_size(run, name, mib):
    """A managed guest reaches a size and is held there, however slow guest and daemon are."""
    def is_held():
        result = run("setmem", name, f"{mib}M", *PATIENT)
        assert result.code == DONE, result
        return NO_HOLD not in result.err
    wait_for(is_held, f"{name} to be held at {mib} MiB")


class Aerostat:
    """aerostat with the options and the environment that go with each call."""

    def __init__(self, binary, args=(), env=None):
        self.binary = binary
        self.args = list(args)
        # Nothing of the tester's own libvirt or configuration may leak in.
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                    "AEROSTAT_CONFIG": "/dev/null", **(env or {})}

    def looking_at(self, *args):
        """The same command with other sources of guests."""
        return Aerostat(self.binary, args, self.env)

    def __call__(self, *words, timeout=HANG_S, env=None, stdin=None):
        argv = [self.binary, *self.args, *words]
        process = subprocess.run(argv, capture_output=True, text=True, timeout=timeout,
                                 env={**self.env, **(env or {})}, input=stdin)
        return Result(argv, process)

    def start(self, *words, env=None):
        """The same in the background, as a subprocess.Popen."""
        return subprocess.Popen([self.binary, *self.args, *words], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                env={**self.env, **(env or {})})

    def start_at_terminal(self, *words, with_out=False):
        """The same with a terminal as standard error, and as standard output if that is asked for.

        Its other end is `process.terminal`.
        """
        leader, follower = pty.openpty()
        process = subprocess.Popen([self.binary, *self.args, *words], stderr=follower, text=True,
                                   stdout=follower if with_out else subprocess.PIPE, env=self.env)
        os.close(follower)
        process.terminal = leader
        return process

    def wait_until_asked(self, process):
        """Until a setmem in the background has written its target file, just before it asks."""
        files = pathlib.Path(self.env["XDG_RUNTIME_DIR"], "aerostat")

        def has_asked():
            for file in files.glob("*.target"):
                with contextlib.suppress(FileNotFoundError):    # that of a setmem which ends
                    if f" {process.pid} " in file.read_text():
                        return True
            return process.poll() is not None
        wait_for(has_asked, "setmem to ask")


def setmem(run, guest, size, *words):
    """Has a guest take a size that it can have, however slow it is; returns the Result.

    A guest without CPU time answers no question for statistics.  setmem then goes by the last
    ones, of when the guest was smaller or a test held memory in it, and has to be asked again.
    So it has to when QEMU or libvirt had no CPU time to answer in time, and when the guest had
    none for 3 s: over libvirt, its driver is known by its answers.
    """
    def ask():
        result = run("setmem", guest, size, *words, *PATIENT)
        late = result.code == NO_DRIVER or \
            (result.code == UNREACHABLE and " in time" in result.err)
        return None if late or "that it cannot free" in result.out else result
    return wait_for(ask, f"{guest} to report that it can do with {size}")


def wait_until_usable(run, guest, mib):
    """Until the guest has reported so much; what it reported before may be less, and setmem
    may have to go by that.
    """
    assert run("dommemstat", guest.address, "--period", "1").code == DONE
    wait_for(lambda: run("dommemstat", guest.address, "--json").json.get("usable", 0) >= mib * MIB,
             f"{guest.name} to report {mib} MiB")


def read_terminal(process):
    """What the terminal of start_at_terminal() shows next; nothing when the process has ended."""
    try:
        return os.read(process.terminal, 4096)
    except OSError:     # nobody has its other end any more
        return b""


def wait_until_shown(process, text):
    """Until the terminal of a process shows @text."""
    seen = b""
    while text not in seen:
        chunk = read_terminal(process)
        assert chunk, f"{text} expected, not {seen}; {process.communicate()}"
        seen += chunk
