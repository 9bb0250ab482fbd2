# SPDX-License-Identifier: BSD-3-Clause
"""Builds our guest driver for the lab's kernels, without installing anything.

Theory of operation
-------------------
A module is built with the compiler, kbuild and headers that Debian built the
kernel with.  For each suite there is a tree, BUILD/lab/kbuild/SUITE, with
packages of that suite: a compiler, make, a few tools, and the headers of each of
the lab's kernels that comes from the suite.  A copy of the sources is moved into
the tree, and make runs there by chroot, as root and without any mount.

make also needs /dev/null, which root creates in the tree, and objtool looks for
its stack in /proc/self/maps, for which a copy of another process's file is good
enough.  Where the device cannot be created (without root or CAP_MKNOD, or on a
file system mounted with nodev), the host's /dev is mounted into the tree
instead, in a mount namespace that ends with make.

A file in the format of dpkg's status lists the packages in the tree, so that apt
fetches only what is missing.  It is written last, so that packages whose
unpacking was interrupted are unpacked again.

Only the module leaves the tree, because kbuild leaves many other files beside
it.  Modules are cached by kernel and by a hash of everything that went into
them.  All of this happens while the lab's lock is held.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import stat
import subprocess
import time

from .debian import private_apt, unpack
from .errors import LabError, Unavailable
from .kernels import SERIES
from .tools import call, mount_namespace, private_folder, tool

MODULE = "virtio_balloon"
# The compiler is not listed because the headers depend on it.
TOOLS = ("binutils", "make", "dash", "coreutils", "findutils", "sed", "grep", "gawk")
# Extra arguments for make, and the packages that they need.
PLAIN = ((), ())
STRICT = (("W=1",), ("perl",))    # also checks kernel-doc comments
SPARSE = (("C=2", "CHECK=sparse"), ("sparse",))
NO_SPARSE = ("7.3",)    # Debian's sparse cannot parse its headers
# Half of the tree, which no module needs.
LEFT_OUT = ("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man",
            "usr/bin/*lto-dump*", "usr/libexec/gcc/*/*/lto1", "usr/lib/gcc/*/*/lto1",
            "usr/lib/x86_64-linux-gnu/lib*san.so*", "usr/lib/gcc/*/*/lib*san*.a",
            "usr/lib/x86_64-linux-gnu/libLLVM*", "usr/lib/x86_64-linux-gnu/libicu*",
            "usr/lib/x86_64-linux-gnu/libz3.*", "usr/lib/llvm-*")
FOLDERS = ("dev", "module", "proc", "tmp")
MODULE_FOLDER = "module"    # of the sources, within the tree
NULL_DEVICE = os.makedev(1, 3)
# Mounts the host's /dev into the tree; the mount ends with the namespace, and that with make.
WITH_DEV_MOUNTED = (private_folder("$1/dev") +
                    '; mount --rbind --make-rslave /dev "$1/dev"; exec chroot "$@"')
# Output that does not concern our sources: build steps, and messages about headers and kbuild.
NOT_OURS = re.compile(r"  [A-Z]+ .*|make(\[\d+\])?: |Skipping BTF generation|/usr/src/"
                      r"|warning: the compiler differs|  (The kernel was built by|You are using):"
                      r"|.*: note: in included file")
KEPT_S = 2 * 24 * 3600


@dataclasses.dataclass(frozen=True)
class Module:
    """A built module; a file beside it has the debug symbols."""

    path: pathlib.Path
    warnings: str

    @property
    def with_symbols(self):
        return self.path.with_suffix(".debug.ko")


def build(kernel, source_dir, cache, progress, words=(), packages=()):
    """Returns the module of these sources for a kernel, building it unless it is cached.

    words: extra arguments for make; packages: extra packages that these need.
    """
    sources = find_sources(source_dir)
    folder = cache / "modules" / f"{kernel.release}-{fingerprint(sources, words)}"
    module = folder / f"{MODULE}.ko"
    if not module.exists():
        tree = Tree(kernel, cache)
        tree.provide([*tree.headers, *TOOLS, *packages], progress)
        with progress.step(f"building {MODULE} for {kernel.release}"):
            make(tree, sources, source_dir, folder, words)
    else:
        os.utime(folder)
    forget_old(cache / "modules")
    warnings = with_paths((folder / "warnings").read_text(), sources, source_dir)
    if warnings:
        progress.say(warnings)
    return Module(module, warnings)


def find_sources(source_dir):
    """Returns {name in the folder: bytes} of all files that a build reads."""
    root = pathlib.Path(source_dir)
    sources = {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*"))
               if path.suffix in (".c", ".h", ".S") or path.name in ("Kbuild", "Makefile")}
    if pathlib.Path("Kbuild") not in sources:
        raise LabError(f"no driver sources in {root}: it has no Kbuild")
    return sources


def fingerprint(sources, words):
    digest = hashlib.sha256("\0".join(words).encode())
    for name, data in sources.items():
        digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def forget_old(folder, pattern="*"):
    """Removes cached files that were not used for long: each edit of a source makes new ones."""
    for path in folder.glob(pattern):
        if path.stat().st_mtime < time.time() - KEPT_S:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


# Making

def make(tree, sources, source_dir, folder, words):
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        for name, data in sources.items():
            (scratch / "work" / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / "work" / name).write_bytes(data)
        status, output = tree.make(scratch / "work", words)
        if status or not (scratch / f"work/{MODULE}.ko").exists():
            raise LabError(f"{source_dir} does not compile for {tree.kernel.release}:\n"
                           f"{with_paths(output, sources, source_dir).strip()}")
        take(scratch / "work", scratch / "result", warnings_in(output))
        shutil.rmtree(folder, ignore_errors=True)
        (scratch / "result").rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def take(work, result, warnings):
    """Keeps the module, its symbols and the warnings of a build."""
    result.mkdir()
    module = Module(result / f"{MODULE}.ko", warnings)
    (work / f"{MODULE}.ko").rename(module.with_symbols)
    call([tool("strip"), "--strip-debug", "-o", module.path, module.with_symbols])
    (result / "warnings").write_text(warnings)


def with_paths(output, sources, source_dir):
    """Returns a compiler's output with the real paths of the sources."""
    names = "|".join(re.escape(str(name)) for name in sources)
    return re.sub(rf"(?<![\w./-])(?:/module/)?({names})(?=:)", rf"{source_dir}/\1", output)


def warnings_in(output):
    """Returns all output about our sources if it contains a warning, else ""."""
    lines = [line for line in output.splitlines() if not NOT_OURS.match(line)]
    if any(re.search("warning:", line, re.I) for line in lines):
        return "\n".join(lines) + "\n"
    return ""


# The tree

class Tree:
    """The packages of a kernel's suite that are needed to build modules for it."""

    def __init__(self, kernel, cache):
        self.kernel = kernel
        self.suite = SERIES[kernel.series][1]
        self.cache = cache
        self.root = cache / "kbuild" / self.suite
        self.status = self.root / "status"
        self.headers = [f"linux-headers-{kernel.release}"]

    def provide(self, packages, progress):
        """Unpacks those of the packages, and of their dependencies, that are missing."""
        there = self.status.read_text() if self.status.exists() else ""
        missing = [package for package in packages
                   if not re.search(rf"^Package: {re.escape(package)}$", there, re.M)]
        if missing:
            with progress.step(f"fetching {missing[0]} from Debian {self.suite}") as word:
                self._fetch(missing, there, word)

    def _fetch(self, packages, there, word):
        scratch = self.root.with_name(f".{self.suite}.{os.getpid()}")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        self.root.mkdir(exist_ok=True)
        try:
            apt = private_apt(self.suite, self.cache)
            there += self._image(apt)
            (scratch / "status").write_text(there)
            archives = apt.download_all(packages, scratch, word, scratch / "status")
            there += "".join(entry(call(["dpkg-deb", "--field", archive])) for archive in archives)
            unpack(archives, self.root)
            self._settle()
            (scratch / "status").write_text(there)
            (scratch / "status").rename(self.status)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _image(self, apt):
        """Returns a status entry for the kernel image, as if it were unpacked in the tree.

        Newer headers depend on the image, which a build does not need.
        """
        needs = apt.depends(self.headers[0])
        if not needs:
            raise LabError(
                f"Debian's {self.suite} has a newer kernel and no longer has {self.headers[0]}: "
                f"remove {self.kernel.root}, and the lab will fetch the newer one")
        image = f"linux-image-{self.kernel.release}"
        version = re.search(rf"{re.escape(image)} \(= ([^)]+)\)", needs)
        return entry(f"Package: {image}\nVersion: {version[1]}\nArchitecture: amd64\n"
                     "Maintainer: none\nDescription: unpacked elsewhere\n") if version else ""

    def _settle(self):
        """Does what the packages' scripts would have done, and removes what no build needs."""
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            link(self.root / name, f"usr/{name}")
        link(self.root / "usr/bin/awk", "gawk")
        link(self.root / "bin/sh", "dash")
        for pattern in LEFT_OUT:
            for path in self.root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def make(self, source, words):
        """Runs kbuild in a folder, to which it adds files; returns exit status and output."""
        (self.root / "proc/self").mkdir(exist_ok=True)
        shutil.copyfile("/proc/self/maps", self.root / "proc/self/maps")
        inside = self.root / MODULE_FOLDER
        shutil.rmtree(inside, ignore_errors=True)   # left by a build that was killed
        source.rename(inside)
        try:
            done = subprocess.run(
                [*self._chroot(), self.root, "/usr/bin/make", f"-j{os.cpu_count()}",
                 "--keep-going", "--output-sync", "-C",
                 f"/usr/src/linux-headers-{self.kernel.release}", f"M=/{MODULE_FOLDER}", *words,
                 "modules"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", check=False,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"})
        finally:
            inside.rename(source)
            inside.mkdir()
        return done.returncode, done.stdout

    def _chroot(self):
        """Returns a command prefix; append a tree's path and the command to run in it."""
        if os.geteuid() == 0 and self._has_null():
            return [tool("chroot")]
        namespace = mount_namespace()
        done = subprocess.run([*namespace, "sh", "-ec", WITH_DEV_MOUNTED, "sh", self.root, "true"],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(
                f"cannot build our guest driver here: {self.root} needs /dev/null, but this user "
                "may neither create it (CAP_MKNOD) nor mount /dev in a namespace "
                f"({done.stderr.strip()})")
        return [*namespace, "sh", "-ec", WITH_DEV_MOUNTED, "sh"]

    def _has_null(self):
        """Creates the tree's /dev/null if it is missing; returns False if that is not allowed."""
        null = self.root / "dev/null"
        try:
            if not null.is_char_device():
                null.unlink(missing_ok=True)
                os.mknod(null, stat.S_IFCHR | 0o666, NULL_DEVICE)
                null.chmod(0o666)
            null.write_bytes(b"\n")     # fails on a file system mounted with nodev
        except OSError:
            null.unlink(missing_ok=True)
            return False
        return True


def entry(fields):
    """Returns a package's fields as an entry of dpkg's status file."""
    head, _, rest = fields.strip().partition("\n")
    return f"{head}\nStatus: install ok installed\n{rest}\n\n"


def link(path, target):
    if not path.exists() and not path.is_symlink():
        path.symlink_to(target)
