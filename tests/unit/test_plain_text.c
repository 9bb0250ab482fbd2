/* SPDX-License-Identifier: BSD-3-Clause */
/* Text from outside, made safe to print. */
#include "common/plain_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *raw, *plain;
} escaped[] = {
	{ "web\033[2J", "web\\x1b[2J" },
	{ "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
	{ "del\177", "del\\x7f" },
	{ "c1\xc2\x9b", "c1\\xc2\\x9b" },
	{ "override\xe2\x80\xae", "override\\xe2\\x80\\xae" },
	{ "embed\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac",
	  "embed\\xe2\\x80\\xaa\\xe2\\x80\\xab\\xe2\\x80\\xac" },
	{ "isolate\xe2\x81\xa6\xe2\x81\xa9", "isolate\\xe2\\x81\\xa6\\xe2\\x81\\xa9" },
	{ "mark\xe2\x80\x8f", "mark\\xe2\\x80\\x8f" },
	{ "line\xe2\x80\xa8", "line\\xe2\\x80\\xa8" },
	{ "bad\xff", "bad\\xff" },
	{ "cut\xe2\x82", "cut\\xe2\\x82" },
	{ "long\xc0\xaf", "long\\xc0\\xaf" },
	{ "half\xed\xa0\x80", "half\\xed\\xa0\\x80" },
};

static const char *const printable[] = { "",	 "web",	 "x y",	   "--all", "it's \"q\"",
					 "/a/b", "\\x1", "a\\n b", "ü漢字", "e\u0301" };

static void what_could_steer_a_terminal_is_escaped(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(escaped); i++) {
		g_autofree char *plain = plain_text(escaped[i].raw);
		g_autofree char *name = plain_name(escaped[i].raw);

		assert_string_equal(plain, escaped[i].plain);
		assert_string_equal(name, escaped[i].plain);
		assert_true(g_utf8_validate(plain, -1, NULL));
	}
}

static void printable_text_stays_as_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(printable); i++) {
		g_autofree char *plain = plain_text(printable[i]);
		g_autofree char *name = plain_name(printable[i]);

		assert_string_equal(plain, printable[i]);
		assert_string_equal(name, printable[i]);
	}
}

static void text_that_was_escaped_before_is_not_escaped_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(escaped); i++) {
		g_autofree char *again = plain_text(escaped[i].plain);

		assert_string_equal(again, escaped[i].plain);
	}
}

static void a_name_that_looks_escaped_differs_from_one_that_is(void **state)
{
	g_autofree char *name = plain_name("web\\x1b");

	(void)state;
	assert_string_equal(name, "web\\x5cx1b");
}

/* All names of five bytes of an alphabet of what escapes are made of. */
static void every_name_can_be_decoded(void **state)
{
	static const char alphabet[] = "\\x1bA\033\xff\xc2\x9b";
	const size_t count = sizeof(alphabet) - 1;

	(void)state;
	for (size_t n = 0; n < count * count * count * count * count; n++) {
		char raw[6] = { 0 };
		g_autofree char *plain = NULL, *decoded = NULL;
		size_t rest = n;

		for (int i = 0; i < 5; i++, rest /= count)
			raw[i] = alphabet[rest % count];
		plain = plain_name(raw);
		decoded = plain_name_decode(plain);
		assert_string_equal(decoded, raw);
	}
}

static void decoding_leaves_what_is_no_escape(void **state)
{
	static const char *const texts[] = { "a\\xzz", "\\x1B", "\\x1", "\\", "\\x00", "\\n" };

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *decoded = plain_name_decode(texts[i]);

		assert_string_equal(decoded, texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_could_steer_a_terminal_is_escaped),
		cmocka_unit_test(printable_text_stays_as_it_is),
		cmocka_unit_test(text_that_was_escaped_before_is_not_escaped_again),
		cmocka_unit_test(a_name_that_looks_escaped_differs_from_one_that_is),
		cmocka_unit_test(every_name_can_be_decoded),
		cmocka_unit_test(decoding_leaves_what_is_no_escape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
