/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-device/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#ifdef AEROSTAT_INSTRUMENTED
#define IS_WHOLE false
#else
#define IS_WHOLE true
#endif

bool sandbox_is_whole(void)
{
	return IS_WHOLE;
}

/*
 * The first stage
 */

static int become(const char *name)
{
	const struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	if (!user)
		return errno ? -errno : -ENOENT;
	if (initgroups(user->pw_name, user->pw_gid) ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid))
		return -errno;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	/* Of the bounding set nothing is left to gain by: no_new_privs sees to that. */
	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

static int forbid_core_dumps(void)
{
	const struct rlimit none = { 0, 0 };

	/* They would hold the guest's memory. */
	return setrlimit(RLIMIT_CORE, &none) ? -errno : 0;
}

int sandbox_begin(const char *user, const char **what)
{
	int error = 0;

	if (user) {
		*what = "becoming another user";
		error = become(user);
	}
	if (!error) {
		*what = "giving up new privileges";
		error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
	}
	if (!error) {
		*what = "giving up capabilities";
		error = drop_capabilities();
	}
	if (!error) {
		*what = "forbidding core dumps";
		error = forbid_core_dumps();
	}
	return error;
}

int sandbox_allow_descriptors(unsigned int count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	if (limit.rlim_cur >= count)
		return 0;
	limit.rlim_cur = limit.rlim_max < count ? limit.rlim_max : count;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	return limit.rlim_cur < count ? -EMFILE : 0;
}

/*
 * The second stage
 */

/* A file system with nothing in it, read-only, becomes the root; the old one is let go. */
static int empty_root(void)
{
	static const char mount_point[] = "/tmp"; /* any folder will do */

	if (mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL) ||
	    mount("aerostat", mount_point, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "nr_inodes=2") ||
	    chdir(mount_point))
		return -errno;
	/* With both names the same the old root comes to lie on top of the new one. */
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return -errno;
	return 0;
}

int sandbox_leave_world(void)
{
	int error;

	if (!IS_WHOLE)
		return 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
		    CLONE_NEWCGROUP))
		return -errno;
	error = empty_root();
	/* The new user namespace came with all capabilities, over itself. */
	return error ? error : drop_capabilities();
}

/*
 * The third stage
 */

static const struct {
	int call;
	const char *why;
} allowed[] = {
	/* The loop */
	{ SCMP_SYS(epoll_wait), "loop.c" },
	{ SCMP_SYS(epoll_pwait), "loop.c, where there is no epoll_wait" },
	{ SCMP_SYS(epoll_ctl), "loop.c" },
	{ SCMP_SYS(clock_gettime), "loop.c, where the vDSO cannot tell" },
	{ SCMP_SYS(read), "signalfd, eventfds" },
	{ SCMP_SYS(preadv2), "eventfds of the VMM, which may block" },
	{ SCMP_SYS(write), "eventfds, the log" },
	{ SCMP_SYS(poll), "the log, interrupts" },
	{ SCMP_SYS(ppoll), "the same where there is no poll" },
	/* Sockets */
	{ SCMP_SYS(accept4), "listener.c" },
	{ SCMP_SYS(recvfrom), "control.c" },
	{ SCMP_SYS(recvmsg), "the VMM's messages, with descriptors" },
	{ SCMP_SYS(sendto), "answers, sd_notify" },
	{ SCMP_SYS(sendmsg), "answers" },
	{ SCMP_SYS(shutdown), "ending a connection" },
	{ SCMP_SYS(getsockopt), "what a descriptor is" },
	{ SCMP_SYS(close), "descriptors" },
	/* Guest memory */
	{ SCMP_SYS(fstat), "memory.c: what a descriptor is" },
	{ SCMP_SYS(newfstatat), "the same: glibc's fstat()" },
	{ SCMP_SYS(fstatfs), "memory.c: the size of huge pages" },
	{ SCMP_SYS(fcntl), "memory.c, vhost_user.c: F_GETFL, O_NONBLOCK" },
	{ SCMP_SYS(munmap), "memory.c, free()" },
	{ SCMP_SYS(fallocate), "release.c" },
	{ SCMP_SYS(madvise), "release.c, free()" },
	{ SCMP_SYS(process_madvise), "release.c" },
	{ SCMP_SYS(mincore), "audit.c" },
	/* The C library */
	{ SCMP_SYS(brk), "malloc()" },
	{ SCMP_SYS(mremap), "realloc()" },
	{ SCMP_SYS(futex), "locks of stdio and malloc()" },
	{ SCMP_SYS(getrandom), "jansson's and malloc()'s seeds" },
	{ SCMP_SYS(rt_sigaction), "sigbus.c, abort()" },
	{ SCMP_SYS(rt_sigprocmask), "raise(), abort()" },
	{ SCMP_SYS(rt_sigreturn), "sigbus.c" },
	{ SCMP_SYS(getpid), "raise(), abort()" },
	{ SCMP_SYS(gettid), "raise(), abort()" },
	{ SCMP_SYS(restart_syscall), "whatever a SIGSTOP interrupted" },
	{ SCMP_SYS(exit_group), "the end" },
	{ SCMP_SYS(exit), "the end" },
};

/* What nobody but an intruder would do.  Not open(): libraries try it, and a refusal will do. */
static const int hostile[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat2),
	SCMP_SYS(socket),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(kill),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(setuid),
	SCMP_SYS(setresuid),
	SCMP_SYS(capset),
	SCMP_SYS(bpf),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(add_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(io_uring_setup),
};

/* Calls that are right with some arguments only. */
static int allow_some(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp ourselves = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_code);

	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_code);
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, ourselves);
	return error;
}

/* -EDOM: this architecture does not have the call. */
static int add_rule(scmp_filter_ctx filter, uint32_t action, int call)
{
	int error = seccomp_rule_add(filter, action, call, 0);

	return error == -EDOM ? 0 : error;
}

static int add_rules(scmp_filter_ctx filter)
{
	int error = allow_some(filter);

	for (size_t i = 0; !error && i < LENGTH(allowed); i++)
		error = add_rule(filter, SCMP_ACT_ALLOW, allowed[i].call);
	for (size_t i = 0; !error && i < LENGTH(hostile); i++)
		error = add_rule(filter, SCMP_ACT_KILL_PROCESS, hostile[i]);
	return error;
}

int sandbox_filter_calls(void)
{
	scmp_filter_ctx filter;
	int error;

	if (!IS_WHOLE)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	error = add_rules(filter);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
