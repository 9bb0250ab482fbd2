/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measuring what a guest's RAM costs the host.
 *
 * Theory of operation: guest RAM is in one of two places.  Private memory is the
 * lines "Anonymous" of the process's smaps, or "Private_Hugetlb" of its private
 * mappings of huge pages.  Shared RAM is a memfd, or a file of tmpfs or
 * hugetlbfs, that the process holds open; its st_blocks count the allocated pages,
 * whether mapped or not.  Each inode is counted once.  RSS would not do: it misses
 * pages that only another process maps, and drops when a huge page is split.  It has
 * to do for other shared memory: a file on a disk, of which the host's memory holds
 * the part that is in its page cache, and shared memory without a file.
 *
 * A page that the kernel has merged with others (KSM) is in several mappings, and "Pss"
 * counts it by its part.  "Anonymous" alone would report memory as gained that the other
 * mappings still hold.
 *
 * Which of it is the guest's RAM, and which the VMM's own memory, shows by the
 * size: each of a guest's few RAM blocks is much larger than anything of the VMM's
 * that is writable and not executable (which excludes the code of TCG).  If what is
 * found that way is less than the guest has, the guest's part is not known.
 */
#include "hypervisor/hypervisor.h"

#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define STAT_BLOCK_BYTES 512 /* the unit of st_blocks, stat(3type) */
#define RAM_BLOCK_PART 4     /* a guest with more equal NUMA nodes has no known RAM */
#define RAM_FOUND_PART 4     /* all but this part of the RAM must be found */

/* What was found so far. */
struct found {
	GHashTable *memory_files;  /* "major:minor inode" of each, as smaps prints it */
	uint64_t block_bytes;	   /* larger mappings and files are RAM */
	uint64_t bytes, ram_bytes; /* in the host's memory */
	uint64_t size_bytes;	   /* of all mappings and files that are RAM */
};

/* One mapping of smaps. */
struct mapping {
	bool may_be_ram; /* writable, and not executable */
	bool private;
	bool large;
	bool counts_rss; /* it is shared RAM that is not in a memory file */
	uint64_t pss_bytes;
};

/* @access: the rest of the header, from the access on. */
static bool is_memory_file(const struct found *found, const char *access)
{
	unsigned int device_major, device_minor;
	uintmax_t inode;
	g_autofree char *key = NULL;

	if (sscanf(access, "%*s %*x %x:%x %ju", &device_major, &device_minor, &inode) != 3)
		return false;
	key = g_strdup_printf("%x:%x %ju", device_major, device_minor, inode);
	return g_hash_table_contains(found->memory_files, key);
}

static bool is_mapping_header(const char *line)
{
	return g_ascii_isxdigit(*line) && !g_ascii_isupper(*line);
}

/* "7f00-7f80 rw-p 00000000 00:01 1042 /memfd:ram (deleted)" */
static struct mapping read_mapping_header(struct found *found, const char *line)
{
	char *end;
	uint64_t from = g_ascii_strtoull(line, &end, 16), to = 0;
	struct mapping mapping = { 0 };
	const char *access;

	if (*end == '-')
		to = g_ascii_strtoull(end + 1, &end, 16);
	access = *end == ' ' ? end + 1 : "";
	if (strlen(access) < 4)
		return mapping;
	mapping.may_be_ram = access[1] == 'w' && access[2] != 'x';
	mapping.private = access[3] == 'p';
	mapping.large = to - from >= found->block_bytes;
	mapping.counts_rss = mapping.may_be_ram && mapping.large && !mapping.private &&
			     !is_memory_file(found, access);
	if (mapping.may_be_ram && mapping.large && (mapping.private || mapping.counts_rss))
		found->size_bytes += to - from;
	return mapping;
}

/* Whether this is line @key of an entry of smaps, with its number. */
static bool is_mapping_line(const char *line, const char *key, uint64_t *bytes)
{
	if (!g_str_has_prefix(line, key))
		return false;
	*bytes = g_ascii_strtoull(line + strlen(key), NULL, 10) * 1024;
	return true;
}

/* "Rss" and "Pss" come before "Anonymous". */
static void read_mapping_line(struct found *found, struct mapping *mapping, const char *line)
{
	uint64_t bytes, cost = 0;

	if (is_mapping_line(line, "Pss:", &bytes))
		mapping->pss_bytes = bytes;
	else if (is_mapping_line(line, "Rss:", &bytes))
		cost = mapping->counts_rss ? bytes : 0;
	else if (is_mapping_line(line, "Anonymous:", &bytes))
		cost = mapping->counts_rss ? 0 : MIN(bytes, mapping->pss_bytes);
	else if (is_mapping_line(line, "Private_Hugetlb:", &bytes))
		cost = mapping->private ? bytes : 0;
	found->bytes += cost;
	if (mapping->may_be_ram && mapping->large)
		found->ram_bytes += cost;
}

static bool read_mappings(pid_t pid, struct found *found, GError **error)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/smaps", (int)pid);
	g_autofree char *text = NULL;
	struct mapping mapping = { 0 };

	if (!g_file_get_contents(path, &text, NULL, error))
		return false;
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		if (is_mapping_header(line))
			mapping = read_mapping_header(found, line);
		else
			read_mapping_line(found, &mapping, line);
		if (!strchr(line, '\n'))
			break;
	}
	return true;
}

/* Adds the file behind @fd_path if it is in memory. */
static void add_memory_file(struct found *found, const char *fd_path)
{
	struct statfs fs;
	struct stat st;
	uint64_t bytes;

	if (stat(fd_path, &st) < 0 || !S_ISREG(st.st_mode) || statfs(fd_path, &fs) < 0)
		return;
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC)
		return;
	if (!g_hash_table_add(found->memory_files,
			      g_strdup_printf("%x:%x %ju", major(st.st_dev), minor(st.st_dev),
					      (uintmax_t)st.st_ino)))
		return;
	bytes = (uint64_t)st.st_blocks * STAT_BLOCK_BYTES;
	found->bytes += bytes;
	if ((uint64_t)st.st_size < found->block_bytes)
		return;
	found->ram_bytes += bytes;
	found->size_bytes += (uint64_t)st.st_size;
}

static bool read_memory_files(pid_t pid, struct found *found, GError **error)
{
	g_autofree char *fd_folder = g_strdup_printf("/proc/%d/fd", (int)pid);
	g_autoptr(GDir) dir = g_dir_open(fd_folder, 0, error);
	const char *fd;

	while (dir && (fd = g_dir_read_name(dir))) {
		g_autofree char *fd_path = g_build_filename(fd_folder, fd, NULL);

		add_memory_file(found, fd_path);
	}
	return dir != NULL;
}

bool hv_host_cost(pid_t pid, uint64_t max_bytes, struct hv_host_cost *cost, GError **error)
{
	g_autoptr(GHashTable) files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct found found = { files, .block_bytes = MAX(max_bytes / RAM_BLOCK_PART, 1) };

	/* Files first: a mapping of one of them counts there. */
	if (!read_memory_files(pid, &found, error) || !read_mappings(pid, &found, error))
		return false;
	cost->bytes = found.bytes;
	cost->ram_bytes = max_bytes && found.size_bytes >= max_bytes - max_bytes / RAM_FOUND_PART
				  ? found.ram_bytes
				  : HV_UNSET;
	return true;
}

bool hv_host_bytes(pid_t pid, uint64_t *bytes, GError **error)
{
	struct hv_host_cost cost;

	if (!hv_host_cost(pid, 0, &cost, error))
		return false;
	*bytes = cost.bytes;
	return true;
}
