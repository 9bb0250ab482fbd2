/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/strays.h"

#include "aerostatd/log.h"
#include "aerostatd/restore.h"

struct strays {
	GPtrArray *list; /* struct stray * */
	void (*changed)(void *data);
	void *data;
	bool finishing;
};

struct stray {
	struct strays *strays;
	struct saved_guest *entry;
	struct worker *worker; /* NULL until the first attempt */
	bool restoring;
	bool moving;	      /* as the last attempt has found */
	bool wanted;	      /* the attempt was cancelled for a claim */
	bool failed;	      /* a failure was logged */
	unsigned int pause_s; /* after the next failure */
	guint timer;	      /* of the next attempt; 0: none */
};

static void free_stray(void *data)
{
	struct stray *stray = data;

	g_clear_handle_id(&stray->timer, g_source_remove);
	worker_free(stray->worker);
	saved_guest_free(stray->entry);
	g_free(stray);
}

static struct stray *add_stray(struct strays *strays, const struct saved_guest *entry,
			       struct worker *worker)
{
	struct stray *stray = g_new0(struct stray, 1);

	*stray = (struct stray){
		.strays = strays,
		.entry = saved_guest_copy(entry),
		.worker = worker,
		.pause_s = STRAY_PAUSE_S,
	};
	g_ptr_array_add(strays->list, stray);
	return stray;
}

static bool has_ended(const struct saved_guest *entry)
{
	return process_find_state(entry->pid, entry->start_ticks) == PROCESS_ENDED;
}

/*
 * Attempts
 */

static gboolean start_attempt(void *data);

static void plan_attempt(struct stray *stray, unsigned int wait_s)
{
	stray->timer = g_timeout_add_seconds(wait_s, start_attempt, stray);
}

static void plan_next_attempt(struct stray *stray)
{
	if (stray->strays->finishing)
		return;
	plan_attempt(stray, stray->pause_s);
	stray->pause_s = MIN(2 * stray->pause_s, STRAY_PAUSE_MAX_S);
}

/* Logs the first failure, and the success that ends them. */
static void log_attempt(struct stray *stray, enum restore_outcome outcome, const GError *error)
{
	if (outcome == RESTORE_MOVING && stray->moving && !stray->strays->finishing)
		return;
	if (outcome != RESTORE_FAILED || !stray->failed || stray->strays->finishing)
		restore_log_outcome(stray->entry, outcome, error);
	if (outcome == RESTORE_FAILED && !stray->failed && !stray->strays->finishing)
		manager_log(LOG_WARNING, "%s: this is tried again while aerostatd runs",
			    stray->entry->name);
	stray->failed = outcome == RESTORE_FAILED;
}

static void on_stray_restored(void *data, enum restore_outcome outcome, const GError *error)
{
	struct stray *stray = data;
	struct strays *strays = stray->strays;

	bool cancelled = stray->wanted && outcome == RESTORE_FAILED;

	stray->restoring = stray->wanted = false;
	if (!cancelled)
		log_attempt(stray, outcome, error);
	stray->moving = outcome == RESTORE_MOVING;
	if (!restore_update_entry(stray->entry, outcome))
		g_ptr_array_remove(strays->list, stray);
	else if (cancelled && strays->finishing)
		start_attempt(stray);
	else if (outcome == RESTORE_FAILED || outcome == RESTORE_MOVING)
		plan_next_attempt(stray);
	strays->changed(strays->data);
}

static const struct worker_ops stray_ops = { .restored = on_stray_restored };

static gboolean start_attempt(void *data)
{
	struct stray *stray = data;
	g_autoptr(GError) error = NULL;

	stray->timer = 0;
	if (!stray->worker)
		stray->worker = worker_new(restore_open_guest(stray->entry), false, &stray_ops,
					   stray, &error);
	if (!stray->worker) {
		log_attempt(stray, RESTORE_FAILED, error);
		plan_next_attempt(stray);
		return G_SOURCE_REMOVE;
	}
	stray->restoring = true;
	worker_request_restore(stray->worker, stray->entry);
	return G_SOURCE_REMOVE;
}

/*
 * Coming and going
 */

struct strays *strays_new(const GPtrArray *entries, void (*changed)(void *data), void *data)
{
	struct strays *strays = g_new0(struct strays, 1);

	strays->list = g_ptr_array_new_with_free_func(free_stray);
	strays->changed = changed;
	strays->data = data;
	for (guint i = 0; i < entries->len; i++) {
		struct stray *stray = add_stray(strays, entries->pdata[i], NULL);

		if (restore_is_needed(stray->entry))
			plan_attempt(stray, STRAY_WAIT_S);
	}
	return strays;
}

void strays_free(struct strays *strays)
{
	g_ptr_array_unref(strays->list);
	g_free(strays);
}

void strays_add(struct strays *strays, const struct saved_guest *entry, struct worker *worker)
{
	struct stray *stray = add_stray(strays, entry, worker);

	worker_redirect(worker, &stray_ops, stray);
	start_attempt(stray);
}

static struct stray *find_stray(const struct strays *strays, const struct saved_guest *guest)
{
	g_autoptr(GPtrArray) entries = g_ptr_array_new();
	const struct saved_guest *entry;

	for (guint i = 0; i < strays->list->len; i++)
		g_ptr_array_add(entries, ((struct stray *)strays->list->pdata[i])->entry);
	entry = state_file_find(entries, guest);
	for (guint i = 0; entry && i < strays->list->len; i++)
		if (((struct stray *)strays->list->pdata[i])->entry == entry)
			return strays->list->pdata[i];
	return NULL;
}

bool strays_delay_claim(struct strays *strays, const struct saved_guest *guest)
{
	struct stray *stray = find_stray(strays, guest);

	if (!stray || !stray->restoring)
		return false;
	stray->wanted = true;
	worker_cancel_restore(stray->worker);
	return true;
}

struct saved_guest *strays_claim(struct strays *strays, const struct saved_guest *guest)
{
	struct stray *stray = find_stray(strays, guest);
	struct saved_guest *entry;

	if (!stray)
		return NULL;
	entry = g_steal_pointer(&stray->entry);
	g_ptr_array_remove_fast(strays->list, stray);
	return entry;
}

void strays_finish(struct strays *strays)
{
	strays->finishing = true;
	for (guint i = 0; i < strays->list->len; i++) {
		struct stray *stray = strays->list->pdata[i];

		g_clear_handle_id(&stray->timer, g_source_remove);
		if (!stray->restoring && restore_is_needed(stray->entry))
			start_attempt(stray);
	}
}

/*
 * What is left
 */

unsigned int strays_count_restoring(const struct strays *strays)
{
	unsigned int count = 0;

	for (guint i = 0; i < strays->list->len; i++)
		count += ((struct stray *)strays->list->pdata[i])->restoring;
	return count;
}

unsigned int strays_count_missing(const struct strays *strays)
{
	unsigned int count = 0;

	for (guint i = 0; i < strays->list->len; i++) {
		const struct stray *stray = strays->list->pdata[i];

		count += restore_is_needed(stray->entry) && !has_ended(stray->entry) &&
			 !(strays->finishing && stray->moving);
	}
	return count;
}

void strays_collect(struct strays *strays, GArray *entries)
{
	for (guint i = strays->list->len; i-- > 0;) {
		struct stray *stray = strays->list->pdata[i];

		if (!stray->restoring && has_ended(stray->entry))
			g_ptr_array_remove_index(strays->list, i);
		else
			g_array_append_val(entries, *stray->entry);
	}
}
