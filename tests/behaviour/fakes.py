# SPDX-License-Identifier: BSD-3-Clause
"""Many fake guests at once: tests/fakes/fake_guests.h tells what they are."""
import contextlib
import socket
import subprocess

from conftest import BUILD

PROGRAM = BUILD / "tests/fakes/fake-guests"


class FakeGuests:
    """A running fake-guests, and its control socket."""

    def __init__(self, folder, process, control):
        self.folder = folder
        self.process = process
        self.sources = f"{folder}/guest-*.qmp"      # a glob, for --qmp and [discover]
        self._control = control

    def address(self, number):
        return f"qmp:{self.folder}/{self.name(number)}.qmp"

    @staticmethod
    def name(number):
        return f"guest-{number:04}"

    def order(self, word, number, *more):
        """"burst", "vanish", "appear", "go", or a fault's word: one order about one guest."""
        print(word, self.name(number), *more, file=self._control, flush=True)
        answer = self._control.readline().strip()
        assert answer == "ok", answer


@contextlib.contextmanager
def fake_guests(folder, count, **options):
    """So many of them; options are those of the program, as stuck=10."""
    folder.mkdir(exist_ok=True)
    words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    process = subprocess.Popen([PROGRAM, f"--folder={folder}", f"--count={count}", *words],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(folder / "control"))
            with control.makefile("rw") as lines:
                yield FakeGuests(folder, process, lines)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
