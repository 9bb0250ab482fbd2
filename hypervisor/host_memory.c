/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measuring what a guest's RAM costs the host.
 *
 * Theory of operation: guest RAM is in one of two places.  Private anonymous
 * memory is the line "Anonymous" of the process's smaps_rollup.  Shared RAM is a
 * memfd, or a file of tmpfs or hugetlbfs, that the process holds open; its
 * st_blocks count the allocated pages, whether mapped or not.  Each inode is
 * counted once.  RSS would not do: it misses pages that only another process
 * maps, and drops when a huge page is split.
 */
#include "hypervisor/hypervisor.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define STAT_BLOCK_BYTES 512 /* the unit of st_blocks, stat(3type) */

static bool read_anonymous_bytes(pid_t pid, uint64_t *bytes, GError **error)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", (int)pid);
	g_autofree char *text = NULL;
	const char *line;

	if (!g_file_get_contents(path, &text, NULL, error))
		return false;
	line = strstr(text, "\nAnonymous:");
	if (!line) {
		g_set_error(error, HV_ERROR, HV_ERROR_FAILED, "%s has no line 'Anonymous'", path);
		return false;
	}
	*bytes = g_ascii_strtoull(line + strlen("\nAnonymous:"), NULL, 10) * 1024;
	return true;
}

/* Bytes allocated to the file behind @fd_path if it is in memory; otherwise 0. */
static uint64_t read_memory_file_bytes(const char *fd_path, GHashTable *seen_inodes)
{
	struct statfs fs;
	struct stat st;

	if (stat(fd_path, &st) < 0 || !S_ISREG(st.st_mode) || statfs(fd_path, &fs) < 0)
		return 0;
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC)
		return 0;
	if (!g_hash_table_add(seen_inodes, g_strdup_printf("%ju:%ju", (uintmax_t)st.st_dev,
							   (uintmax_t)st.st_ino)))
		return 0;
	return (uint64_t)st.st_blocks * STAT_BLOCK_BYTES;
}

bool hv_host_bytes(pid_t pid, uint64_t *bytes, GError **error)
{
	g_autofree char *fd_folder = g_strdup_printf("/proc/%d/fd", (int)pid);
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GDir) dir = NULL;
	const char *fd;

	if (!read_anonymous_bytes(pid, bytes, error))
		return false;
	dir = g_dir_open(fd_folder, 0, error);
	if (!dir)
		return false;
	while ((fd = g_dir_read_name(dir))) {
		g_autofree char *fd_path = g_build_filename(fd_folder, fd, NULL);

		*bytes += read_memory_file_bytes(fd_path, seen);
	}
	return true;
}
