/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/manager_private.h"

#include <string.h>

#include "aerostatd/log.h"

G_DEFINE_QUARK(manager - error, manager_error)

/*
 * What outlives the daemon
 */

bool manager_save(struct manager *manager)
{
	g_autoptr(GPtrArray) kept = g_ptr_array_new();
	g_autoptr(GError) error = NULL;
	g_autofree struct keep_guest *room = NULL;
	guint count = 0;
	bool ok;

	if (!manager->keep_wanted)
		return true;
	room = g_new0(struct keep_guest, manager->guests->len);
	for (guint i = 0; i < manager->guests->len; i++) {
		const struct managed *guest = manager->guests->pdata[i];

		if (!guest->met || guest->before_bytes == HV_UNSET)
			continue;
		managed_keep(guest, &room[count]);
		g_ptr_array_add(kept, &room[count++]);
	}
	for (guint i = 0; i < manager->resumed->len; i++)
		g_ptr_array_add(kept, manager->resumed->pdata[i]);
	ok = keep_save(manager->folder, kept, &error);
	if (!ok && !manager->keep_failed)
		manager_log(LOG_ERR, "no guest is changed, as it could not be put back: %s",
			    error->message);
	manager->keep_failed = !ok;
	manager->keep_wanted = !ok;
	return ok;
}

void manager_tell(struct manager *manager, struct managed *guest, uint64_t target_bytes)
{
	(void)manager;
	managed_was_told(guest, target_bytes, g_get_monotonic_time());
	reach_set(guest->private->reach, target_bytes);
}

/*
 * Guests that come and go
 */

static gint by_name(gconstpointer a, gconstpointer b)
{
	const struct managed *first = *(struct managed *const *)a;
	const struct managed *second = *(struct managed *const *)b;
	int order = strcmp(first->name, second->name);

	return order ? order : strcmp(first->address, second->address);
}

void manager_drop(struct manager *manager, struct managed *guest, const char *why)
{
	guint index;

	if (guest->met) {
		events_add(manager->status.events, EVENT_GUEST_GONE, guest->name, HV_UNSET,
			   HV_UNSET, "%s", why);
		manager_log(LOG_INFO, "%s: %s", guest->name, why);
		manager->keep_wanted = true;
	}
	if (g_ptr_array_find(manager->guests, guest, &index))
		g_ptr_array_steal_index(manager->guests, index);
	round_answered(manager, guest);
	managed_free(guest);
}

static void apply_rules(struct manager *manager, struct managed *guest)
{
	guest->private->rules = config_rules(manager->config, guest->name);
	reach_manage(guest->private->reach, managed_mode(guest) != POLICY_OFF);
}

/* How it was before: as it is, unless a daemon before us has changed it since. */
static void meet(struct manager *manager, struct managed *guest)
{
	struct keep_guest *kept =
		keep_find(manager->resumed, guest->source, guest->address, guest->pid);

	guest->before_bytes = guest->seen.actual_bytes;
	guest->private->start_ticks = guest->pid ? keep_start_ticks(guest->pid) : 0;
	if (kept) {
		managed_resume(guest, kept);
		g_ptr_array_remove(manager->resumed, kept);
	}
	apply_rules(manager, guest);
	manager->keep_wanted = true;
	g_ptr_array_sort(manager->guests, by_name);
	events_add(manager->status.events, EVENT_GUEST_FOUND, guest->name, HV_UNSET,
		   guest->seen.actual_bytes, "found at %s%s%s", guest->address,
		   kept ? ", managed before" : "",
		   guest->has_balloon ? "" : ", without a balloon device");
	manager_log(LOG_INFO,
		    "%s: found at %s, %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " MiB%s",
		    guest->name, guest->address, guest->seen.actual_bytes >> 20,
		    guest->seen.boot_bytes >> 20, kept ? ", managed before" : "");
}

/* QEMU may be gone and have left its socket. */
static bool has_ended(const struct managed *guest, const GError *error)
{
	return guest->met &&
	       (g_error_matches(error, HV_ERROR, HV_ERROR_UNREACHABLE) ||
		g_error_matches(error, HV_ERROR, HV_ERROR_NOT_RUNNING) ||
		g_error_matches(error, HV_ERROR, HV_ERROR_NOT_FOUND)) &&
	       guest->pid && keep_start_ticks(guest->pid) != guest->private->start_ticks;
}

static void forget(struct manager *manager, struct managed *guest, const char *why)
{
	roster_forget(manager->roster, guest->source, guest->address);
	roster_look(manager->roster);
	manager_drop(manager, guest, why);
}

static void failed(struct manager *manager, struct managed *guest, const GError *error)
{
	bool told = guest->problem;

	if (has_ended(guest, error)) {
		forget(manager, guest, "it has ended");
		return;
	}
	managed_fail(guest, error->message);
	if (told)
		return;
	if (guest->met)
		events_add(manager->status.events, EVENT_GUEST_LOST, guest->name, HV_UNSET,
			   HV_UNSET, "%s", error->message);
	manager_log(LOG_WARNING, "%s: %s", guest->name, error->message);
}

static void on_sampled(void *data, const struct reach_sample *sample)
{
	struct managed *guest = data;
	struct manager *manager = guest->private->manager;
	bool lost = guest->met && guest->problem;

	if (sample->error) {
		failed(manager, guest, sample->error);
	} else {
		switch (managed_take(guest, sample)) {
		case MANAGED_MET:
			meet(manager, guest);
			break;
		case MANAGED_ANOTHER:
			forget(manager, guest, "another guest has its place");
			return;
		case MANAGED_BY_SOMEBODY:
			people_moved(manager, guest);
			break;
		case MANAGED_SAME:
			break;
		}
		if (lost && !guest->problem)
			events_add(manager->status.events, EVENT_GUEST_BACK, guest->name, HV_UNSET,
				   HV_UNSET, "it answers again");
	}
	/* It may have been dropped. */
	if (g_ptr_array_find(manager->guests, guest, NULL))
		round_answered(manager, guest);
}

static void on_was_set(void *data, uint64_t target_bytes, const GError *error)
{
	struct managed *guest = data;

	if (!error)
		return;
	guest->times_failed++;
	/* Nobody knows now what it was told. */
	if (guest->private->target_bytes == target_bytes)
		guest->private->target_bytes = HV_UNSET;
	manager_log(LOG_WARNING, "%s: %s", guest->name, error->message);
}

static unsigned int left_to_release(const struct manager *manager)
{
	unsigned int left = 0;

	for (guint i = 0; i < manager->guests->len; i++)
		left += ((struct managed *)manager->guests->pdata[i])->private->releasing;
	return left;
}

static void finish_stop(struct manager *manager)
{
	g_clear_handle_id(&manager->stop.timer, g_source_remove);
	manager->keep_wanted = true;
	manager_save(manager);
	manager->stop.stopped(manager->stop.left, manager->stop.data);
}

static void on_released(void *data, const GError *error)
{
	struct managed *guest = data;
	struct manager *manager = guest->private->manager;

	guest->private->releasing = false;
	if (error) {
		manager_log(LOG_ERR, "%s could not be put back: %s", guest->name, error->message);
	} else {
		guest->private->changed = false;
		manager->stop.left--;
	}
	if (!left_to_release(manager))
		finish_stop(manager);
}

static const struct reach_ops reach_ops = {
	.sampled = on_sampled,
	.was_set = on_was_set,
	.released = on_released,
};

static void on_found(void *data, hv_guest *found)
{
	struct manager *manager = data;
	struct managed *guest = managed_new(manager, ++manager->next_guest, found);

	/* Until its name is known nobody knows whether it may be managed. */
	guest->private->reach = reach_new(found, false, &reach_ops, guest);
	g_ptr_array_add(manager->guests, guest);
	reach_ask(guest->private->reach);
}

static void on_gone(void *data, const char *source, const char *address)
{
	struct manager *manager = data;

	for (guint i = 0; i < manager->guests->len; i++) {
		struct managed *guest = manager->guests->pdata[i];

		if (strcmp(guest->source, source) || strcmp(guest->address, address))
			continue;
		/* Not looked at any more, but it runs: it gets its size back. */
		if (guest->private->changed && !guest->private->releasing &&
		    keep_start_ticks(guest->pid) == guest->private->start_ticks)
			reach_release(guest->private->reach, guest->before_bytes,
				      guest->private->before_period_s);
		manager_drop(manager, guest, "it is gone");
		return;
	}
}

static void on_problem(void *data, const char *source, const char *text)
{
	struct manager *manager = data;

	if (text)
		g_hash_table_replace(manager->status.problems, g_strdup(source), g_strdup(text));
	else
		g_hash_table_remove(manager->status.problems, source);
	events_add(manager->status.events, EVENT_ALARM, NULL, HV_UNSET, HV_UNSET, "%s: %s", source,
		   text ? text : "can be asked again");
	manager_log(text ? LOG_WARNING : LOG_INFO, "%s: %s", source,
		    text ? text : "can be asked again");
}

static const struct roster_ops roster_ops = {
	.found = on_found,
	.gone = on_gone,
	.problem = on_problem,
};

static void on_trigger(void *data)
{
	round_hurry(data);
}

/*
 * Life
 */

/* Where to look: the command line, else the file, else where virsh would. */
static const struct hv_sources *sources_of(struct manager *manager)
{
	struct hv_sources *sources = &manager->config->sources;

	if (manager->override.libvirt_uris || manager->override.qmp_globs)
		return &manager->override;
	if (!sources->libvirt_uris && !sources->qmp_globs)
		*sources = config_default_sources();
	return sources;
}

static void take_config(struct manager *manager, struct config *config)
{
	g_clear_pointer(&manager->config, config_free);
	manager->config = config;
	manager->status.config = config;
}

static bool renew_policy(struct manager *manager)
{
	const struct policy_ops *policy = manager->config->policy;

	manager->policy = policy->create(&manager->config->settings);
	return manager->policy;
}

static void copy_override(struct manager *manager, const struct hv_sources *sources)
{
	if (!sources)
		return;
	manager->override.libvirt_uris = g_strdupv(sources->libvirt_uris);
	manager->override.qmp_globs = g_strdupv(sources->qmp_globs);
}

static void init_status(struct manager *manager)
{
	struct manager_status *status = &manager->status;
	const char *why_not = NULL;

	status->started_us = g_get_real_time();
	status->guests = manager->guests;
	status->reservations = manager->reservations;
	status->problems = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	status->events = events_new();
	status->host = (struct policy_host){ .total_bytes = HV_UNSET,
					     .available_bytes = HV_UNSET,
					     .free_bytes = HV_UNSET,
					     .cache_bytes = HV_UNSET,
					     .swap_used_bytes = HV_UNSET };
	status->outcome =
		(struct policy_outcome){ .budget_bytes = HV_UNSET, .want_bytes = HV_UNSET };
	status->trigger = host_has_trigger(manager->host, &why_not);
	if (!status->trigger)
		manager_log(LOG_INFO, "no PSI trigger, pressure is polled: %s", why_not);
}

struct manager *manager_new(const struct manager_options *options, GError **error)
{
	struct config *config = config_load(options->config_path, error);
	GPtrArray *resumed = config ? keep_load(options->folder, error) : NULL;
	struct manager *manager;

	if (!resumed) {
		g_clear_pointer(&config, config_free);
		return NULL;
	}
	manager = g_new0(struct manager, 1);
	manager->config_path = g_strdup(options->config_path);
	manager->folder = g_strdup(options->folder);
	copy_override(manager, options->sources);
	take_config(manager, config);
	if (!renew_policy(manager))
		g_error("out of memory");
	manager->resumed = resumed;
	manager->guests = g_ptr_array_new_with_free_func(managed_free);
	manager->reservations = g_ptr_array_new_with_free_func(reservation_free);
	manager->host = host_new(options->proc, on_trigger, manager);
	init_status(manager);
	manager->roster = roster_new(sources_of(manager), &roster_ops, manager);
	round_start(manager);
	return manager;
}

const struct manager_status *manager_status(const struct manager *manager)
{
	return &manager->status;
}

bool manager_reload(struct manager *manager, GError **error)
{
	struct config *config = config_load(manager->config_path, error);
	const struct policy_ops *before = manager->config->policy;

	if (!config)
		return false;
	if (config->policy != before) {
		before->destroy(manager->policy);
		round_record_end(manager);
	}
	take_config(manager, config);
	if (config->policy == before)
		config->policy->configure(manager->policy, &config->settings);
	else if (!renew_policy(manager))
		g_error("out of memory");
	round_record_settings(manager);
	for (guint i = 0; i < manager->guests->len; i++)
		apply_rules(manager, manager->guests->pdata[i]);
	roster_reload(manager->roster, sources_of(manager));
	events_add(manager->status.events, EVENT_RELOAD, NULL, HV_UNSET, HV_UNSET, "%s is in force",
		   config->path ? config->path : "the default configuration");
	manager_log(LOG_INFO, "configuration reloaded");
	return true;
}

bool manager_record(struct manager *manager,
		    void (*line)(const char *text, gsize length, void *data), void *data,
		    GError **error)
{
	if (!line) {
		round_record_end(manager);
		return true;
	}
	if (manager->recording.line) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED,
			    "a recording is under way; end that one first");
		return false;
	}
	manager->config->policy->destroy(manager->policy);
	if (!renew_policy(manager))
		g_error("out of memory");
	manager->recording.line = line;
	manager->recording.data = data;
	manager->status.recording = true;
	round_record_start(manager);
	return true;
}

static gboolean on_stop_late(gpointer data)
{
	struct manager *manager = data;

	manager->stop.timer = 0;
	finish_stop(manager);
	return G_SOURCE_REMOVE;
}

void manager_stop(struct manager *manager, void (*stopped)(unsigned int missing, void *data),
		  void *data)
{
	manager->stop.stopped = stopped;
	manager->stop.data = data;
	round_end(manager);
	round_record_end(manager);
	for (guint i = 0; i < manager->guests->len; i++) {
		struct managed *guest = manager->guests->pdata[i];
		struct managed_private *p = guest->private;

		if (!guest->met)
			continue;
		p->releasing = true;
		manager->stop.left++;
		reach_release(p->reach, p->changed ? guest->before_bytes : HV_UNSET,
			      p->before_period_s);
	}
	manager->stop.timer =
		g_timeout_add(manager->stop.left ? STOP_WAIT_US / 1000 : 0, on_stop_late, manager);
}

void manager_free(struct manager *manager)
{
	if (!manager)
		return;
	round_end(manager);
	g_clear_handle_id(&manager->stop.timer, g_source_remove);
	roster_free(manager->roster);
	g_ptr_array_unref(manager->guests);
	g_ptr_array_unref(manager->reservations);
	g_ptr_array_unref(manager->resumed);
	host_free(manager->host);
	manager->config->policy->destroy(manager->policy);
	config_free(manager->config);
	events_free(manager->status.events);
	g_hash_table_unref(manager->status.problems);
	g_strfreev(manager->override.libvirt_uris);
	g_strfreev(manager->override.qmp_globs);
	g_free(manager->config_path);
	g_free(manager->folder);
	g_free(manager);
}
