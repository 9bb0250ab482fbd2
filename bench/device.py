# SPDX-License-Identifier: BSD-3-Clause
"""The part “device”: returning a balloon's memory to the host, with our device and others."""

import dataclasses
import pathlib

from lab import LabError

from . import device_report, machine, streams
from .end_to_end import EndToEnd
from .play import BACKINGS, play
from .process import Process

MEMORY_MIB = {"fresh": 1536, "fragmented": 768}
TAKEN_MIB = {"fresh": 1024, "fragmented": 256}
QUICK_MEMORY_MIB = {"fresh": 384, "fragmented": 320}
QUICK_TAKEN_MIB = {"fresh": 192, "fragmented": 64}
QUICK_BACKINGS = ("anonymous-thp", "memfd")
ROUNDS = 3
RATES_GIB_S = (0.1, 0.25, 1, 4)     # stock guests reached up to 0.86 on KVM


class Device:
    def __init__(self, lab, build, options, say):
        self.lab = lab
        self.say = say
        self.quick = options.quick
        self.rounds = options.rounds or (1 if options.quick else ROUNDS)
        self.binary = str(pathlib.Path(build).resolve() / "bench/device-play")
        self.played = {}        # kind of stream → Played
        self.process = Process(lab, options.quick, say)
        self.ends = EndToEnd(lab, options.quick, say)
        self.skipped = []       # (what, why)

    def run(self):
        self.facts = {**machine.facts(self.lab), "huge pages": machine.huge_pages(),
                      "rounds": str(self.rounds)}
        for kind in MEMORY_MIB:
            self.try_to(f"the {kind} stream", lambda: self.play(kind))
        self.try_to("the device process", self.process.run)
        self.try_to("end to end", lambda: self.ends.run(self.rounds))
        self.try_to("the newer QEMU's version", self.name_newer_qemu)
        self.facts["load after"] = machine.load()

    def try_to(self, what, work):
        """Runs a part; if this machine cannot do it, the report lists it as skipped."""
        try:
            work()
        except LabError as error:
            self.say(f"skipped: {what}: {error}")
            self.skipped.append((what, str(error)))

    def play(self, kind):
        memory, taken = ((QUICK_MEMORY_MIB, QUICK_TAKEN_MIB) if self.quick else
                         (MEMORY_MIB, TAKEN_MIB))
        stream = streams.get(self.lab, kind, memory[kind], taken[kind], self.say)
        backings = QUICK_BACKINGS if self.quick else BACKINGS
        self.say(f"playing the {kind} stream, {self.rounds} rounds on {len(backings)} backings")
        played = play(self.binary, stream, backings, self.rounds,
                      RATES_GIB_S if kind == "fresh" else ())
        self.played[kind] = played
        for line in played.skipped:
            what = " ".join(filter(None, (kind, line["backing"], line["way"])))
            self.skipped.append((what, line["why"]))

    def name_newer_qemu(self):
        self.facts["newer QEMU"] = machine.version([self.lab.newer_qemu, "--version"])

    def print_text(self):
        device_report.print_all(self)

    def data(self):
        ends = [dataclasses.asdict(change) for change in self.ends.changes]
        return {
            "machine": self.facts,
            "streams": {kind: {"bytes": played.stream.bytes,
                               "whole_share": played.stream.whole_share(),
                               "runs_a_buffer": played.stream.runs_a_buffer()}
                        for kind, played in self.played.items()},
            "played": {kind: played.lines for kind, played in self.played.items()},
            "end_to_end": ends,
            "memory": [dataclasses.asdict(each) for each in self.process.memory],
            "idle": self.process.idle and dataclasses.asdict(self.process.idle),
            "replies": [dataclasses.asdict(each) for each in self.process.replies],
            "skipped": self.skipped,
        }
