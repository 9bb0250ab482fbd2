/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_PRESSURE_H
#define GUEST_PRESSURE_H

#include <linux/types.h>

/**
 * struct vb_pressure - memory pressure of the system (PSI)
 * @some_us: µs since boot in which some task waited for memory
 * @full_us: µs since boot in which all tasks did
 */
struct vb_pressure {
	u64 some_us;
	u64 full_us;
};

struct vb_pressure_file;

/**
 * vb_pressure_open() - open the kernel's figures
 *
 * May sleep, and allocates; vb_pressure_read() does not allocate any more.
 *
 * Return: the figures, for vb_pressure_close(); NULL if this kernel has none.
 */
struct vb_pressure_file *vb_pressure_open(void);

/**
 * vb_pressure_read() - read the kernel's figures
 * @p: from vb_pressure_open()
 * @pressure: set to the figures; one that cannot be read keeps its value
 *
 * May sleep.  For one thread at a time.
 *
 * Return: false if they cannot be read.
 */
bool vb_pressure_read(struct vb_pressure_file *p, struct vb_pressure *pressure);

/**
 * vb_pressure_close() - close the kernel's figures
 * @p: from vb_pressure_open(), or NULL
 */
void vb_pressure_close(struct vb_pressure_file *p);

#endif
