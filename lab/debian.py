# SPDX-License-Identifier: BSD-3-Clause
"""Packages of Debian, downloaded and unpacked, never installed.

Theory of operation
-------------------
The machine's own apt is only asked.  For a suite that it does not know (a fresh
Debian 12 knows `bookworm main` and no more) there is a private apt state for
each suite in the build folder: lists and archives of its own, the machine's
mirror, and no package installed, so that a package's dependencies come out in
full.  The machine's sources, lists and packages are never changed.
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
    """The machine's apt, only ever asked."""

    def __init__(self, options=()):
        self.options = list(options)

    def depends(self, package):
        """The “Depends” of a package, or of `package=version`; empty when it is not known."""
        shown = subprocess.run(["apt-cache", *self.options, "--no-all-versions", "show", package],
                               capture_output=True, text=True, check=False).stdout
        found = re.search(r"^Depends: (.*)$", shown, re.M)
        return found[1] if found else ""

    def debian_uri(self):
        """The first of the machine's sources that is a mirror of Debian itself."""
        uris = call(["apt-get", *self.options, "indextargets", "--format", "$(REPO_URI)"])
        for uri in uris.split():
            if re.search(r"/debian/?$", uri):
                return uri.rstrip("/")
        raise LabError("no Debian mirror in this machine's apt sources: the lab's kernels are "
                       "Debian's, add a line like “deb <mirror>/debian bookworm main”")

    def download(self, packages, folder, word):
        """The archives of these packages (each a `package=version`), in `folder`."""
        return self._fetch(["download", *packages], folder, word)

    def _fetch(self, words, folder, word):
        with subprocess.Popen(["apt-get", *self.options, "-o", "APT::Sandbox::User=root", *words],
                              cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as process:
            errors = watch(process, folder, word)
        archives = sorted(folder.glob("*.deb"))
        if process.returncode or not archives:
            raise LabError(f"apt-get cannot {' '.join(words)}: {errors.strip()}\n"
                           "“apt-get update” may help: a mirror drops old versions")
        word(f"{sum(archive.stat().st_size for archive in archives) / MIB:.0f} MiB")
        return archives


class PrivateApt(Apt):
    """One suite of Debian with its security updates, in a folder of its own.

    A `…-backports` suite stands on its release, and its packages go first.
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
            raise LabError(f"no Debian {suite}: {error}\nif a key is missing, a newer "
                           "debian-archive-keyring from this machine's mirror has it") from None

    def download_all(self, packages, folder, word, status=None):
        """The archives of packages and of all that they depend on, in `folder`.

        status: a file as dpkg's own, of what is there already.
        """
        (folder / "partial").mkdir()
        there = ["-o", f"Dir::State::Status={status}"] if status else []
        return self._fetch(["-o", f"Dir::Cache::Archives={folder}", *there, "--yes",
                            "--download-only", "--no-install-recommends", "install", *packages],
                           folder, word)


@functools.lru_cache(maxsize=None)
def private_apt(suite, cache):
    """The private apt of a suite, whose lists are fetched once a run."""
    return PrivateApt(suite, cache / "apt" / suite, Apt().debian_uri())


def unpack(archives, root):
    """The files of packages, and none of their scripts run."""
    for archive in archives:
        call(["dpkg", "-x", archive, root])
        archive.unlink()


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
