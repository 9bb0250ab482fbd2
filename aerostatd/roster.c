/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/roster.h"

#include <errno.h>
#include <string.h>

#include "hypervisor/shortage.h"

struct roster {
	gatomicrefcount refs; /* the main loop's, the thread's, and one per posted message */
	const struct roster_ops *ops;
	void *data;
	bool freed; /* of the main loop */

	/* The requests, under the lock. */
	GMutex lock;
	GCond requested;
	struct hv_sources sources; /* both lists owned, never NULL */
	GPtrArray *forgotten;	   /* keys */
	bool refresh_requested, end_requested;

	/* Of the thread. */
	GHashTable *known;    /* key → struct known */
	GHashTable *problems; /* source → its last problem */
};

/* A guest that was found. */
struct known {
	char *source;
	char *found_by; /* the libvirt URI or the glob that listed it */
};

static void free_known(void *data)
{
	struct known *known = data;

	g_free(known->source);
	g_free(known->found_by);
	g_free(known);
}

static void copy_sources(struct hv_sources *to, const struct hv_sources *from)
{
	to->libvirt_uris = from->libvirt_uris ? g_strdupv(from->libvirt_uris) : g_new0(char *, 1);
	to->qmp_globs = from->qmp_globs ? g_strdupv(from->qmp_globs) : g_new0(char *, 1);
}

static void clear_sources(struct hv_sources *sources)
{
	g_strfreev(sources->libvirt_uris);
	g_strfreev(sources->qmp_globs);
}

static struct roster *ref_roster(struct roster *roster)
{
	g_atomic_ref_count_inc(&roster->refs);
	return roster;
}

static void unref_roster(struct roster *roster)
{
	if (!g_atomic_ref_count_dec(&roster->refs))
		return;
	clear_sources(&roster->sources);
	g_ptr_array_unref(roster->forgotten);
	g_hash_table_unref(roster->known);
	g_hash_table_unref(roster->problems);
	g_mutex_clear(&roster->lock);
	g_cond_clear(&roster->requested);
	g_free(roster);
}

/*
 * Messages, from the thread to the main loop
 */

struct message {
	struct roster *roster;
	enum { MESSAGE_FOUND, MESSAGE_GONE, MESSAGE_PROBLEM } kind;
	hv_guest *guest;
	char *source, *text; /* text: the address, or the problem */
};

static void free_message(gpointer data)
{
	struct message *message = data;

	unref_roster(message->roster);
	hv_guest_close(message->guest);
	g_free(message->source);
	g_free(message->text);
	g_free(message);
}

static gboolean deliver_message(gpointer data)
{
	struct message *message = data;
	struct roster *roster = message->roster;

	if (roster->freed)
		return G_SOURCE_REMOVE;
	switch (message->kind) {
	case MESSAGE_FOUND:
		roster->ops->found(roster->data, g_steal_pointer(&message->guest));
		break;
	case MESSAGE_GONE:
		roster->ops->gone(roster->data, message->source, message->text);
		break;
	case MESSAGE_PROBLEM:
		roster->ops->problem(roster->data, message->source, message->text);
		break;
	}
	return G_SOURCE_REMOVE;
}

static struct message *new_message(struct roster *roster, int kind, hv_guest *guest,
				   const char *source, const char *text)
{
	struct message *message = g_new0(struct message, 1);

	message->roster = ref_roster(roster);
	message->kind = kind;
	message->guest = guest;
	message->source = g_strdup(source);
	message->text = g_strdup(text);
	return message;
}

static void post_message(struct message *message)
{
	g_autoptr(GSource) idle = g_idle_source_new();

	g_source_set_priority(idle, G_PRIORITY_DEFAULT);
	g_source_set_callback(idle, deliver_message, message, free_message);
	g_source_attach(idle, NULL);
}

/*
 * The thread
 */

static char *make_key(const char *source, const char *address)
{
	return g_strconcat(source, "\n", address, NULL);
}

static void report_problem(struct roster *roster, const char *source, const char *text)
{
	const char *reported = g_hash_table_lookup(roster->problems, source);

	if (!g_strcmp0(reported, text))
		return;
	/* A problem with another text is still the same problem. */
	if (!reported || !text)
		post_message(new_message(roster, MESSAGE_PROBLEM, NULL, source, text));
	if (text)
		g_hash_table_replace(roster->problems, g_strdup(source), g_strdup(text));
	else
		g_hash_table_remove(roster->problems, source);
}

static struct known *new_known(const char *source, const char *found_by)
{
	struct known *known = g_new0(struct known, 1);

	known->source = g_strdup(source);
	known->found_by = g_strdup(found_by);
	return known;
}

/* Compares a list: known guests are taken out of @missing, the others are new. */
static void compare_list(struct roster *roster, const char *found_by, GPtrArray *guests,
			 GHashTable *missing)
{
	while (guests->len) {
		hv_guest *guest = g_ptr_array_steal_index_fast(guests, 0);
		g_autofree char *key = make_key(guest->source, guest->address);

		if (g_hash_table_contains(roster->known, key)) {
			g_hash_table_remove(missing, key);
			hv_guest_close(guest);
			continue;
		}
		g_hash_table_insert(roster->known, g_strdup(key),
				    new_known(guest->source, found_by));
		post_message(new_message(roster, MESSAGE_FOUND, guest, NULL, NULL));
	}
}

/* The guests of a URI that cannot be queried are not missing. */
static void keep_uri_guests(struct roster *roster, const char *uri, GHashTable *missing)
{
	GHashTableIter iter;
	gpointer key, known;

	g_hash_table_iter_init(&iter, roster->known);
	while (g_hash_table_iter_next(&iter, &key, &known))
		if (!strcmp(((struct known *)known)->source, uri))
			g_hash_table_remove(missing, key);
}

static void list_uri(struct roster *roster, const char *uri, GHashTable *missing)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) guests = hv_libvirt_list(uri, false, hv_deadline_ms(5000), &error);

	report_problem(roster, uri, guests ? NULL : error->message);
	if (guests)
		compare_list(roster, uri, guests, missing);
	else
		keep_uri_guests(roster, uri, missing);
}

/* Returns whether all could be looked at that @pattern may match. */
static bool list_glob(struct roster *roster, const char *pattern, GHashTable *missing)
{
	g_autoptr(GPtrArray) guests =
		g_ptr_array_new_with_free_func((GDestroyNotify)hv_guest_close);
	g_autofree char *source = g_strconcat("qmp:", pattern, NULL);
	g_autoptr(GError) error = NULL;
	bool complete = hv_qmp_list(pattern, guests, &error);

	report_problem(roster, source, complete ? NULL : error->message);
	compare_list(roster, pattern, guests, missing);
	return complete;
}

/*
 * A list that is shorter than before proves nothing: readdir() may have failed.  So the sockets
 * that it lacks are looked at one by one.  One that is there is kept, unless its glob was removed
 * and all others could be read.
 */
static void keep_present_sockets(struct roster *roster, char **globs, bool complete,
				 GHashTable *missing)
{
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, missing);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		const struct known *known = g_hash_table_lookup(roster->known, key);
		bool is_wanted =
			!complete || g_strv_contains((const char *const *)globs, known->found_by);

		if (!strcmp(known->source, "qmp") && is_wanted &&
		    !hv_qmp_is_gone(strchr(key, '\n') + 1))
			g_hash_table_iter_remove(&iter);
	}
}

/* A source that was removed has no problem any more. */
static void forget_problems(struct roster *roster, const struct hv_sources *sources)
{
	g_autoptr(GList) reported = g_hash_table_get_keys(roster->problems);

	for (GList *link = reported; link; link = link->next) {
		const char *source = link->data;
		bool is_glob = g_str_has_prefix(source, "qmp:");

		if (!g_strv_contains((const char *const *)(is_glob ? sources->qmp_globs
								   : sources->libvirt_uris),
				     is_glob ? source + strlen("qmp:") : source))
			report_problem(roster, source, NULL);
	}
}

static void forget_keys(struct roster *roster, GPtrArray *keys)
{
	for (guint i = 0; i < keys->len; i++)
		g_hash_table_remove(roster->known, keys->pdata[i]);
}

static void report_missing(struct roster *roster, GHashTable *missing)
{
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, missing);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		const struct known *known = g_hash_table_lookup(roster->known, key);

		post_message(new_message(roster, MESSAGE_GONE, NULL, known->source,
					 strchr(key, '\n') + 1));
		g_hash_table_remove(roster->known, key);
	}
}

static void compare_sources(struct roster *roster, const struct hv_sources *sources)
{
	g_autoptr(GHashTable) missing =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GHashTableIter iter;
	bool complete = true;
	gpointer key;

	g_hash_table_iter_init(&iter, roster->known);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		g_hash_table_add(missing, g_strdup(key));
	for (char **uri = sources->libvirt_uris; *uri; uri++)
		list_uri(roster, *uri, missing);
	for (char **glob = sources->qmp_globs; *glob; glob++)
		complete &= list_glob(roster, *glob, missing);
	keep_present_sockets(roster, sources->qmp_globs, complete, missing);
	report_missing(roster, missing);
	forget_problems(roster, sources);
}

/* Waits for the next second or a request; false at the end. */
static bool wait_for_turn(struct roster *roster, struct hv_sources *sources, GPtrArray **keys)
{
	int64_t until = g_get_monotonic_time() + ROSTER_US;
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&roster->lock);

	while (!roster->refresh_requested && !roster->end_requested)
		if (!g_cond_wait_until(&roster->requested, &roster->lock, until))
			break;
	roster->refresh_requested = false;
	copy_sources(sources, &roster->sources);
	*keys = roster->forgotten;
	roster->forgotten = g_ptr_array_new_with_free_func(g_free);
	return !roster->end_requested;
}

static gpointer run_roster(gpointer data)
{
	struct roster *roster = data;
	bool going = true;

	while (going) {
		struct hv_sources sources = { 0 };
		g_autoptr(GPtrArray) keys = NULL;

		going = wait_for_turn(roster, &sources, &keys);
		forget_keys(roster, keys);
		if (going)
			compare_sources(roster, &sources);
		clear_sources(&sources);
	}
	unref_roster(roster);
	return NULL;
}

/*
 * The main loop
 */

struct roster *roster_new(const struct hv_sources *sources, const struct roster_ops *ops,
			  void *data, GError **error)
{
	struct roster *roster = g_new0(struct roster, 1);
	g_autoptr(GThread) thread = NULL;

	g_atomic_ref_count_init(&roster->refs);
	g_mutex_init(&roster->lock);
	g_cond_init(&roster->requested);
	roster->ops = ops;
	roster->data = data;
	roster->refresh_requested = true;
	copy_sources(&roster->sources, sources);
	roster->forgotten = g_ptr_array_new_with_free_func(g_free);
	roster->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_known);
	roster->problems = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	thread = g_thread_try_new("roster", run_roster, ref_roster(roster), NULL);
	if (thread)
		return roster;
	shortage_set_error(error, EAGAIN);
	unref_roster(roster); /* the thread's */
	unref_roster(roster);
	return NULL;
}

void roster_set_sources(struct roster *roster, const struct hv_sources *sources)
{
	g_mutex_lock(&roster->lock);
	clear_sources(&roster->sources);
	copy_sources(&roster->sources, sources);
	roster->refresh_requested = true;
	g_cond_signal(&roster->requested);
	g_mutex_unlock(&roster->lock);
}

void roster_refresh(struct roster *roster)
{
	g_mutex_lock(&roster->lock);
	roster->refresh_requested = true;
	g_cond_signal(&roster->requested);
	g_mutex_unlock(&roster->lock);
}

void roster_forget(struct roster *roster, const char *source, const char *address)
{
	g_mutex_lock(&roster->lock);
	g_ptr_array_add(roster->forgotten, make_key(source, address));
	g_mutex_unlock(&roster->lock);
}

void roster_free(struct roster *roster)
{
	if (!roster)
		return;
	roster->freed = true;
	g_mutex_lock(&roster->lock);
	roster->end_requested = true;
	g_cond_signal(&roster->requested);
	g_mutex_unlock(&roster->lock);
	unref_roster(roster);
}
