/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file is FOLDER/guests.json, {"guests": [{"source": "qmp", ...}, ...]}; one table
 * (fields) says what a guest of it has, for reading and writing.
 *
 * Names and addresses are what people and folders chose, in any encoding, and JSON takes
 * only UTF-8.  So that no guest's odd name keeps the others from being written, all but
 * printable ASCII and UTF-8 is written as %XX.
 */
#include "aerostatd/keep.h"

#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define POLL_MS 20

enum field_kind {
	FIELD_TEXT,
	FIELD_TEXT_IF_KNOWN, /* left out when NULL */
	FIELD_BYTES,	     /* uint64_t, more than 0 */
	FIELD_TICKS,	     /* uint64_t */
	FIELD_PID,
	FIELD_PERIOD, /* int, from -1 */
	FIELD_FLAG,
	FIELD_MODE,	     /* a mode's name; left out when nobody chose one */
	FIELD_BYTES_IF_HELD, /* uint64_t; there with the mode "held" alone */
};

static const char *const expected[] = {
	[FIELD_TEXT] = "a text",
	[FIELD_TEXT_IF_KNOWN] = "a text",
	[FIELD_BYTES] = "a number of bytes",
	[FIELD_TICKS] = "a number of ticks",
	[FIELD_PID] = "the number of a process, or 0",
	[FIELD_PERIOD] = "seconds, or -1",
	[FIELD_FLAG] = "true or false",
	[FIELD_MODE] = "\"auto\", \"observe\", \"held\" or \"off\"",
	[FIELD_BYTES_IF_HELD] = "a number of bytes, as the mode is \"held\"",
};

static const struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
} fields[] = {
#define FIELD(member, kind)                                                                        \
	{                                                                                          \
#member, kind, offsetof(struct keep_guest, member)                                 \
	}
	FIELD(source, FIELD_TEXT),
	FIELD(address, FIELD_TEXT),
	FIELD(name, FIELD_TEXT),
	FIELD(uuid, FIELD_TEXT_IF_KNOWN),
	FIELD(pid, FIELD_PID),
	FIELD(start_ticks, FIELD_TICKS),
	FIELD(before_bytes, FIELD_BYTES),
	FIELD(before_period_s, FIELD_PERIOD),
	FIELD(changed, FIELD_FLAG),
	FIELD(mode, FIELD_MODE),
	FIELD(held_bytes, FIELD_BYTES_IF_HELD), /* behind mode, which it depends on */
#undef FIELD
};

/*
 * Guests
 */

struct keep_guest *keep_guest_copy(const struct keep_guest *guest)
{
	struct keep_guest *copy = g_memdup2(guest, sizeof(*guest));

	copy->source = g_strdup(guest->source);
	copy->address = g_strdup(guest->address);
	copy->name = g_strdup(guest->name);
	copy->uuid = g_strdup(guest->uuid);
	return copy;
}

void keep_guest_free(struct keep_guest *guest)
{
	if (!guest)
		return;
	g_free(guest->source);
	g_free(guest->address);
	g_free(guest->name);
	g_free(guest->uuid);
	g_free(guest);
}

uint64_t keep_start_ticks(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
	g_autofree char *text = NULL;
	unsigned long long ticks;
	const char *name_end;
	char state;

	if (pid <= 0 || !g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	/* The name, in parentheses, may hold anything; the fields behind it are numbers. */
	name_end = strrchr(text, ')');
	if (!name_end || sscanf(name_end + 1,
				" %c %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d "
				"%*d %*d %*d %llu",
				&state, &ticks) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : ticks;
}

bool keep_same_process(const struct keep_guest *guest, pid_t pid)
{
	if (pid && guest->pid && pid != guest->pid)
		return false;
	return !guest->pid || !guest->start_ticks ||
	       keep_start_ticks(guest->pid) == guest->start_ticks;
}

struct keep_guest *keep_find(const GPtrArray *guests, const char *source, const char *address,
			     pid_t pid)
{
	for (guint i = 0; i < guests->len; i++) {
		struct keep_guest *guest = g_ptr_array_index(guests, i);

		if (g_str_equal(guest->source, source) && g_str_equal(guest->address, address) &&
		    keep_same_process(guest, pid))
			return guest;
	}
	return NULL;
}

/*
 * Reading
 */

static char *file_path(const char *folder)
{
	return g_build_filename(folder, "guests.json", NULL);
}

static bool read_text(const json_t *value, char **text)
{
	*text = json_is_string(value) ? g_uri_unescape_string(json_string_value(value), NULL)
				      : NULL;
	return *text;
}

static bool read_number(const json_t *value, int64_t least, int64_t most, int64_t *number)
{
	*number = json_integer_value(value);
	return json_is_integer(value) && *number >= least && *number <= most;
}

static bool read_u64(const json_t *value, int64_t least, uint64_t *number)
{
	int64_t read;
	bool ok = read_number(value, least, INT64_MAX, &read);

	*number = (uint64_t)read;
	return ok;
}

static bool read_int(const json_t *value, int least, int *number)
{
	int64_t read;
	bool ok = read_number(value, least, G_MAXINT, &read);

	*number = (int)read;
	return ok;
}

static bool read_mode(const json_t *value, int *mode)
{
	*mode = json_is_string(value) ? config_mode_find(json_string_value(value)) : -1;
	return !value || *mode >= 0;
}

/* @value of a guest that was zeroed; NULL: it is not there.  False for one that cannot be. */
static bool read_field(const struct field *field, const json_t *value, struct keep_guest *guest)
{
	void *member = (char *)guest + field->offset;

	switch (field->kind) {
	case FIELD_TEXT:
		return read_text(value, member);
	case FIELD_TEXT_IF_KNOWN:
		return !value || read_text(value, member);
	case FIELD_BYTES:
		return read_u64(value, 1, member);
	case FIELD_TICKS:
		return read_u64(value, 0, member);
	case FIELD_PID:
		return read_int(value, 0, member);
	case FIELD_PERIOD:
		return read_int(value, -1, member);
	case FIELD_FLAG:
		*(bool *)member = json_is_true(value);
		return json_is_boolean(value);
	case FIELD_MODE:
		return read_mode(value, member);
	case FIELD_BYTES_IF_HELD:
		*(uint64_t *)member = HV_UNSET;
		return guest->mode != POLICY_HELD || !value || read_u64(value, 1, member);
	}
	g_assert_not_reached();
}

static struct keep_guest *read_guest(const json_t *object, char **why)
{
	struct keep_guest *guest = g_new0(struct keep_guest, 1);

	if (!json_is_object(object)) {
		*why = g_strdup(" is not an object");
		g_clear_pointer(&guest, keep_guest_free);
	}
	for (size_t i = 0; guest && i < G_N_ELEMENTS(fields); i++) {
		const json_t *value = json_object_get(object, fields[i].name);
		g_autofree char *text = NULL;

		if (read_field(&fields[i], value, guest))
			continue;
		text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT)
			     : strdup("missing");
		*why = g_strdup_printf(".%s is %.60s, not %s", fields[i].name, text,
				       expected[fields[i].kind]);
		g_clear_pointer(&guest, keep_guest_free);
	}
	return guest;
}

static bool read_guests(const json_t *root, GPtrArray *guests, char **why)
{
	const json_t *array = json_object_get(root, "guests");
	const json_t *object;
	size_t i;

	if (!json_is_array(array)) {
		*why = g_strdup("\"guests\" is not a list");
		return false;
	}
	json_array_foreach (array, i, object) {
		g_autofree char *reason = NULL;
		struct keep_guest *guest = read_guest(object, &reason);

		if (!guest) {
			*why = g_strdup_printf("guests[%zu]%s", i, reason);
			return false;
		}
		g_ptr_array_add(guests, guest);
	}
	return true;
}

static GPtrArray *no_guests(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)keep_guest_free);
}

GPtrArray *keep_load(const char *folder, GError **error)
{
	g_autoptr(GPtrArray) guests = no_guests();
	g_autofree char *path = file_path(folder);
	g_autofree char *text = NULL, *why = NULL;
	g_autoptr(GError) failed = NULL;
	json_auto_t *root = NULL;
	json_error_t wrong;
	gsize length;

	if (!g_file_get_contents(path, &text, &length, &failed)) {
		if (g_error_matches(failed, G_FILE_ERROR, G_FILE_ERROR_NOENT))
			return g_steal_pointer(&guests);
		g_propagate_error(error, g_steal_pointer(&failed));
		return NULL;
	}
	root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &wrong);
	if (!root)
		why = g_strdup_printf("line %d: %s", wrong.line, wrong.text);
	if (root && read_guests(root, guests, &why))
		return g_steal_pointer(&guests);
	g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
		    "%s: %s; mend it, or move it away to give its guests up", path, why);
	return NULL;
}

/*
 * Writing
 */

static json_t *text_json(const char *text)
{
	/* Printable ASCII but for what JSON escapes, and for % itself. */
	g_autofree char *escaped = g_uri_escape_string(text, " !#$&'()*+,/:;<=>?@[]^`{|}", TRUE);

	return json_string(escaped);
}

/* NULL to leave it out. */
static json_t *field_json(const struct field *field, const struct keep_guest *guest)
{
	const void *member = (const char *)guest + field->offset;
	const char *text;

	switch (field->kind) {
	case FIELD_TEXT:
	case FIELD_TEXT_IF_KNOWN:
		text = *(char *const *)member;
		return text ? text_json(text) : NULL;
	case FIELD_BYTES:
	case FIELD_TICKS:
		return json_integer((json_int_t) * (const uint64_t *)member);
	case FIELD_PID:
	case FIELD_PERIOD:
		return json_integer(*(const int *)member);
	case FIELD_FLAG:
		return json_boolean(*(const bool *)member);
	case FIELD_MODE:
		return guest->mode < 0 ? NULL : json_string(config_mode_name(guest->mode));
	case FIELD_BYTES_IF_HELD:
		return guest->mode != POLICY_HELD || guest->held_bytes == HV_UNSET
			       ? NULL
			       : json_integer((json_int_t)guest->held_bytes);
	}
	g_assert_not_reached();
}

static json_t *guest_json(const struct keep_guest *guest)
{
	json_t *object = json_object();

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		json_t *value = field_json(&fields[i], guest);

		if (value)
			json_object_set_new(object, fields[i].name, value);
	}
	return object;
}

static json_t *guests_json(const GPtrArray *guests)
{
	json_t *array = json_array();

	for (guint i = 0; i < guests->len; i++)
		json_array_append_new(array, guest_json(g_ptr_array_index(guests, i)));
	return json_pack("{s:o}", "guests", array);
}

static bool remove_file(const char *path, GError **error)
{
	if (g_unlink(path) == 0 || errno == ENOENT)
		return true;
	g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno),
		    "cannot remove %s: %s", path, g_strerror(errno));
	return false;
}

bool keep_save(const char *folder, const GPtrArray *guests, GError **error)
{
	g_autofree char *path = file_path(folder);
	g_autoptr(GPtrArray) read_back = no_guests();
	g_autofree char *text = NULL, *why = NULL;
	json_auto_t *root = NULL;

	if (!guests->len)
		return remove_file(path, error);
	root = guests_json(guests);
	/* A file that nobody could read would give up all guests for the sake of one. */
	if (!read_guests(root, read_back, &why)) {
		g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "cannot write %s: %s", path,
			    why);
		return false;
	}
	text = json_dumps(root, JSON_INDENT(1));
	return g_file_set_contents_full(
		path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600,
		error);
}

/*
 * The lock
 */

static int fail(int fd, const char *what, const char *path, GError **error)
{
	int reason = errno;

	g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(reason), "cannot %s %s: %s",
		    what, path, g_strerror(reason));
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool lock_until(int fd, int64_t deadline)
{
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || g_get_monotonic_time() >= deadline)
			return false;
		g_usleep(POLL_MS * 1000);
	}
	return true;
}

/* Who has the lock writes its process into it, for the words of those who do not get it. */
static int fail_busy(int fd, const char *folder, GError **error)
{
	char owner[24] = "";

	if (pread(fd, owner, sizeof(owner) - 1, 0) < 0)
		*owner = '\0';
	g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
		    "another aerostatd (pid %d) uses %s; end it, or name another folder with "
		    "--folder",
		    atoi(owner), folder);
	close(fd);
	return -1;
}

int keep_lock(const char *folder, unsigned int wait_ms, GError **error)
{
	g_autofree char *path = g_build_filename(folder, "lock", NULL);
	int fd;

	if (g_mkdir_with_parents(folder, 0755) < 0)
		return fail(-1, "make the folder", folder, error);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(fd, "open", path, error);
	if (!lock_until(fd, hv_deadline_ms(wait_ms)))
		return errno == EWOULDBLOCK ? fail_busy(fd, folder, error)
					    : fail(fd, "lock", path, error);
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return fail(fd, "write", path, error);
	return fd;
}
