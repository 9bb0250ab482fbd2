/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/restore.h"

#include <poll.h>
#include <string.h>

#include "aerostatd/log.h"
#include "common/size.h"
#include "policy/floor.h"

#define POLL_MS 20
#define RETRY_MS 200
/* A process closes its sockets a moment before it can be seen to have ended. */
#define EXIT_WAIT_MS 3000
/* A size near its target that has not moved for this long stands still. */
#define SETTLE_US (300 * 1000)
/* A guest that came closer to its target within this time is moving. */
#define MOVING_US (5 * G_USEC_PER_SEC)

/* Whether its size is its saved one, or beyond it in the direction in which it had to move. */
static bool has_arrived(const struct restore_evidence *evidence)
{
	uint64_t saved = evidence->saved_bytes, actual = evidence->actual_bytes;

	if (evidence->from_bytes == HV_UNSET || saved >= evidence->from_bytes)
		return actual + ARRIVED_BYTES >= saved;
	return actual <= saved + ARRIVED_BYTES;
}

enum restore_outcome restore_judge(const struct restore_evidence *evidence)
{
	if (evidence->process == PROCESS_ENDED && evidence->may_move &&
	    evidence->found == FOUND_UNKNOWN)
		return RESTORE_FAILED;
	if (evidence->process == PROCESS_ENDED || evidence->found == FOUND_ANOTHER)
		return RESTORE_GONE;
	if (evidence->found == FOUND_NONE)
		return evidence->process == PROCESS_RUNNING ? RESTORE_FAILED : RESTORE_GONE;
	if (evidence->found == FOUND_UNKNOWN || evidence->period_failed)
		return RESTORE_FAILED;
	if (!evidence->resized)
		return RESTORE_DONE;
	if (evidence->target_bytes != evidence->saved_bytes || evidence->actual_bytes == HV_UNSET)
		return RESTORE_FAILED;
	if (has_arrived(evidence))
		return RESTORE_DONE;
	return evidence->moving ? RESTORE_MOVING : RESTORE_FAILED;
}

/* The least size the guest can have now: what it uses, and its headroom. */
static bool read_least_size(hv_guest *guest, int64_t deadline, const struct hv_info *info,
			    uint64_t *least_bytes, GError **error)
{
	struct hv_stats stats;
	uint64_t actual, usable;

	if (!hv_guest_stats_get(guest, deadline, &stats, error))
		return false;
	actual = stats.value[HV_STAT_ACTUAL];
	usable = stats.value[HV_STAT_USABLE];
	if (hv_stats_stale(&stats) || actual == HV_UNSET || usable > actual) {
		g_set_error(error, HV_ERROR, HV_ERROR_FAILED,
			    "it does not report what it can spare, so nothing is taken from it");
		return false;
	}
	*least_bytes = actual - usable + headroom_bytes(info->max_bytes);
	*least_bytes = (*least_bytes + SIZE_MIB - 1) / SIZE_MIB * SIZE_MIB;
	return true;
}

/* The saved size, or more if the guest was given more and needs it. */
static bool choose_target(hv_guest *guest, int64_t deadline, const struct hv_info *info,
			  uint64_t saved_bytes, uint64_t *target_bytes, GError **error)
{
	uint64_t least_bytes;

	*target_bytes = saved_bytes;
	if (info->actual_bytes == HV_UNSET || saved_bytes >= info->actual_bytes)
		return true;
	if (!read_least_size(guest, deadline, info, &least_bytes, error))
		return false;
	*target_bytes = CLAMP(least_bytes, saved_bytes, info->actual_bytes);
	return true;
}

/* One attempt to restore a guest. */
struct attempt {
	hv_guest *guest;
	struct saved_guest saved; /* its texts are the caller's */
	int64_t deadline;
	const gint *cancelled; /* may be NULL */
	struct restore_evidence evidence;
};

/* Sets the error if the attempt was cancelled. */
static bool is_cancelled(const struct attempt *attempt, GError **error)
{
	if (!attempt->cancelled || !g_atomic_int_get(attempt->cancelled))
		return false;
	g_set_error(error, HV_ERROR, HV_ERROR_FAILED, "the attempt was cancelled");
	return true;
}

/* The time is over before the guest has its target. */
static void give_up_wait(struct restore_evidence *evidence, int64_t closer_us, GError **error)
{
	g_autofree char *text = size_format(evidence->actual_bytes);

	evidence->moving = g_get_monotonic_time() - closer_us < MOVING_US;
	g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT, "it %s, at %s",
		    evidence->moving ? "is still on its way" : "stands still on its way", text);
}

/* Waits until the guest has its target, which is not judged here. */
static bool wait_for_size(struct attempt *attempt, GError **error)
{
	struct restore_evidence *evidence = &attempt->evidence;
	struct restore_evidence arrived = *evidence;
	uint64_t distance, closest = UINT64_MAX;
	int64_t moved_us = g_get_monotonic_time(), closer_us = 0;

	/* A guest that keeps more than its saved size has that to arrive at. */
	arrived.saved_bytes = evidence->target_bytes;
	arrived.period_failed = false;
	while (!is_cancelled(attempt, error)) {
		if (!hv_guest_balloon_get(attempt->guest, attempt->deadline,
					  &evidence->actual_bytes, error))
			return false;
		if (arrived.actual_bytes != evidence->actual_bytes)
			moved_us = g_get_monotonic_time();
		arrived.actual_bytes = evidence->actual_bytes;
		distance = size_difference(evidence->actual_bytes, evidence->target_bytes);
		if (distance < closest && closest != UINT64_MAX)
			closer_us = g_get_monotonic_time();
		closest = MIN(closest, distance);
		if (restore_judge(&arrived) == RESTORE_DONE &&
		    (arrived.actual_bytes == arrived.target_bytes ||
		     g_get_monotonic_time() - moved_us >= SETTLE_US))
			return true;
		if (hv_deadline_ms(POLL_MS) >= attempt->deadline) {
			give_up_wait(evidence, closer_us, error);
			return false;
		}
		poll(NULL, 0, POLL_MS);
	}
	return false;
}

static bool restore_guest_size(struct attempt *attempt, uint64_t target_bytes, GError **error)
{
	struct restore_evidence *evidence = &attempt->evidence;
	g_autofree char *text = NULL;

	if (is_cancelled(attempt, error) ||
	    !hv_guest_balloon_set(attempt->guest, attempt->deadline, target_bytes, HV_SCOPE_LIVE,
				  error))
		return false;
	evidence->target_bytes = target_bytes;
	if (!wait_for_size(attempt, error))
		return false;
	if (target_bytes == evidence->saved_bytes)
		return true;
	text = size_format(target_bytes);
	g_set_error(error, HV_ERROR, HV_ERROR_REFUSED, "it needs %s now, and keeps that", text);
	return false;
}

bool restore_is_needed(const struct saved_guest *saved)
{
	return saved->changed ||
	       (saved->before_period_s >= 0 && saved->before_period_s != MANAGED_STATS_PERIOD_S);
}

/*
 * Follows a guest that was saved and restored, and so runs in another process, by its note.  False
 * with an error if that could not be found out.
 */
static bool follow_note(struct attempt *attempt, const struct hv_info *info, GError **error)
{
	struct saved_guest *saved = &attempt->saved, now = *saved;
	g_autoptr(GError) problem = NULL;
	g_autofree char *note = NULL;

	if (!saved->uuid || g_strcmp0(saved->uuid, info->uuid))
		return true;
	if (!hv_guest_note_get(attempt->guest, attempt->deadline, &note, &problem) &&
	    problem->code != HV_ERROR_UNSUPPORTED) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return false;
	}
	now.pid = info->pid;
	now.start_ticks = process_start_ticks(info->pid);
	if (!note || !saved_guest_take_note(&now, note, info->origin))
		return true;
	*saved = now;
	attempt->evidence.resized = saved->changed;
	attempt->evidence.saved_bytes = saved->before_bytes;
	attempt->evidence.found = FOUND_SAME;
	return true;
}

/* Finds out who answers; false with an error if nobody does. */
static bool identify_guest(struct attempt *attempt, struct hv_info *info, GError **error)
{
	const struct identity identity = saved_guest_identity(&attempt->saved);
	struct restore_evidence *evidence = &attempt->evidence;

	if (!hv_guest_info(attempt->guest, attempt->deadline, info, error))
		return false;
	/* libvirt's answer; a QEMU that stays after a shutdown (-no-shutdown) answers itself. */
	if (info->state == HV_STATE_SHUTOFF && !info->pid) {
		evidence->found = FOUND_NONE;
		g_set_error(error, HV_ERROR, HV_ERROR_NOT_RUNNING, "it is shut off");
		return false;
	}
	if (info->origin == HV_ORIGIN_LEFT) {
		evidence->found = FOUND_ANOTHER; /* which goes on elsewhere */
		return true;
	}
	if (identity_matches(&identity, info)) {
		evidence->found = FOUND_SAME;
		return true;
	}
	if (!follow_note(attempt, info, error))
		return false;
	if (evidence->found != FOUND_SAME)
		evidence->found = FOUND_ANOTHER;
	return true;
}

/* The note is about what there is to restore, which is nothing now. */
static bool update_note(struct attempt *attempt, GError **error)
{
	struct saved_guest saved = attempt->saved;
	g_autoptr(GError) problem = NULL;
	g_autofree char *note = NULL;

	restore_update_entry(&saved, RESTORE_DONE);
	note = restore_make_note(&saved);
	if (hv_guest_note_set(attempt->guest, attempt->deadline, note, &problem) ||
	    problem->code != HV_ERROR_TIMEOUT)
		return true; /* one that cannot be changed could not be left, either */
	g_propagate_prefixed_error(error, g_steal_pointer(&problem), "its note is still there: ");
	return false;
}

/* Does what can be done before the deadline, and notes it.  False: @error is set. */
static bool try_restore(struct attempt *attempt, GError **error)
{
	struct restore_evidence *evidence = &attempt->evidence;
	const struct saved_guest *saved = &attempt->saved;
	g_autoptr(GError) period_error = NULL;
	g_auto(hv_info) info = { 0 };
	uint64_t target_bytes = HV_UNSET;
	bool chosen;

	if (!identify_guest(attempt, &info, error))
		return false;
	if (evidence->found == FOUND_ANOTHER)
		return true;
	evidence->from_bytes = info.actual_bytes;
	evidence->saved_bytes =
		size_at_maximum(saved->before_bytes, saved->max_bytes, info.max_bytes);
	chosen = !evidence->resized || choose_target(attempt->guest, attempt->deadline, &info,
						     evidence->saved_bytes, &target_bytes, error);
	/* Before the wait for its size, which may take all the time there is. */
	if (saved->before_period_s >= 0)
		evidence->period_failed = !hv_guest_stats_period_set(
			attempt->guest, attempt->deadline, saved->before_period_s, HV_SCOPE_LIVE,
			&period_error);
	if (!chosen)
		return false;
	if (evidence->resized && !restore_guest_size(attempt, target_bytes, error))
		return false;
	if (!evidence->period_failed)
		return update_note(attempt, error);
	g_propagate_prefixed_error(error, g_steal_pointer(&period_error),
				   "its statistics period is not restored: ");
	return false;
}

/* Whether @error may be the first sign that the guest is ending. */
static bool suggests_end(const GError *error)
{
	return g_error_matches(error, HV_ERROR, HV_ERROR_UNREACHABLE) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_NOT_RUNNING) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_NOT_FOUND);
}

static enum process_state wait_for_exit(const struct saved_guest *saved)
{
	int64_t deadline = hv_deadline_ms(EXIT_WAIT_MS);
	enum process_state state;

	while ((state = process_find_state(saved->pid, saved->start_ticks)) == PROCESS_RUNNING &&
	       g_get_monotonic_time() < deadline)
		poll(NULL, 0, POLL_MS);
	return state;
}

static void make_attempt(struct attempt *attempt, GError **problem)
{
	const struct saved_guest *saved = &attempt->saved;

	if (!try_restore(attempt, problem) &&
	    (g_error_matches(*problem, HV_ERROR, HV_ERROR_NOT_FOUND) ||
	     g_error_matches(*problem, HV_ERROR, HV_ERROR_NOT_RUNNING)))
		attempt->evidence.found = FOUND_NONE;
	attempt->evidence.process = suggests_end(*problem)
					    ? wait_for_exit(saved)
					    : process_find_state(saved->pid, saved->start_ticks);
}

/*
 * libvirt may just be starting again, as it does when it is upgraded, and it notices the end of a
 * process a moment later than we do.
 */
static bool is_attempt_too_early(const struct attempt *attempt, const GError *problem)
{
	const struct restore_evidence *evidence = &attempt->evidence;

	if (!evidence->may_move || evidence->found != FOUND_UNKNOWN ||
	    hv_deadline_ms(RETRY_MS) >= attempt->deadline || is_cancelled(attempt, NULL))
		return false;
	return evidence->process == PROCESS_ENDED ||
	       g_error_matches(problem, HV_ERROR, HV_ERROR_UNREACHABLE);
}

enum restore_outcome restore_guest(hv_guest *guest, const struct saved_guest *saved,
				   int64_t deadline, const gint *cancelled, GError **error)
{
	struct attempt attempt = {
		.guest = guest,
		.saved = *saved,
		.deadline = deadline,
		.cancelled = cancelled,
		.evidence = {
			.may_move = saved->uuid && !g_str_equal(saved->source, "qmp"),
			.resized = saved->changed,
			.saved_bytes = saved->before_bytes,
			.from_bytes = HV_UNSET,
			.target_bytes = HV_UNSET,
			.actual_bytes = HV_UNSET,
		},
	};
	g_autoptr(GError) problem = NULL;
	enum restore_outcome outcome;

	if (!restore_is_needed(saved))
		return RESTORE_DONE;
	make_attempt(&attempt, &problem);
	while (is_attempt_too_early(&attempt, problem)) {
		g_clear_error(&problem);
		poll(NULL, 0, RETRY_MS);
		make_attempt(&attempt, &problem);
	}
	outcome = restore_judge(&attempt.evidence);
	if (outcome == RESTORE_FAILED || outcome == RESTORE_MOVING)
		g_propagate_error(error, g_steal_pointer(&problem));
	return outcome;
}

hv_guest *restore_open_guest(const struct saved_guest *saved)
{
	if (g_str_equal(saved->source, "qmp"))
		return hv_qmp_open(saved->address +
				   (g_str_has_prefix(saved->address, "qmp:") ? strlen("qmp:") : 0));
	return hv_libvirt_open(saved->source, saved->uuid ? saved->uuid : saved->address);
}

char *restore_make_note(const struct saved_guest *saved)
{
	return restore_entry_counts(saved) ? saved_guest_note(saved) : NULL;
}

bool restore_entry_counts(const struct saved_guest *saved)
{
	/* While a person's size stays, so does the knowledge of its own. */
	return saved->mode >= 0 || saved->was_set || restore_is_needed(saved);
}

bool restore_update_entry(struct saved_guest *saved, enum restore_outcome outcome)
{
	if (outcome == RESTORE_GONE)
		return false;
	if (outcome == RESTORE_DONE) {
		/* A restored guest has its own size again. */
		saved->was_set &= !saved->changed;
		saved->changed = false;
		saved->before_period_s = -1;
	}
	return restore_entry_counts(saved);
}

void restore_log_outcome(const struct saved_guest *saved, enum restore_outcome outcome,
			 const GError *error)
{
	g_autofree char *size = size_format(saved->before_bytes);

	switch (outcome) {
	case RESTORE_DONE:
		if (saved->changed)
			manager_log(LOG_INFO, "%s: restored to %s", saved->name, size);
		break;
	case RESTORE_GONE:
		manager_log(LOG_INFO, "%s: has ended, nothing to restore", saved->name);
		break;
	case RESTORE_MOVING:
		manager_log(LOG_INFO, "%s: set to %s: %s", saved->name, size, error->message);
		break;
	case RESTORE_FAILED:
		if (saved->changed)
			manager_log(LOG_ERR, "%s: not restored to %s: %s", saved->name, size,
				    error->message);
		else
			manager_log(LOG_ERR, "%s: statistics period not restored: %s", saved->name,
				    error->message);
		break;
	}
}
