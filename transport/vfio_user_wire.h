/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user's messages, for the server and for the client in the tests.
 *
 * All numbers are in the host's byte order.  Regions, interrupt types and the
 * flags in these structs have the values of <linux/vfio.h>.
 */
#ifndef AEROSTAT_TRANSPORT_VFIO_USER_WIRE_H
#define AEROSTAT_TRANSPORT_VFIO_USER_WIRE_H

#include <stdint.h>

#define VFIO_USER_FDS_MAX 8	    /* in one message */
#define VFIO_USER_TRANSFER_MAX 4096 /* bytes of data in one REGION_READ or REGION_WRITE */

enum vfio_user_command {
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_GET_INFO = 4,
	VFIO_USER_REGION_INFO = 5,
	VFIO_USER_REGION_IO_FDS = 6,
	VFIO_USER_IRQ_INFO = 7,
	VFIO_USER_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DMA_READ = 11,
	VFIO_USER_DMA_WRITE = 12,
	VFIO_USER_RESET = 13,
	VFIO_USER_DIRTY_PAGES = 14,
	VFIO_USER_REGION_WRITE_MULTI = 15,
	VFIO_USER_DEVICE_FEATURE = 16,
	VFIO_USER_MIG_DATA_READ = 17,
	VFIO_USER_MIG_DATA_WRITE = 18,
};

#define VFIO_USER_TYPE_MASK UINT32_C(0xf)
#define VFIO_USER_TYPE_COMMAND UINT32_C(0)
#define VFIO_USER_TYPE_REPLY UINT32_C(1)
#define VFIO_USER_NO_REPLY UINT32_C(0x10)
#define VFIO_USER_ERROR UINT32_C(0x20)

struct vfio_user_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* of the whole message */
	uint32_t flags;
	uint32_t error; /* an errno, in a reply with VFIO_USER_ERROR */
};

/* VERSION; followed by JSON with a terminating NUL. */
struct vfio_user_version {
	uint16_t major, minor;
};

struct vfio_user_dma_map {
	uint32_t argsz, flags;
	uint64_t offset; /* in the file that comes with the message */
	uint64_t address, size;
};

struct vfio_user_dma_unmap {
	uint32_t argsz, flags;
	uint64_t address, size;
};

/* As struct vfio_device_info before capabilities were added. */
struct vfio_user_device_info {
	uint32_t argsz, flags;
	uint32_t regions, irqs;
};

/* SET_IRQS; followed by booleans if the flags say so. */
struct vfio_user_irq_set {
	uint32_t argsz, flags;
	uint32_t index, start, count;
};

/* REGION_READ and REGION_WRITE, and their replies; followed by data. */
struct vfio_user_access {
	uint64_t offset;
	uint32_t region, count;
};

#endif
