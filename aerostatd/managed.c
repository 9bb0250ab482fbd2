/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/managed.h"

#include "hypervisor/pull_watch.h"

#include <string.h>

#define PAGE_BYTES UINT64_C(4096)
#define TRIM_LEAST_BYTES (UINT64_C(1) << 20) /* that devices accept */

/* A size, and the maximum at which it was noted. */
struct noted_size {
	uint64_t bytes, max_bytes;
};

struct managed_private {
	void *owner;
	struct worker *worker;
	uint64_t start_ticks;  /* of its process, at the first answer; 0 if unknown */
	uint64_t device_ticks; /* of its device's process; 0 if unknown or none */
	int64_t answered_us;   /* monotonic: the last answer; 0: never */

	struct policy_rules rules; /* of the configuration */
	int person_mode;	   /* enum policy_mode; -1: no person chose one */

	struct noted_size own, held;
	bool changed;		 /* it must be restored to its own size */
	bool was_set;		 /* by the policy or a person, so its size now is not its own */
	bool may_be_set;	 /* not all targets since then were refused */
	bool changed_if_refused; /* what changed is if the size that a person chose is refused */
	int before_period_s;
	bool learned_period; /* by the last sample */
	bool period_is_lent; /* somebody else has changed it for the moment */
	int64_t refused_us; /* when it answered last before its last target was refused; 0: never */
	bool restoring, moving; /* moving: towards its own size, after the attempt */

	struct size_watch watch;
	struct saved_guest *heritage; /* NULL: none */

	char *control; /* its device's control socket, if that reports pulls; or NULL */
	struct pull_watch *pull_watch;
	uint64_t pulled_bytes; /* that managed_take_pulled() has returned */
	bool is_bounded;       /* it was sent a credit */
};

struct managed *managed_new(uint64_t id, const hv_guest *found, void *owner)
{
	struct managed *guest = g_new0(struct managed, 1);
	struct managed_private *p = g_new0(struct managed_private, 1);

	*p = (struct managed_private){
		.owner = owner,
		.rules = { .min_bytes = HV_UNSET, .max_bytes = HV_UNSET, .weight = 1 },
		.person_mode = -1,
		.before_period_s = -1,
		.own.bytes = HV_UNSET,
		.held.bytes = HV_UNSET,
	};
	size_watch_init(&p->watch);
	*guest = (struct managed){
		.id = id,
		.source = g_strdup(found->source),
		.address = g_strdup(found->address),
		.name = g_strdup(found->address),
		.uuid = g_strdup(found->uuid),
		.libvirt_id = found->id,
		.autodeflate = -1,
		.free_page_reporting = -1,
		.held_bytes = HV_UNSET,
		.before_bytes = HV_UNSET,
		.seen.target_bytes = HV_UNSET,
		.private = p,
	};
	for (int i = 0; i < HV_STAT_COUNT; i++)
		guest->stats.value[i] = HV_UNSET;
	g_queue_init(&guest->history);
	return guest;
}

void managed_free(gpointer data)
{
	struct managed *guest = data;

	pull_watch_free(guest->private->pull_watch);
	g_free(guest->private->control);
	worker_free(guest->private->worker);
	saved_guest_free(guest->private->heritage);
	g_free(guest->private);
	g_queue_clear_full(&guest->history, g_free);
	g_free(guest->source);
	g_free(guest->address);
	g_free(guest->name);
	g_free(guest->uuid);
	g_free(guest->problem);
	g_free(guest->limit_path);
	g_free(guest);
}

void *managed_owner(const struct managed *guest)
{
	return guest->private->owner;
}

void managed_attach_worker(struct managed *guest, struct worker *worker)
{
	guest->private->worker = worker;
}

struct worker *managed_worker(const struct managed *guest)
{
	return guest->private->worker;
}

struct worker *managed_detach_worker(struct managed *guest)
{
	return g_steal_pointer(&guest->private->worker);
}

struct guest_names managed_names(const struct managed *guest)
{
	return (struct guest_names){ guest->source, guest->address, guest->name, guest->uuid,
				     guest->libvirt_id };
}

bool managed_is_called(const struct managed *guest, const char *word)
{
	const struct guest_names names = managed_names(guest);

	return guest_word_fits(word, &names);
}

enum process_state managed_process_state(const struct managed *guest)
{
	return process_find_state(guest->pid, guest->private->start_ticks);
}

bool managed_has_device(const struct managed *guest, pid_t pid, uint64_t start_ticks)
{
	const struct managed_private *p = guest->private;

	return pid && start_ticks && guest->device_pid == pid && p->device_ticks == start_ticks;
}

/*
 * Its answers
 */

static bool is_replaced(const struct managed *guest, const hv_info *info)
{
	const struct identity identity = { guest->pid, guest->private->start_ticks, guest->uuid,
					   guest->name };

	return guest->answered && !identity_matches(&identity, info);
}

static void take_names(struct managed *guest, const hv_info *info)
{
	g_free(guest->name);
	guest->name = g_strdup(info->name ? info->name : guest->address);
	g_free(guest->uuid);
	guest->uuid = g_strdup(info->uuid);
	guest->libvirt_id = info->id;
	guest->origin = info->origin;
}

static void take_identity(struct managed *guest, const hv_info *info)
{
	take_names(guest, info);
	if (info->pid)
		guest->pid = info->pid;
	if (info->device_pid && info->device_pid != guest->device_pid) {
		guest->device_pid = info->device_pid;
		guest->private->device_ticks = process_start_ticks(info->device_pid);
	}
	guest->state = info->state;
	guest->driver = info->driver;
	guest->autodeflate = info->autodeflate;
	guest->free_page_reporting = info->free_page_reporting;
	g_free(guest->private->control);
	guest->private->control = g_strdup(info->control);
	guest->has_balloon = info->has_balloon;
}

_Static_assert((int)HV_CAN_REPORT == (int)POLICY_CAN_REPORT &&
		       (int)HV_CAN_RELIEVE == (int)POLICY_CAN_RELIEVE &&
		       (int)HV_CAN_PULL == (int)POLICY_CAN_PULL &&
		       (int)HV_CAN_TRIM == (int)POLICY_CAN_TRIM &&
		       (int)HV_CAN_GATE == (int)POLICY_CAN_GATE,
	       "the masks are the same");

/* The drivers count refaults in pages. */
static uint64_t find_refaults(const struct hv_stats *stats)
{
	uint64_t pages = stats->value[HV_STAT_REFAULTS_FILE];

	return pages == HV_UNSET ? POLICY_UNSET
				 : MIN(pages, UINT64_MAX / 2 / PAGE_BYTES) * PAGE_BYTES;
}

static void take_numbers(struct managed *guest, const struct worker_sample *sample)
{
	struct policy_guest *seen = &guest->seen;
	const uint64_t *value = sample->stats.value;

	guest->obstacle = sample->obstacle;
	guest->stats = sample->stats;
	seen->boot_bytes = sample->info->max_bytes;
	seen->actual_bytes = sample->info->actual_bytes == HV_UNSET ? sample->info->max_bytes
								    : sample->info->actual_bytes;
	/* The size is a claim.  0 could be neither saved nor restored, and more than all of its
	 * RAM is impossible. */
	seen->actual_bytes =
		CLAMP(seen->actual_bytes, MIN(ARRIVED_BYTES, seen->boot_bytes), seen->boot_bytes);
	seen->resident_bytes = sample->resident_bytes;
	seen->ram_bytes = sample->ram_bytes;
	seen->stall = sample->stall;
	seen->taken_us = sample->stats_us;
	seen->period_us =
		(int64_t)MAX(sample->stats.period_s, MANAGED_STATS_PERIOD_S) * G_USEC_PER_SEC;
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
	seen->refault_bytes = find_refaults(&sample->stats);
	seen->abilities = hv_find_abilities(sample->info, &sample->stats);
}

/* The own and held sizes, at the present maximum. */
static void update_sizes(struct managed *guest)
{
	const struct managed_private *p = guest->private;
	uint64_t max = guest->seen.boot_bytes;

	guest->before_bytes = size_at_maximum(p->own.bytes, p->own.max_bytes, max);
	guest->held_bytes = size_at_maximum(p->held.bytes, p->held.max_bytes, max);
}

static void note_size(struct managed *guest, struct noted_size *size, uint64_t bytes)
{
	*size = (struct noted_size){ bytes, guest->seen.boot_bytes };
	update_sizes(guest);
}

/*
 * The target moves with the maximum, unless it was sent between the move and now, or would be too
 * low then.  So it is sent again, or where it must not be, forgotten.
 */
static void follow_maximum(struct managed *guest, uint64_t from_bytes, int64_t now_us)
{
	struct managed_private *p = guest->private;
	uint64_t max_bytes = guest->seen.boot_bytes, target_bytes = managed_target(guest);
	bool may_be_other = p->watch.set_us >= p->watch.info_us;
	bool is_ours = !size_watch_is_suspicious(&p->watch);
	enum policy_mode mode = managed_mode(guest);

	if (!from_bytes || !max_bytes || from_bytes == max_bytes)
		return;
	update_sizes(guest);
	if (target_bytes == HV_UNSET)
		return;
	size_watch_move_maximum(&p->watch, from_bytes, max_bytes);
	is_ours |= size_watch_has_arrived(&p->watch, guest->seen.actual_bytes);
	may_be_other |= managed_target(guest) - target_bytes != max_bytes - from_bytes;
	if (is_ours && (mode == POLICY_AUTO || mode == POLICY_HELD))
		managed_send_target(guest, managed_target(guest), now_us);
	else if (may_be_other)
		size_watch_set_target(&p->watch, HV_UNSET, p->answered_us);
}

static bool follow_size(struct managed *guest, const struct worker_sample *sample)
{
	struct managed_private *p = guest->private;
	const struct size_sight sight = {
		.now_us = sample->answered_us,
		.heard_us = sample->heard_us,
		.info_us = sample->info_us,
		.actual_bytes = guest->seen.actual_bytes,
		.max_bytes = guest->seen.boot_bytes,
		.stats = &sample->stats,
		.driver_absent = guest->driver == HV_DRIVER_ABSENT,
		.grows_alone = guest->autodeflate != 0,
	};
	bool resized = size_watch_take(&p->watch, &sight);

	if (!size_watch_is_settled(&p->watch, sample->answered_us))
		return resized;
	if (!p->was_set)
		note_size(guest, &p->own, guest->seen.actual_bytes);
	if (managed_mode(guest) == POLICY_HELD && p->watch.target_bytes == HV_UNSET)
		note_size(guest, &p->held, guest->seen.actual_bytes);
	return resized;
}

enum managed_change managed_take_sample(struct managed *guest, const struct worker_sample *sample)
{
	struct managed_private *p = guest->private;
	bool resized, first = !guest->answered;
	uint64_t max_bytes = guest->seen.boot_bytes;

	if (is_replaced(guest, sample->info))
		return MANAGED_REPLACED;
	take_identity(guest, sample->info);
	guest->answered = true;
	p->answered_us = sample->answered_us;
	p->learned_period = p->before_period_s < 0 && sample->before_period_s >= 0;
	if (p->learned_period)
		p->before_period_s = sample->before_period_s;
	g_clear_pointer(&guest->problem, g_free);
	if (guest->state != HV_STATE_RUNNING)
		guest->problem = g_strdup_printf("it is %s, so its driver cannot act",
						 hv_state_name(guest->state));
	take_numbers(guest, sample);
	follow_maximum(guest, max_bytes, sample->answered_us);
	resized = follow_size(guest, sample);
	guest->seen.pulled_bytes = p->watch.pulled_bytes;
	return first ? MANAGED_FIRST_ANSWER : resized ? MANAGED_RESIZED : MANAGED_UNCHANGED;
}

void managed_postpone(struct managed *guest, const hv_info *info, const char *why)
{
	take_names(guest, info);
	managed_set_problem(guest, why);
}

bool managed_has_learned_period(const struct managed *guest)
{
	return guest->private->learned_period;
}

void managed_set_problem(struct managed *guest, const char *problem)
{
	g_free(guest->problem);
	guest->problem = g_strdup(problem);
}

bool managed_is_silent(const struct managed *guest, int64_t now_us)
{
	return guest->answered && !guest->problem &&
	       now_us - guest->private->answered_us > ANSWER_US;
}

/*
 * Its mode
 */

enum policy_mode managed_mode(const struct managed *guest)
{
	const struct managed_private *p = guest->private;

	return p->person_mode >= 0 ? (enum policy_mode)p->person_mode : p->rules.mode;
}

static void apply_mode(struct managed *guest)
{
	if (guest->private->worker)
		worker_set_managed(guest->private->worker, managed_mode(guest) != POLICY_OFF &&
								   !guest->private->period_is_lent);
}

void managed_lend_period(struct managed *guest, bool is_lent)
{
	guest->private->period_is_lent = is_lent;
	apply_mode(guest);
}

void managed_set_rules(struct managed *guest, const struct policy_rules *rules)
{
	guest->private->rules = *rules;
	if (managed_mode(guest) != POLICY_HELD)
		note_size(guest, &guest->private->held, HV_UNSET);
	apply_mode(guest);
}

/* It is about to be set a target, its first one or another. */
static void note_setting(struct managed_private *p)
{
	p->may_be_set &= p->was_set;
	p->was_set = true;
}

static void set_changed(struct managed_private *p, bool changed)
{
	p->changed = changed;
	p->changed_if_refused = false;
}

void managed_set_person_mode(struct managed *guest, enum policy_mode mode, uint64_t bytes,
			     int64_t now_us)
{
	struct managed_private *p = guest->private;

	p->person_mode = mode == POLICY_AUTO ? -1 : (int)mode;
	guest->mode_by_person = p->person_mode >= 0;
	note_size(guest, &p->held, HV_UNSET);
	if (mode == POLICY_HELD) {
		managed_accept_size(guest);
		if (bytes != HV_UNSET) {
			note_setting(p);
			note_size(guest, &p->held, bytes);
			managed_send_target(guest, bytes, now_us);
		}
	} else if (mode == POLICY_AUTO) {
		set_changed(p, p->was_set);
	}
	apply_mode(guest);
	managed_update_view(guest, now_us, false);
}

void managed_accept_size(struct managed *guest)
{
	struct managed_private *p = guest->private;

	set_changed(p, false);
	size_watch_set_target(&p->watch, HV_UNSET, p->answered_us);
	/* Held at the size at which it will stand still. */
	note_size(guest, &p->held, HV_UNSET);
}

void managed_choose_size(struct managed *guest, uint64_t bytes, int64_t now_us)
{
	struct managed_private *p = guest->private;

	p->changed_if_refused |= p->changed;
	p->changed = false;
	note_setting(p);
	managed_send_target(guest, bytes, now_us);
}

void managed_set_own_size(struct managed *guest, uint64_t bytes)
{
	struct managed_private *p = guest->private;

	p->was_set = p->may_be_set = true;
	set_changed(p, p->person_mode != POLICY_HELD);
	note_size(guest, &p->own, bytes);
}

/*
 * The policy
 */

void managed_update_view(struct managed *guest, int64_t now_us, bool shares_process)
{
	const struct managed_private *p = guest->private;
	struct policy_guest *seen = &guest->seen;

	seen->id = guest->id;
	seen->rules = p->rules;
	seen->rules.mode = managed_mode(guest);
	seen->target_bytes = p->watch.target_bytes;
	seen->reachable = !guest->problem && now_us - p->answered_us <= ANSWER_US;
	seen->has_driver = guest->has_balloon && guest->driver != HV_DRIVER_ABSENT;
	seen->cannot_shrink = guest->obstacle;
	if (shares_process)
		seen->resident_bytes = seen->ram_bytes = HV_UNSET;
}

bool managed_take_decision(struct managed *guest, const struct policy_decision *decision)
{
	guest->decision = *decision;
	if (!managed_wants_target(guest) || guest->private->changed)
		return false;
	note_setting(guest->private);
	set_changed(guest->private, true);
	return true;
}

static bool is_just_refused(const struct managed_private *p)
{
	return p->refused_us && p->answered_us - p->refused_us < REMIND_US;
}

/* Whether it is to wait for what it takes back by itself. */
static bool is_to_be_bounded(const struct managed *guest)
{
	return guest->seen.rules.mode == POLICY_AUTO && guest->seen.abilities & POLICY_CAN_GATE &&
	       guest->decision.credit_bytes != POLICY_UNSET;
}

bool managed_wants_target(const struct managed *guest)
{
	const struct managed_private *p = guest->private;
	bool is_own_known = p->was_set || size_watch_is_settled(&p->watch, p->answered_us);
	bool is_first = guest->seen.target_bytes == HV_UNSET && is_to_be_bounded(guest);

	return is_own_known && !size_watch_is_suspicious(&p->watch) &&
	       guest->seen.rules.mode == POLICY_AUTO && !is_just_refused(p) &&
	       (managed_is_resized(guest) || is_first);
}

bool managed_is_resized(const struct managed *guest)
{
	return guest->decision.target_bytes != managed_present_target(guest);
}

uint64_t managed_present_target(const struct managed *guest)
{
	return guest->seen.target_bytes == HV_UNSET ? guest->seen.actual_bytes
						    : guest->seen.target_bytes;
}

uint64_t managed_use_bytes(const struct managed *guest)
{
	uint64_t target = guest->private->watch.target_bytes;

	return target == HV_UNSET ? guest->seen.actual_bytes
				  : MAX(guest->seen.actual_bytes, target);
}

void managed_add_history(struct managed *guest)
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

void managed_send_target(struct managed *guest, uint64_t target_bytes, int64_t now_us)
{
	struct managed_private *p = guest->private;

	size_watch_set_target(&p->watch, target_bytes, now_us);
	guest->times_set++;
	if (p->worker)
		worker_request_target(p->worker, target_bytes);
}

bool managed_forget_unset(struct managed *guest)
{
	struct managed_private *p = guest->private;

	if (!p->was_set || p->may_be_set || (p->worker && worker_is_setting(p->worker)))
		return false;
	p->was_set = false;
	set_changed(p, false);
	return true;
}

bool managed_note_target(struct managed *guest, uint64_t target_bytes, const GError *error)
{
	struct managed_private *p = guest->private;
	bool was_changed = p->changed;

	if (error) {
		guest->times_failed++;
		/* Whether the guest has this target now is unknown. */
		if (managed_target(guest) == target_bytes)
			size_watch_set_target(&p->watch, HV_UNSET, p->answered_us);
	}
	if (!hv_error_is_refusal(error)) {
		p->may_be_set = true;
		p->changed_if_refused = false;
		p->refused_us = 0;
		return false;
	}
	p->refused_us = p->answered_us;
	if (p->worker && worker_is_setting(p->worker))
		return false;
	set_changed(p, p->changed || p->changed_if_refused);
	return managed_forget_unset(guest) || p->changed != was_changed;
}

bool managed_needs_reminder(const struct managed *guest, int64_t now_us)
{
	const struct managed_private *p = guest->private;
	const struct size_watch *watch = &p->watch;

	return watch->target_bytes != HV_UNSET && guest->seen.reachable &&
	       guest->seen.rules.mode == POLICY_AUTO && !size_watch_is_suspicious(watch) &&
	       watch->actual_bytes + ARRIVED_BYTES < watch->target_bytes &&
	       now_us - MAX(watch->moved_us, p->watch.set_us) >= REMIND_US;
}

/*
 * The loan
 */

void managed_watch_pulls(struct managed *guest, void (*pulled)(void *guest))
{
	struct managed_private *p = guest->private;

	if (p->pull_watch && p->control && pull_watch_is_open(p->pull_watch))
		return;
	g_clear_pointer(&p->pull_watch, pull_watch_free);
	if (p->control)
		p->pull_watch = pull_watch_new(p->control, pulled, guest);
}

uint64_t managed_take_pulled(struct managed *guest)
{
	struct managed_private *p = guest->private;
	uint64_t more_bytes = p->watch.pulled_bytes - p->pulled_bytes;

	p->pulled_bytes = p->watch.pulled_bytes;
	return more_bytes;
}

void managed_send_loan(struct managed *guest)
{
	const struct policy_decision *decision = &guest->decision;
	const struct policy_guest *seen = &guest->seen;
	struct managed_private *p = guest->private;
	bool is_ours = seen->rules.mode == POLICY_AUTO && seen->reachable;
	/* Without a target, what it takes back would be taken for a size of its own. */
	bool bounds =
		seen->reachable && is_to_be_bounded(guest) && managed_target(guest) != HV_UNSET;

	if (!p->worker)
		return;
	if (bounds)
		worker_request_credit(p->worker, decision->credit_bytes, decision->ceiling_bytes);
	else if (p->is_bounded)
		worker_request_credit(p->worker, HV_UNSET, HV_UNSET);
	p->is_bounded = bounds;
	if (is_ours && seen->abilities & POLICY_CAN_TRIM &&
	    decision->trim_bytes >= TRIM_LEAST_BYTES)
		worker_request_trim(p->worker, decision->trim_bytes);
}

uint64_t managed_target(const struct managed *guest)
{
	return guest->private->watch.target_bytes;
}

/*
 * What outlives the daemon
 */

void managed_bequeath(struct managed *guest, const struct saved_guest *saved)
{
	saved_guest_free(guest->private->heritage);
	guest->private->heritage = saved_guest_copy(saved);
}

const struct saved_guest *managed_heritage(const struct managed *guest)
{
	return guest->private->heritage;
}

void managed_init_saved(struct managed *guest, const struct saved_guest *saved)
{
	struct managed_private *p = guest->private;

	note_size(guest, &p->own, guest->seen.actual_bytes);
	p->start_ticks = process_start_ticks(guest->pid);
	if (!saved)
		return;
	p->was_set = p->may_be_set = saved->was_set || saved->changed;
	/* Otherwise somebody may have resized it since, or it is just booting. */
	if (p->was_set)
		p->own = (struct noted_size){ saved->before_bytes, saved->max_bytes };
	else
		p->watch.refills = guest->before_bytes != saved->before_bytes;
	p->before_period_s = saved->before_period_s;
	set_changed(p, saved->changed);
	p->person_mode = saved->mode;
	guest->mode_by_person = saved->mode >= 0;
	p->held = (struct noted_size){ saved->held_bytes, saved->max_bytes };
	update_sizes(guest);
}

void managed_save(const struct managed *guest, struct saved_guest *saved)
{
	const struct managed_private *p = guest->private;

	*saved = (struct saved_guest){
		.source = guest->source,
		.address = guest->address,
		.name = guest->name,
		.uuid = guest->uuid,
		.pid = guest->pid,
		.start_ticks = p->start_ticks,
		.before_bytes = guest->before_bytes,
		.before_period_s = p->before_period_s,
		.max_bytes = guest->seen.boot_bytes,
		.changed = p->changed,
		.was_set = p->was_set,
		.mode = p->person_mode,
		.held_bytes = guest->held_bytes,
	};
}

void managed_preview_mode(const struct managed *guest, enum policy_mode mode, uint64_t bytes,
			  int64_t now_us, struct saved_guest *saved)
{
	/* A copy without a worker, which sends nothing; its texts and lists stay the guest's. */
	struct managed_private private = *guest->private;
	struct managed copy = *guest;

	copy.private = &private;
	private.worker = NULL;
	managed_set_person_mode(&copy, mode, bytes, now_us);
	managed_save(&copy, saved);
}

void managed_start_restore(struct managed *guest)
{
	struct saved_guest saved;

	managed_forget_unset(guest);
	managed_save(guest, &saved);
	guest->private->restoring = true;
	worker_request_restore(guest->private->worker, &saved);
}

void managed_finish_restore(struct managed *guest, enum restore_outcome outcome)
{
	struct managed_private *p = guest->private;

	p->restoring = false;
	p->moving = outcome == RESTORE_MOVING;
	if (outcome == RESTORE_DONE || outcome == RESTORE_GONE) {
		/* It has its own size again. */
		p->was_set &= !p->changed;
		set_changed(p, false);
		p->before_period_s = -1;
	}
}

bool managed_is_moving(const struct managed *guest)
{
	return guest->private->moving;
}

bool managed_is_restoring(const struct managed *guest)
{
	return guest->private->restoring;
}
