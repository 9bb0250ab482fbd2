# SPDX-License-Identifier: BSD-3-Clause
"""Prints the measurements of the part “device”."""

import statistics

from .end_to_end import OURS
from .machine import no_kvm
from .play import BACKINGS, WAYS
from .report import print_facts, print_limits
from .table import NONE, ratio, show, spread

GIB, MIB = 1 << 30, 1 << 20
CALLS_AIM, RSS_AIM_BYTES, RSS_AIM_BYTES_A_GIB, HUGE_AIM = 100, 8 * MIB, 64 << 10, 0.95
CPU_AIM = {"anonymous-thp": 40, "shmem-thp": 40, "anonymous": 4, "memfd": 4, "memfd-two": 4}


def print_all(part):
    print_facts("Measurements of the balloon device", part.facts, "The ways", WAYS.items())
    for number, (kind, played) in enumerate(part.played.items(), 1):
        streamed(number, kind, played)
    if "fresh" in part.played:
        rates(part.played["fresh"])
        audits(part.played["fresh"])
    ends(part.ends)
    process(part.process)
    aims(part)
    if part.skipped:
        show("Skipped", ["", "reason"], [[what, why.splitlines()[0]] for what, why in part.skipped])
    print_limits([*no_kvm(part.lab.accel),
                  "The cost to a guest of faulting memory in again after the balloon's release.",
                  "Huge pages of file systems other than tmpfs and hugetlbfs."])


def per_gib(line, value):
    return value / line["stream_bytes"] * GIB


def cpu(line):
    return per_gib(line, line["cpu_s"])


def streamed(number, kind, played):
    stream = played.stream
    rows = []
    for backing in played.backings():
        ours = played.of(backing, "device")
        for way in WAYS:
            lines = played.of(backing, way)
            if lines:
                rows.append([f"{backing}, {way}", *figures(played, lines), times(lines, ours)])
    show(f"{number}. Replay of a {kind} guest's balloon of {stream.bytes // MIB} MiB",
         ["", "calls/GiB", "CPU ms/GiB", "GiB/s", "back ÷ taken", "huge pages", "CPU ÷ device's"],
         rows,
         f"{stream.whole_share():.1%} of its pages are in whole blocks of 2 MiB, and a buffer of"
         f" 256 pages has {stream.runs_a_buffer():.0f} runs of adjacent pages.  “Back” is how much"
         " the host's free memory grew, which other processes affect.  “Huge pages” is the share"
         " of huge pages, of those from which the balloon took anything, that exist again after"
         " all memory was deflated and touched.")


def figures(played, lines):
    yield spread((per_gib(line, line["calls"]) for line in lines), 1, 0)
    yield spread(map(cpu, lines), 1000, 1)
    yield spread((line["stream_bytes"] / line["wall_s"] / GIB for line in lines), 1, 1)
    yield spread((line["gained_bytes"] / line["stream_bytes"] for line in lines), 1, 2)
    yield spread(map(played.survival, lines), 1, 3)


def times(lines, ours):
    return NONE if lines == ours else ratio(list(map(cpu, lines)), list(map(cpu, ours)))


def rates(played):
    rows = [[f"{line['rate_gib_s']:g} GiB/s", f"{per_gib(line, line['calls']):.0f}"]
            for line in played.rates()]
    if rows:
        show("3. The device's calls per GiB for slower guests", ["guest's speed", "calls/GiB"],
             rows, "In table 1 the stream is played as fast as the device accepts it.  Here the"
             " device's clock runs as with a guest of this speed, so fewer pages are merged.")


def audits(played):
    rows = []
    for backing in BACKINGS:
        found = played.audits(backing)
        if found:
            rows.append([backing, *(audited(found[state]) for state in ("untouched", "touched"))])
    if rows:
        show("4. Auditing the balloon (CPU ms per GiB in it)",
             ["", "nothing touched", "everything touched again"], rows,
             "In brackets: the share of the ballooned pages that the audit found on the host.")


def audited(line):
    gib = line["pages"] * 4096 / GIB
    return f"{line['cpu_s'] * 1000 / gib:.1f} ({line['resident'] / line['pages']:.0%})"


def ends(end_to_end):
    ours = end_to_end.changes and [change for change in end_to_end.changes
                                   if change.contender == OURS]
    rows = []
    for each in end_to_end.contenders:
        changes = end_to_end.of(each)
        if not changes or len(changes) != len(ours):
            continue
        rows.append([each.name, spread((c.shrink.host_s for c in changes), 1000, 0),
                     spread((c.shrink.device_s for c in changes), 1000, 0),
                     spread((c.shrink.total_s for c in changes), 1000, 0),
                     spread((c.shrink_s for c in changes), 1, 2),
                     spread((c.back_bytes for c in changes), 1 / MIB, 0),
                     NONE if each.name == OURS else
                     ratio([c.shrink.host_s for c in changes], [c.shrink.host_s for c in ours]),
                     NONE if each.name == OURS else
                     ratio([c.shrink.total_s for c in changes], [c.shrink.total_s for c in ours])])
    if rows:
        size = end_to_end.memory_mib
        show(f"5. End to end: {size} → {size - end_to_end.shrink_mib} MiB (CPU ms)",
             ["", "host's part", "device's part of it", "with the guest", "s", "MiB back",
              "host's ÷ ours", "all ÷ ours"], rows,
             "The host's part is all CPU time of QEMU and the device, minus the user time of the"
             f" guest's vCPU thread.  The device made {calls_a_gib(ours)} release calls per GiB.")


def calls_a_gib(ours):
    return spread((change.calls / change.back_bytes for change in ours if change.back_bytes > 0),
                  GIB, 0)


def process(found):
    rows = [[f"{each.guest_gib} GiB", *(f"{bytes_ / MIB:.2f}" for bytes_ in
                                        (each.start_bytes, each.full_bytes, rss_aim(each),
                                         each.guest_bytes))] for each in found.memory]
    if rows:
        show("6. Memory of the device process, with all guest memory in the balloon (MiB)",
             ["guest", "at start", "full", "aim", "guest memory mapped"], rows)
    if found.idle:
        idle = found.idle
        show("7. The device process at rest", ["seconds", "wake-ups", "CPU ms"],
             [[f"{idle.seconds:g}", str(idle.wake_ups), f"{idle.cpu_s * 1000:.2f}"]])
    rows = [[each.what, *(f"{seconds * 1000:.2f}" for seconds in
                          (each.median_s, each.p99_s, each.worst_s, each.worst_cpu_s)),
             str(each.count)] for each in found.replies]
    if rows:
        show("8. Replies to REGION_READ (ms)",
             ["", "median", "99 %", "worst", "worst, CPU", "replies"], rows,
             "All memory was touched before.  The times are measured by the client and include its"
             " own and the machine's delays; “worst, CPU” is the most CPU time that the device"
             " itself used between a request and its reply.")


def rss_aim(each):
    return RSS_AIM_BYTES + each.guest_gib * RSS_AIM_BYTES_A_GIB


# The aims

def aims(part):
    rows = []
    for kind, played in part.played.items():
        rows += played_aims(kind, played)
    rows += [*end_aims(part.ends), *process_aims(part.process)]
    if rows:
        show("Aims", ["", "aim", "measured", ""],
             [[what, aim, value, "met" if met else "MISSED"] for what, aim, value, met in rows])


def at_least(what, value, aim, digits=1, unit=""):
    return what, f"≥ {aim}{unit}", f"{value:.{digits}f}{unit}", value >= aim


def at_most(what, value, aim, digits=0, unit=""):
    return what, f"≤ {aim:g}{unit}", f"{value:.{digits}f}{unit}", value <= aim


def played_aims(kind, played):
    for backing in played.backings():
        ours, theirs = played.of(backing, "device"), played.of(backing, "per-page")
        if kind == "fresh":
            calls = statistics.median(per_gib(line, line["calls"]) for line in ours)
            yield at_most(f"{backing}: calls per GiB, fresh", calls, CALLS_AIM)
        if backing in CPU_AIM:
            gain = statistics.median(cpu(a) / cpu(b) for a, b in zip(theirs, ours, strict=True))
            yield at_least(f"{backing}: less CPU than per-page, {kind}", gain, CPU_AIM[backing],
                           unit=" ×")
        kept = [played.survival(line) for line in ours]
        if kind == "fresh" and None not in kept:
            yield at_least(f"{backing}: huge pages back, {kind}", statistics.median(kept),
                           HUGE_AIM, 3)


def end_aims(end_to_end):
    ours = [change for change in end_to_end.changes if change.contender == OURS]
    for each in end_to_end.contenders:
        changes = end_to_end.of(each)
        if each.name != OURS and changes and len(changes) == len(ours):
            value = statistics.median(a.shrink.host_s / b.shrink.host_s
                                      for a, b in zip(ours, changes, strict=True))
            yield at_most(f"host CPU end to end ÷ {each.name}", value, 1, 2)


def process_aims(found):
    for each in found.memory:
        yield at_most(f"RSS, guest of {each.guest_gib} GiB", each.full_bytes / MIB,
                      rss_aim(each) / MIB, 2, " MiB")
    if found.idle:
        yield at_most("wake-ups at rest", found.idle.wake_ups, 0)
