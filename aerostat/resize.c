/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * The balloon command of QEMU and libvirt only sets a target; the driver in the guest follows
 * it when and as far as it can.  So resize_live() measures the guest and what it costs the
 * host, sets the target, and then polls the balloon's size until balloon_wait.c says that the
 * wait is over.  (BALLOON_CHANGE events are sent at most once per second and may be lost.)
 *
 * First of all it reads the guest's statistics (guest_stats.c).  Unless --force is given, it
 * takes only what the guest can give without swapping or killing processes.
 *
 * A guest whose size does not change at all has no driver, or a stuck one.  QMP says which;
 * over libvirt, fresh statistics prove that there is a driver.
 *
 * A guest that was forced and stopped short has no free memory left.  A driver that goes on
 * trying would take every page that becomes free, and the next fork may panic the guest.  So
 * its target is set to its current size plus some headroom, unless --keep-target is given.
 *
 * If an aerostatd manages the guest, it is informed first, and holds the guest at the size that
 * was asked for (hold.c).
 */
#include "aerostat/resize.h"

#include <poll.h>
#include <signal.h>

#include "aerostat/balloon_wait.h"
#include "aerostat/guest_stats.h"
#include "aerostat/hold.h"
#include "aerostat/progress_bar.h"
#include "aerostat/target_file.h"
#include "common/size.h"
#include "policy/floor.h"

/* The host has got back all if it gains less than REST_BYTES within REST_MS. */
#define REST_MS 80 /* longer than aerostat-device waits for the rest of a huge page */
#define REST_BYTES (UINT64_C(1) << 20)
#define POLL_MS 25		/* a poll costs about 1 ms of CPU time */
#define DRIVER_GRACE_US 3000000 /* a guest that is booting may load its driver meanwhile */
#define EASE_WAIT_MS 3000	/* how long an eased guest may take to grow */

static volatile sig_atomic_t interrupted;

static void on_resize_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

GOptionGroup *resize_option_group(struct resize_options *options)
{
	const GOptionEntry entries[] = {
		{ "no-wait", 0, 0, G_OPTION_ARG_NONE, &options->no_wait,
		  "set the target and return at once, as virsh does", NULL },
		{ "force", 'f', 0, G_OPTION_ARG_NONE, &options->force,
		  "go on although the guest must swap or kill, or is below its floor", NULL },
		{ "keep-target", 0, 0, G_OPTION_ARG_NONE, &options->keep_target,
		  "if the guest stops short, leave the target as it is", NULL },
		{ "timeout", 't', 0, G_OPTION_ARG_INT, &options->timeout_s,
		  "wait at most S seconds (default: 120)", "S" },
		{ "stall", 0, 0, G_OPTION_ARG_INT, &options->stall_s,
		  "give up after S seconds without progress (default: 10)", "S" },
		{ NULL }
	};
	GOptionGroup *group =
		g_option_group_new("resize", "How to change a running guest:", "", NULL, NULL);

	g_option_group_add_entries(group, entries);
	return group;
}

bool resize_check_options(struct context *ctx, const struct verb *verb,
			  const struct resize_options *options, int *code)
{
	if (options->timeout_s > 0 && options->stall_s > 0)
		return true;
	*code = cli_usage(ctx, verb, "--timeout and --stall take at least 1 second");
	return false;
}

void resize_result_clear(struct resize_result *result)
{
	g_clear_pointer(&result->reason, g_free);
	g_clear_pointer(&result->remedy, g_free);
}

bool resize_check_target(const char *name, uint64_t max_bytes, uint64_t target_bytes, bool force,
			 GError **error)
{
	g_autofree char *target = size_format(target_bytes);
	g_autofree char *max = size_format(max_bytes);
	uint64_t floor = floor_bytes(max_bytes);
	g_autofree char *least = size_format(floor);

	if (target_bytes > max_bytes) {
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "%s: %s is above its maximum of %s; aerostat setmaxmem sets the "
			    "maximum of its next start",
			    name, target, max);
		return false;
	}
	if (target_bytes < floor && !force) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "%s: %s is below its floor of %s, so it would swap, kill processes "
			    "or panic; use --force to do it anyway",
			    name, target, least);
		return false;
	}
	return true;
}

struct resize {
	struct context *ctx;
	hv_guest *guest;
	const hv_info *info;
	const struct resize_options *options;
	struct resize_result *result;
	struct balloon_wait wait;
	struct target_file target_file;
	struct hold hold;
	struct guest_stats stats;
};

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

	if (r->options->force || asked >= r->info->actual_bytes || least == HV_UNSET ||
	    asked >= least)
		return asked;
	return MIN((least + BALLOON_PAGE_BYTES - 1) / BALLOON_PAGE_BYTES * BALLOON_PAGE_BYTES,
		   r->info->actual_bytes);
}

static void warn_of_need(const struct resize *r)
{
	uint64_t need = guest_stats_used_bytes(&r->stats);
	g_autofree char *need_text = NULL;

	if (need == HV_UNSET || need <= r->wait.target_bytes)
		return;
	need_text = size_format(need);
	cli_warn(r->ctx, "%s uses about %s that it cannot free: it will swap or kill processes",
		 r->info->name, need_text);
}

/* Whether nothing proves that a driver is at work. */
static bool is_driver_missing(struct resize *r)
{
	g_auto(hv_info) now = { 0 };

	if (r->wait.first_move_us ||
	    !hv_guest_info(r->guest, hv_deadline_ms(CALL_MS), &now, NULL) ||
	    now.state != HV_STATE_RUNNING)
		return false;
	if (now.driver != HV_DRIVER_UNKNOWN)
		return now.driver == HV_DRIVER_ABSENT;
	guest_stats_read(&r->stats);
	return !guest_stats_are_fresh(&r->stats);
}

static void set_shortfall(struct resize_result *result, enum exit_code code, char *reason,
			  char *remedy)
{
	result->code = code;
	result->reason = reason;
	result->remedy = remedy;
}

static void explain_no_driver(struct resize *r)
{
	set_shortfall(r->result, EXIT_NO_DRIVER,
		      g_strdup("no balloon driver is at work in the guest"),
		      g_strdup("load virtio_balloon in the guest; it will then follow the target"));
}

static void explain_harmless_limit(struct resize *r)
{
	uint64_t need = guest_stats_used_bytes(&r->stats);
	g_autofree char *need_text = size_format(need);

	set_shortfall(
		r->result, EXIT_SHORT,
		g_strdup_printf("the guest uses about %s that it cannot free", need_text),
		g_strdup("free memory in the guest, or use --force: the guest will then swap, "
			 "kill processes or panic"));
}

static void explain_full_guest(struct resize *r)
{
	uint64_t need = guest_stats_used_bytes(&r->stats);
	g_autofree char *need_text = need == HV_UNSET ? NULL : size_format(need);
	g_autofree char *uses =
		need_text ? g_strdup_printf("uses about %s that it cannot free", need_text)
			  : g_strdup("is too busy to report its statistics");

	set_shortfall(r->result, EXIT_SHORT,
		      g_strdup_printf(
			      "the guest %s%s", uses,
			      r->info->autodeflate > 0
				      ? ", and takes memory back when it runs out (deflate on OOM)"
				      : ""),
		      g_strdup("free memory in the guest, give it swap, or ask for less"));
}

/* Why the target was not reached. */
static void explain_shortfall(struct resize *r, enum balloon_wait_verdict verdict)
{
	g_auto(hv_info) now = { 0 };

	if (is_driver_missing(r)) {
		explain_no_driver(r);
		return;
	}
	guest_stats_read(&r->stats);
	if (hv_guest_info(r->guest, hv_deadline_ms(CALL_MS), &now, NULL) &&
	    now.state != HV_STATE_RUNNING)
		set_shortfall(r->result, EXIT_SHORT,
			      g_strdup_printf("the guest is %s, so its driver cannot run",
					      hv_state_name(now.state)),
			      g_strdup("resume the guest; its target stays set"));
	else if (verdict == BALLOON_WAIT_TIMEOUT)
		set_shortfall(r->result, EXIT_SHORT,
			      g_strdup("the guest was still moving at the timeout, and goes on"),
			      g_strdup("wait longer with --timeout S"));
	else if (r->wait.target_bytes > r->wait.before_bytes)
		set_shortfall(r->result, EXIT_SHORT,
			      g_strdup("the balloon driver does not return the guest's memory"),
			      g_strdup("see the guest's kernel log"));
	else
		explain_full_guest(r);
}

static void explain_overtaken(struct resize *r, uint64_t newer_bytes)
{
	g_autofree char *newer = size_format(newer_bytes);

	set_shortfall(r->result, EXIT_SHORT,
		      g_strdup_printf("another setmem has asked for %s meanwhile", newer),
		      g_strdup("the latest setmem counts; repeat this one if it should"));
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

	if (!hv_guest_balloon_set(r->guest, hv_deadline_ms(CALL_MS), eased, HV_SCOPE_LIVE, NULL))
		return;
	r->result->eased_bytes = eased;
	hold_at(&r->hold, eased);
	while (actual < eased && g_get_monotonic_time() < deadline) {
		poll(NULL, 0, POLL_MS);
		if (!hv_guest_balloon_get(r->guest, hv_deadline_ms(CALL_MS), &actual, NULL))
			return;
	}
	r->wait.actual_bytes = actual;
}

/* Only for a running guest that was asked to shrink and has no memory left to give. */
static bool should_ease(const struct resize *r, enum balloon_wait_verdict verdict)
{
	return r->result->code == EXIT_SHORT && verdict == BALLOON_WAIT_STALLED &&
	       !r->options->keep_target && r->wait.target_bytes < r->wait.before_bytes;
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
	struct progress_bar progress;
	bool driver_checked = false;
	bool ok = true;

	progress_bar_start(&progress, r->ctx->quiet || r->ctx->json);
	*verdict = BALLOON_WAIT_GOING;
	while (*verdict == BALLOON_WAIT_GOING && !interrupted && !r->result->code) {
		uint64_t actual, newer;
		int64_t now;

		ok = hv_guest_balloon_get(r->guest, hv_deadline_ms(CALL_MS), &actual, error);
		if (!ok) {
			mark_guest_lost(r, error);
			break;
		}
		now = g_get_monotonic_time();
		*verdict = balloon_wait_update(&r->wait, now, actual);
		progress_bar_update(&progress, r->info->name, &r->wait, now);
		if (*verdict != BALLOON_WAIT_GOING)
			break;
		if (!target_file_is_current(&r->target_file, &newer))
			explain_overtaken(r, newer);
		if (!driver_checked && now - r->wait.started_us > DRIVER_GRACE_US) {
			driver_checked = true;
			if (is_driver_missing(r))
				explain_no_driver(r);
		}
		poll(NULL, 0, POLL_MS);
	}
	progress_bar_clear(&progress);
	return ok;
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

	if (interrupted && verdict == BALLOON_WAIT_GOING)
		set_shortfall(result, EXIT_INTERRUPTED,
			      g_strdup("interrupted; the target stays set"), NULL);
	else if (verdict == BALLOON_WAIT_STALLED || verdict == BALLOON_WAIT_TIMEOUT)
		explain_shortfall(r, verdict);
	else if (verdict == BALLOON_WAIT_REACHED && r->wait.target_bytes != result->target_bytes)
		explain_harmless_limit(r);
	result->seconds = (double)(g_get_monotonic_time() - r->wait.started_us) / 1e6;
	if (r->wait.first_move_us)
		result->first_move_s = (double)(r->wait.first_move_us - r->wait.started_us) / 1e6;
	if (should_ease(r, verdict))
		ease_target(r);
	result->after_bytes = r->wait.actual_bytes;
	result->host_after_bytes = measure_settled_host(r);
}

/* Sets the target and, without --no-wait, waits. */
static bool request_and_wait(struct resize *r, GError **error)
{
	enum balloon_wait_verdict verdict = BALLOON_WAIT_GOING;
	bool ok;

	if (!hv_guest_balloon_set(r->guest, hv_deadline_ms(CALL_MS), r->wait.target_bytes,
				  HV_SCOPE_LIVE, error)) {
		hold_undo(&r->hold);
		if (is_guest_gone(*error))
			mark_guest_lost(r, error);
		return false;
	}
	if (r->options->no_wait)
		return true;
	ok = wait_for_target(r, &verdict, error);
	if (ok)
		conclude_resize(r, verdict);
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
		.stats = { .guest = guest, .info = info, .restore_period_s = -1 },
	};
	uint64_t asked_bytes;
	bool ok;

	if (!info->has_balloon) {
		g_set_error(error, HV_ERROR, HV_ERROR_NO_BALLOON,
			    "%s has no balloon device, so its memory cannot be changed while it "
			    "runs; add a virtio memballoon device and restart it",
			    info->name);
		return false;
	}
	/* The balloon does not answer; this call sets the error. */
	if (info->actual_bytes == HV_UNSET &&
	    !hv_guest_balloon_get(guest, hv_deadline_ms(CALL_MS), &(uint64_t){ 0 }, error))
		return false;
	*result = (struct resize_result){ .target_bytes = target_bytes,
					  .before_bytes = info->actual_bytes,
					  .after_bytes = info->actual_bytes,
					  .eased_bytes = HV_UNSET,
					  .held_bytes = HV_UNSET,
					  .host_before_bytes = measure_host_bytes(info),
					  .host_after_bytes = HV_UNSET,
					  .first_move_s = -1 };
	signal(SIGINT, on_resize_interrupt);
	if (!options->no_wait)
		guest_stats_start(&r.stats, guest, info);
	target_file_write(&r.target_file, guest, info, target_bytes);
	asked_bytes = harmless_target(&r);
	hold_prepare(&r.hold, ctx, options->socket, guest, info);
	hold_at(&r.hold, asked_bytes);
	balloon_wait_start(&r.wait, info->actual_bytes, asked_bytes, g_get_monotonic_time(),
			   (int64_t)options->stall_s * G_USEC_PER_SEC,
			   (int64_t)options->timeout_s * G_USEC_PER_SEC);
	warn_of_need(&r);
	ok = request_and_wait(&r, error);
	result->held_bytes = r.hold.bytes;
	hold_clear(&r.hold);
	target_file_clear(&r.target_file);
	guest_stats_stop(&r.stats);
	signal(SIGINT, SIG_DFL);
	return ok;
}
