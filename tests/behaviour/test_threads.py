# SPDX-License-Identifier: BSD-3-Clause
"""The daemon and the command under ThreadSanitizer, beside fake guests and libvirt's test driver.

Only in a tree built for it: scripts/check-threads.
"""
import os
import subprocess

import pytest

from command import MIB
from conftest import BUILD
from daemon import Daemon
from fakes import fake_guests
from lab.wait import HANG_S

ORDER = BUILD / "tests/fakes/tsan-glib.so"
COUNT = 12
RACE = 66   # the exit code of a program that had one
LIBVIRT = "test:///default"

pytestmark = pytest.mark.skipif(not ORDER.exists(), reason="not built for ThreadSanitizer")


@pytest.fixture
def env(tmp_path):
    return {"XDG_RUNTIME_DIR": str(tmp_path),
            "LD_PRELOAD": str(ORDER), "G_SLICE": "always-malloc", "LC_ALL": "C.UTF-8",
            "PATH": os.environ["PATH"],
            # GLib, libvirt and libsoup are not instrumented: what they do themselves is ignored.
            "TSAN_OPTIONS": f"ignore_noninstrumented_modules=1 exitcode={RACE}"}


@pytest.fixture
def fakes(tmp_path):
    with fake_guests(tmp_path / "guests", COUNT, max="1024M", rate=100000, liars=2,
                     migrating=1) as guests:
        yield guests


def test_a_life_of_the_daemon_has_no_race(fakes, tmp_path, env):
    daemon = Daemon(BUILD / "aerostatd/aerostatd", tmp_path / "daemon",
                    f"[host]\nbudget={COUNT * 600}M\n", "--qmp", fakes.sources, "-c", LIBVIRT,
                    env={**env, "AEROSTATD_POLICY_CLOCK": "50"})
    fakes.order("stuck", 0)
    with daemon:
        name, leaver = fakes.name(COUNT - 1), fakes.name(COUNT - 2)
        daemon.wait_for_guest(name, lambda guest: guest["times_set"])
        daemon.wait_for_guest("test")
        assert daemon.set_mode(name, "held", 900 * MIB)[0] == 200
        code, answer = daemon.put(f"/v1/guests/{name}/size", {"bytes": 950 * MIB})
        assert code < 300, answer
        daemon.wait_for_guest(name, lambda guest: guest["actual_bytes"] == 950 * MIB)
        assert daemon.set_mode(name, "auto")[0] == 200
        assert daemon.get("/metrics")[0] == 200
        fakes.order("vanish", COUNT - 2)
        daemon.wait_for_no_guest(leaver)
        fakes.order("appear", COUNT - 2)
        daemon.wait_for_guest(leaver)
        assert daemon.reload()[0] == 200
        daemon.wait_for_rounds()
        daemon.stop()
    assert daemon.process.returncode != RACE and "ThreadSanitizer" not in daemon.log(), daemon.log()


@pytest.mark.parametrize("words", [
    ("list", "--all"), ("dommemstat", "guest-0005"), ("setmem", "guest-0006", "900M"),
    ("event", "--event", "balloon-change", "--loop", "--timeout", "1")],
    ids=lambda words: words[0])
def test_the_command_has_no_race(fakes, env, words):
    result = subprocess.run([BUILD / "aerostat/aerostat", "-c", LIBVIRT, "--qmp", fakes.sources,
                             *words], env=env, stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=HANG_S)
    assert result.returncode != RACE and "ThreadSanitizer" not in result.stderr, result.stderr
    assert result.returncode == 0 or words[0] == "event", result.stderr
