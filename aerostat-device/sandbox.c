/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-device/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aerostat-device/waiter.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define LANDLOCK_RULES 3

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

/* Leaves each namespace that it may leave, and adds it to @left; 0, or -errno of the first that it
 * may not. */
static int leave_each_namespace(int *left)
{
	/* The first grants what the others need. */
	static const int namespaces[] = { CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
					  CLONE_NEWIPC,	 CLONE_NEWUTS, CLONE_NEWCGROUP };
	int error = 0;

	for (size_t i = 0; i < LENGTH(namespaces); i++) {
		if (unshare(namespaces[i]) == 0)
			*left |= namespaces[i];
		else if (!error)
			error = -errno;
	}
	return error;
}

/* What version @version of Landlock can forbid: struct landlock_ruleset_attr. */
static void set_landlock_rules(uint64_t rules[LANDLOCK_RULES], long version)
{
	unsigned int files = version < 2 ? 13 : version < 3 ? 14 : version < 5 ? 15 : 16;

	rules[0] = (UINT64_C(1) << files) - 1; /* opening and changing files */
	rules[1] = 3;			       /* binding and connecting TCP sockets */
	rules[2] = 3;			       /* abstract sockets; signals */
}

/*
 * Landlock needs no privilege, so it holds where namespaces are forbidden, too.  It also covers
 * signals that the kernel sends for a process, as fcntl(F_SETOWN) demands.
 */
static void restrict_by_landlock(void)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t rules[LANDLOCK_RULES];
	size_t count = version < 4 ? 1 : version < 6 ? 2 : 3;
	int fd;

	if (version < 1)
		return; /* the kernel lacks it */
	set_landlock_rules(rules, version);
	fd = (int)syscall(SYS_landlock_create_ruleset, rules, count * sizeof(rules[0]), 0);
	if (fd < 0)
		return;
	syscall(SYS_landlock_restrict_self, fd, 0);
	close(fd);
}

int sandbox_leave_namespaces(int *notify_fd)
{
	int left = 0, error, other = 0;

	if (!IS_COMPLETE)
		return 0;
	error = leave_each_namespace(&left);
	if (left & CLONE_NEWNS)
		other = switch_to_empty_root();
	/* Creating a user namespace grants all capabilities in it. */
	if (!other)
		other = drop_capabilities();
	restrict_by_landlock();
	if (left & CLONE_NEWPID && !other)
		other = waiter_fork(notify_fd);
	return error ? error : other;
}
