# SPDX-License-Identifier: BSD-3-Clause
"""A real guest at the gate of our device: what it takes back by itself waits for credit."""
import contextlib
import threading

import pytest

import driver
import served
from command import MIB

WHOLE, SMALL, HOG = 512, 200, 260   # MiB
RENEWAL_S = 1


@pytest.fixture(scope="module", params=driver.matrix(quick=("6.12 ours",), hosts=("ours",)))
def _gail(lab, request):
    with driver.booted(lab, "gail", request.param, memory=WHOLE,
                       balloon={"deflate-on-oom": True}) as guest:
        yield guest


@pytest.fixture
def gail(_gail):
    driver.go(_gail, SMALL)
    before = _gail.vmstat()["oom_kill"]
    yield _gail
    assert _gail.vmstat()["oom_kill"] == before
    driver.put_back(_gail)


@contextlib.contextmanager
def credit(guest, mib):
    """A manager renews this credit while the block runs."""
    over = threading.Event()

    def renew():
        while not over.is_set():
            guest.device_qmp("x-set-credit", credit=mib * MIB)
            over.wait(RENEWAL_S)

    renew_thread = threading.Thread(target=renew)
    guest.device_qmp("x-set-credit", credit=mib * MIB)
    renew_thread.start()
    try:
        yield
    finally:
        over.set()
        renew_thread.join()


@pytest.mark.long
def test_a_guest_with_credit_does_not_wait(gail):
    before = served.counters(gail)
    with credit(gail, WHOLE):
        assert gail.hold("hog", HOG).alive
    after = served.counters(gail)
    assert after["pulled-pages"] >= before["pulled-pages"] + (HOG - SMALL) * MIB // driver.PAGE
    assert after["gate-waits"] == before["gate-waits"]
    gail.device_qmp("x-set-credit")


def test_a_guest_without_credit_waits_and_lives(gail):
    before = served.counters(gail)
    with credit(gail, 0):
        assert gail.hold("hog", HOG).alive
    after = served.counters(gail)
    assert after["gate-timeouts"] > before["gate-timeouts"]
    gail.device_qmp("x-set-credit")
    driver.assert_intact(gail, "hog")


@pytest.mark.long
def test_a_guest_whose_manager_is_gone_waits_no_more(gail):
    """The manager was killed: nothing renews the credit, and it runs out."""
    gail.device_qmp("x-set-credit", credit=0)
    assert gail.hold("hog", HOG).alive
    assert served.state(gail)["gate"]["credit"] is None or \
        served.counters(gail)["gate-timeouts"] > 0
    driver.assert_intact(gail, "hog")


def test_a_driver_can_leave_while_the_gate_is_closed(gail):
    with credit(gail, 0):
        gail.unload_driver()
    assert gail.hold("all", WHOLE - 120).alive
    gail.load_driver("aerostat")
    driver.wait_for_driver(gail)
