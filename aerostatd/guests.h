/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All guests of the daemon, and the state file that outlives it.
 *
 * Theory of operation
 * -------------------
 * Managed guests are sampled, shown to the policy and reported.  Strays (strays.h) are entries of
 * the state file whose guests are not managed: saved by an earlier daemon and not found yet, or no
 * longer found by any source and being restored.  Both are in the state file.  An entry goes only
 * when its guest was restored or has provably ended.  A guest that is found again claims its entry,
 * and so keeps the size from before it was first managed.
 *
 * A guest of libvirt carries the same in a note (hv_guest_note_set()), which follows it into
 * another process.  One that is migrated between two monitors without libvirt has none: it
 * inherits what is known of the guest that it comes from, if that is managed here, too.
 *
 * One guest may be found at several addresses: a monitor socket and a link to it, or libvirt and
 * the monitor.  It is managed at the first.  The others are its aliases; they become guests again
 * when the first is gone.
 *
 * The control socket of a guest's balloon device is such an address, too, though the device is a
 * process of its own and has no UUID.  It knows less than libvirt does, so it gives way to the
 * guest even if it was found first.
 */
#ifndef AEROSTATD_GUESTS_H
#define AEROSTATD_GUESTS_H

#include "aerostatd/managed.h"

struct guests;

/*
 * guests_new - read the state file in @folder
 * @strays_changed: called with @data when a stray was restored, or the last attempt has ended
 *
 * NULL with an error if the file cannot be understood.
 */
struct guests *guests_new(const char *folder, void (*strays_changed)(void *data), void *data,
			  GError **error);
/* Frees all guests; none is restored. */
void guests_free(struct guests *guests);

/* The managed guests, struct managed *, sorted by name and address once they have answered. */
const GPtrArray *guests_list(const struct guests *guests);

/* Adds a guest that was found, and owns it from now on. */
void guests_add(struct guests *guests, struct managed *guest);

/* Takes out a managed guest whose end is proven, or that never answered; the caller frees it. */
void guests_remove(struct guests *guests, struct managed *guest);

/* The managed guest at an address; NULL if there is none. */
struct managed *guests_find_address(const struct guests *guests, const char *source,
				    const char *address);

/* The only managed guest that @word means (guest_word.h); NULL with a MANAGER_ERROR. */
struct managed *guests_find_name(const struct guests *guests, const char *word, GError **error);

/*
 * guests_merge_known - what was known of a guest at another address
 *
 * Applies it to @guest, which was claimed before, unless more is known of that.
 */
void guests_merge_known(struct guests *guests, struct managed *guest,
			const struct saved_guest *known);

/*
 * guests_delay_claim - whether something set for a guest before may still reach it
 * @info: the answer of @guest, which may be its first
 *
 * That is so while its entry of the state file is being restored, which is cancelled, and while its
 * balloon device, managed as a guest, is being set a target.  Until then no answer of the guest
 * counts: a newer target might be overtaken.
 */
bool guests_delay_claim(struct guests *guests, const struct managed *guest, const hv_info *info);

/*
 * guests_claim - what is saved of a managed guest that has answered for the first time
 * @note: the guest's own (hv_guest_note_get()); NULL if it has none
 * @heritage: what is known of it otherwise; NULL if nothing is
 *
 * Applies the first of these to the guest: its entry of the state file, or that of its balloon
 * device, @note, @heritage.  Returns whether there was any.
 */
bool guests_claim(struct guests *guests, struct managed *guest, const char *note,
		  const struct saved_guest *heritage);

/*
 * guests_find_source - where a guest that has just answered was migrated from
 *
 * The managed guest with its UUID or, where neither has any, its name; NULL if there is none or
 * it was not migrated.
 */
struct managed *guests_find_source(const struct guests *guests, const struct managed *guest);

/* Leaves what is known of @guest, which is about to go, to the guest that arrives from there. */
void guests_bequeath(struct guests *guests, const struct managed *guest);

/* Makes a managed guest that is no longer found a stray, which is restored.  The caller frees
 * @guest, which has no worker any more. */
void guests_start_leaving(struct guests *guests, struct managed *guest);

/*
 * Aliases
 */

/* The other managed guest that @guest, which has just answered, really is; NULL if there is none.
 */
struct managed *guests_find_same(const struct guests *guests, const struct managed *guest);

/* The managed guest that is really the balloon device of @guest; NULL if there is none, or it is
 * being set a target. */
struct managed *guests_find_device(const struct guests *guests, const struct managed *guest);

/*
 * guests_add_alias - note that @guest can also be reached at another address
 * @names: what it is called there; guests_find_name() finds it by these, too
 *
 * False if that is known already.
 */
bool guests_add_alias(struct guests *guests, const struct managed *guest,
		      const struct guest_names *names);

/* Forgets an address that is no longer found.  False if it was none. */
bool guests_remove_alias(struct guests *guests, const char *source, const char *address);

/* Calls @visit with each address of @guest, which is about to go: another guest may be there. */
void guests_visit_aliases(const struct guests *guests, const struct managed *guest,
			  void (*visit)(void *data, const char *source, const char *address),
			  void *data);

/*
 * Restoring and saving
 */

/*
 * guests_finish_restore - note the outcome of the restore of a managed guest
 *
 * Frees the guest if it has ended.
 */
void guests_finish_restore(struct guests *guests, struct managed *guest,
			   enum restore_outcome outcome);

/* Starts the restore of all managed guests that have answered, and a last one of all strays. */
void guests_start_restore(struct guests *guests);

/* How many are being restored. */
unsigned int guests_count_restoring(const struct guests *guests);

/* How many are being restored, or have to be at the next opportunity. */
unsigned int guests_count_missing(const struct guests *guests);

/* The same of strays only. */
unsigned int guests_count_strays(const struct guests *guests);

/* The state file is out of date. */
void guests_touch(struct guests *guests);

/*
 * guests_save - write the state file if it is out of date, and then the notes
 *
 * Returns whether it is up to date: if not, no guest may be changed.  The first failure in a row is
 * logged.
 */
bool guests_save(struct guests *guests);

/*
 * guests_save_choices - write the state file as it will be once @choices apply
 * @who: struct managed *
 * @choices: of each of @who, in the same order
 *
 * False with MANAGER_ERROR_NOT_KEPT if it cannot be written; it is then as it was.
 */
bool guests_save_choices(struct guests *guests, GPtrArray *who, const struct saved_guest *choices,
			 GError **error);

/* Whether @guest is in the state file once that is up to date, and so may be changed. */
bool guests_can_keep(const struct managed *guest);

#endif
