/* SPDX-License-Identifier: BSD-3-Clause */
/* The file as a whole, its defaults, and what follows from it; config_read.c reads it. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

#include "config/config_read.h"

#define FILE_MAX (1 << 20)

G_DEFINE_QUARK(config - error, config_error)

/* Appends what @fd has, but never much more than FILE_MAX; false with errno. */
static bool read_bounded(int fd, GString *text)
{
	char piece[16384];
	ssize_t n;

	while (text->len <= FILE_MAX) {
		n = read(fd, piece, sizeof(piece));
		if (n < 0 && errno != EINTR)
			return false;
		if (n == 0)
			break;
		if (n > 0)
			g_string_append_len(text, piece, n);
	}
	return true;
}

static GString *read_file(const char *path, int *error_number, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	bool is_read = fd >= 0 && read_bounded(fd, text);

	*error_number = errno;
	if (fd >= 0)
		close(fd);
	if (is_read && text->len <= FILE_MAX) {
		*error_number = 0;
		return g_steal_pointer(&text);
	}
	if (is_read)
		g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_FILE,
			    "%s: is larger than 1 MiB, which no configuration is", path);
	else
		g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_FILE, "%s: cannot be read: %s", path,
			    *error_number == EISDIR ? "it is a folder; name a file"
						    : g_strerror(*error_number));
	return NULL;
}

const char *config_path(bool *is_named)
{
	const char *path = g_getenv("AEROSTAT_CONFIG");

	*is_named = path != NULL;
	return path ? path : CONFIG_PATH;
}

struct config *config_new(void)
{
	struct config *config = g_new0(struct config, 1);

	config->path = g_strdup(CONFIG_PATH);
	config->policy = policy_table[0];
	config->settings.budget_bytes = POLICY_UNSET;
	config->settings.reserve_bytes = POLICY_UNSET;
	config->readers = g_strsplit("*", ";", -1);
	config->writers = g_new0(char *, 1);
	config->guests = g_ptr_array_new_with_free_func(config_guest_free);
	return config;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	g_free(config->path);
	g_strfreev(config->sources.libvirt_uris);
	g_strfreev(config->sources.qmp_globs);
	g_free(config->group);
	g_strfreev(config->readers);
	g_strfreev(config->writers);
	g_ptr_array_unref(config->guests);
	g_free(config);
}

/* A file that says one of the two kinds of sources has none of the other. */
static void complete_sources(struct hv_sources *sources)
{
	if (!sources->libvirt_uris && !sources->qmp_globs)
		return;
	if (!sources->libvirt_uris)
		sources->libvirt_uris = g_new0(char *, 1);
	if (!sources->qmp_globs)
		sources->qmp_globs = g_new0(char *, 1);
}

static bool parse(struct config *config, GString *text, GError **error)
{
	struct config_reader reader = {
		.config = config,
		.guests = g_hash_table_new(g_str_hash, g_str_equal),
		.said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
	};
	bool is_right = config_read(&reader, text, error);

	if (is_right)
		complete_sources(&config->sources);
	else
		g_prefix_error(error, "%s, line %u: ", config->path, reader.line);
	g_hash_table_unref(reader.guests);
	g_hash_table_unref(reader.said);
	g_free(reader.title);
	return is_right;
}

struct config *config_load(const char *path, GError **error)
{
	g_autoptr(config_file) config = config_new();
	g_autoptr(GString) text = NULL;
	g_autoptr(GError) reason = NULL;
	bool is_named = true;
	int error_number;

	if (!path)
		path = config_path(&is_named);
	g_free(config->path);
	config->path = g_strdup(path);
	text = read_file(path, &error_number, &reason);
	if (!text && !is_named && error_number == ENOENT)
		return g_steal_pointer(&config);
	if (text && parse(config, text, &reason))
		return g_steal_pointer(&config);
	g_propagate_error(error, g_steal_pointer(&reason));
	return NULL;
}

/*
 * What follows from it
 */
/* virsh's rule: its environment variables, else system for root and session for others. */
struct hv_sources config_default_sources(void)
{
	struct hv_sources sources = {
		.libvirt_uris = g_new0(char *, 2),
		.qmp_globs = g_new0(char *, 1),
	};
	const char *uri = g_getenv("VIRSH_DEFAULT_CONNECT_URI");

	if (!uri || !*uri)
		uri = g_getenv("LIBVIRT_DEFAULT_URI");
	if (!uri || !*uri)
		uri = geteuid() == 0 ? "qemu:///system" : "qemu:///session";
	sources.libvirt_uris[0] = g_strdup(uri);
	return sources;
}

/* Of a min and a max of different groups that contradict each other the later one stays. */
static void add_rules(struct policy_rules *rules, const struct config_guest *guest)
{
	if (guest->mode >= 0)
		rules->mode = (enum policy_mode)guest->mode;
	if (guest->weight > 0)
		rules->weight = guest->weight;
	if (guest->min_bytes != POLICY_UNSET)
		rules->min_bytes = guest->min_bytes;
	if (guest->max_bytes != POLICY_UNSET)
		rules->max_bytes = guest->max_bytes;
	if (rules->min_bytes == POLICY_UNSET || rules->min_bytes <= rules->max_bytes)
		return;
	if (guest->max_bytes != POLICY_UNSET)
		rules->min_bytes = rules->max_bytes;
	else
		rules->max_bytes = rules->min_bytes;
}

struct policy_rules config_rules(const struct config *config, const char *name)
{
	struct policy_rules rules = {
		.mode = POLICY_AUTO,
		.min_bytes = POLICY_UNSET,
		.max_bytes = POLICY_UNSET,
		.weight = 1,
	};

	for (guint i = 0; i < config->guests->len; i++) {
		const struct config_guest *guest = config->guests->pdata[i];

		if (!fnmatch(guest->glob, name, 0))
			add_rules(&rules, guest);
	}
	return rules;
}

static const char *const mode_names[] = {
	[POLICY_AUTO] = "auto",
	[POLICY_OBSERVE] = "observe",
	[POLICY_HELD] = "held",
	[POLICY_OFF] = "off",
};

const char *config_mode_name(enum policy_mode mode)
{
	return mode_names[mode];
}

int config_mode_find(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(mode_names); i++)
		if (!strcmp(mode_names[i], name))
			return (int)i;
	return -1;
}
