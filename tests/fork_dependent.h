/* SPDX-License-Identifier: BSD-3-Clause */
/* Child processes that do not outlive their parent. */
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

/* A process that does nothing until it is killed; as fork_dependent(), in the parent. */
static inline pid_t start_idle_process(void)
{
	pid_t pid = fork_dependent();

	while (pid == 0)
		pause();
	return pid;
}

#endif
