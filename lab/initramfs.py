# SPDX-License-Identifier: BSD-3-Clause
"""Builds the guests' root file system: busybox, our init, and the kernel modules it loads.

It is one cpio archive, whose name contains a hash of its contents.  The archive
is not compressed, because under emulation decompressing takes longer than
reading.
"""

import hashlib
import lzma
import os
import pathlib
import stat

from .kbuild import forget_old
from .tools import call, tool

SOURCES = pathlib.Path(__file__).parent / "guest"
# Modules that init loads together, at boot or on request.  Our own driver is one more set.
MODULE_SETS = {
    "boot": ["virtio_pci", "virtio_blk"],
    "virtio_balloon": ["virtio_balloon"],
    # zram requests its compressors through modprobe, which the guest does not have.
    "zram": ["lzo-rle", "lz4", "zram"],
}
OURS = "aerostat"
FOLDERS = ["bin", "dev", "hold", "lab", "proc", "sys", "tmp"]


def build(kernel, driver, cache, progress):
    """Returns the path of this kernel's archive, building it unless it is cached.

    driver: the path of our own driver, or None.
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
    """Returns (name, mode, bytes) of each file in the archive."""
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
    """Returns each module once, and a list per set in which dependencies come first."""
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
    """Returns the paths of modules and their dependencies, each after those that it needs."""
    order = {}
    for module in wanted:
        # depmod lists direct dependencies first, so the list is loaded from its end.
        order.update(dict.fromkeys(reversed(depends.get(module.replace("-", "_"), []))))
    return list(order)


def inside(path):
    """Returns the path of a module within the archive."""
    return f"lab/{pathlib.Path(path).name.split('.')[0]}.ko"


def add_set(files, name, order):
    files.update((inside, read_module(path)) for inside, path in order.items())
    files[f"lab/{name}.modules"] = "".join(f"/{inside}\n" for inside in order).encode()


def read_depends(kernel):
    """Returns {module: [its path, paths that it needs]}; built-in modules are not in it."""
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
    """Returns the archive in `newc` format; this needs neither root nor the cpio program."""
    out = bytearray()
    for number, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        device = (5, 1) if stat.S_ISCHR(mode) else (0, 0)    # /dev/console is the only device
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields)
        out += name.encode() + b"\0"
        out += bytes(-len(out) % 4)
        out += data
        out += bytes(-len(out) % 4)
    return bytes(out)


def write_new(path, data):
    """Writes a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(data)
    scratch.rename(path)
