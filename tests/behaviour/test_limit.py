# SPDX-License-Identifier: BSD-3-Clause
"""A guest below a memory limit of the kernel's is shrunk before that kills it."""
import contextlib
import os
import pathlib

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from lab.wait import wait_for

LIMIT_MIB = 160
MOUNTS = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]


def end(folder):
    """What is still in the cgroup returns to its parent."""
    for pid in (folder / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):
            (folder.parent / "cgroup.procs").write_text(pid)
    wait_for(lambda: not (folder / "cgroup.procs").read_text(), "the cgroup to be empty")
    folder.rmdir()


@pytest.fixture
def cgroup():
    """A cgroup with a limit that nothing has been charged to yet."""
    for mount, name in MOUNTS:
        folder = pathlib.Path(mount) / f"aerostat-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                (folder / name).write_text(str(LIMIT_MIB * MIB))
            except OSError:
                folder.rmdir()
                continue
            yield folder
            end(folder)
            return
    pytest.skip("no cgroup with a memory limit can be made here")


def test_a_guest_below_a_limit_is_shrunk_to_fit(lab, tmp_path, cgroup):
    with lab.guest("limited", memory=256) as guest, \
            Daemon(BUILD / "aerostatd/aerostatd", tmp_path, "", "--qmp", guest.qmp_path,
                   env={"AEROSTATD_POLICY_CLOCK": "4"}) as daemon:
        pid = daemon.wait_for_guest("limited", lambda told: told["pid"])["pid"]
        (cgroup / "cgroup.procs").write_text(str(pid))
        wait_for(lambda: [limit["path"] for limit in daemon.status()["limits"]]
                 == [f"/{cgroup.name}"], "the limit to be seen")
        status = daemon.status()
        assert status["limits"][0]["limit_bytes"] == LIMIT_MIB * MIB
        assert status["usable_bytes"] < LIMIT_MIB * MIB < status["budget_bytes"]
        told = daemon.wait_for_guest("limited", lambda told: told["actual_bytes"]
                                     <= LIMIT_MIB * MIB)
        reasons = [past["text"] for past in told["history"] if past["reason"] == "limit"]
        assert reasons
        assert all(text.endswith(f"; the limit is that of /{cgroup.name}") for text in reasons)
        assert guest.alive()
