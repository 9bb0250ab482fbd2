/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's log: a line on stderr, with its syslog level in front ("<6>") under systemd. */
#ifndef AEROSTAT_MANAGER_LOG_H
#define AEROSTAT_MANAGER_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <syslog.h>

/* @level: LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG (only with manager_log_verbose()) */
void manager_log(int level, const char *format, ...) G_GNUC_PRINTF(2, 3);
void manager_log_verbose(bool verbose);

#endif
