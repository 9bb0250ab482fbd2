/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sandbox.  Each test forks a child that enters it and then tries something.
 * Builds with sanitizers have only its first stage; the other tests are skipped.
 */
#include "aerostat-device/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static bool begin(void)
{
	const char *what;

	return sandbox_drop_privileges(NULL, &what) == 0;
}

/* Runs @part in a child; returns its exit status, or minus its signal. */
static int child(int (*part)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(part());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* The same behind the filter: the child runs @attempt. */
static int (*attempt)(void);

static int filtered(void)
{
	if (!begin() || sandbox_filter_system_calls())
		return 99;
	return attempt();
}

static int attempted(int (*part)(void))
{
	if (!sandbox_is_complete())
		skip();
	attempt = part;
	return child(filtered);
}

/*
 * Stage 1
 */

static int keeps_privileges(void)
{
	struct rlimit core;

	if (!begin() || getrlimit(RLIMIT_CORE, &core))
		return 99;
	if (core.rlim_cur || core.rlim_max)
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	/* Needs CAP_SYS_CHROOT, which root has. */
	return chroot("/") == 0 ? 3 : 0;
}

static void no_privilege_is_left(void **state)
{
	(void)state;
	assert_int_equal(child(keeps_privileges), 0);
}

static int becomes_nobody(void)
{
	const char *what;

	if (sandbox_drop_privileges("nobody", &what))
		return 99;
	return getuid() == 0 || geteuid() == 0 || getgid() == 0 || setuid(0) == 0;
}

static void another_user_is_become_for_good(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(child(becomes_nobody), 0);
}

static int becomes_a_stranger(void)
{
	const char *what = NULL;

	return sandbox_drop_privileges("no-such-user-here", &what) == -ENOENT &&
			       strstr(what, "user")
		       ? 0
		       : 1;
}

static void an_unknown_user_is_refused(void **state)
{
	(void)state;
	assert_int_equal(child(becomes_a_stranger), 0);
}

static int raises_descriptors(void)
{
	struct rlimit limit = { 64, 128 };

	if (setrlimit(RLIMIT_NOFILE, &limit) || sandbox_raise_descriptor_limit(100) ||
	    getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur != 100)
		return 1;
	if (sandbox_raise_descriptor_limit(50) || getrlimit(RLIMIT_NOFILE, &limit) ||
	    limit.rlim_cur != 100)
		return 2;
	if (sandbox_raise_descriptor_limit(1000) != -EMFILE || getrlimit(RLIMIT_NOFILE, &limit) ||
	    limit.rlim_cur != 128)
		return 3;
	return 0;
}

static void descriptors_are_raised_as_far_as_allowed(void **state)
{
	(void)state;
	assert_int_equal(child(raises_descriptors), 0);
}

/*
 * Stage 2
 */

#define NOT_PERMITTED 77

static int sees_files(void)
{
	struct stat st;

	if (!begin())
		return 99;
	if (sandbox_leave_namespaces())
		return NOT_PERMITTED;
	if (stat("/etc", &st) == 0 || stat("/../etc", &st) == 0 || stat("/", &st))
		return 1;
	if (open("/file", O_CREAT | O_WRONLY, 0600) >= 0)
		return 2;
	return mount("", "/", "tmpfs", 0, NULL) == 0 ? 3 : 0;
}

static void files_are_out_of_sight(void **state)
{
	int status;

	(void)state;
	if (!sandbox_is_complete())
		skip();
	status = child(sees_files);
	if (status == NOT_PERMITTED)
		skip();
	assert_int_equal(status, 0);
}

/*
 * Stage 3
 */

static int handles_memory(void)
{
	int fd = memfd_create("ram", 0); /* no longer permitted */
	unsigned char resident[1];
	void *memory;

	if (fd >= 0)
		return 1;
	memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 2;
	memset(memory, 1, MIB);
	if (madvise(memory, MIB, MADV_DONTNEED) || *(volatile char *)memory != 0)
		return 3;
	if (mincore(memory, 4096, resident))
		return 4;
	free(malloc(4 * MIB));
	return munmap(memory, MIB) ? 5 : 0;
}

static void memory_can_be_handled(void **state)
{
	(void)state;
	assert_int_equal(attempted(handles_memory), 0);
}

static int ram_fd = -1, sockets[2] = { -1, -1 };

static int serves_guest_memory(void)
{
	struct stat st;
	void *memory;
	char c;

	if (fstat(ram_fd, &st) || st.st_size != (off_t)MIB)
		return 1;
	memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	if (memory == MAP_FAILED)
		return 2;
	if (fallocate(ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MIB))
		return 3;
	if (send(sockets[0], "x", 1, MSG_NOSIGNAL) != 1 || recv(sockets[1], &c, 1, 0) != 1)
		return 4;
	return close(ram_fd) ? 5 : 0;
}

static void guest_memory_and_sockets_can_be_served(void **state)
{
	int status;

	(void)state;
	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	assert_true(ram_fd >= 0);
	assert_int_equal(ftruncate(ram_fd, MIB), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	status = attempted(serves_guest_memory);
	close(ram_fd);
	close(sockets[0]);
	close(sockets[1]);
	assert_int_equal(status, 0);
}

static int opens_files(void)
{
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EPERM)
		return 1;
	return mkdir("/tmp/x", 0700) == 0 || errno != EPERM;
}

static void files_are_refused(void **state)
{
	(void)state;
	assert_int_equal(attempted(opens_files), 0);
}

static int makes_code(void)
{
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (code != MAP_FAILED || data == MAP_FAILED)
		return 1;
	return mprotect(data, 4096, PROT_READ | PROT_EXEC) == 0 ? 2 : 0;
}

static void no_code_can_be_made(void **state)
{
	(void)state;
	assert_int_equal(attempted(makes_code), 0);
}

static int signals_others(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0 || errno != EPERM;
}

static void others_cannot_be_signalled(void **state)
{
	(void)state;
	assert_int_equal(attempted(signals_others), 0);
}

static int aborts(void)
{
	signal(SIGABRT, SIG_DFL);
	abort();
}

static void abort_still_says_so(void **state)
{
	(void)state;
	assert_int_equal(attempted(aborts), -SIGABRT);
}

static int runs_a_program(void)
{
	char *argv[] = { "true", NULL };

	return execv("/bin/true", argv);
}

static int makes_a_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int traces(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int forks(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void what_only_an_intruder_does_kills(void **state)
{
	(void)state;
	assert_int_equal(attempted(runs_a_program), -SIGSYS);
	assert_int_equal(attempted(makes_a_socket), -SIGSYS);
	assert_int_equal(attempted(traces), -SIGSYS);
	assert_int_equal(attempted(forks), -SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_privilege_is_left),
		cmocka_unit_test(another_user_is_become_for_good),
		cmocka_unit_test(an_unknown_user_is_refused),
		cmocka_unit_test(descriptors_are_raised_as_far_as_allowed),
		cmocka_unit_test(files_are_out_of_sight),
		cmocka_unit_test(memory_can_be_handled),
		cmocka_unit_test(guest_memory_and_sockets_can_be_served),
		cmocka_unit_test(files_are_refused),
		cmocka_unit_test(no_code_can_be_made),
		cmocka_unit_test(others_cannot_be_signalled),
		cmocka_unit_test(abort_still_says_so),
		cmocka_unit_test(what_only_an_intruder_does_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
