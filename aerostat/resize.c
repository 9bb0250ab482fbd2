/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * The balloon command of QEMU and libvirt only sets a target; the driver in
 * the guest follows it when and as far as it can.  So: measure the guest and
 * its cost to the host, ask, then poll the balloon's size (events come at most
 * once a second and may be lost) and let await.c judge it.
 *
 * A guest is asked first how it stands (vitals.c), and only what it can give
 * without swapping or killing is taken, unless --force presses on.
 *
 * A guest that does not move at all has no driver, or a stuck one.  QMP says
 * which; over libvirt fresh statistics prove a driver.
 *
 * A guest that was pressed and stopped short has nothing left, and a driver
 * that still tries would take every page it frees: the next fork may panic it.
 * Its target is therefore eased to what it has plus some air, unless told
 * otherwise.
 *
 * An aerostatd that manages the guest is told first, and holds it at what is asked for
 * (hold.c).
 */
#include "aerostat/resize.h"

#include <poll.h>
#include <signal.h>

#include "aerostat/await.h"
#include "aerostat/claim.h"
#include "aerostat/hold.h"
#include "aerostat/progress.h"
#include "aerostat/vitals.h"
#include "common/size.h"
#include "policy/floor.h"

#define REST_MS 80 /* longer than our device waits for the rest of a huge page */
#define REST_BYTES (UINT64_C(1) << 20)
#define POLL_MS 25		/* a poll costs some 1 ms of CPU time */
#define DRIVER_GRACE_US 3000000 /* a guest that boots may load its driver in that time */
#define EASE_WAIT_MS 3000	/* how long an eased guest may take to grow */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

bool resize_options_valid(struct context *ctx, const struct verb *verb,
			  const struct resize_options *options, int *code)
{
	if (options->timeout_s > 0 && options->stall_s > 0)
		return true;
	*code = cli_usage(ctx, verb, "--timeout and --stall take whole seconds from 1");
	return false;
}

void resize_result_clear(struct resize_result *result)
{
	g_clear_pointer(&result->reason, g_free);
	g_clear_pointer(&result->remedy, g_free);
}

bool resize_check(const char *name, uint64_t max_bytes, uint64_t target_bytes, bool force,
		  GError **error)
{
	g_autofree char *target = size_format(target_bytes);
	g_autofree char *max = size_format(max_bytes);
	uint64_t floor = floor_bytes(max_bytes);
	g_autofree char *least = size_format(floor);

	if (target_bytes > max_bytes) {
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "%s: %s is above its maximum of %s, which is fixed at boot (see: "
			    "aerostat setmaxmem)",
			    name, target, max);
		return false;
	}
	if (target_bytes < floor && !force) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "%s: %s is below its floor of %s; the guest would swap or kill its "
			    "processes, or panic "
			    "(--force does it all the same)",
			    name, target, least);
		return false;
	}
	return true;
}

/* One wait in progress. */
struct resize {
	struct context *ctx;
	hv_guest *guest;
	const hv_info *info;
	const struct resize_options *options;
	struct resize_result *result;
	struct await await;
	struct claim claim;
	struct hold hold;
	struct vitals vitals;
};

static uint64_t measure_host(const hv_info *info)
{
	uint64_t bytes;

	return info->pid && hv_host_bytes(info->pid, &bytes, NULL) ? bytes : HV_UNSET;
}

/* What is really asked for: as much of the way as does no harm. */
static uint64_t careful_target(const struct resize *r)
{
	uint64_t asked = r->result->target_bytes;
	uint64_t least = vitals_least(&r->vitals);

	if (r->options->force || asked >= r->info->actual_bytes || least == HV_UNSET ||
	    asked >= least)
		return asked;
	return MIN((least + AWAIT_PAGE_BYTES - 1) / AWAIT_PAGE_BYTES * AWAIT_PAGE_BYTES,
		   r->info->actual_bytes);
}

static void warn_of_need(const struct resize *r)
{
	uint64_t need = vitals_need(&r->vitals);
	g_autofree char *need_text = NULL;

	if (need == HV_UNSET || need <= r->await.target_bytes)
		return;
	need_text = size_format(need);
	cli_warn(r->ctx, "%s uses about %s that it cannot drop: it will swap or kill to get there",
		 r->info->name, need_text);
}

/* True when nothing says that a driver is at work. */
static bool driver_missing(struct resize *r)
{
	g_auto(hv_info) now = { 0 };

	if (r->await.first_move_us ||
	    !hv_guest_info(r->guest, hv_deadline_ms(CALL_MS), &now, NULL) ||
	    now.state != HV_STATE_RUNNING)
		return false;
	if (now.driver != HV_DRIVER_UNKNOWN)
		return now.driver == HV_DRIVER_ABSENT;
	vitals_read(&r->vitals);
	return !vitals_fresh(&r->vitals);
}

static void set_short(struct resize_result *result, enum exit_code code, char *reason, char *remedy)
{
	result->code = code;
	result->reason = reason;
	result->remedy = remedy;
}

static void explain_no_driver(struct resize *r)
{
	set_short(
		r->result, EXIT_NO_DRIVER, g_strdup("no balloon driver is at work in the guest"),
		g_strdup(
			"load virtio_balloon in it; a driver that comes later follows the target"));
}

static void explain_careful(struct resize *r)
{
	uint64_t need = vitals_need(&r->vitals);
	g_autofree char *need_text = size_format(need);

	set_short(r->result, EXIT_SHORT,
		  g_strdup_printf("the guest uses about %s that it cannot drop", need_text),
		  g_strdup("free memory in the guest; --force presses on, and it will swap, kill "
			   "or panic"));
}

static void explain_full_guest(struct resize *r)
{
	uint64_t need = vitals_need(&r->vitals);
	g_autofree char *need_text = need == HV_UNSET ? NULL : size_format(need);
	g_autofree char *uses =
		need_text ? g_strdup_printf("uses about %s that it cannot drop", need_text)
			  : g_strdup("is too busy to answer for its memory");

	set_short(r->result, EXIT_SHORT,
		  g_strdup_printf(
			  "the guest %s%s", uses,
			  r->info->autodeflate > 0
				  ? ", and takes pages back when it runs short (deflate on OOM)"
				  : ""),
		  g_strdup("free memory in the guest, give it swap, or ask for less"));
}

/* Why a wait ended before its target. */
static void explain_short(struct resize *r, enum await_verdict verdict)
{
	g_auto(hv_info) now = { 0 };

	if (driver_missing(r)) {
		explain_no_driver(r);
		return;
	}
	vitals_read(&r->vitals);
	if (hv_guest_info(r->guest, hv_deadline_ms(CALL_MS), &now, NULL) &&
	    now.state != HV_STATE_RUNNING)
		set_short(r->result, EXIT_SHORT,
			  g_strdup_printf("the guest is %s, so its driver cannot act",
					  hv_state_name(now.state)),
			  g_strdup("resume it; the target stays set"));
	else if (verdict == AWAIT_TIMEOUT)
		set_short(r->result, EXIT_SHORT,
			  g_strdup("still moving when the time was up; it goes on"),
			  g_strdup("wait longer with --timeout S"));
	else if (r->await.target_bytes > r->await.before_bytes)
		set_short(r->result, EXIT_SHORT,
			  g_strdup("the guest's driver does not take its memory back"),
			  g_strdup("look at the guest's kernel log"));
	else
		explain_full_guest(r);
}

static void explain_overtaken(struct resize *r, uint64_t newer_bytes)
{
	g_autofree char *newer = size_format(newer_bytes);

	set_short(r->result, EXIT_SHORT,
		  g_strdup_printf("another setmem asked for %s meanwhile", newer),
		  g_strdup("the newer one stands; ask again if it should not"));
}

static uint64_t eased_target(const struct resize *r)
{
	return MIN(r->await.actual_bytes + vitals_air(r->info), r->await.before_bytes);
}

static void ease(struct resize *r)
{
	uint64_t eased = eased_target(r);
	int64_t deadline = hv_deadline_ms(EASE_WAIT_MS);
	uint64_t actual = r->await.actual_bytes;

	if (!hv_guest_balloon_set(r->guest, hv_deadline_ms(CALL_MS), eased, HV_SCOPE_LIVE, NULL))
		return;
	r->result->eased_bytes = eased;
	hold_at(&r->hold, eased);
	while (actual < eased && g_get_monotonic_time() < deadline) {
		poll(NULL, 0, POLL_MS);
		if (!hv_guest_balloon_get(r->guest, hv_deadline_ms(CALL_MS), &actual, NULL))
			return;
	}
	r->await.actual_bytes = actual;
}

/* Only a guest that runs and was squeezed dry is eased. */
static bool should_ease(const struct resize *r, enum await_verdict verdict)
{
	return r->result->code == EXIT_SHORT && verdict == AWAIT_STALLED &&
	       !r->options->keep_target && r->await.target_bytes < r->await.before_bytes;
}

/* It ran when we looked first. */
static bool has_ended(const GError *error)
{
	return g_error_matches(error, HV_ERROR, HV_ERROR_NOT_RUNNING) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_NOT_FOUND);
}

/* A guest that ended meanwhile is unreachable, whatever the way to it calls that. */
static void mark_lost(const struct resize *r, GError **error)
{
	GError *lost = *error;
	int code = has_ended(lost) ? HV_ERROR_UNREACHABLE : lost->code;

	*error = g_error_new(HV_ERROR, code, "lost contact with %s while its memory changed: %s",
			     r->info->name, lost->message);
	g_error_free(lost);
}

/* Polls until the wait is over, one way or another; false when the guest was lost. */
static bool wait_for_it(struct resize *r, enum await_verdict *verdict, GError **error)
{
	struct progress progress;
	bool driver_checked = false;
	bool ok = true;

	progress_start(&progress, r->ctx->quiet || r->ctx->json);
	*verdict = AWAIT_GOING;
	while (*verdict == AWAIT_GOING && !interrupted && !r->result->code) {
		uint64_t actual, newer;
		int64_t now;

		ok = hv_guest_balloon_get(r->guest, hv_deadline_ms(CALL_MS), &actual, error);
		if (!ok) {
			mark_lost(r, error);
			break;
		}
		now = g_get_monotonic_time();
		*verdict = await_step(&r->await, now, actual);
		progress_show(&progress, r->info->name, &r->await, now);
		if (*verdict != AWAIT_GOING)
			break;
		if (!claim_stands(&r->claim, &newer))
			explain_overtaken(r, newer);
		if (!driver_checked && now - r->await.started_us > DRIVER_GRACE_US) {
			driver_checked = true;
			if (driver_missing(r))
				explain_no_driver(r);
		}
		poll(NULL, 0, POLL_MS);
	}
	progress_end(&progress);
	return ok;
}

/* Devices may release what they got a moment later; waits for as long as more comes. */
static uint64_t measure_host_at_rest(const struct resize *r)
{
	const struct resize_result *result = r->result;
	uint64_t before = result->host_before_bytes, bytes = measure_host(r->info), last;
	uint64_t taken = result->before_bytes - MIN(result->before_bytes, result->after_bytes);

	do {
		last = bytes;
		if (last == HV_UNSET || before == HV_UNSET || before >= last + taken)
			return last;
		poll(NULL, 0, REST_MS);
		bytes = measure_host(r->info);
	} while (bytes < last && last - bytes > REST_BYTES);
	return bytes;
}

static void conclude(struct resize *r, enum await_verdict verdict)
{
	struct resize_result *result = r->result;

	if (interrupted && verdict == AWAIT_GOING)
		set_short(result, EXIT_INTERRUPTED,
			  g_strdup("interrupted; the guest goes on to the target"), NULL);
	else if (verdict == AWAIT_STALLED || verdict == AWAIT_TIMEOUT)
		explain_short(r, verdict);
	else if (verdict == AWAIT_REACHED && r->await.target_bytes != result->target_bytes)
		explain_careful(r);
	result->seconds = (double)(g_get_monotonic_time() - r->await.started_us) / 1e6;
	if (r->await.first_move_us)
		result->first_move_s = (double)(r->await.first_move_us - r->await.started_us) / 1e6;
	if (should_ease(r, verdict))
		ease(r);
	result->after_bytes = r->await.actual_bytes;
	result->host_after_bytes = measure_host_at_rest(r);
}

/* Asks for the target and, unless told not to, waits. */
static bool ask_and_wait(struct resize *r, GError **error)
{
	enum await_verdict verdict = AWAIT_GOING;
	bool ok;

	if (!hv_guest_balloon_set(r->guest, hv_deadline_ms(CALL_MS), r->await.target_bytes,
				  HV_SCOPE_LIVE, error)) {
		hold_undo(&r->hold);
		if (has_ended(*error))
			mark_lost(r, error);
		return false;
	}
	if (r->options->no_wait)
		return true;
	ok = wait_for_it(r, &verdict, error);
	if (ok)
		conclude(r, verdict);
	return ok;
}

bool resize_live(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t target_bytes,
		 const struct resize_options *options, struct resize_result *result, GError **error)
{
	struct resize r = {
		.ctx = ctx,
		.guest = guest,
		.info = info,
		.options = options,
		.result = result,
		.vitals = { .guest = guest, .info = info, .restore_period_s = -1 },
	};
	uint64_t asked_bytes;
	bool ok;

	if (!info->has_balloon) {
		g_set_error(error, HV_ERROR, HV_ERROR_NO_BALLOON,
			    "%s has no balloon device, so its memory cannot be changed while it "
			    "runs; give it a "
			    "virtio memballoon and restart it",
			    info->name);
		return false;
	}
	/* Its balloon does not answer: let that say why. */
	if (info->actual_bytes == HV_UNSET &&
	    !hv_guest_balloon_get(guest, hv_deadline_ms(CALL_MS), &(uint64_t){ 0 }, error))
		return false;
	*result = (struct resize_result){ .target_bytes = target_bytes,
					  .before_bytes = info->actual_bytes,
					  .after_bytes = info->actual_bytes,
					  .eased_bytes = HV_UNSET,
					  .held_bytes = HV_UNSET,
					  .host_before_bytes = measure_host(info),
					  .host_after_bytes = HV_UNSET,
					  .first_move_s = -1 };
	signal(SIGINT, on_interrupt);
	if (!options->no_wait)
		vitals_start(&r.vitals, guest, info);
	claim_take(&r.claim, guest, info, target_bytes);
	asked_bytes = careful_target(&r);
	hold_prepare(&r.hold, ctx, options->socket, guest, info);
	hold_at(&r.hold, asked_bytes);
	await_start(&r.await, info->actual_bytes, asked_bytes, g_get_monotonic_time(),
		    (int64_t)options->stall_s * G_USEC_PER_SEC,
		    (int64_t)options->timeout_s * G_USEC_PER_SEC);
	warn_of_need(&r);
	ok = ask_and_wait(&r, error);
	result->held_bytes = r.hold.bytes;
	hold_clear(&r.hold);
	claim_clear(&r.claim);
	vitals_end(&r.vitals);
	signal(SIGINT, SIG_DFL);
	return ok;
}
