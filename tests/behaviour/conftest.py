# SPDX-License-Identifier: BSD-3-Clause
"""Real guests for the behaviour tests.

The guests `alpha` (plain QEMU), `beta` (libvirt) and `carol` (served by our own
device) are shared by the tests that change nothing, or put back what they
changed; a test that hurts its guest boots one of its own with `lab.guest(…)`.
"""
import os
import pathlib
import signal
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))    # for the lab

import served  # noqa: E402
from command import MIB, Aerostat, setmem  # noqa: E402
from lab import Lab  # noqa: E402
from lab.errors import LabError, Unavailable  # noqa: E402
from lab.libvirtd import SessionLibvirt, SystemLibvirt  # noqa: E402
from lab.wait import wait_for  # noqa: E402

# Whoever runs the tests in the background may ignore these signals, and so would what they start.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

# These tests were written for the kernel's own driver; DRIVER=aerostat runs them with ours.
os.environ.setdefault("DRIVER", "stock")

# ./test runs several files at a time (pytest-xdist, --dist loadfile).  These take longest, and
# begin first, so that the others fill the gaps at the end.
LONGEST_FIRST = ("test_driver_life", "test_driver_device_faults", "test_driver_balloon",
                 "test_pressure", "test_driver_memory", "test_device_guest", "test_driver_stats",
                 "test_driver_silent", "test_adopt", "test_setmem", "test_daemon_guests",
                 "test_driver_delivery", "test_device_life", "test_driver_build", "test_faults",
                 "test_driver_failing", "test_daemon_libvirt", "test_device_backing",
                 "test_device_free_pages", "test_driver_oom", "test_stats", "test_own_size",
                 "test_daemon_saved", "test_daemon_shortage", "test_bench", "test_driver_hint")

BUILD = pathlib.Path(os.environ.get("AEROSTAT_BUILD", ROOT / "build")).resolve()


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also the tests that take long")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes long; run with --long")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        late = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=late)
        items[:] = [item for item in items if item not in late]
    order = {stem: place for place, stem in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What the lab cannot do on this machine is a reason to skip a test."""
    report = (yield).get_result()
    if call.excinfo and call.excinfo.errisinstance(Unavailable):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], f"Skipped: {call.excinfo.value}")


@pytest.fixture(scope="session")
def lab():
    return Lab(BUILD)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    """Where the commands under test keep their target files."""
    return tmp_path_factory.mktemp("runtime")   # writable by others, it would not be used


@pytest.fixture(scope="session")
def aerostat(runtime):
    """aerostat with no source of guests: for help, and guests by qmp:PATH."""
    return Aerostat(str(BUILD / "aerostat/aerostat"), ["--qmp", "/nonexistent/*"],
                    {"XDG_RUNTIME_DIR": str(runtime)})


@pytest.fixture(scope="session")
def libvirt():
    """A session daemon of an unprivileged user, for this run alone."""
    with SessionLibvirt() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def system():
    """A root's daemon, in namespaces of its own."""
    daemon = SystemLibvirt()
    try:
        daemon.__enter__()
    except LabError as error:
        pytest.skip(f"no system libvirtd of our own here: {error}")
    yield daemon
    daemon.__exit__()


@pytest.fixture(scope="session")
def aerostat_libvirt(libvirt, aerostat):
    """aerostat as the owner of the session daemon's guests would use it."""
    return aerostat.looking_at("-c", libvirt.uri)


def put_back(guest):
    """A shared guest as the next test expects it.

    A test that ends before its guest has followed a target must wait for that: the guest may be
    whole now, and still on its way there.
    """
    guest.qmp("balloon", value=guest.spec.memory * MIB)
    wait_for(lambda: guest.actual() == guest.spec.memory * MIB, f"{guest.name} to be whole again")


@pytest.fixture(scope="session")
def _alpha(lab):
    with lab.guest("alpha", memory=512) as guest:
        yield guest


@pytest.fixture(scope="session")
def _beta(lab, libvirt):
    with lab.guest("beta", via="libvirt", libvirt=libvirt, memory=512) as guest:
        yield guest


@pytest.fixture
def alpha(_alpha):
    yield _alpha
    put_back(_alpha)


@pytest.fixture
def beta(_beta):
    yield _beta
    for setting in ("setmaxmem", "setmem"):     # of its next start, too
        _beta.libvirt.virsh(setting, "beta", "512M", "--config")
    put_back(_beta)


@pytest.fixture(scope="session", params=[served.MAIN])
def _carol(lab, request):
    """A guest of our own device, on each kernel and transport that served.py's marks ask for."""
    with lab.guest("carol", memory=384, **served.spec(request.param)) as guest:
        served.wait_for_driver(guest)
        yield guest


@pytest.fixture
def carol(_carol):
    yield _carol
    served.put_back(_carol)


@pytest.fixture
def full(carol):
    """The guest with a full balloon, and data whose every byte is known."""
    carol.hold("kept", 40)
    served.reach(carol, served.whole_mib(carol) - served.FULL)
    yield carol
    carol.load_driver()
    assert carol.touch("kept", full=True).bad_pages == 0
    carol.release("kept")


class Way:
    """One of the ways to reach guests, for tests that boot their own."""

    def __init__(self, lab, run, **how):
        self.run = run
        self._lab = lab
        self._how = how

    def guest(self, name, **spec):
        return self._lab.guest(name, **self._how, **spec)


@pytest.fixture(params=["qmp", "libvirt"])
def way(request, lab):
    if request.param == "qmp":
        return Way(lab, request.getfixturevalue("aerostat"))
    return Way(lab, request.getfixturevalue("aerostat_libvirt"), via="libvirt",
               libvirt=request.getfixturevalue("libvirt"))


class Reached:
    """A guest and the command that reaches it, whichever way."""

    def __init__(self, guest, run):
        self.guest = guest
        self.run = run
        self.name = guest.address
        self.sources = ["-c", guest.uri] if guest.uri else ["--qmp", str(guest.qmp_path)]

    def settled(self, mib):
        """The guest reaches a size, and stays."""
        result = setmem(self.run, self.name, f"{mib}M")
        assert result.code == 0, result
        return result


@pytest.fixture(params=["qmp", "libvirt"])
def reached(request):
    """A shared guest over each of the two ways to reach one."""
    if request.param == "qmp":
        return Reached(request.getfixturevalue("alpha"), request.getfixturevalue("aerostat"))
    return Reached(request.getfixturevalue("beta"), request.getfixturevalue("aerostat_libvirt"))
