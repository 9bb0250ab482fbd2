/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection of the VMM.
 *
 * Theory of operation
 * -------------------
 * The process serves one VMM at a time and ends when it leaves, unless --keep was
 * given.  A client that connects and leaves without having shared any memory was
 * not a VMM, and does not end the process.  A connection that was inherited
 * (--fd) is the only one there will be.
 *
 * A VMM sends its first message at once.  A connection that has sent nothing gives
 * way to a newer one, so that a process that only connects keeps no VMM out.
 *
 * A transport reports the end of its connection from within its own functions, so
 * a timer closes it in the next round of the loop.
 */
#ifndef AEROSTAT_DEVICE_VMM_H
#define AEROSTAT_DEVICE_VMM_H

#include "aerostat-device/options.h"
#include "control/control.h"
#include "io/listener.h"
#include "io/log.h"

struct vmm {
	/* Set by the caller before vmm_accept(). */
	const struct device_options *options;
	struct log *log;
	struct loop *loop;
	struct balloon *balloon;
	struct control *control; /* is told when the VMM comes and goes; may be NULL */

	/* Private. */
	struct listener listener;
	struct transport *transport; /* NULL: no VMM is connected */
	struct loop_timer closing;
	bool inherited;	    /* the connection was inherited */
	bool shared_memory; /* this VMM has shared memory at least once */
};

/* Serves the VMM that is connected to @fd, if @connected, or the VMMs that connect to it.  @fd is
 * owned by @vmm on success; false after logging the error. */
bool vmm_accept(struct vmm *vmm, int fd, bool connected);
/* Relays struct balloon_host's call to the VMM, if one is connected. */
void vmm_notify_queue(struct vmm *vmm, unsigned int queue);
/* Relays struct balloon_host's call to the VMM, if one is connected. */
void vmm_notify_config(struct vmm *vmm);
/* Marks that the VMM has shared memory; to be called whenever the balloon has some. */
void vmm_note_memory(struct vmm *vmm);
/* Disconnects the VMM and stops listening. */
void vmm_close(struct vmm *vmm);

#endif
