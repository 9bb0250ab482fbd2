/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/guests.h"

#include <string.h>

#include "aerostatd/log.h"
#include "aerostatd/restore.h"
#include "aerostatd/strays.h"

struct guests {
	char *folder;
	GPtrArray *managed; /* struct managed * */
	GPtrArray *aliases; /* struct alias * */
	struct strays *strays;
	bool unsaved;	  /* the state file is out of date */
	bool save_failed; /* the last attempt to write it */
};

/* Another address of a managed guest. */
struct alias {
	char *source, *address;
	char *name, *uuid; /* that it has there; they may be NULL */
	int libvirt_id;
	uint64_t of; /* the guest's id */
};

static void free_alias(void *data)
{
	struct alias *alias = data;

	g_free(alias->source);
	g_free(alias->address);
	g_free(alias->name);
	g_free(alias->uuid);
	g_free(alias);
}

struct guests *guests_new(const char *folder, void (*strays_changed)(void *data), void *data,
			  GError **error)
{
	g_autoptr(GPtrArray) entries = state_file_load(folder, error);
	struct guests *guests;

	if (!entries)
		return NULL;
	guests = g_new0(struct guests, 1);
	guests->folder = g_strdup(folder);
	guests->managed = g_ptr_array_new_with_free_func(managed_free);
	guests->aliases = g_ptr_array_new_with_free_func(free_alias);
	guests->strays = strays_new(entries, strays_changed, data);
	return guests;
}

void guests_free(struct guests *guests)
{
	g_ptr_array_unref(guests->managed);
	g_ptr_array_unref(guests->aliases);
	strays_free(guests->strays);
	g_free(guests->folder);
	g_free(guests);
}

const GPtrArray *guests_list(const struct guests *guests)
{
	return guests->managed;
}

void guests_add(struct guests *guests, struct managed *guest)
{
	g_ptr_array_add(guests->managed, guest);
}

void guests_remove(struct guests *guests, struct managed *guest)
{
	guint index;

	guests->unsaved |= guest->answered;
	if (g_ptr_array_find(guests->managed, guest, &index))
		g_ptr_array_steal_index(guests->managed, index);
}

/*
 * Finding one
 */

struct managed *guests_find_address(const struct guests *guests, const char *source,
				    const char *address)
{
	for (guint i = 0; i < guests->managed->len; i++) {
		struct managed *guest = guests->managed->pdata[i];

		if (!strcmp(guest->source, source) && !strcmp(guest->address, address))
			return guest;
	}
	return NULL;
}

static void report_unknown_guest(const struct guests *guests, const char *name, GError **error)
{
	const GPtrArray *array = guests->managed;
	g_autoptr(GString) names = g_string_new(NULL);

	for (guint i = 0; i < array->len && i < 8; i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "",
				       ((struct managed *)array->pdata[i])->name);
	if (array->len > 8)
		g_string_append_printf(names, " and %u more", array->len - 8);
	g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_NOT_FOUND,
		    "aerostatd manages no guest '%s'; %s%s", name,
		    array->len ? "it manages " : "it has found none", names->str);
}

static void report_ambiguous_word(const char *word, const GPtrArray *matches, GError **error)
{
	g_autofree struct guest_names *names = g_new(struct guest_names, matches->len);
	g_autofree char *text = NULL;

	for (guint i = 0; i < matches->len; i++)
		names[i] = managed_names(matches->pdata[i]);
	text = guest_word_explain_ambiguity(word, names, matches->len);
	g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_AMBIGUOUS, "%s", text);
}

/* A guest has the names of all its addresses: the command may have found it at another. */
static bool is_guest_called(const struct guests *guests, const struct managed *guest,
			    const char *word)
{
	for (guint i = 0; i < guests->aliases->len; i++) {
		const struct alias *alias = guests->aliases->pdata[i];
		const struct guest_names names = { alias->source, alias->address, alias->name,
						   alias->uuid, alias->libvirt_id };

		if (alias->of == guest->id && guest_word_fits(word, &names))
			return true;
	}
	return managed_is_called(guest, word);
}

struct managed *guests_find_name(const struct guests *guests, const char *word, GError **error)
{
	g_autoptr(GPtrArray) matches = g_ptr_array_new();

	for (guint i = 0; i < guests->managed->len; i++)
		if (is_guest_called(guests, guests->managed->pdata[i], word))
			g_ptr_array_add(matches, guests->managed->pdata[i]);
	if (matches->len == 1)
		return matches->pdata[0];
	if (matches->len)
		report_ambiguous_word(word, matches, error);
	else
		report_unknown_guest(guests, word, error);
	return NULL;
}

/*
 * Coming and leaving
 */

static gint compare_names(gconstpointer a, gconstpointer b)
{
	const struct managed *first = *(struct managed *const *)a;
	const struct managed *second = *(struct managed *const *)b;
	int order = strcmp(first->name, second->name);

	return order ? order : strcmp(first->address, second->address);
}

/* An entry for a guest in a new process, as its note says; NULL if the note makes no sense. */
static struct saved_guest *read_note(const struct saved_guest *now, const char *note,
				     enum hv_origin origin)
{
	struct saved_guest *entry = saved_guest_copy(now);

	if (saved_guest_take_note(entry, note, origin))
		return entry;
	manager_log(LOG_WARNING,
		    "%s: the note in its metadata is damaged, or was copied from another guest or "
		    "another start, and is ignored",
		    now->name);
	saved_guest_free(entry);
	return NULL;
}

/* What is known of a guest that has just answered. */
static struct saved_guest describe_guest(const struct managed *guest)
{
	struct saved_guest now;

	managed_save(guest, &now);
	now.start_ticks = process_start_ticks(guest->pid);
	return now;
}

/* The balloon device of a guest of this name, as an entry; 0: it has none. */
static struct saved_guest describe_device(char *name, pid_t pid)
{
	return (struct saved_guest){
		.source = (char *)"",
		.address = (char *)"",
		.name = name,
		.pid = pid,
		.start_ticks = pid ? process_start_ticks(pid) : 0,
	};
}

static bool is_being_set(const struct managed *guest)
{
	return managed_worker(guest) && worker_is_setting(managed_worker(guest));
}

/* Whether a managed guest in this process is being set a target. */
static bool is_device_being_set(const struct guests *guests, const struct saved_guest *device)
{
	const struct identity wanted = saved_guest_identity(device);

	for (guint i = 0; device->pid && i < guests->managed->len; i++) {
		const struct managed *other = guests->managed->pdata[i];
		struct saved_guest saved;
		struct identity identity;

		managed_save(other, &saved);
		identity = saved_guest_identity(&saved);
		if (other->answered && is_being_set(other) && identity_is_same(&identity, &wanted))
			return true;
	}
	return false;
}

bool guests_delay_claim(struct guests *guests, const struct managed *guest, const hv_info *info)
{
	const struct saved_guest device = describe_device(info->name, info->device_pid);
	const struct saved_guest now = {
		.source = guest->source,
		.address = guest->address,
		.name = info->name,
		.uuid = info->uuid,
		.pid = info->pid,
		.start_ticks = process_start_ticks(info->pid),
	};

	return strays_delay_claim(guests->strays, &now) ||
	       strays_delay_claim(guests->strays, &device) || is_device_being_set(guests, &device);
}

bool guests_claim(struct guests *guests, struct managed *guest, const char *note,
		  const struct saved_guest *heritage)
{
	const struct saved_guest now = describe_guest(guest);
	struct saved_guest *entry = strays_claim(guests->strays, &now);
	const struct saved_guest device = describe_device(guest->name, guest->device_pid);
	struct saved_guest *of_device = strays_claim(guests->strays, &device);
	bool found;

	if (!entry)
		entry = g_steal_pointer(&of_device);
	saved_guest_free(of_device);
	if (!entry && note)
		entry = read_note(&now, note, guest->origin);
	if (!entry && heritage)
		entry = saved_guest_copy(heritage);
	found = entry;
	managed_init_saved(guest, entry);
	saved_guest_free(entry);
	g_ptr_array_sort(guests->managed, compare_names);
	guests->unsaved = true;
	return found;
}

void guests_merge_known(struct guests *guests, struct managed *guest,
			const struct saved_guest *known)
{
	const struct saved_guest now = describe_guest(guest);

	if (now.was_set || now.changed || now.mode >= 0)
		return;
	managed_init_saved(guest, known);
	guests->unsaved = true;
}

/* Whether both are called the same, as the two ends of a migration are. */
static bool is_called_alike(const struct managed *a, const struct managed *b)
{
	if (a->uuid || b->uuid)
		return !g_strcmp0(a->uuid, b->uuid);
	return !strcmp(a->name, b->name);
}

struct managed *guests_find_source(const struct guests *guests, const struct managed *guest)
{
	struct managed *found = NULL;

	for (guint i = 0; guest->origin == HV_ORIGIN_STATE && i < guests->managed->len; i++) {
		struct managed *other = guests->managed->pdata[i];

		if (other == guest || !other->answered || !is_called_alike(other, guest))
			continue;
		if (found)
			return NULL;
		found = other;
	}
	return found;
}

void guests_bequeath(struct guests *guests, const struct managed *guest)
{
	struct saved_guest saved;

	managed_save(guest, &saved);
	for (guint i = 0; guest->answered && i < guests->managed->len; i++) {
		struct managed *other = guests->managed->pdata[i];

		if (!other->answered && other->origin == HV_ORIGIN_ARRIVING &&
		    is_called_alike(other, guest))
			managed_bequeath(other, &saved);
	}
}

void guests_start_leaving(struct guests *guests, struct managed *guest)
{
	struct saved_guest entry;

	managed_forget_unset(guest);
	managed_save(guest, &entry);
	guests_remove(guests, guest);
	if (restore_entry_counts(&entry))
		strays_add(guests->strays, &entry, managed_detach_worker(guest));
	guests->unsaved = true;
}

void guests_finish_restore(struct guests *guests, struct managed *guest,
			   enum restore_outcome outcome)
{
	managed_finish_restore(guest, outcome);
	guests->unsaved = true;
	if (outcome == RESTORE_GONE)
		g_ptr_array_remove(guests->managed, guest);
}

/*
 * Aliases
 */

/*
 * Whether @device is the balloon device of @guest: its process, and named after it, since a service
 * manager may listen for several devices.
 */
static bool is_device_of(const struct saved_guest *device, const struct managed *guest)
{
	return managed_has_device(guest, device->pid, device->start_ticks) &&
	       !g_strcmp0(device->name, guest->name);
}

struct managed *guests_find_same(const struct guests *guests, const struct managed *guest)
{
	const struct saved_guest now = describe_guest(guest);
	const struct identity wanted = saved_guest_identity(&now);

	for (guint i = 0; i < guests->managed->len; i++) {
		struct managed *other = guests->managed->pdata[i];
		struct saved_guest saved;
		struct identity identity;

		if (other == guest || !other->answered)
			continue;
		if (is_device_of(&now, other))
			return other;
		managed_save(other, &saved);
		identity = saved_guest_identity(&saved);
		/* Only a process proves it: two libvirts may have the same UUID. */
		if (identity.pid && wanted.pid && identity_is_same(&identity, &wanted))
			return other;
	}
	return NULL;
}

struct managed *guests_find_device(const struct guests *guests, const struct managed *guest)
{
	struct saved_guest saved;

	for (guint i = 0; guest->device_pid && i < guests->managed->len; i++) {
		struct managed *other = guests->managed->pdata[i];

		managed_save(other, &saved);
		if (other != guest && other->answered && !managed_is_restoring(other) &&
		    !is_being_set(other) && is_device_of(&saved, guest))
			return other;
	}
	return NULL;
}

static bool is_alias(const struct alias *alias, const char *source, const char *address)
{
	return !strcmp(alias->source, source) && !strcmp(alias->address, address);
}

bool guests_remove_alias(struct guests *guests, const char *source, const char *address)
{
	for (guint i = 0; i < guests->aliases->len; i++)
		if (is_alias(guests->aliases->pdata[i], source, address))
			return g_ptr_array_remove_index(guests->aliases, i);
	return false;
}

bool guests_add_alias(struct guests *guests, const struct managed *guest,
		      const struct guest_names *names)
{
	bool is_known = guests_remove_alias(guests, names->source, names->address);
	struct alias *alias = g_new(struct alias, 1);

	*alias = (struct alias){ g_strdup(names->source),
				 g_strdup(names->address),
				 g_strdup(names->name),
				 g_strdup(names->uuid),
				 names->id,
				 guest->id };
	g_ptr_array_add(guests->aliases, alias);
	return !is_known;
}

void guests_visit_aliases(const struct guests *guests, const struct managed *guest,
			  void (*visit)(void *data, const char *source, const char *address),
			  void *data)
{
	for (guint i = 0; i < guests->aliases->len; i++) {
		const struct alias *alias = guests->aliases->pdata[i];

		if (alias->of == guest->id)
			visit(data, alias->source, alias->address);
	}
}

/*
 * Restoring
 */

void guests_start_restore(struct guests *guests)
{
	for (guint i = 0; i < guests->managed->len; i++) {
		struct managed *guest = guests->managed->pdata[i];

		if (guest->answered)
			managed_start_restore(guest);
	}
	strays_finish(guests->strays);
}

unsigned int guests_count_restoring(const struct guests *guests)
{
	unsigned int count = strays_count_restoring(guests->strays);

	for (guint i = 0; i < guests->managed->len; i++)
		count += managed_is_restoring(guests->managed->pdata[i]);
	return count;
}

unsigned int guests_count_missing(const struct guests *guests)
{
	unsigned int count = strays_count_missing(guests->strays);
	struct saved_guest saved;

	for (guint i = 0; i < guests->managed->len; i++) {
		const struct managed *guest = guests->managed->pdata[i];

		managed_save(guest, &saved);
		count += (restore_is_needed(&saved) || managed_is_restoring(guest)) &&
			 !managed_is_moving(guest) && managed_process_state(guest) != PROCESS_ENDED;
	}
	return count;
}

unsigned int guests_count_strays(const struct guests *guests)
{
	return strays_count_missing(guests->strays);
}

/*
 * The state file
 */

/* A guest without a size has not been changed, and has nothing to be kept. */
static bool describe_entry(const struct managed *guest, struct saved_guest *entry)
{
	managed_save(guest, entry);
	return guest->answered && state_file_accepts(entry);
}

bool guests_can_keep(const struct managed *guest)
{
	struct saved_guest entry;

	return describe_entry(guest, &entry);
}

/* The entries of all guests that have to be in the file, with @choices of @who (may be NULL); their
 * texts remain the guests'. */
static GArray *collect_entries(struct guests *guests, GPtrArray *who,
			       const struct saved_guest *choices)
{
	GArray *entries = g_array_new(FALSE, FALSE, sizeof(struct saved_guest));
	struct saved_guest entry;
	guint chosen;

	for (guint i = 0; i < guests->managed->len; i++) {
		struct managed *guest = guests->managed->pdata[i];

		if (who && g_ptr_array_find(who, guest, &chosen))
			g_array_append_val(entries, choices[chosen]);
		else if (describe_entry(guest, &entry))
			g_array_append_val(entries, entry);
	}
	strays_collect(guests->strays, entries);
	return entries;
}

void guests_touch(struct guests *guests)
{
	guests->unsaved = true;
}

static bool write_entries(const struct guests *guests, const GArray *entries, GError **error)
{
	g_autoptr(GPtrArray) pointers = g_ptr_array_new();

	for (guint i = 0; i < entries->len; i++)
		g_ptr_array_add(pointers, &g_array_index(entries, struct saved_guest, i));
	return state_file_save(guests->folder, pointers, error);
}

static void update_notes(const struct guests *guests)
{
	for (guint i = 0; i < guests->managed->len; i++) {
		const struct managed *guest = guests->managed->pdata[i];
		g_autofree char *note = NULL;
		struct saved_guest entry;

		/* A restore writes the note itself. */
		if (!managed_worker(guest) || managed_is_restoring(guest) ||
		    !describe_entry(guest, &entry))
			continue;
		note = restore_make_note(&entry);
		worker_request_note(managed_worker(guest), note);
	}
}

bool guests_save(struct guests *guests)
{
	g_autoptr(GArray) entries = NULL;
	g_autoptr(GError) error = NULL;
	bool ok;

	if (!guests->unsaved)
		return true;
	entries = collect_entries(guests, NULL, NULL);
	ok = write_entries(guests, entries, &error);
	if (!ok && !guests->save_failed)
		manager_log(LOG_ERR, "no guest is changed, as it could not be restored later: %s",
			    error->message);
	guests->save_failed = !ok;
	guests->unsaved = !ok;
	if (ok)
		update_notes(guests);
	return ok;
}

bool guests_save_choices(struct guests *guests, GPtrArray *who, const struct saved_guest *choices,
			 GError **error)
{
	g_autoptr(GArray) entries = collect_entries(guests, who, choices);
	g_autoptr(GError) problem = NULL;

	if (write_entries(guests, entries, &problem))
		return true;
	g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_NOT_KEPT,
		    "nothing was changed, as it could not be kept: %s", problem->message);
	return false;
}
