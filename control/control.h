/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: a subset of QMP, so that any tool that steers a QEMU
 * balloon steers this one (docs/device.md lists the commands).
 */
#ifndef AEROSTAT_TRANSPORT_CONTROL_H
#define AEROSTAT_TRANSPORT_CONTROL_H

#include "device/balloon.h"
#include "io/loop.h"

#define CONTROL_CLIENTS_MAX 16

struct control_options {
	const char *name;			  /* the guest's, for query-name; may be NULL */
	const char *transport;			  /* the ops' name */
	bool deflate_on_oom, free_page_reporting; /* as offered */
	/* quit was ordered. */
	void (*quit)(void *data);
	void *data;
};

struct control;

/* @fd listens, and is taken over.  NULL with errno. */
struct control *control_new(struct loop *loop, struct balloon *balloon, int fd,
			    const struct control_options *options);
void control_free(struct control *control);
/* struct balloon_host's event, relayed: sends BALLOON_CHANGE and our own events. */
void control_event(struct control *control, enum balloon_event event);
/* The VMM came or went. */
void control_vmm(struct control *control, bool connected);

#endif
