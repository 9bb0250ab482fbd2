/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file: what is read from it, and the errors of a wrong one. */
#include "config/config_private.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

struct rig {
	char *folder, *path;
};

static int setup(void **state)
{
	struct rig *rig = g_new0(struct rig, 1);

	rig->folder = g_dir_make_tmp("test_config.XXXXXX", NULL);
	rig->path = g_build_filename(rig->folder, "aerostat.conf", NULL);
	g_unsetenv("AEROSTAT_CONFIG");
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	g_unlink(rig->path);
	g_rmdir(rig->folder);
	g_free(rig->folder);
	g_free(rig->path);
	g_free(rig);
	return 0;
}

static void write_bytes(const struct rig *rig, const char *bytes, size_t length)
{
	assert_true(g_file_set_contents(rig->path, bytes, (gssize)length, NULL));
}

static struct config *load(const struct rig *rig, const char *text)
{
	g_autoptr(GError) error = NULL;
	struct config *config;

	write_bytes(rig, text, strlen(text));
	config = config_load(rig->path, &error);
	if (!config)
		fail_msg("%s", error->message);
	return config;
}

/* @line 0: the error has none. */
static void expect_refusal(const struct rig *rig, const char *path, unsigned int line,
			   const char *reason)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(config_file) config = config_load(path, &error);
	g_autofree char *expected = line ? g_strdup_printf("%s, line %u: ", rig->path, line)
					 : g_strdup_printf("%s: ", path);

	if (config)
		fail_msg("it was taken, instead of: %s", reason);
	assert_int_equal(error->domain, CONFIG_ERROR);
	assert_int_equal(error->code, line ? CONFIG_ERROR_INVALID : CONFIG_ERROR_FILE);
	if (!g_str_has_prefix(error->message, expected) || !strstr(error->message, reason))
		fail_msg("'%s' is not '%s…%s'", error->message, expected, reason);
	for (const char *c = error->message; *c; c++)
		assert_false(g_ascii_iscntrl(*c));
	assert_true(g_utf8_validate(error->message, -1, NULL));
	assert_in_range(strlen(error->message), 1, 300);
}

static void refuses(const struct rig *rig, const char *text, unsigned int line, const char *reason)
{
	write_bytes(rig, text, strlen(text));
	expect_refusal(rig, rig->path, line, reason);
}

/*
 * What it says
 */
static void an_empty_file_leaves_every_default(void **state)
{
	g_autoptr(config_file) config = load(*state, "");
	struct policy_rules rules = config_rules(config, "web");

	assert_null(config->sources.libvirt_uris);
	assert_null(config->sources.qmp_globs);
	assert_string_equal(config->policy->name, "aerostat");
	assert_true(config->settings.budget_bytes == POLICY_UNSET);
	assert_true(config->settings.reserve_bytes == POLICY_UNSET);
	assert_true(config->settings.optimism == 0);
	assert_null(config->group);
	assert_string_equal(config->readers[0], "*");
	assert_null(config->readers[1]);
	assert_null(config->writers[0]);
	assert_int_equal(config->guests->len, 0);
	assert_int_equal(rules.mode, POLICY_AUTO);
	assert_true(rules.min_bytes == POLICY_UNSET && rules.max_bytes == POLICY_UNSET);
	assert_true(rules.weight == 1);
}

static void every_key_is_taken(void **state)
{
	g_autoptr(config_file) config = load(*state, "# all of them\n"
						     "[discover]\n"
						     "libvirt = qemu:///system ; qemu:///session\n"
						     "qmp=/run/vms/*.qmp;/srv/a\\;b;\r\n"
						     "\n"
						     "  [host]\n"
						     "\tpolicy = mom\n"
						     "budget=48G\n"
						     "reserve=1.5G\n"
						     "optimism=0.25\n"
						     "[api]\n"
						     "group=kvm\n"
						     "readers=alice;@staff\n"
						     "writers=*\n"
						     "[guest web*]\n"
						     "mode=observe\n"
						     "min=512 MiB\n"
						     "max=524288\n"
						     "weight=2.5");
	const struct config_guest *guest;

	assert_string_equal(config->path, ((struct rig *)*state)->path);
	assert_string_equal(config->sources.libvirt_uris[0], "qemu:///system");
	assert_string_equal(config->sources.libvirt_uris[1], "qemu:///session");
	assert_null(config->sources.libvirt_uris[2]);
	assert_string_equal(config->sources.qmp_globs[0], "/run/vms/*.qmp");
	assert_string_equal(config->sources.qmp_globs[1], "/srv/a;b");
	assert_null(config->sources.qmp_globs[2]);
	assert_ptr_equal(config->policy, &policy_mom);
	assert_true(config->settings.budget_bytes == 48 * GIB);
	assert_true(config->settings.reserve_bytes == 3 * GIB / 2);
	assert_true(config->settings.optimism == 0.25);
	assert_string_equal(config->group, "kvm");
	assert_string_equal(config->readers[0], "alice");
	assert_string_equal(config->readers[1], "@staff");
	assert_null(config->readers[2]);
	assert_string_equal(config->writers[0], "*");
	assert_int_equal(config->guests->len, 1);
	guest = config->guests->pdata[0];
	assert_string_equal(guest->glob, "web*");
	assert_int_equal(guest->mode, POLICY_OBSERVE);
	assert_true(guest->min_bytes == 512 * MIB);
	assert_true(guest->max_bytes == 512 * MIB);
	assert_true(guest->weight == 2.5);
}

static void auto_leaves_budget_and_reserve_to_the_daemon(void **state)
{
	g_autoptr(config_file) config = load(*state, "[host]\nbudget=auto\nreserve = auto\n");

	assert_true(config->settings.budget_bytes == POLICY_UNSET);
	assert_true(config->settings.reserve_bytes == POLICY_UNSET);
}

static void one_kind_of_sources_means_none_of_the_other(void **state)
{
	g_autoptr(config_file) one = load(*state, "[discover]\nqmp=/run/a\n");
	g_autoptr(config_file) none = load(*state, "[discover]\nlibvirt=\n");

	assert_null(one->sources.libvirt_uris[0]);
	assert_string_equal(one->sources.qmp_globs[0], "/run/a");
	assert_null(none->sources.libvirt_uris[0]);
	assert_null(none->sources.qmp_globs[0]);
}

static void an_empty_list_of_readers_is_nobody(void **state)
{
	g_autoptr(config_file) config = load(*state, "[api]\nreaders=\n");

	assert_null(config->readers[0]);
}

static void a_byte_order_mark_is_passed_over(void **state)
{
	g_autoptr(config_file) config = load(*state, "\xef\xbb\xbf[host]\noptimism=1\n");

	assert_true(config->settings.optimism == 1);
}

/*
 * The rules of a guest
 */
static void the_later_group_wins_key_by_key(void **state)
{
	g_autoptr(config_file) config =
		load(*state, "[guest *]\nmode=observe\nmax=4G\nweight=2\n"
			     "[guest web-[0-9]]\nmode=auto\nmin=1G\n[guest web-?]\nweight=3\n"
			     "[guest web-10]\n");
	struct policy_rules web = config_rules(config, "web-1");
	struct policy_rules other = config_rules(config, "web-10");

	assert_int_equal(web.mode, POLICY_AUTO);
	assert_true(web.min_bytes == GIB && web.max_bytes == 4 * GIB);
	assert_true(web.weight == 3);
	assert_int_equal(other.mode, POLICY_OBSERVE);
	assert_true(other.min_bytes == POLICY_UNSET && other.max_bytes == 4 * GIB);
	assert_true(other.weight == 2);
}

/* Names as libvirt and QEMU allow them, and as guest.c makes those printable that they should not.
 */
static void a_group_with_exactly_the_name_of_a_guest_is_its_own(void **state)
{
	static const char *const names[] = {
		"web[1]", "web[", "[a-z]", "a]b", "web*", "?", "a\\",	    "\\",   "a\\x1b[0m",
		"a b",	  "-x",	  "--",	   "#a",  "a=b",  "ä", "[[:foo:]]", "[!a]", "*(a)",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *text = g_strdup_printf("[guest *]\nmin=1G\n[guest %s]\nmin=2G\n"
							"[guest %s-2]\nmin=4G\n",
							names[i], names[i]);
		g_autoptr(config_file) config = load(*state, text);

		print_message("%s\n", names[i]);
		assert_true(config_rules(config, names[i]).min_bytes == 2 * GIB);
	}
}

static void of_bounds_that_contradict_each_other_the_later_stays(void **state)
{
	g_autoptr(config_file) config = load(*state, "[guest *]\nmin=2G\nmax=4G\n"
						     "[guest small]\nmax=1G\n"
						     "[guest large]\nmin=8G\n"
						     "[guest other]\nmin=5G\nmax=6G\n");
	struct policy_rules small = config_rules(config, "small");
	struct policy_rules large = config_rules(config, "large");
	struct policy_rules other = config_rules(config, "other");

	assert_true(small.min_bytes == GIB && small.max_bytes == GIB);
	assert_true(large.min_bytes == 8 * GIB && large.max_bytes == 8 * GIB);
	assert_true(other.min_bytes == 5 * GIB && other.max_bytes == 6 * GIB);
}

static void groups_of_one_name_are_one(void **state)
{
	g_autoptr(config_file) config =
		load(*state, "[guest a]\nmin=1G\n[host]\noptimism=0\n[guest   a ]\nmax=2G\n"
			     "[host]\nbudget=9G\n");
	struct policy_rules rules = config_rules(config, "a");

	assert_int_equal(config->guests->len, 1);
	assert_true(rules.min_bytes == GIB && rules.max_bytes == 2 * GIB);
	assert_true(config->settings.budget_bytes == 9 * GIB);
}

/*
 * What is refused
 */
static void lines_that_are_no_ini_are_refused(void **state)
{
	refuses(*state, "[host]\n\nbudget 4G\n", 3,
		"'budget 4G' is neither [GROUP] nor KEY=VALUE nor a # comment");
	refuses(*state, "# hello\nbudget=4G\n", 2, "'budget=4G' is in no group");
	refuses(*state, "[host\n", 1, "'[host' is not a group");
	refuses(*state, "[host] # the host\n", 1, "with nothing after it");
	refuses(*state, "[\n", 1, "'[' is not a group");
	refuses(*state, "[host]\n=4G\n", 2, "[host] has no key ''");
}

static void an_unknown_group_is_refused(void **state)
{
	refuses(*state, "[host]\n[gest web]\n", 2,
		"unknown group [gest web]; did you mean [guest NAME]?");
	refuses(*state, "[hosts]\n", 1, "unknown group [hosts]; did you mean [host]?");
	refuses(*state, "[host a]\n", 1, "unknown group [host a]; did you mean [host]?");
	refuses(*state, "[balloons]\n", 1,
		"unknown group [balloons]; use one of [discover], [host], [api], [guest NAME]");
	refuses(*state, "[]\n", 1, "unknown group []");
}

static void an_unknown_key_is_refused(void **state)
{
	refuses(*state, "[discover]\nqpm=/a\n", 2,
		"[discover] has no key 'qpm', only libvirt, qmp; did you mean qmp?");
	refuses(*state, "[guest web]\nminimum=1G\n", 2,
		"[guest web] has no key 'minimum', only mode, min, max, weight");
	refuses(*state, "[guest web]\nwieght=1\n", 2, "did you mean weight?");
	refuses(*state, "[host]\nmax=1G\n", 2,
		"[host] has no key 'max'; it belongs to [guest NAME]");
	refuses(*state, "[guest web]\nlibvirt[de]=a\n", 2, "has no key 'libvirt[de]'");
	refuses(*state, "[host]\nBudget=1G\n", 2, "did you mean budget?");
}

static void a_key_that_is_said_twice_is_refused(void **state)
{
	refuses(*state, "[guest a]\nmin=1G\n[guest b]\nmin=2G\n[guest  a]\nmin=2G\n", 6,
		"[guest a] has min on line 2 already; remove one of the two");
	refuses(*state, "[host]\nbudget=1G\n[host]\nbudget=1G\n", 4, "on line 2 already");
}

static void a_guest_without_a_name_is_refused(void **state)
{
	refuses(*state, "[guest]\n", 1,
		"[guest] needs a name; write [guest NAME], or [guest *] for all");
	refuses(*state, "[guest ]\n", 1, "[guest] needs a name");
}

static void bad_sizes_are_refused(void **state)
{
	refuses(*state, "[host]\nbudget=lots\n", 2, "budget: size 'lots' is not a number");
	refuses(*state, "[host]\nreserve=-1\n", 2, "reserve: size '-1' is negative");
	refuses(*state, "[host]\nreserve=0\n", 2, "the size is 0");
	refuses(*state, "[guest a]\nmin=10furlongs\n", 2, "unknown unit 'furlongs'");
	refuses(*state, "[guest a]\nmax=2G # much\n", 2, "max: size '2G # much'");
	refuses(*state, "[guest a]\nmax=9E\n", 2, "out of range");
	refuses(*state, "[guest a]\nmin=auto\n", 2, "min: size 'auto'");
	refuses(*state, "[guest a]\n\nmin=\n", 3,
		"min has no value; it takes a size, such as 512M");
	refuses(*state, "[guest a]\nmin=0.1b\n", 2, "the size is 0");
}

static void a_min_above_the_max_is_refused_where_the_second_stands(void **state)
{
	refuses(*state, "[guest a]\nmin=2G\nmax=1G\n", 3,
		"[guest a] has a min of 2 GiB, above its max of 1 GiB");
	refuses(*state, "[guest a]\nmax=1G\n[guest a]\nmin=2G\n[guest b]\n", 4, "above its max");
}

static void bad_words_are_refused(void **state)
{
	refuses(*state, "[guest a]\nmode=on\n", 2,
		"mode: unknown mode 'on'; use auto, observe or off");
	refuses(*state, "[guest a]\nmode=held\n", 2,
		"only aerostat setmem can hold a guest; use auto, observe or off, or set min");
	refuses(*state, "[host]\npolicy=fair\n", 2,
		"policy: unknown policy 'fair'; use one of aerostat, static, proxmox, mom, "
		"qmemman, squeezed");
	refuses(*state, "[api]\ngroup=@kvm\n", 2, "group: '@kvm' is not a name");
	refuses(*state, "[api]\ngroup=\n", 2, "group has no value");
	refuses(*state, "[api]\nreaders=alice, bob\n", 2, "readers: 'alice, bob' is not a name");
	refuses(*state, "[api]\nwriters=@\n", 2, "writers: a name is missing");
	refuses(*state, "[api]\nwriters=a;;b\n", 2, "the list has an empty entry");
	refuses(*state, "[discover]\nqmp=/a/\\*.qmp\n", 2, "unknown escape sequence");
	refuses(*state, "[host]\nbudget=\\q\n", 2, "unknown escape sequence");
}

static void bad_numbers_are_refused(void **state)
{
	static const char *const words[] = { "a lot", "nan", "inf", "0x1",
					     "1 2",   "1,5", "-",   "1.0.0" };

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		g_autofree char *text = g_strdup_printf("[guest a]\nweight=%s\n", words[i]);
		g_autofree char *reason = g_strdup_printf("weight: '%s' is not a number", words[i]);

		refuses(*state, text, 2, reason);
	}
	refuses(*state, "[guest a]\nweight=0\n", 2, "from 0.001 to 1000000");
	refuses(*state, "[guest a]\nweight=-1\n", 2, "out of range");
	refuses(*state, "[guest a]\nweight=1e300\n", 2, "out of range");
	refuses(*state, "[host]\noptimism=1.01\n", 2,
		"1.01 is out of range; use a number from 0 to 1");
	refuses(*state, "[host]\noptimism=-0.1\n", 2, "out of range");
}

static void what_is_no_text_is_refused(void **state)
{
	static const char latin[] = "[guest a]\nmin=1G\n# caf\xe9\n";
	static const char nul[] = "[host]\nbudget=4G\0\n";

	write_bytes(*state, latin, sizeof(latin) - 1);
	expect_refusal(*state, ((struct rig *)*state)->path, 3, "the byte 0xe9 is not valid UTF-8");
	write_bytes(*state, nul, sizeof(nul) - 1);
	expect_refusal(*state, ((struct rig *)*state)->path, 2, "the byte 0x00");
}

static void a_message_shows_no_more_than_the_start_of_a_line(void **state)
{
	g_autofree char *line = g_strnfill(5000, 'x');
	g_autofree char *umlauts = g_strdup("ü");

	line[59] = (char)0xc3;
	line[60] = (char)0xbc;
	line[10] = '\x1b';
	refuses(*state, line, 1, "xx…'");
	refuses(*state, "[guest a\x10]\nmin=2G\nmax=1G\n", 3, "[guest a?] has a min");
	for (int i = 0; i < 8; i++) {
		g_autofree char *half = umlauts;

		umlauts = g_strconcat(half, half, NULL);
	}
	refuses(*state, umlauts, 1, "üü…'");
}

static void a_file_that_cannot_be_read_is_refused(void **state)
{
	const struct rig *rig = *state;

	expect_refusal(rig, rig->path, 0, "cannot be read: No such file");
	expect_refusal(rig, rig->folder, 0, "it is a folder; name a file");
	if (geteuid() == 0)
		return;
	write_bytes(rig, "", 0);
	g_chmod(rig->path, 0);
	expect_refusal(rig, rig->path, 0, "cannot be read: Permission denied");
}

static void a_file_of_more_than_a_mebibyte_is_refused(void **state)
{
	const struct rig *rig = *state;
	g_autofree char *text = g_strnfill(MIB + 1, '\n');
	g_autoptr(config_file) config = NULL;

	write_bytes(rig, text, MIB + 1);
	expect_refusal(rig, rig->path, 0, "larger than 1 MiB");
	expect_refusal(rig, "/dev/zero", 0, "device");
	write_bytes(rig, text, MIB);
	config = config_load(rig->path, NULL);
	assert_non_null(config);
}

/*
 * Which file
 */
static void a_fifo_as_configuration_is_refused(void **state)
{
	const struct rig *rig = *state;

	unlink(rig->path);
	assert_int_equal(mkfifo(rig->path, 0600), 0);
	expect_refusal(rig, rig->path, 0, "name a regular file");
}

static void the_file_of_the_environment_must_exist(void **state)
{
	const struct rig *rig = *state;
	g_autoptr(GError) error = NULL;
	g_autoptr(config_file) config = NULL;

	g_setenv("AEROSTAT_CONFIG", rig->path, TRUE);
	assert_null(config_load(NULL, &error));
	assert_non_null(strstr(error->message, rig->path));
	write_bytes(rig, "[host]\noptimism=0.5\n", strlen("[host]\noptimism=0.5\n"));
	config = config_load(NULL, NULL);
	assert_true(config->settings.optimism == 0.5);
	g_unsetenv("AEROSTAT_CONFIG");
}

static void an_empty_variable_names_no_file(void **state)
{
	bool is_named = true;

	(void)state;
	g_setenv("AEROSTAT_CONFIG", "", TRUE);
	assert_string_equal(config_path(&is_named), CONFIG_PATH);
	assert_false(is_named);
	g_unsetenv("AEROSTAT_CONFIG");
}

static void the_usual_file_need_not_exist(void **state)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(config_file) config = NULL;

	(void)state;
	if (g_file_test(CONFIG_PATH, G_FILE_TEST_EXISTS))
		skip();
	config = config_load(NULL, &error);
	assert_non_null(config);
	assert_string_equal(config->path, CONFIG_PATH);
	assert_null(config_load(CONFIG_PATH, &error));
}

static void the_default_is_where_virsh_looks(void **state)
{
	static const struct {
		const char *virsh, *libvirt, *uri;
	} rows[] = {
		{ "test:///a", "test:///b", "test:///a" },
		{ "", "test:///b", "test:///b" },
		{ "", "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct hv_sources sources;

		g_setenv("VIRSH_DEFAULT_CONNECT_URI", rows[i].virsh, TRUE);
		g_setenv("LIBVIRT_DEFAULT_URI", rows[i].libvirt, TRUE);
		sources = config_default_sources();
		assert_string_equal(sources.libvirt_uris[0], rows[i].uri      ? rows[i].uri
							     : geteuid() == 0 ? "qemu:///system"
									      : "qemu:///session");
		assert_null(sources.libvirt_uris[1]);
		assert_null(sources.qmp_globs[0]);
		g_strfreev(sources.libvirt_uris);
		g_strfreev(sources.qmp_globs);
	}
	g_unsetenv("VIRSH_DEFAULT_CONNECT_URI");
	g_unsetenv("LIBVIRT_DEFAULT_URI");
}

static void modes_have_names(void **state)
{
	static const char *const names[] = { "auto", "observe", "held", "off" };

	(void)state;
	for (int mode = 0; mode < 4; mode++) {
		assert_string_equal(config_mode_name((enum policy_mode)mode), names[mode]);
		assert_int_equal(config_mode_find(names[mode]), mode);
	}
	assert_int_equal(config_mode_find("Auto"), -1);
	assert_int_equal(config_mode_find(""), -1);
}

/*
 * The man page: a group is a heading "# [NAME…]", a key a line "*KEY*" below it.
 */
static void the_man_page_names_exactly_the_keys(void **state)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	g_autofree char *group = NULL;
	const struct config_key *next = config_key_table;

	(void)state;
	assert_true(g_file_get_contents(MAN_PAGE, &text, NULL, NULL));
	lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		size_t length = strlen(*line);

		if (**line == '#') {
			g_free(group);
			group = g_str_has_prefix(*line, "# [")
					? g_strndup(*line + 3, strcspn(*line + 3, " ]"))
					: NULL;
		} else if (group && **line == '*' && length > 2 && (*line)[length - 1] == '*') {
			(*line)[length - 1] = '\0';
			if (!next->group)
				fail_msg("the man page has one more: [%s] %s", group, *line + 1);
			assert_string_equal(group, next->group);
			assert_string_equal(*line + 1, next->key);
			next++;
		}
	}
	if (next->group)
		fail_msg("the man page lacks [%s] %s", next->group, next->key);
}

/* The text between two lines ``` is an example. */
static void the_examples_of_the_man_page_are_right(void **state)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) parts = NULL;

	assert_true(g_file_get_contents(MAN_PAGE, &text, NULL, NULL));
	parts = g_strsplit(text, "```\n", -1);
	assert_true(g_strv_length(parts) >= 3);
	for (char **part = parts; *part && part[1]; part += 2) {
		g_autoptr(config_file) config = load(*state, part[1]);

		assert_non_null(config);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_file_leaves_every_default),
		TEST(every_key_is_taken),
		TEST(auto_leaves_budget_and_reserve_to_the_daemon),
		TEST(one_kind_of_sources_means_none_of_the_other),
		TEST(an_empty_list_of_readers_is_nobody),
		TEST(a_byte_order_mark_is_passed_over),
		TEST(the_later_group_wins_key_by_key),
		TEST(a_group_with_exactly_the_name_of_a_guest_is_its_own),
		TEST(of_bounds_that_contradict_each_other_the_later_stays),
		TEST(groups_of_one_name_are_one),
		TEST(lines_that_are_no_ini_are_refused),
		TEST(an_unknown_group_is_refused),
		TEST(an_unknown_key_is_refused),
		TEST(a_key_that_is_said_twice_is_refused),
		TEST(a_guest_without_a_name_is_refused),
		TEST(bad_sizes_are_refused),
		TEST(a_min_above_the_max_is_refused_where_the_second_stands),
		TEST(bad_words_are_refused),
		TEST(bad_numbers_are_refused),
		TEST(what_is_no_text_is_refused),
		TEST(a_message_shows_no_more_than_the_start_of_a_line),
		TEST(a_file_that_cannot_be_read_is_refused),
		TEST(a_file_of_more_than_a_mebibyte_is_refused),
		TEST(a_fifo_as_configuration_is_refused),
		TEST(the_file_of_the_environment_must_exist),
		TEST(an_empty_variable_names_no_file),
		TEST(the_usual_file_need_not_exist),
		TEST(the_default_is_where_virsh_looks),
		TEST(modes_have_names),
		TEST(the_man_page_names_exactly_the_keys),
		TEST(the_examples_of_the_man_page_are_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
