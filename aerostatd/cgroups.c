/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * A process's cgroup is in /proc/PID/cgroup, as seen from the daemon's cgroup namespace, and its
 * folder below the mount of the hierarchy that has the memory controller: version 2, version 2 at
 * "unified" (systemd's hybrid mode, where it has no memory controller), or version 1 at "memory".
 * From there limits are read upwards to the mount, whose own limit counts too if the daemon runs
 * in a container.  A folder without the files of the memory controller has no limit: the root, a
 * threaded cgroup, or one whose parent does not pass the controller on.  In version 1 limits above
 * a cgroup without memory.use_hierarchy do not hold for the cgroups in it.
 *
 * That a file is not there is an answer; that it cannot be read is none.  Then the limit that was
 * read last counts, and the daemon reports it.
 *
 * What a cgroup can still use is its limit less what it uses, without the page cache of files,
 * which the kernel drops first.  Guests' RAM in a memfd is page cache too, but counts as
 * anonymous in these numbers, because it can only be swapped.
 */
#include "aerostatd/cgroups.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define CGROUP_ROOT "../sys/fs/cgroup" /* relative to @proc */

/* The files of a version of the memory controller. */
static const struct version {
	const char *roots[2]; /* relative to CGROUP_ROOT */
	const char *limits[2];
	const char *hierarchy; /* 0: what is used in its children is not charged to it; or NULL */
	const char *usage;
	const char *droppable[2]; /* lines of memory.stat */
} versions[] = {
	{ { "", "unified" },
	  { "memory.max", "memory.high" },
	  NULL,
	  "memory.current",
	  { "inactive_file ", "active_file " } },
	{ { "memory", NULL },
	  { "memory.limit_in_bytes", NULL },
	  "memory.use_hierarchy",
	  "memory.usage_in_bytes",
	  { "total_inactive_file ", "total_active_file " } },
};

/* A cgroup with a limit. */
struct found {
	char *folder;
	char *path; /* for people */
	const struct version *version;
};

struct cgroups {
	char *proc;
	int64_t refreshed_us;  /* when all of them were last looked for; 0: never */
	GHashTable *processes; /* pid → number, since then */
	GHashTable *folders;   /* folder → the number of it or the next above it, since then */
	GArray *groups;	       /* struct policy_group */
	GPtrArray *found;      /* struct found *, of each group */
	/* The last answers, for when there is none: folder → guint64 *, its limit, and
	 * pid → char *, what /proc/PID/cgroup held. */
	GHashTable *known, *memberships;
	char *problem;
};

static void free_found(gpointer data)
{
	struct found *found = data;

	g_free(found->folder);
	g_free(found->path);
	g_free(found);
}

struct cgroups *cgroups_new(const char *proc)
{
	struct cgroups *cgroups = g_new0(struct cgroups, 1);

	cgroups->proc = g_strdup(proc);
	cgroups->processes = g_hash_table_new(NULL, NULL);
	cgroups->folders = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	cgroups->groups = g_array_new(FALSE, FALSE, sizeof(struct policy_group));
	cgroups->found = g_ptr_array_new_with_free_func(free_found);
	cgroups->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	cgroups->memberships = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	return cgroups;
}

void cgroups_free(struct cgroups *cgroups)
{
	if (!cgroups)
		return;
	g_hash_table_unref(cgroups->processes);
	g_hash_table_unref(cgroups->folders);
	g_array_unref(cgroups->groups);
	g_ptr_array_unref(cgroups->found);
	g_hash_table_unref(cgroups->known);
	g_hash_table_unref(cgroups->memberships);
	g_free(cgroups->proc);
	g_free(cgroups->problem);
	g_free(cgroups);
}

/* The first problem is kept. */
static void note_problem(struct cgroups *cgroups, const char *path, const char *why)
{
	if (!cgroups->problem)
		cgroups->problem = g_strdup_printf("%s: %s", path, why);
}

enum answer { ANSWER_NUMBER, ANSWER_NONE, ANSWER_UNKNOWN };

/* ANSWER_NONE: there is no such file, or its number is "max". */
static enum answer read_number(struct cgroups *cgroups, const char *folder, const char *name,
			       uint64_t *number)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;

	if (!g_file_get_contents(path, &text, NULL, &error)) {
		if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT) ||
		    g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NODEV))
			return ANSWER_NONE;
		note_problem(cgroups, path, "cannot be read");
		return ANSWER_UNKNOWN;
	}
	g_strstrip(text);
	if (!strcmp(text, "max"))
		return ANSWER_NONE;
	if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, number, NULL)) {
		note_problem(cgroups, path, "is not a number");
		return ANSWER_UNKNOWN;
	}
	return ANSWER_NUMBER;
}

/* The limit of a folder; POLICY_UNSET: it has none. */
static uint64_t read_limit(struct cgroups *cgroups, const struct version *version,
			   const char *folder)
{
	uint64_t limit = POLICY_UNSET, number;
	bool unknown = false;

	for (size_t i = 0; i < G_N_ELEMENTS(version->limits) && version->limits[i]; i++) {
		switch (read_number(cgroups, folder, version->limits[i], &number)) {
		case ANSWER_NUMBER:
			limit = MIN(limit, number);
			break;
		case ANSWER_UNKNOWN:
			unknown = true;
			break;
		case ANSWER_NONE:
			break;
		}
	}
	if (unknown) {
		const guint64 *known = g_hash_table_lookup(cgroups->known, folder);

		return known ? MIN(limit, *known) : limit;
	}
	g_hash_table_insert(cgroups->known, g_strdup(folder), g_memdup2(&limit, sizeof(limit)));
	return limit;
}

/* The sum of what a folder's memory.stat says about the page cache of files. */
static uint64_t read_droppable(const struct version *version, const char *folder)
{
	g_autofree char *path = g_build_filename(folder, "memory.stat", NULL);
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	uint64_t sum = 0;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++)
		for (size_t i = 0; i < G_N_ELEMENTS(version->droppable); i++)
			if (g_str_has_prefix(*line, version->droppable[i]))
				sum += g_ascii_strtoull(*line + strlen(version->droppable[i]), NULL,
							10);
	return sum;
}

static uint64_t read_available(struct cgroups *cgroups, const struct version *version,
			       const char *folder, uint64_t limit)
{
	uint64_t used, droppable;

	if (read_number(cgroups, folder, version->usage, &used) != ANSWER_NUMBER)
		return POLICY_UNSET;
	droppable = read_droppable(version, folder);
	used = used > droppable ? used - droppable : 0;
	return limit > used ? limit - used : 0;
}

static uint64_t add_group(struct cgroups *cgroups, const struct version *version,
			  const char *folder, const char *path, uint64_t parent, uint64_t limit)
{
	struct policy_group group = { parent, limit,
				      read_available(cgroups, version, folder, limit) };
	struct found *found = g_new(struct found, 1);

	*found = (struct found){ g_strdup(folder), g_strdup(path), version };
	g_ptr_array_add(cgroups->found, found);
	g_array_append_val(cgroups->groups, group);
	return cgroups->groups->len;
}

/* Whether what is used in the children of @folder counts for its limit, too. */
static bool charges_for_children(struct cgroups *cgroups, const struct version *version,
				 const char *root, const char *path)
{
	g_autofree char *folder = g_build_filename(root, path, NULL);
	uint64_t hierarchy;

	return !version->hierarchy ||
	       read_number(cgroups, folder, version->hierarchy, &hierarchy) != ANSWER_NUMBER ||
	       hierarchy != 0;
}

/* The group of the cgroup @path below @root, or of the next above that has a limit. */
static uint64_t find_folder_number(struct cgroups *cgroups, const struct version *version,
				   const char *root, const char *path, uint64_t host_bytes)
{
	g_autofree char *folder = g_build_filename(root, path, NULL);
	g_autofree char *above = NULL;
	uint64_t number = 0, limit;
	gpointer found;

	if (g_hash_table_lookup_extended(cgroups->folders, folder, NULL, &found))
		return GPOINTER_TO_SIZE(found);
	if (strcmp(path, "/")) {
		above = g_path_get_dirname(path);
		if (charges_for_children(cgroups, version, root, above))
			number = find_folder_number(cgroups, version, root, above, host_bytes);
	}
	limit = read_limit(cgroups, version, folder);
	if (limit < host_bytes)
		number = add_group(cgroups, version, folder, path, number, limit);
	g_hash_table_insert(cgroups->folders, g_steal_pointer(&folder), GSIZE_TO_POINTER(number));
	return number;
}

/* The group of a process whose cgroup is @path in the hierarchy of this version. */
static uint64_t find_path_number(struct cgroups *cgroups, const struct version *version,
				 const char *path, uint64_t host_bytes)
{
	if (path[0] != '/' || g_str_has_prefix(path, "/..")) {
		note_problem(cgroups, path, "is outside of the daemon's cgroup namespace");
		return 0;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(version->roots) && version->roots[i]; i++) {
		g_autofree char *root =
			g_build_filename(cgroups->proc, CGROUP_ROOT, version->roots[i], NULL);
		g_autofree char *folder = g_build_filename(root, path, NULL);

		if (g_file_test(folder, G_FILE_TEST_IS_DIR))
			return find_folder_number(cgroups, version, root, path, host_bytes);
	}
	/* A process that has ended, and was not reaped, may be in one that was removed. */
	if (strcmp(path, "/") && !g_str_has_suffix(path, " (deleted)"))
		note_problem(cgroups, path, "is not below /sys/fs/cgroup");
	return 0;
}

/* Of a line "NUMBER:CONTROLLERS:PATH", the path if it is about a hierarchy with memory limits. */
static const char *parse_membership(char *line, const struct version **version)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	g_auto(GStrv) names = NULL;

	if (!path)
		return NULL;
	*path++ = '\0';
	names = g_strsplit(controllers + 1, ",", -1);
	if (!*names)
		*version = &versions[0];
	else if (g_strv_contains((const char *const *)names, "memory"))
		*version = &versions[1];
	else
		return NULL;
	return path;
}

/* What /proc/PID/cgroup holds, or held when it could last be read; NULL: nothing. */
static const char *read_memberships(struct cgroups *cgroups, pid_t pid)
{
	g_autofree char *file = g_strdup_printf("%s/%d/cgroup", cgroups->proc, (int)pid);
	gpointer key = GINT_TO_POINTER(pid);
	g_autoptr(GError) error = NULL;
	char *text = NULL;

	if (g_file_get_contents(file, &text, NULL, &error))
		g_hash_table_insert(cgroups->memberships, key, text);
	else if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
		g_hash_table_remove(cgroups->memberships, key); /* the process has ended */
	else
		note_problem(cgroups, file, "cannot be read");
	return g_hash_table_lookup(cgroups->memberships, key);
}

static uint64_t find_process_number(struct cgroups *cgroups, pid_t pid, uint64_t host_bytes)
{
	const char *text = read_memberships(cgroups, pid);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
	uint64_t number = 0;

	for (char **line = lines; *line && !number; line++) {
		const struct version *version;
		const char *path = parse_membership(*line, &version);

		if (path)
			number = find_path_number(cgroups, version, path, host_bytes);
	}
	return number;
}

static void read_groups_again(struct cgroups *cgroups)
{
	for (guint i = 0; i < cgroups->groups->len; i++) {
		struct policy_group *group =
			&g_array_index(cgroups->groups, struct policy_group, i);
		const struct found *found = cgroups->found->pdata[i];
		uint64_t limit = read_limit(cgroups, found->version, found->folder);

		group->limit_bytes = limit == POLICY_UNSET ? INT64_MAX : limit;
		group->available_bytes =
			read_available(cgroups, found->version, found->folder, group->limit_bytes);
	}
}

/* Answers about processes and folders that are gone do not pile up. */
static void forget_all(struct cgroups *cgroups)
{
	if (g_hash_table_size(cgroups->memberships) > 2 * g_hash_table_size(cgroups->processes))
		g_hash_table_remove_all(cgroups->memberships);
	if (g_hash_table_size(cgroups->known) > 2 * g_hash_table_size(cgroups->folders))
		g_hash_table_remove_all(cgroups->known);
	g_hash_table_remove_all(cgroups->processes);
	g_hash_table_remove_all(cgroups->folders);
	g_array_set_size(cgroups->groups, 0);
	g_ptr_array_set_size(cgroups->found, 0);
}

void cgroups_find(struct cgroups *cgroups, int64_t now_us, uint64_t host_bytes, const pid_t *pids,
		  size_t count, uint64_t *numbers)
{
	g_clear_pointer(&cgroups->problem, g_free);
	if (!cgroups->refreshed_us || now_us - cgroups->refreshed_us >= CGROUPS_REFRESH_US) {
		forget_all(cgroups);
		cgroups->refreshed_us = now_us;
	} else {
		read_groups_again(cgroups);
	}
	for (size_t i = 0; i < count; i++) {
		gpointer key = GINT_TO_POINTER(pids[i]), found;

		if (!pids[i]) {
			numbers[i] = 0;
		} else if (g_hash_table_lookup_extended(cgroups->processes, key, NULL, &found)) {
			numbers[i] = GPOINTER_TO_SIZE(found);
		} else {
			numbers[i] = find_process_number(cgroups, pids[i], host_bytes);
			g_hash_table_insert(cgroups->processes, key, GSIZE_TO_POINTER(numbers[i]));
		}
	}
}

const struct policy_group *cgroups_list(const struct cgroups *cgroups, size_t *count)
{
	*count = cgroups->groups->len;
	return (const struct policy_group *)(void *)cgroups->groups->data;
}

const char *cgroups_path(const struct cgroups *cgroups, uint64_t number)
{
	return ((const struct found *)cgroups->found->pdata[number - 1])->path;
}

const char *cgroups_problem(const struct cgroups *cgroups)
{
	return cgroups->problem;
}
