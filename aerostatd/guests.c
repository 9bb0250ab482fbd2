/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/guests.h"

#include <string.h>

#include "aerostatd/log.h"

struct guests {
	char *folder;
	GPtrArray *managed, *leaving; /* struct managed * */
	GPtrArray *unclaimed;	      /* struct saved_guest * */
	bool unsaved;		      /* the state file is out of date */
	bool save_failed;	      /* the last attempt to write it */
};

struct guests *guests_new(const char *folder, GError **error)
{
	GPtrArray *unclaimed = state_file_load(folder, error);
	struct guests *guests;

	if (!unclaimed)
		return NULL;
	guests = g_new0(struct guests, 1);
	guests->folder = g_strdup(folder);
	guests->managed = g_ptr_array_new_with_free_func(managed_free);
	guests->leaving = g_ptr_array_new_with_free_func(managed_free);
	guests->unclaimed = unclaimed;
	return guests;
}

void guests_free(struct guests *guests)
{
	g_ptr_array_unref(guests->managed);
	g_ptr_array_unref(guests->leaving);
	g_ptr_array_unref(guests->unclaimed);
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

static struct managed *find_guest_at(const GPtrArray *array, const char *source,
				     const char *address)
{
	for (guint i = 0; i < array->len; i++) {
		struct managed *guest = array->pdata[i];

		if (!strcmp(guest->source, source) && !strcmp(guest->address, address))
			return guest;
	}
	return NULL;
}

struct managed *guests_find_address(const struct guests *guests, const char *source,
				    const char *address)
{
	return find_guest_at(guests->managed, source, address);
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

struct managed *guests_find_name(const struct guests *guests, const char *name, GError **error)
{
	struct managed *found = NULL;

	for (guint i = 0; i < guests->managed->len; i++) {
		struct managed *guest = guests->managed->pdata[i];

		if (!managed_is_called(guest, name))
			continue;
		if (found) {
			g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_AMBIGUOUS,
				    "several guests are called '%s'; use an address: %s, %s", name,
				    found->address, guest->address);
			return NULL;
		}
		found = guest;
	}
	if (!found)
		report_unknown_guest(guests, name, error);
	return found;
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

/* Turns a guest that leaves into an entry of the state file, and frees it. */
static void move_to_unclaimed(struct guests *guests, struct managed *guest)
{
	struct saved_guest saved;

	managed_save(guest, &saved);
	g_ptr_array_add(guests->unclaimed, saved_guest_copy(&saved));
	g_ptr_array_remove(guests->leaving, guest);
}

bool guests_claim(struct guests *guests, struct managed *guest)
{
	struct managed *leaving = find_guest_at(guests->leaving, guest->source, guest->address);
	struct saved_guest *saved;

	/* Found again while it is being restored: its size is on the way, not its own. */
	if (leaving)
		move_to_unclaimed(guests, leaving);
	saved = state_file_find(guests->unclaimed, guest->source, guest->address, guest->pid);
	managed_init_saved(guest, saved);
	g_ptr_array_sort(guests->managed, compare_names);
	guests->unsaved = true;
	return saved && g_ptr_array_remove(guests->unclaimed, saved);
}

void guests_start_leaving(struct guests *guests, struct managed *guest)
{
	guint index;

	if (g_ptr_array_find(guests->managed, guest, &index))
		g_ptr_array_add(guests->leaving, g_ptr_array_steal_index(guests->managed, index));
	managed_start_restore(guest);
}

void guests_finish_restore(struct guests *guests, struct managed *guest,
			   enum restore_outcome outcome)
{
	struct saved_guest saved;

	managed_save(guest, &saved);
	managed_finish_restore(guest, outcome);
	guests->unsaved = true;
	if (!g_ptr_array_find(guests->leaving, guest, NULL)) {
		if (outcome == RESTORE_GONE)
			g_ptr_array_remove(guests->managed, guest);
	} else if (restore_update_entry(&saved, outcome)) {
		move_to_unclaimed(guests, guest);
	} else {
		g_ptr_array_remove(guests->leaving, guest);
	}
}

void guests_start_restore(struct guests *guests)
{
	for (guint i = 0; i < guests->managed->len; i++) {
		struct managed *guest = guests->managed->pdata[i];

		if (guest->answered)
			managed_start_restore(guest);
	}
}

unsigned int guests_count_restoring(const struct guests *guests)
{
	unsigned int count = guests->leaving->len;

	for (guint i = 0; i < guests->managed->len; i++)
		count += managed_is_restoring(guests->managed->pdata[i]);
	return count;
}

unsigned int guests_count_missing(const struct guests *guests)
{
	unsigned int count = guests->leaving->len;
	struct saved_guest saved;

	for (guint i = 0; i < guests->managed->len; i++) {
		managed_save(guests->managed->pdata[i], &saved);
		count += restore_is_needed(&saved) ||
			 managed_is_restoring(guests->managed->pdata[i]);
	}
	for (guint i = 0; i < guests->unclaimed->len; i++)
		count += restore_is_needed(guests->unclaimed->pdata[i]);
	return count;
}

/*
 * The state file
 */

/* The entries of all guests that have to be in the file; their texts remain the guests'. */
static GArray *collect_entries(struct guests *guests)
{
	GArray *entries = g_array_new(FALSE, FALSE, sizeof(struct saved_guest));
	struct saved_guest entry;

	for (guint i = 0; i < guests->managed->len; i++) {
		const struct managed *guest = guests->managed->pdata[i];

		if (!guest->answered || guest->before_bytes == HV_UNSET)
			continue;
		managed_save(guest, &entry);
		g_array_append_val(entries, entry);
	}
	for (guint i = 0; i < guests->leaving->len; i++) {
		managed_save(guests->leaving->pdata[i], &entry);
		g_array_append_val(entries, entry);
	}
	for (guint i = guests->unclaimed->len; i-- > 0;) {
		const struct saved_guest *unclaimed = guests->unclaimed->pdata[i];

		if (process_find_state(unclaimed->pid, unclaimed->start_ticks) == PROCESS_ENDED)
			g_ptr_array_remove_index(guests->unclaimed, i);
		else
			g_array_append_val(entries, *unclaimed);
	}
	return entries;
}

void guests_touch(struct guests *guests)
{
	guests->unsaved = true;
}

bool guests_save(struct guests *guests)
{
	g_autoptr(GArray) entries = NULL;
	g_autoptr(GPtrArray) pointers = NULL;
	g_autoptr(GError) error = NULL;
	bool ok;

	if (!guests->unsaved)
		return true;
	entries = collect_entries(guests);
	pointers = g_ptr_array_new();
	for (guint i = 0; i < entries->len; i++)
		g_ptr_array_add(pointers, &g_array_index(entries, struct saved_guest, i));
	ok = state_file_save(guests->folder, pointers, &error);
	if (!ok && !guests->save_failed)
		manager_log(LOG_ERR, "no guest is changed, as it could not be restored later: %s",
			    error->message);
	guests->save_failed = !ok;
	guests->unsaved = !ok;
	return ok;
}
