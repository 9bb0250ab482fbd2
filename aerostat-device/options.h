/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line.  One table of options drives parsing and --help, and the man
 * page is tested against it.
 */
#ifndef AEROSTAT_DEVICE_OPTIONS_H
#define AEROSTAT_DEVICE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "transport/transport.h"

#define OPTIONS_COMPLAINT_MAX 512

enum audit_mode { AUDIT_OFF, AUDIT_REPORT, AUDIT_RELEASE };
enum device_action { ACTION_SERVE, ACTION_HELP, ACTION_VERSION, ACTION_CAPABILITIES };

struct device_options {
	enum device_action action;
	const char *socket_path, *control_path, *name, *user;
	int fd, control_fd; /* -1: none */
	const struct transport_ops *protocol;
	uint64_t max_bytes, target_bytes; /* 0: not given */
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
	const char *help;
	/* Takes the option, with its value or NULL; false with options->complaint. */
	bool (*parse)(struct device_options *options, const char *value);
};
extern const struct option_row device_options_table[];
extern const size_t device_options_count;
extern const struct transport_ops *const device_protocols[];
extern const size_t device_protocol_count;

/*
 * device_options_parse - parse the command line
 * @options: set, with defaults for what is not given; strings point into @argv
 *
 * Returns false with options->complaint, one line that names the wrong argument
 * and the remedy.
 */
bool device_options_parse(struct device_options *options, int argc, char *const argv[]);

/* Prints what --help prints. */
void device_options_help(FILE *out);
/* Prints what --print-capabilities prints: one line of JSON. */
void device_options_capabilities(FILE *out);

#endif
