/* SPDX-License-Identifier: BSD-3-Clause */
/* The last stage of the sandbox; sandbox.h describes all of them. */
#include "aerostat-device/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

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
	{ SCMP_SYS(shutdown), "ending a connection" },
	{ SCMP_SYS(close), "descriptors" },
	/* Guest memory */
	{ SCMP_SYS(fstat), "memory.c: what a descriptor is" },
	{ SCMP_SYS(newfstatat), "the same: glibc's fstat()" },
	{ SCMP_SYS(fstatfs), "memory.c: the size of huge pages" },
	{ SCMP_SYS(munmap), "memory.c, free()" },
	{ SCMP_SYS(mincore), "audit.c" },
	/* The C library */
	{ SCMP_SYS(brk), "malloc()" },
	{ SCMP_SYS(mremap), "realloc()" },
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
	SCMP_SYS(process_madvise),
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
	SCMP_SYS(tkill),
	SCMP_SYS(rt_sigqueueinfo),
	SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(process_mrelease),
	SCMP_SYS(kcmp),
	SCMP_SYS(socketpair),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
};

/* The low half of argument @n is @value: the kernel ignores the other half of an int. */
#define INT_IS(n, value) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)(value))
/* Argument @n has none of the bits of @mask. */
#define LACKS(n, mask) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, mask, 0)
#define ARGUMENTS_MAX 2

/*
 * Calls that are allowed only with certain arguments.  With others they reach beyond this process:
 * a file can be made to signal any process of the same user (F_SETOWN, O_ASYNC), a futex that
 * inherits priority to change that of its owner, a socket to give a descriptor of its peer
 * (SO_PEERPIDFD), and memory that is merged with equal memory (MADV_MERGEABLE) to show what others
 * have in theirs.
 */
static const struct {
	int call;
	const char *why;
	struct scmp_arg_cmp arguments[ARGUMENTS_MAX];
	unsigned int count;
} argument_rules[] = {
	{ SCMP_SYS(fcntl), "what a descriptor may do", { INT_IS(1, F_GETFL) }, 1 },
	{ SCMP_SYS(fcntl), "O_NONBLOCK", { INT_IS(1, F_SETFL), LACKS(2, O_ASYNC) }, 2 },
	{ SCMP_SYS(getsockopt),
	  "what a descriptor is",
	  { INT_IS(1, SOL_SOCKET), INT_IS(2, SO_DOMAIN) },
	  2 },
	{ SCMP_SYS(getsockopt), "the same", { INT_IS(1, SOL_SOCKET), INT_IS(2, SO_TYPE) }, 2 },
	/* To the peer only, not to an address; and without MSG_OOB, which may signal it. */
	{ SCMP_SYS(sendto),
	  "answers, sd_notify",
	  { SCMP_CMP64(4, SCMP_CMP_EQ, 0), LACKS(3, MSG_OOB) },
	  2 },
	{ SCMP_SYS(fallocate),
	  "release.c",
	  { INT_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) },
	  1 },
	{ SCMP_SYS(fallocate), "release.c", { INT_IS(1, FALLOC_FL_KEEP_SIZE) }, 1 },
	{ SCMP_SYS(madvise), "free()", { INT_IS(2, MADV_DONTNEED) }, 1 },
	{ SCMP_SYS(madvise), "pages.c", { INT_IS(2, MADV_NOHUGEPAGE) }, 1 },
	{ SCMP_SYS(futex), "locks of stdio and malloc()", { INT_IS(1, FUTEX_WAIT_PRIVATE) }, 1 },
	{ SCMP_SYS(futex), "the same", { INT_IS(1, FUTEX_WAKE_PRIVATE) }, 1 },
	{ SCMP_SYS(mmap), "memory that is not code", { LACKS(2, PROT_EXEC) }, 1 },
	{ SCMP_SYS(mprotect), "memory that is not code", { LACKS(2, PROT_EXEC) }, 1 },
};

static int add_argument_rules(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp ourselves = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, ourselves);

	for (size_t i = 0; !error && i < LENGTH(argument_rules); i++)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, argument_rules[i].call,
					       argument_rules[i].count,
					       argument_rules[i].arguments);
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

	if (!sandbox_is_complete())
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
