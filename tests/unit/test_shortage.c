/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/shortage.h"
#include "hypervisor/xml_tree.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ENDS_AT_ONCE 77

/* Without memory AddressSanitizer's malloc() is to fail, as the C library's does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static char *long_text; /* XML or JSON, the parsing of which needs memory */

static void parse_xml(void)
{
	g_autofree char *problem = NULL;
	g_autoptr(xmlDoc) doc = xml_tree_read(long_text, &problem);
}

static void parse_json(void)
{
	json_decref(json_loads(long_text, 0, NULL));
}

/* Whether a process in which @parse has no memory ends in it. */
static bool ends_in(void (*parse)(void))
{
	const struct rlimit none = { 0 };
	int status;
	pid_t pid = fork();

	if (!pid) {
		close(STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &none);
		shortage_ends_process();
		setrlimit(RLIMIT_AS, &none);
		parse();
		_exit(ENDS_AT_ONCE);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status);
}

static void without_memory_no_xml_is_called_invalid(void **state)
{
	g_autofree char *padding = g_strnfill(3 << 20, 'x');

	(void)state;
	long_text = g_strconcat("<domain><name>", padding, "</name></domain>", NULL);
	assert_true(ends_in(parse_xml));
	g_free(long_text);
}

static void without_memory_no_json_is_called_invalid(void **state)
{
	g_autofree char *padding = g_strnfill(3 << 20, 'x');

	(void)state;
	long_text = g_strconcat("[\"", padding, "\"]", NULL);
	assert_true(ends_in(parse_json));
	g_free(long_text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_no_xml_is_called_invalid),
		cmocka_unit_test(without_memory_no_json_is_called_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
