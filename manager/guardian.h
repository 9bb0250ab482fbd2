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
 * folder (keep.h) — if a new daemon has it already, that one goes on from the file and nothing
 * is put back — and sets every guest of the file that the daemon had changed back to its
 * size and its period of statistics, all at once, each with a deadline of its own.
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

/*
 * guardian_restore - puts guests back now: "aerostatd --restore", ExecStopPost=
 *
 * Returns how many could not be; each is told of by a line of log.  The file is
 * left with those alone.
 */
unsigned int guardian_restore(const char *folder, GError **error);

#endif
