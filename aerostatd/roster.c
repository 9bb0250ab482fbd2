/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/roster.h"

#include <string.h>

struct roster {
	gatomicrefcount refs; /* the loop's, the thread's, and one for each message under way */
	const struct roster_ops *ops;
	void *data;
	bool freed; /* the loop's */

	GMutex lock; /* guards the wishes */
	GCond wished;
	struct hv_sources sources; /* both lists owned, never NULL */
	GPtrArray *forgotten;	   /* keys */
	bool look_wished, end_wished;

	/* The thread's. */
	GHashTable *known;    /* key → source */
	GHashTable *problems; /* source → text told */
};

static void sources_copy(struct hv_sources *to, const struct hv_sources *from)
{
	to->libvirt_uris = from->libvirt_uris ? g_strdupv(from->libvirt_uris) : g_new0(char *, 1);
	to->qmp_globs = from->qmp_globs ? g_strdupv(from->qmp_globs) : g_new0(char *, 1);
}

static void sources_clear(struct hv_sources *sources)
{
	g_strfreev(sources->libvirt_uris);
	g_strfreev(sources->qmp_globs);
}

static struct roster *roster_ref(struct roster *roster)
{
	g_atomic_ref_count_inc(&roster->refs);
	return roster;
}

static void roster_unref(struct roster *roster)
{
	if (!g_atomic_ref_count_dec(&roster->refs))
		return;
	sources_clear(&roster->sources);
	g_ptr_array_unref(roster->forgotten);
	g_hash_table_unref(roster->known);
	g_hash_table_unref(roster->problems);
	g_mutex_clear(&roster->lock);
	g_cond_clear(&roster->wished);
	g_free(roster);
}

/*
 * Messages, from the thread to the loop
 */

struct message {
	struct roster *roster;
	enum { MESSAGE_FOUND, MESSAGE_GONE, MESSAGE_PROBLEM } kind;
	hv_guest *guest;
	char *source, *text; /* text: the address, or the problem */
};

static void message_free(gpointer data)
{
	struct message *message = data;

	roster_unref(message->roster);
	hv_guest_close(message->guest);
	g_free(message->source);
	g_free(message->text);
	g_free(message);
}

static gboolean deliver(gpointer data)
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

static struct message *message_new(struct roster *roster, int kind, hv_guest *guest,
				   const char *source, const char *text)
{
	struct message *message = g_new0(struct message, 1);

	message->roster = roster_ref(roster);
	message->kind = kind;
	message->guest = guest;
	message->source = g_strdup(source);
	message->text = g_strdup(text);
	return message;
}

static void send(struct message *message)
{
	g_autoptr(GSource) idle = g_idle_source_new();

	g_source_set_priority(idle, G_PRIORITY_DEFAULT);
	g_source_set_callback(idle, deliver, message, message_free);
	g_source_attach(idle, NULL);
}

/*
 * Looking, in the thread
 */

static char *key_of(const char *source, const char *address)
{
	return g_strconcat(source, "\n", address, NULL);
}

static void tell_problem(struct roster *roster, const char *source, const char *text)
{
	const char *told = g_hash_table_lookup(roster->problems, source);

	if (!g_strcmp0(told, text))
		return;
	/* A problem in other words is the same one still. */
	if (!told || !text)
		send(message_new(roster, MESSAGE_PROBLEM, NULL, source, text));
	if (text)
		g_hash_table_replace(roster->problems, g_strdup(source), g_strdup(text));
	else
		g_hash_table_remove(roster->problems, source);
}

/* Takes what is listed over: what was known goes from @missing, the rest is new. */
static void take_list(struct roster *roster, GPtrArray *guests, GHashTable *missing)
{
	while (guests->len) {
		hv_guest *guest = g_ptr_array_steal_index_fast(guests, 0);
		g_autofree char *key = key_of(guest->source, guest->address);

		if (g_hash_table_contains(roster->known, key)) {
			g_hash_table_remove(missing, key);
			hv_guest_close(guest);
			continue;
		}
		g_hash_table_insert(roster->known, g_strdup(key), g_strdup(guest->source));
		send(message_new(roster, MESSAGE_FOUND, guest, NULL, NULL));
	}
}

/* The guests of a source that does not answer are there still. */
static void keep_source(struct roster *roster, const char *source, GHashTable *missing)
{
	GHashTableIter iter;
	gpointer key, of;

	g_hash_table_iter_init(&iter, roster->known);
	while (g_hash_table_iter_next(&iter, &key, &of))
		if (!strcmp(of, source))
			g_hash_table_remove(missing, key);
}

static void look_at_uri(struct roster *roster, const char *uri, GHashTable *missing)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) guests = hv_libvirt_list(uri, false, hv_deadline_ms(5000), &error);

	tell_problem(roster, uri, guests ? NULL : error->message);
	if (guests)
		take_list(roster, guests, missing);
	else
		keep_source(roster, uri, missing);
}

static void forget(struct roster *roster, GPtrArray *keys)
{
	for (guint i = 0; i < keys->len; i++)
		g_hash_table_remove(roster->known, keys->pdata[i]);
}

static void tell_gone(struct roster *roster, GHashTable *missing)
{
	GHashTableIter iter;
	gpointer key, source;

	g_hash_table_iter_init(&iter, missing);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		source = g_hash_table_lookup(roster->known, key);
		send(message_new(roster, MESSAGE_GONE, NULL, source, strchr(key, '\n') + 1));
		g_hash_table_remove(roster->known, key);
	}
}

static void look(struct roster *roster, const struct hv_sources *sources)
{
	const struct hv_sources globs = { .libvirt_uris = (char *[]){ NULL },
					  .qmp_globs = sources->qmp_globs };
	g_autoptr(GHashTable) missing =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) sockets = NULL;
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, roster->known);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		g_hash_table_add(missing, g_strdup(key));
	for (char **uri = sources->libvirt_uris; *uri; uri++)
		look_at_uri(roster, *uri, missing);
	sockets = hv_list(&globs, false, hv_deadline_ms(1000), NULL);
	take_list(roster, sockets, missing);
	tell_gone(roster, missing);
}

/* Waits until it is time to look, or somebody wishes it; false at the end. */
static bool wait_for_time(struct roster *roster, struct hv_sources *sources, GPtrArray **keys)
{
	int64_t until = g_get_monotonic_time() + ROSTER_US;
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&roster->lock);

	while (!roster->look_wished && !roster->end_wished)
		if (!g_cond_wait_until(&roster->wished, &roster->lock, until))
			break;
	roster->look_wished = false;
	sources_copy(sources, &roster->sources);
	*keys = roster->forgotten;
	roster->forgotten = g_ptr_array_new_with_free_func(g_free);
	return !roster->end_wished;
}

static gpointer work(gpointer data)
{
	struct roster *roster = data;
	bool going = true;

	while (going) {
		struct hv_sources sources = { 0 };
		g_autoptr(GPtrArray) keys = NULL;

		going = wait_for_time(roster, &sources, &keys);
		forget(roster, keys);
		if (going)
			look(roster, &sources);
		sources_clear(&sources);
	}
	roster_unref(roster);
	return NULL;
}

/*
 * The loop's side
 */

struct roster *roster_new(const struct hv_sources *sources, const struct roster_ops *ops,
			  void *data)
{
	struct roster *roster = g_new0(struct roster, 1);

	g_atomic_ref_count_init(&roster->refs);
	g_mutex_init(&roster->lock);
	g_cond_init(&roster->wished);
	roster->ops = ops;
	roster->data = data;
	roster->look_wished = true;
	sources_copy(&roster->sources, sources);
	roster->forgotten = g_ptr_array_new_with_free_func(g_free);
	roster->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	roster->problems = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_thread_unref(g_thread_new("roster", work, roster_ref(roster)));
	return roster;
}

void roster_reload(struct roster *roster, const struct hv_sources *sources)
{
	g_mutex_lock(&roster->lock);
	sources_clear(&roster->sources);
	sources_copy(&roster->sources, sources);
	roster->look_wished = true;
	g_cond_signal(&roster->wished);
	g_mutex_unlock(&roster->lock);
}

void roster_look(struct roster *roster)
{
	g_mutex_lock(&roster->lock);
	roster->look_wished = true;
	g_cond_signal(&roster->wished);
	g_mutex_unlock(&roster->lock);
}

void roster_forget(struct roster *roster, const char *source, const char *address)
{
	g_mutex_lock(&roster->lock);
	g_ptr_array_add(roster->forgotten, key_of(source, address));
	g_mutex_unlock(&roster->lock);
}

void roster_free(struct roster *roster)
{
	if (!roster)
		return;
	roster->freed = true;
	g_mutex_lock(&roster->lock);
	roster->end_wished = true;
	g_cond_signal(&roster->wished);
	g_mutex_unlock(&roster->lock);
	roster_unref(roster);
}
