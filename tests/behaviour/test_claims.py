# SPDX-License-Identifier: BSD-3-Clause
"""A guest that claims what cannot be is left out, and no other guest pays for it."""
import contextlib

from asking import fake_qmp
from conftest import BUILD
from daemon import Daemon
from lab.wait import wait_for

PIB_IN_MIB = 1 << 30


def test_a_guest_that_claims_8_pib_squeezes_nobody(tmp_path):
    with contextlib.ExitStack() as stack:
        for number in range(3):
            stack.enter_context(fake_qmp(tmp_path / f"honest-{number}.qmp", "--memory=1024"))
        daemon = stack.enter_context(Daemon(BUILD / "aerostatd/aerostatd", tmp_path / "daemon",
                                            "[host]\nbudget=4G\n", "--qmp",
                                            f"{tmp_path}/*.qmp"))
        address = stack.enter_context(fake_qmp(tmp_path / "liar.qmp", "--name=liar",
                                               f"--memory={8 * PIB_IN_MIB}"))
        liar = daemon.wait_for_guest(address, lambda guest: guest["problem"])
        wait_for(lambda: sum(bool(guest["max_bytes"]) for guest in daemon.status()["guests"])
                 == 3, "aerostatd to sample the others")
        daemon.wait_for_rounds(3)
        status = daemon.status()
        assert "claims to have 8 PiB; this host has" in liar["problem"]
        assert not status["overcommitted"]
        assert [guest["actual_bytes"] >> 20 for guest in status["guests"]
                if guest["max_bytes"]] == [1024] * 3
        # Again only after something else, such as an answer that did not come in time.
        lines = ["8 PiB" in line for line in daemon.log().splitlines() if "liar" in line]
        assert True in lines
        assert (True, True) not in zip(lines, lines[1:])
