/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of the control socket: one part per file that owns it. */
#ifndef AEROSTAT_CONTROL_CONTROL_STATE_H
#define AEROSTAT_CONTROL_CONTROL_STATE_H

#include "control/control.h"
#include "control/control_client.h"
#include "control/control_events.h"
#include "control/control_qom.h"
#include "io/listener.h"

#define NS_PER_S UINT64_C(1000000000)

struct control {
	/* Set by control_new(), read by all files. */
	struct loop *loop;
	struct balloon *balloon;
	struct control_options options;

	struct listener listener;	 /* control.c */
	bool vmm_connected;		 /* control_events.c */
	struct control_clients clients;	 /* control_client.c */
	struct control_events events;	 /* control_events.c */
	struct control_sampling samples; /* control_qom.c */
};

#endif
