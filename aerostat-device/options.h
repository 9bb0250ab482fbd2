/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line: one table of options, which parses, explains itself and is
 * held against the man page.
 */
#ifndef AEROSTAT_TRANSPORT_OPTIONS_H
#define AEROSTAT_TRANSPORT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "transport/transport.h"

#define OPTIONS_COMPLAINT_MAX 512

enum audit_mode { AUDIT_OFF, AUDIT_REPORT, AUDIT_RELEASE };
enum options_order { ORDER_SERVE, ORDER_HELP, ORDER_VERSION, ORDER_CAPABILITIES };

struct device_options {
	enum options_order order;
	const char *socket_path, *control_path, *name, *user;
	int fd, control_fd; /* -1: none */
	const struct transport_ops *protocol;
	uint64_t max_bytes, target_bytes; /* 0: not said */
	uint64_t features;
	uint64_t release_delay_ns;
	bool msix, populate, keep, verbose;
	bool sandbox;
	enum audit_mode audit;
	uint64_t audit_interval_s;
	char complaint[OPTIONS_COMPLAINT_MAX];
};

struct option_row {
	const char *name;     /* "--max" */
	const char *argument; /* "SIZE"; NULL: takes none */
	const char *help;     /* may have lines */
	/* False with a complaint. */
	bool (*take)(struct device_options *options, const char *value);
};
extern const struct option_row device_options_table[];
extern const size_t device_options_count;
extern const struct transport_ops *const device_protocols[];
extern const size_t device_protocol_count;

/* False with options->complaint, a line that names the word at fault and the remedy. */
bool device_options_parse(struct device_options *options, int argc, char *const argv[]);

void device_options_help(FILE *out);
void device_options_capabilities(FILE *out);

#endif
