/* SPDX-License-Identifier: BSD-3-Clause */
/* Which guest a word means. */
#include "hypervisor/guest_word.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define UUID_A "aaaaaaaa-0000-4000-8000-00000000000a"
#define UUID_B "bbbbbbbb-0000-4000-8000-00000000000b"
#define UUID_C "cccccccc-0000-4000-8000-00000000000c"
#define UUID_D "dddddddd-0000-4000-8000-00000000000d"

enum { ONE, XY, WEB, WEB_TOO, UUID_NAMED, PATH_NAMED, DASHES, ESCAPED, GUESTS };

/* Guests that are called what one hopes nobody calls them. */
static const struct guest_names guests[GUESTS] = {
	[ONE] = { "qemu:///system", "1", "1", UUID_A, 7 },
	[XY] = { "qemu:///system", "x y", "x y", UUID_B, 1 },
	[WEB] = { "qmp", "qmp:/run/a.qmp", "web", UUID_C, -1 },
	[WEB_TOO] = { "qmp", "qmp:/run/web.qmp", "shop", NULL, -1 },
	[UUID_NAMED] = { "qemu:///system", UUID_C, UUID_C, UUID_D, 9 },
	[PATH_NAMED] = { "qemu:///system", "qmp:/run/a.qmp", "qmp:/run/a.qmp", NULL, 10 },
	[DASHES] = { "qmp", "qmp:/run/all.qmp", "--all", NULL, -1 },
	[ESCAPED] = { "qmp", "qmp:/run/e\\x1b.qmp", "e\\x1b\\x0a'\"/", NULL, -1 },
};

#define BIT(guest) (1u << (guest))

/* A word, and the set of guests that it means. */
static const struct {
	const char *word;
	unsigned int guests;
} meanings[] = {
	{ "1", BIT(ONE) | BIT(XY) },
	{ "x y", BIT(XY) },
	{ "7", BIT(ONE) },
	{ "01", BIT(XY) }, /* as virsh reads it */
	{ "-1", 0 },
	{ "+1", 0 },
	{ " 1", 0 },
	{ "4294967297", 0 },
	{ "web", BIT(WEB) | BIT(WEB_TOO) },
	{ "shop", BIT(WEB_TOO) },
	{ "web.qmp", BIT(WEB_TOO) },
	{ "we", 0 },
	{ "a", BIT(WEB) },
	{ "/run/a.qmp", 0 },
	{ "qmp:/run/web.qmp", BIT(WEB_TOO) },
	{ "qmp:/run/other.qmp", 0 },
	{ UUID_C, BIT(WEB) | BIT(UUID_NAMED) },
	{ "uuid:" UUID_C, BIT(WEB) },
	{ "uuid:" UUID_D, BIT(UUID_NAMED) },
	{ "uuid:CCCCCCCC-0000-4000-8000-00000000000C", BIT(WEB) },
	{ "cccccccc00004000800000000000000c", BIT(WEB) },
	{ "uuid:", 0 },
	{ "uuid:web", 0 },
	{ "qmp:", 0 },
	{ "", 0 },
	{ "--all", BIT(DASHES) },
	{ "e\\x1b\\x0a'\"/", BIT(ESCAPED) },
	{ "e\033\n'\"/", BIT(ESCAPED) },
	{ "qmp:/run/e\033.qmp", BIT(ESCAPED) },
	{ "*", 0 },
};

static void a_word_means_every_guest_that_it_fits(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(meanings); i++)
		for (int guest = 0; guest < GUESTS; guest++) {
			bool fits = guest_word_fits(meanings[i].word, &guests[guest]);

			if (fits != !!(meanings[i].guests & BIT(guest)))
				fail_msg("'%s' %s guest %d", meanings[i].word,
					 fits ? "should not mean" : "should mean", guest);
		}
}

static void an_address_means_no_domain_of_that_name(void **state)
{
	(void)state;
	assert_false(guest_word_fits("qmp:/run/a.qmp", &guests[PATH_NAMED]));
	assert_true(guest_word_fits("qmp:/run/a.qmp", &guests[WEB]));
	assert_true(guest_word_fits("10", &guests[PATH_NAMED]));
}

static void a_guest_that_has_not_answered_has_only_an_address(void **state)
{
	const struct guest_names silent = { "qmp", "qmp:/run/a.qmp", NULL, NULL, -1 };

	(void)state;
	assert_true(guest_word_fits("a", &silent));
	assert_true(guest_word_fits("qmp:/run/a.qmp", &silent));
	assert_false(guest_word_fits("web", &silent));
	assert_false(guest_word_fits(UUID_A, &silent));
}

static void an_ambiguous_word_is_explained_by_words_that_are_not(void **state)
{
	const struct guest_names both[] = { guests[ONE], guests[XY], guests[WEB] };
	g_autofree char *text = guest_word_explain_ambiguity("1", both, 3);

	(void)state;
	assert_string_equal(text, "'1' means 3 guests: '1' (uuid:" UUID_A "), 'x y' (uuid:" UUID_B
				  "), 'web' (qmp:/run/a.qmp); choose one by what is in "
				  "parentheses");
}

static void many_candidates_are_counted(void **state)
{
	struct guest_names many[20];
	g_autofree char *text = NULL;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(many); i++)
		many[i] = guests[WEB];
	text = guest_word_explain_ambiguity("web", many, G_N_ELEMENTS(many));
	assert_non_null(strstr(text, "means 20 guests"));
	assert_non_null(strstr(text, " and 12 more"));
}

static void hints_are_quoted_for_the_shell(void **state)
{
	static const char *const quoted[][2] = {
		{ "web", "web" },
		{ "qmp:/run/a.qmp", "qmp:/run/a.qmp" },
		{ "my vm 1", "'my vm 1'" },
		{ "it's", "'it'\\''s'" },
		{ "$(reboot)", "'$(reboot)'" },
		{ "a;b", "'a;b'" },
		{ "", "''" },
		{ "--all", "-- --all" },
		{ "-x y", "-- '-x y'" },
		{ "e\\x1b", "'e\\x1b'" },
		{ "ü", "'ü'" },
		{ "~root", "'~root'" },
		{ "*", "'*'" },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(quoted); i++) {
		g_autofree char *text = guest_word_quote(quoted[i][0]);

		assert_string_equal(text, quoted[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_means_every_guest_that_it_fits),
		cmocka_unit_test(an_address_means_no_domain_of_that_name),
		cmocka_unit_test(a_guest_that_has_not_answered_has_only_an_address),
		cmocka_unit_test(an_ambiguous_word_is_explained_by_words_that_are_not),
		cmocka_unit_test(many_candidates_are_counted),
		cmocka_unit_test(hints_are_quoted_for_the_shell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
