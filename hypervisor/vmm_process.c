/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/vmm_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RAM_BLOCK_PART 4 /* as in host_memory.c */

/*
 * Whether @pid has only users of @owners: real, effective, saved and of the file system.  The owner
 * of /proc/PID would not do: it is root for every process that is not dumpable.
 */
static bool has_trusted_owner(pid_t pid, const GArray *owners)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
	g_autofree char *text = NULL;
	const char *line;
	uid_t uids[4];

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return false;
	line = strstr(text, "\nUid:");
	if (!line ||
	    sscanf(line, "\nUid: %u %u %u %u", &uids[0], &uids[1], &uids[2], &uids[3]) != 4)
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(uids); i++) {
		bool trusted = false;

		for (guint j = 0; j < owners->len; j++)
			trusted |= uids[i] == g_array_index(owners, uid_t, j);
		if (!trusted)
			return false;
	}
	return true;
}

/* Whether @pid runs a guest (-name guest=…) with the UUID @uuid for one of @owners. */
static bool is_guest_process(pid_t pid, const char *uuid, const GArray *owners)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", (int)pid);
	g_autofree char *arguments = NULL;
	const char *option = "";
	bool named = false, found = false;
	size_t length;

	if (!has_trusted_owner(pid, owners) ||
	    !g_file_get_contents(path, &arguments, &length, NULL))
		return false;
	for (char *arg = arguments; arg < arguments + length; arg += strlen(arg) + 1) {
		named |= !strcmp(option, "-name") && g_str_has_prefix(arg, "guest=");
		found |= !strcmp(option, "-uuid") && !strcmp(arg, uuid);
		option = arg;
	}
	return named && found;
}

pid_t vmm_process_find(const char *uuid, const GArray *owners, pid_t guess)
{
	g_autoptr(GDir) proc = NULL;
	pid_t found = 0;
	const char *name;

	if (guess && is_guest_process(guess, uuid, owners))
		return guess;
	proc = g_dir_open("/proc", 0, NULL);
	while (proc && (name = g_dir_read_name(proc))) {
		pid_t pid = atoi(name);

		if (pid <= 0 || !is_guest_process(pid, uuid, owners))
			continue;
		if (found)
			return 0;
		found = pid;
	}
	return found;
}

enum hv_origin vmm_process_find_origin(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", (int)pid);
	g_autofree char *arguments = NULL;
	size_t length;

	if (pid <= 0 || !g_file_get_contents(path, &arguments, &length, NULL) || !length)
		return HV_ORIGIN_UNKNOWN;
	for (char *arg = arguments; arg < arguments + length; arg += strlen(arg) + 1)
		if (!strcmp(arg, "-incoming") || !strcmp(arg, "--incoming") ||
		    !strcmp(arg, "-loadvm") || !strcmp(arg, "--loadvm"))
			return HV_ORIGIN_STATE;
	return HV_ORIGIN_BOOT;
}

/*
 * The fields of /proc/PID/stat from the state on.  The process's name, before it, may
 * contain spaces and parentheses.
 */
static char *read_process_stat(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
	g_autofree char *text = NULL;
	char *name_end;

	if (pid <= 0 || !g_file_get_contents(path, &text, NULL, NULL))
		return NULL;
	name_end = strrchr(text, ')');
	return name_end ? g_strdup(g_strchug(name_end + 1)) : NULL;
}

bool vmm_process_stopped(pid_t pid)
{
	g_autofree char *fields = read_process_stat(pid);

	return fields && (*fields == 'T' || *fields == 't');
}

uint64_t vmm_process_cpu_ns(pid_t pid)
{
	g_autofree char *fields = read_process_stat(pid);
	unsigned long user, system;

	if (!fields || sscanf(fields, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			      &system) != 2)
		return HV_UNSET;
	return (user + system) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

int64_t vmm_process_age_us(pid_t pid)
{
	g_autofree char *fields = read_process_stat(pid);
	unsigned long long started_ticks;
	struct timespec now;

	/* starttime is the 22nd field of proc(5), counted from the boot of the host. */
	if (!fields ||
	    sscanf(fields,
		   "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu",
		   &started_ticks) != 1 ||
	    clock_gettime(CLOCK_BOOTTIME, &now) < 0)
		return -1;
	return (int64_t)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 -
	       (int64_t)(started_ticks * (G_USEC_PER_SEC / (unsigned long)sysconf(_SC_CLK_TCK)));
}

/* The fields of /proc/PID/statm, in bytes.  False when it cannot be read. */
static bool read_process_sizes(pid_t pid, uint64_t *address_bytes, uint64_t *resident_bytes)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/statm", (int)pid);
	g_autofree char *text = NULL;
	unsigned long address, resident;

	if (!g_file_get_contents(path, &text, NULL, NULL) ||
	    sscanf(text, "%lu %lu", &address, &resident) != 2)
		return false;
	*address_bytes = (uint64_t)address * (uint64_t)sysconf(_SC_PAGESIZE);
	*resident_bytes = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

uint64_t vmm_process_address_bytes(pid_t pid)
{
	uint64_t address, resident;

	return read_process_sizes(pid, &address, &resident) ? address : HV_UNSET;
}

uint64_t vmm_process_rss_bytes(pid_t pid)
{
	uint64_t address, resident;

	return read_process_sizes(pid, &address, &resident) ? resident : HV_UNSET;
}

/* The number in kB after "\n@key", in bytes; 0: there is none. */
static uint64_t read_kib_line(const char *text, const char *key)
{
	const char *line = strstr(text, key);

	return line ? g_ascii_strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

/* What a process has locked, by its mappings. */
struct locked {
	uint64_t bytes;
	uint64_t ram_bytes; /* of the guest's RAM that stays when QEMU discards it */
};

/*
 * Adds an entry of smaps, "7f00-7f80 rw-p 00000000 00:01 1042 PATH" and lines of numbers.  RAM is
 * told from QEMU's own memory as in host_memory.c.
 */
static void add_locked_mapping(struct locked *locked, const char *entry, uint64_t ram_bytes)
{
	const char *flags = strstr(entry, "\nVmFlags:"), *end = strchr(entry, '\n');
	uint64_t size = read_kib_line(entry, "\nSize:");
	char access[5] = "";
	bool stays;

	if (!flags || !end || !strstr(flags, " lo") || sscanf(entry, "%*s %4s", access) != 1)
		return;
	locked->bytes += size;
	/* Shared memory without a file is called /dev/zero: no holes can be punched into it. */
	stays = access[3] == 'p' || g_strstr_len(entry, end - entry, " /dev/zero");
	if (stays && access[1] == 'w' && access[2] != 'x' && size >= ram_bytes / RAM_BLOCK_PART)
		locked->ram_bytes += size;
}

/* False if smaps cannot be read. */
static bool read_locked(pid_t pid, uint64_t ram_bytes, struct locked *locked)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/smaps", (int)pid);
	g_autofree char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return false;
	/* The flags are the last line of each entry. */
	for (char *entry = text, *next; *entry; entry = next) {
		char *flags = strstr(entry, "\nVmFlags:");
		char *end = flags ? strchr(flags + 1, '\n') : NULL;

		next = end ? end + 1 : entry + strlen(entry);
		if (end)
			*end = '\0';
		add_locked_mapping(locked, entry, ram_bytes);
	}
	return true;
}

/* What is locked or pinned; HV_UNSET when unknown. */
static uint64_t read_held_bytes(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
	g_autofree char *text = NULL;

	if (pid <= 0 || !g_file_get_contents(path, &text, NULL, NULL))
		return HV_UNSET;
	return read_kib_line(text, "\nVmLck:") + read_kib_line(text, "\nVmPin:");
}

bool vmm_process_holds_memory(pid_t pid)
{
	uint64_t held = read_held_bytes(pid);

	return held != HV_UNSET && held > 0;
}

bool vmm_process_holds_ram(pid_t pid, uint64_t ram_bytes, bool presumed)
{
	uint64_t held = read_held_bytes(pid), half = MAX(ram_bytes / 2, 1);
	struct locked locked = { 0 };

	if (held == HV_UNSET)
		return presumed;
	if (held < half || !read_locked(pid, ram_bytes, &locked))
		return held >= half;
	/* What is held and in no locked mapping is held for a device. */
	return locked.ram_bytes >= half || held - MIN(held, locked.bytes) >= half;
}
