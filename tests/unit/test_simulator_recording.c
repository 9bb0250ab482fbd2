/* SPDX-License-Identifier: BSD-3-Clause */
/* Recordings lose nothing, and errors name the line that is damaged. */
#include "recording/recording.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "recording/recording_fields.h"
#include "simulator/random.h"

static char path[] = "/tmp/aerostat-recording-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 || close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static const struct policy_settings settings = { .budget_bytes = 1, .reserve_bytes = POLICY_UNSET };

static void fill_double(struct sim_random *random, double *at)
{
	static const double odd[] = { 0,	-0.0,	   0.1,	      1e300,  DBL_MIN, DBL_TRUE_MIN,
				      INFINITY, -INFINITY, 1.0 / 3.0, DBL_MAX };

	*at = sim_random_chance(random, 0.5) ? odd[sim_random_pick(random, 10)]
					     : sim_random_unit(random);
}

static void fill_field(const struct recording_field *field, struct sim_random *random, void *data)
{
	static const uint64_t odd[] = { 0, POLICY_UNSET, POLICY_UNSET - 1, UINT64_C(1) << 63,
					INT64_MAX };
	void *at = (char *)data + field->offset;

	switch (field->kind) {
	case RECORDING_U64:
		*(uint64_t *)at = sim_random_chance(random, 0.5) ? odd[sim_random_pick(random, 5)]
								 : sim_random_next(random);
		break;
	case RECORDING_I64:
		*(int64_t *)at = (int64_t)sim_random_next(random);
		break;
	case RECORDING_DOUBLE:
		fill_double(random, at);
		break;
	case RECORDING_BOOL:
		*(bool *)at = sim_random_chance(random, 0.5);
		break;
	case RECORDING_MODE:
		*(enum policy_mode *)at = sim_random_pick(random, POLICY_OFF + 1);
		break;
	case RECORDING_REASON:
		*(enum policy_reason *)at = sim_random_pick(random, POLICY_REASON_COUNT);
		break;
	case RECORDING_TEXT:
		strcpy(at, "\"wants\" 12 MiB\\ of\n128 · é");
		break;
	}
}

static void fill(const struct recording_field *fields, struct sim_random *random, void *data)
{
	for (; fields->name; fields++)
		fill_field(fields, random, data);
}

static void every_number_comes_back_bit_for_bit(void **state)
{
	struct sim_random random = { 7 };

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct policy_settings own = { 0 };
		struct policy_host host = { 0 };
		struct policy_guest guests[3] = { 0 };
		struct policy_decision decisions[3] = { 0 };
		struct policy_group groups[2] = { 0 };
		FILE *file = fopen(path, "w");
		struct recording *read;

		fill(recording_settings_fields, &random, &own);
		fill(recording_host_fields, &random, &host);
		host.groups = groups;
		host.group_count = (size_t)(round % 3);
		for (size_t i = 0; i < host.group_count; i++)
			fill(recording_group_fields, &random, &groups[i]);
		for (int i = 0; i < 3; i++) {
			fill(recording_guest_fields, &random, &guests[i]);
			fill(recording_decision_fields, &random, &decisions[i]);
		}
		assert_true(recording_write_start(file, "aerostat", &own));
		assert_true(recording_write_step(file, &host, guests, 3, decisions));
		fclose(file);
		read = recording_open(path, NULL);
		assert_non_null(read);
		assert_string_equal(read->policy, "aerostat");
		assert_memory_equal(&read->settings, &own, sizeof(own));
		assert_int_equal(recording_next(read, NULL), RECORDING_STEP);
		assert_int_equal(read->host.group_count, host.group_count);
		if (host.group_count)
			assert_memory_equal(read->host.groups, groups,
					    host.group_count * sizeof(*groups));
		read->host.groups = host.groups;
		assert_memory_equal(&read->host, &host, sizeof(host));
		assert_memory_equal(read->guests, guests, sizeof(guests));
		assert_true(read->has_decisions);
		assert_memory_equal(read->decisions, decisions, sizeof(decisions));
		assert_int_equal(recording_next(read, NULL), RECORDING_END);
		recording_close(read);
	}
}

/* The size of the member that a kind stands for. */
static size_t kind_size(enum recording_kind kind)
{
	static const size_t sizes[] = {
		[RECORDING_U64] = sizeof(uint64_t),
		[RECORDING_I64] = sizeof(int64_t),
		[RECORDING_DOUBLE] = sizeof(double),
		[RECORDING_BOOL] = sizeof(bool),
		[RECORDING_MODE] = sizeof(enum policy_mode),
		[RECORDING_REASON] = sizeof(enum policy_reason),
		[RECORDING_TEXT] = POLICY_TEXT_MAX,
	};

	return sizes[kind];
}

static size_t size_of(const struct recording_field *fields)
{
	size_t size = 0;

	for (; fields->name; fields++)
		size += kind_size(fields->kind);
	return size;
}

/* A member of policy.h that is missing in the tables would make its struct too large. */
static void every_field_of_the_contract_is_recorded(void **state)
{
	(void)state;
	assert_true(sizeof(struct policy_settings) - size_of(recording_settings_fields) < 8);
	/* The groups are an array of their own. */
	assert_true(offsetof(struct policy_host, groups) - size_of(recording_host_fields) < 8);
	assert_true(sizeof(struct policy_group) == size_of(recording_group_fields));
	/* The compiler adds padding after the rules and after the bools. */
	assert_true(sizeof(struct policy_guest) - size_of(recording_guest_fields) < 16);
	assert_true(sizeof(struct policy_decision) - size_of(recording_decision_fields) < 16);
}

static void steps_without_decisions_and_new_settings(void **state)
{
	FILE *file = fopen(path, "w");
	struct policy_host host = { .now_us = 5 };
	struct policy_settings reloaded = { .budget_bytes = 99 };
	struct recording *read;

	(void)state;
	recording_write_start(file, "mom", &settings);
	recording_write_step(file, &host, NULL, 0, NULL);
	recording_write_settings(file, &reloaded);
	fclose(file);
	read = recording_open(path, NULL);
	assert_int_equal(read->settings.reserve_bytes, POLICY_UNSET);
	assert_int_equal(recording_next(read, NULL), RECORDING_STEP);
	assert_int_equal(read->host.now_us, 5);
	assert_int_equal(read->count, 0);
	assert_false(read->has_decisions);
	assert_int_equal(recording_next(read, NULL), RECORDING_SETTINGS);
	assert_int_equal(read->settings.budget_bytes, 99);
	assert_int_equal(recording_next(read, NULL), RECORDING_END);
	recording_close(read);
}

/* Made by hand: what a program of version 1 wrote. */
static void recordings_of_version_1_can_be_read(void **state)
{
	FILE *file = fopen(path, "w");
	struct recording *read;

	(void)state;
	fputs("{\"aerostat-recording\":1,\"policy\":\"aerostat\",\"settings\":{\"budget_bytes\":"
	      "null,"
	      "\"reserve_bytes\":null,\"optimism\":0}}\n",
	      file);
	fputs("{\"host\":{\"now_us\":5,\"total_bytes\":1,\"available_bytes\":1,\"free_bytes\":1,"
	      "\"cache_bytes\":1,\"swap_used_bytes\":0,\"pressure\":0,\"reserved_bytes\":0,"
	      "\"critical\":false},\"guests\":[{\"id\":1,\"mode\":\"auto\",\"min_bytes\":null,"
	      "\"max_bytes\":null,\"weight\":1,\"boot_bytes\":9,\"actual_bytes\":9,\"target_"
	      "bytes\":9,"
	      "\"resident_bytes\":null,\"stall\":0,\"reachable\":true,\"has_driver\":true,"
	      "\"cannot_shrink\":0,\"taken_us\":1,\"period_us\":1,\"actual_then_bytes\":9,"
	      "\"available_bytes\":1,\"free_bytes\":1,\"total_bytes\":9,\"cache_bytes\":0,"
	      "\"swap_in_bytes\":0,\"swap_out_bytes\":0,\"major_faults\":0,\"oom_kills\":0,"
	      "\"alloc_stalls\":0,\"direct_scan_bytes\":0,\"psi_some_us\":null,"
	      "\"psi_full_us\":null}]}\n",
	      file);
	fclose(file);
	read = recording_open(path, NULL);
	assert_non_null(read);
	assert_int_equal(recording_next(read, NULL), RECORDING_STEP);
	assert_int_equal(read->host.group_count, 0);
	assert_int_equal(read->guests[0].group, 0);
	assert_int_equal(read->guests[0].ram_bytes, POLICY_UNSET);
	assert_int_equal(read->guests[0].abilities, 0);
	assert_int_equal(read->guests[0].refault_bytes, POLICY_UNSET);
	assert_int_equal(read->guests[0].pulled_bytes, POLICY_UNSET);
	assert_int_equal(read->guests[0].boot_bytes, 9);
	recording_close(read);
}

/* The error after a good first line and @second, or of @first alone if there is no second. */
static char *error_of(const char *first, const char *second)
{
	FILE *file = fopen(path, "w");
	GError *error = NULL;
	struct recording *read;
	char *message;

	if (first)
		fputs(first, file);
	else
		recording_write_start(file, "static", &settings);
	if (second)
		fputs(second, file);
	fclose(file);
	read = recording_open(path, &error);
	if (read)
		assert_int_equal(recording_next(read, &error), RECORDING_FAILED);
	recording_close(read);
	assert_non_null(error);
	message = g_strdup(error->message);
	g_error_free(error);
	return message;
}

static void errors_name_the_damaged_line(void **state)
{
	static const struct {
		const char *first, *second, *says;
	} rows[] = {
		{ "", NULL, "line 1: is not a recording" },
		{ "{}\n", NULL, "line 1: is not a recording" },
		{ "hello\n", NULL, "line 1: is not JSON" },
		{ "{\"aerostat-recording\":5}\n", NULL,
		  "has version 5, only 1 to 4 are supported" },
		{ "{\"aerostat-recording\":1}\n", NULL, "'policy' is missing" },
		{ "{\"aerostat-recording\":1,\"policy\":\"mom\"}\n", NULL,
		  "'settings' is missing" },
		{ "{\"aerostat-recording\":1,\"policy\":\"mom\",\"settings\":{}}\n", NULL,
		  "'settings' has no 'budget_bytes'" },
		{ NULL, "{\"host\":{}}\n", "line 2: 'guests' is missing" },
		{ NULL, "{\"host\":{},\"guests\":[]}\n", "line 2: 'host' has no 'now_us'" },
		{ NULL, "{\"host\":{},\"guests\":[],\"decisions\":[1]}\n", "one entry per guest" },
		{ NULL, "{\"settings\":{\"budget_bytes\":-1}}\n", "'budget_bytes' cannot be -1" },
		{ NULL, "{\"settings\":{\"budget_bytes\":\"x\"}}\n", "cannot be \"x\"" },
		{ NULL,
		  "{\"settings\":{\"budget_bytes\":1,\"reserve_bytes\":1,\"optimism\":0,\"x\":1}}"
		  "\n",
		  "has an unknown key 'x'" },
		{ NULL, "{\"hos\n", "line 2: is not JSON" },
		{ NULL, "[]\n", "line 2: 'settings' is missing" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *message = error_of(rows[i].first, rows[i].second);

		if (!strstr(message, rows[i].says))
			fail_msg("\"%s\" does not say \"%s\"", message, rows[i].says);
		g_free(message);
	}
}

static void foreign_text_is_cut_in_errors(void **state)
{
	g_autofree char *text = g_strnfill(100000, 'x');
	g_autofree char *value =
		g_strdup_printf("{\"settings\":{\"budget_bytes\":\"%s\"}}\n", text);
	g_autofree char *key =
		g_strdup_printf("{\"settings\":{\"budget_bytes\":1,\"reserve_bytes\":"
				"1,\"optimism\":0,\"%s\":1}}\n",
				text);
	g_autofree char *of_value = error_of(NULL, value), *of_key = error_of(NULL, key);

	(void)state;
	assert_non_null(strstr(of_value, "'budget_bytes' cannot be \"xxx"));
	assert_non_null(strstr(of_key, "has an unknown key 'xxx"));
	assert_true(strlen(of_value) < 300 && strlen(of_key) < 300);
}

/* A file of zeros that takes no space on the disk. */
static void a_line_without_end_is_not_read_whole(void **state)
{
	GError *error = NULL;

	(void)state;
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(truncate(path, (off_t)65 << 20), 0);
	assert_null(recording_open(path, &error));
	assert_non_null(strstr(error->message, "line 1: is longer than 64 MiB"));
	g_error_free(error);
}

static void a_file_that_is_not_there_is_named(void **state)
{
	GError *error = NULL;

	(void)state;
	assert_null(recording_open("/nonexistent/recording", &error));
	assert_non_null(strstr(error->message, "/nonexistent/recording"));
	g_error_free(error);
}

static void a_full_disk_is_noticed(void **state)
{
	FILE *file = fopen("/dev/full", "w");
	bool written;

	(void)state;
	if (!file)
		skip();
	setvbuf(file, NULL, _IONBF, 0);
	written = recording_write_start(file, "mom", &settings);
	fclose(file);
	assert_false(written);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_comes_back_bit_for_bit),
		cmocka_unit_test(every_field_of_the_contract_is_recorded),
		cmocka_unit_test(steps_without_decisions_and_new_settings),
		cmocka_unit_test(recordings_of_version_1_can_be_read),
		cmocka_unit_test(errors_name_the_damaged_line),
		cmocka_unit_test(foreign_text_is_cut_in_errors),
		cmocka_unit_test(a_line_without_end_is_not_read_whole),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
		cmocka_unit_test(a_full_disk_is_noticed),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
