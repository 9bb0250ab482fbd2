# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the tests of those verbs that ask aerostatd: a fake of it, and the command."""
import contextlib
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "fakes"))

from fake_daemon import GIB, FakeDaemon, guest  # noqa: E402, F401


@pytest.fixture
def socket_path(tmp_path):
    """Where the daemon of this test listens, if it has one."""
    return tmp_path / "aerostatd.sock"


@pytest.fixture
def fake(socket_path):
    with FakeDaemon(socket_path) as daemon:
        yield daemon


@pytest.fixture
def ask(aerostat, socket_path):
    """aerostat as it finds the daemon of this test."""
    asking = aerostat.looking_at("--qmp", "/nonexistent/*")
    asking.env = {**aerostat.env, "AEROSTAT_SOCKET": str(socket_path)}
    return asking


@contextlib.contextmanager
def fake_qmp(path, *words):
    """A guest of fake_qmp.py that listens at @path."""
    process = subprocess.Popen([sys.executable, str(TESTS / "fake_qmp.py"), str(path), *words],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("ready ")
        yield f"qmp:{path}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
