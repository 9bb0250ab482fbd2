/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sandbox.  Each test forks a child that enters it and then tries something.
 * Builds with sanitizers have only its first stage; the other tests are skipped.
 */
#include "aerostat-device/sandbox.h"
#include "tests/fork_dependent.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <sched.h>
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
	if (sandbox_leave_namespaces(NULL))
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

/*
 * A process of the same user is out of reach
 */

/* Values of arguments that are known only when the test runs. */
#define VICTIM (LONG_MIN + 1)
#define SOCKET (LONG_MIN + 2)
#define MEMORY (LONG_MIN + 3)
#define WORDS 6

/* Each would signal, trace, read, slow or change the victim, or give this process the means. */
static const struct reach {
	const char *name;
	long call, words[WORDS];
} reaches[] = {
	/* Descriptors that make the kernel signal their owner. */
	{ "F_SETOWN", SYS_fcntl, { SOCKET, F_SETOWN, VICTIM } },
	{ "F_SETOWN_EX", SYS_fcntl, { SOCKET, F_SETOWN_EX, MEMORY } },
	{ "F_SETSIG", SYS_fcntl, { SOCKET, F_SETSIG, SIGKILL } },
	{ "O_ASYNC", SYS_fcntl, { SOCKET, F_SETFL, O_ASYNC } },
	{ "O_ASYNC with O_NONBLOCK", SYS_fcntl, { SOCKET, F_SETFL, O_ASYNC | O_NONBLOCK } },
	{ "F_NOTIFY", SYS_fcntl, { SOCKET, F_NOTIFY, 1 } },
	{ "F_SETLEASE", SYS_fcntl, { SOCKET, F_SETLEASE, F_WRLCK } },
	{ "FIOASYNC", SYS_ioctl, { SOCKET, FIOASYNC, MEMORY } },
	{ "FIOSETOWN", SYS_ioctl, { SOCKET, FIOSETOWN, MEMORY } },
	{ "SIOCSPGRP", SYS_ioctl, { SOCKET, SIOCSPGRP, MEMORY } },
	{ "TIOCSTI", SYS_ioctl, { SOCKET, TIOCSTI, MEMORY } },
	/* Files and memory that are shared with the victim. */
	{ "F_ADD_SEALS", SYS_fcntl, { SOCKET, F_ADD_SEALS, F_SEAL_SHRINK } },
	{ "F_SETPIPE_SZ", SYS_fcntl, { SOCKET, F_SETPIPE_SZ, 4096 } },
	{ "F_OFD_SETLK", SYS_fcntl, { SOCKET, F_OFD_SETLK, MEMORY } },
	{ "F_SETLK", SYS_fcntl, { SOCKET, F_SETLK, MEMORY } },
	{ "F_DUPFD", SYS_fcntl, { SOCKET, F_DUPFD, 0 } },
	{ "ftruncate", SYS_ftruncate, { SOCKET, 0 } },
	{ "collapsing a file", SYS_fallocate, { SOCKET, FALLOC_FL_COLLAPSE_RANGE, 0, 4096 } },
	{ "growing a file", SYS_fallocate, { SOCKET, 0, 0, 4096 } },
	{ "MADV_MERGEABLE", SYS_madvise, { MEMORY, 4096, MADV_MERGEABLE } },
	{ "MADV_REMOVE", SYS_madvise, { MEMORY, 4096, MADV_REMOVE } },
	{ "FUTEX_LOCK_PI", SYS_futex, { MEMORY, FUTEX_LOCK_PI } },
	{ "FUTEX_WAKE of shared memory", SYS_futex, { MEMORY, FUTEX_WAKE, 1 } },
	/* Sockets. */
	{ "SO_PEERPIDFD", SYS_getsockopt, { SOCKET, SOL_SOCKET, 77, MEMORY, MEMORY } },
	{ "SO_PEERCRED", SYS_getsockopt, { SOCKET, SOL_SOCKET, SO_PEERCRED, MEMORY, MEMORY } },
	{ "SO_RCVBUF", SYS_setsockopt, { SOCKET, SOL_SOCKET, SO_RCVBUF, MEMORY, 4 } },
	{ "SO_PASSCRED", SYS_setsockopt, { SOCKET, SOL_SOCKET, SO_PASSCRED, MEMORY, 4 } },
	{ "MSG_OOB", SYS_sendto, { SOCKET, MEMORY, 1, MSG_OOB, 0, 0 } },
	{ "sending to an address", SYS_sendto, { SOCKET, MEMORY, 1, 0, MEMORY, 16 } },
	{ "sending descriptors", SYS_sendmsg, { SOCKET, MEMORY, 0 } },
	/* Processes. */
	{ "kill", SYS_kill, { VICTIM, 0 } },
	{ "tkill", SYS_tkill, { VICTIM, 0 } },
	{ "tgkill", SYS_tgkill, { VICTIM, VICTIM, 0 } },
	{ "rt_sigqueueinfo", SYS_rt_sigqueueinfo, { VICTIM, SIGTERM, MEMORY } },
	{ "rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, { VICTIM, VICTIM, SIGTERM, MEMORY } },
	{ "pidfd_open", SYS_pidfd_open, { VICTIM, 0 } },
	{ "pidfd_getfd", SYS_pidfd_getfd, { SOCKET, 0, 0 } },
	{ "pidfd_send_signal", SYS_pidfd_send_signal, { SOCKET, SIGTERM, 0, 0 } },
	{ "ptrace", SYS_ptrace, { PTRACE_SEIZE, VICTIM, 0, 0 } },
	{ "process_vm_readv", SYS_process_vm_readv, { VICTIM, MEMORY, 1, MEMORY, 1, 0 } },
	{ "process_vm_writev", SYS_process_vm_writev, { VICTIM, MEMORY, 1, MEMORY, 1, 0 } },
	{ "process_madvise", SYS_process_madvise, { SOCKET, MEMORY, 1, MADV_PAGEOUT, 0 } },
	{ "process_mrelease", SYS_process_mrelease, { SOCKET, 0 } },
	{ "kcmp", SYS_kcmp, { VICTIM, VICTIM, 0, 0, 0 } },
	{ "move_pages", SYS_move_pages, { VICTIM, 0, 0, 0, 0, 0 } },
	{ "migrate_pages", SYS_migrate_pages, { VICTIM, 0, 0, 0 } },
	{ "get_robust_list", SYS_get_robust_list, { VICTIM, MEMORY, MEMORY } },
	{ "prlimit", SYS_prlimit64, { VICTIM, RLIMIT_NOFILE, 0, MEMORY } },
	{ "setpriority", SYS_setpriority, { PRIO_PROCESS, VICTIM, 19 } },
	{ "setpriority of a user", SYS_setpriority, { PRIO_USER, 0, 19 } },
	{ "ioprio_set", SYS_ioprio_set, { 1, VICTIM, 0 } },
	{ "sched_setaffinity", SYS_sched_setaffinity, { VICTIM, 8, MEMORY } },
	{ "sched_setscheduler", SYS_sched_setscheduler, { VICTIM, SCHED_IDLE, MEMORY } },
	{ "sched_setattr", SYS_sched_setattr, { VICTIM, MEMORY, 0 } },
	{ "setpgid", SYS_setpgid, { VICTIM, 0 } },
	{ "getpgid", SYS_getpgid, { VICTIM } },
	{ "PR_SET_PTRACER", SYS_prctl, { PR_SET_PTRACER, VICTIM } },
	{ "PR_SCHED_CORE", SYS_prctl, { 62, 0, VICTIM, 0, 0 } },
	{ "perf_event_open", SYS_perf_event_open, { MEMORY, VICTIM, -1, -1, 0 } },
	{ "wait4", SYS_wait4, { -1, 0, 0, 0 } },
	/* What does any of these for its caller. */
	{ "timer_create", SYS_timer_create, { 1, MEMORY, MEMORY } },
	{ "mq_notify", SYS_mq_notify, { SOCKET, MEMORY } },
	{ "shmat", SYS_shmat, { 0, 0, 0 } },
	{ "io_uring_setup", SYS_io_uring_setup, { 8, MEMORY } },
	{ "io_uring_enter", SYS_io_uring_enter, { SOCKET, 1, 0, 0, 0, 0 } },
	{ "io_submit", SYS_io_submit, { 0, 1, MEMORY } },
	{ "bpf", SYS_bpf, { 0, MEMORY, 0 } },
	{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, MEMORY } },
	{ "fanotify_init", SYS_fanotify_init, { 0, 0 } },
	{ "inotify_init", SYS_inotify_init1, { 0 } },
};

static const struct reach *reach;
static pid_t victim;

static int is_refused(void)
{
	static _Alignas(4096) char memory[4096];
	long words[WORDS];

	for (size_t i = 0; i < WORDS; i++)
		words[i] = reach->words[i] == VICTIM   ? victim
			   : reach->words[i] == SOCKET ? sockets[0]
			   : reach->words[i] == MEMORY ? (long)(uintptr_t)memory
						       : reach->words[i];
	errno = 0;
	return syscall(reach->call, words[0], words[1], words[2], words[3], words[4], words[5]) !=
		       -1 ||
	       errno != EPERM;
}

static void nothing_reaches_another_process(void **state)
{
	unsigned int reached = 0;
	int status;

	(void)state;
	if (!sandbox_is_complete())
		skip();
	victim = start_idle_process();
	assert_return_code(victim, errno);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	for (size_t i = 0; i < sizeof(reaches) / sizeof(reaches[0]); i++) {
		reach = &reaches[i];
		status = attempted(is_refused);
		if (status == 0 || status == -SIGSYS)
			continue;
		print_error("%s is possible (%d)\n", reach->name, status);
		reached++;
	}
	close(sockets[0]);
	close(sockets[1]);
	assert_int_equal(waitpid(victim, &status, WNOHANG), 0);
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	assert_int_equal(reached, 0);
}

static int reads_what_descriptors_are(void)
{
	int value = -1, flags = fcntl(sockets[0], F_GETFL);
	socklen_t size = sizeof(value);

	if (flags < 0 || fcntl(sockets[0], F_SETFL, flags | O_NONBLOCK) ||
	    !(fcntl(sockets[0], F_GETFL) & O_NONBLOCK))
		return 1;
	if (getsockopt(sockets[0], SOL_SOCKET, SO_TYPE, &value, &size) || value != SOCK_STREAM)
		return 2;
	return getsockopt(sockets[0], SOL_SOCKET, SO_DOMAIN, &value, &size) || value != AF_UNIX;
}

static void what_the_device_needs_of_the_same_calls_is_allowed(void **state)
{
	int status;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	status = attempted(reads_what_descriptors_are);
	close(sockets[0]);
	close(sockets[1]);
	assert_int_equal(status, 0);
}

/*
 * A PID namespace of its own; without the filter, which would hide what it does
 */

static int report_fd = -1;

static int is_alone(void)
{
	if (!begin())
		return 99;
	if (sandbox_leave_namespaces(NULL))
		return NOT_PERMITTED;
	if (getpid() != 1 || kill(victim, 0) == 0 || errno != ESRCH)
		return 1;
	/* By the socket's owner, as F_SETOWN above: a number of another namespace names nobody. */
	return fcntl(sockets[0], F_SETOWN, victim) == 0 ? 2 : 42;
}

static void other_processes_are_out_of_sight(void **state)
{
	int status;

	(void)state;
	if (!sandbox_is_complete())
		skip();
	victim = start_idle_process();
	assert_return_code(victim, errno);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	status = child(is_alone);
	close(sockets[0]);
	close(sockets[1]);
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	if (status == NOT_PERMITTED)
		skip();
	/* Its own status, which the process that was started passes on. */
	assert_int_equal(status, 42);
}

static int dies_alone(void)
{
	if (!begin())
		return 99;
	if (sandbox_leave_namespaces(NULL))
		return NOT_PERMITTED;
	signal(SIGSEGV, SIG_DFL); /* cmocka's handler */
	*(volatile int *)NULL = 0;
	return 0;
}

static void the_signal_that_ended_it_is_passed_on(void **state)
{
	int status;

	(void)state;
	if (!sandbox_is_complete())
		skip();
	status = child(dies_alone);
	if (status == NOT_PERMITTED)
		skip();
	assert_int_equal(status, -SIGSEGV);
}

/* Reports that it is there, waits for SIGTERM and reports that. */
static int waits_for_sigterm(void)
{
	sigset_t term;
	int number = 0;

	if (!begin())
		return 99;
	if (sandbox_leave_namespaces(NULL))
		return NOT_PERMITTED;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	if (write(report_fd, "r", 1) != 1 || sigwait(&term, &number))
		return 1;
	return 43;
}

/* Forks @part, and returns the child's number once it has reported; 0 if namespaces are forbidden.
 */
static pid_t started(int (*part)(void), int *reports)
{
	int ends[2];
	char report;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	report_fd = ends[1];
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(part());
	}
	assert_true(pid > 0);
	close(ends[1]);
	*reports = ends[0];
	if (read(ends[0], &report, 1) == 1)
		return pid;
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return 0;
}

static void sigterm_is_passed_on(void **state)
{
	int status, reports;
	pid_t pid;

	(void)state;
	if (!sandbox_is_complete())
		skip();
	pid = started(waits_for_sigterm, &reports);
	if (!pid)
		skip();
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(reports);
	assert_int_equal(WEXITSTATUS(status), 43);
}

static void it_dies_with_the_process_that_was_started(void **state)
{
	char report;
	int reports;
	pid_t pid;

	(void)state;
	if (!sandbox_is_complete())
		skip();
	pid = started(waits_for_sigterm, &reports);
	if (!pid)
		skip();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* The pipe ends when its last writer has. */
	assert_int_equal(read(reports, &report, 1), 0);
	close(reports);
}

static int sends_to_the_manager(void)
{
	int fd = sockets[0];

	if (!begin())
		return 99;
	if (sandbox_leave_namespaces(&fd))
		return NOT_PERMITTED;
	return send(fd, "MAINPID=1\n", 10, 0) == 10 ? 0 : 1;
}

/* A device in an attacker's hands could otherwise have its manager watch or signal a process. */
static void the_manager_hears_only_that_it_is_ready(void **state)
{
	char text[80] = "";
	int status;

	(void)state;
	if (!sandbox_is_complete())
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets), 0);
	status = child(sends_to_the_manager);
	if (status == 0)
		recv(sockets[1], text, sizeof(text) - 1, MSG_DONTWAIT);
	close(sockets[0]);
	close(sockets[1]);
	if (status == NOT_PERMITTED)
		skip();
	assert_int_equal(status, 0);
	assert_string_equal(text, "READY=1\n");
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
		cmocka_unit_test(nothing_reaches_another_process),
		cmocka_unit_test(what_the_device_needs_of_the_same_calls_is_allowed),
		cmocka_unit_test(other_processes_are_out_of_sight),
		cmocka_unit_test(the_signal_that_ended_it_is_passed_on),
		cmocka_unit_test(sigterm_is_passed_on),
		cmocka_unit_test(it_dies_with_the_process_that_was_started),
		cmocka_unit_test(the_manager_hears_only_that_it_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
