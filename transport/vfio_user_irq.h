/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a vfio-user server interrupts its VMM: eventfds that the VMM sent.
 *
 * Theory of operation
 * -------------------
 * INTx is one line that masks itself when it fires, and stays masked until the
 * VMM says UNMASK, by a message or through an eventfd that is watched for it
 * (KVM's resampling).  MSI-X has a line for each vector, which masks nothing by
 * itself.  A line that is masked or has no eventfd cannot fire; the owner is
 * called back when it can again.
 *
 * An eventfd is somebody else's file: it may be anything, and its flags are
 * shared with the VMM, so O_NONBLOCK can be neither relied upon nor set.  What
 * has a file type (pipes, sockets, files, devices) is refused; of the anonymous
 * files, which have none, only an eventfd can make a write of 8 bytes wait, and
 * only when its counter is full, so it is polled first.  A VMM that fills it
 * between the two stops its own device.
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
	/* A line that could not fire can. */
	void (*deliverable)(void *data, int vector);
	void *data;
};

void vfio_user_irqs_init(struct vfio_user_irqs *irqs, struct loop *loop, unsigned int vector_count,
			 void (*deliverable)(void *data, int vector), void *data);
/* Closes what it holds. */
void vfio_user_irqs_clear(struct vfio_user_irqs *irqs);

/* How many interrupts there are of type @index, and the VFIO_IRQ_INFO_* of it. */
unsigned int vfio_user_irqs_count(const struct vfio_user_irqs *irqs, uint32_t index);
uint32_t vfio_user_irqs_flags(uint32_t index);

/*
 * vfio_user_irqs_set - do what a SET_IRQS says
 *
 * @bools are the @bool_count bytes that followed it.  Of @fds those that are
 * kept are set to -1; the others stay the caller's.  0, or, with nothing
 * changed, -EINVAL or -EBADF (no eventfd); or what the loop said to an eventfd
 * for UNMASK, of which there is none then.
 */
int vfio_user_irqs_set(struct vfio_user_irqs *irqs, const struct vfio_user_irq_set *set,
		       const uint8_t *bools, size_t bool_count, int *fds, unsigned int fd_count);

/* Interrupt; false when the line cannot fire now. */
bool vfio_user_irqs_fire(struct vfio_user_irqs *irqs, int vector);

#endif
