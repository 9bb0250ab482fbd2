# SPDX-License-Identifier: BSD-3-Clause
"""What the programs do when their output is full, gone or closed, or files may not grow."""
import os
import resource
import subprocess

import pytest

from asking import fake_qmp
from command import DONE, REFUSED
from conftest import BUILD
from lab.wait import HANG_S

# Each verb that prints without a daemon, and what else prints.
WORDS = {
    "list": ["list"],
    "list --json": ["list", "--json"],
    "dominfo": ["dominfo", "GUEST"],
    "dommemstat": ["dommemstat", "GUEST"],
    "domstats": ["domstats"],
    "event --list": ["event", "--list"],
    "setmem": ["setmem", "GUEST", "1000M"],
    "setmem --json": ["setmem", "GUEST", "1000M", "--json"],
    "simulate": ["simulate", "-p", "static", "--traces=1", "--guests=1", "--seconds=30"],
    "help": ["help"],
    "help --json": ["help", "--json"],
    "setmem --help": ["setmem", "--help"],
    "--version": ["--version"],
}


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    with fake_qmp(tmp_path_factory.mktemp("guest") / "g.qmp") as address:
        yield address


@pytest.fixture
def run(aerostat, guest, tmp_path):
    def run(row, **how):
        words = [guest if word == "GUEST" else word for word in WORDS[row]]
        env = {**aerostat.env, "XDG_RUNTIME_DIR": str(tmp_path), "AEROSTAT_SOCKET": "/nonexistent"}
        return subprocess.run([aerostat.binary, "--qmp", guest.removeprefix("qmp:"), *words],
                              env=env, timeout=HANG_S, **{"stderr": subprocess.PIPE, **how})
    return run


@pytest.mark.parametrize("row", WORDS)
def test_output_that_is_lost_is_an_error(run, row):
    with open("/dev/full", "wb") as full:
        result = run(row, stdout=full)
    assert result.returncode == REFUSED
    assert result.stderr.count(b"error: cannot write the output: ") == 1


def test_a_reader_that_has_enough_is_no_error(run):
    reader, writer = os.pipe()
    os.close(reader)
    result = run("help", stdout=writer)
    os.close(writer)
    assert (result.returncode, result.stderr) == (DONE, b"")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_nothing_is_printed_into_a_monitor(run, closed):
    """The fake ends a connection on which it reads what is not a request."""
    result = run("setmem", preexec_fn=lambda: [os.close(fd) for fd in closed],
                 stdout=subprocess.DEVNULL)
    assert result.returncode == DONE


def test_a_limit_of_file_sizes_ends_nothing_amid_a_change(run):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    assert run("setmem", preexec_fn=limit, stdout=subprocess.PIPE).returncode == DONE


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--print-capabilities"]])
def test_the_device_says_that_its_output_is_lost(words):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([BUILD / "aerostat-device/aerostat-device", *words], stdout=full,
                                stderr=subprocess.PIPE, timeout=HANG_S)
    assert result.returncode == 1
    assert b"error: cannot write the output: No space left on device\n" in result.stderr


@pytest.mark.parametrize("words", [["--version"], ["--check"]])
def test_the_daemon_says_that_its_output_is_lost(words):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([BUILD / "aerostatd/aerostatd", *words], stdout=full,
                                stderr=subprocess.PIPE, timeout=HANG_S,
                                env={**os.environ, "AEROSTAT_CONFIG": "/dev/null"})
    assert result.returncode == 1
    assert b"cannot write the output: No space left on device\n" in result.stderr
