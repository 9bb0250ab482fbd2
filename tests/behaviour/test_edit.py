# SPDX-License-Identifier: BSD-3-Clause
"""edit: libvirt's XML, checked before it is defined, applied live where it can be."""
import pathlib
import re

import pytest

from command import DONE, MIB, PATIENT, REFUSED, wait_until_usable


@pytest.fixture
def editor(tmp_path):
    """An $EDITOR that replaces text: editor(old, new)."""

    def make(old, new):
        script = tmp_path / "edit.sh"
        script.write_text(f"#!/bin/sh\nsed -i \"s|{old}|{new}|\" \"$1\"\n")
        script.chmod(0o755)
        return {"VISUAL": str(script)}

    return make


@pytest.fixture
def xml(beta, libvirt, tmp_path):
    """The domain's persistent XML, put back after the test."""
    before = libvirt.virsh("dumpxml", "--inactive", "--security-info", "beta")
    yield lambda: libvirt.virsh("dumpxml", "--inactive", "--security-info", "beta")
    saved = tmp_path / "before.xml"
    saved.write_text(before)
    libvirt.virsh("define", saved)


CURRENT = "<currentMemory unit='KiB'>[0-9]*<"


def test_a_lower_current_memory_is_defined_and_applied_live(beta, xml, editor, aerostat_libvirt):
    wait_until_usable(aerostat_libvirt, beta, 340)
    result = aerostat_libvirt("edit", "beta", *PATIENT,
                              env=editor(CURRENT, "<currentMemory unit='MiB'>400<"))
    assert result.code == DONE, result
    assert "beta: defined" in result.out
    assert "beta: 512 MiB -> 400 MiB" in result.out
    assert beta.actual() == 400 * MIB
    assert "<currentMemory unit='KiB'>409600<" in xml()


def test_an_unchanged_text_defines_nothing(beta, xml, aerostat_libvirt):
    result = aerostat_libvirt("edit", "beta", env={"VISUAL": "true"})
    assert result.code == DONE
    assert result.out == "beta: not changed\n"


@pytest.mark.parametrize("old, new, says", [
    (CURRENT, "<currentMemory unit='GiB'>2<", "currentMemory"),
    (CURRENT, "<currentMemory unit='KiB'>0<", "currentMemory"),
    (CURRENT, "<currentMemory unit='furlongs'>1<", "furlongs"),
    (CURRENT, "<currentMemory unit='MiB'>16<", "below its floor of 168 MiB"),
    ("<memory unit='KiB'>[0-9]*<", "<memory unit='KiB'>-5<", "-5"),
    ("<name>beta<", "<name>gamma<", "name"),
    ("</domain>", "</dromain>", "dromain"),
    ("<memballoon model='virtio'", "<memballoon model='hotair'", "hotair"),
])
def test_a_mistake_is_told_and_nothing_is_defined(beta, xml, editor, aerostat_libvirt, old, new,
                                                  says):
    before = xml()
    result = aerostat_libvirt("edit", "beta", env=editor(old, new))
    assert result.code == REFUSED, result
    assert says in result.error
    assert xml() == before
    assert beta.actual() == 512 * MIB
    kept = re.search(r"your text is in (\S+)$", result.error)
    assert new in pathlib.Path(kept[1]).read_text()
    pathlib.Path(kept[1]).unlink()


def test_maximum_memory_waits_for_the_next_start(beta, xml, editor, aerostat_libvirt):
    result = aerostat_libvirt("edit", "beta", env=editor("<memory unit='KiB'>[0-9]*<",
                                                         "<memory unit='KiB'>786432<"))
    assert result.code == DONE, result
    assert "applies from its next start" in result.out
    assert "<memory unit='KiB'>786432<" in xml()
    assert beta.actual() == 512 * MIB


def test_the_statistics_period_is_applied_live(beta, xml, editor, libvirt, aerostat_libvirt):
    aerostat_libvirt("dommemstat", "beta", "--period", "7", "--config")
    result = aerostat_libvirt("edit", "beta", env=editor("stats period='7'", "stats period='3'"))
    assert result.code == DONE, result
    assert "<stats period='3'/>" in libvirt.virsh("dumpxml", "beta")


def test_an_editor_that_fails_changes_nothing(beta, xml, aerostat_libvirt):
    before = xml()
    result = aerostat_libvirt("edit", "beta", env={"VISUAL": "false"})
    assert result.code == REFUSED
    assert "editor 'false'" in result.error
    assert xml() == before


def test_an_editor_that_saves_and_fails_loses_nothing(beta, xml, aerostat_libvirt, tmp_path):
    before = xml()
    script = tmp_path / "edit.sh"
    script.write_text("#!/bin/sh\necho '<!-- an hour of work -->' >>\"$1\"\nexit 1\n")
    script.chmod(0o755)
    result = aerostat_libvirt("edit", "beta", env={"VISUAL": str(script), "TMPDIR": str(tmp_path)})
    assert result.code == REFUSED
    kept = pathlib.Path(re.search(r"your text is in (\S+)$", result.error)[1])
    assert "an hour of work" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0     # it may hold secrets
    assert xml() == before


def test_an_edit_leaves_no_file(beta, xml, editor, aerostat_libvirt, tmp_path):
    env = {**editor(CURRENT, "<currentMemory unit='MiB'>480<"), "TMPDIR": str(tmp_path)}
    assert aerostat_libvirt("edit", "beta", *PATIENT, env=env).code == DONE
    assert not list(tmp_path.glob("aerostat-*"))
