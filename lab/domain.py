# SPDX-License-Identifier: BSD-3-Clause
"""Describes a guest as libvirt XML, equivalent to the QEMU command line in qemu_guest.py."""

import os
from xml.sax.saxutils import escape, quoteattr

# The three serial ports have separate interrupts.  On a PC the third one usually
# shares the first one's, which does not work on the emulated ISA bus.
SERIAL_PORTS = (("console", 0x3f8, 4), ("channel", 0x2f8, 3), ("heartbeat", 0x3e8, 5))


def domain_xml(guest):
    spec = guest.spec
    kvm = guest.accel == "kvm"
    return f"""<domain type='{"kvm" if kvm else "qemu"}'>
  <name>{escape(spec.name)}</name>
  <memory unit='MiB'>{spec.memory}</memory>
  <currentMemory unit='MiB'>{spec.current or spec.memory}</currentMemory>
  {memory_backing(spec)}
  {vcpu(spec)}
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{guest.kernel_image}</kernel>
    <initrd>{guest.initrd}</initrd>
    <cmdline>{escape(guest.kernel_args)}</cmdline>
  </os>
  <features><acpi/>{"" if kvm else "<tcg><tb-cache unit='MiB'>128</tb-cache></tcg>"}</features>
  <cpu mode='{"host-passthrough" if kvm else "maximum"}'/>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{guest.libvirt.emulator(guest.qemu)}</emulator>
    <controller type='usb' model='none'/>
{disks(guest)}
{serial_ports(guest)}
    {balloon(spec.balloon)}
  </devices>
</domain>
"""


def vcpu(spec):
    """Lists the host's processors where /sys is not mounted, so that libvirt cannot find them."""
    cpus = ""
    if not os.path.exists("/sys/devices/system/cpu/online"):
        cpus = f" cpuset='{','.join(map(str, sorted(os.sched_getaffinity(0))))}'"
    return f"<vcpu{cpus}>{spec.cpus}</vcpu>"


def memory_backing(spec):
    if spec.backing != "memfd":
        return ""
    return "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"


def disks(guest):
    return "\n".join(f"""    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='unsafe'/>
      <source file='{guest.nest.path / serial}'/>
      <target dev='vd{letter}' bus='virtio'/>
      <serial>{serial}</serial>
    </disk>""" for letter, serial in zip("ab", guest.disks))


def serial_ports(guest):
    ports = []
    for port, (name, iobase, irq) in enumerate(SERIAL_PORTS):
        path = guest.console if name == "console" else guest.nest.path / name
        kind, mode = ("file", "") if name == "console" else ("unix", " mode='connect'")
        ports.append(f"""    <serial type='{kind}'>
      <source{mode} path='{path}'/>
      <target type='isa-serial' port='{port}'/>
      <address type='isa' iobase='{iobase:#x}' irq='{irq}'/>
    </serial>""")
    return "\n".join(ports)


def balloon(properties):
    """Returns the balloon device as libvirt XML."""
    if properties is None:
        return "<memballoon model='none'/>"
    words = {"deflate-on-oom": "autodeflate", "free-page-reporting": "freePageReporting"}
    attributes = "".join(f" {words[key]}={quoteattr('on' if value else 'off')}"
                         for key, value in properties.items() if key != "stats-period")
    period = properties.get("stats-period")
    stats = f"<stats period='{period}'/>" if period else ""
    return f"<memballoon model='virtio'{attributes}>{stats}</memballoon>"
