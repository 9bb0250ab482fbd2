# SPDX-License-Identifier: BSD-3-Clause
"""The VMM's side of vfio-user and the driver's side of virtio, as far as bench needs them.

Theory of operation
-------------------
The client connects to the device process as QEMU does, passes memory as a file
descriptor, and drives the balloon's queues in that memory itself, so that the
guest can be as fast and as large as needed.  RAM starts at address 0.  The rings
and the pages with PFNs are in a separate file behind it, so that the part of them
that the device has mapped can be distinguished from the device's own memory.
"""

import array
import mmap
import os
import socket
import struct
import time

from lab import LabError

PAGE_BYTES = 4096
INFLATE, DEFLATE = 0, 1
RING_SIZE = 256
BUFFER_PFNS_MAX = 65536     # the device's limit per buffer
BUFFER_BYTES = 4 * BUFFER_PFNS_MAX
# The layout of the file with the rings: 1 MiB per queue, then its buffers.
QUEUE_BYTES = 1 << 20
AVAIL, USED, BUFFER = 0x2000, 0x4000, 0x10000
RINGS_BYTES = 2 * QUEUE_BYTES

VERSION, DMA_MAP, REGION_READ, REGION_WRITE = 1, 2, 9, 10
ERROR = 0x20
HELLO = b'{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576}}\0'
# BAR 0: the common, ISR, device and notify structures, one page each.
COMMON, DEVICE, NOTIFY, NOTIFY_MULTIPLIER = 0, 0x2000, 0x3000, 4
FEATURES_SELECT, FEATURES, STATUS = 0x08, 0x0c, 0x14
QUEUE_SELECT, QUEUE_SIZE, QUEUE_ENABLE, QUEUE_DESC = 0x16, 0x18, 0x1c, 0x20
MUST_TELL_HOST, VERSION_1 = 1 << 0, 1 << 32
FEATURES_OK, DRIVER_OK = 11, 15
TIMEOUT_S = 60


class Client:
    """A VMM and its guest, with `ram_bytes` of memory in the file `ram_fd`."""

    def __init__(self, path, ram_fd, ram_bytes):
        self.ram_bytes = ram_bytes
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(str(path))
        rings_fd = os.memfd_create("rings")
        os.ftruncate(rings_fd, RINGS_BYTES)
        self._rings = mmap.mmap(rings_fd, RINGS_BYTES)
        self._index = [0, 0]
        self._ask(VERSION, struct.pack("=HH", 0, 0) + HELLO)
        self._map(ram_fd, 0, ram_bytes)
        self._map(rings_fd, ram_bytes, RINGS_BYTES)
        os.close(rings_fd)
        self._start()

    def close(self):
        self._socket.close()
        self._rings.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Messages

    def _ask(self, command, payload, fds=()):
        message = struct.pack("=HHIII", 1, command, 16 + len(payload), 0, 0) + payload
        if fds:
            socket.send_fds(self._socket, [message], list(fds))
        else:
            self._socket.sendall(message)
        _, _, size, flags, error = struct.unpack("=HHIII", self._receive(16))
        answer = self._receive(size - 16)
        if flags & ERROR:
            raise LabError(f"vfio-user command {command}: {os.strerror(error)}")
        return answer

    def _receive(self, size):
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise LabError("the device closed the connection")
            data += piece
        return data

    def _map(self, fd, gpa, size):
        self._ask(DMA_MAP, struct.pack("=IIQQQ", 32, 3, 0, gpa, size), [fd])

    def read(self, offset, size):
        return self._ask(REGION_READ, struct.pack("=QII", offset, 0, size))[16:]

    def write(self, offset, form, value):
        data = struct.pack(form, value)
        self._ask(REGION_WRITE, struct.pack("=QII", offset, 0, len(data)) + data)

    # The driver

    def _start(self):
        self.write(COMMON + STATUS, "B", 3)
        for half in (0, 1):
            self.write(COMMON + FEATURES_SELECT, "<I", half)
            self.write(COMMON + FEATURES, "<I", (MUST_TELL_HOST | VERSION_1) >> 32 * half
                       & 0xffffffff)
        self.write(COMMON + STATUS, "B", FEATURES_OK)
        for queue in (INFLATE, DEFLATE):
            self.write(COMMON + QUEUE_SELECT, "<H", queue)
            self.write(COMMON + QUEUE_SIZE, "<H", RING_SIZE)
            for field, offset in enumerate((0, AVAIL, USED)):
                self.write(COMMON + QUEUE_DESC + 8 * field, "<Q",
                           self.ram_bytes + queue * QUEUE_BYTES + offset)
            self.write(COMMON + QUEUE_ENABLE, "<H", 1)
        self.write(COMMON + STATUS, "B", DRIVER_OK)
        if self.read(COMMON + STATUS, 1)[0] != DRIVER_OK:
            raise LabError("the device did not accept the driver's features")

    def fill(self, queue, pfns):
        """Writes page numbers to the place that place() uses: there is one place per queue."""
        data = array.array("I", pfns).tobytes()
        at = queue * QUEUE_BYTES + BUFFER
        self._rings[at:at + len(data)] = data

    def place(self, queue, offset, count):
        """Makes a buffer with @count page numbers, from the @offset-th on, available."""
        index, base = self._index[queue], queue * QUEUE_BYTES
        slot = index % RING_SIZE
        struct.pack_into("<QIHH", self._rings, base + 16 * slot,
                         self.ram_bytes + base + BUFFER + 4 * offset, 4 * count, 0, 0)
        struct.pack_into("<H", self._rings, base + AVAIL + 4 + 2 * slot, slot)
        self._index[queue] = (index + 1) % 65536
        struct.pack_into("<H", self._rings, base + AVAIL + 2, self._index[queue])

    def kick(self, queue):
        self.write(NOTIFY + NOTIFY_MULTIPLIER * queue, "<H", queue)

    def in_flight(self, queue):
        used, = struct.unpack_from("<H", self._rings, queue * QUEUE_BYTES + USED + 2)
        return (self._index[queue] - used) % 65536

    def send(self, queue, first_pfn, count):
        """Inflates or deflates @count pages from @first_pfn on, in buffers of the maximum size."""
        for pfn in range(first_pfn, first_pfn + count, BUFFER_PFNS_MAX):
            piece = min(BUFFER_PFNS_MAX, first_pfn + count - pfn)
            self.fill(queue, range(pfn, pfn + piece))
            self.place(queue, 0, piece)
            self.kick(queue)
            end = time.monotonic() + TIMEOUT_S
            while self.in_flight(queue):
                self.read(DEVICE, 8)
                if time.monotonic() > end:
                    raise LabError("the device does not return a buffer")

    def tell_actual(self, pages):
        self.write(DEVICE + 4, "<I", pages)
