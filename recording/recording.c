/* SPDX-License-Identifier: BSD-3-Clause */
#include "recording/recording.h"

#include <errno.h>
#include <string.h>

#include "common/plain_file.h"
#include "recording/recording_fields.h"

#define MARK "aerostat-recording"
#define LINE_MAX_MIB 64 /* a guest takes about 1 KiB per step */

GQuark recording_error_quark(void)
{
	return g_quark_from_static_string("recording-error");
}

/* Writes @object as a line, and drops its reference.  NULL stands for lack of memory. */
static bool write_recorded_line(FILE *file, json_t *object)
{
	int ret;

	if (!object) {
		errno = ENOMEM;
		return false;
	}
	ret = json_dumpf(object, file, JSON_COMPACT | JSON_REAL_PRECISION(17));
	json_decref(object);
	return !ret && fputc('\n', file) != EOF;
}

static json_t *pack_rows(const struct recording_field *fields, const void *data, size_t count,
			 size_t size)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, recording_pack(fields, (const char *)data + i * size));
	return array;
}

bool recording_write_start(FILE *file, const char *policy, const struct policy_settings *settings)
{
	return write_recorded_line(
		file, json_pack("{s:i, s:s, s:o}", MARK, RECORDING_VERSION, "policy", policy,
				"settings", recording_pack(recording_settings_fields, settings)));
}

bool recording_write_settings(FILE *file, const struct policy_settings *settings)
{
	return write_recorded_line(file,
				   json_pack("{s:o}", "settings",
					     recording_pack(recording_settings_fields, settings)));
}

bool recording_write_step(FILE *file, const struct policy_host *host,
			  const struct policy_guest *guests, size_t count,
			  const struct policy_decision *decisions)
{
	json_t *step = json_pack("{s:o, s:o}", "host", recording_pack(recording_host_fields, host),
				 "guests",
				 pack_rows(recording_guest_fields, guests, count, sizeof(*guests)));

	if (host->group_count)
		json_object_set_new(step, "groups",
				    pack_rows(recording_group_fields, host->groups,
					      host->group_count, sizeof(*host->groups)));
	if (decisions)
		json_object_set_new(
			step, "decisions",
			pack_rows(recording_decision_fields, decisions, count, sizeof(*decisions)));
	return write_recorded_line(file, step);
}

G_GNUC_PRINTF(3, 4)
static void set_line_error(const struct recording *recording, GError **error, const char *format,
			   ...)
{
	g_autofree char *reason = NULL;
	va_list args;

	va_start(args, format);
	reason = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(error, RECORDING_ERROR, RECORDING_ERROR_FORMAT, "%s, line %u: %s",
		    recording->path, recording->line, reason);
}

/* Reads a line with its end into @line, nothing at the end of @file.  False if it is too long. */
static bool read_bounded_line(FILE *file, GString *line)
{
	int c = 0;

	while (c != '\n' && (c = getc_unlocked(file)) != EOF) {
		if (line->len >= (size_t)LINE_MAX_MIB << 20)
			return false;
		g_string_append_c(line, (char)c);
	}
	return true;
}

/* Returns the next line as JSON, or NULL: at the end without, else with an error. */
static json_t *read_recorded_line(struct recording *recording, GError **error)
{
	g_autoptr(GString) line = g_string_new(NULL);
	json_error_t wrong;
	json_t *object;

	recording->line++;
	errno = 0;
	if (!read_bounded_line(recording->file, line))
		set_line_error(recording, error, "is longer than %d MiB", LINE_MAX_MIB);
	else if (ferror(recording->file))
		set_line_error(recording, error, "cannot be read: %s", g_strerror(errno));
	if (*error || !line->len)
		return NULL;
	object = json_loadb(line->str, line->len, JSON_REJECT_DUPLICATES, &wrong);
	if (!object)
		set_line_error(recording, error, "is not JSON: %s", wrong.text);
	return object;
}

/* Unpacks the object @key of @root into @data. */
static bool read_object(struct recording *recording, const json_t *root, const char *key,
			const struct recording_field *fields, void *data, GError **error)
{
	const json_t *part = json_object_get(root, key);
	g_autofree char *wrong = NULL;

	wrong = part ? recording_unpack(fields, part, recording->version, data)
		     : g_strdup("is missing");
	if (wrong)
		set_line_error(recording, error, "'%s' %s", key, wrong);
	return !wrong;
}

/* Unpacks the array @key of @root into @data, which is large enough. */
static bool read_rows(struct recording *recording, const json_t *root, const char *key,
		      const struct recording_field *fields, void *data, size_t size, GError **error)
{
	const json_t *array = json_object_get(root, key);
	g_autofree char *wrong = NULL;

	for (size_t i = 0; i < json_array_size(array); i++) {
		wrong = recording_unpack(fields, json_array_get(array, i), recording->version,
					 (char *)data + i * size);
		if (!wrong)
			continue;
		set_line_error(recording, error, "%s[%zu] %s", key, i, wrong);
		return false;
	}
	return true;
}

static bool read_step_line(struct recording *recording, const json_t *root, GError **error)
{
	const json_t *guests = json_object_get(root, "guests");
	const json_t *decisions = json_object_get(root, "decisions");
	const json_t *groups = json_object_get(root, "groups");
	size_t count = json_array_size(guests);

	if (!json_is_array(guests)) {
		set_line_error(recording, error, "'guests' is missing, or not an array");
		return false;
	}
	if (decisions && (!json_is_array(decisions) || json_array_size(decisions) != count)) {
		set_line_error(recording, error,
			       "'decisions' is not an array with one entry per guest");
		return false;
	}
	g_free(recording->guests);
	g_free(recording->groups);
	g_free(recording->decisions);
	recording->groups = g_new0(struct policy_group, json_array_size(groups));
	recording->count = count;
	recording->has_decisions = decisions;
	recording->guests = g_new0(struct policy_guest, count);
	recording->decisions = g_new0(struct policy_decision, count);
	if (!read_object(recording, root, "host", recording_host_fields, &recording->host, error))
		return false;
	recording->host.groups = recording->groups;
	recording->host.group_count = json_array_size(groups);
	return read_rows(recording, root, "groups", recording_group_fields, recording->groups,
			 sizeof(*recording->groups), error) &&
	       read_rows(recording, root, "guests", recording_guest_fields, recording->guests,
			 sizeof(*recording->guests), error) &&
	       read_rows(recording, root, "decisions", recording_decision_fields,
			 recording->decisions, sizeof(*recording->decisions), error);
}

static bool read_first_line(struct recording *recording, GError **error)
{
	json_t *root = read_recorded_line(recording, error);
	json_int_t version = json_integer_value(json_object_get(root, MARK));
	const char *policy = json_string_value(json_object_get(root, "policy"));
	bool done = false;

	if (!root && *error)
		return false;
	recording->version = (int)version;
	if (!version)
		set_line_error(recording, error, "is not a recording: it has no \"" MARK "\"");
	else if (version < 1 || version > RECORDING_VERSION)
		set_line_error(recording, error,
			       "has version %" JSON_INTEGER_FORMAT ", only 1 to %d are supported",
			       version, RECORDING_VERSION);
	else if (!policy)
		set_line_error(recording, error, "'policy' is missing, or not a name");
	else
		done = read_object(recording, root, "settings", recording_settings_fields,
				   &recording->settings, error);
	recording->policy = g_strdup(policy);
	json_decref(root);
	return done;
}

struct recording *recording_open(const char *path, GError **error)
{
	struct recording *recording = g_new0(struct recording, 1);
	GError *wrong = NULL;
	int fd = plain_file_open(path);

	recording->path = g_strdup(path);
	recording->file = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (!recording->file)
		g_set_error(&wrong, RECORDING_ERROR, RECORDING_ERROR_FILE,
			    "recording %s cannot be opened: %s", path,
			    plain_file_error_text(fd < 0 ? -fd : errno));
	else if (read_first_line(recording, &wrong))
		return recording;
	recording_close(recording);
	g_propagate_error(error, wrong);
	return NULL;
}

enum recording_line recording_next(struct recording *recording, GError **error)
{
	GError *wrong = NULL;
	enum recording_line kind = RECORDING_FAILED;
	json_t *root = read_recorded_line(recording, &wrong);

	if (!root && !wrong)
		return RECORDING_END;
	if (root && json_object_get(root, "host")) {
		if (read_step_line(recording, root, &wrong))
			kind = RECORDING_STEP;
	} else if (root && read_object(recording, root, "settings", recording_settings_fields,
				       &recording->settings, &wrong)) {
		kind = RECORDING_SETTINGS;
	}
	json_decref(root);
	if (wrong)
		g_propagate_error(error, wrong);
	return kind;
}

bool recording_same_decision(const struct policy_decision *a, const struct policy_decision *b)
{
	json_t *first = recording_pack(recording_decision_fields, a);
	json_t *second = recording_pack(recording_decision_fields, b);
	bool same = json_equal(first, second);

	json_decref(first);
	json_decref(second);
	return same;
}

void recording_close(struct recording *recording)
{
	if (!recording)
		return;
	if (recording->file)
		fclose(recording->file);
	g_free(recording->path);
	g_free(recording->policy);
	g_free(recording->guests);
	g_free(recording->groups);
	g_free(recording->decisions);
	g_free(recording);
}
