/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One guest: from its answers to what the policy is shown.
 *
 * A guest's own size
 * ------------------
 * before_bytes is the size that the guest had before anybody set it through the daemon.  Until
 * then it follows the size at which the guest stands still, as people may resize it.  It is fixed
 * by the first target, the policy's or a person's, and from then on neither decisions nor held
 * sizes nor a return to auto change it; managed_set_own_size() does.  It moves with the guest's
 * maximum, as do the target and the held size: memory that is plugged in leaves the balloon as it
 * is.
 *
 * When the daemon ends, a guest that the policy has changed is restored to its own size, and one
 * whose size a person has chosen is left at that.
 *
 * All changes of a struct managed (manager.h) happen in managed.c; the other files read it.
 * Nothing here does I/O except managed_send_target(), managed_send_loan() and
 * managed_start_restore(), which leave a request with the guest's worker, and
 * managed_watch_pulls(), which connects to its device.
 */
#ifndef AEROSTATD_MANAGED_H
#define AEROSTATD_MANAGED_H

#include "aerostatd/manager.h"
#include "aerostatd/size_watch.h"
#include "aerostatd/state_file.h"
#include "aerostatd/worker.h"
#include "hypervisor/guest_word.h"

/* A guest that stands still below its target is sent it again after this time. */
#define REMIND_US (5 * G_USEC_PER_SEC)
/* A guest whose last answer is older than this does not answer. */
#define ANSWER_US (3 * G_USEC_PER_SEC)

/*
 * managed_new - a guest that has just been found
 * @id: never used for another guest
 * @found: its source and address are copied
 * @owner: what managed_owner() returns
 *
 * Its name is its address until it has answered.
 */
struct managed *managed_new(uint64_t id, const hv_guest *found, void *owner);

/* Frees a struct managed and its worker. */
void managed_free(gpointer guest);

/* The @owner of managed_new(). */
void *managed_owner(const struct managed *guest);

/* Hands @worker over to the guest; once.  Without one, requests are dropped. */
void managed_attach_worker(struct managed *guest, struct worker *worker);

/* The worker; NULL before managed_attach_worker(). */
struct worker *managed_worker(const struct managed *guest);

/* Gives the worker up to the caller. */
struct worker *managed_detach_worker(struct managed *guest);

/* What it is called; the texts are the guest's. */
struct guest_names managed_names(const struct managed *guest);
/* Whether @word means it: guest_word.h. */
bool managed_is_called(const struct managed *guest, const char *word);

/* Whether the process that ran it at its first answer is still running. */
enum process_state managed_process_state(const struct managed *guest);

/* Whether the process @pid that started at @start_ticks is its balloon device. */
bool managed_has_device(const struct managed *guest, pid_t pid, uint64_t start_ticks);

/*
 * Its answers
 */

enum managed_change {
	MANAGED_UNCHANGED,
	MANAGED_FIRST_ANSWER, /* its identity is known from now on */
	MANAGED_REPLACED,     /* another guest answers at its address */
	MANAGED_RESIZED,      /* somebody else set its size */
};

/* Takes in an answer without an error.  MANAGED_REPLACED leaves the guest as it was. */
enum managed_change managed_take_sample(struct managed *guest, const struct worker_sample *sample);

/* Takes in that an answer does not count as the guest's first one yet; @why, in words that follow
 * its name.  Its name and UUID are known from now on. */
void managed_postpone(struct managed *guest, const hv_info *info, const char *why);

/* Whether the last sample was the first with its statistics period from before it was managed, so
 * that the state file has to be written. */
bool managed_has_learned_period(const struct managed *guest);

/* Notes why the guest cannot be used now, in words that follow its name. */
void managed_set_problem(struct managed *guest, const char *problem);

/* Whether its last answer is more than ANSWER_US old at @now_us, and nobody has noted that. */
bool managed_is_silent(const struct managed *guest, int64_t now_us);

/*
 * Its mode
 */

/* The mode that applies: a person's if one chose any, otherwise the configuration's. */
enum policy_mode managed_mode(const struct managed *guest);

/* While somebody else changes its statistics period for the moment, the period is neither set nor
 * taken for its own. */
void managed_lend_period(struct managed *guest, bool is_lent);

/* Applies the configuration's rules. */
void managed_set_rules(struct managed *guest, const struct policy_rules *rules);

/*
 * managed_set_person_mode - apply the mode that a person chose
 * @mode: POLICY_AUTO returns to the configuration's mode
 * @bytes: with POLICY_HELD the size; HV_UNSET for the size it has
 *
 * Until it returns to auto, the guest is left at a size that a person chose when the daemon ends.
 */
void managed_set_person_mode(struct managed *guest, enum policy_mode mode, uint64_t bytes,
			     int64_t now_us);

/* Somebody else set its size: that is what it is left with, and its target is unknown. */
void managed_accept_size(struct managed *guest);

/* Sets the size that a person chose, in a mode in which the guest is not held.  It is left at that
 * when the daemon ends, and returns to its own size if the policy changes it again. */
void managed_choose_size(struct managed *guest, uint64_t bytes, int64_t now_us);

/* A person declares its own size; unless a person holds it, it is restored to that when the daemon
 * ends. */
void managed_set_own_size(struct managed *guest, uint64_t bytes);

/*
 * The policy
 */

/* Updates guest->seen.  @shares_process: its process also runs other guests, so that what the
 * process uses says nothing about this one. */
void managed_update_view(struct managed *guest, int64_t now_us, bool shares_process);

/*
 * managed_take_decision - note what the policy decided
 *
 * Returns true if this makes the first change to the guest: the state file must be written before
 * managed_send_target().
 */
bool managed_take_decision(struct managed *guest, const struct policy_decision *decision);

/*
 * Whether the decision is to be carried out: it changes the target of a guest in mode auto that
 * is not suspected to have been resized by somebody else, and whose own size is known.  The first
 * target of a guest with a gate is set even if it is the size that the guest has.
 */
bool managed_wants_target(const struct managed *guest);
/* Whether the decision is another target than the present one. */
bool managed_is_resized(const struct managed *guest);

/* Its target as the policy sees it: the last one set, otherwise its size. */
uint64_t managed_present_target(const struct managed *guest);

/* What it uses or may use at any time: the larger of its size and its target. */
uint64_t managed_use_bytes(const struct managed *guest);

/* Adds the decision to the history, together with the size and target before it. */
void managed_add_history(struct managed *guest);

/* Requests the decided target, or the last target again. */
void managed_send_target(struct managed *guest, uint64_t target_bytes, int64_t now_us);

/*
 * managed_note_target - note the reply to managed_send_target()
 * @error: the hypervisor did not take the target, or it is not known whether it did
 *
 * A guest whose targets were all refused was never changed.  Returns whether what has to be saved
 * of it is another now.
 */
bool managed_note_target(struct managed *guest, uint64_t target_bytes, const GError *error);

/* No target will be sent any more: if none ever was that may have been set, the guest was never
 * changed.  Returns whether that is new. */
bool managed_forget_unset(struct managed *guest);

/* Whether it stands still below its target and should be sent it again. */
bool managed_needs_reminder(const struct managed *guest, int64_t now_us);

/*
 * What it takes back by itself, and gives up
 */

/* Calls @pulled with the guest when its device reports that it takes memory back by itself, if its
 * device does that.  Repeated after each answer, as the connection may be lost. */
void managed_watch_pulls(struct managed *guest, void (*pulled)(void *guest));

/* What it took back since the last call that returned other than 0. */
uint64_t managed_take_pulled(struct managed *guest);

/* Requests the credit and the trim that were decided for it, or that its gate be opened if none
 * was. */
void managed_send_loan(struct managed *guest);

/* Its last target; HV_UNSET if there is none, or somebody else has set another. */
uint64_t managed_target(const struct managed *guest);

/*
 * What outlives the daemon
 */

/* Its migration here left @saved behind, of which a copy is kept until the guest is here. */
void managed_bequeath(struct managed *guest, const struct saved_guest *saved);

/* What managed_bequeath() has kept, or NULL. */
const struct saved_guest *managed_heritage(const struct managed *guest);

/*
 * managed_init_saved - after the first answer: how the guest was before it was managed
 * @saved: what an earlier daemon saved of it; NULL: it is as it was
 */
void managed_init_saved(struct managed *guest, const struct saved_guest *saved);

/* Fills @saved, whose texts remain the guest's. */
void managed_save(const struct managed *guest, struct saved_guest *saved);

/* Fills @saved as it would be after managed_set_person_mode() with the same arguments. */
void managed_preview_mode(const struct managed *guest, enum policy_mode mode, uint64_t bytes,
			  int64_t now_us, struct saved_guest *saved);

/* Requests that the guest be restored.  Until managed_finish_restore() it is not sampled, shown
 * to the policy or changed otherwise. */
void managed_start_restore(struct managed *guest);

/* The outcome. */
void managed_finish_restore(struct managed *guest, enum restore_outcome outcome);

/* Whether the outcome was RESTORE_MOVING. */
bool managed_is_moving(const struct managed *guest);

/* Between managed_start_restore() and managed_finish_restore(). */
bool managed_is_restoring(const struct managed *guest);

#endif
