# SPDX-License-Identifier: BSD-3-Clause
"""How our guest driver comes to a guest: make, dkms, modprobe's choice, and the live takeover.

Debian's own dkms, its compiler and its headers work in the lab's tree (lab/kbuild.py), under an
overlay in a mount namespace, which ends with them.
"""
import base64
import gzip
import re
import shutil
import subprocess

import pytest

from conftest import ROOT
from lab.errors import Unavailable
from lab.guest import MIB
from lab.kbuild import TOOLS, Tree
from lab.kernels import SERIES
from lab.wait import wait_for

SOURCE = ROOT / "guest"
CONF = (SOURCE / "dkms.conf").read_text()
ALIAS = "virtio:d00000005v00001AF4"
IN_TREE = "kernel/drivers/virtio/virtio_balloon.ko"
OURS = "updates/dkms/virtio_balloon.ko"
on_each_kernel = pytest.mark.parametrize("series", SERIES)
# The default kernel always, the others only when there is time.
one_kernel_or_all = pytest.mark.parametrize(
    "series", ["6.12", *(pytest.param(series, marks=pytest.mark.long)
                         for series in SERIES if series != "6.12")], indirect=True)


def setting(name):
    return re.search(rf'^{name}(?:\[0\])?="(.*)"$', CONF, re.M)[1]


VERSION = setting("PACKAGE_VERSION")


def modinfo(path, field):
    return subprocess.run(["/usr/sbin/modinfo", "-F", field, path], check=True,
                          capture_output=True, text=True).stdout.strip()


# What stands in the files

def test_there_is_one_version_of_it_all(lab):
    project = re.search(r"^  version: '([\d.]+)'", (ROOT / "meson.build").read_text(), re.M)[1]
    assert VERSION == project
    assert modinfo(lab.module("6.12").path, "version") == project


@pytest.mark.parametrize("release, fits", [
    ("5.10.0-1-amd64", False), ("6.0.0-1-amd64", False), ("6.1.0-56-cloud-amd64", True),
    ("6.12.117+deb12-amd64", True), ("7.3.4+deb13-amd64", True), ("10.0.0", True)])
def test_dkms_is_told_which_kernels_it_is_for(release, fits):
    assert bool(re.search(setting("BUILD_EXCLUSIVE_KERNEL"), release)) == fits


def test_a_kernel_without_headers_is_told_in_a_line():
    made = subprocess.run(["make", "-C", SOURCE, "RELEASE=1.2.3-none"], capture_output=True,
                          text=True, check=False)
    assert made.returncode
    assert "no kernel headers in /lib/modules/1.2.3-none/build: install linux-headers-1.2.3-none" \
        in made.stderr


# Which of two modules modprobe takes

def module_tree(kernel, folder, ours=None):
    """The balloon's part of a kernel's modules, and ours beside it."""
    tree = folder / "lib/modules" / kernel.release
    shutil.copytree(kernel.modules / "kernel/drivers/virtio", tree / "kernel/drivers/virtio")
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(kernel.modules / name, tree)
    if ours:
        (tree / OURS).parent.mkdir(parents=True)
        shutil.copy(ours, tree / OURS)
    subprocess.run(["/usr/sbin/depmod", "-b", folder, kernel.release], check=True)
    return tree


def loaded_for(folder, kernel, name):
    """The file that modprobe would load last."""
    shown = subprocess.run(["/usr/sbin/modprobe", "-d", folder, "-S", kernel.release,
                            "--show-depends", name], check=True, capture_output=True, text=True)
    return re.findall(r"^insmod (\S+)", shown.stdout, re.M)[-1]


@on_each_kernel
@pytest.mark.parametrize("name", ["virtio_balloon", ALIAS])
def test_modprobe_takes_ours(lab, tmp_path, series, name):
    kernel = lab.kernel(series)[0]
    module_tree(kernel, tmp_path, lab.module(series).path)
    assert loaded_for(tmp_path, kernel, name).endswith(OURS)


@pytest.mark.parametrize("name", ["virtio_balloon", ALIAS])
def test_modprobe_takes_the_kernels_own_without_ours(lab, tmp_path, name):
    kernel = lab.kernel()[0]
    module_tree(kernel, tmp_path)
    assert IN_TREE in loaded_for(tmp_path, kernel, name)


# make and dkms

INSIDE = """\
mount -t tmpfs tmpfs "$SCRATCH"
cd "$SCRATCH"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=$TREE,upperdir=upper,workdir=work" root
mount --rbind /proc root/proc
mount --rbind /dev root/dev
mount -t tmpfs tmpfs root/tmp
mkdir -p root/lib/modules/"$RELEASE" root/usr/src
cp -r "$MODULES"/. root/lib/modules/"$RELEASE"
cp -r "$SOURCE" root/module/guest
exec chroot root /bin/bash -ec "$STEPS"
"""
# Each step's output stands below a line with its name.
STEPS = """\
exec 2>&1
step() { echo "== $1"; }
choice() {
    find /lib/modules/$RELEASE -name 'virtio_balloon.ko*' | sort
    modprobe -S $RELEASE --show-depends virtio_balloon
}
cd /module/guest
step modules_install
make RELEASE=$RELEASE INSTALL_MOD_PATH=/out modules_install
step installed
find /out -type f
step clean
make RELEASE=$RELEASE clean
step left
ls -A
step dkms
make RELEASE=$RELEASE dkms
step status
dkms status
step module
modinfo -k $RELEASE virtio_balloon
step choice
choice
step remove
make dkms-remove
dkms status
step without
choice
"""


class Installed:
    """What make and dkms said and left behind, on a system of one kernel."""

    def __init__(self, lab, series, folder):
        self.kernel = lab.kernel(series)[0]
        tree = Tree(self.kernel, lab.cache)
        with lab._locked():     # pylint: disable=protected-access
            tree.provide([*tree.headers, *TOOLS, "bash", "diffutils", "dkms", "xz-utils"],
                         lab.progress)
        self.need_mounts()
        modules = module_tree(self.kernel, folder)
        (folder / "scratch").mkdir()
        self.output = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", INSIDE], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, errors="replace",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "STEPS": STEPS,
                 "SCRATCH": str(folder / "scratch"), "TREE": str(tree.root),
                 "MODULES": str(modules), "SOURCE": str(SOURCE),
                 "RELEASE": self.kernel.release}).stdout
        self.steps = dict(re.findall(r"^== (\w+)\n(.*?)(?=^== |\Z)", self.output, re.M | re.S))

    @staticmethod
    def need_mounts():
        """dkms needs /proc, and the tree must stay as it is: no way without mounts."""
        done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise Unavailable("dkms is tried in a mount namespace, which is not allowed here: "
                              f"{done.stderr.strip()}")

    def step(self, name):
        assert name in self.steps, self.output
        return self.steps[name]


@pytest.fixture(scope="module")
def series(request):
    return request.param


@pytest.fixture(scope="module")
def installed(lab, series, tmp_path_factory):
    return Installed(lab, series, tmp_path_factory.mktemp("installed"))


@one_kernel_or_all
def test_make_installs_it_where_modprobe_looks_first(installed):
    root = f"/out/lib/modules/{installed.kernel.release}"
    files = installed.step("installed").split()
    assert any(re.fullmatch(rf"{re.escape(root)}/updates/virtio_balloon\.ko(\.xz)?", file)
               for file in files)
    assert f"{root}/modules.dep.bin" in files


@one_kernel_or_all
def test_make_clean_leaves_the_sources_and_no_more(installed):
    assert sorted(installed.step("left").split()) == sorted(
        path.name for path in SOURCE.iterdir())


@one_kernel_or_all
def test_dkms_builds_and_installs_it(installed):
    assert f"{installed.kernel.release}, x86_64: installed\n" in installed.step("status")
    assert "Aerostat" in installed.step("module")
    assert re.search(rf"^version: +{re.escape(VERSION)}$", installed.step("module"), re.M)


@one_kernel_or_all
def test_dkms_leaves_the_kernels_own_in_its_place(installed):
    assert f"{installed.kernel.release}/{IN_TREE}" in installed.step("choice")


@one_kernel_or_all
def test_what_dkms_installed_is_what_is_loaded(installed):
    assert re.search(rf"^insmod \S+/{OURS}", installed.step("choice"), re.M)


@one_kernel_or_all
def test_removed_it_leaves_the_kernels_own_to_be_loaded(installed):
    assert OURS not in installed.step("without")
    assert re.search(rf"^insmod \S+/{IN_TREE}", installed.step("without"), re.M)


# The takeover

class Taken:
    """A guest with both drivers installed as on a disk, and the program that swaps them."""

    def __init__(self, guest, folder):
        self.guest = guest
        tree = module_tree(guest.kernel, folder, guest.lab.module(guest.spec.kernel).path)
        self.root = f"/lib/modules/{guest.kernel.release}"
        self.put("/takeover", (SOURCE / "takeover").read_text())
        self.sh(f"mkdir -p {self.root}/kernel/drivers/virtio {self.root}/updates/dkms; "
                f"cp /lab/virtio_balloon.ko {self.root}/{IN_TREE}; "
                f"cp /lab/aerostat.ko {self.root}/{OURS}")
        # What modules need is loaded already, and the guest's copies are not compressed.
        self.put(f"{self.root}/modules.dep", "".join(
            line.split(":")[0].replace(".ko.xz", ".ko") + ":\n"
            for line in (tree / "modules.dep").read_text().splitlines()))
        self.put(f"{self.root}/modules.alias", "")
        self.put(f"{self.root}/modules.symbols", "")

    def sh(self, command):
        run = self.guest.run(command)
        assert run.status == 0, run
        return run.output

    def put(self, path, text):
        """A file in the guest, in pieces that its init takes."""
        packed = base64.b64encode(gzip.compress(text.encode())).decode()
        self.sh(f": >{path}.b64")
        for start in range(0, len(packed), 1500):
            self.sh(f"echo {packed[start:start + 1500]} >>{path}.b64")
        self.sh(f"base64 -d {path}.b64 | gunzip >{path}; rm {path}.b64")

    def takeover(self, *words):
        return self.guest.run(f"sh /takeover {' '.join(words)}")

    def driver(self):
        """Modules from outside the kernel's tree are marked O."""
        run = self.guest.run("cat /sys/module/virtio_balloon/taint")
        return None if run.status else "aerostat" if "O" in run.output else "stock"

    def reset(self):
        """As it was in the beginning."""
        if self.driver():
            self.guest.unload_driver()
        self.guest.qmp("balloon", value=self.guest.spec.memory * MIB)
        self.sh(f"cp /lab/aerostat.ko {self.root}/{OURS}; cp /lab/virtio_balloon.ko "
                f"{self.root}/{IN_TREE}")
        self.guest.release_all()


@pytest.fixture(scope="module")
def _taken(lab, series, tmp_path_factory):
    with lab.guest("olive", kernel=series, memory=384, driver=None) as guest:
        yield Taken(guest, tmp_path_factory.mktemp("taken"))


@pytest.fixture
def taken(_taken):
    _taken.reset()
    yield _taken
    _taken.guest.check_kernel_log()


def inflated(taken, driver):
    """A guest whose balloon has 128 MiB, and data to be lost."""
    taken.guest.load_driver(driver)
    taken.guest.hold("data", 64)
    taken.guest.qmp("balloon", value=256 * MIB)
    wait_for(lambda: taken.guest.actual() == 256 * MIB, "256 MiB")


@one_kernel_or_all
@pytest.mark.parametrize("words, before, after", [
    ((), "stock", "aerostat"), (("--back",), "aerostat", "stock")])
def test_a_full_balloon_changes_hands_and_no_data_is_lost(taken, words, before, after):
    inflated(taken, before)
    run = taken.takeover(*words)
    assert run.status == 0, run
    assert taken.driver() == after
    assert f"unloading the {before} driver, whose balloon has 128 MiB" in run.output
    assert f"the {after} driver controls 1 balloon(s)" in run.output
    wait_for(lambda: taken.guest.actual() == 256 * MIB, "256 MiB again")
    held = taken.guest.touch("data", full=True)
    assert held.alive and held.bad_pages == 0


@one_kernel_or_all
def test_parameters_reach_the_driver_that_takes_over(taken):
    taken.guest.load_driver("stock")
    assert taken.takeover("floor_mib=77").status == 0
    assert taken.sh("cat /sys/module/virtio_balloon/parameters/floor_mib") == "77\n"


@one_kernel_or_all
def test_where_no_driver_is_loaded_ours_is(taken):
    assert taken.takeover().status == 0
    assert taken.driver() == "aerostat"


@one_kernel_or_all
@pytest.mark.parametrize("words, driver", [((), "aerostat"), (("--back",), "stock")])
def test_a_driver_that_is_there_already_is_left_alone(taken, words, driver):
    taken.guest.load_driver(driver)
    run = taken.takeover(*words)
    assert run.status == 0 and f"the {driver} driver is loaded already" in run.output


@one_kernel_or_all
def test_a_look_changes_nothing(taken):
    taken.guest.load_driver("stock")
    run = taken.takeover("--check")
    assert run.status == 0
    assert "the stock driver can be replaced by the aerostat driver" in run.output
    assert taken.driver() == "stock"


@one_kernel_or_all
def test_a_driver_that_does_not_load_gives_way_to_the_one_before(taken):
    inflated(taken, "stock")
    run = taken.takeover("batch=many")
    assert run.status == 1 and "restored: stock" in run.output
    assert taken.driver() == "stock"
    wait_for(lambda: taken.guest.actual() == 256 * MIB, "256 MiB again")


@one_kernel_or_all
@pytest.mark.parametrize("spoil, words, says", [
    ("cp {root}/{stock} {root}/{ours}", (), "Aerostat's driver is not installed"),
    ("rm {root}/{stock}", (), "the kernel's own driver is not in"),
    ("sed -i 's/vermagic={release}/vermagic=9{tail}/' {root}/{ours}", (),
     "but this is {release}"),
    ("true", ("floor_mib",), "'floor_mib' is not PARAMETER=VALUE"),
    ("true", ("--force",), "unknown option --force"),
    ("true", ("--back", "a=1"), "the kernel's own driver has no parameters"),
])
def test_what_cannot_work_is_told_and_nothing_is_touched(taken, spoil, words, says):
    release = taken.guest.kernel.release
    names = {"root": taken.root, "stock": IN_TREE, "ours": OURS, "release": release,
             "tail": release[1:]}
    taken.guest.load_driver("stock")
    loaded = taken.sh("cd /sys/module/virtio_balloon; ls -di .")
    taken.sh(spoil.format(**names))
    run = taken.takeover(*words)
    assert run.status == 1 and says.format(**names) in run.output, run
    assert taken.sh("cd /sys/module/virtio_balloon; ls -di .") == loaded
