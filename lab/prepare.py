# SPDX-License-Identifier: BSD-3-Clause
"""Runs real virtual machines for Aerostat: prepares them, builds our driver, boots two guests."""

import argparse
import contextlib
import pathlib
import signal
import time

from . import kbuild
from .errors import LabError
from .kernels import SERIES
from .lab import Lab


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__)
    parser.add_argument("--build", metavar="DIR", type=pathlib.Path,
                        default=pathlib.Path(__file__).parent.parent / "build",
                        help="the build folder; all caches are in its lab/ (default: build)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("prepare", help="fetch and build everything that guests need")
    command.add_argument("series", nargs="*", metavar="KERNEL",
                         help=f"kernels to prepare (default: {' '.join(SERIES)})")
    command = commands.add_parser("module", help="build our guest driver and print its path")
    command.add_argument("series", nargs="*", metavar="KERNEL",
                         help=f"kernels to build it for (default: {' '.join(SERIES)})")
    command.add_argument("--strict", action="store_true",
                         help="enable more warnings (W=1) and treat warnings as errors")
    command.add_argument("--sparse", action="store_true", help="also check it with sparse")
    command = commands.add_parser("up", help="boot two guests to try aerostat on")
    command.add_argument("--kernel", default="6.12", choices=SERIES)
    command.add_argument("--memory", type=int, default=1024, metavar="MIB")
    options = parser.parse_args(argv)
    lab = Lab(options.build)
    if options.command == "prepare":
        prepare(lab, options.series or SERIES, newer=True)
    elif options.command == "module":
        module(lab, options)
    else:
        up(lab, options)


def prepare(lab, series, newer=False):
    start = time.monotonic()
    lab.progress.say("Preparing the lab\n")
    accel = lab.prepare(series)
    if newer:
        lab.progress.say(f"  QEMU with vfio-user: {lab.newer_qemu}\n")
    lab.progress.say(f"  ready after {time.monotonic() - start:.1f} s; "
                     f"guests run under {accel.upper()}\n")


def module(lab, options):
    warned = False
    for series in options.series or SERIES:
        words, packages = kbuild.STRICT if options.strict else kbuild.PLAIN
        if options.sparse and series in kbuild.NO_SPARSE:
            lab.progress.say(f"  not running sparse for {series}: Debian's sparse is too old "
                             "for it\n")
        elif options.sparse:
            words, packages = words + kbuild.SPARSE[0], packages + kbuild.SPARSE[1]
        built = lab.module(series, words, packages)
        print(built.path, flush=True)
        warned = warned or built.warnings
    if options.strict and warned:
        raise LabError("the build printed warnings, see above")


def up(lab, options):
    prepare(lab, [options.kernel])
    with contextlib.ExitStack() as stack:
        for name in ("alice", "bob"):
            with lab.progress.step(f"booting {name}, {options.memory} MiB"):
                guest = lab.guest(name, kernel=options.kernel, memory=options.memory,
                                  balloon={"deflate-on-oom": False, "stats-period": 1})
                stack.enter_context(guest)
            print(f"{guest.address}   console: {guest.console}", flush=True)
        print("Try “aerostat setmem ADDRESS 512M”.  Ctrl-C ends both guests.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
