/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device process: the balloon, what it needs from outside (struct
 * balloon_host), its control socket, audits and signals.
 *
 * main.c calls these functions in their order here.  Each that returns bool
 * returns false after logging what is wrong.
 */
#ifndef AEROSTAT_DEVICE_PROCESS_H
#define AEROSTAT_DEVICE_PROCESS_H

#include "aerostat-device/options.h"
#include "aerostat-device/sockets.h"
#include "aerostat-device/vmm.h"
#include "control/control.h"
#include "io/log.h"

struct process {
	const struct device_options *options;
	struct log log;
	struct loop *loop;
	struct balloon *balloon;
	struct control *control; /* NULL: no control socket */
	struct device_sockets sockets;
	struct vmm vmm;
	struct loop_source signals; /* a signalfd */
	struct loop_timer audit;
	unsigned int sigbus_logged; /* sigbus_count() when it was last logged */
};

/* Prepares @process and its log; @options must live until process_free(). */
void process_init(struct process *process, const struct device_options *options);
/* Opens the sockets for the VMM and for control. */
bool process_open_sockets(struct process *process);
/* Creates the loop, the balloon and the control socket's server, and watches for signals. */
bool process_create_device(struct process *process);
/* Starts to serve the VMM, and starts the audits. */
bool process_accept_vmm(struct process *process);
/* Runs the loop until the process is to end; false when the loop itself failed. */
bool process_run_loop(struct process *process);
/* Frees all that was created; the process may have been prepared only in part. */
void process_free(struct process *process);

#endif
