/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading, validating and comparing domain XML. */
#include "hypervisor/domain_xml.h"

#include "common/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define UUID "cc674476-0a01-4a9e-b8b9-aa24340a7d52"
#define HEAD "<domain type='kvm'>\n<name>alpha</name>\n<uuid>" UUID "</uuid>\n"
#define TAIL "</domain>\n"
#define BALLOON                                                                                    \
	"<devices>\n<memballoon model='virtio'><stats period='5'/></memballoon>\n</devices>\n"
#define GOOD                                                                                       \
	HEAD "<memory unit='MiB'>1024</memory>\n<currentMemory "                                   \
	     "unit='MiB'>512</currentMemory>\n" BALLOON TAIL

/* ---- reading ---- */

static void test_reads_everything(void **state)
{
	g_auto(domain_xml) xml = { 0 };

	(void)state;
	assert_true(domain_xml_parse(HEAD
				     "<maxMemory slots='16' unit='GiB'>8</maxMemory>"
				     "<memory unit='KiB'>2097152</memory>"
				     "<currentMemory unit='KiB'>1048576</currentMemory><devices>"
				     "<memballoon model='virtio' autodeflate='on' "
				     "freePageReporting='off'><stats period='7'/></memballoon>"
				     "</devices>" TAIL,
				     &xml, NULL));
	assert_string_equal(xml.name, "alpha");
	assert_string_equal(xml.uuid, UUID);
	assert_int_equal(xml.memory_bytes, 2 * SIZE_GIB);
	assert_int_equal(xml.current_bytes, SIZE_GIB);
	assert_int_equal(xml.max_memory_bytes, 8 * SIZE_GIB);
	assert_int_equal(xml.max_memory_slots, 16);
	assert_string_equal(xml.balloon_model, "virtio");
	assert_int_equal(xml.autodeflate, 1);
	assert_int_equal(xml.free_page_reporting, 0);
	assert_int_equal(xml.stats_period_s, 7);
	assert_true(domain_xml_has_balloon(&xml));
}

static void test_what_is_not_given(void **state)
{
	g_auto(domain_xml) xml = { 0 };

	(void)state;
	assert_true(domain_xml_parse("<domain><memory>2048</memory></domain>", &xml, NULL));
	assert_null(xml.name);
	assert_null(xml.uuid);
	assert_int_equal(xml.current_bytes, 2 * SIZE_MIB);
	assert_int_equal(xml.max_memory_bytes, HV_UNSET);
	assert_int_equal(xml.autodeflate, -1);
	assert_int_equal(xml.free_page_reporting, -1);
	assert_int_equal(xml.stats_period_s, 0);
	assert_false(domain_xml_has_balloon(&xml));
}

static void test_model_none_is_no_balloon(void **state)
{
	g_auto(domain_xml) xml = { 0 };

	(void)state;
	assert_true(domain_xml_parse(
		"<domain><devices><memballoon model='none'/></devices></domain>", &xml, NULL));
	assert_false(domain_xml_has_balloon(&xml));
}

/* libvirt counts every memory device into <memory>, with its whole size. */
static void test_only_memory_that_is_plugged_is_ram(void **state)
{
	g_auto(domain_xml) xml = { 0 };

	(void)state;
	assert_true(domain_xml_parse(
		"<domain><memory unit='MiB'>3204</memory><devices>"
		"<memory model='dimm'><target><size unit='MiB'>128</size></target></memory>"
		"<memory model='nvdimm'><target><size unit='MiB'>2</size></target></memory>"
		"<memory model='virtio-pmem'><target><size unit='MiB'>2</size></target></memory>"
		"<memory model='virtio-mem'><target><size unit='MiB'>1024</size>"
		"<requested unit='MiB'>512</requested><current unit='MiB'>256</current></target>"
		"</memory><memory model='virtio-mem'><target><size unit='MiB'>1024</size></target>"
		"</memory></devices></domain>",
		&xml, NULL));
	assert_int_equal(xml.outside_bytes, 256 * SIZE_MIB);
	assert_int_equal(xml.beside_bytes, 2052 * SIZE_MIB);
	assert_int_equal(domain_xml_ram_bytes(&xml), (1024 + 128 + 256) * SIZE_MIB);
}

static void test_memory_devices_that_are_larger_than_the_guest_are_not_believed(void **state)
{
	g_auto(domain_xml) xml = { 0 };

	(void)state;
	assert_true(domain_xml_parse(
		"<domain><memory unit='MiB'>1024</memory><devices><memory model='virtio-mem'>"
		"<target><size unit='MiB'>2048</size></target></memory></devices></domain>",
		&xml, NULL));
	assert_int_equal(domain_xml_ram_bytes(&xml), HV_UNSET);
}

/* ---- obstacles ---- */

#define DEVICES(xml) "<domain><devices>" xml "</devices></domain>"

static void test_devices_of_the_host(void **state)
{
	static const struct {
		const char *text;
		bool host_devices;
	} rows[] = {
		{ DEVICES("<hostdev mode='subsystem' type='pci' managed='yes'/>"), true },
		{ DEVICES("<hostdev mode='subsystem' type='mdev' model='vfio-ap'/>"), true },
		{ DEVICES("<interface type='hostdev'/>"), true },
		{ DEVICES("<interface type='vdpa'/>"), true },
		{ DEVICES("<disk type='nvme' device='disk'/>"), true },
		{ DEVICES("<disk type='vhostvdpa' device='disk'/>"), true },
		{ DEVICES("<hostdev type='usb'/>\n<hostdev type='scsi'/>\n<hostdev type='pci'/>"),
		  true },
		{ DEVICES("<hostdev mode='subsystem' type='usb'/>"), false },
		{ DEVICES("<hostdev/>"), false },
		{ DEVICES("<interface type='bridge'/><interface type='user'/>"), false },
		{ DEVICES("<disk type='file'/>"), false },
		{ DEVICES("<controller type='pci'/>"), false },
		{ DEVICES("<hostdev xmlns='urn:x' type='pci'/>"), false },
		{ "<domain><hostdev type='pci'/></domain>", false },
		{ "<domain/>", false },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(domain_xml) xml = { 0 };

		assert_true(domain_xml_parse(rows[i].text, &xml, NULL));
		if (xml.host_devices != rows[i].host_devices)
			fail_msg("%s", rows[i].text);
		assert_false(xml.locked);
	}
}

static void test_confidential_guest(void **state)
{
	g_auto(domain_xml) protected = { 0 };
	GError *error = NULL;

	(void)state;
	assert_true(domain_xml_parse("<domain><launchSecurity type='sev'/></domain>", &protected,
				     &error));
	assert_true(protected.confidential);
}

static void test_user_of_its_qemu(void **state)
{
	static const struct {
		const char *labels, *user;
	} rows[] = {
		{ "", NULL },
		{ "<seclabel model='dac'><label>+64055:+109</label></seclabel>", "+64055" },
		{ "<seclabel type='static' model='dac' relabel='yes'><label>vm-web:kvm</label>"
		  "</seclabel>",
		  "vm-web" },
		{ "<seclabel model='apparmor'><label>libvirt-1</label></seclabel>"
		  "<seclabel type='dynamic' model='dac'><label>+1:+2</label></seclabel>",
		  "+1" },
		{ "<seclabel model='selinux'><label>system_u:x</label></seclabel>", NULL },
		{ "<seclabel type='none' model='dac'/>", NULL },
		{ "<devices><seclabel model='dac'><label>+1:+2</label></seclabel></devices>",
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text =
			g_strdup_printf("<domain type='kvm'>%s</domain>", rows[i].labels);
		g_auto(domain_xml) xml = { 0 };

		assert_true(domain_xml_parse(text, &xml, NULL));
		if (rows[i].user)
			assert_string_equal(xml.user, rows[i].user);
		else
			assert_null(xml.user);
	}
}

static void test_locked_memory(void **state)
{
	g_auto(domain_xml) locked = { 0 };
	g_auto(domain_xml) shared = { 0 };

	(void)state;
	assert_true(domain_xml_parse(
		"<domain><memoryBacking><hugepages/><locked/></memoryBacking></domain>", &locked,
		NULL));
	assert_true(locked.locked);
	assert_false(locked.confidential);
	assert_false(locked.host_devices);
	assert_true(domain_xml_parse("<domain><memoryBacking><access mode='shared'/>"
				     "</memoryBacking><metadata><locked/></metadata></domain>",
				     &shared, NULL));
	assert_false(shared.locked);
}

/* An element of that name in another namespace, or further down, does not count. */
static void test_reads_only_its_own_elements(void **state)
{
	g_auto(domain_xml) xml = { 0 };

	(void)state;
	assert_true(domain_xml_parse("<domain><metadata><memory>1</memory>"
				     "<a:memory xmlns:a='urn:a'>2</a:memory></metadata>"
				     "<a:memory xmlns:a='urn:a'>3</a:memory>"
				     "<memory>4</memory></domain>",
				     &xml, NULL));
	assert_int_equal(xml.memory_bytes, 4 * SIZE_KIB);
}

static void test_units_are_libvirts(void **state)
{
	static const struct {
		const char *unit;
		uint64_t bytes; /* of 3 of them, rounded up to KiB; 0: unknown */
	} table[] = {
		{ "", 3 * SIZE_KIB },
		{ "b", SIZE_KIB },
		{ "bytes", SIZE_KIB },
		{ "byte", SIZE_KIB },
		{ "k", 3 * SIZE_KIB },
		{ "KiB", 3 * SIZE_KIB },
		{ "kib", 3 * SIZE_KIB },
		{ "KB", 3 * SIZE_KIB },
		{ "M", 3 * SIZE_MIB },
		{ "MiB", 3 * SIZE_MIB },
		{ "MB", 2930 * SIZE_KIB },
		{ "G", 3 * SIZE_GIB },
		{ "GiB", 3 * SIZE_GIB },
		{ "gb", 2929688 * SIZE_KIB },
		{ "T", 3072 * SIZE_GIB },
		{ "TiB", 3072 * SIZE_GIB },
		{ "furlongs", 0 },
		{ "MiBs", 0 },
		{ "iB", 0 },
		{ "x", 0 },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		g_autofree char *text = g_strdup_printf(
			"<domain><memory unit='%s'>3</memory></domain>", table[i].unit);
		g_auto(domain_xml) xml = { 0 };

		assert_true(domain_xml_parse(text, &xml, NULL));
		assert_int_equal(xml.memory_bytes, table[i].bytes ? table[i].bytes : HV_UNSET);
	}
}

static void test_garbage_is_refused(void **state)
{
	static const char *const table[] = {
		"",
		"alpha",
		"<domain>",
		"<domain></domain><domain/>",
		"<network/>",
		"<domain>&x;</domain>",
		"<domain>\xff</domain>",
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		g_auto(domain_xml) xml = { 0 };
		g_autoptr(GError) error = NULL;

		assert_false(domain_xml_parse(table[i], &xml, &error));
		assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_INVALID));
		assert_null(strchr(error->message, '\n'));
	}
}

static void test_doctype_is_refused_unread(void **state)
{
	static const char *const table[] = {
		"<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>",
		"<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain>&x;</domain>",
		"<!DOCTYPE domain [<!ENTITY % x SYSTEM 'http://127.0.0.1:1/'> %x;]><domain/>",
		"<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
		"<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d "
		"'&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'>"
		"<!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;'><!ENTITY f "
		"'&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;'>"
		"<!ENTITY g '&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;'>]><domain><name>&g;</name></domain>",
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		g_auto(domain_xml) xml = { 0 };
		g_autoptr(GError) error = NULL;

		assert_false(domain_xml_parse(table[i], &xml, &error));
		assert_non_null(strstr(error->message, "<!DOCTYPE> is not accepted"));
	}
}

/* ---- validation ---- */

static GPtrArray *notes_new(void)
{
	return g_ptr_array_new_with_free_func(g_free);
}

static void assert_one_note(GPtrArray *notes, const char *start, const char *part)
{
	for (guint i = 0; i < notes->len; i++)
		if (notes->len > 1)
			print_error("%s\n", (char *)notes->pdata[i]);
	assert_int_equal(notes->len, 1);
	if (!g_str_has_prefix(notes->pdata[0], start) || !strstr(notes->pdata[0], part))
		fail_msg("'%s' does not start with '%s' or lacks '%s'", (char *)notes->pdata[0],
			 start, part);
	assert_null(strchr(notes->pdata[0], '\n'));
}

static void test_good_xml_has_no_problem(void **state)
{
	g_autoptr(GPtrArray) problems = notes_new();
	g_autoptr(GPtrArray) warnings = notes_new();

	(void)state;
	assert_true(domain_xml_validate(GOOD, GOOD, 512 * SIZE_MIB, problems, warnings));
	assert_int_equal(problems->len, 0);
	assert_int_equal(warnings->len, 0);
}

/* Each is the body of a domain, from line 4 on, with one mistake. */
static const struct {
	const char *body;
	const char *start;
	const char *part;
} mistakes[] = {
	{ "<memory>1024</memory>\n<currentMemory>2048</currentMemory>",
	  "line 5: <currentMemory> (2 MiB) is above <memory> (1 MiB)", "write at most 1 MiB" },
	{ "<memory>1024</memory>\n<currentMemory>0</currentMemory>", "line 5: <currentMemory> is 0",
	  "silently raise" },
	{ "<memory>0</memory>", "line 4: <memory> is 0", "boots with" },
	{ "<vcpu>1</vcpu>", "line 1: <memory> is missing", "<memory unit='GiB'>1</memory>" },
	{ "<memory>-1</memory>", "line 4: <memory>: '-1' is not a whole number", "write" },
	{ "<memory>abc</memory>", "line 4: <memory>: 'abc' is not a whole number", "write" },
	{ "<memory></memory>", "line 4: <memory>: '' is not a whole number", "write" },
	{ "<memory unit='GiB'>1.5</memory>", "line 4: <memory>: '1.5' is not a whole number",
	  "1536" },
	{ "<memory> 512</memory>", "line 4: <memory>: ' 512' is not a whole number", "write" },
	{ "<memory>512 M</memory>", "line 4: <memory>: '512 M' is not a whole number", "unit=" },
	{ "<memory unit='furlongs'>10</memory>", "line 4: <memory>: unit 'furlongs' is unknown",
	  "MiB" },
	{ "<memory unit='EiB'>8</memory>", "line 4: <memory>: 8 EiB is more than can be counted",
	  "less" },
	{ "<memory>99999999999999999999999</memory>", "line 4: <memory>: '9999999",
	  "whole number" },
	{ "<memory>1024</memory>\n<currentMemory>-5</currentMemory>",
	  "line 5: <currentMemory>: '-5' is not a whole number", "write" },
	{ "<maxMemory slots='2'>1024</maxMemory>\n<memory>2048</memory>",
	  "line 5: <memory> (2 MiB) is above <maxMemory> (1 MiB)", "lower it or raise" },
	{ "<memory>1024</memory>\n<memory>1024</memory>",
	  "line 5: <memory> is given again (first in line 4)", "keep one" },
	{ "<memory>1024</memory>\n<currentMemory>9</currentMemory>\n<currentMemory>9</"
	  "currentMemory>",
	  "line 6: <currentMemory> is given again (first in line 5)", "keep one" },
	{ "<memory>1024</memory>\n<devices>\n<memballoon model='helium'/>\n</devices>",
	  "line 6: <memballoon model='helium'> is unknown", "one of: virtio, " },
	{ "<memory>1024</memory>\n<devices>\n<memballoon/>\n</devices>",
	  "line 6: <memballoon> has no model", "one of: virtio, " },
	{ "<memory>1024</memory>\n<devices>\n<memballoon model='virtio'/>\n<memballoon "
	  "model='none'/>\n"
	  "</devices>",
	  "line 7: <memballoon> is given again (first in line 6)", "keep one" },
	{ "<memory>1024</memory>\n<devices>\n<memballoon model='virtio' "
	  "autodeflate='yes'/>\n</devices>",
	  "line 6: autodeflate='yes' of <memballoon> is unknown", "on or off" },
	{ "<memory>1024</memory>\n<devices>\n<memballoon model='virtio' freePageReporting='1'/>\n"
	  "</devices>",
	  "line 6: freePageReporting='1' of <memballoon> is unknown", "on or off" },
	{ "<memory>1024</memory>\n<devices><memballoon model='virtio'>\n<stats period='-1'/>"
	  "</memballoon></devices>",
	  "line 6: <stats period='-1'>", "whole seconds" },
	{ "<memory>1024</memory>\n<devices><memballoon model='virtio'>\n<stats period='soon'/>"
	  "</memballoon></devices>",
	  "line 6: <stats period='soon'>", "whole seconds" },
	{ "<memory>1024</memory>\n<devices><memballoon model='virtio'>\n<stats "
	  "period='4294967296'/>"
	  "</memballoon></devices>",
	  "line 6: <stats period='4294967296'>", "whole seconds" },
	{ "<memory>1024</memory>\n<devices><memballoon "
	  "model='virtio'>\n<stats/></memballoon></devices>",
	  "line 6: <stats> has no period", "period='5'" },
};

static void test_each_mistake_is_named_with_its_line_and_remedy(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(mistakes); i++) {
		g_autofree char *text = g_strconcat(HEAD, mistakes[i].body, "\n", TAIL, NULL);
		g_autoptr(GPtrArray) problems = notes_new();
		g_autoptr(GPtrArray) warnings = notes_new();

		assert_false(domain_xml_validate(text, GOOD, 0, problems, warnings));
		assert_one_note(problems, mistakes[i].start, mistakes[i].part);
		assert_int_equal(warnings->len, 0);
	}
}

static void test_mistakes_are_told_together(void **state)
{
	g_autoptr(GPtrArray) problems = notes_new();
	g_autoptr(GPtrArray) warnings = notes_new();

	(void)state;
	assert_false(domain_xml_validate(
		"<domain><name>beta</name><memory>0</memory>"
		"<devices><memballoon model='x' autodeflate='y'/></devices></domain>",
		GOOD, 0, problems, warnings));
	assert_int_equal(problems->len, 5);
}

static void test_not_well_formed_names_the_line(void **state)
{
	g_autoptr(GPtrArray) problems = notes_new();
	g_autoptr(GPtrArray) warnings = notes_new();

	(void)state;
	assert_false(domain_xml_validate("<domain>\n<memory>1</memry>\n</domain>", NULL, 0,
					 problems, warnings));
	assert_one_note(problems, "line 2: not well-formed XML: ", "memry");
}

static void test_another_root_is_named(void **state)
{
	g_autoptr(GPtrArray) problems = notes_new();
	g_autoptr(GPtrArray) warnings = notes_new();

	(void)state;
	assert_false(domain_xml_validate("<network/>", NULL, 0, problems, warnings));
	assert_one_note(problems, "line 1: the outermost element is <network>", "must be <domain>");
}

static void test_another_name_or_uuid_would_be_another_guest(void **state)
{
	static const struct {
		const char *ids;
		const char *start;
	} table[] = {
		{ "<name>beta</name>\n<uuid>" UUID "</uuid>",
		  "line 2: <name> was changed from alpha to beta" },
		{ "<name>alpha</name>\n<uuid>00000000-0a01-4a9e-b8b9-aa24340a7d52</uuid>",
		  "line 3: <uuid> was changed" },
		{ "<name>alpha</name>",
		  "line 1: <uuid> is missing; put back <uuid>" UUID "</uuid>" },
		{ "<uuid>" UUID "</uuid>", "line 1: <name> is missing" },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		g_autofree char *text =
			g_strdup_printf("<domain>\n%s<memory>9</memory></domain>", table[i].ids);
		g_autoptr(GPtrArray) problems = notes_new();
		g_autoptr(GPtrArray) warnings = notes_new();

		assert_false(domain_xml_validate(text, GOOD, 0, problems, warnings));
		assert_one_note(problems, table[i].start, "");
	}
}

static void test_uuid_may_be_written_otherwise(void **state)
{
	g_autoptr(GPtrArray) problems = notes_new();
	g_autoptr(GPtrArray) warnings = notes_new();

	(void)state;
	assert_true(domain_xml_validate("<domain><name>alpha</name>"
					"<uuid>CC6744760a014a9eb8b9aa24340a7d52</uuid>"
					"<memory>9</memory></domain>",
					GOOD, 0, problems, warnings));
}

static void test_memory_may_come_from_numa_cells(void **state)
{
	g_autoptr(GPtrArray) problems = notes_new();
	g_autoptr(GPtrArray) warnings = notes_new();

	(void)state;
	assert_true(domain_xml_validate(
		"<domain><cpu><numa><cell id='0' memory='9'/></numa></cpu></domain>", NULL, 0,
		problems, warnings));
}

static void test_below_the_floor_is_a_warning(void **state)
{
	g_autoptr(GPtrArray) problems = notes_new();
	g_autoptr(GPtrArray) warnings = notes_new();

	(void)state;
	assert_true(domain_xml_validate(GOOD, GOOD, 513 * SIZE_MIB, problems, warnings));
	assert_one_note(warnings, "line 5: <currentMemory> (512 MiB) is below", "floor of 513 MiB");
}

/* ---- comparison ---- */

#define REST "<os><type arch='x86_64' machine='pc'>hvm</type></os>"

static void test_compare_reports_what_changed(void **state)
{
	static const struct {
		const char *xml;
		struct domain_xml_changes expected;
	} table[] = {
		{ "<domain><memory>2048</memory><currentMemory>1024</currentMemory>" REST
		  "<devices><memballoon model='virtio'><stats "
		  "period='5'/></memballoon></devices></domain>",
		  { 0 } },
		/* the same with other units, attribute order, layout and comments */
		{ "<domain>\n<!-- two -->\n<memory unit='MiB'>2</memory>\n<currentMemory "
		  "unit='MiB'>1"
		  "</currentMemory>\n<os><type machine='pc' "
		  "arch='x86_64'>hvm</type></os>\n<devices>\n"
		  "<memballoon model='virtio'>\n<stats "
		  "period='5'/>\n</memballoon>\n</devices>\n</domain>\n",
		  { 0 } },
		{ "<domain><memory>4096</memory><currentMemory>1024</currentMemory>" REST
		  "<devices><memballoon model='virtio'><stats "
		  "period='5'/></memballoon></devices></domain>",
		  { .memory = true } },
		{ "<domain><memory>2048</memory>" REST "<devices><memballoon model='virtio'><stats "
		  "period='5'/></memballoon></devices></domain>",
		  { .current = true } },
		{ "<domain><memory>2048</memory><currentMemory>1024</currentMemory>" REST
		  "<devices><memballoon model='virtio'/></devices></domain>",
		  { .stats_period = true } },
		{ "<domain><memory>2048</memory><currentMemory>1024</currentMemory>" REST
		  "<devices><memballoon model='virtio' autodeflate='on'><stats "
		  "period='5'/></memballoon>"
		  "</devices></domain>",
		  { .other = true } },
		{ "<domain><memory>2048</memory><currentMemory>512</currentMemory><os/>"
		  "<devices><memballoon model='virtio'><stats "
		  "period='1'/></memballoon></devices></domain>",
		  { .current = true, .stats_period = true, .other = true } },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		struct domain_xml_changes changes;

		assert_true(domain_xml_compare(table[0].xml, table[i].xml, &changes, NULL));
		assert_memory_equal(&changes, &table[i].expected, sizeof(changes));
	}
}

static void test_compare_refuses_garbage_on_either_side(void **state)
{
	struct domain_xml_changes changes;
	g_autoptr(GError) left = NULL;
	g_autoptr(GError) right = NULL;

	(void)state;
	assert_false(domain_xml_compare("<", GOOD, &changes, &left));
	assert_true(g_error_matches(left, HV_ERROR, HV_ERROR_INVALID));
	assert_false(domain_xml_compare(GOOD, "<", &changes, &right));
	assert_true(g_error_matches(right, HV_ERROR, HV_ERROR_INVALID));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_everything),
		cmocka_unit_test(test_what_is_not_given),
		cmocka_unit_test(test_model_none_is_no_balloon),
		cmocka_unit_test(test_only_memory_that_is_plugged_is_ram),
		cmocka_unit_test(
			test_memory_devices_that_are_larger_than_the_guest_are_not_believed),
		cmocka_unit_test(test_devices_of_the_host),
		cmocka_unit_test(test_confidential_guest),
		cmocka_unit_test(test_user_of_its_qemu),
		cmocka_unit_test(test_locked_memory),
		cmocka_unit_test(test_reads_only_its_own_elements),
		cmocka_unit_test(test_units_are_libvirts),
		cmocka_unit_test(test_garbage_is_refused),
		cmocka_unit_test(test_doctype_is_refused_unread),
		cmocka_unit_test(test_good_xml_has_no_problem),
		cmocka_unit_test(test_each_mistake_is_named_with_its_line_and_remedy),
		cmocka_unit_test(test_mistakes_are_told_together),
		cmocka_unit_test(test_not_well_formed_names_the_line),
		cmocka_unit_test(test_another_root_is_named),
		cmocka_unit_test(test_another_name_or_uuid_would_be_another_guest),
		cmocka_unit_test(test_uuid_may_be_written_otherwise),
		cmocka_unit_test(test_memory_may_come_from_numa_cells),
		cmocka_unit_test(test_below_the_floor_is_a_warning),
		cmocka_unit_test(test_compare_reports_what_changed),
		cmocka_unit_test(test_compare_refuses_garbage_on_either_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
