# SPDX-License-Identifier: BSD-3-Clause
"""A balloon device that breaks its rules: the guest lives, and no memory is lost.

fake-bad-device (tests/fakes/misbehave.h) is our own device, which misbehaves
where it is told to.  Whatever it does, of our driver these hold:

- The guest goes on, and so does everything in it.
- Nothing waits for the device for good: the driver can be unloaded.
- Once the device behaves, was reset, or is gone, all memory is there again.
- A page is never in use while the host may still take it.

FAULTY_DRIVER=stock runs the tests with the kernel's own driver instead.  It
fails those that say so: it waits for each answer for ever, and with it whoever
unloads, unbinds or unplugs it.
"""
import contextlib

import pytest

import driver
from command import MIB
from faulty import (DEFLATE, FAKE, FULL, INFLATE, MEMORY, NEVER, PAGES, REPORTING, STATS,
                    assert_lives, assert_whole, bad_guest, bind, heal, keeps, load, look,
                    misbehave, plug, put_back, remember, unbind, unload, wait_for_more,
                    wait_until_keeps)
from lab.wait import wait_for
from served import (DRIVER, aim, counters, reach, state, wait_for_driver, wait_until_at,
                    wait_until_moving)

LEAVE = pytest.mark.parametrize("leave, come", [(unload, load), (unbind, bind)],
                                ids=["unloaded", "unbound"])


class Ward:
    """One guest after the other: a test that hurts its guest does not hurt the next one."""

    def __init__(self, lab, name, **spec):
        self._lab = lab
        self._name = name
        self._spec = spec
        self._stack = contextlib.ExitStack()
        self._guest = None

    def guest(self):
        if not self._guest:
            guest = self._stack.enter_context(bad_guest(self._lab, self._name, **self._spec))
            remember(guest)
            self._guest = guest
        return self._guest

    def discard(self):
        self._guest = None
        self._stack.close()


@pytest.fixture(scope="module", params=["6.12"])
def _ward(lab, request):
    if not FAKE.exists():
        pytest.skip(f"{FAKE} is not built")
    ward = Ward(lab, "mallory", kernel=request.param)
    yield ward
    ward.discard()


@pytest.fixture(scope="module")
def _reporters(lab):
    ward = Ward(lab, "reporter", balloon={"free-page-reporting": True})
    yield ward
    ward.discard()


def lend(ward):
    yield (guest := ward.guest())
    try:
        put_back(guest)
    except BaseException:
        ward.discard()
        raise


@pytest.fixture
def mallory(_ward):
    """A guest whose device is bad."""
    yield from lend(_ward)


@pytest.fixture
def reporter(_reporters):
    """Another one, which reports its free pages."""
    yield from lend(_reporters)


long = pytest.mark.long
on_each_kernel_if_long = pytest.mark.parametrize(
    "_ward", ["6.12", *(pytest.param(kernel, marks=long) for kernel in ("6.1", "7.3"))],
    indirect=True)


@pytest.fixture
def full(mallory):
    """Its balloon is full."""
    reach(mallory, MEMORY - FULL)
    return mallory


# It never answers

@on_each_kernel_if_long
@LEAVE
def test_a_device_that_never_returns_inflate_buffers_can_be_left(mallory, leave, come):
    """The in-tree driver waits for ever, and so does who unloads it."""
    misbehave(mallory, "keep", NEVER, INFLATE)
    aim(mallory, MEMORY - FULL)
    wait_until_keeps(mallory, INFLATE)
    assert_lives(mallory)
    leave(mallory)
    assert keeps(mallory, INFLATE) == 0     # it was reset
    assert_whole(mallory)
    heal(mallory)
    come(mallory)
    wait_until_at(mallory, MEMORY - FULL)


@on_each_kernel_if_long
@LEAVE
def test_a_device_that_never_returns_deflate_buffers_can_be_left(full, leave, come):
    """The in-tree driver waits for ever, and so does who unloads it."""
    misbehave(full, "keep", NEVER, DEFLATE)
    aim(full, MEMORY)
    wait_until_keeps(full, DEFLATE)
    assert_lives(full)
    leave(full)
    assert_whole(full)
    heal(full)
    come(full)
    wait_until_at(full, MEMORY)


def test_a_device_that_is_deaf_can_be_left_with_a_full_balloon(full):
    """The in-tree driver waits for ever for its deflate buffers to be read."""
    for queue in (INFLATE, DEFLATE):
        misbehave(full, "deaf", NEVER, queue)
    aim(full, MEMORY)
    wait_for(lambda: look(full)["unheard"][DEFLATE], "a kick that is not heard")
    assert_lives(full)
    unload(full)
    assert_whole(full)


@pytest.mark.parametrize("queue, start, end", [(INFLATE, MEMORY, MEMORY - FULL),
                                               (DEFLATE, MEMORY - FULL, MEMORY)])
def test_a_driver_goes_on_when_a_silent_device_answers_at_last(mallory, queue, start, end):
    reach(mallory, start)
    misbehave(mallory, "keep", NEVER, queue)
    aim(mallory, end)
    wait_until_keeps(mallory, queue)
    assert_lives(mallory)
    heal(mallory)
    wait_until_at(mallory, end)


def test_a_target_that_is_taken_back_while_the_device_is_silent_is_followed(mallory):
    misbehave(mallory, "keep", NEVER, INFLATE)
    aim(mallory, MEMORY - FULL)
    wait_until_keeps(mallory, INFLATE)
    aim(mallory, MEMORY)
    assert_lives(mallory)
    heal(mallory)
    wait_until_at(mallory, MEMORY)


def test_a_silent_device_that_is_unplugged_gives_all_memory_back(mallory):
    """The in-tree driver waits for ever, and with it the worker that unplugs all devices."""
    misbehave(mallory, "keep", NEVER, INFLATE)
    aim(mallory, MEMORY - FULL)
    wait_until_keeps(mallory, INFLATE)
    mallory.unplug()
    assert_lives(mallory)
    assert_whole(mallory)
    plug(mallory)


def test_out_of_memory_the_guest_lives_though_the_device_never_takes_deflations(lab):
    """deflate-on-oom: what the balloon cannot give, the OOM killer takes.

    The in-tree driver waits for the device in the midst of reclaim, with the lock of the OOM
    killer held, and with it everybody who allocates.
    """
    with bad_guest(lab, "oom", balloon={"deflate-on-oom": True}) as guest:
        remember(guest)
        reach(guest, MEMORY - FULL)
        misbehave(guest, "keep", NEVER, DEFLATE)
        kills = guest.vmstat()["oom_kill"]
        victim = guest.hold("greedy", MEMORY - 60)    # more than the balloon's rest leaves
        assert not victim.alive
        assert guest.vmstat()["oom_kill"] > kills
        guest.release_all()
        guest.heartbeat.mark()
        assert guest.heartbeat.wait(10)
        assert guest.run("echo alive").output == "alive\n"
        heal(guest)
        unload(guest)
        guest.hold("kept", 40)
        assert_lives(guest)
        assert_whole(guest)


def keep_reports(guest):
    misbehave(guest, "keep", NEVER, REPORTING)
    guest.hold("used", FULL)
    guest.release("used")
    wait_until_keeps(guest, REPORTING)


def assert_can_be_left(guest):
    assert_lives(guest)
    unload(guest)
    assert_lives(guest)
    assert_whole(guest)


def test_a_device_that_never_returns_reports_can_be_left(reporter):
    """The in-tree driver waits for ever, and so does who unloads it."""
    keep_reports(reporter)
    assert_can_be_left(reporter)


def test_a_device_that_never_returns_reports_can_be_left_while_the_balloon_grows(reporter):
    """Harvesting shares the kernel's reporting with what waits for the device."""
    keep_reports(reporter)
    aim(reporter, MEMORY - FULL)
    assert_can_be_left(reporter)


def test_a_device_that_never_returns_blocks_of_the_balloon_can_be_left(lab):
    """release=reporting: the balloon is told of on the reporting queue."""
    with bad_guest(lab, "releaser", balloon={"free-page-reporting": True},
                   driver_params="release=reporting reporting=0") as guest:
        remember(guest)
        misbehave(guest, "keep", NEVER, REPORTING)
        aim(guest, MEMORY - FULL)
        wait_until_keeps(guest, REPORTING)
        assert_can_be_left(guest)


# It answers late, or in disorder

def assert_follows(guest):
    for mib in (MEMORY - FULL, MEMORY - FULL // 2, MEMORY - FULL, MEMORY):
        reach(guest, mib)
    assert_lives(guest)


@on_each_kernel_if_long
def test_a_device_that_answers_late_is_followed(mallory):
    for queue in (INFLATE, DEFLATE):
        misbehave(mallory, "keep", 50, queue)
    assert_follows(mallory)


def test_a_device_that_returns_the_newest_buffer_first_is_followed(mallory):
    """The in-tree driver has but one in flight, so that none can overtake another."""
    before = look(mallory)["overtakings"]
    misbehave(mallory, "newest-first", True, INFLATE)
    misbehave(mallory, "keep", NEVER, INFLATE)
    aim(mallory, MEMORY - FULL)
    wait_for(lambda: keeps(mallory, INFLATE) > 1, "two requests in flight")
    for queue in (INFLATE, DEFLATE):
        misbehave(mallory, "newest-first", True, queue)
        misbehave(mallory, "keep", 50, queue)
    misbehave(mallory, "return", queue=INFLATE)
    assert_follows(mallory)
    assert look(mallory)["overtakings"] > before


def pass_time(guest, seconds):
    """By the guest's clock."""
    end = driver.uptime_ms(guest) + 1000 * seconds
    wait_for(lambda: driver.uptime_ms(guest) >= end, f"{guest.name}'s clock to go on")


def test_what_is_returned_late_and_without_an_interrupt_is_noticed(mallory):
    """The driver looks once a second, even after it has stopped waiting."""
    misbehave(mallory, "mute", True, INFLATE)
    misbehave(mallory, "keep", NEVER, INFLATE)
    aim(mallory, MEMORY - 40)
    wait_until_keeps(mallory, INFLATE)
    pass_time(mallory, 3)
    misbehave(mallory, "keep", 0, INFLATE)
    wait_until_at(mallory, MEMORY - 40)


@long
def test_a_device_that_is_slow_does_not_keep_the_driver(lab):
    """It answers each request within a second, and the driver leaves it after two all the same."""
    with bad_guest(lab, "snail", memory=1536) as guest:
        remember(guest)
        reach(guest, 400)
        misbehave(guest, "keep", 900, DEFLATE)
        unload(guest)
        assert counters(guest)["deflated-pages"] < (1536 - 400) * PAGES // 2
        assert_whole(guest)


def test_a_driver_that_left_lets_the_guest_sleep(mallory):
    """It is not kept awake for a target that is not pursued any more, even without statistics."""
    mallory.replug("--features=-stats")
    wait_for_driver(mallory)
    device = mallory.run(f"cd {DRIVER}/virtio*; pwd -P").output.strip()
    assert mallory.run(f"echo enabled > {device}/power/wakeup").status == 0
    misbehave(mallory, "keep", NEVER, INFLATE)
    aim(mallory, MEMORY - FULL)
    wait_until_keeps(mallory, INFLATE)
    unload(mallory)
    assert mallory.run(f"cat {device}/power/wakeup_active").output == "0\n"
    mallory.replug()


def test_lengths_that_buffers_do_not_have_are_ignored(mallory):
    for queue in (INFLATE, DEFLATE, STATS):
        misbehave(mallory, "wrong-length", True, queue)
    assert_follows(mallory)


def churn(guest, rounds):
    """Memory is taken, checked in full and freed, again and again: is any page the host's, too?"""
    for _ in range(rounds):
        guest.hold("churned", 60)
        for _ in range(2):
            held = guest.touch("churned", full=True)
            assert held.alive and held.bad_pages == 0
        guest.release("churned")


@on_each_kernel_if_long
def test_no_page_is_in_use_before_its_inflation_is_resolved(mallory):
    """Targets change in mid-flight, the device reads late and answers later still."""
    for queue, deaf, late in ((INFLATE, 150, 100), (DEFLATE, 20, 30)):
        misbehave(mallory, "deaf", deaf, queue)
        misbehave(mallory, "keep", late, queue)
    misbehave(mallory, "toggle-pause", 170_000)
    misbehave(mallory, "toggle", FULL * PAGES)
    before = counters(mallory)["inflated-pages"]
    churn(mallory, 8)
    wait_for(lambda: counters(mallory)["inflated-pages"] > before or churn(mallory, 1),
             "an inflation meanwhile")
    assert_lives(mallory)
    heal(mallory)
    reach(mallory, MEMORY - FULL)


# It asks for what cannot be

def assert_at_ease(guest):
    """It has memory enough to go on."""
    assert_lives(guest)
    assert guest.meminfo()["MemAvailable"] > 24 * MIB


@pytest.mark.parametrize("pages", [
    MEMORY * PAGES, 0xffffffff,
    *(pytest.param(pages, marks=long) for pages in (MEMORY * PAGES + 1, 1 << 30))])
def test_a_target_beyond_ram_is_followed_to_the_floor_and_back(mallory, pages):
    """The in-tree driver has no floor: it takes all there is, and the OOM killer does the rest."""
    kills = mallory.vmstat()["oom_kill"]
    misbehave(mallory, "num-pages", pages)
    wait_until_moving(mallory, MEMORY)
    wait_until_stands(mallory)
    assert_at_ease(mallory)
    assert mallory.vmstat()["oom_kill"] == kills
    reach(mallory, MEMORY - FULL)


def wait_until_stands(guest):
    """The balloon moves no more: thirty looks in a row find the same."""
    seen = []

    def stands():
        seen.append(state(guest)["ballooned"])
        return len(seen) > 30 and len(set(seen[-30:])) == 1
    wait_for(stands, f"{guest.name}'s balloon to stand")


def test_a_target_that_changes_all_the_time_is_followed_at_last(mallory):
    misbehave(mallory, "toggle-pause", 3000)
    misbehave(mallory, "toggle", 0xffffffff)
    wait_for_more(mallory, "toggles", 500)
    assert_at_ease(mallory)
    heal(mallory)
    reach(mallory, MEMORY - FULL)
    reach(mallory, MEMORY)


@on_each_kernel_if_long
def test_a_storm_of_configuration_interrupts_is_lived_through(mallory):
    misbehave(mallory, "storm", 500)
    wait_for_more(mallory, "interrupts", 1000)
    assert_follows(mallory)


# Statistics

def test_statistics_that_are_asked_for_without_pause_stop_nothing(mallory):
    misbehave(mallory, "stats-flood", True)
    before = counters(mallory)["stats-received"]
    wait_for(lambda: counters(mallory)["stats-received"] > before + 200, "200 samples")
    assert_follows(mallory)


# It breaks its rings, or says that it is broken

def strangers(guest):
    """How often Linux was given a buffer that was not in flight."""
    return guest.kernel_log().count("is not a head!")


@on_each_kernel_if_long
@pytest.mark.parametrize("queue, how", [
    (INFLATE, "stray"), (DEFLATE, "twice"),
    *(pytest.param(*words, marks=long) for words in ((INFLATE, "twice"), (DEFLATE, "stray")))])
def test_a_buffer_that_was_not_in_flight_costs_no_memory(mallory, queue, how):
    """Linux takes the queue for broken: the driver leaves it, and starts anew when it is told to.

    The in-tree driver waits for ever for what a broken queue does not return.
    """
    reach(mallory, MEMORY - FULL if queue == DEFLATE else MEMORY)
    before = strangers(mallory)
    misbehave(mallory, how, 1, queue)
    aim(mallory, MEMORY - FULL // 2)
    wait_for(lambda: strangers(mallory) > before, "Linux to notice")
    assert_lives(mallory)
    unload(mallory)
    assert_whole(mallory)
    load(mallory)
    wait_until_at(mallory, MEMORY - FULL // 2)


@pytest.mark.parametrize("how", ["twice", pytest.param("stray", marks=long)])
def test_a_bad_statistics_buffer_leaves_the_balloon_alone(mallory, how):
    before = look(mallory)["forgeries"]
    misbehave(mallory, how, 1, STATS)
    misbehave(mallory, "stats-flood", True)
    wait_for(lambda: look(mallory)["forgeries"] > before, "the bad buffer")
    assert_follows(mallory)
    unload(mallory)
    assert_whole(mallory)


@pytest.mark.parametrize("mib", [MEMORY, MEMORY - FULL])
def test_a_device_that_needs_a_reset_gets_it_from_the_next_driver(mallory, mib):
    """The in-tree driver waits for ever when a buffer was in flight."""
    reach(mallory, mib)
    misbehave(mallory, "needs-reset", True)
    aim(mallory, MEMORY - FULL // 2)
    assert_lives(mallory)
    unload(mallory)
    assert_whole(mallory)
    load(mallory)
    wait_until_at(mallory, MEMORY - FULL // 2)


# It is torn out

def test_a_full_balloon_that_is_unplugged_gives_all_memory_back(full):
    full.unplug()
    assert_lives(full)
    assert_whole(full)
    plug(full)


def test_a_balloon_that_is_unplugged_while_it_grows_gives_all_memory_back(mallory):
    misbehave(mallory, "keep", 30, INFLATE)
    aim(mallory, MEMORY - FULL)
    wait_until_moving(mallory, MEMORY)
    mallory.unplug()
    assert_lives(mallory)
    assert_whole(mallory)
    plug(mallory)


@pytest.mark.parametrize("when", ["full", pytest.param("growing", marks=long), "silent"])
def test_a_device_that_dies_takes_nothing_of_the_guest_with_it(lab, when):
    """Nothing can unload a driver then: Linux waits for ever for a dead device's reset."""
    with bad_guest(lab, "bereft") as guest:
        remember(guest)
        if when == "silent":
            misbehave(guest, "keep", NEVER, INFLATE)
        aim(guest, MEMORY - FULL)
        if when == "full":
            wait_until_at(guest, MEMORY - FULL)
        else:
            wait_until_moving(guest, MEMORY)
        guest.kill_device()
        assert_lives(guest)
        churn(guest, 2)
        assert_lives(guest)
