/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/shortage.h"

#include "hypervisor/hypervisor.h"

#include <errno.h>
#include <jansson.h>
#include <libxml/xmlmemory.h>
#include <sys/resource.h>

bool shortage_is_errno(int number)
{
	return number == EMFILE || number == ENFILE || number == ENOMEM || number == ENOBUFS;
}

const char *shortage_explain(int number)
{
	switch (number) {
	case EMFILE:
		return "this process has no file descriptor left; raise its limit of open files "
		       "(ulimit -n, or LimitNOFILE= of its unit)";
	case ENFILE:
		return "this host has no file descriptor left; raise fs.file-max";
	case EAGAIN:
		return "this process cannot start another thread; raise its limit of tasks "
		       "(ulimit -u, or TasksMax= of its unit)";
	default:
		return "this process, or the host, has no memory left";
	}
}

void shortage_set_error(GError **error, int number)
{
	g_set_error_literal(error, HV_ERROR, HV_ERROR_SHORTAGE, shortage_explain(number));
}

void shortage_ends_process(void)
{
	json_set_alloc_funcs(g_malloc, g_free);
	xmlMemSetup(g_free, g_malloc, g_realloc, g_strdup);
}

unsigned long shortage_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = { limit.rlim_max, limit.rlim_max };

		if (!setrlimit(RLIMIT_NOFILE, &raised))
			limit = raised;
	}
	return limit.rlim_cur;
}
