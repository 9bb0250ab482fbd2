/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection that waits for pulls, against a peer of the test's own. */
#include "hypervisor/pull_watch.h"

#include "tests/unit/run_until.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define GREETING "{\"QMP\": {}}\r\n"
#define PULL "{\"event\": \"X_PULL\", \"data\": {\"size\": 1, \"waiting\": true}}\r\n"
#define CHANGE "{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 1}}\r\n"

static struct {
	char *dir, *path;
	int listener, peer;
	struct pull_watch *watch;
	unsigned int pulls;
	bool frees; /* the watch is freed by the next pull */
} scene;

static void on_pulled(void *data)
{
	assert_ptr_equal(data, &scene);
	scene.pulls++;
	if (scene.frees)
		g_clear_pointer(&scene.watch, pull_watch_free);
}

static int set_up(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)state;
	memset(&scene, 0, sizeof(scene));
	scene.dir = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	scene.path = g_build_filename(scene.dir, "control", NULL);
	g_strlcpy(address.sun_path, scene.path, sizeof(address.sun_path));
	scene.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(scene.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(scene.listener, 1), 0);
	scene.watch = pull_watch_new(scene.path, on_pulled, &scene);
	assert_non_null(scene.watch);
	scene.peer = accept(scene.listener, NULL, NULL);
	return scene.peer < 0;
}

static int tear_down(void **state)
{
	(void)state;
	pull_watch_free(scene.watch);
	close(scene.peer);
	close(scene.listener);
	g_unlink(scene.path);
	g_rmdir(scene.dir);
	g_free(scene.path);
	g_free(scene.dir);
	return 0;
}

/* The watch sees @text before anything that is sent later. */
static void peer_sends(const char *text)
{
	assert_int_equal(send(scene.peer, text, strlen(text), 0), (ssize_t)strlen(text));
	while (g_main_context_iteration(NULL, FALSE))
		;
}

static void it_negotiates_and_asks_nothing(void **state)
{
	char text[256] = "";

	(void)state;
	assert_true(recv(scene.peer, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "{\"execute\": \"qmp_capabilities\"}\n");
}

static void pulls_are_reported_and_nothing_else(void **state)
{
	(void)state;
	peer_sends(GREETING CHANGE "{\"return\": {}}\r\n"
				   "no JSON\r\n{\"event\": 7}\r\n[]\r\n");
	assert_int_equal(scene.pulls, 0);
	peer_sends(PULL);
	assert_int_equal(scene.pulls, 1);
	peer_sends(CHANGE PULL CHANGE);
	assert_int_equal(scene.pulls, 2);
	assert_true(pull_watch_is_open(scene.watch));
}

static void a_message_may_come_in_pieces(void **state)
{
	(void)state;
	for (const char *c = GREETING PULL; *c; c++)
		peer_sends((const char[]){ *c, '\0' });
	assert_int_equal(scene.pulls, 1);
}

static void a_peer_that_closes_ends_the_watch(void **state)
{
	(void)state;
	shutdown(scene.peer, SHUT_RDWR);
	RUN_UNTIL(!pull_watch_is_open(scene.watch));
}

static void a_line_without_end_ends_the_watch(void **state)
{
	g_autofree char *long_text = g_strnfill(8192, 'x');

	(void)state;
	peer_sends(long_text);
	RUN_UNTIL(!pull_watch_is_open(scene.watch));
	assert_int_equal(scene.pulls, 0);
}

static void it_may_be_freed_by_a_pull(void **state)
{
	(void)state;
	scene.frees = true;
	peer_sends(PULL PULL);
	assert_int_equal(scene.pulls, 1);
	assert_null(scene.watch);
}

static void where_nobody_listens_there_is_no_watch(void **state)
{
	g_autofree char *long_path = g_strnfill(200, 'x');

	(void)state;
	assert_null(pull_watch_new("/nowhere/at.all", on_pulled, NULL));
	assert_null(pull_watch_new(long_path, on_pulled, NULL));
}

static void limit_files(rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The others are for asking the guests. */
static void half_of_all_descriptors_at_most_are_for_watches(void **state)
{
	int next;

	(void)state;
	g_clear_pointer(&scene.watch, pull_watch_free);
	next = dup(0);
	close(next);
	limit_files((rlim_t)next * 2);
	assert_null(pull_watch_new(scene.path, on_pulled, &scene));
	limit_files((rlim_t)next * 2 + 2);
	scene.watch = pull_watch_new(scene.path, on_pulled, &scene);
	assert_non_null(scene.watch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_negotiates_and_asks_nothing),
		TEST(pulls_are_reported_and_nothing_else),
		TEST(a_message_may_come_in_pieces),
		TEST(a_peer_that_closes_ends_the_watch),
		TEST(a_line_without_end_ends_the_watch),
		TEST(it_may_be_freed_by_a_pull),
		TEST(where_nobody_listens_there_is_no_watch),
		TEST(half_of_all_descriptors_at_most_are_for_watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
