/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/qmp_asserts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Not with the lock held: a failed assertion leaves by longjmp(). */
void assert_heard(struct fake *fake, const char *expected)
{
	g_autofree char *text = heard(fake);

	assert_string_equal(text, expected);
}

void assert_error(GError **error, enum hv_error code, const char *part)
{
	assert_non_null(*error);
	if (!strstr((*error)->message, part))
		fail_msg("\"%s\" does not say \"%s\"", (*error)->message, part);
	assert_int_equal((*error)->code, code);
	assert_true(g_str_has_prefix((*error)->message, "qmp:/"));
	g_clear_error(error);
}

void get_gives(struct fake *fake, uint64_t expected)
{
	uint64_t actual_bytes = 0;
	GError *error = NULL;

	if (!hv_guest_balloon_get(fake->guest, LATER, &actual_bytes, &error))
		fail_msg("%s", error->message);
	assert_int_equal(actual_bytes, expected);
}

void get_fails(struct hv_guest *guest, int64_t deadline, enum hv_error code, const char *part)
{
	uint64_t actual_bytes;
	GError *error = NULL;

	assert_false(hv_guest_balloon_get(guest, deadline, &actual_bytes, &error));
	assert_error(&error, code, part);
}

void set_fails(struct fake *fake, uint64_t bytes, unsigned int scope, enum hv_error code,
	       const char *part)
{
	GError *error = NULL;

	assert_false(hv_guest_balloon_set(fake->guest, LATER, bytes, scope, &error));
	assert_error(&error, code, part);
}

void event_gives(struct fake *fake, enum hv_event_kind kind, uint64_t actual_bytes,
		 const char *detail)
{
	struct hv_event event;
	GError *error = NULL;

	if (!hv_guest_event_wait(fake->guest, LATER, &event, &error))
		fail_msg("%s", error->message);
	assert_int_equal(event.kind, kind);
	assert_int_equal(event.actual_bytes, actual_bytes);
	assert_string_equal(event.detail, detail);
	assert_true(event.time_us > 0);
}

void event_fails(struct fake *fake, int64_t deadline, enum hv_error code, const char *part)
{
	struct hv_event event;
	GError *error = NULL;

	assert_false(hv_guest_event_wait(fake->guest, deadline, &event, &error));
	assert_error(&error, code, part);
}
