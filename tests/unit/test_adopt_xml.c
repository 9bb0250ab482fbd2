/* SPDX-License-Identifier: BSD-3-Clause */
/* Rewriting domain XML to aerostat's balloon device, and back. */
#include "hypervisor/adopt_xml.h"

#include "hypervisor/domain_xml.h"

#include <libxml/c14n.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define QEMU_NS "http://libvirt.org/schemas/domain/qemu/1.0"
#define LINK "/var/lib/aerostat/emulators/usr/bin/qemu-system-x86_64"
#define SOCKET "/run/aerostat/alpha.sock"
#define CONTROL "/run/aerostat/alpha.qmp"

#define PCI "<controller type='pci' index='0' model='pci-root'/>"
#define PCIE "<controller type='pci' index='0' model='pcie-root'/>"
#define EMULATOR "<emulator>/usr/bin/qemu-system-x86_64</emulator>"
#define ADDRESS(slot)                                                                              \
	"<address type='pci' domain='0x0000' bus='0x00' slot='" slot "' function='0x0'/>"
#define BALLOON                                                                                    \
	"<memballoon model='virtio' autodeflate='on'><stats period='5'/>" ADDRESS(                 \
		"0x07") "</memballoon>"
#define DOMAIN(top, devices)                                                                       \
	"<domain type='kvm'><name>alpha</name><memory unit='KiB'>1048576</memory>" top             \
	"<devices>" EMULATOR devices "</devices></domain>"
#define PLAIN DOMAIN("", PCI BALLOON)
#define SHARED "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"

static const struct adopt_params words = {
	.emulator = LINK,
	.socket = SOCKET,
	.control = CONTROL,
	.environment = (char *[]){ (char *)"AEROSTAT_DEVICE=/usr/bin/aerostat-device --x=1", NULL },
};

static char *apply(const char *text)
{
	g_autoptr(GError) error = NULL;
	char *adopted = adopt_xml_apply(text, &words, &error);

	if (!adopted)
		fail_msg("%s", error->message);
	return adopted;
}

static char *revert_noting(const char *text, GPtrArray *notes)
{
	g_autoptr(GError) error = NULL;
	char *reverted = adopt_xml_revert(text, notes, &error);

	if (!reverted)
		fail_msg("%s", error->message);
	return reverted;
}

static char *revert(const char *text)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	char *reverted = revert_noting(text, notes);

	assert_int_equal(notes->len, 0);
	return reverted;
}

/* Canonical XML, with layout and comments. */
static char *canonical(const char *text)
{
	xmlDoc *doc = xmlReadMemory(text, (int)strlen(text), NULL, NULL, 0);
	xmlChar *out = NULL;
	char *copy;

	assert_non_null(doc);
	assert_true(xmlC14NDocDumpMemory(doc, NULL, XML_C14N_1_0, NULL, 1, &out) >= 0);
	copy = g_strdup((char *)out);
	xmlFree(out);
	xmlFreeDoc(doc);
	return copy;
}

static void assert_same_xml(const char *one, const char *other)
{
	g_autofree char *left = canonical(one);
	g_autofree char *right = canonical(other);

	assert_string_equal(left, right);
}

/* The XPath @path as a string; "q" is libvirt's QEMU namespace, "a" aerostat's. */
static char *xpath(const char *text, const char *path)
{
	xmlDoc *doc = xmlReadMemory(text, (int)strlen(text), NULL, NULL, 0);
	xmlXPathContext *context = xmlXPathNewContext(doc);
	xmlXPathObject *found;
	xmlChar *value;
	char *copy;

	xmlXPathRegisterNs(context, (const xmlChar *)"q", (const xmlChar *)QEMU_NS);
	xmlXPathRegisterNs(context, (const xmlChar *)"a", (const xmlChar *)DOMAIN_XML_NAMESPACE);
	found = xmlXPathEval((const xmlChar *)path, context);
	assert_non_null(found);
	value = xmlXPathCastToString(found);
	copy = g_strdup((char *)value);
	xmlFree(value);
	xmlXPathFreeObject(found);
	xmlXPathFreeContext(context);
	xmlFreeDoc(doc);
	return copy;
}

static void assert_xpath(const char *text, const char *path, const char *expected)
{
	g_autofree char *value = xpath(text, path);

	assert_string_equal(value, expected);
}

/* ---- apply ---- */

static void the_balloon_becomes_none_and_the_memory_shared(void **state)
{
	g_autofree char *adopted = apply(PLAIN);

	(void)state;
	assert_xpath(adopted, "/domain/devices/memballoon/@model", "none");
	assert_xpath(adopted, "count(/domain/devices/memballoon/*)", "0");
	assert_xpath(adopted, "/domain/memoryBacking/source/@type", "memfd");
	assert_xpath(adopted, "/domain/memoryBacking/access/@mode", "shared");
}

static void the_launcher_becomes_the_emulator(void **state)
{
	g_autofree char *adopted = apply(PLAIN);

	(void)state;
	assert_xpath(adopted, "/domain/devices/emulator", LINK);
	assert_xpath(adopted, "/domain/metadata/a:device/emulator", "/usr/bin/qemu-system-x86_64");
}

static void the_device_is_on_the_command_line(void **state)
{
	g_autofree char *adopted = apply(PLAIN);
	g_autofree char *device = adopt_xml_device(adopted);

	(void)state;
	assert_xpath(adopted, "/domain/q:commandline/q:arg[1]/@value", "-device");
	assert_xpath(adopted, "/domain/q:commandline/q:arg[2]/@value", device);
	assert_string_equal(device,
			    "{\"driver\":\"vfio-user-pci\",\"id\":\"aerostat0\",\"bus\":\"pci.0\","
			    "\"addr\":\"0x1e\",\"socket\":{\"type\":\"unix\",\"path\":\"" SOCKET
			    "\"},\"x-msg-timeout\":60000}");
	assert_xpath(adopted, "/domain/q:commandline/q:env[@name='AEROSTAT_DEVICE']/@value",
		     "/usr/bin/aerostat-device --x=1");
}

static void an_adopted_domain_has_its_control_socket_and_old_period(void **state)
{
	g_autofree char *adopted = apply(PLAIN);
	g_auto(domain_xml) domain = { 0 };

	(void)state;
	assert_true(domain_xml_parse(adopted, &domain, NULL));
	assert_string_equal(domain.control, CONTROL);
	assert_int_equal(domain.stats_period_s, 5);
	assert_false(domain_xml_has_balloon(&domain));
}

static void a_plain_domain_has_no_control_socket_and_no_device(void **state)
{
	g_auto(domain_xml) domain = { 0 };

	(void)state;
	assert_true(domain_xml_parse(PLAIN, &domain, NULL));
	assert_null(domain.control);
	assert_null(adopt_xml_device(PLAIN));
}

static void the_device_takes_the_highest_free_slot(void **state)
{
	g_autofree char *adopted = apply(DOMAIN(
		"", PCI BALLOON "<disk>" ADDRESS("0x1e") "</disk><disk>" ADDRESS("29") "</disk>"));
	g_autofree char *device = adopt_xml_device(adopted);

	(void)state;
	assert_non_null(strstr(device, "\"addr\":\"0x1c\""));
}

static void on_pci_express_it_gets_a_port_of_its_own(void **state)
{
	g_autofree char *adopted = apply(DOMAIN("", PCIE BALLOON));
	g_autofree char *device = adopt_xml_device(adopted);

	(void)state;
	assert_non_null(strstr(device, "\"bus\":\"aerostat-port\""));
	assert_null(strstr(device, "\"addr\""));
	assert_xpath(adopted, "count(/domain/q:commandline/q:arg)", "4");
	assert_xpath(adopted,
		     "contains(/domain/q:commandline/q:arg[2]/@value, '\"id\":\"aerostat-port\",'"
		     ")",
		     "true");
}

static void huge_pages_stay(void **state)
{
	g_autofree char *adopted =
		apply(DOMAIN("<memoryBacking><hugepages/></memoryBacking>", PCI BALLOON));

	(void)state;
	assert_xpath(adopted, "count(/domain/memoryBacking/hugepages)", "1");
	assert_xpath(adopted, "/domain/memoryBacking/source/@type", "memfd");
}

static void memory_in_a_file_stays_there_and_is_shared(void **state)
{
	g_autofree char *adopted =
		apply(DOMAIN("<memoryBacking><source type='file'/><access mode='private'/>"
			     "</memoryBacking>",
			     PCI BALLOON));

	(void)state;
	assert_xpath(adopted, "/domain/memoryBacking/source/@type", "file");
	assert_xpath(adopted, "/domain/memoryBacking/access/@mode", "shared");
}

static void words_of_the_users_command_line_stay_in_their_order(void **state)
{
	g_autofree char *adopted = apply(DOMAIN("<q:commandline xmlns:q='" QEMU_NS
						"'><q:arg value='-global'/><q:arg value='a.b=c'/>"
						"<q:env name='X' value='1'/></q:commandline>",
						PCI BALLOON));

	(void)state;
	assert_xpath(adopted, "/domain/q:commandline/q:arg[1]/@value", "-global");
	assert_xpath(adopted, "/domain/q:commandline/q:arg[2]/@value", "a.b=c");
	assert_xpath(adopted, "/domain/q:commandline/q:arg[3]/@value", "-device");
	assert_xpath(adopted, "/domain/q:commandline/q:env[1]/@name", "X");
}

static void a_path_may_hold_what_xml_and_json_escape(void **state)
{
	struct adopt_params odd = words;
	g_autofree char *adopted = NULL;
	g_autofree char *device = NULL;

	(void)state;
	odd.socket = "/run/a&b/\"<'.sock";
	odd.emulator = "/e&m";
	adopted = adopt_xml_apply(PLAIN, &odd, NULL);
	device = adopt_xml_device(adopted);
	assert_xpath(adopted, "/domain/devices/emulator", "/e&m");
	assert_non_null(strstr(device, "/run/a&b/\\\"<'.sock"));
}

static void adopting_twice_is_refused(void **state)
{
	g_autofree char *adopted = apply(PLAIN);
	g_autoptr(GError) error = NULL;

	(void)state;
	assert_null(adopt_xml_apply(adopted, &words, &error));
	assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_REFUSED));
	assert_non_null(strstr(error->message, "already"));
}

/* ---- revert ---- */

static void there_and_back_is_the_same_xml(void **state)
{
	static const char *const texts[] = {
		PLAIN,
		DOMAIN("", PCIE BALLOON),
		DOMAIN("", PCI),
		DOMAIN("", PCI "<memballoon model='none'/>"),
		"<domain type='qemu'><devices>" PCI "</devices></domain>",
		DOMAIN(SHARED, PCI BALLOON),
		DOMAIN("<memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages>"
		       "<source type='anonymous'/></memoryBacking>",
		       PCI BALLOON),
		DOMAIN("<memoryBacking><source type='file'/></memoryBacking>", PCI BALLOON),
		DOMAIN("<metadata/>", PCI BALLOON),
		DOMAIN("<metadata><m:n xmlns:m='urn:m'><m:k v='1'/></m:n></metadata>", PCI BALLOON),
		DOMAIN("<q:commandline xmlns:q='" QEMU_NS "'/>", PCI BALLOON),
		DOMAIN("<q:commandline xmlns:q='" QEMU_NS "'><q:arg value='-device'/>"
		       "<q:arg value='{\"driver\":\"x\",\"id\":\"mine\"}'/><q:arg value='-device'/>"
		       "<q:arg value='y,id=aerostat0'/><q:env name='X'/></q:commandline>",
		       PCI BALLOON),
		"<domain type='kvm' xmlns:qemu='" QEMU_NS
		"'>\n  <!-- a note -->\n  <name>a&amp;b</name>"
		"\n  <devices>\n    " EMULATOR "\n    " PCI "\n    <!-- of 2 -->\n    " BALLOON
		"\n    <disk type='file'/>\n  </devices>\n  <qemu:commandline>\n    "
		"<qemu:arg value='-S'/>\n  </qemu:commandline>\n</domain>\n",
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *adopted = apply(texts[i]);
		g_autofree char *reverted = revert(adopted);

		assert_same_xml(texts[i], reverted);
	}
}

/* As libvirt writes it: with its own layout and single quotes. */
static void layout_that_libvirt_adds_does_not_keep_our_traces(void **state)
{
	g_autofree char *adopted = apply(PLAIN);
	g_autoptr(GString) laid_out = g_string_new(adopted);
	g_autofree char *reverted = NULL;

	(void)state;
	g_string_replace(laid_out, "><", ">\n  <", 0);
	reverted = revert(laid_out->str);
	assert_null(strstr(reverted, "aerostat"));
	assert_null(strstr(reverted, "metadata"));
	assert_null(strstr(reverted, "commandline"));
}

static void changes_made_meanwhile_stay(void **state)
{
	g_autofree char *adopted = apply(PLAIN);
	g_autoptr(GString) changed = g_string_new(adopted);
	g_autofree char *reverted = NULL;

	(void)state;
	g_string_replace(changed, "<devices>", "<vcpu>4</vcpu><devices><disk type='file'/>", 0);
	g_string_replace(changed, "<qemu:env ", "<qemu:arg value='-S'/><qemu:env ", 1);
	reverted = revert(changed->str);
	assert_xpath(reverted, "/domain/vcpu", "4");
	assert_xpath(reverted, "count(/domain/devices/disk)", "1");
	assert_xpath(reverted, "/domain/q:commandline/q:arg/@value", "-S");
	assert_xpath(reverted, "count(/domain/q:commandline/*)", "1");
	assert_xpath(reverted, "/domain/devices/memballoon/stats/@period", "5");
}

static void a_slot_that_is_taken_meanwhile_is_not_claimed_back(void **state)
{
	g_autofree char *adopted = apply(PLAIN);
	g_autoptr(GString) changed = g_string_new(adopted);
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *reverted = NULL;

	(void)state;
	g_string_replace(changed, "<devices>", "<devices><disk>" ADDRESS("7") "</disk>", 0);
	reverted = revert_noting(changed->str, notes);
	assert_int_equal(notes->len, 1);
	assert_xpath(reverted, "count(/domain/devices/memballoon/address)", "0");
	assert_xpath(reverted, "/domain/devices/memballoon/stats/@period", "5");
}

static void what_is_not_adopted_cannot_be_reverted(void **state)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;

	(void)state;
	assert_null(adopt_xml_revert(PLAIN, notes, &error));
	assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_REFUSED));
}

/* ---- checks ---- */

static void check(const char *text, const char *expected)
{
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	bool ok = adopt_xml_check(text, problems);

	if (!expected) {
		assert_true(ok);
		assert_int_equal(problems->len, 0);
		return;
	}
	assert_false(ok);
	assert_int_equal(problems->len, 1);
	if (!strstr(problems->pdata[0], expected))
		fail_msg("not about '%s': %s", expected, (char *)problems->pdata[0]);
}

static void what_stands_in_the_way_is_named(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ PLAIN, NULL },
		{ DOMAIN("", PCIE BALLOON), NULL },
		{ DOMAIN("", PCI "<hostdev mode='subsystem' type='usb'/>"), NULL },
		{ DOMAIN("", PCI "<interface type='vhostuser'/>"), NULL },
		{ DOMAIN("", PCI "<hostdev mode='subsystem' type='pci'/>"), "type='pci'" },
		{ DOMAIN("", PCI "<hostdev type='usb'/><hostdev type='mdev'/>"), "type='mdev'" },
		{ DOMAIN("", PCI "<interface type='hostdev'/>"), "<interface type='hostdev'>" },
		{ DOMAIN("", PCI "<interface type='vdpa'/>"), "<interface type='vdpa'>" },
		{ DOMAIN("", PCI "<disk type='nvme'/>"), "<disk type='nvme'>" },
		{ DOMAIN("", PCI "<iommu model='intel'/>"), "<iommu>" },
		{ DOMAIN("<launchSecurity type='sev'/>", PCI), "<launchSecurity>" },
		{ DOMAIN("", ""), "no PCI bus" },
		{ DOMAIN("", "<controller type='pci' index='1' model='pci-root'/>"), "no PCI bus" },
		{ DOMAIN("<cpu><numa><cell id='0' memAccess='private'/></numa></cpu>", PCI),
		  "memAccess='shared'" },
		{ DOMAIN("", PCI "<memory model='dimm' access='private'/>"), "access='shared'" },
		{ DOMAIN("", PCI "<memory model='dimm'/>"), NULL },
		{ DOMAIN("", PCI "<memory model='virtio-mem'/>"), "model='virtio-mem'" },
		{ DOMAIN("", PCI "<memory model='dimm'/><memory model='nvdimm'/>"), "'nvdimm'" },
		{ DOMAIN("", PCI "<memory model='virtio-pmem'/>"), "model='virtio-pmem'" },
		{ DOMAIN("<q:commandline xmlns:q='" QEMU_NS "'>"
			 "<q:arg value='virtio-balloon-pci'/></q:commandline>",
			 PCI),
		  "another balloon" },
		{ "<domain type='xen'><devices>" PCI "</devices></domain>", "type 'xen'" },
		{ "<domain type='kvm'>", "not well-formed" },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		check(rows[i].text, rows[i].expected);
}

static void a_full_bus_is_named(void **state)
{
	g_autoptr(GString) devices = g_string_new("<domain type='kvm'><devices>" PCI);

	(void)state;
	for (int slot = 1; slot < 32; slot++)
		g_string_append_printf(devices, "<disk><address type='pci' slot='%#x'/></disk>",
				       slot);
	g_string_append(devices, "</devices></domain>");
	check(devices->str, "no slot");
}

static void a_doctype_is_refused(void **state)
{
	g_autoptr(GError) error = NULL;

	(void)state;
	assert_null(adopt_xml_apply("<!DOCTYPE domain [<!ENTITY e SYSTEM '/etc/passwd'>]>"
				    "<domain>&e;</domain>",
				    &words, &error));
	assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_INVALID));
}

static void the_emulator_is_read(void **state)
{
	g_autofree char *emulator = adopt_xml_emulator(PLAIN, NULL);

	(void)state;
	assert_string_equal(emulator, "/usr/bin/qemu-system-x86_64");
	assert_null(adopt_xml_emulator("<domain><devices/></domain>", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_balloon_becomes_none_and_the_memory_shared),
		cmocka_unit_test(the_launcher_becomes_the_emulator),
		cmocka_unit_test(the_device_is_on_the_command_line),
		cmocka_unit_test(an_adopted_domain_has_its_control_socket_and_old_period),
		cmocka_unit_test(a_plain_domain_has_no_control_socket_and_no_device),
		cmocka_unit_test(the_device_takes_the_highest_free_slot),
		cmocka_unit_test(on_pci_express_it_gets_a_port_of_its_own),
		cmocka_unit_test(huge_pages_stay),
		cmocka_unit_test(memory_in_a_file_stays_there_and_is_shared),
		cmocka_unit_test(words_of_the_users_command_line_stay_in_their_order),
		cmocka_unit_test(a_path_may_hold_what_xml_and_json_escape),
		cmocka_unit_test(adopting_twice_is_refused),
		cmocka_unit_test(there_and_back_is_the_same_xml),
		cmocka_unit_test(layout_that_libvirt_adds_does_not_keep_our_traces),
		cmocka_unit_test(changes_made_meanwhile_stay),
		cmocka_unit_test(a_slot_that_is_taken_meanwhile_is_not_claimed_back),
		cmocka_unit_test(what_is_not_adopted_cannot_be_reverted),
		cmocka_unit_test(what_stands_in_the_way_is_named),
		cmocka_unit_test(a_full_bus_is_named),
		cmocka_unit_test(a_doctype_is_refused),
		cmocka_unit_test(the_emulator_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
