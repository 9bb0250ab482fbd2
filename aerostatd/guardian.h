/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guardian: when the daemon is gone, whatever ended it, its guests are restored.
 *
 * Theory of operation
 * -------------------
 * The guardian is the same program ("aerostatd --guard"), started by the daemon in a session of its
 * own.  It waits for the end of a pipe that only the daemon holds open, and which the kernel closes
 * when the daemon dies.  Then it locks the folder (state_file.h).  If a new daemon has the lock
 * already, that one continues from the state file and the guardian exits.  Otherwise it restores
 * every guest of the file (restore.h), all at once, each with its own deadline.
 *
 * It keeps the lock until that has ended: a daemon that was started meanwhile would take a size on
 * the way for the size from before.
 *
 * A guardian that ends is started again.  A daemon that ends in order dismisses it first.
 */
#ifndef AEROSTATD_GUARDIAN_H
#define AEROSTATD_GUARDIAN_H

#include <glib.h>
#include <stdbool.h>

struct guardian;

/*
 * guardian_start - start the guardian of this process
 * @program: the path of aerostatd, "/proc/self/exe"
 * @folder: of the state file
 *
 * It is watched, and started again, in the default main context.
 */
struct guardian *guardian_start(const char *program, const char *folder, GError **error);

/* Ends the guardian, which restores nothing, and frees @guardian, which may be NULL. */
void guardian_dismiss(struct guardian *guardian);

/* The main function of the guardian's process; stdin is the pipe.  Returns the exit code. */
int guardian_main(const char *folder);

/* How long the restore of one guest may take, and so about that of all. */
#define GUARDIAN_RESTORE_MS 10000

/*
 * guardian_restore - restore all guests of the state file
 * @folder: locked by the caller
 *
 * Logs a line per guest and returns how many failed.  The state file is left with those, and with
 * the modes that people chose for guests that still run.  Returns at least 1 with @error, which
 * is about the file.
 */
unsigned int guardian_restore(const char *folder, GError **error);

#endif
