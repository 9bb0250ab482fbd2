/* SPDX-License-Identifier: BSD-3-Clause */
/* Several programs that start at the same time at the same path of a socket. */
#include "aerostat-qemu/guest_socket.h"
#include "aerostatd/api_private.h"
#include "common/safe_folder.h"
#include "io/listener.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define STARTS 16

static char *folder, *path;

/* Each returns a listening socket, or a negative number. */
static int start_device(int number)
{
	(void)number;
	return listener_bind(path);
}

static int start_daemon(int number)
{
	struct api_socket sock = { 0 };
	int fd = -1;

	(void)number;
	if (api_socket_open(&sock, path, NULL, NULL))
		fd = dup(g_socket_get_fd(sock.listener));
	g_clear_object(&sock.listener);
	g_free(sock.path);
	return fd;
}

static int start_supervisor(int number)
{
	(void)number;
	return guest_socket_open(path, NULL);
}

static struct {
	int (*start)(int number);
	gint waiting;
	int fds[STARTS];
} race;

static gpointer run_start(gpointer data)
{
	int number = GPOINTER_TO_INT(data);

	/* All at once, as far as the scheduler allows it. */
	g_atomic_int_inc(&race.waiting);
	while (g_atomic_int_get(&race.waiting) < STARTS)
		g_thread_yield();
	race.fds[number] = race.start(number);
	return NULL;
}

/* Connects to the path; returns whether listener @fd has a client then. */
static bool reaches(int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), served;
	bool is_connected;

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	is_connected = connect(client, (struct sockaddr *)&address, sizeof(address)) == 0;
	served = is_connected ? accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
	if (served >= 0)
		close(served);
	close(client);
	return served >= 0;
}

/* Between two rounds the socket that was left behind stays there. */
static void one_of_many_wins(int (*start)(int number), int rounds)
{
	GThread *threads[STARTS];

	race.start = start;
	for (int round = 0; round < rounds; round++) {
		int winner = -1;

		race.waiting = 0;
		for (int i = 0; i < STARTS; i++)
			threads[i] = g_thread_new("start", run_start, GINT_TO_POINTER(i));
		for (int i = 0; i < STARTS; i++)
			g_thread_join(threads[i]);
		for (int i = 0; i < STARTS; i++) {
			if (race.fds[i] < 0)
				continue;
			assert_int_equal(winner, -1);
			winner = race.fds[i];
		}
		assert_int_not_equal(winner, -1);
		assert_true(reaches(winner));
		close(winner);
	}
	assert_return_code(g_unlink(path), errno);
}

static void one_device_of_many_has_the_socket(void **state)
{
	(void)state;
	one_of_many_wins(start_device, 100);
}

static void one_daemon_of_many_has_the_socket(void **state)
{
	(void)state;
	one_of_many_wins(start_daemon, 100);
}

/* Each of the others waits for the end of whoever has it. */
static void one_supervisor_of_many_has_the_socket(void **state)
{
	(void)state;
	one_of_many_wins(start_supervisor, 1);
}

static gpointer run_start_alone(gpointer data)
{
	int (*start)(int number) = ((int (**)(int))data)[0];

	race.fds[0] = start(0);
	g_atomic_int_set(&race.waiting, 0);
	return NULL;
}

/* Another program is between bind() and listen() meanwhile. */
static void waits_for_the_folder(int (*start)(int number))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int open_folder = safe_folder_open(folder, 0), lock = safe_folder_lock(open_folder);
	GThread *thread;

	assert_true(lock >= 0);
	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	race.waiting = 1;
	thread = g_thread_new("start", run_start_alone, &start);
	/* Without the lock, it would be done by then, unless it had no time. */
	for (int i = 0; i < 20 && g_atomic_int_get(&race.waiting); i++)
		g_usleep(10000);
	assert_int_equal(listen(fd, 4), 0);
	close(lock);
	close(open_folder);
	g_thread_join(thread);
	assert_true(race.fds[0] < 0);
	assert_true(reaches(fd));
	close(fd);
	assert_return_code(g_unlink(path), errno);
}

static void a_socket_that_is_about_to_listen_is_left_alone(void **state)
{
	(void)state;
	waits_for_the_folder(start_device);
	waits_for_the_folder(start_daemon);
	waits_for_the_folder(start_supervisor);
}

static int setup(void **state)
{
	(void)state;
	folder = g_dir_make_tmp("socket-starts-XXXXXX", NULL);
	path = g_build_filename(folder, "sock", NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	g_rmdir(folder);
	g_free(path);
	g_free(folder);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_device_of_many_has_the_socket),
		cmocka_unit_test(one_daemon_of_many_has_the_socket),
		cmocka_unit_test(one_supervisor_of_many_has_the_socket),
		cmocka_unit_test(a_socket_that_is_about_to_listen_is_left_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
