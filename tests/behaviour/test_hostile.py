# SPDX-License-Identifier: BSD-3-Clause
"""What no guest and no VMM should do, done to aerostat-device: a test each.

tests/hostile/ is the program that does it; it looks afterwards whether the
device lives, has returned and closed everything, and serves an honest guest.
"""
import os
import subprocess

import pytest

from conftest import BUILD

DRIVER = BUILD / "tests/hostile/hostile-driver"
DEVICE = BUILD / "transport/aerostat-device"
# Whose files are open can be counted for others only by root.
OPTIONS = [] if os.geteuid() == 0 else ["--sandbox=off"]


def rows():
    if not DRIVER.exists():
        return [pytest.param("", marks=pytest.mark.skip(f"{DRIVER} is not built"))]
    return subprocess.run([DRIVER, "--list"], capture_output=True, text=True,
                          check=True).stdout.split()


@pytest.mark.parametrize("row", rows())
def test_device_withstands(row):
    protocol, name = row.split("/")
    done = subprocess.run([DRIVER, f"--protocol={protocol}", f"--only={name}", DEVICE, *OPTIONS],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok {row}\n" in done.stdout
