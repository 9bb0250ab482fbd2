/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/holders.h"

#include "aerostatd/managed.h"

#define NAME_MAX_BYTES 48 /* of a name in a text, which has only POLICY_TEXT_MAX in all */

static void insert_holder(struct holders *holders, const struct managed *guest)
{
	for (size_t i = 0; i <= HOLDERS_NAMED && guest; i++) {
		const struct managed *held = holders->largest[i];

		if (held && managed_use_bytes(held) >= managed_use_bytes(guest))
			continue;
		holders->largest[i] = guest;
		guest = held;
	}
}

struct holders holders_find(struct managed *const *guests, size_t count)
{
	struct holders holders = { 0 };

	for (size_t i = 0; i < count; i++)
		insert_holder(&holders, guests[i]);
	return holders;
}

static bool is_left_short(const struct policy_decision *decision)
{
	return (decision->reason == POLICY_REASON_SHARE ||
		decision->reason == POLICY_REASON_LIMIT) &&
	       decision->want_bytes != POLICY_UNSET &&
	       decision->target_bytes < decision->want_bytes;
}

void holders_append(const struct holders *holders, const struct managed *guest,
		    struct policy_decision *decision)
{
	g_autoptr(GString) text = g_string_new(decision->text);
	size_t named = 0;

	if (!is_left_short(decision))
		return;
	for (size_t i = 0; i <= HOLDERS_NAMED && named < HOLDERS_NAMED; i++) {
		const struct managed *held = holders->largest[i];

		if (!held || held == guest)
			continue;
		g_string_append_printf(text, "%s%.*s%s %" G_GUINT64_FORMAT " MiB",
				       named ? ", " : "; ", NAME_MAX_BYTES, held->name,
				       named ? "" : " holds", managed_use_bytes(held) >> 20);
		named++;
	}
	g_strlcpy(decision->text, text->str, sizeof(decision->text));
}
