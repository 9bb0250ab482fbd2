/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asking first: what is found out before memory is taken from a guest.
 *
 * Theory of operation
 * -------------------
 * 1. Obstacles.  Where the host would get nothing back (locked memory, devices that pin it), the
 *    guest would lose memory and nobody would gain any: refused unless forced.
 * 2. The driver.  A guest that is booting has none yet, and what it will need is unknown.  So a
 *    guest without a driver that was started, or last heard of, less than BOOT_US ago is waited
 *    for.  One that has been running for longer has no driver, and nothing is asked of it.
 *    Over libvirt nobody reports the driver, but statistics prove that there is one.
 * 3. The statistics, from which follows how much the guest can give.  Of a guest that reports
 *    none, at most half is taken unless forced: with half of the memory that it was planned for
 *    a guest may swap, but it lives.  Beyond that, resize.c wants a proof that they are true.
 *
 * Nothing is asked of a guest that is to grow, or whose caller does not wait.
 */
#include "resize/resize_private.h"

#include <poll.h>

#include "hypervisor/vmm_process.h"
#include "policy/floor.h"

#define BOOT_US (60 * G_USEC_PER_SEC) /* a guest older than this has booted */
#define BOOT_POLL_MS 100

void resize_conclude(struct resize *r, enum resize_reason reason)
{
	resize_explain(r->result, reason,
		       &(struct resize_facts){
			       .info = r->info,
			       .used_bytes = guest_stats_used_bytes(&r->stats),
			       .newer_bytes = HV_UNSET,
			       .is_set = r->is_set,
			       .has_moved = r->wait.first_move_us,
			       .relieves_early = r->stats.latest.relieves_early,
			       .taken_back_bytes = balloon_wait_taken_back(&r->wait),
		       });
}

bool resize_is_given_up(struct resize *r)
{
	struct resize_facts facts = { .info = r->info, .is_set = r->is_set };

	if (r->ops->is_cancelled && r->ops->is_cancelled(r->data)) {
		resize_conclude(r, RESIZE_INTERRUPTED);
		return true;
	}
	if (target_file_is_current(&r->target_file, &facts.newer_bytes))
		return false;
	resize_explain(r->result, RESIZE_SUPERSEDED, &facts);
	return true;
}

static void warn_of_risk(struct resize *r, const char *text)
{
	g_autofree char *line = g_strdup_printf("%s: %s", r->info->name, text);

	if (!r->result->note)
		r->result->note = g_strdup(text);
	if (r->ops->warn)
		r->ops->warn(r->data, line);
}

/* Refuses, unless forced, with @text. */
static bool refuse_risk(const char *name, const char *text, bool force, GError **error)
{
	if (!force)
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "%s: %s; use --force to do it anyway", name, text);
	return force;
}

bool resize_check_obstacle(const char *name, enum hv_obstacle obstacle, bool force, GError **error)
{
	g_autofree char *text = resize_obstacle_text(obstacle);

	return obstacle == HV_OBSTACLE_NONE || refuse_risk(name, text, force, error);
}

static bool check_obstacle_now(struct resize *r, GError **error)
{
	enum hv_obstacle obstacle;
	g_autofree char *text = NULL;

	if (!hv_guest_obstacle(r->guest, hv_deadline_ms(RESIZE_CALL_MS), &obstacle, NULL) ||
	    obstacle == HV_OBSTACLE_NONE)
		return true;
	r->result->obstacle = obstacle;
	if (!resize_check_obstacle(r->info->name, obstacle, r->request->force, error))
		return false;
	text = resize_obstacle_text(obstacle);
	warn_of_risk(r, text);
	return true;
}

bool resize_is_booting(const struct resize *r)
{
	int64_t age_us = vmm_process_age_us(r->info->pid);
	int64_t silent_s = r->stats.known ? hv_stats_age_s(&r->stats.latest) : -1;

	return (age_us >= 0 && age_us < BOOT_US) ||
	       (silent_s >= 0 && silent_s * G_USEC_PER_SEC < BOOT_US);
}

/*
 * What is known about the driver now.  READY also if nobody can start one, or say more.  Over
 * libvirt READY is inferred from statistics that may be seconds old, so only an answer to us
 * counts.
 */
static enum hv_driver find_driver(struct resize *r)
{
	bool is_inferred = g_str_equal(r->guest->ops->kind, "libvirt");
	g_auto(hv_info) now = { 0 };

	if (!hv_guest_info(r->guest, hv_deadline_ms(RESIZE_CALL_MS), &now, NULL) ||
	    now.state != HV_STATE_RUNNING)
		return HV_DRIVER_READY;
	guest_stats_read(&r->stats);
	if (now.driver == HV_DRIVER_ABSENT || (now.driver == HV_DRIVER_READY && !is_inferred))
		return now.driver;
	return guest_stats_have_answered(&r->stats) ? HV_DRIVER_READY : HV_DRIVER_UNKNOWN;
}

/* Waits for the driver of a guest that is booting. */
static enum resize_step await_driver(struct resize *r)
{
	int64_t end_us = r->started_us + r->request->timeout_us;
	enum hv_driver driver = find_driver(r);
	bool waited = false;

	while (driver != HV_DRIVER_READY) {
		if (resize_is_given_up(r))
			return RESIZE_ENDED;
		if (!resize_is_booting(r)) {
			if (driver == HV_DRIVER_UNKNOWN)
				break;
			resize_conclude(r, RESIZE_NO_DRIVER);
			return RESIZE_ENDED;
		}
		if (g_get_monotonic_time() >= end_us) {
			resize_conclude(r, RESIZE_BOOTING);
			return RESIZE_ENDED;
		}
		if (!waited && r->ops->waiting)
			r->ops->waiting(r->data,
					"waiting for its balloon driver; it may be booting");
		waited = true;
		poll(NULL, 0, BOOT_POLL_MS);
		driver = find_driver(r);
	}
	if (waited)
		guest_stats_wait(&r->stats, RESIZE_SILENT_MS);
	return RESIZE_GO_ON;
}

uint64_t resize_careful_bytes(uint64_t max_bytes)
{
	return MAX(floor_bytes(max_bytes), max_bytes / 2);
}

static char *careless_text(const struct guest_stats *stats)
{
	g_autofree char *silence = resize_silence_text(stats);

	return g_strdup_printf("%s, and less than half of its maximum was asked for", silence);
}

static bool check_silent_guest(struct resize *r, GError **error)
{
	bool is_careless = r->request->target_bytes < resize_careful_bytes(r->info->max_bytes);
	g_autofree char *text = NULL;

	if (is_careless && !r->request->force && guest_stats_least_bytes(&r->stats) == HV_UNSET)
		guest_stats_wait(&r->stats, RESIZE_SILENT_MS);
	if (guest_stats_least_bytes(&r->stats) != HV_UNSET)
		return true;
	text = is_careless ? careless_text(&r->stats) : resize_silence_text(&r->stats);
	if (is_careless && !refuse_risk(r->info->name, text, r->request->force, error))
		return false;
	warn_of_risk(r, text);
	return true;
}

bool resize_check_view(const struct resize_view *view, uint64_t target_bytes, bool force,
		       GError **error)
{
	const hv_info info = { .max_bytes = view->max_bytes, .autodeflate = view->autodeflate };
	const struct guest_stats stats = { .info = &info, .known = true, .latest = *view->stats };
	uint64_t least = guest_stats_least_bytes(&stats), used = guest_stats_used_bytes(&stats);
	g_autofree char *text = NULL;

	if (!resize_check_target(view->name, view->max_bytes, target_bytes, force, error))
		return false;
	if (force || target_bytes >= view->actual_bytes)
		return true;
	if (!resize_check_obstacle(view->name, view->obstacle, force, error))
		return false;
	if (least == HV_UNSET && target_bytes < resize_careful_bytes(view->max_bytes))
		text = careless_text(&stats);
	else if (least != HV_UNSET && target_bytes < least)
		text = resize_need_text(used == HV_UNSET ? least : used);
	return !text || refuse_risk(view->name, text, force, error);
}

enum resize_step resize_ask_guest(struct resize *r, GError **error)
{
	enum resize_step step = RESIZE_GO_ON;

	if (r->request->target_bytes >= r->result->before_bytes)
		return RESIZE_GO_ON;
	if (!check_obstacle_now(r, error))
		return RESIZE_FAILED;
	if (r->request->no_wait)
		return RESIZE_GO_ON;
	if (!r->request->force)
		step = await_driver(r);
	if (step == RESIZE_GO_ON && !check_silent_guest(r, error))
		step = RESIZE_FAILED;
	return step;
}
