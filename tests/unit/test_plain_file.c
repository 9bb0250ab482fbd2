/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that somebody named, and what stands there instead. */
#include "common/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/hang.h"

static char folder[] = "/tmp/plain-XXXXXX";
static char path[sizeof(folder) + 8];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/plain-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	if (unlink(path))
		rmdir(path);
	return rmdir(folder);
}

static void write_file(size_t bytes)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < bytes; i++)
		fputc('a' + (int)(i % 26), file);
	assert_int_equal(fclose(file), 0);
}

static void refuses(size_t max_bytes, int expected)
{
	size_t length;
	int error = 0;

	assert_null(plain_file_read(path, max_bytes, &length, &error));
	assert_int_equal(error, expected);
	assert_true(strlen(plain_file_error_text(error)) > 0);
}

static void a_file_is_read_whole(void **state)
{
	static const size_t sizes[] = { 0, 1, 4094, 4095, 4096, 4097, 8191, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t length = 0;
		int error = -1;
		char *text;

		write_file(sizes[i]);
		text = plain_file_read(path, sizes[i], &length, &error);
		assert_non_null(text);
		assert_int_equal(error, 0);
		assert_int_equal(length, sizes[i]);
		assert_int_equal(text[length], '\0');
		if (length)
			assert_int_equal(text[length - 1], 'a' + (int)((length - 1) % 26));
		free(text);
	}
}

static void one_byte_too_many_is_refused(void **state)
{
	(void)state;
	write_file(5000);
	refuses(4999, EFBIG);
	refuses(0, EFBIG);
}

static void a_missing_file_is_reported(void **state)
{
	(void)state;
	assert_int_equal(plain_file_open(path), -ENOENT);
	refuses(10, ENOENT);
	write_file(1);
}

static void a_fifo_is_refused_at_once(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(plain_file_open(path), -ENOTSUP);
	refuses(10, ENOTSUP);
}

static void a_link_to_a_fifo_is_refused_at_once(void **state)
{
	char fifo[sizeof(path) + 2];

	(void)state;
	snprintf(fifo, sizeof(fifo), "%s.f", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(symlink(fifo, path), 0);
	refuses(10, ENOTSUP);
	assert_int_equal(unlink(fifo), 0);
}

static void a_folder_is_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	refuses(10, EISDIR);
}

static void a_socket_is_refused(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	refuses(10, ENOTSUP);
	close(fd);
}

static void the_null_device_is_empty_and_other_devices_are_refused(void **state)
{
	size_t length = 1;
	int error = -1;
	char *text = plain_file_read("/dev/null", 10, &length, &error);

	(void)state;
	assert_non_null(text);
	assert_int_equal(length, 0);
	assert_string_equal(text, "");
	free(text);
	assert_null(plain_file_read("/dev/zero", 10, NULL, &error));
	assert_int_equal(error, ENOTSUP);
	write_file(1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_read_whole),
		TEST(one_byte_too_many_is_refused),
		TEST(a_missing_file_is_reported),
		TEST(a_fifo_is_refused_at_once),
		TEST(a_link_to_a_fifo_is_refused_at_once),
		TEST(a_folder_is_refused),
		TEST(a_socket_is_refused),
		TEST(the_null_device_is_empty_and_other_devices_are_refused),
	};

	alarm(HANG_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
