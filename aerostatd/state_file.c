/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file is FOLDER/guests.json, {"guests": [{"source": "qmp", ...}, ...]}.  One table (fields)
 * lists the members of a guest, for reading and writing.
 *
 * Names and addresses may be in any encoding, but JSON requires UTF-8.  So that one odd name does
 * not prevent all guests from being saved, everything but printable ASCII and UTF-8 is written as
 * %XX.
 */
#include "aerostatd/state_file.h"

#include "aerostatd/log.h"
#include "common/plain_file.h"
#include "common/safe_folder.h"
#include "config/config.h"
#include "policy/floor.h"

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
#define FILE_MAX ((size_t)64 << 20) /* bytes; a guest takes about 400 */

enum field_kind {
	FIELD_TEXT,
	FIELD_TEXT_IF_KNOWN,  /* absent if NULL */
	FIELD_BYTES,	      /* uint64_t, more than 0 */
	FIELD_BYTES_IF_KNOWN, /* absent if 0 */
	FIELD_TICKS,	      /* uint64_t */
	FIELD_PID,
	FIELD_PERIOD, /* int, from -1 */
	FIELD_FLAG,
	FIELD_FLAG_IF_SET,   /* absent if false */
	FIELD_MODE,	     /* a mode's name; absent if -1 */
	FIELD_BYTES_IF_HELD, /* uint64_t; only with the mode "held" */
};

static const char *const expected[] = {
	[FIELD_TEXT] = "a string",
	[FIELD_TEXT_IF_KNOWN] = "a string",
	[FIELD_BYTES] = "a number of bytes",
	[FIELD_BYTES_IF_KNOWN] = "a number of bytes",
	[FIELD_TICKS] = "a number of ticks",
	[FIELD_PID] = "a process ID, or 0",
	[FIELD_PERIOD] = "seconds, or -1",
	[FIELD_FLAG] = "true or false",
	[FIELD_FLAG_IF_SET] = "true or false",
	[FIELD_MODE] = "\"auto\", \"observe\", \"held\" or \"off\"",
	[FIELD_BYTES_IF_HELD] = "a number of bytes, since the mode is \"held\"",
};

static const struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
} fields[] = {
#define FIELD(member, kind)                                                                        \
	{                                                                                          \
#member, kind, offsetof(struct saved_guest, member)                                \
	}
	FIELD(source, FIELD_TEXT),
	FIELD(address, FIELD_TEXT),
	FIELD(name, FIELD_TEXT),
	FIELD(uuid, FIELD_TEXT_IF_KNOWN),
	FIELD(pid, FIELD_PID),
	FIELD(start_ticks, FIELD_TICKS),
	FIELD(before_bytes, FIELD_BYTES),
	FIELD(before_period_s, FIELD_PERIOD),
	FIELD(max_bytes, FIELD_BYTES_IF_KNOWN),
	FIELD(changed, FIELD_FLAG),
	FIELD(was_set, FIELD_FLAG_IF_SET),
	FIELD(mode, FIELD_MODE),
	FIELD(held_bytes, FIELD_BYTES_IF_HELD), /* after mode, which it depends on */
#undef FIELD
};

/*
 * Guests
 */

uint64_t size_at_maximum(uint64_t bytes, uint64_t from_bytes, uint64_t to_bytes)
{
	uint64_t balloon, least;

	if (!to_bytes || bytes == HV_UNSET)
		return bytes;
	if (!from_bytes || from_bytes == to_bytes)
		return MIN(bytes, to_bytes);
	balloon = from_bytes - MIN(bytes, from_bytes);
	least = MIN(bytes, MIN(headroom_bytes(to_bytes), to_bytes));
	return MAX(to_bytes - MIN(balloon, to_bytes), least);
}

struct saved_guest *saved_guest_copy(const struct saved_guest *guest)
{
	struct saved_guest *copy = g_memdup2(guest, sizeof(*guest));

	copy->source = g_strdup(guest->source);
	copy->address = g_strdup(guest->address);
	copy->name = g_strdup(guest->name);
	copy->uuid = g_strdup(guest->uuid);
	return copy;
}

void saved_guest_free(struct saved_guest *guest)
{
	if (!guest)
		return;
	g_free(guest->source);
	g_free(guest->address);
	g_free(guest->name);
	g_free(guest->uuid);
	g_free(guest);
}

struct identity saved_guest_identity(const struct saved_guest *guest)
{
	/* A guest without a name is called by its address. */
	bool has_name = g_strcmp0(guest->name, guest->address);

	return (struct identity){ guest->pid, guest->start_ticks, guest->uuid,
				  has_name ? guest->name : NULL };
}

/* The same address, and no proof that another guest is there now. */
static bool is_at_address(const struct saved_guest *entry, const struct saved_guest *guest)
{
	return g_str_equal(entry->source, guest->source) &&
	       g_str_equal(entry->address, guest->address) &&
	       !(guest->pid && entry->pid && guest->pid != entry->pid) &&
	       !(guest->uuid && entry->uuid && strcmp(guest->uuid, entry->uuid));
}

struct saved_guest *state_file_find(const GPtrArray *guests, const struct saved_guest *guest)
{
	const struct identity wanted = saved_guest_identity(guest);

	for (guint i = 0; i < guests->len; i++) {
		struct saved_guest *entry = g_ptr_array_index(guests, i);
		const struct identity identity = saved_guest_identity(entry);

		if (process_find_state(entry->pid, entry->start_ticks) != PROCESS_ENDED &&
		    (identity_is_same(&identity, &wanted) || is_at_address(entry, guest)))
			return entry;
	}
	return NULL;
}

/*
 * Reading
 */

static char *build_file_path(const char *folder)
{
	return g_build_filename(folder, "guests.json", NULL);
}

static bool read_text_member(const json_t *value, char **text)
{
	*text = json_is_string(value) ? g_uri_unescape_string(json_string_value(value), NULL)
				      : NULL;
	return *text;
}

static bool read_number_in_range(const json_t *value, int64_t least, int64_t most, int64_t *number)
{
	*number = json_integer_value(value);
	return json_is_integer(value) && *number >= least && *number <= most;
}

static bool read_u64_member(const json_t *value, int64_t least, uint64_t *number)
{
	int64_t read;
	bool ok = read_number_in_range(value, least, INT64_MAX, &read);

	*number = (uint64_t)read;
	return ok;
}

static bool read_int_member(const json_t *value, int least, int *number)
{
	int64_t read;
	bool ok = read_number_in_range(value, least, G_MAXINT, &read);

	*number = (int)read;
	return ok;
}

static bool read_mode_member(const json_t *value, int *mode)
{
	*mode = json_is_string(value) ? config_mode_find(json_string_value(value)) : -1;
	return !value || *mode >= 0;
}

/* Reads a member into a zeroed guest.  @value is NULL if it is absent.  False if it is wrong. */
static bool read_member(const struct field *field, const json_t *value, struct saved_guest *guest)
{
	void *member = (char *)guest + field->offset;

	switch (field->kind) {
	case FIELD_TEXT:
		return read_text_member(value, member);
	case FIELD_TEXT_IF_KNOWN:
		return !value || read_text_member(value, member);
	case FIELD_BYTES:
		return read_u64_member(value, 1, member);
	case FIELD_BYTES_IF_KNOWN:
		return !value || read_u64_member(value, 1, member);
	case FIELD_TICKS:
		return read_u64_member(value, 0, member);
	case FIELD_PID:
		return read_int_member(value, 0, member);
	case FIELD_PERIOD:
		return read_int_member(value, -1, member);
	case FIELD_FLAG:
		*(bool *)member = json_is_true(value);
		return json_is_boolean(value);
	case FIELD_FLAG_IF_SET:
		*(bool *)member = json_is_true(value);
		return !value || json_is_boolean(value);
	case FIELD_MODE:
		return read_mode_member(value, member);
	case FIELD_BYTES_IF_HELD:
		*(uint64_t *)member = HV_UNSET;
		return guest->mode != POLICY_HELD || !value || read_u64_member(value, 1, member);
	}
	g_assert_not_reached();
}

/* Reads the members from @first on into a zeroed guest. */
static bool read_members(const json_t *object, size_t first, struct saved_guest *guest, char **why)
{
	for (size_t i = first; i < G_N_ELEMENTS(fields); i++) {
		const json_t *value = json_object_get(object, fields[i].name);
		g_autofree char *text = NULL;

		if (read_member(&fields[i], value, guest))
			continue;
		text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT)
			     : strdup("missing");
		*why = g_strdup_printf(".%s is %.60s, not %s", fields[i].name, text,
				       expected[fields[i].kind]);
		return false;
	}
	return true;
}

static struct saved_guest *read_saved_guest(const json_t *object, char **why)
{
	struct saved_guest *guest = g_new0(struct saved_guest, 1);

	if (!json_is_object(object))
		*why = g_strdup(" is not an object");
	else if (read_members(object, 0, guest, why))
		return guest;
	saved_guest_free(guest);
	return NULL;
}

/* Rows that cannot be understood are added to @damaged, one per line. */
static void read_saved_guests(const char *path, const json_t *array, GPtrArray *guests,
			      GString *damaged)
{
	const json_t *row;
	size_t i;

	json_array_foreach (array, i, row) {
		g_autofree char *why = NULL, *text = NULL;
		struct saved_guest *guest = read_saved_guest(row, &why);

		if (guest) {
			g_ptr_array_add(guests, guest);
			continue;
		}
		text = json_dumps(row, JSON_ENCODE_ANY | JSON_COMPACT);
		g_string_append_printf(damaged, "%s\n", text);
		manager_log(LOG_ERR,
			    "%s: guests[%zu]%s; the row is moved to %s.damaged, and its guest is "
			    "not restored",
			    path, i, why, path);
	}
}

static GPtrArray *new_guest_array(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)saved_guest_free);
}

static bool fail_io(int fd, const char *what, const char *path, GError **error)
{
	int reason = errno;

	g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(reason), "cannot %s %s: %s",
		    what, path, g_strerror(reason));
	if (fd >= 0)
		close(fd);
	return false;
}

/* Adds rows to those that were damaged earlier. */
static bool append_damaged(const char *path, const GString *rows, GError **error)
{
	g_autofree char *aside = g_strconcat(path, ".damaged", NULL);
	int fd = open(aside, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return fail_io(fd, "open", aside, error);
	if (write(fd, rows->str, rows->len) != (ssize_t)rows->len || fsync(fd) < 0)
		return fail_io(fd, "write", aside, error);
	close(fd);
	return true;
}

/* The content of the file; NULL without @error if there is none. */
static json_t *read_file(const char *path, GError **error)
{
	size_t length;
	int reason;
	g_autofree char *text = plain_file_read(path, FILE_MAX, &length, &reason);
	g_autofree char *why = NULL;
	json_error_t wrong;
	json_t *root;

	if (!text) {
		if (reason != ENOENT)
			g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(reason),
				    "%s: cannot be read: %s", path, plain_file_error_text(reason));
		return NULL;
	}
	root = json_loadb(text, length, 0, &wrong);
	/* jansson describes what is wrong with a text, but not that it had no memory. */
	if (!root && !*wrong.text) {
		g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM,
			    "%s: cannot be read: out of memory", path);
		return NULL;
	}
	if (json_is_array(json_object_get(root, "guests")))
		return root;
	why = root ? g_strdup("\"guests\" is not an array")
		   : g_strdup_printf("line %d: %s", wrong.line, wrong.text);
	json_decref(root);
	g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
		    "%s: %s; fix the file, or move it aside to abandon its guests", path, why);
	return NULL;
}

GPtrArray *state_file_load(const char *folder, GError **error)
{
	g_autoptr(GPtrArray) guests = new_guest_array();
	g_autofree char *path = build_file_path(folder);
	g_autoptr(GString) damaged = g_string_new(NULL);
	g_autoptr(GError) failed = NULL;
	json_auto_t *root = read_file(path, &failed);

	if (failed) {
		g_propagate_error(error, g_steal_pointer(&failed));
		return NULL;
	}
	read_saved_guests(path, json_object_get(root, "guests"), guests, damaged);
	/* Saved at once, so that a row is moved only once. */
	if (damaged->len &&
	    (!append_damaged(path, damaged, error) || !state_file_save(folder, guests, error)))
		return NULL;
	return g_steal_pointer(&guests);
}

/*
 * Writing
 */

static json_t *make_json_text(const char *text)
{
	/* Printable ASCII, without what JSON escapes and % itself. */
	g_autofree char *escaped = g_uri_escape_string(text, " !#$&'()*+,/:;<=>?@[]^`{|}", TRUE);

	return json_string(escaped);
}

/* NULL if the member is to be absent. */
static json_t *make_json_member(const struct field *field, const struct saved_guest *guest)
{
	const void *member = (const char *)guest + field->offset;
	const char *text;

	switch (field->kind) {
	case FIELD_TEXT:
	case FIELD_TEXT_IF_KNOWN:
		text = *(char *const *)member;
		return text ? make_json_text(text) : NULL;
	case FIELD_BYTES_IF_KNOWN:
		if (!*(const uint64_t *)member)
			return NULL;
		/* fall through */
	case FIELD_BYTES:
	case FIELD_TICKS:
		return json_integer((json_int_t) * (const uint64_t *)member);
	case FIELD_PID:
	case FIELD_PERIOD:
		return json_integer(*(const int *)member);
	case FIELD_FLAG:
		return json_boolean(*(const bool *)member);
	case FIELD_FLAG_IF_SET:
		return *(const bool *)member ? json_true() : NULL;
	case FIELD_MODE:
		return guest->mode < 0 ? NULL : json_string(config_mode_name(guest->mode));
	case FIELD_BYTES_IF_HELD:
		return guest->mode != POLICY_HELD || guest->held_bytes == HV_UNSET
			       ? NULL
			       : json_integer((json_int_t)guest->held_bytes);
	}
	g_assert_not_reached();
}

/* An object of the members from @first on. */
static json_t *make_json_guest(const struct saved_guest *guest, size_t first)
{
	json_t *object = json_object();

	for (size_t i = first; i < G_N_ELEMENTS(fields); i++) {
		json_t *value = make_json_member(&fields[i], guest);

		if (value)
			json_object_set_new(object, fields[i].name, value);
	}
	return object;
}

/* NULL if it could not be read back. */
static json_t *make_json_row(const struct saved_guest *guest)
{
	json_t *row = make_json_guest(guest, 0);
	g_autofree char *why = NULL;
	struct saved_guest *read_back = read_saved_guest(row, &why);

	if (!read_back)
		g_clear_pointer(&row, json_decref);
	saved_guest_free(read_back);
	return row;
}

bool state_file_accepts(const struct saved_guest *guest)
{
	json_auto_t *row = make_json_row(guest);

	return row;
}

static json_t *make_json_guests(const GPtrArray *guests)
{
	json_t *array = json_array();

	for (guint i = 0; i < guests->len; i++) {
		json_t *row = make_json_row(g_ptr_array_index(guests, i));

		if (row)
			json_array_append_new(array, row);
	}
	return json_pack("{s:o}", "guests", array);
}

static bool remove_state_file(const char *path, GError **error)
{
	if (g_unlink(path) == 0 || errno == ENOENT)
		return true;
	g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno),
		    "cannot remove %s: %s", path, g_strerror(errno));
	return false;
}

bool state_file_save(const char *folder, const GPtrArray *guests, GError **error)
{
	g_autofree char *path = build_file_path(folder);
	json_auto_t *root = make_json_guests(guests);
	g_autofree char *text = NULL;

	if (!json_array_size(json_object_get(root, "guests")))
		return remove_state_file(path, error);
	text = json_dumps(root, JSON_INDENT(1));
	return g_file_set_contents_full(
		path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600,
		error);
}

/*
 * Notes
 */

/* The first member that travels with the guest, as do those after it: which guest it is about, and
 * in which process that was left behind. */
static size_t find_first_noted(void)
{
	size_t i = 0;

	while (fields[i].offset != offsetof(struct saved_guest, uuid))
		i++;
	return i;
}

char *saved_guest_note(const struct saved_guest *guest)
{
	json_auto_t *object = make_json_guest(guest, find_first_noted());

	return json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
}

/*
 * Whether a note is about @guest.  People copy metadata, into the configuration of the same guest
 * or of another.  So the UUID must be the same, and in a process that booted only a note that was
 * left there counts.
 */
static bool is_note_about(const struct saved_guest *noted, const struct saved_guest *guest,
			  enum hv_origin origin)
{
	if (!noted->uuid || g_strcmp0(noted->uuid, guest->uuid))
		return false;
	return origin != HV_ORIGIN_BOOT || !noted->pid || !guest->pid ||
	       (noted->pid == guest->pid && noted->start_ticks == guest->start_ticks);
}

bool saved_guest_take_note(struct saved_guest *guest, const char *note, enum hv_origin origin)
{
	json_auto_t *object = json_loads(note, JSON_REJECT_DUPLICATES, NULL);
	struct saved_guest noted = { 0 };
	g_autofree char *why = NULL;

	bool ok = json_is_object(object) &&
		  read_members(object, find_first_noted(), &noted, &why) &&
		  is_note_about(&noted, guest, origin);

	g_free(noted.uuid);
	if (!ok)
		return false;
	noted.source = guest->source;
	noted.address = guest->address;
	noted.name = guest->name;
	noted.uuid = guest->uuid;
	noted.pid = guest->pid;
	noted.start_ticks = guest->start_ticks;
	*guest = noted;
	return true;
}

/*
 * The lock
 */

static int fail_lock(int fd, const char *what, const char *path, GError **error)
{
	fail_io(fd, what, path, error);
	return -1;
}

static bool lock_before_deadline(int fd, int64_t deadline)
{
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || g_get_monotonic_time() >= deadline)
			return false;
		g_usleep(POLL_MS * 1000);
	}
	return true;
}

/* The owner of the lock writes its pid into it, for this error message. */
static int fail_locked(int fd, const char *folder, GError **error)
{
	char owner[24] = "";

	if (pread(fd, owner, sizeof(owner) - 1, 0) < 0)
		*owner = '\0';
	g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
		    "another aerostatd (pid %d) uses %s; stop it, or choose another folder with "
		    "--folder",
		    atoi(owner), folder);
	close(fd);
	return -1;
}

int state_folder_lock(const char *folder, unsigned int wait_ms, GError **error)
{
	g_autofree char *path = g_build_filename(folder, "lock", NULL);
	int at = safe_folder_open(folder, SAFE_FOLDER_CREATE);
	int fd;

	if (at < 0) {
		errno = -at;
		return fail_lock(-1, "use the folder", folder, error);
	}
	fd = openat(at, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	close(at);
	if (fd < 0)
		return fail_lock(fd, "open", path, error);
	if (!lock_before_deadline(fd, hv_deadline_ms(wait_ms)))
		return errno == EWOULDBLOCK ? fail_locked(fd, folder, error)
					    : fail_lock(fd, "lock", path, error);
	/* Only for that message: a full disk must not keep guests from being restored. */
	if (ftruncate(fd, 0) == 0)
		dprintf(fd, "%d\n", (int)getpid());
	return fd;
}
