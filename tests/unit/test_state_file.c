/* SPDX-License-Identifier: BSD-3-Clause */
/* The state file and the lock, in a folder of the test's own. */
#include "aerostatd/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "aerostatd/identity.h"
#include "policy/policy.h"
#include "tests/hang.h"

#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define GIB (UINT64_C(1) << 30)

struct rig {
	char *folder, *file;
	GPtrArray *guests;
};

static int setup(void **state)
{
	struct rig *rig = g_new0(struct rig, 1);

	rig->folder = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	rig->file = g_build_filename(rig->folder, "guests.json", NULL);
	rig->guests = g_ptr_array_new_with_free_func((GDestroyNotify)saved_guest_free);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	g_autofree char *lock = g_build_filename(rig->folder, "lock", NULL);

	g_unlink(rig->file);
	g_unlink(lock);
	g_rmdir(rig->folder);
	g_ptr_array_unref(rig->guests);
	g_free(rig->folder);
	g_free(rig->file);
	g_free(rig);
	return 0;
}

/* One of this process, as a fake QEMU's is. */
static struct saved_guest *add(struct rig *rig, const char *source, const char *address)
{
	const struct saved_guest guest = {
		.source = (char *)source,
		.address = (char *)address,
		.name = (char *)"web",
		.pid = getpid(),
		.start_ticks = process_start_ticks(getpid()),
		.before_bytes = GIB,
		.before_period_s = -1,
		.mode = -1,
		.held_bytes = HV_UNSET,
	};
	struct saved_guest *added = saved_guest_copy(&guest);

	g_ptr_array_add(rig->guests, added);
	return added;
}

static void save(struct rig *rig)
{
	GError *error = NULL;

	if (!state_file_save(rig->folder, rig->guests, &error))
		fail_msg("%s", error->message);
}

static GPtrArray *load(struct rig *rig)
{
	GError *error = NULL;
	GPtrArray *guests = state_file_load(rig->folder, &error);

	if (!guests)
		fail_msg("%s", error->message);
	return guests;
}

static void write_file(struct rig *rig, const char *text)
{
	assert_true(g_file_set_contents(rig->file, text, -1, NULL));
}

static void assert_error(GError *error, int code, const char *part)
{
	assert_non_null(error);
	if (!strstr(error->message, part))
		fail_msg("\"%s\" does not say \"%s\"", error->message, part);
	assert_int_equal(error->domain, G_FILE_ERROR);
	assert_int_equal(error->code, code);
	g_error_free(error);
}

static void load_fails(struct rig *rig, const char *part)
{
	GError *error = NULL;

	assert_null(state_file_load(rig->folder, &error));
	assert_non_null(strstr(error->message, rig->file));
	assert_error(error, G_FILE_ERROR_INVAL, part);
}

static void assert_same(const struct saved_guest *a, const struct saved_guest *b)
{
	assert_string_equal(a->source, b->source);
	assert_string_equal(a->address, b->address);
	assert_string_equal(a->name, b->name);
	assert_int_equal(g_strcmp0(a->uuid, b->uuid), 0);
	assert_int_equal(a->pid, b->pid);
	assert_int_equal(a->start_ticks, b->start_ticks);
	assert_int_equal(a->before_bytes, b->before_bytes);
	assert_int_equal(a->before_period_s, b->before_period_s);
	assert_int_equal(a->changed, b->changed);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->held_bytes, b->held_bytes);
}

/* The entry of a guest that is found there in process @pid; 0: unknown. */
static struct saved_guest *find_entry(struct rig *rig, const char *source, const char *address,
				      pid_t pid)
{
	const struct saved_guest guest = {
		.source = (char *)source,
		.address = (char *)address,
		.name = (char *)"web",
		.pid = pid,
		.start_ticks = process_start_ticks(pid),
	};

	return state_file_find(rig->guests, &guest);
}

/*
 * The file
 */

static void no_file_is_no_guests(void **state)
{
	g_autoptr(GPtrArray) guests = load(*state);

	assert_int_equal(guests->len, 0);
}

static void what_is_saved_is_loaded(void **state)
{
	struct rig *rig = *state;
	struct saved_guest *held = add(rig, "qemu:///system", "beta");
	g_autoptr(GPtrArray) guests = NULL;
	struct saved_guest *copy;

	add(rig, "qmp", "qmp:/run/a.qmp")->before_period_s = 0;
	held->uuid = g_strdup("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	held->pid = 0;
	held->start_ticks = 0;
	held->before_bytes = INT64_MAX;
	held->before_period_s = 7;
	held->changed = true;
	held->mode = POLICY_HELD;
	held->held_bytes = 3 * GIB;
	copy = saved_guest_copy(held);
	assert_same(copy, held);
	assert_ptr_not_equal(copy->uuid, held->uuid);
	saved_guest_free(copy);
	add(rig, "qmp", "qmp:/run/c.qmp")->mode = POLICY_OFF;
	save(rig);
	guests = load(rig);
	assert_int_equal(guests->len, 3);
	for (guint i = 0; i < 3; i++)
		assert_same(g_ptr_array_index(guests, i), g_ptr_array_index(rig->guests, i));
}

static void names_of_any_bytes_are_kept(void **state)
{
	static const char *const names[] = { "100%",	 "%41",	      "a \"b\"\\", "Gäste-頁",
					     "\xff\xfe", "line\nend", "\x01\x7f",  "" };
	struct rig *rig = *state;
	g_autoptr(GPtrArray) guests = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		add(rig, "qmp", names[i]);
	save(rig);
	guests = load(rig);
	assert_int_equal(guests->len, G_N_ELEMENTS(names));
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		assert_same(g_ptr_array_index(guests, i), g_ptr_array_index(rig->guests, i));
}

static void usual_names_stay_readable(void **state)
{
	struct rig *rig = *state;
	g_autofree char *text = NULL;

	add(rig, "qemu+ssh://root@host:22/system?a=b&c", "Web 1 (größer), +#[x]{y}|~_^");
	save(rig);
	assert_true(g_file_get_contents(rig->file, &text, NULL, NULL));
	assert_non_null(strstr(text, "\"qemu+ssh://root@host:22/system?a=b&c\""));
	assert_non_null(strstr(text, "\"Web 1 (größer), +#[x]{y}|~_^\""));
	assert_null(strstr(text, "uuid"));
	assert_null(strstr(text, "mode"));
}

static void the_file_is_replaced_as_a_whole_and_private(void **state)
{
	struct rig *rig = *state;
	g_autoptr(GDir) folder = NULL;
	struct stat before, after;

	add(rig, "qmp", "qmp:/run/a.qmp");
	save(rig);
	assert_int_equal(stat(rig->file, &before), 0);
	add(rig, "qmp", "qmp:/run/b.qmp");
	save(rig);
	assert_int_equal(stat(rig->file, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_mode & 0777, 0600);
	folder = g_dir_open(rig->folder, 0, NULL);
	assert_string_equal(g_dir_read_name(folder), "guests.json");
	assert_null(g_dir_read_name(folder));
}

static void no_guests_is_no_file(void **state)
{
	struct rig *rig = *state;

	save(rig);
	add(rig, "qmp", "qmp:/run/a.qmp");
	save(rig);
	g_ptr_array_set_size(rig->guests, 0);
	save(rig);
	assert_int_equal(access(rig->file, F_OK), -1);
	assert_int_equal(errno, ENOENT);
}

static void a_file_that_cannot_be_written_or_removed_is_an_error(void **state)
{
	struct rig *rig = *state;
	g_autofree char *inside = g_build_filename(rig->file, "x", NULL);
	GError *error = NULL;

	assert_int_equal(g_mkdir_with_parents(inside, 0700), 0);
	assert_false(state_file_save(rig->folder, rig->guests, &error));
	assert_non_null(strstr(error->message, rig->file));
	g_clear_error(&error);
	add(rig, "qmp", "qmp:/run/a.qmp");
	assert_false(state_file_save(rig->folder, rig->guests, &error));
	assert_non_null(error);
	g_clear_error(&error);
	assert_null(state_file_load(rig->folder, &error));
	assert_non_null(error);
	g_clear_error(&error);
	g_rmdir(inside);
	g_rmdir(rig->file);
}

static void a_guest_that_could_not_be_read_back_does_not_cost_the_others_theirs(void **state)
{
	struct rig *rig = *state;
	g_autoptr(GPtrArray) guests = NULL;

	add(rig, "qmp", "qmp:/run/a.qmp")->before_bytes = HV_UNSET;
	add(rig, "qmp", "qmp:/run/b.qmp")->before_bytes = 0;
	add(rig, "qmp", "qmp:/run/c.qmp");
	for (guint i = 0; i < 3; i++)
		assert_int_equal(state_file_accepts(rig->guests->pdata[i]), i == 2);
	save(rig);
	guests = load(rig);
	assert_int_equal(guests->len, 1);
	assert_same(guests->pdata[0], rig->guests->pdata[2]);
}

#define GUEST(members)                                                                             \
	"{\"guests\": [{\"source\": \"qmp\", \"address\": \"a\", \"name\": \"a\", " members "}]}"
#define REST                                                                                       \
	"\"pid\": 1, \"start_ticks\": 2, \"before_bytes\": 3, \"before_period_s\": 4, "            \
	"\"changed\": true"

static void unknown_keys_are_ignored(void **state)
{
	struct rig *rig = *state;
	g_autoptr(GPtrArray) guests = NULL;

	write_file(rig, GUEST(REST ", \"of\": {\"the\": [\"future\"]}"));
	guests = load(rig);
	assert_int_equal(guests->len, 1);
}

static void a_file_that_cannot_be_understood_is_refused_with_its_place(void **state)
{
	static const char *const rows[][2] = {
		{ "", "line 1: " },
		{ "{\"guests\": [\n", "line 2: " },
		{ "{\"guests\": []} x", "line 1: " },
		{ "[]", "\"guests\" is not an array" },
		{ "{\"guests\": {}}", "\"guests\" is not an array" },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = NULL;

		write_file(rig, rows[i][0]);
		load_fails(rig, rows[i][1]);
		assert_true(g_file_get_contents(rig->file, &text, NULL, NULL));
		assert_string_equal(text, rows[i][0]);
	}
}

#define ROW(members) "{\"source\":\"qmp\",\"address\":\"a\",\"name\":\"a\"," members "}"
#define FROM_PID(members) "\"pid\":1,\"start_ticks\":0," members
#define FROM_SIZE(members) FROM_PID("\"before_bytes\":9," members)
#define FROM_FLAG(members) FROM_SIZE("\"before_period_s\":0,\"changed\":true," members)

static void *allocate_nothing(size_t size)
{
	(void)size;
	return NULL;
}

/* Who is told to fix the file, or to abandon its guests, would do so. */
static void without_memory_the_file_is_not_called_wrong(void **state)
{
	struct rig *rig = *state;
	GError *error = NULL;

	write_file(rig, "{\"version\": 1, \"guests\": []}");
	json_set_alloc_funcs(allocate_nothing, free);
	assert_null(state_file_load(rig->folder, &error));
	json_set_alloc_funcs(malloc, free);
	assert_error(error, G_FILE_ERROR_NOMEM, "out of memory");
}

static void a_damaged_row_is_moved_aside_and_the_others_stay(void **state)
{
	static const char *const damaged[] = {
		"1",
		"{}",
		"{\"source\":null}",
		"{\"source\":\"%00\"}",
		ROW("\"uuid\":5"),
		ROW("\"pid\":\"1\""),
		ROW("\"pid\":-1"),
		ROW("\"pid\":2147483648"),
		ROW("\"pid\":1,\"start_ticks\":1.5"),
		ROW("\"pid\":1,\"start_ticks\":-1"),
		ROW(FROM_PID("\"before_bytes\":0")),
		ROW(FROM_SIZE("\"before_period_s\":-2")),
		ROW(FROM_SIZE("\"before_period_s\":0")),
		ROW(FROM_FLAG("\"mode\":\"on\"")),
		ROW(FROM_FLAG("\"mode\":2")),
		ROW(FROM_FLAG("\"mode\":\"held\",\"held_bytes\":0")),
	};
	struct rig *rig = *state;
	g_autofree char *aside = g_strconcat(rig->file, ".damaged", NULL);
	g_autoptr(GString) all = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(damaged); i++) {
		g_autofree char *text =
			g_strdup_printf("{\"guests\": [%s, " ROW(REST) "]}", damaged[i]);
		g_autofree char *moved = NULL;
		g_autoptr(GPtrArray) guests = NULL;

		write_file(rig, text);
		/* The second time there is nothing left to move. */
		for (int pass = 0; pass < 2; pass++) {
			g_clear_pointer(&guests, g_ptr_array_unref);
			guests = load(rig);
			if (guests->len != 1)
				fail_msg("row %zu", i);
		}
		g_string_append_printf(all, "%s\n", damaged[i]);
		assert_true(g_file_get_contents(aside, &moved, NULL, NULL));
		assert_string_equal(moved, all->str);
	}
	g_unlink(aside);
}

static void a_damaged_row_that_cannot_be_moved_stays(void **state)
{
	struct rig *rig = *state;
	g_autofree char *aside = g_strconcat(rig->file, ".damaged", NULL);
	const char *text = "{\"guests\": [5, " ROW(REST) "]}";
	g_autofree char *left = NULL;
	GError *error = NULL;

	write_file(rig, text);
	assert_int_equal(g_mkdir(aside, 0700), 0);
	assert_null(state_file_load(rig->folder, &error));
	assert_non_null(strstr(error->message, aside));
	g_error_free(error);
	assert_true(g_file_get_contents(rig->file, &left, NULL, NULL));
	assert_string_equal(left, text);
	g_rmdir(aside);
}

/*
 * Notes
 */

static void a_note_brings_sizes_and_modes_into_another_process(void **state)
{
	struct rig *rig = *state;
	struct saved_guest *before = add(rig, "qemu:///system", "beta");
	struct saved_guest *after = add(rig, "qemu+ssh://there/system", "gamma");
	g_autofree char *note = NULL;

	before->uuid = g_strdup(UUID);
	after->uuid = g_strdup(UUID);
	before->changed = true;
	before->before_period_s = 7;
	before->mode = POLICY_HELD;
	before->held_bytes = 3 * GIB;
	note = saved_guest_note(before);
	after->before_bytes = 5;
	after->pid = getppid();
	assert_true(saved_guest_take_note(after, note, HV_ORIGIN_STATE));
	assert_string_equal(after->address, "gamma");
	assert_int_equal(after->pid, getppid());
	assert_int_equal(after->before_bytes, GIB);
	assert_int_equal(after->before_period_s, 7);
	assert_true(after->changed);
	assert_int_equal(after->mode, POLICY_HELD);
	assert_int_equal(after->held_bytes, 3 * GIB);
}

/* Whether a note of @writer counts for @guest. */
static bool counts(const struct saved_guest *writer, struct saved_guest *guest,
		   enum hv_origin origin)
{
	g_autofree char *note = saved_guest_note(writer);

	guest->before_bytes = 5;
	if (saved_guest_take_note(guest, note, origin))
		return guest->before_bytes == GIB;
	assert_int_equal(guest->before_bytes, 5);
	return false;
}

static void a_note_that_was_copied_to_another_guest_says_nothing_of_that(void **state)
{
	struct rig *rig = *state;
	struct saved_guest *writer = add(rig, "qemu:///system", "web");
	struct saved_guest *clone = add(rig, "qemu:///system", "clone");

	writer->uuid = g_strdup(UUID);
	clone->uuid = g_strdup("6ba7b810-9dad-11d1-80b4-00c04fd430c9");
	assert_false(counts(writer, clone, HV_ORIGIN_BOOT));
	assert_false(counts(writer, clone, HV_ORIGIN_STATE));
	assert_false(counts(writer, clone, HV_ORIGIN_UNKNOWN));
	/* One without UUID could be anybody's. */
	g_clear_pointer(&writer->uuid, g_free);
	assert_false(counts(writer, clone, HV_ORIGIN_STATE));
}

static void
a_note_that_was_copied_into_the_configuration_says_nothing_of_the_next_start(void **state)
{
	struct rig *rig = *state;
	struct saved_guest *writer = add(rig, "qemu:///system", "web");
	struct saved_guest *next = add(rig, "qemu:///system", "web");

	writer->uuid = g_strdup(UUID);
	next->uuid = g_strdup(UUID);
	assert_true(counts(writer, next, HV_ORIGIN_BOOT));
	next->pid = getppid();
	next->start_ticks = process_start_ticks(getppid());
	assert_false(counts(writer, next, HV_ORIGIN_BOOT));
	assert_true(counts(writer, next, HV_ORIGIN_STATE));
	assert_true(counts(writer, next, HV_ORIGIN_UNKNOWN));
	/* Of a process that cannot be seen nothing is known. */
	next->pid = 0;
	assert_true(counts(writer, next, HV_ORIGIN_BOOT));
}

static void a_note_that_makes_no_sense_changes_nothing(void **state)
{
	static const char *const notes[] = { "",
					     "x",
					     "[]",
					     "{}",
					     "{\"before_bytes\": 0}",
					     "{\"before_bytes\": 7, \"before_period_s\": 1}" };
	struct rig *rig = *state;
	struct saved_guest *guest = add(rig, "qmp", "a");

	for (size_t i = 0; i < G_N_ELEMENTS(notes); i++) {
		if (saved_guest_take_note(guest, notes[i], HV_ORIGIN_UNKNOWN))
			fail_msg("note %zu", i);
		assert_int_equal(guest->before_bytes, GIB);
	}
}

/*
 * Which guest is which
 */

static void a_guest_in_an_unknown_process_is_found_by_its_address(void **state)
{
	struct rig *rig = *state;
	struct saved_guest *a = add(rig, "qmp", "a"), *b = add(rig, "qemu:///system", "a");

	a->pid = b->pid = 0;
	a->start_ticks = b->start_ticks = 0;
	assert_ptr_equal(find_entry(rig, "qmp", "a", getpid()), a);
	assert_ptr_equal(find_entry(rig, "qemu:///system", "a", getpid()), b);
	assert_null(find_entry(rig, "qmp", "b", getpid()));
	assert_null(find_entry(rig, "qemu:///session", "a", getpid()));
}

static void a_guest_is_found_by_its_process_wherever_it_is(void **state)
{
	struct rig *rig = *state;
	struct saved_guest *guest = add(rig, "qmp", "a");

	assert_ptr_equal(find_entry(rig, "qmp", "moved", getpid()), guest);
	assert_ptr_equal(find_entry(rig, "qemu:///system", "web", getpid()), guest);
	assert_null(find_entry(rig, "qmp", "moved", 0));
	/* One process may serve the monitors of several guests. */
	g_free(guest->name);
	guest->name = g_strdup("db");
	assert_null(find_entry(rig, "qmp", "moved", getpid()));
}

static void a_guest_in_an_unknown_process_is_found_by_its_uuid(void **state)
{
	struct rig *rig = *state;
	struct saved_guest *guest = add(rig, "qemu+ssh://host/system", "old");
	struct saved_guest now = { .source = (char *)"qemu+ssh://host/system",
				   .address = (char *)"new",
				   .name = (char *)"new",
				   .uuid = (char *)"6ba7b810-9dad-11d1-80b4-00c04fd430c8" };

	guest->pid = 0;
	guest->start_ticks = 0;
	assert_null(state_file_find(rig->guests, &now));
	guest->uuid = g_strdup(now.uuid);
	assert_ptr_equal(state_file_find(rig->guests, &now), guest);
	guest->uuid[0]++;
	now.address = guest->address;
	assert_null(state_file_find(rig->guests, &now));
}

static void a_guest_in_another_process_is_another(void **state)
{
	struct rig *rig = *state;
	struct saved_guest *guest = add(rig, "qmp", "a");

	assert_null(find_entry(rig, "qmp", "a", getppid()));
	/* The number was given to a process that started later. */
	guest->start_ticks--;
	assert_null(find_entry(rig, "qmp", "a", getpid()));
	assert_null(find_entry(rig, "qmp", "a", 0));
}

static void an_unknown_process_is_taken_for_the_same(void **state)
{
	struct rig *rig = *state;
	struct saved_guest *guest = add(rig, "qmp", "a");

	assert_ptr_equal(find_entry(rig, "qmp", "a", 0), guest);
	guest->start_ticks = 0;
	assert_ptr_equal(find_entry(rig, "qmp", "a", getpid()), guest);
	assert_null(find_entry(rig, "qmp", "a", getppid()));
	guest->pid = 0;
	guest->start_ticks = 1;
	assert_ptr_equal(find_entry(rig, "qmp", "a", getpid()), guest);
}

static void of_two_at_one_address_the_one_that_lives_is_found(void **state)
{
	struct rig *rig = *state;

	add(rig, "qmp", "a")->start_ticks++;
	add(rig, "qmp", "a");
	assert_ptr_equal(find_entry(rig, "qmp", "a", getpid()), g_ptr_array_index(rig->guests, 1));
}

/*
 * The lock
 */

static void a_folder_is_locked_once_and_by_name(void **state)
{
	struct rig *rig = *state;
	g_autofree char *owner = g_strdup_printf("(pid %d) uses %s;", getpid(), rig->folder);
	int64_t started_us = g_get_monotonic_time();
	int lock = state_folder_lock(rig->folder, 0, NULL);
	GError *error = NULL;

	assert_true(lock >= 0);
	assert_int_equal(state_folder_lock(rig->folder, 50, &error), -1);
	assert_error(error, G_FILE_ERROR_AGAIN, owner);
	assert_true(g_get_monotonic_time() - started_us >= 50000);
	close(lock);
	lock = state_folder_lock(rig->folder, 0, NULL);
	assert_true(lock >= 0);
	close(lock);
}

static void a_lock_ends_with_its_process_and_is_waited_for(void **state)
{
	struct rig *rig = *state;
	int ready[2], lock;
	char word;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		state_folder_lock(rig->folder, 0, NULL);
		if (write(ready[1], "", 1) == 1)
			poll(NULL, 0, 100);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &word, 1), 1);
	lock = state_folder_lock(rig->folder, HANG_MS, NULL);
	assert_true(lock >= 0);
	close(lock);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_folder_on_a_full_disk_can_be_locked(void **state)
{
	struct rig *rig = *state;
	const struct rlimit full = { 0, RLIM_INFINITY };
	const struct rlimit free_again = { RLIM_INFINITY, RLIM_INFINITY };
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	int lock;

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	lock = state_folder_lock(rig->folder, 0, NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &free_again), 0);
	signal(SIGXFSZ, before);
	assert_true(lock >= 0);
	close(lock);
}

static void a_locked_folder_is_made_and_its_lock_not_inherited(void **state)
{
	struct rig *rig = *state;
	g_autofree char *parent = g_build_filename(rig->folder, "a", NULL);
	g_autofree char *folder = g_build_filename(parent, "b", NULL);
	g_autofree char *file = g_build_filename(folder, "lock", NULL);
	int lock = state_folder_lock(folder, 0, NULL);
	struct stat made;

	assert_true(lock >= 0);
	assert_true(fcntl(lock, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(stat(folder, &made), 0);
	assert_int_equal(made.st_mode & 0777, 0755);
	close(lock);
	g_unlink(file);
	g_rmdir(folder);
	g_rmdir(parent);
}

static void a_folder_that_cannot_be_made_or_locked_is_an_error(void **state)
{
	struct rig *rig = *state;
	g_autofree char *below = g_build_filename(rig->file, "a", NULL);
	g_autofree char *file = g_build_filename(rig->folder, "lock", NULL);
	GError *error = NULL;

	write_file(rig, "");
	assert_int_equal(state_folder_lock(below, 0, &error), -1);
	assert_error(error, G_FILE_ERROR_NOTDIR, below);
	error = NULL;
	assert_int_equal(symlink("elsewhere", file), 0);
	assert_int_equal(state_folder_lock(rig->folder, 0, &error), -1);
	assert_error(error, G_FILE_ERROR_LOOP, file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_file_is_no_guests),
		TEST(what_is_saved_is_loaded),
		TEST(names_of_any_bytes_are_kept),
		TEST(usual_names_stay_readable),
		TEST(the_file_is_replaced_as_a_whole_and_private),
		TEST(no_guests_is_no_file),
		TEST(a_file_that_cannot_be_written_or_removed_is_an_error),
		TEST(a_guest_that_could_not_be_read_back_does_not_cost_the_others_theirs),
		TEST(unknown_keys_are_ignored),
		TEST(a_file_that_cannot_be_understood_is_refused_with_its_place),
		TEST(without_memory_the_file_is_not_called_wrong),
		TEST(a_damaged_row_is_moved_aside_and_the_others_stay),
		TEST(a_damaged_row_that_cannot_be_moved_stays),
		TEST(a_note_brings_sizes_and_modes_into_another_process),
		TEST(a_note_that_was_copied_to_another_guest_says_nothing_of_that),
		TEST(a_note_that_was_copied_into_the_configuration_says_nothing_of_the_next_start),
		TEST(a_note_that_makes_no_sense_changes_nothing),
		TEST(a_guest_in_an_unknown_process_is_found_by_its_address),
		TEST(a_guest_is_found_by_its_process_wherever_it_is),
		TEST(a_guest_in_an_unknown_process_is_found_by_its_uuid),
		TEST(a_guest_in_another_process_is_another),
		TEST(an_unknown_process_is_taken_for_the_same),
		TEST(of_two_at_one_address_the_one_that_lives_is_found),
		TEST(a_folder_is_locked_once_and_by_name),
		TEST(a_lock_ends_with_its_process_and_is_waited_for),
		TEST(a_folder_on_a_full_disk_can_be_locked),
		TEST(a_locked_folder_is_made_and_its_lock_not_inherited),
		TEST(a_folder_that_cannot_be_made_or_locked_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
