/* SPDX-License-Identifier: BSD-3-Clause */
/* A child process that does not outlive its parent. */
#ifndef AEROSTAT_TESTS_FORK_DEPENDENT_H
#define AEROSTAT_TESTS_FORK_DEPENDENT_H

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Forks, as fork() does.  The child ends with this process, also if that ends at once. */
static inline pid_t fork_dependent(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

#endif
