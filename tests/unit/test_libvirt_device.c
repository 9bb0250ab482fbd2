/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a guest has aerostat's device: yes, no, and "could not look", with libvirt's test driver.
 */
#include "hypervisor/hypervisor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB UINT64_C(1048576)
#define HANG_MS 600000

static unsigned int refused_threads; /* how many more are refused */

GThread *__real_g_thread_try_new(const char *name, GThreadFunc run, gpointer data, GError **error);
GThread *__wrap_g_thread_try_new(const char *name, GThreadFunc run, gpointer data, GError **error);

GThread *__wrap_g_thread_try_new(const char *name, GThreadFunc run, gpointer data, GError **error)
{
	if (!refused_threads)
		return __real_g_thread_try_new(name, run, data, error);
	refused_threads--;
	g_set_error_literal(error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "refused by the test");
	return NULL;
}

/* The domain that the test driver has; each connection has one of its own. */
static int open_guest(void **state)
{
	*state = hv_libvirt_open("test:///default", "test");
	return 0;
}

static int close_guest(void **state)
{
	refused_threads = 0;
	hv_guest_close(*state);
	return 0;
}

static void a_guest_whose_device_is_not_known_is_not_changed(void **state)
{
	g_autoptr(GError) error = NULL;

	refused_threads = 1;
	assert_false(hv_guest_balloon_set(*state, hv_deadline_ms(HANG_MS), 1024 * MIB,
					  HV_SCOPE_LIVE, &error));
	assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_SHORTAGE));
	assert_int_equal(refused_threads, 0);
}

static void a_guest_whose_device_is_not_known_has_no_size(void **state)
{
	g_autoptr(GError) error = NULL;
	struct hv_stats stats;
	uint64_t bytes;

	refused_threads = 1;
	assert_false(hv_guest_balloon_get(*state, hv_deadline_ms(HANG_MS), &bytes, &error));
	assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_SHORTAGE));
	g_clear_error(&error);
	refused_threads = 1;
	assert_false(hv_guest_stats_get(*state, hv_deadline_ms(HANG_MS), &stats, &error));
	assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_SHORTAGE));
}

static void it_is_looked_for_again(void **state)
{
	refused_threads = 1;
	assert_false(hv_guest_balloon_set(*state, hv_deadline_ms(HANG_MS), 1024 * MIB,
					  HV_SCOPE_LIVE, NULL));
	assert_true(hv_guest_balloon_set(*state, hv_deadline_ms(HANG_MS), 1024 * MIB, HV_SCOPE_LIVE,
					 NULL));
}

static void the_next_start_needs_no_device(void **state)
{
	g_autoptr(GError) error = NULL;

	assert_true(hv_guest_balloon_set(*state, hv_deadline_ms(HANG_MS), 1024 * MIB,
					 HV_SCOPE_CONFIG, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_guest_whose_device_is_not_known_is_not_changed,
						open_guest, close_guest),
		cmocka_unit_test_setup_teardown(a_guest_whose_device_is_not_known_has_no_size,
						open_guest, close_guest),
		cmocka_unit_test_setup_teardown(it_is_looked_for_again, open_guest, close_guest),
		cmocka_unit_test_setup_teardown(the_next_start_needs_no_device, open_guest,
						close_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
