/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * Who set a guest's size?  Nobody tells a target back, so it is inferred: a guest that had
 * our target, and is away from it for AWAY_US while it answers with fresh statistics, was
 * set by somebody else.  Not so one that grew by itself under deflate-on-oom, one that was
 * rebooted (its counters began anew) or whose driver is gone (its statistics stand still).
 */
#include "aerostatd/managed.h"

#include <string.h>

struct managed *managed_new(struct manager *manager, uint64_t id, const hv_guest *guest)
{
	struct managed *managed = g_new0(struct managed, 1);
	struct managed_private *p = g_new0(struct managed_private, 1);

	*p = (struct managed_private){
		.manager = manager,
		.rules = { .min_bytes = HV_UNSET, .max_bytes = HV_UNSET, .weight = 1 },
		.person_mode = -1,
		.before_period_s = -1,
		.target_bytes = HV_UNSET,
		.actual_bytes = HV_UNSET,
	};
	*managed = (struct managed){
		.id = id,
		.source = g_strdup(guest->source),
		.address = g_strdup(guest->address),
		.name = g_strdup(guest->address),
		.autodeflate = -1,
		.held_bytes = HV_UNSET,
		.before_bytes = HV_UNSET,
		.private = p,
	};
	for (int i = 0; i < HV_STAT_COUNT; i++)
		managed->stats.value[i] = HV_UNSET;
	g_queue_init(&managed->history);
	return managed;
}

void managed_free(gpointer data)
{
	struct managed *guest = data;

	reach_free(guest->private->reach);
	g_free(guest->private);
	g_queue_clear_full(&guest->history, g_free);
	g_free(guest->source);
	g_free(guest->address);
	g_free(guest->name);
	g_free(guest->uuid);
	g_free(guest->problem);
	g_free(guest);
}

enum policy_mode managed_mode(const struct managed *guest)
{
	const struct managed_private *p = guest->private;

	return p->person_mode >= 0 ? (enum policy_mode)p->person_mode : p->rules.mode;
}

/*
 * Answers
 */

static bool is_another(const struct managed *guest, const hv_info *info)
{
	return (guest->pid && info->pid && guest->pid != info->pid) ||
	       (guest->uuid && info->uuid && strcmp(guest->uuid, info->uuid));
}

static void take_identity(struct managed *guest, const hv_info *info)
{
	g_free(guest->name);
	guest->name = g_strdup(info->name ? info->name : guest->address);
	g_free(guest->uuid);
	guest->uuid = g_strdup(info->uuid);
	if (info->pid)
		guest->pid = info->pid;
	guest->state = info->state;
	guest->driver = info->driver;
	guest->autodeflate = info->autodeflate;
	guest->has_balloon = info->has_balloon;
}

static bool has_target(const struct managed *guest, uint64_t actual)
{
	uint64_t target = guest->private->target_bytes;

	return target != HV_UNSET && actual <= target + ARRIVED_BYTES &&
	       actual + ARRIVED_BYTES >= target;
}

static bool may_move_by_itself(const struct managed *guest, uint64_t actual)
{
	return actual > guest->private->target_bytes && guest->autodeflate != 0;
}

/* It may have no driver just now, and whatever size it has is nobody's will. */
static bool is_silent(const struct reach_sample *sample)
{
	return sample->told_us - sample->heard_us > SILENT_US;
}

/* Somebody else set its size, and it is not merely a guest that boots. */
static bool was_moved(const struct managed *guest, const struct reach_sample *sample)
{
	const struct managed_private *p = guest->private;
	uint64_t faults = sample->stats.value[HV_STAT_MINOR_FAULT];

	if (!p->away_us || sample->told_us - p->away_us < AWAY_US)
		return false;
	return faults == HV_UNSET || p->away_faults == HV_UNSET || faults >= p->away_faults;
}

static bool follow_size(struct managed *guest, const struct reach_sample *sample, uint64_t actual)
{
	struct managed_private *p = guest->private;

	if (actual != p->actual_bytes)
		p->moved_us = sample->told_us;
	p->actual_bytes = actual;
	if (p->target_bytes == HV_UNSET || has_target(guest, actual)) {
		p->arrived = p->target_bytes != HV_UNSET;
		p->away_us = 0;
		return false;
	}
	if (is_silent(sample)) {
		p->arrived = false;
		p->away_us = 0;
	}
	if (!p->arrived || may_move_by_itself(guest, actual))
		return false;
	if (!p->away_us) {
		p->away_us = sample->told_us;
		p->away_faults = guest->stats.value[HV_STAT_MINOR_FAULT];
	}
	return was_moved(guest, sample);
}

static void take_numbers(struct managed *guest, const struct reach_sample *sample)
{
	struct policy_guest *seen = &guest->seen;
	const uint64_t *value = sample->stats.value;

	guest->obstacle = sample->obstacle;
	guest->stats = sample->stats;
	seen->boot_bytes = sample->info->max_bytes;
	seen->actual_bytes = sample->info->actual_bytes == HV_UNSET ? sample->info->max_bytes
								    : sample->info->actual_bytes;
	/* The guest's claim: 0 could be neither kept nor put back, more than all is nonsense. */
	seen->actual_bytes =
		CLAMP(seen->actual_bytes, MIN(ARRIVED_BYTES, seen->boot_bytes), seen->boot_bytes);
	seen->resident_bytes = sample->resident_bytes;
	seen->stall = sample->stall;
	seen->taken_us = sample->stats_us;
	seen->period_us = (int64_t)MAX(sample->stats.period_s, REACH_PERIOD_S) * G_USEC_PER_SEC;
	seen->actual_then_bytes = sample->actual_then_bytes;
	seen->available_bytes = value[HV_STAT_USABLE];
	seen->free_bytes = value[HV_STAT_UNUSED];
	seen->total_bytes = value[HV_STAT_AVAILABLE];
	seen->cache_bytes = value[HV_STAT_DISK_CACHES];
	seen->swap_in_bytes = value[HV_STAT_SWAP_IN];
	seen->swap_out_bytes = value[HV_STAT_SWAP_OUT];
	seen->major_faults = value[HV_STAT_MAJOR_FAULT];
	seen->oom_kills = value[HV_STAT_OOM_KILLS];
	seen->alloc_stalls = value[HV_STAT_ALLOC_STALLS];
	seen->direct_scan_bytes = value[HV_STAT_DIRECT_SCANS];
	seen->psi_some_us = value[HV_STAT_PSI_SOME];
	seen->psi_full_us = value[HV_STAT_PSI_FULL];
}

/* A guest that answers may still be one whose driver cannot act. */
static char *problem_of(const struct managed *guest)
{
	if (guest->state != HV_STATE_RUNNING)
		return g_strdup_printf("it is %s, so its driver cannot act",
				       hv_state_name(guest->state));
	return NULL;
}

enum managed_news managed_take(struct managed *guest, const struct reach_sample *sample)
{
	struct managed_private *p = guest->private;
	bool moved, first = !guest->met;

	if (is_another(guest, sample->info))
		return MANAGED_ANOTHER;
	take_identity(guest, sample->info);
	guest->met = true;
	p->answered_us = sample->told_us;
	if (p->before_period_s < 0)
		p->before_period_s = sample->before_period_s;
	g_free(guest->problem);
	guest->problem = problem_of(guest);
	moved = follow_size(guest, sample, sample->info->actual_bytes);
	take_numbers(guest, sample);
	return first ? MANAGED_MET : moved ? MANAGED_BY_SOMEBODY : MANAGED_SAME;
}

void managed_fail(struct managed *guest, const char *problem)
{
	g_free(guest->problem);
	guest->problem = g_strdup(problem);
}

/*
 * The policy's view
 */

void managed_show(struct managed *guest, int64_t now_us)
{
	const struct managed_private *p = guest->private;
	struct policy_guest *seen = &guest->seen;

	seen->id = guest->id;
	seen->rules = p->rules;
	seen->rules.mode = managed_mode(guest);
	seen->target_bytes = p->target_bytes;
	seen->reachable = !guest->problem && now_us - p->answered_us <= ANSWER_US;
	seen->has_driver = guest->has_balloon && guest->driver != HV_DRIVER_ABSENT;
	seen->cannot_shrink = guest->obstacle;
}

void managed_was_told(struct managed *guest, uint64_t target_bytes, int64_t now_us)
{
	struct managed_private *p = guest->private;

	p->target_bytes = target_bytes;
	p->set_us = now_us;
	p->moved_us = now_us;
	p->arrived = false;
	p->away_us = 0;
	guest->times_set++;
}

bool managed_needs_reminder(const struct managed *guest, int64_t now_us)
{
	const struct managed_private *p = guest->private;

	return p->target_bytes != HV_UNSET && guest->seen.reachable &&
	       guest->seen.rules.mode == POLICY_AUTO &&
	       p->actual_bytes + ARRIVED_BYTES < p->target_bytes &&
	       now_us - MAX(p->moved_us, p->set_us) >= REMIND_US;
}

void managed_remember(struct managed *guest)
{
	struct managed_past *past = g_new(struct managed_past, 1);

	*past = (struct managed_past){
		.time_us = g_get_real_time(),
		.actual_bytes = guest->seen.actual_bytes,
		.target_before_bytes = guest->seen.target_bytes,
		.decision = guest->decision,
	};
	g_queue_push_head(&guest->history, past);
	if (g_queue_get_length(&guest->history) > HISTORY_KEPT)
		g_free(g_queue_pop_tail(&guest->history));
}

/*
 * What outlives the daemon
 */

void managed_keep(const struct managed *guest, struct keep_guest *kept)
{
	const struct managed_private *p = guest->private;

	*kept = (struct keep_guest){
		.source = guest->source,
		.address = guest->address,
		.name = guest->name,
		.uuid = guest->uuid,
		.pid = guest->pid,
		.start_ticks = p->start_ticks,
		.before_bytes = guest->before_bytes,
		.before_period_s = p->before_period_s,
		.changed = p->changed,
		.mode = p->person_mode,
		.held_bytes = guest->held_bytes,
	};
}

void managed_resume(struct managed *guest, const struct keep_guest *kept)
{
	struct managed_private *p = guest->private;

	/* What was not changed then may have been since, by somebody. */
	if (kept->changed)
		guest->before_bytes = kept->before_bytes;
	p->before_period_s = kept->before_period_s;
	p->changed = kept->changed;
	p->person_mode = kept->mode;
	guest->mode_by_person = kept->mode >= 0;
	guest->held_bytes = kept->held_bytes;
}
