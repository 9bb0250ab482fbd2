/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/manager.h"

#include <string.h>

#include "aerostatd/guests.h"
#include "aerostatd/log.h"
#include "aerostatd/modes.h"
#include "aerostatd/report_limits.h"
#include "aerostatd/resizing.h"
#include "aerostatd/restore.h"
#include "aerostatd/roster.h"
#include "aerostatd/round.h"
#include "common/size.h"

G_DEFINE_QUARK(manager - error, manager_error)

struct manager {
	struct manager_status status;
	char *config_path;
	struct hv_sources override; /* of the command line; both NULL if it has none */
	struct config *config;
	struct guests *guests;
	struct reservations *reservations;
	struct resizings *resizings;
	struct recorder *recorder;
	struct round *round;
	struct roster *roster;
	uint64_t last_guest;  /* the id given to the last guest found */
	guint shortage_timer; /* until a shortage is over; 0: there is none */

	struct {
		void (*stopped)(unsigned int missing, void *data); /* NULL: not stopping */
		void *data;
		guint timer;
		bool finished; /* stopped() was called */
	} stop;
};

/*
 * Guests that come and go
 */

static void find_again(void *data, const char *source, const char *address)
{
	struct manager *manager = data;

	roster_forget(manager->roster, source, address);
	roster_refresh(manager->roster);
}

/* Forgets a guest whose end is proven. */
static void drop_guest(struct manager *manager, struct managed *guest, const char *why)
{
	if (guest->answered) {
		events_add(manager->status.events, EVENT_GUEST_GONE, guest->name, HV_UNSET,
			   HV_UNSET, "%s", why);
		manager_log(LOG_INFO, "%s: %s", guest->name, why);
	}
	guests_bequeath(manager->guests, guest);
	guests_visit_aliases(manager->guests, guest, find_again, manager);
	guests_remove(manager->guests, guest);
	resizings_forget(manager->resizings, guest);
	round_note_answer(manager->round, guest);
	managed_free(guest);
}

/* The same, of one whose address stays listed: whoever answers there is found again. */
static void drop_replaced_guest(struct manager *manager, struct managed *guest, const char *why)
{
	find_again(manager, guest->source, guest->address);
	drop_guest(manager, guest, why);
}

static void apply_rules(struct manager *manager, struct managed *guest)
{
	const struct policy_rules rules = config_rules(manager->config, guest->name);

	managed_set_rules(guest, &rules);
}

/* Keeps a guest at the address where it was found first; frees @guest. */
static void ignore_alias(struct manager *manager, struct managed *guest, const struct managed *same)
{
	const struct guest_names names = managed_names(guest);

	if (guests_add_alias(manager->guests, same, &names))
		manager_log(LOG_INFO, "%s is %s, which is managed at %s already; it is ignored",
			    guest->address, same->name, same->address);
	guests_remove(manager->guests, guest);
	round_note_answer(manager->round, guest);
	managed_free(guest);
}

/*
 * If the control socket of its balloon device is managed as a guest, that one gives way to it.
 * Returns what was known of its sizes and modes, to be freed; NULL if there is none.
 */
static struct saved_guest *take_over_device(struct manager *manager, struct managed *guest)
{
	struct managed *device = guests_find_device(manager->guests, guest);
	struct saved_guest saved, *copy;
	struct guest_names names;

	if (!device)
		return NULL;
	managed_save(device, &saved);
	copy = restore_entry_counts(&saved) ? saved_guest_copy(&saved) : NULL;
	names = managed_names(device);
	guests_add_alias(manager->guests, guest, &names);
	drop_guest(manager, device, "it is the balloon device of another guest");
	return copy;
}

/* What is known of a guest before its first answer, except by the state file and its note; to be
 * freed, NULL if there is nothing. */
static struct saved_guest *find_heritage(struct manager *manager, struct managed *guest)
{
	struct saved_guest *known = take_over_device(manager, guest);
	const struct managed *source = guests_find_source(manager->guests, guest);
	struct saved_guest saved;

	if (known)
		return known;
	if (managed_heritage(guest))
		return saved_guest_copy(managed_heritage(guest));
	if (!source)
		return NULL;
	managed_save(source, &saved);
	return saved_guest_copy(&saved);
}

static void welcome_guest(struct manager *manager, struct managed *guest, const char *note)
{
	struct saved_guest *heritage = find_heritage(manager, guest);
	bool was_saved = guests_claim(manager->guests, guest, note, heritage);

	saved_guest_free(heritage);

	manager->status.to_restore = guests_count_strays(manager->guests);
	apply_rules(manager, guest);
	events_add(manager->status.events, EVENT_GUEST_FOUND, guest->name, HV_UNSET,
		   guest->seen.actual_bytes, "found at %s%s%s", guest->address,
		   was_saved ? ", managed before" : "",
		   guest->has_balloon ? "" : ", without a balloon device");
	manager_log(LOG_INFO,
		    "%s: found at %s, %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " MiB%s",
		    guest->name, guest->address, guest->seen.actual_bytes >> 20,
		    guest->seen.boot_bytes >> 20, was_saved ? ", managed before" : "");
}

/* QEMU may have ended and left its socket behind. */
static bool guest_has_ended(const struct managed *guest, const GError *error)
{
	return guest->answered &&
	       (g_error_matches(error, HV_ERROR, HV_ERROR_UNREACHABLE) ||
		g_error_matches(error, HV_ERROR, HV_ERROR_NOT_RUNNING) ||
		g_error_matches(error, HV_ERROR, HV_ERROR_NOT_FOUND)) &&
	       managed_process_state(guest) == PROCESS_ENDED;
}

/*
 * Shortages of this process.  One is reported when it begins and when it is over, not for each
 * guest that could not be reached meanwhile.
 */

#define SHORTAGE_SOURCE "aerostatd"
#define SHORTAGE_OVER_MS 10000 /* with no failure for so long */

static gboolean on_shortage_over(gpointer data)
{
	struct manager *manager = data;

	manager->shortage_timer = 0;
	g_hash_table_remove(manager->status.problems, SHORTAGE_SOURCE);
	events_add(manager->status.events, EVENT_ALARM, NULL, HV_UNSET, HV_UNSET,
		   "the shortage is over");
	manager_log(LOG_INFO, "the shortage is over");
	return G_SOURCE_REMOVE;
}

static void note_shortage(struct manager *manager, const char *text)
{
	if (!manager->shortage_timer) {
		g_hash_table_replace(manager->status.problems, g_strdup(SHORTAGE_SOURCE),
				     g_strdup(text));
		events_add(manager->status.events, EVENT_ALARM, NULL, HV_UNSET, HV_UNSET, "%s",
			   text);
		manager_log(LOG_ERR, "%s", text);
	}
	g_clear_handle_id(&manager->shortage_timer, g_source_remove);
	manager->shortage_timer = g_timeout_add(SHORTAGE_OVER_MS, on_shortage_over, manager);
}

/* Errors of hypervisor.h begin with the address, which is the name of some guests. */
static void log_guest_error(const struct managed *guest, const GError *error)
{
	bool is_named = g_str_has_prefix(error->message, guest->name);

	manager_log(LOG_WARNING, "%s%s%s", is_named ? "" : guest->name, is_named ? "" : ": ",
		    error->message);
}

static void note_sample_error(struct manager *manager, struct managed *guest, const GError *error)
{
	bool was_noted = guest->problem;

	managed_set_problem(guest, error->message);
	if (g_error_matches(error, HV_ERROR, HV_ERROR_SHORTAGE)) {
		note_shortage(manager, error->message);
		return;
	}
	if (was_noted)
		return;
	if (guest->answered)
		events_add(manager->status.events, EVENT_GUEST_LOST, guest->name, HV_UNSET,
			   HV_UNSET, "%s", error->message);
	log_guest_error(guest, error);
}

/* Why an answer does not count as a guest's first one yet; NULL: it does. */
static const char *explain_delay(struct manager *manager, const struct managed *guest,
				 const hv_info *info)
{
	if (info->origin == HV_ORIGIN_ARRIVING)
		return "it is just being started or migrated here";
	if (guests_delay_claim(manager->guests, guest, info))
		return "a size that was set before may still reach it";
	return NULL;
}

static void on_pulled(void *data)
{
	const struct managed *guest = data;
	struct manager *manager = managed_owner(guest);

	if (!manager->stop.stopped)
		round_hurry(manager->round);
}

static void add_pull_event(struct manager *manager, const struct managed *guest, uint64_t bytes)
{
	uint64_t actual = guest->seen.actual_bytes;
	uint64_t reserve = report_reserve_bytes(&manager->status);
	bool is_held = managed_mode(guest) == POLICY_HELD && guest->held_bytes != HV_UNSET;
	g_autofree char *taken = size_format(bytes);
	g_autofree char *held = size_format(guest->held_bytes);
	g_autofree char *left = size_format(reserve);
	bool is_known = reserve != POLICY_UNSET;

	events_add(manager->status.events, EVENT_PULL, guest->name, actual - MIN(actual, bytes),
		   actual, "took back %s by itself%s%s%s%s%s", taken,
		   is_held ? ", beyond the size at which it is held, " : "", is_held ? held : "",
		   is_known ? "; the host has " : "", is_known ? left : "",
		   is_known ? " in reserve for all" : "");
}

/* Reports what the guest took back by itself, and waits for the next time. */
static void follow_pulls(struct manager *manager, struct managed *guest)
{
	uint64_t bytes = managed_take_pulled(guest);

	if (bytes >> 20)
		add_pull_event(manager, guest, bytes);
	managed_watch_pulls(guest, on_pulled);
}

static void on_sampled(void *data, const struct worker_sample *sample)
{
	struct managed *guest = data;
	struct manager *manager = managed_owner(guest);
	bool was_lost = guest->answered && guest->problem;
	struct saved_guest *known;
	const struct managed *same;
	const char *why;

	/*
	 * From now on only on_restored() decides what becomes of it.  While the daemon stops, a
	 * guest that has not answered before is restored as a stray, and must not be claimed.
	 */
	if (managed_is_restoring(guest) || manager->stop.stopped)
		return;
	if (sample->error) {
		if (guest_has_ended(guest, sample->error)) {
			drop_replaced_guest(manager, guest, "it has ended");
			return;
		}
		note_sample_error(manager, guest, sample->error);
		round_note_answer(manager->round, guest);
		return;
	}
	if (!guest->answered && (why = explain_delay(manager, guest, sample->info))) {
		managed_postpone(guest, sample->info, why);
		round_note_answer(manager->round, guest);
		return;
	}
	switch (managed_take_sample(guest, sample)) {
	case MANAGED_FIRST_ANSWER:
		same = guests_find_same(manager->guests, guest);
		if (same) {
			ignore_alias(manager, guest, same);
			return;
		}
		welcome_guest(manager, guest, sample->note);
		break;
	case MANAGED_REPLACED:
		drop_replaced_guest(manager, guest, "another guest has taken its place");
		return;
	case MANAGED_RESIZED:
		modes_note_resize(manager->guests, manager->status.events, guest);
		break;
	case MANAGED_UNCHANGED:
		/* It may have got the device just now. */
		known = take_over_device(manager, guest);
		if (known)
			guests_merge_known(manager->guests, guest, known);
		saved_guest_free(known);
		break;
	}
	follow_pulls(manager, guest);
	if (managed_has_learned_period(guest))
		guests_touch(manager->guests);
	if (was_lost && !guest->problem)
		events_add(manager->status.events, EVENT_GUEST_BACK, guest->name, HV_UNSET,
			   HV_UNSET, "it answers again");
	round_note_answer(manager->round, guest);
}

static void on_target_set(void *data, uint64_t target_bytes, const GError *error)
{
	struct managed *guest = data;
	struct manager *manager = managed_owner(guest);

	if (managed_note_target(guest, target_bytes, error))
		guests_touch(manager->guests);
	if (error) {
		if (g_error_matches(error, HV_ERROR, HV_ERROR_SHORTAGE))
			note_shortage(manager, error->message);
		else
			log_guest_error(guest, error);
	}
	resizings_note_target(manager->resizings, guest, error);
}

static void finish_stop(struct manager *manager)
{
	unsigned int missing;

	g_clear_handle_id(&manager->stop.timer, g_source_remove);
	manager->stop.finished = true;
	guests_touch(manager->guests);
	missing = guests_count_missing(manager->guests);
	/* A file that still lists guests as changed would have them restored again, later. */
	if (!guests_save(manager->guests))
		missing = MAX(missing, 1);
	manager->stop.stopped(missing, manager->stop.data);
}

static void on_strays_changed(void *data)
{
	struct manager *manager = data;

	manager->status.to_restore = guests_count_strays(manager->guests);
	guests_touch(manager->guests);
	if (!manager->stop.stopped || manager->stop.finished)
		guests_save(manager->guests);
	else if (!guests_count_restoring(manager->guests))
		finish_stop(manager);
}

static void on_restored(void *data, enum restore_outcome outcome, const GError *error)
{
	struct managed *guest = data;
	struct manager *manager = managed_owner(guest);
	struct saved_guest saved;

	managed_save(guest, &saved);
	restore_log_outcome(&saved, outcome, error);
	guests_finish_restore(manager->guests, guest, outcome);
	on_strays_changed(manager);
}

static const struct worker_ops worker_ops = {
	.sampled = on_sampled,
	.target_set = on_target_set,
	.restored = on_restored,
};

static void on_found(void *data, hv_guest *found)
{
	struct manager *manager = data;
	g_autoptr(GError) error = NULL;
	struct managed *guest;
	struct worker *worker;

	if (manager->stop.stopped) {
		hv_guest_close(found);
		return;
	}
	guest = managed_new(++manager->last_guest, found, manager);
	/* Not managed: until its name is known, neither are its rules. */
	worker = worker_new(found, false, &worker_ops, guest, &error);
	if (!worker) {
		note_shortage(manager, error->message);
		/* It is found again when it is looked for next. */
		roster_forget(manager->roster, guest->source, guest->address);
		managed_free(guest);
		return;
	}
	managed_attach_worker(guest, worker);
	guests_add(manager->guests, guest);
	worker_request_sample(managed_worker(guest));
}

static void on_gone(void *data, const char *source, const char *address)
{
	struct manager *manager = data;
	struct managed *guest = guests_find_address(manager->guests, source, address);

	guests_remove_alias(manager->guests, source, address);
	if (!guest || managed_is_restoring(guest))
		return;
	if (!guest->answered || managed_process_state(guest) == PROCESS_ENDED) {
		drop_guest(manager, guest, "it has ended");
		return;
	}
	/* It may still run: its source was removed, or no longer lists it. */
	events_add(manager->status.events, EVENT_GUEST_GONE, guest->name, HV_UNSET, HV_UNSET,
		   "it is no longer listed");
	manager_log(LOG_INFO, "%s: it is no longer listed", guest->name);
	guests_visit_aliases(manager->guests, guest, find_again, manager);
	resizings_forget(manager->resizings, guest);
	guests_start_leaving(manager->guests, guest);
	round_note_answer(manager->round, guest);
	managed_free(guest);
	on_strays_changed(manager);
}

static void on_problem(void *data, const char *source, const char *text)
{
	struct manager *manager = data;

	if (text)
		g_hash_table_replace(manager->status.problems, g_strdup(source), g_strdup(text));
	else
		g_hash_table_remove(manager->status.problems, source);
	events_add(manager->status.events, EVENT_ALARM, NULL, HV_UNSET, HV_UNSET, "%s: %s", source,
		   text ? text : "can be queried again");
	manager_log(text ? LOG_WARNING : LOG_INFO, "%s: %s", source,
		    text ? text : "can be queried again");
}

static const struct roster_ops roster_ops = {
	.found = on_found,
	.gone = on_gone,
	.problem = on_problem,
};

/*
 * What people ask for
 */

const struct managed *manager_find(const struct manager *manager, const char *name, GError **error)
{
	return guests_find_name(manager->guests, name, error);
}

/* A person's newer wish ends an older one that is under way. */
static bool set_guest_mode(struct manager *manager, const char *name, enum policy_mode mode,
			   uint64_t bytes, bool force, GError **error)
{
	const struct managed *guest = guests_find_name(manager->guests, name, error);

	if (!guest)
		return false;
	/* modes_set_one() refuses what is 0 or above the maximum. */
	if (guest->answered && bytes && bytes <= guest->seen.boot_bytes &&
	    !resizings_check(guest, bytes, force, error))
		return false;
	if (!modes_set_one(manager->guests, manager->status.events, name, mode, bytes, error))
		return false;
	resizings_cancel(manager->resizings, guest);
	return true;
}

bool manager_set_mode(struct manager *manager, const char *name, enum policy_mode mode,
		      uint64_t bytes, bool force, GError **error)
{
	const GPtrArray *list = guests_list(manager->guests);

	if (name)
		return set_guest_mode(manager, name, mode, bytes, force, error);
	if (!modes_set_all(manager->guests, manager->status.events, mode, bytes, error))
		return false;
	for (guint i = 0; i < list->len; i++)
		resizings_cancel(manager->resizings, list->pdata[i]);
	return true;
}

bool manager_set_size(struct manager *manager, const char *name, uint64_t bytes, bool force,
		      GError **error)
{
	struct managed *guest = guests_find_name(manager->guests, name, error);

	if (!guest)
		return false;
	if (!guest->answered) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED,
			    "%s has not answered yet: %s", guest->name,
			    guest->problem ? guest->problem : "it was only just found");
		return false;
	}
	return resizings_start(manager->resizings, guest, bytes, force, error);
}

const struct managed_resize *manager_get_resize(const struct manager *manager,
						const struct managed *guest)
{
	return resizings_find(manager->resizings, guest);
}

bool manager_set_own_size(struct manager *manager, const char *name, uint64_t bytes, GError **error)
{
	return modes_set_own_size(manager->guests, manager->status.events, name, bytes, error);
}

const struct reservation *manager_reserve(struct manager *manager, uint64_t bytes,
					  unsigned int ttl_s, const char *note, GError **error)
{
	const struct reservation *reservation =
		reservations_add(manager->reservations, &manager->status,
				 guests_list(manager->guests), bytes, ttl_s, note, error);

	if (!reservation)
		return NULL;
	manager->status.host.reserved_bytes = reservations_sum_bytes(manager->reservations);
	round_hurry(manager->round);
	return reservation;
}

bool manager_unreserve(struct manager *manager, uint64_t id, GError **error)
{
	return reservations_cancel(manager->reservations, id, error);
}

bool manager_record(struct manager *manager,
		    void (*line)(const char *text, gsize length, void *data), void *data,
		    GError **error)
{
	if (line && recorder_is_active(manager->recorder)) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED,
			    "another recording is running; end that one first");
		return false;
	}
	if (line) {
		round_restart_policy(manager->round);
		recorder_start(manager->recorder, manager->config->policy->name,
			       &manager->config->settings, line, data);
	} else {
		recorder_stop(manager->recorder);
	}
	manager->status.recording = recorder_is_active(manager->recorder);
	return true;
}

/*
 * Life
 */

/* Where to look for guests: the command line, else the configuration, else where virsh would. */
static const struct hv_sources *choose_sources(struct manager *manager)
{
	struct hv_sources *sources = &manager->config->sources;

	if (manager->override.libvirt_uris || manager->override.qmp_globs)
		return &manager->override;
	if (!sources->libvirt_uris && !sources->qmp_globs)
		*sources = config_default_sources();
	return sources;
}

static void replace_config(struct manager *manager, struct config *config)
{
	g_clear_pointer(&manager->config, config_free);
	manager->config = config;
	manager->status.config = config;
}

struct manager *manager_new(const struct manager_options *options, GError **error)
{
	struct config *config = config_load(options->config_path, error);
	struct manager *manager;
	struct manager_status *status;

	if (!config)
		return NULL;
	manager = g_new0(struct manager, 1);
	manager->guests = guests_new(options->folder, on_strays_changed, manager, error);
	if (!manager->guests) {
		config_free(config);
		g_free(manager);
		return NULL;
	}
	status = &manager->status;
	manager->config_path = g_strdup(options->config_path);
	if (options->sources) {
		manager->override.libvirt_uris = g_strdupv(options->sources->libvirt_uris);
		manager->override.qmp_globs = g_strdupv(options->sources->qmp_globs);
	}
	replace_config(manager, config);
	status->started_us = g_get_real_time();
	status->problems = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	status->events = events_new();
	status->guests = guests_list(manager->guests);
	status->to_restore = guests_count_strays(manager->guests);
	manager->reservations = reservations_new(status->events);
	status->reservations = reservations_list(manager->reservations);
	manager->resizings = resizings_new(manager->guests, status->events);
	manager->recorder = recorder_new();
	manager->round = round_new(&(struct round_context){
		.proc = options->proc,
		.policy_clock = MAX(options->policy_clock, 1),
		.status = status,
		.guests = manager->guests,
		.reservations = manager->reservations,
		.recorder = manager->recorder,
	});
	manager->roster = roster_new(choose_sources(manager), &roster_ops, manager, error);
	if (!manager->roster)
		g_clear_pointer(&manager, manager_free);
	return manager;
}

const struct manager_status *manager_get_status(const struct manager *manager)
{
	return &manager->status;
}

bool manager_reload(struct manager *manager, GError **error)
{
	const GPtrArray *guests = guests_list(manager->guests);
	struct config *config = config_load(manager->config_path, error);

	if (!config)
		return false;
	replace_config(manager, config);
	round_reconfigure(manager->round);
	manager->status.recording = recorder_is_active(manager->recorder);
	for (guint i = 0; i < guests->len; i++)
		apply_rules(manager, guests->pdata[i]);
	roster_set_sources(manager->roster, choose_sources(manager));
	events_add(manager->status.events, EVENT_RELOAD, NULL, HV_UNSET, HV_UNSET,
		   "%s is in force now", config->path ? config->path : "the default configuration");
	manager_log(LOG_INFO, "configuration reloaded");
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
	round_stop(manager->round);
	recorder_stop(manager->recorder);
	resizings_stop(manager->resizings);
	guests_start_restore(manager->guests);
	manager->status.to_restore = guests_count_strays(manager->guests);
	manager->stop.timer =
		g_timeout_add(guests_count_restoring(manager->guests) ? STOP_WAIT_US / 1000 : 0,
			      on_stop_late, manager);
}

void manager_free(struct manager *manager)
{
	if (!manager)
		return;
	g_clear_handle_id(&manager->stop.timer, g_source_remove);
	g_clear_handle_id(&manager->shortage_timer, g_source_remove);
	roster_free(manager->roster);
	round_free(manager->round);
	resizings_free(manager->resizings);
	guests_free(manager->guests);
	reservations_free(manager->reservations);
	recorder_free(manager->recorder);
	config_free(manager->config);
	events_free(manager->status.events);
	g_hash_table_unref(manager->status.problems);
	g_strfreev(manager->override.libvirt_uris);
	g_strfreev(manager->override.qmp_globs);
	g_free(manager->config_path);
	g_free(manager);
}
