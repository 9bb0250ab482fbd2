/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file, line by line, so that each refusal knows its line.
 *
 * Theory of operation
 * -------------------
 * A line is a [group], a key with its value, a comment or empty, as in GLib's ini files.
 * Only a group's name may be more than theirs: it ends with the line's last bracket, so
 * that a glob may have some, too.
 *
 * Groups of one name are one group, which stands where the first of them does.  A key
 * is said once in it: of two lines that contradict each other none is the right one.
 */
#include "config/config_read.h"

#include <string.h>

#include "common/size.h"

#define SHOWN_MAX 60 /* bytes of a line that a message repeats */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

bool config_wrong(GError **error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_propagate_error(
		error, g_error_new_valist(CONFIG_ERROR, CONFIG_ERROR_INVALID, format, arguments));
	va_end(arguments);
	return false;
}

char *config_shown(const char *text)
{
	const char *end = text;
	char *copy;

	while (*end && g_utf8_next_char(end) - text <= SHOWN_MAX)
		end = g_utf8_next_char(end);
	copy = g_strdup_printf("%.*s%s", (int)(end - text), text, *end ? "…" : "");
	for (char *c = copy; *c; c++)
		if (g_ascii_iscntrl(*c))
			*c = '?';
	return copy;
}

/*
 * What was meant
 */

/* How many letters have to be put in, taken out or replaced to make @b of @a. */
static size_t distance(const char *a, const char *b)
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

/* The key of @group (NULL: the group) that is most like @word; NULL when none is. */
static const char *nearest(const char *group, const char *word)
{
	const char *best = NULL;
	size_t least = MAX(strlen(word) / 2, 2) + 1;

	for (const struct config_key *row = config_key_table; row->group; row++) {
		const char *candidate = group ? row->key : row->group;

		if (group && strcmp(row->group, group))
			continue;
		if (distance(word, candidate) < least) {
			best = candidate;
			least = distance(word, candidate);
		}
	}
	return best;
}

static const char *group_form(const char *group)
{
	return strcmp(group, "guest") ? group : "guest NAME";
}

static bool wrong_group(const char *title, const char *word, GError **error)
{
	g_autofree char *text = config_shown(title);
	g_autofree char *start = config_shown(word);
	const char *meant = nearest(NULL, start);

	if (meant)
		return config_wrong(error, "there is no group [%s]; did you mean [%s]?", text,
				    group_form(meant));
	return config_wrong(
		error, "there is no group [%s], only [discover], [host], [api] and [guest NAME]",
		text);
}

static bool wrong_key(const struct config_reader *reader, const char *key, GError **error)
{
	g_autoptr(GString) keys = g_string_new(NULL);
	g_autofree char *text = config_shown(key);
	g_autofree char *title = config_shown(reader->title);
	const char *home = NULL, *meant = nearest(reader->group, text);

	for (const struct config_key *row = config_key_table; row->group; row++) {
		if (!strcmp(row->group, reader->group))
			g_string_append_printf(keys, "%s%s", keys->len ? ", " : "", row->key);
		else if (!strcmp(row->key, key))
			home = group_form(row->group);
	}
	if (home)
		return config_wrong(error, "[%s] has no key '%s'; it belongs to [%s]", title, text,
				    home);
	return config_wrong(error, "[%s] has no key '%s', only %s%s%s%s", title, text, keys->str,
			    meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
}

/*
 * Lines
 */
void config_guest_free(gpointer data)
{
	struct config_guest *guest = data;

	g_free(guest->glob);
	g_free(guest);
}

/* The [guest GLOB] of this glob, a new one unless there was one. */
static struct config_guest *open_guest(struct config_reader *reader, const char *glob)
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
		.line = reader->line,
	};
	g_ptr_array_add(reader->config->guests, guest);
	g_hash_table_insert(reader->guests, guest->glob, guest);
	return guest;
}

static bool find_group(struct config_reader *reader, const char *word)
{
	for (const struct config_key *row = config_key_table; row->group; row++)
		if (!strcmp(row->group, word)) {
			reader->group = row->group;
			return true;
		}
	return false;
}

/* @line: "[host]", "[guest web*]" */
static bool read_group(struct config_reader *reader, const char *line, GError **error)
{
	g_autofree char *inside = g_strdup(line + 1);
	g_autofree char *word = NULL;
	g_autofree char *text = config_shown(line);
	char *name;

	if (!g_str_has_suffix(inside, "]"))
		return config_wrong(error, "'%s' is no group; it is a [NAME] and nothing behind it",
				    text);
	inside[strlen(inside) - 1] = '\0';
	g_strstrip(inside);
	word = g_strndup(inside, strcspn(inside, " \t"));
	name = inside + strlen(word) + strspn(inside + strlen(word), " \t");
	if (!find_group(reader, word) || (*name && strcmp(word, "guest")))
		return wrong_group(inside, word, error);
	g_free(reader->title);
	reader->title = g_strdup_printf("%s%s%s", word, *name ? " " : "", name);
	if (strcmp(word, "guest"))
		return true;
	if (!*name)
		return config_wrong(error,
				    "[guest] does not say which; write [guest NAME], or [guest *] "
				    "for all of them");
	reader->guest = open_guest(reader, name);
	return true;
}

/* Where @title said @key; 0 when it did not. */
static unsigned int said_on(const struct config_reader *reader, const char *title, const char *key)
{
	g_autofree char *id = g_strdup_printf("%s\n%s", title, key);

	return GPOINTER_TO_UINT(g_hash_table_lookup(reader->said, id));
}

static bool read_value(struct config_reader *reader, const struct config_key *row, const char *raw,
		       GError **error)
{
	unsigned int before = said_on(reader, reader->title, row->key);
	g_autofree char *title = config_shown(reader->title);

	if (before)
		return config_wrong(error,
				    "[%s] has its %s on line %u already; leave one of them out",
				    title, row->key, before);
	g_hash_table_insert(reader->said, g_strdup_printf("%s\n%s", reader->title, row->key),
			    GUINT_TO_POINTER(reader->line));
	if (!*raw && !row->may_be_empty)
		return config_wrong(error, "%s has no value; it takes %s", row->key, row->values);
	if (row->take(reader, raw, error))
		return true;
	g_prefix_error(error, "%s: ", row->key);
	return false;
}

/* @line: "key = value" */
static bool read_key(struct config_reader *reader, const char *line, GError **error)
{
	const char *equals = strchr(line, '=');
	g_autofree char *text = config_shown(line);
	g_autofree char *key = NULL;
	g_autofree char *raw = NULL;

	if (!equals)
		return config_wrong(error, "'%s' is neither [GROUP] nor KEY=VALUE nor a # comment",
				    text);
	if (!reader->group)
		return config_wrong(
			error, "'%s' stands in no group; a [GROUP] has to come before it", text);
	key = g_strchomp(g_strndup(line, (gsize)(equals - line)));
	raw = g_strstrip(g_strdup(equals + 1));
	for (const struct config_key *row = config_key_table; row->group; row++)
		if (!strcmp(row->group, reader->group) && !strcmp(row->key, key))
			return read_value(reader, row, raw, error);
	return wrong_key(reader, key, error);
}

static bool read_line(struct config_reader *reader, const char *line, GError **error)
{
	if (!*line || *line == '#')
		return true;
	return *line == '[' ? read_group(reader, line, error) : read_key(reader, line, error);
}

/* A min above its max is refused where the second of the two stands. */
static bool check_guests(struct config_reader *reader, GError **error)
{
	for (guint i = 0; i < reader->config->guests->len; i++) {
		const struct config_guest *guest = reader->config->guests->pdata[i];
		g_autofree char *title = g_strdup_printf("guest %s", guest->glob);
		g_autofree char *text = config_shown(title);
		g_autofree char *min = size_format(guest->min_bytes);
		g_autofree char *max = size_format(guest->max_bytes);

		if (guest->min_bytes == POLICY_UNSET || guest->min_bytes <= guest->max_bytes)
			continue;
		reader->line = MAX(said_on(reader, title, "min"), said_on(reader, title, "max"));
		return config_wrong(error, "[%s] has a min of %s, above its max of %s", text, min,
				    max);
	}
	return true;
}

bool config_read(struct config_reader *reader, GString *text, GError **error)
{
	const char *end;
	char *line = text->str, *next;

	if (g_str_has_prefix(line, BYTE_ORDER_MARK))
		line += strlen(BYTE_ORDER_MARK);
	if (!g_utf8_validate(text->str, (gssize)text->len, &end)) {
		for (reader->line = 1; line < end; line++)
			reader->line += *line == '\n';
		return config_wrong(error, "the byte 0x%02x is not of a text in UTF-8",
				    (unsigned char)*end);
	}
	for (; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		reader->line++;
		if (!read_line(reader, g_strstrip(line), error))
			return false;
	}
	return check_guests(reader, error);
}
