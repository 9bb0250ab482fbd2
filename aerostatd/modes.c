/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/modes.h"

#include "aerostatd/log.h"
#include "common/size.h"

/* Stores what apply_person_mode() will do, before anything is done. */
static bool save_choice(struct guests *guests, GPtrArray *who, enum policy_mode mode,
			uint64_t bytes, GError **error)
{
	g_autofree struct saved_guest *choices = g_new(struct saved_guest, who->len);
	int64_t now_us = g_get_monotonic_time();

	for (guint i = 0; i < who->len; i++)
		managed_preview_mode(who->pdata[i], mode, bytes, now_us, &choices[i]);
	return guests_save_choices(guests, who, choices, error);
}

static void apply_person_mode(struct guests *guests, struct events *events, struct managed *guest,
			      enum policy_mode mode, uint64_t bytes, const char *why)
{
	g_autofree char *size = NULL;
	const char *name;
	bool held;

	managed_set_person_mode(guest, mode, bytes, g_get_monotonic_time());
	guests_touch(guests);
	name = config_mode_name(managed_mode(guest));
	size = size_format(guest->held_bytes);
	held = managed_mode(guest) == POLICY_HELD && guest->held_bytes != HV_UNSET;
	events_add(events, EVENT_MODE, guest->name, HV_UNSET, held ? guest->held_bytes : HV_UNSET,
		   "%s%s%s: %s", name, held ? " at " : "", held ? size : "", why);
	manager_log(LOG_INFO, "%s: mode %s%s%s: %s", guest->name, name, held ? " at " : "",
		    held ? size : "", why);
}

/* A guest that has answered, and can have @bytes; @what it is that cannot be done otherwise. */
static struct managed *find_guest_for(struct guests *guests, const char *name, uint64_t bytes,
				      const char *what, GError **error)
{
	struct managed *guest = guests_find_name(guests, name, error);
	g_autofree char *max = NULL, *asked = NULL;

	if (!guest)
		return NULL;
	if (!guest->answered) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED,
			    "%s has not answered yet: %s", guest->name,
			    guest->problem ? guest->problem : "it was only just found");
		return NULL;
	}
	if (bytes == HV_UNSET || (bytes && bytes <= guest->seen.boot_bytes))
		return guest;
	max = size_format(guest->seen.boot_bytes);
	asked = size_format(bytes);
	g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_INVALID,
		    "%s cannot %s %s: its maximum is %s", guest->name, what, asked, max);
	return NULL;
}

bool modes_set_one(struct guests *guests, struct events *events, const char *name,
		   enum policy_mode mode, uint64_t bytes, GError **error)
{
	struct managed *guest = find_guest_for(guests, name, bytes, "be held at", error);
	g_autoptr(GPtrArray) who = g_ptr_array_new();

	if (!guest)
		return false;
	g_ptr_array_add(who, guest);
	if (!save_choice(guests, who, mode, bytes, error))
		return false;
	apply_person_mode(guests, events, guest, mode, bytes, "a person asked for it");
	guests_save(guests);
	return true;
}

bool modes_set_all(struct guests *guests, struct events *events, enum policy_mode mode,
		   uint64_t bytes, GError **error)
{
	const GPtrArray *list = guests_list(guests);
	g_autoptr(GPtrArray) who = g_ptr_array_new();

	if (bytes != HV_UNSET) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_INVALID,
			    "cannot hold all guests at one size; name a guest");
		return false;
	}
	for (guint i = 0; i < list->len; i++)
		if (((struct managed *)list->pdata[i])->answered)
			g_ptr_array_add(who, list->pdata[i]);
	if (!save_choice(guests, who, mode, HV_UNSET, error))
		return false;
	for (guint i = 0; i < who->len; i++)
		apply_person_mode(guests, events, who->pdata[i], mode, HV_UNSET,
				  "a person asked for it, for all guests");
	guests_save(guests);
	return true;
}

bool modes_set_size(struct guests *guests, struct managed *guest, uint64_t bytes, GError **error)
{
	g_autoptr(GPtrArray) who = g_ptr_array_new();
	struct saved_guest choice;

	managed_save(guest, &choice);
	choice.was_set = true;
	choice.changed = false;
	g_ptr_array_add(who, guest);
	if (!guests_save_choices(guests, who, &choice, error))
		return false;
	managed_choose_size(guest, bytes, g_get_monotonic_time());
	guests_touch(guests);
	guests_save(guests);
	return true;
}

bool modes_set_own_size(struct guests *guests, struct events *events, const char *name,
			uint64_t bytes, GError **error)
{
	struct managed *guest = find_guest_for(guests, name, bytes, "have its own size at", error);
	g_autofree char *size = size_format(bytes);
	g_autoptr(GPtrArray) who = g_ptr_array_new();
	struct saved_guest choice;

	if (!guest)
		return false;
	managed_save(guest, &choice);
	choice.before_bytes = bytes;
	choice.was_set = true;
	choice.changed = choice.mode != POLICY_HELD;
	g_ptr_array_add(who, guest);
	if (!guests_save_choices(guests, who, &choice, error))
		return false;
	managed_set_own_size(guest, bytes);
	guests_touch(guests);
	guests_save(guests);
	events_add(events, EVENT_MODE, guest->name, HV_UNSET, HV_UNSET,
		   "own size %s: a person asked for it", size);
	manager_log(LOG_INFO, "%s: own size %s: a person asked for it", guest->name, size);
	return true;
}

void modes_note_resize(struct guests *guests, struct events *events, struct managed *guest)
{
	if (managed_mode(guest) == POLICY_AUTO)
		apply_person_mode(guests, events, guest, POLICY_HELD, HV_UNSET,
				  "somebody else set its size");
	else
		managed_accept_size(guest);
	guests_touch(guests);
}
