/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's log: lines on standard error.  Under systemd a line begins with its syslog level,
 * such as "<6>", elsewhere with "error: ", "warning: ", "debug: " or nothing.
 */
#ifndef AEROSTATD_LOG_H
#define AEROSTATD_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <syslog.h>

/*
 * manager_log - writes one line
 * @level: LOG_ERR, LOG_WARNING, LOG_INFO, or LOG_DEBUG, which is left out unless the log is verbose
 * @format: the text without a line's end, printed by plain_text()
 *
 * Lines of more than 2 KiB are cut.  Never blocks: a line that cannot be written is lost.  Any
 * thread may call it.
 */
void manager_log(int level, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Whether lines of LOG_DEBUG are written; by default they are not. */
void manager_log_verbose(bool verbose);

#endif
