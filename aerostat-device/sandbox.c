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
#define IS_COMPLETE false
#else
#define IS_COMPLETE true
#endif

bool sandbox_is_complete(void)
{
	return IS_COMPLETE;
}

/*
 * Stage 1
 */

static int switch_user(const char *name)
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

	/* With no_new_privs the bounding set does not matter: nothing can gain from it. */
	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

static int forbid_core_dumps(void)
{
	const struct rlimit none = { 0, 0 };

	/* They would contain the guest's memory. */
	return setrlimit(RLIMIT_CORE, &none) ? -errno : 0;
}

int sandbox_drop_privileges(const char *user, const char **what)
{
	int error = 0;

	if (user) {
		*what = "switch to that user";
		error = switch_user(user);
	}
	if (!error) {
		*what = "forbid new privileges";
		error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
	}
	if (!error) {
		*what = "drop capabilities";
		error = drop_capabilities();
	}
	if (!error) {
		*what = "forbid core dumps";
		error = forbid_core_dumps();
	}
	return error;
}

int sandbox_raise_descriptor_limit(unsigned int count)
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
 * Stage 2
 */

/* Makes an empty, read-only file system the root and detaches the old one. */
static int switch_to_empty_root(void)
{
	static const char mount_point[] = "/tmp"; /* any directory will do */

	if (mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL) ||
	    mount("aerostat", mount_point, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "nr_inodes=2") ||
	    chdir(mount_point))
		return -errno;
	/* pivot_root(2): with both paths the same, the old root is stacked on top of the new. */
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return -errno;
	return 0;
}

int sandbox_leave_namespaces(void)
{
	int error;

	if (!IS_COMPLETE)
		return 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
		    CLONE_NEWCGROUP))
		return -errno;
	error = switch_to_empty_root();
	/* Creating a user namespace grants all capabilities in it. */
	return error ? error : drop_capabilities();
}

/*
 * Stage 3
 */

static const struct {
	int call;
	const char *why;
} allowed_calls[] = {
	/* The loop */
	{ SCMP_SYS(epoll_wait), "loop.c" },
	{ SCMP_SYS(epoll_pwait), "loop.c, where there is no epoll_wait" },
	{ SCMP_SYS(epoll_ctl), "loop.c" },
	{ SCMP_SYS(clock_gettime), "loop.c, where the vDSO does not do it" },
	{ SCMP_SYS(read), "signalfd, eventfds" },
	{ SCMP_SYS(preadv2), "eventfds of the VMM, which could block" },
	{ SCMP_SYS(write), "eventfds, the log" },
	{ SCMP_SYS(poll), "the log, interrupts" },
	{ SCMP_SYS(ppoll), "the same, where there is no poll" },
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
	{ SCMP_SYS(fcntl), "memory.c, vhost_user_vrings.c: F_GETFL, O_NONBLOCK" },
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
	{ SCMP_SYS(restart_syscall), "a call that SIGSTOP interrupted" },
	{ SCMP_SYS(exit_group), "the end" },
	{ SCMP_SYS(exit), "the end" },
};

/* Calls that only an attacker makes.  open() is not here because libraries try it. */
static const int hostile_calls[] = {
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

/* Adds the calls that are allowed only with certain arguments. */
static int add_argument_rules(scmp_filter_ctx filter)
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

/* Adds a rule for any arguments, unless this architecture does not have the call (-EDOM). */
static int add_call_rule(scmp_filter_ctx filter, uint32_t action, int call)
{
	int error = seccomp_rule_add(filter, action, call, 0);

	return error == -EDOM ? 0 : error;
}

static int add_filter_rules(scmp_filter_ctx filter)
{
	int error = add_argument_rules(filter);

	for (size_t i = 0; !error && i < LENGTH(allowed_calls); i++)
		error = add_call_rule(filter, SCMP_ACT_ALLOW, allowed_calls[i].call);
	for (size_t i = 0; !error && i < LENGTH(hostile_calls); i++)
		error = add_call_rule(filter, SCMP_ACT_KILL_PROCESS, hostile_calls[i]);
	return error;
}

int sandbox_filter_system_calls(void)
{
	scmp_filter_ctx filter;
	int error;

	if (!IS_COMPLETE)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	error = add_filter_rules(filter);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
