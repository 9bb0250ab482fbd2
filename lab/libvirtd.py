# SPDX-License-Identifier: BSD-3-Clause
"""Runs libvirt daemons, each in its own nest, isolated from other runs.

SessionLibvirt is the daemon of an unprivileged user.  When root starts it, it
runs as `nobody` with a home directory in the nest.  SystemLibvirt is a host's
daemon.  It runs as root in its own mount and network namespace, in which its
folders are empty, so that it does not disturb the machine's own libvirtd.

Any process of root or of the daemon's user reaches either daemon by the path of
its socket (`uri`).  The session's user also reaches it as qemu:///session
(`run`, `user`).
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess

from . import newer_qemu
from .errors import LabError
from .tools import mount_namespace, private_folder, tool
from .nest import Nest
from .wait import HANG_S, wait_for

QEMU_CONF = 'stdio_handler = "file"\n'
SYSTEM_QEMU_CONF = QEMU_CONF + """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
"""
SYSTEM_FOLDERS = ("/etc/libvirt", "/run", "/var/lib", "/var/log", "/var/cache")


class Libvirt:
    """A running daemon; use it in a `with` statement."""

    uid = 0

    def __init__(self):
        self.nest = None
        self._process = None

    def __enter__(self):
        self.nest = Nest(self.uid)
        try:
            self._settle()
            self.start()
        except BaseException:
            self.nest.close()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        self._leave()
        self.nest.close()

    def _settle(self):
        raise NotImplementedError

    def _leave(self):
        """Ends what _settle() started."""

    def _command(self, argv):
        """Returns the argv and the subprocess options that run `argv` where the daemon runs."""
        raise NotImplementedError

    @property
    def pid(self):
        return self._process.pid

    @property
    def uri(self):
        raise NotImplementedError

    def _write_config(self, more=""):
        self.log = self.nest.path / "libvirtd.log"
        self.config = self.nest.path / "libvirtd.conf"
        self.config.write_text(f'log_outputs = "3:file:{self.log}"\n{more}')

    def start(self):
        argv, options = self._command([tool("libvirtd"), "--config", self.config,
                                       "--pid-file", self.nest.path / "libvirtd.pid"])
        with open(self.nest.path / "libvirtd.out", "ab") as out:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out,
                                             stderr=out, start_new_session=True, **options)
        wait_for(self._answers, "libvirtd to answer")

    def _answers(self):
        """Sends a request, because the daemon listens before it knows whether it can serve."""
        if self._process.poll() is not None:
            log = self.log if self.log.exists() else self.nest.path / "libvirtd.out"
            raise LabError(f"libvirtd exited with {self._process.returncode}:\n{log.read_text()}")
        with contextlib.suppress(LabError):
            return self.socket.exists() and self.virsh("list") is not None

    def kill(self):
        """Kills the daemon, as if it crashed; its domains keep running."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def restart(self):
        self.kill()
        self.start()

    def virsh(self, *words):
        """Runs virsh with `uri`; returns its output."""
        done = subprocess.run(["virsh", "--connect", self.uri, *map(str, words)],
                              capture_output=True, text=True, check=False,
                              env={**os.environ, "LC_ALL": "C"})
        if done.returncode:
            raise LabError(f"virsh {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def start_domain(self, name, xml, persistent=True):
        path = self.nest.path / f"{name}.xml"
        path.write_text(xml)
        if persistent:
            self.virsh("define", path)
            self.virsh("start", name)
        else:
            self.virsh("create", path)

    def forget(self, name):
        """Undefines a domain, if it and the daemon still exist."""
        with contextlib.suppress(subprocess.TimeoutExpired, LabError):
            subprocess.run(["virsh", "--connect", self.uri, "undefine", name], check=False,
                           capture_output=True, timeout=HANG_S)
            # The daemon takes a moment to see that the domain's QEMU has ended.
            wait_for(lambda: name not in self.virsh("list", "--all", "--name").split(),
                     f"libvirt to forget {name}")

    def emulator(self, qemu):
        return shutil.which(qemu) or qemu


class SessionLibvirt(Libvirt):
    """The daemon of an unprivileged user."""

    def __init__(self):
        super().__init__()
        root = os.geteuid() == 0
        self.account = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.geteuid())
        self.uid = self.account.pw_uid
        self.user = {}      # subprocess options that start a process as this user
        if root:
            self.user = {"user": self.uid, "group": self.account.pw_gid,
                         "extra_groups": kvm_groups(), "cwd": "/"}

    def _settle(self):
        path = self.nest.path
        folders = {"HOME": path, "XDG_RUNTIME_DIR": path / "run", "XDG_CONFIG_HOME": path / "conf",
                   "XDG_CACHE_HOME": path / "cache", "XDG_DATA_HOME": path / "data"}
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith(("XDG_", "LIBVIRT_", "VIRSH_"))}
        self.env.update({key: str(folder) for key, folder in folders.items()},
                        USER=self.account.pw_name, LIBVIRT_AUTOSTART="0",
                        LIBVIRT_DEFAULT_URI="qemu:///session")
        for folder in (*folders.values(), path / "conf/libvirt"):
            folder.mkdir(exist_ok=True, mode=0o700)
            os.chown(folder, self.uid, -1)
        (path / "conf/libvirt/qemu.conf").write_text(QEMU_CONF)
        self.socket = path / "run/libvirt/libvirt-sock"
        self._write_config()

    @property
    def uri(self):
        return f"qemu:///session?socket={self.socket}"

    def _command(self, argv):
        return argv, {**self.user, "env": self.env}

    def run(self, argv, env=None, **options):
        """Runs a command as the daemon's user, for whom the daemon is qemu:///session."""
        options = {"capture_output": True, "text": True, "check": False, **options}
        return subprocess.run([str(word) for word in argv], **self.user, **options,
                              env={**self.env, **(env or {})})

    def emulator(self, qemu):
        """Copies the build folder's QEMU to the nest for a user who cannot read that folder."""
        path = super().emulator(qemu)
        if newer_qemu.is_private(path) and self.run(["test", "-x", path]).returncode:
            return newer_qemu.copy(path, self.nest.path / "qemu")
        return path

    def may_use_kvm(self):
        return self.run(["test", "-r", "/dev/kvm", "-a", "-w", "/dev/kvm"]).returncode == 0


class SystemLibvirt(Libvirt):
    """A host's daemon; needs root, and permission to create namespaces."""

    def _settle(self):
        self.socket = self.nest.path / "libvirt-sock"
        self._write_config(f'unix_sock_dir = "{self.nest.path}"\nauth_unix_rw = "none"\n')
        (self.nest.path / "qemu.conf").write_text(SYSTEM_QEMU_CONF)
        self._namespace = subprocess.Popen(
            [*mount_namespace(), "--net", "sh", "-c", self._script()], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True)
        if self._namespace.stdout.readline() != "ready\n":
            raise LabError("cannot create namespaces for a system libvirtd: "
                           f"{self._namespace.communicate()[1].strip()}")

    def _script(self):
        """Returns a script that sets up the namespaces and keeps them until its input ends."""
        steps = ["set -e"]
        steps += [f"mkdir -p {folder}; {private_folder(folder)}; mount -t tmpfs tmpfs {folder}"
                  for folder in SYSTEM_FOLDERS]
        steps.append(f"cp {self.nest.path}/qemu.conf /etc/libvirt/")
        # Debian's libvirtd does not start without this user, although it is not used.
        for name, entry in (("passwd", "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin"),
                            ("group", "libvirt-qemu:x:64055:")):
            copy = self.nest.path / name
            copy.write_text(pathlib.Path("/etc", name).read_text() + entry + "\n")
            steps.append(f"{private_folder(f'/etc/{name}')}; mount --bind {copy} /etc/{name}")
        return "; ".join([*steps, "echo ready", "exec cat"])

    def _leave(self):
        self._namespace.communicate()

    @property
    def uri(self):
        return f"qemu:///system?socket={self.socket}"

    def _command(self, argv):
        enter = [tool("nsenter"), "--target", str(self._namespace.pid), "--mount", "--net"]
        return [*enter, *argv], {}

    def may_use_kvm(self):
        return True


def kvm_groups():
    """Returns the group of /dev/kvm, if membership in it gives access; else no group."""
    try:
        status = os.stat("/dev/kvm")
    except FileNotFoundError:
        return []
    return [status.st_gid] if status.st_gid and status.st_mode & 0o060 == 0o060 else []
