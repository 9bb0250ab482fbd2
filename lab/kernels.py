# SPDX-License-Identifier: BSD-3-Clause
"""Debian's cloud kernels, unpacked under the build folder and not installed.

The metapackage of a series names the exact package.  It is looked for in the
machine's own apt sources, and if it is not there (a fresh system that knows
only `bookworm main`) in Debian 12 with its security updates, through a private
apt state: the machine's sources, lists and packages are never changed.
"""

import os
import pathlib
import re
import shutil
import subprocess

from .errors import LabError

METAPACKAGES = {
    "6.1": "linux-image-cloud-amd64",
    "6.12": "linux-image-6.12-cloud-amd64",
}
KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIB = 1024 * 1024


class Kernel:
    """An unpacked kernel: `vmlinuz`, and `modules` (the folder of its release)."""

    def __init__(self, series, root):
        self.series = series
        self.root = root
        self.modules = next((root / "lib/modules").iterdir())
        self.release = self.modules.name
        self.vmlinuz = root / "boot" / f"vmlinuz-{self.release}"

    def config(self):
        """The kernel's build configuration, as a dict."""
        text = (self.root / "boot" / f"config-{self.release}").read_text()
        return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.M))


def fetch(series, cache, progress):
    """The kernel of this series, fetched unless it is in the cache folder already."""
    if series not in METAPACKAGES:
        raise LabError(f"no kernel {series} in the lab, only {', '.join(METAPACKAGES)}")
    root = cache / "kernels" / series
    if not root.exists():
        with progress.step(f"fetching kernel {series}") as word:
            unpack(series, cache, root, word)
    return Kernel(series, root)


def unpack(series, cache, root, word):
    apt = find_apt(series, cache)
    scratch = root.with_name(f".{series}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        archive = apt.download(apt.image(series), scratch, word)
        call(["dpkg", "-x", archive, scratch / "root"])
        release = next((scratch / "root/lib/modules").iterdir()).name
        call([tool("depmod"), "-b", scratch / "root", release])
        (scratch / "root").rename(root)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def find_apt(series, cache):
    """The machine's apt if it knows the kernel, else a private one."""
    machine = Apt()
    if machine.image(series):
        return machine
    private = PrivateApt(cache / "apt", machine.debian_uri())
    if not private.image(series):
        raise LabError(f"{METAPACKAGES[series]} is neither in this machine's apt sources nor "
                       f"in Debian 12 at {machine.debian_uri()}")
    return private


class Apt:
    """The machine's apt, only ever asked."""

    def __init__(self, options=()):
        self.options = list(options)

    def image(self, series):
        """(package, version) of the series' newest kernel, or None."""
        shown = subprocess.run(["apt-cache", *self.options, "--no-all-versions", "show",
                                METAPACKAGES[series]],
                               capture_output=True, text=True, check=False).stdout
        pattern = rf"^Depends: (linux-image-{re.escape(series)}\.\S+) \(= (\S+)\)"
        found = re.search(pattern, shown, re.M)
        return found.groups() if found else None

    def debian_uri(self):
        """The first of the machine's sources that is a mirror of Debian itself."""
        uris = call(["apt-get", *self.options, "indextargets", "--format", "$(REPO_URI)"])
        for uri in uris.split():
            if re.search(r"/debian/?$", uri):
                return uri.rstrip("/")
        raise LabError("no Debian mirror in this machine's apt sources: the lab's kernels are "
                       "Debian's, add a line like “deb <mirror>/debian bookworm main”")

    def download(self, image, folder, word):
        package, version = image
        with subprocess.Popen(["apt-get", *self.options, "-o", "APT::Sandbox::User=root",
                               "download", f"{package}={version}"],
                              cwd=folder, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as process:
            errors = watch(process, folder, word)
        archives = list(folder.glob("*.deb"))
        if process.returncode or not archives:
            raise LabError(f"apt-get cannot download {package}={version}: {errors.strip()}\n"
                           "“apt-get update” may help: a mirror drops old versions")
        word(f"{archives[0].stat().st_size / MIB:.0f} MiB")
        return archives[0]


class PrivateApt(Apt):
    """Debian 12 and its security updates, from the machine's mirror, in a folder of its own."""

    def __init__(self, folder, debian_uri):
        for name in ("lists/partial", "archives/partial", "parts"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        (folder / "sources.list").write_text(
            f"deb {signed}{debian_uri} bookworm main\n"
            f"deb {signed}{debian_uri}-security bookworm-security main\n")
        settings = {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": folder / "parts",
            "Dir::State::Lists": folder / "lists",
            "Dir::Cache": folder,
            "Dir::Cache::Archives": folder / "archives",
            "APT::Sandbox::User": "root",
        }
        super().__init__(word for key, value in settings.items()
                         for word in ("-o", f"{key}={value}"))
        call(["apt-get", *self.options, "update"])


def watch(process, folder, word):
    """Waits for a download, with a word at each 10 MiB."""
    said = 0
    while True:
        try:
            return process.communicate(timeout=1)[1]
        except subprocess.TimeoutExpired:
            size = sum(file.stat().st_size for file in folder.rglob("*.deb*")) // MIB
            if size >= said + 10:
                said = size
                word(f"{size} MiB")


def tool(name):
    """A system tool, which may be outside an ordinary user's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise LabError(f"{name} is not installed: packages.txt lists what the lab needs")
    return path


def call(argv):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise LabError(f"{argv[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
