/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/round.h"

#include "aerostatd/cgroups.h"
#include "aerostatd/holders.h"
#include "aerostatd/host.h"
#include "aerostatd/log.h"
#include "aerostatd/report_limits.h"

#define HURRY_US (250 * 1000) /* the least time between rounds */

struct round {
	struct round_context context;
	struct host *host;
	struct cgroups *cgroups;
	const struct policy_ops *policy;
	struct policy_state *policy_state;
	guint tick, wait, again; /* GSource ids; 0: none */
	int64_t tick_us;	 /* when the next tick is due */
	int64_t again_us;	 /* when the round of @again is due */
	bool open;		 /* it waits for answers */
	bool is_blind;		 /* the host's numbers could not be read */
	GHashTable *awaited;	 /* struct managed *, whose answers the open round waits for */
};

/*
 * Deciding
 */

struct step {
	struct policy_host host; /* in policy time, as are @seen and the outcome */
	size_t count;
	struct managed **guests;
	struct policy_guest *seen;
	struct policy_decision *decisions;
};

/* The processes that run more than one guest, by pid. */
static GHashTable *find_shared_processes(const GPtrArray *guests)
{
	g_autoptr(GHashTable) once = g_hash_table_new(NULL, NULL);
	GHashTable *shared = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < guests->len; i++) {
		const struct managed *guest = guests->pdata[i];

		if (guest->pid && !g_hash_table_add(once, GINT_TO_POINTER(guest->pid)))
			g_hash_table_add(shared, GINT_TO_POINTER(guest->pid));
	}
	return shared;
}

/* The numbers of @guest in policy time.  A sample's period is a time, too: it says when it is old.
 */
static struct policy_guest scale_guest_times(const struct policy_guest *guest, unsigned int clock)
{
	struct policy_guest scaled = *guest;

	scaled.taken_us *= clock;
	scaled.period_us *= clock;
	/* It is measured every few seconds, which are not scaled: too late for a fast clock. */
	if (clock > 1)
		scaled.ram_bytes = HV_UNSET;
	return scaled;
}

static struct step prepare_step(const struct round *round)
{
	const GPtrArray *guests = guests_list(round->context.guests);
	const struct policy_host *host = &round->context.status->host;
	unsigned int clock = round->context.policy_clock;
	g_autoptr(GHashTable) shared = find_shared_processes(guests);
	struct step step = {
		.host = *host,
		.guests = g_new(struct managed *, guests->len),
		.seen = g_new(struct policy_guest, guests->len),
		.decisions = g_new0(struct policy_decision, guests->len),
	};

	step.host.now_us *= clock;
	for (guint i = 0; i < guests->len; i++) {
		struct managed *guest = guests->pdata[i];

		if (!guest->answered || managed_is_restoring(guest))
			continue;
		managed_update_view(guest, host->now_us,
				    g_hash_table_contains(shared, GINT_TO_POINTER(guest->pid)));
		step.guests[step.count] = guest;
		step.seen[step.count++] = scale_guest_times(&guest->seen, clock);
	}
	return step;
}

/* Finds the groups of the step's guests. */
static void find_groups(const struct round *round, struct step *step)
{
	g_autofree pid_t *pids = g_new(pid_t, step->count);
	g_autofree uint64_t *numbers = g_new(uint64_t, step->count);
	struct manager_status *status = round->context.status;

	for (size_t i = 0; i < step->count; i++)
		pids[i] = step->guests[i]->pid;
	cgroups_find(round->cgroups, status->host.now_us, status->host.total_bytes, pids,
		     step->count, numbers);
	for (size_t i = 0; i < step->count; i++)
		step->seen[i].group = step->guests[i]->seen.group = numbers[i];
	step->host.groups = cgroups_list(round->cgroups, &step->host.group_count);
	status->host.groups = step->host.groups;
	status->host.group_count = step->host.group_count;
}

/* Once, until it can be read again. */
static void report_unread_limits(const struct round *round)
{
	const char *problem = cgroups_problem(round->cgroups);
	struct manager_status *status = round->context.status;

	if (problem && !status->limit_problem)
		manager_log(LOG_WARNING,
			    "a memory limit above a guest is not known, so the guest may "
			    "exceed it: %s",
			    problem);
	g_free(status->limit_problem);
	status->limit_problem = g_strdup(problem);
}

static void clear_step(struct step *step)
{
	g_free(step->guests);
	g_free(step->seen);
	g_free(step->decisions);
}

static void report_target(const struct round *round, struct managed *guest)
{
	if (!managed_is_resized(guest))
		return;
	managed_add_history(guest);
	events_add(round->context.status->events, EVENT_TARGET, guest->name,
		   managed_present_target(guest), guest->decision.target_bytes, "%s",
		   guest->decision.text);
}

static void carry_out_step(struct round *round, const struct step *step)
{
	int64_t now_us = g_get_monotonic_time();
	struct holders holders = holders_find(step->guests, step->count);

	for (size_t i = 0; i < step->count; i++) {
		holders_append(&holders, step->guests[i], &step->decisions[i]);
		report_decision_limit(round->cgroups, step->guests[i], &step->decisions[i]);
	}
	for (size_t i = 0; i < step->count; i++)
		if (managed_take_decision(step->guests[i], &step->decisions[i]))
			guests_touch(round->context.guests);
	if (!guests_save(round->context.guests))
		return;
	for (size_t i = 0; i < step->count; i++) {
		struct managed *guest = step->guests[i];

		managed_send_loan(guest);
		if (managed_wants_target(guest) && guests_can_keep(guest)) {
			report_target(round, guest);
			managed_send_target(guest, guest->decision.target_bytes, now_us);
		} else if (managed_needs_reminder(guest, now_us)) {
			managed_send_target(guest, managed_target(guest), now_us);
		}
	}
}

static void report_overcommitment(const struct round *round, bool was_overcommitted)
{
	const struct manager_status *status = round->context.status;

	if (status->outcome.overcommitted == was_overcommitted)
		return;
	if (was_overcommitted) {
		events_add(status->events, EVENT_ALARM, NULL, HV_UNSET, HV_UNSET,
			   "no longer overcommitted: the guests' demand fits into memory again");
		manager_log(LOG_INFO, "no longer overcommitted");
	} else {
		const char *whose =
			status->outcome.short_group
				? cgroups_path(round->cgroups, status->outcome.short_group)
				: "the host";

		events_add(status->events, EVENT_ALARM, NULL, HV_UNSET, HV_UNSET,
			   "overcommitted: guests demand more than %s has, and will swap", whose);
		manager_log(LOG_WARNING,
			    "overcommitted: guests demand more than %s has, and will swap", whose);
	}
}

static gboolean on_again(gpointer data)
{
	struct round *round = data;

	round->again = 0;
	round_hurry(round);
	return G_SOURCE_REMOVE;
}

/* Opens a round @wait_us from now, unless one is planned before that. */
static void plan_round(struct round *round, int64_t wait_us)
{
	int64_t at_us = g_get_monotonic_time() + wait_us;

	if (round->again && round->again_us <= at_us)
		return;
	g_clear_handle_id(&round->again, g_source_remove);
	round->again_us = at_us;
	round->again = g_timeout_add((guint)(wait_us / 1000 + 1), on_again, round);
}

/* The policy may want to be asked sooner than at the next tick. */
static void plan_early_round(struct round *round)
{
	int64_t at_us = round->context.status->outcome.again_us;

	if (at_us && at_us < round->tick_us)
		plan_round(round, MAX(at_us - g_get_monotonic_time(), HURRY_US));
}

static void run_policy_step(struct round *round)
{
	const struct round_context *context = &round->context;
	struct manager_status *status = context->status;
	bool was_overcommitted = status->outcome.overcommitted;
	struct step step = prepare_step(round);
	int64_t began_us;

	find_groups(round, &step);
	report_unread_limits(round);
	began_us = g_get_monotonic_time();

	round->policy->step(round->policy_state, &step.host, step.seen, step.count, step.decisions,
			    &status->outcome);
	status->outcome.again_us /= context->policy_clock;
	status->step_us = g_get_monotonic_time() - began_us;
	recorder_add_step(context->recorder, &step.host, step.seen, step.count, step.decisions);
	carry_out_step(round, &step);
	/* The policy's budget is what is left after reservations. */
	if (status->outcome.budget_bytes != HV_UNSET)
		reservations_fill(context->reservations, guests_list(context->guests),
				  status->outcome.budget_bytes + status->host.reserved_bytes);
	report_overcommitment(round, was_overcommitted);
	plan_early_round(round);
	clear_step(&step);
}

static void close_round(struct round *round)
{
	const struct round_context *context = &round->context;
	struct manager_status *status = context->status;
	g_autoptr(GError) error = NULL;

	round->open = false;
	g_hash_table_remove_all(round->awaited);
	g_clear_handle_id(&round->wait, g_source_remove);
	reservations_expire(context->reservations, guests_list(context->guests),
			    g_get_monotonic_time());
	if (!host_read(round->host, &status->host, &error)) {
		if (!round->is_blind)
			manager_log(LOG_ERR, "nothing is decided: %s", error->message);
		round->is_blind = true;
		return;
	}
	round->is_blind = false;
	status->host.now_us = g_get_monotonic_time();
	status->host.reserved_bytes = reservations_sum_bytes(context->reservations);
	run_policy_step(round);
	status->rounds++;
	status->round_us = g_get_monotonic_time();
}

static gboolean on_wait_over(gpointer data)
{
	struct round *round = data;

	round->wait = 0;
	close_round(round);
	return G_SOURCE_REMOVE;
}

/*
 * Sampling
 */

static void open_round(struct round *round)
{
	const GPtrArray *guests = guests_list(round->context.guests);
	int64_t now_us = g_get_monotonic_time();

	round->open = true;
	for (guint i = 0; i < guests->len; i++) {
		struct managed *guest = guests->pdata[i];

		if (managed_is_restoring(guest))
			continue;
		if (managed_is_silent(guest, now_us)) {
			managed_set_problem(guest, "it does not answer");
			events_add(round->context.status->events, EVENT_GUEST_LOST, guest->name,
				   HV_UNSET, HV_UNSET, "%s", guest->problem);
		}
		if (worker_is_busy(managed_worker(guest)))
			continue;
		worker_request_sample(managed_worker(guest));
		g_hash_table_add(round->awaited, guest);
	}
	/* Never closed from here: callers may hold what the end of a round frees. */
	round->wait = g_timeout_add(g_hash_table_size(round->awaited) ? ROUND_WAIT_US / 1000 : 0,
				    on_wait_over, round);
}

void round_note_answer(struct round *round, const struct managed *guest)
{
	if (g_hash_table_remove(round->awaited, guest) && !g_hash_table_size(round->awaited))
		close_round(round);
}

void round_hurry(struct round *round)
{
	int64_t due_us = round->context.status->round_us + HURRY_US;
	int64_t wait_us = round->open ? HURRY_US : due_us - g_get_monotonic_time();

	if (!round->tick)
		return;
	if (wait_us <= 0)
		open_round(round);
	else
		plan_round(round, wait_us);
}

static gboolean on_tick(gpointer data)
{
	struct round *round = data;
	struct manager_status *status = round->context.status;
	int64_t now_us = g_get_monotonic_time();
	int64_t late_us = MAX(now_us - round->tick_us, 0);

	status->late_us = late_us;
	status->late_max_us = MAX(late_us, status->late_max_us);
	/* Ticks that were missed are skipped. */
	round->tick_us += (late_us / ROUND_US + 1) * ROUND_US;
	round->tick = g_timeout_add((guint)((round->tick_us - now_us) / 1000), on_tick, round);
	if (!round->open)
		open_round(round);
	return G_SOURCE_REMOVE;
}

/*
 * Life
 */

static void create_policy(struct round *round)
{
	const struct config *config = round->context.status->config;

	round->policy = config->policy;
	round->policy_state = config->policy->create(&config->settings);
	if (!round->policy_state)
		g_error("out of memory");
}

void round_restart_policy(struct round *round)
{
	round->policy->destroy(round->policy_state);
	create_policy(round);
}

void round_reconfigure(struct round *round)
{
	const struct config *config = round->context.status->config;

	if (config->policy == round->policy) {
		round->policy->configure(round->policy_state, &config->settings);
		recorder_add_settings(round->context.recorder, &config->settings);
	} else {
		recorder_stop(round->context.recorder);
		round_restart_policy(round);
	}
}

static void on_trigger(void *data)
{
	round_hurry(data);
}

struct round *round_new(const struct round_context *context)
{
	struct round *round = g_new0(struct round, 1);
	struct manager_status *status = context->status;
	const char *why_not = NULL;

	round->context = *context;
	round->awaited = g_hash_table_new(NULL, NULL);
	status->host = (struct policy_host){ .total_bytes = HV_UNSET,
					     .available_bytes = HV_UNSET,
					     .free_bytes = HV_UNSET,
					     .cache_bytes = HV_UNSET,
					     .swap_used_bytes = HV_UNSET };
	status->outcome =
		(struct policy_outcome){ .budget_bytes = HV_UNSET, .want_bytes = HV_UNSET };
	create_policy(round);
	round->host = host_new(context->proc, on_trigger, round);
	round->cgroups = cgroups_new(context->proc);
	status->cgroups = round->cgroups;
	status->trigger = host_has_trigger(round->host, &why_not);
	if (!status->trigger)
		manager_log(LOG_INFO, "memory pressure is polled, as there is no PSI trigger: %s",
			    why_not);
	round->tick_us = g_get_monotonic_time() + ROUND_US / 10;
	round->tick = g_timeout_add(ROUND_US / 10 / 1000, on_tick, round);
	return round;
}

void round_stop(struct round *round)
{
	g_clear_handle_id(&round->tick, g_source_remove);
	g_clear_handle_id(&round->wait, g_source_remove);
	g_clear_handle_id(&round->again, g_source_remove);
	g_hash_table_remove_all(round->awaited);
	round->open = false;
}

void round_free(struct round *round)
{
	round_stop(round);
	host_free(round->host);
	cgroups_free(round->cgroups);
	g_clear_pointer(&round->context.status->limit_problem, g_free);
	round->policy->destroy(round->policy_state);
	g_hash_table_unref(round->awaited);
	g_free(round);
}
