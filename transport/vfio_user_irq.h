/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a vfio-user server interrupts its VMM: through eventfds that the VMM sent.
 *
 * Theory of operation
 * -------------------
 * INTx is one line.  It masks itself when it fires and stays masked until the VMM
 * unmasks it, with a message or through an eventfd that is watched for that
 * purpose (KVM's resampling).  MSI-X has one line per vector, which does not mask
 * itself.  A line that is masked or has no eventfd cannot fire; the owner is
 * called back when it can fire again.
 *
 * An eventfd comes from the VMM: it may be any file, and its status flags are
 * shared with the VMM, so O_NONBLOCK can be neither relied upon nor set.  Files
 * whose inode has a type (pipes, sockets, regular files, devices) are refused.
 * Of the anonymous files, which have none, only eventfds can block a write of 8
 * bytes, and only when the counter is full; so they are polled before.  A VMM
 * that fills the counter in between stops only its own device.
 */
#ifndef AEROSTAT_TRANSPORT_VFIO_USER_IRQ_H
#define AEROSTAT_TRANSPORT_VFIO_USER_IRQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/loop.h"
#include "transport/vfio_user_wire.h"

#define VFIO_USER_INTX (-1) /* in place of a vector */
#define VFIO_USER_VECTORS_MAX VFIO_USER_FDS_MAX

struct vfio_user_line {
	int fd; /* -1: none */
	bool masked;
};

struct vfio_user_irqs {
	struct vfio_user_line intx, vectors[VFIO_USER_VECTORS_MAX];
	unsigned int vector_count;
	struct loop *loop;
	struct loop_source unmask; /* INTx's eventfd for UNMASK; fd -1: none */
	/* A line that could not fire can fire again. */
	void (*retry)(void *data, int vector);
	void *data;
};

/*
 * vfio_user_irqs_init - prepare the lines, none of which has an eventfd
 * @vector_count: how many MSI-X vectors there are; 0: no MSI-X
 * @retry: called with @data and a vector when its line can fire again
 */
void vfio_user_irqs_init(struct vfio_user_irqs *irqs, struct loop *loop, unsigned int vector_count,
			 void (*retry)(void *data, int vector), void *data);
/* Closes all eventfds. */
void vfio_user_irqs_clear(struct vfio_user_irqs *irqs);

/* How many interrupts of type @index (VFIO_PCI_*_IRQ_INDEX) there are. */
unsigned int vfio_user_irqs_count(const struct vfio_user_irqs *irqs, uint32_t index);
/* The VFIO_IRQ_INFO_* flags of interrupts of type @index. */
uint32_t vfio_user_irqs_flags(uint32_t index);

/*
 * vfio_user_irqs_set - do what a SET_IRQS message asks for
 * @bools: the @bool_count bytes that follow @set in the message
 * @fds: the message's @fd_count file descriptors; those that are kept become -1
 *
 * Returns 0; -EINVAL or -EBADF (not an eventfd) with nothing changed; or the error
 * of loop_add() for an eventfd for UNMASK, after which INTx has none.
 */
int vfio_user_irqs_set(struct vfio_user_irqs *irqs, const struct vfio_user_irq_set *set,
		       const uint8_t *bools, size_t bool_count, int *fds, unsigned int fd_count);

/* Signals @vector, or VFIO_USER_INTX; false when its line cannot fire now. */
bool vfio_user_irqs_fire(struct vfio_user_irqs *irqs, int vector);

#endif
