/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state file: what must outlive the daemon, which is how each guest was before it was managed
 * and what people decided about it since.
 *
 * Theory of operation
 * -------------------
 * It is one JSON file in the daemon's folder (/run/aerostat), always replaced as a whole, so that
 * it is never half written.  It is written before a guest is changed for the first time.  The
 * guardian restores guests from it, and a daemon that is started again continues from it.
 *
 * An entry is for one run of a guest: a guest that was started again since has never been managed.
 * It is found by the process that runs the guest, or by the UUID; the address is only where the
 * guest was seen last.
 *
 * Each row stands for itself.  A row that could not be read back is not written, and one that
 * cannot be read is moved to guests.json.damaged; neither costs the others theirs.
 *
 * What an entry says of sizes and modes can also be left with the guest as a note, so that it
 * follows a guest that is saved, restored or migrated and so gets another process.
 */
#ifndef AEROSTATD_STATE_FILE_H
#define AEROSTATD_STATE_FILE_H

#include <glib.h>
#include <stdbool.h>

#include "aerostatd/identity.h"
#include "hypervisor/hypervisor.h"

struct saved_guest {
	char *source;  /* "qmp", or a libvirt URI: hv_guest's */
	char *address; /* "qmp:PATH", or a domain's name */
	char *name;
	char *uuid;	       /* NULL if unknown */
	pid_t pid;	       /* of the process that runs it; 0 if unknown */
	uint64_t start_ticks;  /* process_start_ticks() of it; 0 if unknown */
	uint64_t before_bytes; /* its size before it was managed; never HV_UNSET */
	int before_period_s;   /* the same of its statistics; -1: unknown, to be left alone */
	uint64_t max_bytes;    /* the maximum that all sizes here refer to; 0 if unknown */
	bool changed;	       /* the daemon has set its size since: it must be restored */
	bool was_set;	       /* the daemon or a person has, so its size now is not its own */
	int mode;	       /* enum policy_mode that a person chose; -1: none */
	uint64_t held_bytes;   /* with POLICY_HELD; HV_UNSET: whatever size it has */
};

/*
 * size_at_maximum - what becomes of a size when the guest's maximum moves
 * @bytes: a size, target or held size at @from_bytes
 * @from_bytes, @to_bytes: the maximum then and now; 0 if unknown
 *
 * Memory that is plugged in or unplugged does not change the balloon, so the size moves with the
 * maximum.  The result is at most @to_bytes, and not below what a guest needs to live.
 */
uint64_t size_at_maximum(uint64_t bytes, uint64_t from_bytes, uint64_t to_bytes);

/* A copy, to be freed with saved_guest_free(). */
struct saved_guest *saved_guest_copy(const struct saved_guest *guest);

/* @guest may be NULL. */
void saved_guest_free(struct saved_guest *guest);

/*
 * state_file_load - read the state file in @folder
 *
 * Returns struct saved_guest *, freed with the array; an empty array if there is no file.  Rows
 * that cannot be understood are logged and moved to guests.json.damaged, one per line.  NULL with a
 * G_FILE_ERROR if the file as a whole cannot be read or understood, or a row not be moved; it is
 * left as it is.
 */
GPtrArray *state_file_load(const char *folder, GError **error);

/* Replaces the file, durably; removes it if @guests is empty.  Rows that state_file_accepts() would
 * refuse are left out. */
bool state_file_save(const char *folder, const GPtrArray *guests, GError **error);

/* Whether @guest's row could be read back from the file. */
bool state_file_accepts(const struct saved_guest *guest);

/*
 * state_file_find - the entry of a guest, unless it is for an earlier run
 * @guests: struct saved_guest *
 * @guest: where it is now, and its identity; the rest is not used
 *
 * NULL if there is none.
 */
struct saved_guest *state_file_find(const GPtrArray *guests, const struct saved_guest *guest);

/* What is known of the guest of an entry; its texts remain the entry's. */
struct identity saved_guest_identity(const struct saved_guest *guest);

/* What of an entry travels with the guest, as text without control characters, to be freed. */
char *saved_guest_note(const struct saved_guest *guest);

/*
 * saved_guest_take_note - replace what travels in @guest by what @note says
 * @guest: its UUID and process are those that it has now
 * @origin: how it came into that process
 *
 * False, with nothing replaced, if the note makes no sense or is not about this run of this guest.
 */
bool saved_guest_take_note(struct saved_guest *guest, const char *note, enum hv_origin origin);

/*
 * state_folder_lock - let one daemon at a time use a folder
 *
 * Makes the folder (mode 0755) if needed and locks it, waiting at most @wait_ms.  Returns a
 * descriptor, which unlocks when closed and which no started program inherits, or -1 with a
 * G_FILE_ERROR: AGAIN if another process has the lock.  A daemon should wait longer than a guardian
 * may take (GUARDIAN_RESTORE_MS).
 */
int state_folder_lock(const char *folder, unsigned int wait_ms, GError **error);

#endif
