# SPDX-License-Identifier: BSD-3-Clause
"""Finds out whether KVM works.

/dev/kvm can exist and still not be able to run a stock kernel, as on many
nested hosts: QEMU aborts, or the guest is very slow.  So the probe boots a guest
with KVM, which must be up within a time limit.  The result is cached in the
build folder.
"""

import os
import platform

from .errors import LabError

PROBE_S = 10    # on an idle machine


def find(lab):
    """Returns "kvm" or "tcg", from the cache folder or by a probe."""
    key = f"{lab.qemu} {platform.node()} {platform.release()}"
    cache = lab.cache / "accel"
    if cache.exists():
        answer, known = cache.read_text().rstrip("\n").split(" ", 1)
        if known == key:
            return answer
    answer = probe(lab)
    cache.write_text(f"{answer} {key}\n")
    return answer


def probe(lab):
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    busy = max(1, os.getloadavg()[0] / os.cpu_count())
    with lab.progress.step("trying KVM") as word:
        try:
            with lab.guest("kvm-probe", memory=256, driver=None, accel="kvm",
                           ready_within=PROBE_S * busy):
                word("works")
                return "kvm"
        except LabError:
            word("KVM cannot run a guest here, so QEMU will emulate")
            return "tcg"
