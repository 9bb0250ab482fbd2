# SPDX-License-Identifier: BSD-3-Clause
"""Runs all measurements or one part of them: python3 -m bench --help."""

import argparse
import json
import os
import sys
import time

from lab import Lab, LabError

from .by_hand import ByHand
from .daemon import Daemon
from .device import Device
from .driver import Driver
from .policy import Policy
from .relief import Relief

# Each is created with (lab, build folder, options, say), and has run(), print_text() and data().
PARTS = {"command": ByHand, "device": Device, "driver": Driver, "policy": Policy,
         "daemon": Daemon, "relief": Relief}


def main():
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=(
        "Measure Aerostat and compare it with its alternatives.  See bench/README.md."))
    parser.add_argument("--build", default="build", metavar="DIR", help="the build folder (build)")
    parser.add_argument("--part", choices=PARTS, help="run only this part")
    parser.add_argument("--rounds", type=int, metavar="N", help="set the number of rounds")
    parser.add_argument("--quick", action="store_true",
                        help="run one small round, only to see that everything works")
    parser.add_argument("--json", action="store_true", help="print every measurement as JSON")
    options = parser.parse_args()
    started = time.monotonic()

    def say(text):
        print(f"{time.monotonic() - started:4.0f}s  {text}", file=sys.stderr, flush=True)

    os.environ.setdefault("DRIVER", "stock")    # the driver in the guests, see lab/guest.py
    lab = Lab(options.build)
    answers = {}
    for name in [options.part] if options.part else PARTS:
        part = PARTS[name](lab, options.build, options, say)
        part.run()
        if options.json:
            answers[name] = part.data()
        else:
            part.print_text()
    if options.json:
        json.dump(answers, sys.stdout, indent=2, ensure_ascii=False)
        print()
    say("done")


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        sys.exit("\n".join([f"error: {error}", *getattr(error, "__notes__", [])]))
    except KeyboardInterrupt:
        sys.exit(130)
