# SPDX-License-Identifier: BSD-3-Clause
"""What no guest and no VMM should do, done to aerostat-device: a test each.

tests/hostile/ is the program that does it; it checks afterwards whether the
device lives, has returned and closed everything, and serves an honest guest.
Each has a device of its own, and waits for most of its time: many run at once.

Under ./test the device is a sanitized one (AEROSTAT_SANITIZED names its build
folder), but for rows about memory: those judge how much the device uses as it
ships.  `./test --unit` does all of it to a sanitized device.
"""
import concurrent.futures
import os
import pathlib
import subprocess

import pytest

from conftest import BUILD
from lab.wait import HANG_S

DRIVER = BUILD / "tests/hostile/hostile-driver"
SANITIZED = pathlib.Path(os.environ.get("AEROSTAT_SANITIZED", BUILD)).resolve()
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
    build = BUILD if name.startswith("memory-") else SANITIZED
    return subprocess.run([build / "tests/hostile/hostile-driver", f"--protocol={protocol}",
                           f"--only={name}", build / "aerostat-device/aerostat-device", *OPTIONS],
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
