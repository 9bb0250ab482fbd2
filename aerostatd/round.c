/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A round: ask, wait, decide, tell.
 *
 * Theory of operation
 * -------------------
 * A tick every ROUND_US opens a round, which asks every guest that is not still busy with an
 * earlier question.  It closes when all have answered, at the latest ROUND_WAIT_US later.  What
 * must be there to put guests back is saved before the first target of a round is passed on; if
 * that fails, none is.
 */
#include "aerostatd/manager_private.h"

#include "aerostatd/log.h"
#include "recording/recording.h"

#include <stdlib.h>

#define SOON_US (250 * 1000) /* the least time between rounds that somebody hurries */

/*
 * Recording
 */

typedef bool (*write_fn)(FILE *file, const struct manager *manager, const void *data);

static void record(struct manager *manager, write_fn write, const void *data)
{
	char *text = NULL;
	size_t length = 0;
	FILE *file;

	if (!manager->recording.line)
		return;
	file = open_memstream(&text, &length);
	if (!file)
		g_error("out of memory");
	write(file, manager, data);
	fclose(file);
	manager->recording.line(text, length, manager->recording.data);
	free(text);
}

static bool write_start(FILE *file, const struct manager *manager, const void *data)
{
	(void)data;
	return recording_write_start(file, manager->config->policy->name,
				     &manager->config->settings);
}

static bool write_settings(FILE *file, const struct manager *manager, const void *data)
{
	(void)data;
	return recording_write_settings(file, &manager->config->settings);
}

void round_record_start(struct manager *manager)
{
	record(manager, write_start, NULL);
}

void round_record_settings(struct manager *manager)
{
	record(manager, write_settings, NULL);
}

void round_record_end(struct manager *manager)
{
	if (manager->recording.line)
		manager->recording.line(NULL, 0, manager->recording.data);
	manager->recording.line = NULL;
	manager->status.recording = false;
}

/*
 * Deciding
 */

struct step {
	size_t count;
	struct managed **guests;
	struct policy_guest *seen;
	struct policy_decision *decisions;
};

static bool write_step(FILE *file, const struct manager *manager, const void *data)
{
	const struct step *step = data;

	return recording_write_step(file, &manager->status.host, step->seen, step->count,
				    step->decisions);
}

/* A process that serves several guests says nothing of one of them. */
static GHashTable *shared_processes(const struct manager *manager)
{
	g_autoptr(GHashTable) once = g_hash_table_new(NULL, NULL);
	GHashTable *shared = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < manager->guests->len; i++) {
		const struct managed *guest = manager->guests->pdata[i];

		if (guest->pid && !g_hash_table_add(once, GINT_TO_POINTER(guest->pid)))
			g_hash_table_add(shared, GINT_TO_POINTER(guest->pid));
	}
	return shared;
}

static struct step gather(struct manager *manager)
{
	guint room = manager->guests->len;
	g_autoptr(GHashTable) shared = shared_processes(manager);
	int64_t now_us = manager->status.host.now_us;
	struct step step = {
		.guests = g_new(struct managed *, room),
		.seen = g_new(struct policy_guest, room),
		.decisions = g_new0(struct policy_decision, room),
	};

	for (guint i = 0; i < room; i++) {
		struct managed *guest = manager->guests->pdata[i];

		if (!guest->met || guest->private->releasing)
			continue;
		managed_show(guest, now_us);
		if (g_hash_table_contains(shared, GINT_TO_POINTER(guest->pid)))
			guest->seen.resident_bytes = HV_UNSET;
		step.guests[step.count] = guest;
		step.seen[step.count++] = guest->seen;
	}
	return step;
}

static void clear(struct step *step)
{
	g_free(step->guests);
	g_free(step->seen);
	g_free(step->decisions);
}

/* The target that it has now, as the policy sees it. */
static uint64_t present(const struct managed *guest)
{
	return guest->seen.target_bytes == HV_UNSET ? guest->seen.actual_bytes
						    : guest->seen.target_bytes;
}

/* One that may just be set by somebody is left alone until that is known. */
static bool changes(const struct managed *guest)
{
	return !guest->private->away_us && guest->seen.rules.mode == POLICY_AUTO &&
	       guest->decision.target_bytes != present(guest);
}

static void take_decisions(struct manager *manager, const struct step *step)
{
	for (size_t i = 0; i < step->count; i++) {
		struct managed *guest = step->guests[i];

		guest->decision = step->decisions[i];
		if (changes(guest) && !guest->private->changed) {
			guest->before_bytes = guest->seen.actual_bytes;
			guest->private->changed = true;
			manager->keep_wanted = true;
		}
	}
}

static void tell(struct manager *manager, struct managed *guest)
{
	uint64_t before = present(guest), target = guest->decision.target_bytes;

	managed_remember(guest);
	events_add(manager->status.events, EVENT_TARGET, guest->name, before, target, "%s",
		   guest->decision.text);
	manager_tell(manager, guest, target);
}

static void act(struct manager *manager, const struct step *step)
{
	int64_t now_us = g_get_monotonic_time();

	if (!manager_save(manager))
		return;
	for (size_t i = 0; i < step->count; i++) {
		struct managed *guest = step->guests[i];

		if (changes(guest))
			tell(manager, guest);
		else if (managed_needs_reminder(guest, now_us))
			manager_tell(manager, guest, guest->private->target_bytes);
	}
}

static void note_alarm(struct manager *manager, bool was)
{
	const struct policy_outcome *outcome = &manager->status.outcome;

	if (outcome->overcommitted == was)
		return;
	if (was)
		events_add(manager->status.events, EVENT_ALARM, NULL, HV_UNSET, HV_UNSET,
			   "the guests' demand fits into the host's memory again");
	else
		events_add(manager->status.events, EVENT_ALARM, NULL, HV_UNSET, HV_UNSET,
			   "overcommitted: guests demand more than the host has, and will swap");
	manager_log(was ? LOG_INFO : LOG_WARNING, "%s",
		    was ? "demand fits again" : "overcommitted: guests will swap");
}

static gboolean on_again(gpointer data)
{
	struct manager *manager = data;

	manager->again = 0;
	round_hurry(manager);
	return G_SOURCE_REMOVE;
}

/* The policy wants to be asked sooner than at the next tick. */
static void plan_again(struct manager *manager)
{
	int64_t at_us = manager->status.outcome.again_us;
	int64_t wait_us = MAX(at_us - g_get_monotonic_time(), SOON_US);

	if (!at_us || manager->again || at_us >= manager->tick_us)
		return;
	manager->again = g_timeout_add((guint)(wait_us / 1000), on_again, manager);
}

static void decide(struct manager *manager)
{
	struct manager_status *status = &manager->status;
	const struct policy_ops *policy = manager->config->policy;
	bool was = status->outcome.overcommitted;
	struct step step = gather(manager);
	int64_t began_us = g_get_monotonic_time();

	policy->step(manager->policy, &status->host, step.seen, step.count, step.decisions,
		     &status->outcome);
	status->step_us = g_get_monotonic_time() - began_us;
	record(manager, write_step, &step);
	take_decisions(manager, &step);
	act(manager, &step);
	people_fill(manager);
	note_alarm(manager, was);
	plan_again(manager);
	clear(&step);
}

static void close_round(struct manager *manager)
{
	g_autoptr(GError) error = NULL;

	manager->open = false;
	manager->waiting = 0;
	g_clear_handle_id(&manager->wait, g_source_remove);
	people_expire(manager);
	if (!host_read(manager->host, &manager->status.host, &error)) {
		manager_log(LOG_ERR, "nothing is decided: %s", error->message);
		return;
	}
	manager->status.host.now_us = g_get_monotonic_time();
	manager->status.host.reserved_bytes = people_reserved_bytes(manager);
	decide(manager);
	manager->status.rounds++;
	manager->status.round_us = g_get_monotonic_time();
}

static gboolean on_wait_over(gpointer data)
{
	struct manager *manager = data;

	manager->wait = 0;
	close_round(manager);
	return G_SOURCE_REMOVE;
}

/*
 * Asking
 */

/* One that has not answered for long is told of once. */
static void note_silence(struct manager *manager, struct managed *guest, int64_t now_us)
{
	struct managed_private *p = guest->private;

	if (!guest->met || guest->problem || now_us - p->answered_us <= ANSWER_US)
		return;
	managed_fail(guest, "it does not answer");
	events_add(manager->status.events, EVENT_GUEST_LOST, guest->name, HV_UNSET, HV_UNSET, "%s",
		   guest->problem);
}

static void open_round(struct manager *manager)
{
	int64_t now_us = g_get_monotonic_time();

	manager->open = true;
	manager->number++;
	manager->waiting = 0;
	for (guint i = 0; i < manager->guests->len; i++) {
		struct managed *guest = manager->guests->pdata[i];
		struct managed_private *p = guest->private;

		if (p->releasing)
			continue;
		note_silence(manager, guest, now_us);
		if (reach_busy(p->reach))
			continue;
		p->asked_in = manager->number;
		reach_ask(p->reach);
		manager->waiting++;
	}
	/* Never closed from here: callers hold what the end of a round may free. */
	manager->wait =
		g_timeout_add(manager->waiting ? ROUND_WAIT_US / 1000 : 0, on_wait_over, manager);
}

void round_answered(struct manager *manager, const struct managed *guest)
{
	if (manager->open && guest->private->asked_in == manager->number && !--manager->waiting)
		close_round(manager);
}

void round_hurry(struct manager *manager)
{
	if (!manager->open && manager->tick &&
	    g_get_monotonic_time() - manager->status.round_us >= SOON_US)
		open_round(manager);
}

static gboolean on_tick(gpointer data)
{
	struct manager *manager = data;
	int64_t now_us = g_get_monotonic_time();
	int64_t late_us = MAX(now_us - manager->tick_us, 0);

	manager->status.late_us = late_us;
	manager->status.late_max_us = MAX(late_us, manager->status.late_max_us);
	/* Ticks that were missed are not made up for. */
	manager->tick_us += (late_us / ROUND_US + 1) * ROUND_US;
	manager->tick =
		g_timeout_add((guint)((manager->tick_us - now_us) / 1000), on_tick, manager);
	if (!manager->open)
		open_round(manager);
	return G_SOURCE_REMOVE;
}

void round_start(struct manager *manager)
{
	manager->tick_us = g_get_monotonic_time() + ROUND_US / 10;
	manager->tick = g_timeout_add(ROUND_US / 10 / 1000, on_tick, manager);
}

void round_end(struct manager *manager)
{
	g_clear_handle_id(&manager->tick, g_source_remove);
	g_clear_handle_id(&manager->wait, g_source_remove);
	g_clear_handle_id(&manager->again, g_source_remove);
	manager->open = false;
}
