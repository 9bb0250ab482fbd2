/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file, line by line, so that each error knows its line.  config.h describes
 * the format.
 */
#include "config/config_private.h"

#include <string.h>

#include "common/size.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* The state of reading. */
struct reader {
	struct config *config;
	unsigned int line;
	const char *group;	    /* of config_key_table; NULL before the first */
	char *title;		    /* what the brackets contain: "guest web" */
	struct config_guest *guest; /* of the current [guest GLOB] */
	GHashTable *guests;	    /* glob → struct config_guest, of all so far */
	GHashTable *lines;	    /* "TITLE\nKEY" → the line on which it is set */
};

/*
 * What was meant
 */

/* The Levenshtein distance of @a and @b. */
static size_t count_edits(const char *a, const char *b)
{
	size_t width = strlen(b) + 1;
	g_autofree size_t *row = g_new(size_t, width);

	for (size_t j = 0; j < width; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j < width; j++) {
			size_t replaced = diagonal + (a[i] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[width - 1];
}

/* The key of @group that is most like @name, or the group if @group is NULL; NULL: none is. */
static const char *find_similar_name(const char *group, const char *name)
{
	const char *best = NULL;
	size_t least = MAX(strlen(name) / 2, 2) + 1;

	for (const struct config_key *row = config_key_table; row->group; row++) {
		const char *candidate = group ? row->key : row->group;
		size_t edits = count_edits(name, candidate);

		if (group && strcmp(row->group, group))
			continue;
		if (edits < least) {
			best = candidate;
			least = edits;
		}
	}
	return best;
}

static const char *show_group(const char *group)
{
	return strcmp(group, "guest") ? group : "guest NAME";
}

static bool set_unknown_group(const char *title, const char *group, GError **error)
{
	g_autofree char *text = config_excerpt(title);
	g_autofree char *start = config_excerpt(group);
	g_autoptr(GString) groups = g_string_new(NULL);
	const char *meant = find_similar_name(NULL, start), *last = "";

	if (meant)
		return config_set_error(error, "unknown group [%s]; did you mean [%s]?", text,
					show_group(meant));
	for (const struct config_key *row = config_key_table; row->group; row++) {
		if (strcmp(row->group, last))
			g_string_append_printf(groups, "%s[%s]", groups->len ? ", " : "",
					       show_group(row->group));
		last = row->group;
	}
	return config_set_error(error, "unknown group [%s]; use one of %s", text, groups->str);
}

static bool set_unknown_key(const struct reader *reader, const char *key, GError **error)
{
	g_autoptr(GString) keys = g_string_new(NULL);
	g_autofree char *text = config_excerpt(key);
	g_autofree char *title = config_excerpt(reader->title);
	const char *home = NULL, *meant = find_similar_name(reader->group, text);

	for (const struct config_key *row = config_key_table; row->group; row++) {
		if (!strcmp(row->group, reader->group))
			g_string_append_printf(keys, "%s%s", keys->len ? ", " : "", row->key);
		else if (!strcmp(row->key, key))
			home = show_group(row->group);
	}
	if (home)
		return config_set_error(error, "[%s] has no key '%s'; it belongs to [%s]", title,
					text, home);
	return config_set_error(error, "[%s] has no key '%s', only %s%s%s%s", title, text,
				keys->str, meant ? "; did you mean " : "", meant ? meant : "",
				meant ? "?" : "");
}

/*
 * Lines
 */

void config_guest_free(void *data)
{
	struct config_guest *guest = data;

	g_free(guest->glob);
	g_free(guest);
}

/* The [guest GLOB] of @glob; a new one unless the file had it already. */
static struct config_guest *open_guest_group(struct reader *reader, const char *glob)
{
	struct config_guest *guest = g_hash_table_lookup(reader->guests, glob);

	if (guest)
		return guest;
	guest = g_new(struct config_guest, 1);
	*guest = (struct config_guest){
		.glob = g_strdup(glob),
		.mode = -1,
		.min_bytes = POLICY_UNSET,
		.max_bytes = POLICY_UNSET,
	};
	g_ptr_array_add(reader->config->guests, guest);
	g_hash_table_insert(reader->guests, guest->glob, guest);
	return guest;
}

static bool find_key_group(struct reader *reader, const char *group)
{
	for (const struct config_key *row = config_key_table; row->group; row++)
		if (!strcmp(row->group, group)) {
			reader->group = row->group;
			return true;
		}
	return false;
}

/* @line: "[host]", "[guest web*]" */
static bool read_group_line(struct reader *reader, const char *line, GError **error)
{
	g_autofree char *inside = g_strdup(line + 1);
	g_autofree char *group = NULL;
	g_autofree char *text = config_excerpt(line);
	char *name;

	if (!g_str_has_suffix(inside, "]"))
		return config_set_error(
			error, "'%s' is not a group; write [NAME] with nothing after it", text);
	inside[strlen(inside) - 1] = '\0';
	g_strstrip(inside);
	group = g_strndup(inside, strcspn(inside, " \t"));
	name = inside + strlen(group) + strspn(inside + strlen(group), " \t");
	if (!find_key_group(reader, group) || (*name && strcmp(group, "guest")))
		return set_unknown_group(inside, group, error);
	g_free(reader->title);
	reader->title = g_strdup_printf("%s%s%s", group, *name ? " " : "", name);
	if (strcmp(group, "guest"))
		return true;
	if (!*name)
		return config_set_error(error,
					"[guest] needs a name; write [guest NAME], or [guest *] "
					"for all guests");
	reader->guest = open_guest_group(reader, name);
	return true;
}

/* The line on which @key of [@title] is set; 0 when it is not. */
static unsigned int find_key_line(const struct reader *reader, const char *title, const char *key)
{
	g_autofree char *id = g_strdup_printf("%s\n%s", title, key);

	return GPOINTER_TO_UINT(g_hash_table_lookup(reader->lines, id));
}

static bool read_key_value(struct reader *reader, const struct config_key *row, const char *raw,
			   GError **error)
{
	unsigned int before = find_key_line(reader, reader->title, row->key);
	char *base = strcmp(row->group, "guest") ? (char *)reader->config : (char *)reader->guest;
	g_autofree char *title = config_excerpt(reader->title);

	if (before)
		return config_set_error(error,
					"[%s] has %s on line %u already; remove one of the two",
					title, row->key, before);
	g_hash_table_insert(reader->lines, g_strdup_printf("%s\n%s", reader->title, row->key),
			    GUINT_TO_POINTER(reader->line));
	if (!*raw && !row->may_be_empty)
		return config_set_error(error, "%s has no value; it takes %s", row->key,
					row->values);
	if (row->parse(row, raw, base + row->offset, error))
		return true;
	g_prefix_error(error, "%s: ", row->key);
	return false;
}

/* @line: "key = value" */
static bool read_key_line(struct reader *reader, const char *line, GError **error)
{
	const char *equals = strchr(line, '=');
	g_autofree char *text = config_excerpt(line);
	g_autofree char *key = NULL;
	g_autofree char *raw = NULL;

	if (!equals)
		return config_set_error(
			error, "'%s' is neither [GROUP] nor KEY=VALUE nor a # comment", text);
	if (!reader->group)
		return config_set_error(error, "'%s' is in no group; put it below a [GROUP]", text);
	key = g_strchomp(g_strndup(line, (gsize)(equals - line)));
	raw = g_strstrip(g_strdup(equals + 1));
	for (const struct config_key *row = config_key_table; row->group; row++)
		if (!strcmp(row->group, reader->group) && !strcmp(row->key, key))
			return read_key_value(reader, row, raw, error);
	return set_unknown_key(reader, key, error);
}

static bool read_config_line(struct reader *reader, const char *line, GError **error)
{
	if (!*line || *line == '#')
		return true;
	return *line == '[' ? read_group_line(reader, line, error)
			    : read_key_line(reader, line, error);
}

/* A min above the max is an error of the later line of the two. */
static bool check_guest_bounds(struct reader *reader, GError **error)
{
	for (guint i = 0; i < reader->config->guests->len; i++) {
		const struct config_guest *guest = reader->config->guests->pdata[i];
		g_autofree char *title = g_strdup_printf("guest %s", guest->glob);
		g_autofree char *text = config_excerpt(title);
		g_autofree char *min = size_format(guest->min_bytes);
		g_autofree char *max = size_format(guest->max_bytes);

		if (guest->min_bytes == POLICY_UNSET || guest->min_bytes <= guest->max_bytes)
			continue;
		reader->line = MAX(find_key_line(reader, title, "min"),
				   find_key_line(reader, title, "max"));
		return config_set_error(error, "[%s] has a min of %s, above its max of %s", text,
					min, max);
	}
	return true;
}

static bool read_config_text(struct reader *reader, GString *text, GError **error)
{
	const char *end;
	char *line = text->str, *next;

	if (g_str_has_prefix(line, BYTE_ORDER_MARK))
		line += strlen(BYTE_ORDER_MARK);
	if (!g_utf8_validate(text->str, (gssize)text->len, &end)) {
		for (reader->line = 1; line < end; line++)
			reader->line += *line == '\n';
		return config_set_error(error, "the byte 0x%02x is not valid UTF-8",
					(unsigned char)*end);
	}
	for (; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		reader->line++;
		if (!read_config_line(reader, g_strstrip(line), error))
			return false;
	}
	return check_guest_bounds(reader, error);
}

bool config_read(struct config *config, GString *text, unsigned int *line, GError **error)
{
	struct reader reader = {
		.config = config,
		.guests = g_hash_table_new(g_str_hash, g_str_equal),
		.lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
	};
	bool is_valid = read_config_text(&reader, text, error);

	*line = reader.line;
	g_hash_table_unref(reader.guests);
	g_hash_table_unref(reader.lines);
	g_free(reader.title);
	return is_valid;
}
