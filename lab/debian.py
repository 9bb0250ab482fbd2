# SPDX-License-Identifier: BSD-3-Clause
"""Downloads and unpacks Debian packages, and never installs them.

Theory of operation
-------------------
The machine's own apt is only queried.  For each suite that it does not know (a
fresh Debian 12 knows only `bookworm main`) there is a private apt state in the
build folder, which has its own lists and archives, uses the machine's mirror,
and has no package installed, so that apt resolves all dependencies of a package.
The machine's sources, lists and packages are never changed.
"""

import functools
import pathlib
import re
import subprocess

from .errors import LabError
from .tools import call

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIB = 1024 * 1024


class Apt:
    """The machine's apt, which is only queried."""

    def __init__(self, options=()):
        self.options = list(options)

    def depends(self, package):
        """Returns the “Depends” of a package or `package=version`; empty if it is unknown."""
        shown = subprocess.run(["apt-cache", *self.options, "--no-all-versions", "show", package],
                               capture_output=True, text=True, check=False).stdout
        found = re.search(r"^Depends: (.*)$", shown, re.M)
        return found[1] if found else ""

    def debian_uri(self):
        """Returns the first of the machine's sources that is a Debian mirror."""
        uris = call(["apt-get", *self.options, "indextargets", "--format", "$(REPO_URI)"])
        for uri in uris.split():
            if re.search(r"/debian/?$", uri):
                return uri.rstrip("/")
        raise LabError("this machine's apt sources have no Debian mirror, from which the lab gets "
                       "its kernels: add a line like “deb <mirror>/debian bookworm main”")

    def download(self, packages, folder, word):
        """Downloads these packages (each a `package=version`) to `folder`; returns the paths."""
        return self._fetch(["download", *packages], folder, word)

    def _fetch(self, words, folder, word):
        with subprocess.Popen(["apt-get", *self.options, "-o", "APT::Sandbox::User=root", *words],
                              cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as process:
            errors = watch(process, folder, word)
        archives = sorted(folder.glob("*.deb"))
        if process.returncode or not archives:
            raise LabError(f"apt-get {' '.join(words)} failed: {errors.strip()}\n"
                           "“apt-get update” may help, because mirrors drop old versions")
        word(f"{sum(archive.stat().st_size for archive in archives) / MIB:.0f} MiB")
        return archives


class PrivateApt(Apt):
    """An apt state in its own folder, for one Debian suite with its security updates.

    A `…-backports` suite includes its release; packages of the backports are preferred.
    """

    def __init__(self, suite, folder, debian_uri):
        for name in ("lists/partial", "archives/partial", "parts"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        release = suite.removesuffix("-backports")
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        lines = [f"deb {signed}{debian_uri} {each} main\n" for each in sorted({release, suite})]
        lines.append(f"deb {signed}{debian_uri}-security {release}-security main\n")
        (folder / "sources.list").write_text("".join(lines))
        settings = {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": folder / "parts",
            "Dir::Etc::Preferences": folder / "preferences",
            "Dir::Etc::PreferencesParts": folder / "parts",
            "Dir::State": folder,
            "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": folder / "status",
            "Dir::Cache": folder,
            "Dir::Cache::Archives": folder / "archives",
            "APT::Default-Release": suite if suite != release else "",
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
        }
        super().__init__(word for key, value in settings.items()
                         for word in ("-o", f"{key}={value}"))
        try:
            call(["apt-get", *self.options, "update"])
        except LabError as error:
            raise LabError(f"cannot use Debian {suite}: {error}\nif a key is missing, install a "
                           "newer debian-archive-keyring from this machine's mirror") from None

    def download_all(self, packages, folder, word, status=None):
        """Downloads packages and all their dependencies to `folder`; returns the paths.

        status: a file in the format of dpkg's status, with the packages that exist already.
        """
        (folder / "partial").mkdir()
        there = ["-o", f"Dir::State::Status={status}"] if status else []
        return self._fetch(["-o", f"Dir::Cache::Archives={folder}", *there, "--yes",
                            "--download-only", "--no-install-recommends", "install", *packages],
                           folder, word)


@functools.lru_cache(maxsize=None)
def private_apt(suite, cache):
    """Returns the private apt of a suite; its lists are fetched once per run."""
    return PrivateApt(suite, cache / "apt" / suite, Apt().debian_uri())


def unpack(archives, root):
    """Unpacks the files of packages, without running their scripts, and removes the archives."""
    for archive in archives:
        call(["dpkg", "-x", archive, root])
        archive.unlink()


def watch(process, folder, word):
    """Waits for a download, and reports progress every 10 MiB; returns the errors."""
    said = 0
    while True:
        try:
            return process.communicate(timeout=1)[1]
        except subprocess.TimeoutExpired:
            size = sum(file.stat().st_size for file in folder.rglob("*.deb*")) // MIB
            if size >= said + 10:
                said = size
                word(f"{size} MiB")
