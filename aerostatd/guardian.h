/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fail-open: when the daemon is gone, whatever ended it, its guests are put back to
 * how they were before.
 *
 * Theory of operation
 * -------------------
 * The guardian is the same program, started by the daemon in a session of its own
 * ("aerostatd --guard").  It waits for the end of a pipe that only the daemon holds
 * open, which the kernel closes when the daemon dies by any signal.  Then it locks the
 * folder (keep.h) — if a new daemon has it already, that one goes on from the file and
 * nothing is put back — and sets every guest of the file that the daemon had changed
 * back to its size and its period of statistics, all at once, each with a deadline of
 * its own.
 *
 * It keeps the lock until the guests have what they are given back, or the deadline has
 * come: a daemon that is started meanwhile would take a size on the way for the one from
 * before.
 *
 * A guest that the daemon had made larger may need it by now.  It keeps what it says that
 * it cannot do without; to take that by force would kill processes in it.  If it says
 * nothing, nothing is taken.
 *
 * A guardian that ends is started again.  An orderly end dismisses it first.
 */
#ifndef AEROSTAT_GUARDIAN_H
#define AEROSTAT_GUARDIAN_H

#include <glib.h>
#include <stdbool.h>

struct guardian;

/* @program: the path of aerostatd, "/proc/self/exe" */
struct guardian *guardian_start(const char *program, const char *folder, GError **error);
pid_t guardian_pid(const struct guardian *guardian);
/* Ends it; it will put nothing back. */
void guardian_dismiss(struct guardian *guardian);

/* The guardian's own main program; stdin is the pipe.  An exit code. */
int guardian_main(const char *folder);

/* What one guest may take, and so about all of guardian_restore(). */
#define GUARDIAN_RESTORE_MS 10000
/*
 * guardian_restore - puts guests back now: "aerostatd --restore", ExecStopPost=
 * @folder: locked by the caller
 *
 * Returns how many could not be; each is told of by a line of log.  The file is
 * left with those, and with what people decided for guests that still run.  At least 1
 * with an error, which is about the file.
 */
unsigned int guardian_restore(const char *folder, GError **error);

#endif
