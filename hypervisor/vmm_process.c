/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmm_process.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

/* Does @pid run a guest (-name guest=…) with the UUID @uuid? */
static bool runs_guest(pid_t pid, const char *uuid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", (int)pid);
	g_autofree char *arguments = NULL;
	const char *option = "";
	bool named = false, found = false;
	size_t length;

	if (!g_file_get_contents(path, &arguments, &length, NULL))
		return false;
	for (char *word = arguments; word < arguments + length; word += strlen(word) + 1) {
		named |= !strcmp(option, "-name") && g_str_has_prefix(word, "guest=");
		found |= !strcmp(option, "-uuid") && !strcmp(word, uuid);
		option = word;
	}
	return named && found;
}

pid_t vmm_process_find(const char *uuid, pid_t guess)
{
	g_autoptr(GDir) proc = NULL;
	pid_t found = 0;
	const char *name;

	if (guess && runs_guest(guess, uuid))
		return guess;
	proc = g_dir_open("/proc", 0, NULL);
	while (proc && (name = g_dir_read_name(proc))) {
		pid_t pid = atoi(name);

		if (pid <= 0 || !runs_guest(pid, uuid))
			continue;
		if (found)
			return 0;
		found = pid;
	}
	return found;
}

bool vmm_process_stopped(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
	g_autofree char *stat = NULL;
	const char *name_end;

	/* "PID (NAME) STATE …"; the name may hold anything, also parentheses. */
	if (!g_file_get_contents(path, &stat, NULL, NULL))
		return false;
	name_end = strrchr(stat, ')');
	return name_end && (g_str_has_prefix(name_end, ") T") || g_str_has_prefix(name_end, ") t"));
}
