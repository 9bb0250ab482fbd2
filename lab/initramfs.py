# SPDX-License-Identifier: BSD-3-Clause
"""The guests' root: busybox, our init, and the kernel modules it loads.

Built into one uncompressed cpio archive (under emulation, decompressing costs
more than reading), named by a hash of all that is in it.
"""

import hashlib
import lzma
import os
import pathlib
import stat

from .kbuild import forget_old
from .tools import call, tool

SOURCES = pathlib.Path(__file__).parent / "guest"
# What init loads together: at boot, and when it is asked to.  Our own driver is one more set.
MODULE_SETS = {
    "boot": ["virtio_pci", "virtio_blk"],
    "virtio_balloon": ["virtio_balloon"],
    # The compressors are what zram asks modprobe for, which the guest lacks.
    "zram": ["lzo-rle", "lz4", "zram"],
}
OURS = "aerostat"
FOLDERS = ["bin", "dev", "hold", "lab", "proc", "sys", "tmp"]


def build(kernel, driver, cache, progress):
    """The archive for this kernel, built unless the cache folder has it already.

    driver: the file of our own, or None.
    """
    files = contents(kernel, driver, build_init(cache, progress))
    digest = hashlib.sha256()
    for name, mode, data in files:
        digest.update(f"{name}\0{mode:o}\0{len(data)}\0".encode() + data)
    path = cache / "initramfs" / f"{kernel.series}-{digest.hexdigest()[:16]}.cpio"
    if not path.exists():
        with progress.step(f"building the initramfs for kernel {kernel.series}"):
            write_new(path, cpio(files))
    os.utime(path)
    forget_old(path.parent, "*.cpio")
    return path


def build_init(cache, progress):
    sources = sorted(SOURCES.glob("*.[ch]"))
    digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources))
    path = cache / "initramfs" / f"init-{digest.hexdigest()[:16]}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".init.{os.getpid()}")
        with progress.step("compiling the guests' init"):
            call([tool("gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-static", "-O2", "-Wall",
                  "-Wextra", "-Wshadow", "-o", scratch,
                  *(source for source in sources if source.suffix == ".c")])
            scratch.rename(path)
    return path


def contents(kernel, driver, init):
    """(name, mode, bytes) of all that goes into the archive."""
    busybox = pathlib.Path(tool("busybox"))
    files = [(folder, stat.S_IFDIR | 0o755, b"") for folder in FOLDERS]
    files.append(("dev/console", stat.S_IFCHR | 0o600, b""))
    files.append(("init", stat.S_IFREG | 0o755, init.read_bytes()))
    files.append(("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes()))
    for applet in call([busybox, "--list"]).split():
        if applet != "busybox":
            files.append((f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox"))
    return files + modules(kernel, driver)


def modules(kernel, driver):
    """The modules, once each, and a list for each set: what is needed first comes first."""
    files = {}
    depends = read_depends(kernel)
    for name, wanted in MODULE_SETS.items():
        add_set(files, name, {inside(path): kernel.modules / path
                              for path in in_order(depends, wanted)})
    if driver:
        needs = call([tool("modinfo"), "-F", "depends", driver]).strip().split(",")
        add_set(files, OURS, {**{inside(path): kernel.modules / path
                                 for path in in_order(depends, ["virtio_pci", *needs])},
                              f"lab/{OURS}.ko": driver})
    return [(name, stat.S_IFREG | 0o644, data) for name, data in sorted(files.items())]


def in_order(depends, wanted):
    """The paths of modules and of all that they need, each after what it needs."""
    order = {}
    for module in wanted:
        # depmod lists the direct needs first; they are loaded from the last.
        order.update(dict.fromkeys(reversed(depends.get(module.replace("-", "_"), []))))
    return list(order)


def inside(path):
    """The name of a module in the archive."""
    return f"lab/{pathlib.Path(path).name.split('.')[0]}.ko"


def add_set(files, name, order):
    files.update((inside, read_module(path)) for inside, path in order.items())
    files[f"lab/{name}.modules"] = "".join(f"/{inside}\n" for inside in order).encode()


def read_depends(kernel):
    """For each module its own path and those it needs; built-in ones have none."""
    depends = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, needs = line.split(":")
        name = pathlib.Path(path).name.split(".")[0].replace("-", "_")
        depends[name] = [path, *needs.split()]
    return depends


def read_module(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def cpio(files):
    """The archive in the `newc` format, which needs neither root nor the cpio program."""
    out = bytearray()
    for number, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        device = (5, 1) if stat.S_ISCHR(mode) else (0, 0)    # /dev/console, our only one
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields)
        out += name.encode() + b"\0"
        out += bytes(-len(out) % 4)
        out += data
        out += bytes(-len(out) % 4)
    return bytes(out)


def write_new(path, data):
    """Writes a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(data)
    scratch.rename(path)
