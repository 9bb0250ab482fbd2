/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * The balloon command of QEMU and libvirt only sets a target; the driver in the guest follows
 * it when and as far as it can.  So resize_guest() measures the guest and what it costs the
 * host, sets the target, and then polls the balloon's size until balloon_wait.c says that the
 * wait is over.  (BALLOON_CHANGE events are sent at most once per second and may be lost.)
 *
 * First of all it asks the guest (resize_ask.c).  Unless it is forced, it takes only what the
 * guest can give without swapping or killing processes.
 *
 * Statistics may be frozen, although each report has a new date.  Nothing that a guest reports
 * stays the same while its balloon takes tens of MiB, so one that is to have less than half of its
 * maximum is first made smaller by some of it, and by the rest once its statistics have changed.
 *
 * A guest whose size does not change at all has no driver, or a stuck one.  QMP says which;
 * over libvirt, fresh statistics prove that there is a driver.
 *
 * A guest that was forced and stopped short has no free memory left.  A driver that goes on
 * trying would take every page that becomes free, and the next fork may panic the guest.  So
 * its target is set to its current size plus some headroom, unless that is unwanted.
 */
#include "resize/resize_private.h"

#include <poll.h>

#include "common/size.h"
#include "policy/floor.h"

/* The host has got back all if it gains less than REST_BYTES within REST_MS. */
#define REST_MS 80 /* longer than aerostat-device waits for the rest of a huge page */
#define REST_BYTES (UINT64_C(1) << 20)
#define POLL_MS 25		   /* a poll costs about 1 ms of CPU time */
#define DRIVER_GRACE_US 3000000	   /* a guest that is booting may load its driver meanwhile */
#define LEFT_MIN_US G_USEC_PER_SEC /* to wait for the target, even if all time was spent before */
#define PROOF_BYTES (UINT64_C(48) << 20) /* no statistics ignore a balloon that moves so far */
#define EASE_WAIT_MS 3000		 /* how long an eased guest may take to grow */

static uint64_t measure_host_bytes(const hv_info *info)
{
	uint64_t bytes;

	return info->pid && hv_host_bytes(info->pid, &bytes, NULL) ? bytes : HV_UNSET;
}

/* The target to set: of what the user asked for, as much as does no harm. */
static uint64_t harmless_target(const struct resize *r)
{
	uint64_t asked = r->result->target_bytes;
	uint64_t least = guest_stats_least_bytes(&r->stats);

	if (r->request->force || asked >= r->result->before_bytes || least == HV_UNSET ||
	    asked >= least)
		return asked;
	return MIN((least + BALLOON_PAGE_BYTES - 1) / BALLOON_PAGE_BYTES * BALLOON_PAGE_BYTES,
		   r->result->before_bytes);
}

/* @asked_bytes, or what to ask for before that, to see whether the statistics follow. */
static uint64_t first_target(const struct resize *r, uint64_t asked_bytes)
{
	uint64_t before = r->result->before_bytes;

	if (r->request->force || r->request->no_wait || before < asked_bytes + PROOF_BYTES ||
	    guest_stats_least_bytes(&r->stats) == HV_UNSET)
		return asked_bytes;
	return MAX(asked_bytes,
		   MIN(resize_careful_bytes(r->info->max_bytes), before - PROOF_BYTES));
}

static void warn_of_need(const struct resize *r)
{
	uint64_t need = guest_stats_used_bytes(&r->stats);
	g_autofree char *need_text = NULL, *text = NULL;

	if (!r->ops->warn || need == HV_UNSET || need <= r->wait.target_bytes)
		return;
	need_text = size_format(need);
	text = g_strdup_printf(
		"%s uses about %s that it cannot free: it will swap or kill processes",
		r->info->name, need_text);
	r->ops->warn(r->data, text);
}

/* Whether nothing proves that a driver is at work. */
static bool is_driver_missing(struct resize *r)
{
	g_auto(hv_info) now = { 0 };

	if (r->wait.first_move_us ||
	    !hv_guest_info(r->guest, hv_deadline_ms(RESIZE_CALL_MS), &now, NULL) ||
	    now.state != HV_STATE_RUNNING)
		return false;
	if (now.driver != HV_DRIVER_UNKNOWN)
		return now.driver == HV_DRIVER_ABSENT;
	guest_stats_read(&r->stats);
	return !guest_stats_are_fresh(&r->stats);
}

/* Why the target was not reached. */
static void explain_shortfall(struct resize *r, enum balloon_wait_verdict verdict)
{
	g_auto(hv_info) now = { 0 };

	if (is_driver_missing(r)) {
		resize_conclude(r, resize_is_booting(r) ? RESIZE_BOOTING : RESIZE_NO_DRIVER);
		return;
	}
	guest_stats_read(&r->stats);
	if (hv_guest_info(r->guest, hv_deadline_ms(RESIZE_CALL_MS), &now, NULL) &&
	    now.state != HV_STATE_RUNNING)
		resize_explain(r->result, RESIZE_STOPPED,
			       &(struct resize_facts){
				       .info = r->info, .state = now.state, .is_set = true });
	else if (verdict == BALLOON_WAIT_TIMEOUT)
		resize_conclude(r, RESIZE_DEADLINE);
	else if (r->wait.target_bytes > r->wait.before_bytes)
		resize_conclude(r, RESIZE_STUCK);
	else
		resize_conclude(r, RESIZE_FULL);
}

/* Sets the target.  RESIZE_ENDED: it was given up before; the result says why. */
static enum resize_step set_target(struct resize *r, uint64_t bytes, GError **error)
{
	if (resize_is_given_up(r))
		return RESIZE_ENDED;
	if (!r->ops->set) {
		/* A call that fails may have its effect. */
		r->is_set = true;
		return hv_guest_balloon_set(r->guest, hv_deadline_ms(RESIZE_CALL_MS), bytes,
					    HV_SCOPE_LIVE, error)
			       ? RESIZE_GO_ON
			       : RESIZE_FAILED;
	}
	if (r->ops->set(r->data, bytes, error)) {
		r->is_set = true;
		return RESIZE_GO_ON;
	}
	if (!resize_is_given_up(r))
		return RESIZE_FAILED;
	g_clear_error(error);
	return RESIZE_ENDED;
}

/*
 * Undoes a hold whose target was not set.  A newer request holds the guest where it wants it.
 */
static void release_guest(const struct resize *r)
{
	uint64_t newer_bytes;

	if (!target_file_is_current(&r->target_file, &newer_bytes))
		return;
	if (r->first_bytes && r->ops->hold)
		r->ops->hold(r->data, r->first_bytes, NULL);
	else if (r->ops->release)
		r->ops->release(r->data);
}

static uint64_t eased_target(const struct resize *r)
{
	return MIN(r->wait.actual_bytes + headroom_bytes(r->info->max_bytes), r->wait.before_bytes);
}

static void ease_target(struct resize *r)
{
	uint64_t eased = eased_target(r);
	int64_t deadline = hv_deadline_ms(EASE_WAIT_MS);
	uint64_t actual = r->wait.actual_bytes;

	if (set_target(r, eased, NULL) != RESIZE_GO_ON)
		return;
	r->result->eased_bytes = eased;
	if (r->ops->hold)
		r->ops->hold(r->data, eased, NULL);
	while (actual < eased && g_get_monotonic_time() < deadline) {
		poll(NULL, 0, POLL_MS);
		if (!hv_guest_balloon_get(r->guest, hv_deadline_ms(RESIZE_CALL_MS), &actual, NULL))
			return;
	}
	r->wait.actual_bytes = actual;
}

/* Only for a running guest that was asked to shrink and has no memory left to give. */
static bool should_ease(const struct resize *r)
{
	return r->result->reason == RESIZE_FULL && !r->request->keep_target;
}

/* Whether a guest that was running before has ended. */
static bool is_guest_gone(const GError *error)
{
	return g_error_matches(error, HV_ERROR, HV_ERROR_NOT_RUNNING) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_NOT_FOUND);
}

/* A guest that has ended meanwhile is unreachable, not unknown. */
static void mark_guest_lost(const struct resize *r, GError **error)
{
	g_autoptr(GError) lost = *error;
	int code = is_guest_gone(lost) ? HV_ERROR_UNREACHABLE : lost->code;

	*error = g_error_new(HV_ERROR, code, "%s: lost contact while its memory changed: %s",
			     r->info->name, hv_error_reason(lost, r->guest->address));
}

/* Polls until the wait is over; false if contact with the guest was lost. */
static bool wait_for_target(struct resize *r, enum balloon_wait_verdict *verdict, GError **error)
{
	bool driver_checked = false;

	*verdict = BALLOON_WAIT_GOING;
	while (!resize_is_given_up(r)) {
		uint64_t actual;
		int64_t now;

		if (!hv_guest_balloon_get(r->guest, hv_deadline_ms(RESIZE_CALL_MS), &actual,
					  error)) {
			mark_guest_lost(r, error);
			return false;
		}
		now = g_get_monotonic_time();
		*verdict = balloon_wait_update(&r->wait, now, actual);
		if (r->ops->progress)
			r->ops->progress(r->data, &r->wait, now);
		if (*verdict != BALLOON_WAIT_GOING)
			return true;
		if (!driver_checked && now - r->wait.started_us > DRIVER_GRACE_US) {
			driver_checked = true;
			if (is_driver_missing(r)) {
				resize_conclude(r, resize_is_booting(r) ? RESIZE_BOOTING
									: RESIZE_NO_DRIVER);
				return true;
			}
		}
		poll(NULL, 0, POLL_MS);
	}
	return true;
}

/* The device may release memory a moment later, so this waits until the gain stops growing. */
static uint64_t measure_settled_host(const struct resize *r)
{
	const struct resize_result *result = r->result;
	uint64_t before = result->host_before_bytes, bytes = measure_host_bytes(r->info), last;
	uint64_t taken = result->before_bytes - MIN(result->before_bytes, result->after_bytes);

	do {
		last = bytes;
		if (last == HV_UNSET || before == HV_UNSET || before >= last + taken)
			return last;
		poll(NULL, 0, REST_MS);
		bytes = measure_host_bytes(r->info);
	} while (bytes < last && last - bytes > REST_BYTES);
	return bytes;
}

static void conclude_resize(struct resize *r, enum balloon_wait_verdict verdict)
{
	struct resize_result *result = r->result;

	if (verdict == BALLOON_WAIT_STALLED || verdict == BALLOON_WAIT_TIMEOUT)
		explain_shortfall(r, verdict);
	else if (verdict == BALLOON_WAIT_REACHED)
		resize_conclude(r, r->wait.target_bytes == result->target_bytes ? RESIZE_REACHED
										: RESIZE_IN_USE);
	result->seconds = (double)(g_get_monotonic_time() - r->wait.started_us) / 1e6;
	if (r->wait.first_move_us)
		result->first_move_s = (double)(r->wait.first_move_us - r->wait.started_us) / 1e6;
	if (should_ease(r))
		ease_target(r);
	result->after_bytes = r->wait.actual_bytes;
	result->host_after_bytes = measure_settled_host(r);
}

/* Holds the guest at the target of the wait, and sets that. */
static enum resize_step request_target(struct resize *r, GError **error)
{
	enum resize_step step;

	if (r->ops->hold && !r->ops->hold(r->data, r->wait.target_bytes, error))
		return RESIZE_FAILED;
	step = set_target(r, r->wait.target_bytes, error);
	if (step == RESIZE_GO_ON)
		return step;
	release_guest(r);
	if (step == RESIZE_FAILED && is_guest_gone(*error))
		mark_guest_lost(r, error);
	return step;
}

static void start_result(struct resize *r, uint64_t actual_bytes)
{
	*r->result = (struct resize_result){
		.reason = RESIZE_ASKED,
		.target_bytes = r->request->target_bytes,
		.before_bytes = actual_bytes,
		.after_bytes = actual_bytes,
		.eased_bytes = HV_UNSET,
		.host_before_bytes = measure_host_bytes(r->info),
		.host_after_bytes = HV_UNSET,
		.first_move_s = -1,
		.relief = resize_relief_text(r->info, r->request->target_bytes),
	};
}

/* From the first target, once it is reached, to @asked_bytes if the statistics follow. */
static bool go_on_to(struct resize *r, uint64_t asked_bytes, const struct hv_stats *before,
		     enum balloon_wait_verdict *verdict, GError **error)
{
	r->first_bytes = r->wait.target_bytes;
	*verdict = BALLOON_WAIT_GOING;
	if (!guest_stats_have_changed(&r->stats, before, RESIZE_SILENT_MS)) {
		resize_conclude(r, RESIZE_SILENT);
		return true;
	}
	balloon_wait_continue(&r->wait, asked_bytes, g_get_monotonic_time());
	switch (request_target(r, error)) {
	case RESIZE_GO_ON:
		return wait_for_target(r, verdict, error);
	case RESIZE_ENDED:
		return true;
	case RESIZE_FAILED:
		break;
	}
	return false;
}

/* Holds the guest at what it is asked for, and waits for that. */
static bool set_asked_size(struct resize *r, GError **error)
{
	uint64_t asked_bytes = harmless_target(r), first_bytes = first_target(r, asked_bytes);
	int64_t left_us = r->started_us + r->request->timeout_us - g_get_monotonic_time();
	enum balloon_wait_verdict verdict = BALLOON_WAIT_GOING;
	struct hv_stats before = r->stats.latest;
	enum resize_step step;

	balloon_wait_start(&r->wait, r->result->before_bytes, asked_bytes, g_get_monotonic_time(),
			   r->request->stall_us, MAX(left_us, LEFT_MIN_US));
	warn_of_need(r);
	r->wait.target_bytes = first_bytes;
	step = request_target(r, error);
	if (step != RESIZE_GO_ON || r->request->no_wait)
		return step != RESIZE_FAILED;
	if (!wait_for_target(r, &verdict, error))
		return false;
	if (first_bytes != asked_bytes && verdict == BALLOON_WAIT_REACHED &&
	    !go_on_to(r, asked_bytes, &before, &verdict, error))
		return false;
	conclude_resize(r, verdict);
	return true;
}

static bool ask_and_set(struct resize *r, GError **error)
{
	switch (resize_ask_guest(r, error)) {
	case RESIZE_GO_ON:
		return set_asked_size(r, error);
	case RESIZE_ENDED:
		r->result->seconds = (double)(g_get_monotonic_time() - r->started_us) / 1e6;
		return true;
	case RESIZE_FAILED:
		break;
	}
	return false;
}

bool resize_guest(hv_guest *guest, const hv_info *info, const struct resize_request *request,
		  const struct resize_ops *ops, void *data, struct resize_result *result,
		  GError **error)
{
	struct resize r = {
		.guest = guest,
		.info = info,
		.request = request,
		.ops = ops,
		.data = data,
		.result = result,
		.started_us = g_get_monotonic_time(),
		.stats = { .guest = guest, .info = info, .restore_period_s = -1 },
	};
	uint64_t actual_bytes = info->actual_bytes;
	bool ok;

	if (!info->has_balloon) {
		g_set_error(error, HV_ERROR, HV_ERROR_NO_BALLOON,
			    "%s has no balloon device, so its memory cannot be changed while it "
			    "runs; add a virtio memballoon device and restart it",
			    info->name);
		return false;
	}
	/* The balloon did not answer before; now it does, or this call sets the error. */
	if (actual_bytes == HV_UNSET &&
	    !hv_guest_balloon_get(guest, hv_deadline_ms(RESIZE_CALL_MS), &actual_bytes, error))
		return false;
	/* A size above the maximum is no size; the daemon bounds it likewise. */
	start_result(&r, info->max_bytes ? MIN(actual_bytes, info->max_bytes) : actual_bytes);
	target_file_write(&r.target_file, guest, info, request->target_bytes);
	if (!request->no_wait)
		guest_stats_start(&r.stats, guest, info, request->keep_period,
				  request->target_bytes < result->before_bytes);
	ok = ask_and_set(&r, error);
	target_file_clear(&r.target_file);
	guest_stats_stop(&r.stats);
	return ok;
}
