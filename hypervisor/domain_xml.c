/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: libvirt reads sizes by its own rules (a number without a
 * unit is KiB; digits only; rounded up to KiB) and silently corrects values that
 * contradict each other.  parse_size_element() reads as libvirt does.  Each check
 * below finds one mistake that libvirt would refuse without a clear reason, correct
 * or drop.
 */
#include "hypervisor/domain_xml.h"

#include "common/size.h"
#include "hypervisor/xml_tree.h"

#include <errno.h>
#include <libxml/c14n.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define UNITS "b, KiB, MiB, GiB, TiB (of 1024) or KB, MB, GB, TB (of 1000)"

static const char *const balloon_models[] = {
	"virtio", "virtio-transitional", "virtio-non-transitional", "xen", "none", NULL,
};

void domain_xml_clear(struct domain_xml *domain)
{
	g_clear_pointer(&domain->name, g_free);
	g_clear_pointer(&domain->uuid, g_free);
	g_clear_pointer(&domain->balloon_model, g_free);
	g_clear_pointer(&domain->user, g_free);
	g_clear_pointer(&domain->control, g_free);
}

uint64_t domain_xml_ram_bytes(const struct domain_xml *domain)
{
	if (domain->memory_bytes == HV_UNSET || domain->memory_bytes < domain->beside_bytes)
		return HV_UNSET;
	return domain->memory_bytes - domain->beside_bytes + domain->outside_bytes;
}

bool domain_xml_has_balloon(const struct domain_xml *domain)
{
	return domain->balloon_model && strcmp(domain->balloon_model, "none");
}

/* ---- parsing, by libvirt's rules ---- */

/* The bytes in one @unit; 0 when libvirt does not accept it. */
static uint64_t parse_unit(const char *unit)
{
	static const char prefixes[] = "kmgtpe";
	const char *prefix;
	uint64_t base, bytes = 1;

	if (!unit || !*unit)
		return SIZE_KIB;
	if (!g_ascii_strcasecmp(unit, "b") || !g_ascii_strcasecmp(unit, "byte") ||
	    !g_ascii_strcasecmp(unit, "bytes"))
		return 1;
	if (!unit[1] || !g_ascii_strcasecmp(unit + 1, "iB"))
		base = 1024;
	else if (!g_ascii_strcasecmp(unit + 1, "B"))
		base = 1000;
	else
		return 0;
	prefix = strchr(prefixes, g_ascii_tolower(*unit));
	if (!prefix)
		return 0;
	for (const char *p = prefixes; p <= prefix; p++)
		bytes *= base;
	return bytes;
}

/* Parses a whole number with nothing before or after it. */
static bool parse_number(const char *text, uint64_t *number)
{
	if (!*text || text[strspn(text, "0123456789")])
		return false;
	errno = 0;
	*number = strtoull(text, NULL, 10);
	return !errno;
}

/* Parses the size in @node.  Returns NULL, or the mistake and its correction. */
static char *parse_size_element(xmlNode *node, uint64_t *bytes)
{
	g_autofree char *text = xml_content(node);
	g_autofree char *unit = xml_attribute(node, "unit");
	uint64_t scale = parse_unit(unit);
	uint64_t number;

	if (!parse_number(text, &number))
		return g_strdup_printf("'%s' is not a whole number; write for example "
				       "<%s unit='MiB'>1536</%s>",
				       text, node->name, node->name);
	if (!scale)
		return g_strdup_printf("unit '%s' is unknown; use %s", unit, UNITS);
	if (number > (INT64_MAX - SIZE_KIB) / scale)
		return g_strdup_printf("%s %s is more than can be counted; write less", text,
				       unit ? unit : "KiB");
	*bytes = (number * scale + SIZE_KIB - 1) / SIZE_KIB * SIZE_KIB;
	return NULL;
}

static uint64_t parse_size_or_unset(xmlNode *node)
{
	uint64_t bytes = HV_UNSET;

	g_free(node ? parse_size_element(node, &bytes) : NULL);
	return bytes;
}

static bool parse_period_attribute(const char *text, int *period_s)
{
	uint64_t number;

	if (!text || !parse_number(text, &number) || number > INT_MAX)
		return false;
	*period_s = (int)number;
	return true;
}

static int parse_switch(xmlNode *node, const char *name)
{
	g_autofree char *text = xml_attribute(node, name);

	if (!g_strcmp0(text, "on"))
		return 1;
	return g_strcmp0(text, "off") ? -1 : 0;
}

/* Whether there is a device element @name of this type. */
static bool has_device_type(xmlNode *devices, const char *name, const char *type)
{
	for (xmlNode *node = xml_child(devices, name); node; node = xml_find(node->next, name)) {
		g_autofree char *its_type = xml_attribute(node, "type");

		if (!g_strcmp0(its_type, type))
			return true;
	}
	return false;
}

/* Whether there is a VFIO or vDPA device, whatever the guest sees it as. */
static bool has_host_devices(xmlNode *devices)
{
	return has_device_type(devices, "hostdev", "pci") ||
	       has_device_type(devices, "hostdev", "mdev") ||
	       has_device_type(devices, "interface", "hostdev") ||
	       has_device_type(devices, "interface", "vdpa") ||
	       has_device_type(devices, "disk", "nvme") ||
	       has_device_type(devices, "disk", "vhostvdpa");
}

/*
 * libvirt counts all memory devices into <memory>, but QEMU's balloon only DIMMs.  A virtio-mem
 * device gives the guest what it has plugged of its size; the others are storage.
 */
static void parse_memory_devices(xmlNode *devices, struct domain_xml *domain)
{
	for (xmlNode *node = xml_child(devices, "memory"); node;
	     node = xml_find(node->next, "memory")) {
		g_autofree char *model = xml_attribute(node, "model");
		xmlNode *target = xml_child(node, "target");
		uint64_t size = parse_size_or_unset(xml_child(target, "size"));
		uint64_t current = parse_size_or_unset(xml_child(target, "current"));

		if (!g_strcmp0(model, "dimm"))
			continue;
		domain->beside_bytes += size == HV_UNSET ? 0 : size;
		if (!g_strcmp0(model, "virtio-mem") && current != HV_UNSET)
			domain->outside_bytes += current;
	}
}

/* The user in "USER:GROUP", the label of libvirt's driver for users and groups; NULL: no label. */
static char *parse_dac_user(xmlNode *root)
{
	for (xmlNode *node = xml_child(root, "seclabel"); node;
	     node = xml_find(node->next, "seclabel")) {
		g_autofree char *model = xml_attribute(node, "model");
		xmlNode *label = xml_child(node, "label");
		g_autofree char *text = label ? xml_content(label) : NULL;

		if (text && !g_strcmp0(model, "dac"))
			return g_strndup(text, strcspn(text, ":"));
	}
	return NULL;
}

static void parse_domain(xmlNode *root, struct domain_xml *domain)
{
	xmlNode *max_memory = xml_child(root, "maxMemory");
	xmlNode *balloon = xml_child(xml_child(root, "devices"), "memballoon");
	xmlNode *ours =
		xml_child_ns(xml_child(root, "metadata"), DOMAIN_XML_NAMESPACE, DOMAIN_XML_DEVICE);
	xmlNode *former = ours ? xml_child(ours, "memballoon") : balloon;
	g_autofree char *slots = xml_attribute(max_memory, "slots");
	g_autofree char *period = xml_attribute(xml_child(former, "stats"), "period");
	uint64_t number;

	*domain = (struct domain_xml){
		.name = xml_content(xml_child(root, "name")),
		.uuid = xml_content(xml_child(root, "uuid")),
		.memory_bytes = parse_size_or_unset(xml_child(root, "memory")),
		.current_bytes = parse_size_or_unset(xml_child(root, "currentMemory")),
		.max_memory_bytes = parse_size_or_unset(max_memory),
		.balloon_model = xml_attribute(balloon, "model"),
		.autodeflate = parse_switch(balloon, "autodeflate"),
		.free_page_reporting = parse_switch(balloon, "freePageReporting"),
		.host_devices = has_host_devices(xml_child(root, "devices")),
		.confidential = xml_child(root, "launchSecurity"),
		.locked = xml_child(xml_child(root, "memoryBacking"), "locked"),
		.huge_pages = xml_child(xml_child(root, "memoryBacking"), "hugepages"),
		.user = parse_dac_user(root),
		.control = xml_attribute(ours, "control"),
	};
	if (domain->current_bytes == HV_UNSET)
		domain->current_bytes = domain->memory_bytes;
	parse_memory_devices(xml_child(root, "devices"), domain);
	if (slots && parse_number(slots, &number) && number <= UINT_MAX)
		domain->max_memory_slots = (unsigned int)number;
	parse_period_attribute(period, &domain->stats_period_s);
}

bool domain_xml_parse(const char *text, struct domain_xml *domain, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_tree_parse(text, error);

	if (doc)
		parse_domain(xmlDocGetRootElement(doc), domain);
	return doc;
}

/* ---- validation ---- */

static void G_GNUC_PRINTF(3, 4)
	add_line_note(GPtrArray *notes, xmlNode *node, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	g_ptr_array_add(notes, g_strdup_printf("line %ld: %s", xmlGetLineNo(node), text));
}

static void check_given_once(xmlNode *parent, const char *name, GPtrArray *problems)
{
	xmlNode *first = xml_child(parent, name);

	if (!first)
		return;
	for (xmlNode *next = xml_find(first->next, name); next; next = xml_find(next->next, name))
		add_line_note(problems, next,
			      "<%s> is given again (first in line %ld); keep one of them", name,
			      xmlGetLineNo(first));
}

/* Stores the size in @bytes; HV_UNSET when it is missing or invalid. */
static void check_size(xmlNode *node, uint64_t *bytes, GPtrArray *problems)
{
	g_autofree char *wrong = NULL;

	*bytes = HV_UNSET;
	if (!node)
		return;
	wrong = parse_size_element(node, bytes);
	if (wrong)
		add_line_note(problems, node, "<%s>: %s", node->name, wrong);
}

static void check_memory(xmlNode *root, GPtrArray *problems)
{
	xmlNode *memory = xml_child(root, "memory");
	xmlNode *max_memory = xml_child(root, "maxMemory");
	uint64_t bytes, max_bytes;

	check_size(memory, &bytes, problems);
	check_size(max_memory, &max_bytes, problems);
	if (!memory && !xml_child(xml_child(xml_child(root, "cpu"), "numa"), "cell"))
		add_line_note(problems, root,
			      "<memory> is missing; say how much the guest boots with, for example "
			      "<memory unit='GiB'>1</memory>");
	if (memory && bytes == 0)
		add_line_note(problems, memory, "<memory> is 0; say how much the guest boots with");
	if (bytes != HV_UNSET && max_bytes != HV_UNSET && bytes > max_bytes) {
		g_autofree char *size = size_format(bytes);
		g_autofree char *max = size_format(max_bytes);

		add_line_note(problems, memory,
			      "<memory> (%s) is above <maxMemory> (%s); lower it or raise "
			      "<maxMemory>",
			      size, max);
	}
}

static void check_current_memory(xmlNode *root, uint64_t floor_bytes, GPtrArray *problems,
				 GPtrArray *warnings)
{
	xmlNode *current = xml_child(root, "currentMemory");
	uint64_t bytes, memory_bytes = parse_size_or_unset(xml_child(root, "memory"));
	g_autofree char *size = NULL;

	check_size(current, &bytes, problems);
	if (bytes == HV_UNSET)
		return;
	size = size_format(bytes);
	if (bytes == 0) {
		add_line_note(
			problems, current,
			"<currentMemory> is 0, which libvirt would silently raise to <memory>; "
			"write the size meant, or leave it out");
	} else if (memory_bytes != HV_UNSET && bytes > memory_bytes) {
		g_autofree char *memory = size_format(memory_bytes);

		add_line_note(problems, current,
			      "<currentMemory> (%s) is above <memory> (%s), to which libvirt would "
			      "silently lower it; write at most %s, or raise <memory>",
			      size, memory, memory);
	} else if (bytes < floor_bytes) {
		g_autofree char *floor = size_format(floor_bytes);

		add_line_note(warnings, current,
			      "<currentMemory> (%s) is below this guest's floor of %s: it may run "
			      "out of memory",
			      size, floor);
	}
}

static void check_switch(xmlNode *balloon, const char *name, GPtrArray *problems)
{
	g_autofree char *text = xml_attribute(balloon, name);

	if (text && parse_switch(balloon, name) < 0)
		add_line_note(problems, balloon,
			      "%s='%s' of <memballoon> is unknown; write on or off", name, text);
}

static void check_stats_period(xmlNode *balloon, GPtrArray *problems)
{
	xmlNode *stats = xml_child(balloon, "stats");
	g_autofree char *period = xml_attribute(stats, "period");
	int period_s;

	check_given_once(balloon, "stats", problems);
	if (stats && !period)
		add_line_note(problems, stats,
			      "<stats> has no period; write for example <stats period='5'/>");
	else if (stats && !parse_period_attribute(period, &period_s))
		add_line_note(
			problems, stats,
			"<stats period='%s'>: libvirt would silently drop or refuse it; write "
			"whole seconds, 0 for none",
			period);
}

static void check_memballoon(xmlNode *devices, GPtrArray *problems)
{
	xmlNode *balloon = xml_child(devices, "memballoon");
	g_autofree char *known = g_strjoinv(", ", (char **)balloon_models);
	g_autofree char *model = xml_attribute(balloon, "model");

	check_given_once(devices, "memballoon", problems);
	if (!balloon)
		return;
	if (!model)
		add_line_note(problems, balloon, "<memballoon> has no model; write one of: %s",
			      known);
	else if (!g_strv_contains(balloon_models, model))
		add_line_note(problems, balloon,
			      "<memballoon model='%s'> is unknown; write one of: %s", model, known);
	check_switch(balloon, "autodeflate", problems);
	check_switch(balloon, "freePageReporting", problems);
	check_stats_period(balloon, problems);
}

/* UUIDs are compared without regard to case and dashes. */
static char *normalize_uuid(const char *uuid)
{
	GString *plain = g_string_new(NULL);

	for (; *uuid; uuid++)
		if (g_ascii_isxdigit(*uuid))
			g_string_append_c(plain, g_ascii_tolower(*uuid));
	return g_string_free(plain, FALSE);
}

static void check_unchanged(xmlNode *root, const char *name, const char *old, bool is_uuid,
			    GPtrArray *problems)
{
	xmlNode *node = xml_child(root, name);
	g_autofree char *new = xml_content(node);
	g_autofree char *old_plain = is_uuid && old ? normalize_uuid(old) : g_strdup(old);
	g_autofree char *new_plain = is_uuid && new ? normalize_uuid(new) : g_strdup(new);

	if (!old)
		return;
	if (!new)
		add_line_note(problems, root, "<%s> is missing; put back <%s>%s</%s>", name, name,
			      old, name);
	else if (strcmp(old_plain, new_plain))
		add_line_note(
			problems, node,
			"<%s> was changed from %s to %s, which would define another guest; put "
			"it back",
			name, old, new);
}

bool domain_xml_validate(const char *text, const char *old, uint64_t floor_bytes,
			 GPtrArray *problems, GPtrArray *warnings)
{
	static const char *const given_once[] = { "name",	   "uuid",	"memory",
						  "currentMemory", "maxMemory", "devices" };
	g_autofree char *problem = NULL;
	g_autoptr(xmlDoc) doc = xml_tree_read(text, &problem);
	g_auto(domain_xml) before = { 0 };
	guint had = problems->len;
	xmlNode *root;

	if (!doc) {
		g_ptr_array_add(problems, g_steal_pointer(&problem));
		return false;
	}
	root = xmlDocGetRootElement(doc);
	for (size_t i = 0; i < G_N_ELEMENTS(given_once); i++)
		check_given_once(root, given_once[i], problems);
	if (old && domain_xml_parse(old, &before, NULL)) {
		check_unchanged(root, "name", before.name, false, problems);
		check_unchanged(root, "uuid", before.uuid, true, problems);
	}
	check_memory(root, problems);
	check_current_memory(root, floor_bytes, problems, warnings);
	check_memballoon(xml_child(root, "devices"), problems);
	return problems->len == had;
}

/* ---- comparison ---- */

/*
 * Parses @text into @domain.  Returns everything else in it as canonical XML, without
 * layout and comments.
 */
static char *parse_all_but_sizes(const char *text, struct domain_xml *domain, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_tree_parse(text, error);
	xmlChar *rest = NULL;
	xmlNode *root;
	char *copy;

	if (!doc)
		return NULL;
	root = xmlDocGetRootElement(doc);
	parse_domain(root, domain);
	xml_drop(xml_child(root, "memory"));
	xml_drop(xml_child(root, "currentMemory"));
	xml_drop(xml_child(xml_child(xml_child(root, "devices"), "memballoon"), "stats"));
	xml_drop_blanks(root);
	if (xmlC14NDocDumpMemory(doc, NULL, XML_C14N_1_0, NULL, 0, &rest) < 0)
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID, "the XML cannot be compared");
	copy = g_strdup((const char *)rest);
	xmlFree(rest);
	return copy;
}

bool domain_xml_compare(const char *old, const char *new, struct domain_xml_changes *changes,
			GError **error)
{
	g_auto(domain_xml) before = { 0 };
	g_auto(domain_xml) after = { 0 };
	g_autofree char *old_rest = parse_all_but_sizes(old, &before, error);
	g_autofree char *new_rest = old_rest ? parse_all_but_sizes(new, &after, error) : NULL;

	if (!new_rest)
		return false;
	*changes = (struct domain_xml_changes){
		.memory = before.memory_bytes != after.memory_bytes,
		.current = before.current_bytes != after.current_bytes,
		.stats_period = before.stats_period_s != after.stats_period_s,
		.other = strcmp(old_rest, new_rest),
	};
	return true;
}
