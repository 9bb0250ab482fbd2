# SPDX-License-Identifier: BSD-3-Clause
"""aerostat-device as a program: its texts, its sockets and its end, without a guest."""
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess

import pytest

from command import DONE, MIB, NO_DRIVER
from conftest import BUILD
from lab import qmp
from lab.device import serving_pid
from lab.wait import HANG_S, wait_for

ROOT = pathlib.Path(__file__).parents[2]
DEVICE = BUILD / "aerostat-device/aerostat-device"
FAILED, USAGE = 1, 2


def run(*words, **how):
    return subprocess.run([DEVICE, *map(str, words)], capture_output=True, text=True,
                          timeout=HANG_S, **how)


class Running:
    """A device that listens at `vmm` and `control`."""

    def __init__(self, folder, *words, argv=(), **how):
        self.vmm = folder / "vmm.sock"
        self.control = folder / "control.qmp"
        self.log = folder / "device.log"
        if not argv:
            argv = [DEVICE, f"--socket-path={self.vmm}", f"--control={self.control}", *words]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stderr=log, **how)
        wait_for(lambda: self.ended() or self.answers(), "the device to listen")

    def ended(self):
        return self.process.poll() is not None

    def answers(self):
        try:
            self.ask("query-version")
        except Exception:   # noqa: BLE001 whatever it is, it does not answer yet
            return False
        return True

    def ask(self, command, **arguments):
        return qmp.ask(self.control, command, arguments)

    @property
    def pid(self):
        return serving_pid(self.process.pid)

    def status(self, key):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return re.search(rf"^{key}:\s*(.*)$", text, re.M)[1]

    def end(self):
        """Waits until it has ended, and returns its exit code."""
        return self.process.wait(HANG_S)


@pytest.fixture
def start(tmp_path):
    tmp_path.chmod(0o755)
    with contextlib.ExitStack() as stack:
        def start_one(*words, **how):
            device = Running(tmp_path, *words, **how)
            stack.callback(device.process.wait)
            stack.callback(device.process.kill)
            assert not device.ended(), device.log.read_text()
            return device
        yield start_one


# What it says of itself

@pytest.fixture(scope="module")
def help_text():
    result = run("--help")
    assert result.returncode == DONE
    return result.stdout


@pytest.fixture(scope="module")
def man_page():
    return (ROOT / "docs/man/aerostat-device.1.scd").read_text()


def test_help_teaches_by_example(help_text):
    assert "Usage:\n  aerostat-device --socket-path=PATH" in help_text
    for words in ("memory-backend-memfd,id=ram,size=4G,share=on", '"driver": "vfio-user-pci"',
                  "cloud-hypervisor", "crosvm", "aerostat setmem qmp:/run/vms/web.qmp 2G"):
        assert words in help_text


def test_man_page_holds_every_option(help_text, man_page):
    options = re.findall(r"^  (--[a-z-]+)(?:=(\S+))? ", help_text, re.M)
    assert len(options) > 15
    for name, argument in options:
        text = f"*{name}*=_{argument}_" if argument else f"*{name}*"
        assert re.search(rf"^{re.escape(text)}$", man_page, re.M), name


def test_man_page_holds_every_feature(help_text, man_page):
    rows = re.findall(r"^  ([* ]) (\S+) +(\S.*)$", help_text.split("\n\n")[3], re.M)
    assert len(rows) == len(json.loads(run("--print-capabilities").stdout)["features"])
    for star, name, text in rows:
        mark = " \\*" if star == "*" else ""
        assert f"\n*{name}*{mark}\n\t{text}\n" in man_page, name


def test_man_page_holds_every_command_and_event(start, man_page):
    device = start()
    told = device.ask("x-help")
    assert [row["name"] for row in told["commands"]] == \
        [row["name"] for row in device.ask("query-commands")]
    for row in told["commands"] + told["events"]:
        assert f"\n*{row['name']}*\n\t{row['help']}\n" in man_page, row


def test_capabilities_are_json():
    told = json.loads(run("--print-capabilities").stdout)
    assert told["type"] == "balloon"
    assert told["protocols"] == ["vfio-user", "vhost-user"]
    assert {"shmem", "hugetlb"} <= {row["name"] for row in told["backings"]}
    assert set(told["default-features"]) < set(told["features"])


def test_version():
    assert re.fullmatch(r"aerostat-device \d+\.\d+\.\d+\n", run("--version").stdout)


# What it refuses

@pytest.mark.parametrize("words, says", [
    ([], "no socket for the VMM: use --socket-path=PATH"),
    (["--control=/tmp/x"], "no socket for the VMM"),
    (["--frobnicate"], "unknown option '--frobnicate'; --help lists all options"),
    (["alpha"], "unexpected argument 'alpha': all options begin with --"),
    (["--socket-path"], "--socket-path needs a value; write --socket-path=PATH"),
    (["--keep=yes"], "--keep takes no value; remove '=yes'"),
    (["--socket-path=a", "--fd=3"], "--socket-path and --fd exclude each other"),
    (["--fd=3", "--control=a", "--control-fd=4"], "--control and --control-fd exclude"),
    (["--fd=three"], "--fd: 'three' is not a number"),
    (["--fd=-1"], "--fd: '-1' is not a number"),
    (["--protocol=vfio"], "--protocol: 'vfio' is unknown; use one of vfio-user, vhost-user"),
    (["--protocol=vhost-user", "--msix", "--fd=3"], "--msix works only with --protocol=vfio-user"),
    (["--max=abc"], "size 'abc' is not a number; write it like"),
    (["--max=10furlongs"], "size '10furlongs' has an unknown unit"),
    (["--max=0"], "size '0' is zero"),
    (["--max", "-1"], "size '-1' is negative"),
    (["--target=2G", "--max=1G", "--fd=3"], "--target is above --max"),
    (["--features=stats"], "'stats' has no sign; write +NAME"),
    (["--features=+stats,-party"], "unknown feature 'party'; use some of must-tell-host, stats"),
    (["--features=+"], "unknown feature ''"),
    (["--release-delay=60001"], "--release-delay: '60001' is not a number from 0 to 60000"),
    (["--audit=maybe"], "--audit: 'maybe' is unknown; use one of off, report, release"),
    (["--audit-interval=0"], "--audit-interval must not be 0"),
    (["--sandbox=perhaps"], "--sandbox: 'perhaps' is unknown; use one of off, on"),
    (["--name", b"\xff"], "--name is not valid UTF-8"),
])
def test_a_wrong_command_line_is_one_clear_line(words, says):
    result = subprocess.run([DEVICE, *words], capture_output=True, text=True, timeout=HANG_S)
    assert result.returncode == USAGE
    assert result.stderr.startswith("error: ") and says in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("path, says", [
    ("/nonexistent/socket", "its directory does not exist; create it first"),
    ("/etc/passwd", "a file that is not a socket is there"),
    ("/" + "x" * 120, "too long; the path of a socket"),
    ("", "the path is empty"),
])
@pytest.mark.parametrize("option", ["--socket-path", "--control"])
def test_a_place_where_it_cannot_listen(tmp_path, option, path, says):
    other = [] if option == "--socket-path" else [f"--socket-path={tmp_path}/vmm"]
    result = run(*other, f"{option}={path}")
    assert result.returncode == FAILED
    assert f"error: cannot listen at {path}: {says}" in result.stderr


def test_a_descriptor_that_is_no_socket():
    result = run("--fd=0", stdin=subprocess.DEVNULL)
    assert result.returncode == FAILED
    assert "descriptor 0 is not a stream socket" in result.stderr


def test_an_unknown_user(tmp_path):
    result = run(f"--socket-path={tmp_path}/vmm", "--user=no-such-user-here")
    assert result.returncode == FAILED
    assert "--user needs root and an existing user" in result.stderr
    assert not (tmp_path / "vmm").exists()


# Sockets

def test_sockets_are_their_owners_alone(start):
    device = start()
    assert device.vmm.stat().st_mode & 0o777 == 0o600
    assert device.control.stat().st_mode & 0o777 == 0o600


def test_a_stale_socket_is_replaced(start):
    first = start()
    served = first.pid
    first.process.kill()
    first.end()
    wait_for(lambda: not os.path.exists(f"/proc/{served}"), "the device to die")
    assert first.vmm.exists()
    start()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("option", ["--socket-path", "--control"])
def test_no_socket_is_made_behind_another_users_link(tmp_path, option):
    (tmp_path / "precious").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    os.lchown(tmp_path / "link", 65533, 65533)
    sockets = {"--socket-path": tmp_path / "vmm.sock", "--control": tmp_path / "control.qmp",
               option: tmp_path / "link/new.sock"}
    result = run(*(f"{name}={path}" for name, path in sockets.items()))
    assert result.returncode == FAILED
    assert "a symbolic link on the way belongs to another user" in result.stderr
    assert os.listdir(tmp_path / "precious") == []


def test_a_socket_in_use_is_not_taken(start):
    device = start()
    result = run(f"--socket-path={device.vmm}")
    assert result.returncode == FAILED
    assert "another process listens there; stop it, or choose another path" in result.stderr
    assert device.answers()


def test_descriptors_may_be_handed_over(start, tmp_path):
    with socket.socket(socket.AF_UNIX) as vmm, socket.socket(socket.AF_UNIX) as control:
        for listener, name in ((vmm, "vmm.sock"), (control, "control.qmp")):
            listener.bind(str(tmp_path / name))
            listener.listen()
        fds = [vmm.fileno(), control.fileno()]
        device = start(argv=[DEVICE, f"--fd={fds[0]}", f"--control-fd={fds[1]}"], pass_fds=fds)
    assert device.ask("query-status")["status"] == "prelaunch"


def test_systemd_hands_sockets_over_and_hears_when_ready(start, tmp_path):
    notify = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX) as vmm, socket.socket(socket.AF_UNIX) as control, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        for listener, name in ((vmm, "vmm.sock"), (control, "control.qmp")):
            listener.bind(str(tmp_path / name))
            listener.listen()
        manager.bind(str(notify))
        manager.settimeout(HANG_S)
        # As 3 and 4, whatever they are here.
        script = (f"exec 3<&{control.fileno()}- 4<&{vmm.fileno()}-; "
                  "export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=control:vmm; exec \"$0\"")
        device = start(argv=["/bin/bash", "-c", script, DEVICE],
                       pass_fds=[vmm.fileno(), control.fileno()],
                       env={**os.environ, "NOTIFY_SOCKET": str(notify)})
        assert manager.recv(100) == b"READY=1\n"
    assert device.ask("query-status")["status"] == "prelaunch"


def test_who_brings_no_memory_was_no_vmm(start):
    device = start()
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(device.vmm))
            wait_for(lambda: device.ask("query-status")["running"], "a VMM to be seen")
        wait_for(lambda: not device.ask("query-status")["running"], "it to be gone")
    assert not device.ended()


def test_a_second_vmm_is_turned_away(start):
    device = start()
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.connect(str(device.vmm))
        first.sendall(b"\0")
        wait_for(lambda: device.ask("query-status")["running"], "a VMM to be seen")
        second.connect(str(device.vmm))
        second.settimeout(HANG_S)
        assert second.recv(1) == b""
        assert device.ask("query-status")["running"]
    assert "refused the connection of a second VMM" in device.log.read_text()


@pytest.mark.parametrize("protocol", ["vfio-user", "vhost-user"])
def test_a_connection_that_sends_nothing_keeps_no_vmm_out(start, protocol):
    device = start(f"--protocol={protocol}")
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as vmm:
        silent.connect(str(device.vmm))
        wait_for(lambda: device.ask("query-status")["running"], "a connection to be seen")
        vmm.connect(str(device.vmm))
        vmm.settimeout(HANG_S)
        silent.settimeout(HANG_S)
        assert silent.recv(1) == b""
        if protocol == "vfio-user":
            vmm.sendall(struct.pack("<HHIII", 1, 1, 28, 0, 0) + b"\0\0\1\0{}      ")
            assert len(vmm.recv(28)) >= 16
        else:
            vmm.sendall(struct.pack("<III", 1, 1, 0))       # GET_FEATURES
            assert len(vmm.recv(20)) == 20


def test_a_connection_that_is_handed_over_is_served_to_its_end():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen([DEVICE, f"--fd={theirs.fileno()}"],
                                   pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL)
        theirs.close()
        ours.close()
        assert process.wait(HANG_S) == DONE


# Its end

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(start, number):
    device = start()
    device.process.send_signal(number)
    assert device.end() == DONE
    assert f"stopping on signal {int(number)}" in device.log.read_text()


def test_quit_ends_it_well(start):
    device = start()
    assert device.ask("quit") == {}
    assert device.end() == DONE


def test_a_reader_that_left_its_log_does_not_end_it(start, tmp_path):
    reader, writer = os.pipe()
    argv = [DEVICE, f"--socket-path={tmp_path}/vmm.sock", f"--control={tmp_path}/control.qmp"]
    with subprocess.Popen(argv, stderr=writer) as process:
        os.close(reader)
        os.close(writer)
        try:
            wait_for(lambda: qmp.answers(tmp_path / "control.qmp"), "the device to listen")
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(f"{tmp_path}/vmm.sock")
            assert qmp.ask(tmp_path / "control.qmp", "query-uuid", {})
        finally:
            process.terminate()
        assert process.wait(HANG_S) == DONE


# What it may do

def test_it_is_shut_in(start):
    device = start("--verbose")
    assert device.status("NoNewPrivs") == "1"
    assert int(device.status("CapEff"), 16) == int(device.status("CapPrm"), 16) == 0
    limits = pathlib.Path(f"/proc/{device.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)
    if "built with sanitizers" in device.log.read_text():
        pytest.skip("this build has sanitizers or counts lines, and no more of the sandbox")
    assert device.status("Seccomp") == "2"
    if os.readlink(f"/proc/{device.pid}/ns/user") != os.readlink("/proc/self/ns/user"):
        assert os.listdir(f"/proc/{device.pid}/root") == []
        assert os.readlink(f"/proc/{device.pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
        assert device.status("NSpid").split() == [str(device.pid), "1"]


def test_it_holds_no_descriptor_in_two_processes(start):
    """The process that waits for the device would keep sockets open that the device closes."""
    device = start()
    if device.pid == device.process.pid:
        pytest.skip("namespaces are not permitted here")

    def names():
        folder = f"/proc/{device.process.pid}/fd"
        found = []
        for fd in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):    # closed meanwhile
                found.append(os.readlink(f"{folder}/{fd}"))
        return found
    # The device may answer before the other process has closed its descriptors.
    wait_for(lambda: names() == ["anon_inode:[signalfd]"], "the waiting process to have no more")


def test_the_sandbox_may_be_left_out(start):
    device = start("--sandbox=off")
    assert device.status("Seccomp") == "0"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_it_becomes_another_user(start, tmp_path):
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:     # pytest's are its user's alone
        if folder.is_relative_to("/tmp") and folder != pathlib.Path("/tmp"):
            folder.chmod(0o755)
    device = start("--user=nobody")
    assert "0" not in device.status("Uid").split()


def test_each_rule_of_the_sandbox():
    """./test runs the unit tests with sanitizers, which switch most of the sandbox off."""
    program = BUILD / "tests/unit/test_sandbox"
    if not program.exists():
        pytest.skip("the unit tests are not built")
    result = subprocess.run([program], capture_output=True, text=True, timeout=HANG_S)
    assert result.returncode == DONE, result.stderr
    assert "[  PASSED  ]" in result.stderr + result.stdout


def test_idle_it_is_never_woken(start):
    device = start("--max=1G")

    def wakes_within_a_second():
        before = device.status("voluntary_ctxt_switches")
        select.select([], [], [], 1)    # only time shows that nothing happens
        return device.status("voluntary_ctxt_switches") != before

    # At first it may still be closing our own connection.
    wait_for(lambda: not wakes_within_a_second(), "a second in which nothing wakes it")


# Steered by aerostat

def test_aerostat_steers_it_unchanged(start, aerostat):
    device = start("--max=1G", "--name=web", "--features=+deflate-on-oom")
    address = f"qmp:{device.control}"
    told = aerostat("dominfo", address)
    assert told.code == DONE
    for part in ("Name:           web", "(1 GiB)", "Deflate on OOM: on", "Page reporting: off"):
        assert part in told.out
    assert "balloon.maximum=1048576" in aerostat("domstats", address).out
    assert aerostat("dommemstat", address, "--period", "2").code == DONE
    assert device.ask("qom-get", path="/machine/peripheral/balloon0",
                      property="guest-stats-polling-interval") == 2
    assert aerostat("setmem", address, "2G").code != DONE
    assert aerostat("setmem", address, "512M", "--no-wait").code == DONE
    told = device.ask("x-query-balloon")
    assert (told["target"], told["actual"]) == (512 * MIB, 1024 * MIB)


def test_aerostat_says_that_there_is_no_guest_yet(start, aerostat):
    device = start()
    assert "Balloon:        none" in aerostat("dominfo", f"qmp:{device.control}").out
    assert aerostat("setmem", f"qmp:{device.control}", "512M").code != DONE


def test_aerostat_says_that_there_is_no_driver(start, aerostat):
    device = start("--max=1G")
    with socket.socket(socket.AF_UNIX) as vmm:
        vmm.connect(str(device.vmm))
        wait_for(lambda: device.ask("query-status")["running"], "a VMM to be seen")
        assert aerostat("setmem", f"qmp:{device.control}", "512M", "--timeout",
                        "1").code == NO_DRIVER
