/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect_bytes(const char *text, uint64_t expected)
{
	g_autoptr(GError) error = NULL;
	uint64_t bytes = 0;

	if (!size_parse(text, &bytes, &error))
		fail_msg("'%s': %s", text, error->message);
	assert_int_equal(bytes, expected);
}

static void expect_error(const char *text, int code, const char *words)
{
	g_autoptr(GError) error = NULL;
	uint64_t bytes = 42;

	assert_false(size_parse(text, &bytes, &error));
	assert_int_equal(bytes, 42);
	assert_int_equal(error->code, code);
	if (!strstr(error->message, words))
		fail_msg("'%s' should say '%s': %s", text, words, error->message);
}

static void bare_number_is_kib_as_in_virsh(void **state)
{
	(void)state;
	expect_bytes("524288", 512 * SIZE_MIB);
	expect_bytes("0", 0);
}

static void every_unit_in_any_case(void **state)
{
	(void)state;
	expect_bytes("7b", 7);
	expect_bytes("7bytes", 7);
	expect_bytes("1k", 1024);
	expect_bytes("1KiB", 1024);
	expect_bytes("1KB", 1000);
	expect_bytes("512M", 512 * SIZE_MIB);
	expect_bytes("512mib", 512 * SIZE_MIB);
	expect_bytes("512MB", 512000000);
	expect_bytes("2g", 2 * SIZE_GIB);
	expect_bytes("1T", 1024 * SIZE_GIB);
	expect_bytes("1tb", 1000000000000);
	expect_bytes("1PiB", 1024 * 1024 * SIZE_GIB);
	expect_bytes("7E", UINT64_C(7) << 60);
}

static void kinder_than_virsh(void **state)
{
	(void)state;
	expect_bytes("1.5G", 1536 * SIZE_MIB);
	expect_bytes("512 M", 512 * SIZE_MIB);
	expect_bytes("  512 MiB ", 512 * SIZE_MIB);
	expect_bytes("0.25g", 256 * SIZE_MIB);
	expect_bytes("1.1k", 1126);
}

static void names_the_word_at_fault(void **state)
{
	(void)state;
	expect_error("", SIZE_ERROR_MALFORMED, "is empty");
	expect_error("abc", SIZE_ERROR_MALFORMED, "size 'abc' is not a number");
	expect_error("10furlongs", SIZE_ERROR_MALFORMED, "unknown unit 'furlongs'");
	expect_error("512M M", SIZE_ERROR_MALFORMED, "unknown unit 'M M'");
	expect_error("1,5G", SIZE_ERROR_MALFORMED, "comma");
	expect_error("1.G", SIZE_ERROR_MALFORMED, "no digit after its decimal point");
	expect_error("7by", SIZE_ERROR_MALFORMED, "unknown unit 'by'");
	expect_error("0x10", SIZE_ERROR_MALFORMED, "unknown unit 'x10'");
	expect_error("1e3", SIZE_ERROR_MALFORMED, "unknown unit 'e3'");
	expect_error("-1", SIZE_ERROR_NEGATIVE, "'-1' is negative");
	expect_error("+1", SIZE_ERROR_MALFORMED, "not a number");
	expect_error("nan", SIZE_ERROR_MALFORMED, "not a number");
	expect_error("\033[31m", SIZE_ERROR_MALFORMED, "\\033[31m");
	expect_error("abc", SIZE_ERROR_MALFORMED, SIZE_FORMS);
}

static void the_core_needs_no_stripping(void **state)
{
	const char *unit = NULL;
	uint64_t bytes = 0;

	(void)state;
	assert_int_equal(size_read(" 512 MiB\t", &bytes, &unit), SIZE_OK);
	assert_int_equal(bytes, 512 * SIZE_MIB);
}

static void refuses_what_63_bits_cannot_hold(void **state)
{
	(void)state;
	expect_bytes("9223372036854775807b", INT64_MAX);
	expect_error("9223372036854775808b", SIZE_ERROR_OVERFLOW, "out of range");
	expect_error("8E", SIZE_ERROR_OVERFLOW, "out of range");
	expect_error("36893488147419103233b", SIZE_ERROR_OVERFLOW, "out of range");
	expect_error("99999999999999999999999", SIZE_ERROR_OVERFLOW, "out of range");
}

static void expect_text(char *text, const char *expected)
{
	assert_string_equal(text, expected);
	g_free(text);
}

static void shows_what_people_read(void **state)
{
	(void)state;
	expect_text(size_format(0), "0 B");
	expect_text(size_format(1023), "1023 B");
	expect_text(size_format(512 * SIZE_MIB), "512 MiB");
	expect_text(size_format(SIZE_GIB), "1 GiB");
	expect_text(size_format(1536 * SIZE_MIB), "1.5 GiB");
	expect_text(size_format(1300 * SIZE_MIB), "1300 MiB");
	expect_text(size_format(12 * SIZE_GIB + 300 * SIZE_MIB), "12.3 GiB");
	expect_text(size_format(5 * SIZE_MIB + SIZE_MIB / 2), "5.5 MiB");
	expect_text(size_format(UINT64_MAX), "16 EiB");
	expect_text(size_format_change(3 * (int64_t)SIZE_MIB), "+3 MiB");
	expect_text(size_format_change(-3 * (int64_t)SIZE_MIB), "-3 MiB");
	expect_text(size_format_change(0), "0 B");
	expect_text(size_format_change(INT64_MIN), "-8 EiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bare_number_is_kib_as_in_virsh),
		cmocka_unit_test(every_unit_in_any_case),
		cmocka_unit_test(kinder_than_virsh),
		cmocka_unit_test(names_the_word_at_fault),
		cmocka_unit_test(the_core_needs_no_stripping),
		cmocka_unit_test(refuses_what_63_bits_cannot_hold),
		cmocka_unit_test(shows_what_people_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
