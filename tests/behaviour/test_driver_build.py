# SPDX-License-Identifier: BSD-3-Clause
"""Our guest driver is built for each kernel of the lab, and guests load it, or the kernel's own.

What is asked of the lab alone is asked with a trial driver, a few lines long, that binds to the
balloon and moves no page.
"""
import contextlib
import os
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT
from lab import GuestError, GuestGone, Lab, LabError
from lab.guest import Spec
from lab.kernels import SERIES
from lab.lab import DEFAULT_KERNEL

PARAMETERS = "/sys/module/virtio_balloon/parameters"
BALLOON_ALIAS = "virtio:d00000005v*"
on_each_kernel = pytest.mark.parametrize("series", SERIES)
# What the lab itself does is the same for all kernels.
ONE_KERNEL_OR_ALL = [pytest.param(series, marks=() if series == DEFAULT_KERNEL
                                  else pytest.mark.long) for series in SERIES]
on_one_or_all = pytest.mark.parametrize("series", ONE_KERNEL_OR_ALL)

KBUILD = """\
obj-m := virtio_balloon.o
virtio_balloon-y := trial.o
"""
TRIAL = """\
#include <linux/module.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

static int answer = 42;
module_param(answer, int, 0444);

static int trial_probe(struct virtio_device *vdev)
{
	dev_info(&vdev->dev, "bound\\n");
	return 0;
}

static void trial_remove(struct virtio_device *vdev)
{
	virtio_reset_device(vdev);
}

static const struct virtio_device_id ids[] = { { 5, VIRTIO_DEV_ANY_ID }, {} };
static struct virtio_driver trial = {
	.driver.name = "virtio_balloon",
	.id_table = ids,
	.probe = trial_probe,
	.remove = trial_remove,
};
module_virtio_driver(trial);
MODULE_DEVICE_TABLE(virtio, ids);
MODULE_DESCRIPTION("Binds to a balloon, and no more");
MODULE_LICENSE("GPL");
"""


class Silent:
    """Progress that remembers what it was told."""

    def __init__(self):
        self.told = ""

    def say(self, text):
        self.told += text

    @contextlib.contextmanager
    def step(self, what):
        self.say(what)
        yield self.say


def trial_lab(folder, source=TRIAL):
    (folder / "Kbuild").write_text(KBUILD)
    (folder / "trial.c").write_text(source)
    lab = Lab(BUILD, Silent())
    lab.driver_source = folder
    return lab


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    return trial_lab(tmp_path_factory.mktemp("trial"))


@pytest.fixture(scope="module", params=ONE_KERNEL_OR_ALL)
def guest(trial, request):
    """A guest with no driver at boot."""
    with trial.guest("eve", kernel=request.param, memory=256, driver=None) as guest:
        yield guest


@pytest.fixture
def bare(guest):
    yield guest
    with contextlib.suppress(GuestError):   # there may be none
        guest.unload_driver()


def modinfo(path, field):
    return subprocess.run(["/usr/sbin/modinfo", "-F", field, path], check=True,
                          capture_output=True, text=True).stdout.strip()


def is_loaded(guest):
    return guest.run("test -d /sys/module/virtio_balloon").status == 0


def ours_is_loaded(guest):
    """Modules from outside the kernel's tree are marked O."""
    taint = guest.run("cat /sys/module/virtio_balloon/taint").output
    return "O" in taint


# Building

@on_each_kernel
def test_our_driver_is_for_that_kernel_and_for_balloons(lab, series):
    module = lab.module(series).path
    assert modinfo(module, "vermagic").split()[0] == lab.kernel(series)[0].release
    assert modinfo(module, "alias") == BALLOON_ALIAS
    assert modinfo(module, "license") == "GPL"


def test_our_driver_is_built_once(trial):
    first = trial.module("6.12").path
    before = first.stat()
    assert trial.module("6.12").path == first
    after = first.stat()        # others may read it, which changes a time, too
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_source_is_another_module(trial, tmp_path):
    changed = trial_lab(tmp_path, TRIAL.replace("42", "43"))
    assert changed.module("6.12").path != trial.module("6.12").path


def test_a_header_counts_as_a_source(tmp_path):
    lab = trial_lab(tmp_path, TRIAL + '#include "answer.h"\n')
    (tmp_path / "answer.h").write_text("#define ANSWER 1\n")
    first = lab.module("6.12").path
    (tmp_path / "answer.h").write_text("#define ANSWER 2\n")
    assert lab.module("6.12").path != first


def test_a_build_leaves_nothing_beside_the_sources(tmp_path):
    trial_lab(tmp_path, f"{TRIAL}// {tmp_path}\n").module("6.12")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Kbuild", "trial.c"]


@on_one_or_all
def test_a_syntax_error_is_told_in_the_compilers_words(tmp_path, series):
    lab = trial_lab(tmp_path, TRIAL + "int x = ;\n")
    line = TRIAL.count("\n") + 1
    with pytest.raises(LabError) as caught:
        lab.module(series)
    assert f"does not compile for {lab.kernel(series)[0].release}" in str(caught.value)
    assert f"{tmp_path}/trial.c:{line}:9: error: expected expression" in str(caught.value)


@on_one_or_all
def test_a_warning_is_told_each_time(tmp_path, series):
    lab = trial_lab(tmp_path, TRIAL + "static int unused;\n")
    for _ in ("when it is built", "when it is there already"):
        lab.progress.told = ""
        built = lab.module(series)
        assert f"{tmp_path}/trial.c:" in built.warnings
        assert "'unused' defined but not used" in built.warnings
        assert built.warnings in lab.progress.told


@on_one_or_all
def test_a_build_with_nothing_wrong_tells_of_no_warning(trial, series):
    assert not trial.module(series).warnings


def test_no_sources_are_an_error(tmp_path):
    lab = Lab(BUILD, Silent())
    lab.driver_source = tmp_path
    with pytest.raises(LabError, match="it has no Kbuild"):
        lab.module("6.12")


def test_a_driver_that_does_not_compile_spoils_no_guest_that_has_another(tmp_path):
    lab = trial_lab(tmp_path, "int x = ;\n")
    with pytest.raises(LabError, match="expected expression"):
        lab.guest("mallory", driver="aerostat")
    with pytest.raises(LabError, match="expected expression"):
        lab.prepare(["6.12"])
    with lab.guest("mallory", memory=256, driver="stock") as guest:
        assert is_loaded(guest)
        with pytest.raises(LabError, match="expected expression"):
            guest.load_driver("aerostat")


# Choosing

@pytest.mark.parametrize(("variable", "word", "driver"), [
    (None, True, "aerostat"), ("", True, "aerostat"), ("stock", True, "stock"),
    ("stock", "aerostat", "aerostat"), ("aerostat", "stock", "stock"),
    ("stock", None, None), ("stock", False, None)])
def test_which_driver_a_guest_is_to_have(monkeypatch, variable, word, driver):
    monkeypatch.delenv("DRIVER", raising=False)
    if variable is not None:
        monkeypatch.setenv("DRIVER", variable)
    assert Spec("anybody", driver=word).driver == driver


def test_a_driver_that_nobody_knows(monkeypatch):
    with pytest.raises(LabError, match="no balloon driver dirigible .* aerostat, stock"):
        Spec("anybody", driver="dirigible")
    monkeypatch.setenv("DRIVER", "zeppelin")
    with pytest.raises(LabError, match="no balloon driver zeppelin .* aerostat, stock"):
        Spec("anybody")


# Loading

def test_no_driver_is_loaded_unasked(bare):
    assert not is_loaded(bare)


def test_ours_is_loaded_by_name(bare):
    bare.load_driver("aerostat")
    assert ours_is_loaded(bare)
    assert "bound" in bare.kernel_log()


def test_the_kernels_own_is_loaded_by_name(bare):
    bare.load_driver("stock")
    assert is_loaded(bare) and not ours_is_loaded(bare)


def test_either_gives_way_to_the_other(bare):
    for driver in ("stock", "aerostat", "stock"):
        bare.load_driver(driver)
        assert ours_is_loaded(bare) == (driver == "aerostat")
        bare.unload_driver()
        assert not is_loaded(bare)


def test_one_is_not_loaded_over_the_other(bare):
    bare.load_driver("stock")
    with pytest.raises(GuestError, match="File exists"):
        bare.load_driver("aerostat")


def test_asking_for_whichever_is_no_error_when_one_is_there(bare):
    bare.load_driver("aerostat")
    bare.load_driver()
    assert ours_is_loaded(bare)


def test_parameters_reach_the_driver(bare):
    bare.load_driver("aerostat", "answer=7")
    assert bare.run(f"cat {PARAMETERS}/answer").output == "7\n"


def test_parameters_that_make_no_sense(bare):
    with pytest.raises(GuestError, match="Invalid argument"):
        bare.load_driver("aerostat", "answer=many")
    assert not is_loaded(bare)


def test_parameters_at_boot(trial):
    with trial.guest("frank", memory=256, driver="aerostat", driver_params="answer=9") as guest:
        assert ours_is_loaded(guest)
        assert guest.run(f"cat {PARAMETERS}/answer").output == "9\n"


# What the kernel says

def test_a_kernel_with_no_trouble(bare):
    bare.load_driver("aerostat")
    bare.unload_driver()
    bare.check_kernel_log()


def test_a_kernel_in_trouble(trial):
    with trial.guest("grace", memory=256, driver=None) as guest:
        guest.run("echo 'BUG: Bad page state in process trial' >/dev/kmsg")
        with pytest.raises(LabError, match="grace's kernel complains:\n.*BUG: Bad page state"):
            guest.check_kernel_log()


def test_a_kernel_that_has_died_of_it(trial):
    with trial.guest("heidi", memory=256, driver=None) as guest:
        with pytest.raises(GuestGone):
            guest.run("echo c >/proc/sysrq-trigger")
        with pytest.raises(LabError, match="heidi's kernel complains:"):
            guest.check_kernel_log()


# Mounting

# A machine whose mounts are shared, as systemd's are, and in it a folder that is a root.
SHARED = "unshare --mount --propagation shared sh -ec"
ROOT_FOLDER = """\
for name in usr etc dev proc tmp; do mkdir -p "$1/$name"; mount --rbind /$name "$1/$name"; done
for name in bin lib lib64; do [ -e "$1/$name" ] || ln -s usr/$name "$1/$name"; done
"""
MOUNTING = """\
import subprocess, sys
sys.path.insert(0, "/lab-source")
from lab.tools import mount_namespace, private_folder
script = private_folder("/ram") + "; mount -t tmpfs inner-tmpfs /ram; cat /proc/self/mountinfo"
print(subprocess.run([*mount_namespace(), "sh", "-ec", script], check=True,
                     capture_output=True, text=True).stdout.count("inner-tmpfs"))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts and changes its root, so it needs root")
def test_in_a_plain_chroot_mounts_are_made_and_stay_inside(tmp_path):
    """unshare cannot make them private where the root is not a mount point."""
    for name in ("ram", "lab-source/lab"):
        (tmp_path / "root" / name).mkdir(parents=True)
    for source in (ROOT / "lab").glob("*.py"):
        shutil.copy(source, tmp_path / "root/lab-source/lab")
    (tmp_path / "root/lab-source/mounting.py").write_text(MOUNTING)
    script = (f'{ROOT_FOLDER}chroot "$1" unshare --mount true && echo not a plain chroot\n'
              'chroot "$1" /usr/bin/python3 /lab-source/mounting.py; '
              'grep -c inner-tmpfs /proc/self/mountinfo || true')
    done = subprocess.run([*SHARED.split(), script, "sh", tmp_path / "root"],
                          capture_output=True, text=True, check=True)
    assert done.stdout == "1\n0\n", done
