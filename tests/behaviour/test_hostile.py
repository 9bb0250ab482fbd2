# SPDX-License-Identifier: BSD-3-Clause
"""What no guest and no VMM should do, done to aerostat-device: a test each.

tests/hostile/ is the program that does it; it looks afterwards whether the
device lives, has returned and closed everything, and serves an honest guest.
Each has a device of its own, and waits for most of its time: many run at once.

./test does the same to a sanitized device; this one is as it ships.
"""
import concurrent.futures
import os
import subprocess

import pytest

from conftest import BUILD
from lab.wait import HANG_S

DRIVER = BUILD / "tests/hostile/hostile-driver"
DEVICE = BUILD / "aerostat-device/aerostat-device"
# Whose files are open can be counted for others only by root.
OPTIONS = [] if os.geteuid() == 0 else ["--sandbox=off"]
AT_ONCE = 8


def rows():
    if not DRIVER.exists():
        return [pytest.param("", marks=pytest.mark.skip(f"{DRIVER} is not built"))]
    return subprocess.run([DRIVER, "--list"], capture_output=True, text=True,
                          check=True).stdout.split()


def attack(row):
    protocol, name = row.split("/")
    return subprocess.run([DRIVER, f"--protocol={protocol}", f"--only={name}", DEVICE, *OPTIONS],
                          capture_output=True, text=True, timeout=HANG_S)


@pytest.fixture(scope="module")
def attacks(request):
    """Those that are asked for, begun already."""
    asked = [item.callspec.params["row"] for item in request.session.items
             if item.path == request.path and item.callspec.params["row"]]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        yield {row: threads.submit(attack, row) for row in asked}
        threads.shutdown(cancel_futures=True)


@pytest.mark.parametrize("row", rows())
def test_device_withstands(attacks, row):
    done = attacks[row].result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok {row}\n" in done.stdout
