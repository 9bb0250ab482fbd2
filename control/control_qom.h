/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The object tree as far as tools walk it to find a balloon, the balloon's
 * properties, and the polling of the guest's statistics, one of the properties.
 *
 * Statistics are polled as QEMU does it: setting an interval above 0 asks the
 * guest at once, and then again whenever the interval has passed.
 *
 * The bool functions are rows of control_commands[]: see struct control_command.
 */
#ifndef AEROSTAT_CONTROL_CONTROL_QOM_H
#define AEROSTAT_CONTROL_CONTROL_QOM_H

#include "control/control_command.h"

struct control_sampling {
	struct loop_timer timer; /* asks the guest for statistics */
	uint64_t interval_s;	 /* 0: off */
	uint64_t arrived_ns;	 /* of the sample that was dated last */
	uint64_t epoch_s;	 /* its time of arrival by the wall clock */
};

/* Prepares @control for polling; no interval is set. */
void control_sampling_init(struct control *control);
/* Stops polling. */
void control_sampling_free(struct control *control);
/* Notes when the newest sample arrived, by the wall clock, for last-update. */
void control_date_sample(struct control *control);

/* qom-list: the children and properties of an object. */
bool control_qom_list(struct control_call *call);
/* qom-get: a property of the balloon. */
bool control_qom_get(struct control_call *call);
/* qom-set: sets a property of the balloon. */
bool control_qom_set(struct control_call *call);
/* x-query-virtio-status: the parts of QEMU's answer that show whether there is a driver. */
bool control_qom_virtio_status(struct control_call *call);

#endif
