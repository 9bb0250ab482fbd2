/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What libvirt's domain XML says about memory and the balloon.
 *
 * Theory of operation: libvirt reads sizes in its own way (a bare number is
 * KiB, digits only, rounded up to KiB) and corrects in silence what does not
 * fit together.  read_size() reads as libvirt does, and every check below names
 * one thing that libvirt would refuse with fewer words, correct, or drop.
 */
#include "domain_xml.h"

#include "common/size.h"

#include <errno.h>
#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (4 << 20) /* libvirt's limit of one string */
#define UNITS "b, KiB, MiB, GiB, TiB (of 1024) or KB, MB, GB, TB (of 1000)"

static const char *const balloon_models[] = {
	"virtio", "virtio-transitional", "virtio-non-transitional", "xen", "none", NULL,
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)

void domain_xml_clear(struct domain_xml *domain)
{
	g_clear_pointer(&domain->name, g_free);
	g_clear_pointer(&domain->uuid, g_free);
	g_clear_pointer(&domain->balloon_model, g_free);
}

bool domain_xml_has_balloon(const struct domain_xml *domain)
{
	return domain->balloon_model && strcmp(domain->balloon_model, "none");
}

/* ---- the tree ---- */

/* Entities could hide anything behind a <!DOCTYPE>; domain XML has none. */
static void refuse_doctype(void *data, const xmlChar *name, const xmlChar *external,
			   const xmlChar *system)
{
	xmlParserCtxt *parser = data;

	(void)name;
	(void)external;
	(void)system;
	*(bool *)parser->_private = true;
	xmlStopParser(parser);
}

/* The tree of @text; else NULL, and @problem says why not. */
static xmlDoc *read_tree(const char *text, char **problem)
{
	g_autoptr(xmlParserCtxt) parser = xmlNewParserCtxt();
	g_autoptr(xmlDoc) doc = NULL;
	bool has_doctype = false;
	size_t length = strlen(text);
	const xmlError *error;
	const xmlNode *root;

	if (length > TEXT_MAX) {
		*problem = g_strdup("the XML is longer than the 4 MiB that libvirt takes");
		return NULL;
	}
	parser->_private = &has_doctype;
	parser->sax->internalSubset = refuse_doctype;
	doc = xmlCtxtReadMemory(parser, text, (int)length, NULL, NULL,
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
					XML_PARSE_BIG_LINES);
	error = xmlCtxtGetLastError(parser);
	root = doc ? xmlDocGetRootElement(doc) : NULL;
	if (has_doctype)
		*problem = g_strdup("<!DOCTYPE> is not accepted: domain XML has none; remove it");
	else if (!root)
		*problem =
			g_strdup_printf("line %d: not well-formed XML: %s", error ? error->line : 1,
					error && error->message ? error->message : "it is empty");
	else if (strcmp((const char *)root->name, "domain"))
		*problem = g_strdup_printf(
			"line %ld: the outermost element is <%s>; it must be <domain>",
			xmlGetLineNo(root), root->name);
	else
		return g_steal_pointer(&doc);
	g_strchomp(g_strdelimit(*problem, "\n", ' '));
	return NULL;
}

/* @node or the next element after it that is called @name. */
static xmlNode *find(xmlNode *node, const char *name)
{
	while (node && (node->type != XML_ELEMENT_NODE || node->ns ||
			strcmp((const char *)node->name, name)))
		node = node->next;
	return node;
}

static xmlNode *child(xmlNode *parent, const char *name)
{
	return parent ? find(parent->children, name) : NULL;
}

static char *take_string(xmlChar *string)
{
	char *copy = g_strdup((const char *)string);

	xmlFree(string);
	return copy;
}

static char *content(xmlNode *node)
{
	return node ? take_string(xmlNodeGetContent(node)) : NULL;
}

static char *attribute(xmlNode *node, const char *name)
{
	return node ? take_string(xmlGetNoNsProp(node, (const xmlChar *)name)) : NULL;
}

/* ---- values, read as libvirt reads them ---- */

/* Bytes of one @unit, 0 when libvirt does not know it. */
static uint64_t unit_bytes(const char *unit)
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

/* A whole number, with nothing before or after it. */
static bool read_number(const char *text, uint64_t *number)
{
	if (!*text || text[strspn(text, "0123456789")])
		return false;
	errno = 0;
	*number = strtoull(text, NULL, 10);
	return !errno;
}

/* The size in @node, in bytes.  Returns NULL, or what is wrong with it and how to write it. */
static char *read_size(xmlNode *node, uint64_t *bytes)
{
	g_autofree char *text = content(node);
	g_autofree char *unit = attribute(node, "unit");
	uint64_t scale = unit_bytes(unit);
	uint64_t number;

	if (!read_number(text, &number))
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

static uint64_t size_or_unset(xmlNode *node)
{
	uint64_t bytes = HV_UNSET;

	g_free(node ? read_size(node, &bytes) : NULL);
	return bytes;
}

static bool read_period(const char *text, int *period_s)
{
	uint64_t number;

	if (!text || !read_number(text, &number) || number > INT_MAX)
		return false;
	*period_s = (int)number;
	return true;
}

static int read_switch(xmlNode *node, const char *name)
{
	g_autofree char *text = attribute(node, name);

	if (!g_strcmp0(text, "on"))
		return 1;
	return g_strcmp0(text, "off") ? -1 : 0;
}

static void read_domain(xmlNode *root, struct domain_xml *domain)
{
	xmlNode *max_memory = child(root, "maxMemory");
	xmlNode *balloon = child(child(root, "devices"), "memballoon");
	g_autofree char *slots = attribute(max_memory, "slots");
	g_autofree char *period = attribute(child(balloon, "stats"), "period");
	uint64_t number;

	*domain = (struct domain_xml){
		.name = content(child(root, "name")),
		.uuid = content(child(root, "uuid")),
		.memory_bytes = size_or_unset(child(root, "memory")),
		.current_bytes = size_or_unset(child(root, "currentMemory")),
		.max_memory_bytes = size_or_unset(max_memory),
		.balloon_model = attribute(balloon, "model"),
		.autodeflate = read_switch(balloon, "autodeflate"),
		.free_page_reporting = read_switch(balloon, "freePageReporting"),
	};
	if (domain->current_bytes == HV_UNSET)
		domain->current_bytes = domain->memory_bytes;
	if (slots && read_number(slots, &number) && number <= UINT_MAX)
		domain->max_memory_slots = (unsigned int)number;
	read_period(period, &domain->stats_period_s);
}

bool domain_xml_parse(const char *text, struct domain_xml *domain, GError **error)
{
	g_autofree char *problem = NULL;
	g_autoptr(xmlDoc) doc = read_tree(text, &problem);

	if (doc)
		read_domain(xmlDocGetRootElement(doc), domain);
	else
		g_set_error_literal(error, HV_ERROR, HV_ERROR_INVALID, problem);
	return doc;
}

/* ---- validation ---- */

static void G_GNUC_PRINTF(3, 4) note(GPtrArray *notes, xmlNode *node, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list words;

	va_start(words, format);
	text = g_strdup_vprintf(format, words);
	va_end(words);
	g_ptr_array_add(notes, g_strdup_printf("line %ld: %s", xmlGetLineNo(node), text));
}

static void check_given_once(xmlNode *parent, const char *name, GPtrArray *problems)
{
	xmlNode *first = child(parent, name);

	if (!first)
		return;
	for (xmlNode *next = find(first->next, name); next; next = find(next->next, name))
		note(problems, next, "<%s> is given again (first in line %ld); keep one of them",
		     name, xmlGetLineNo(first));
}

/* Sets @bytes, HV_UNSET when it is not there or wrong. */
static void check_size(xmlNode *node, uint64_t *bytes, GPtrArray *problems)
{
	g_autofree char *wrong = NULL;

	*bytes = HV_UNSET;
	if (!node)
		return;
	wrong = read_size(node, bytes);
	if (wrong)
		note(problems, node, "<%s>: %s", node->name, wrong);
}

static void check_memory(xmlNode *root, GPtrArray *problems)
{
	xmlNode *memory = child(root, "memory");
	xmlNode *max_memory = child(root, "maxMemory");
	uint64_t bytes, max_bytes;

	check_size(memory, &bytes, problems);
	check_size(max_memory, &max_bytes, problems);
	if (!memory && !child(child(child(root, "cpu"), "numa"), "cell"))
		note(problems, root,
		     "<memory> is missing; say how much the guest boots with, for example "
		     "<memory unit='GiB'>1</memory>");
	if (memory && bytes == 0)
		note(problems, memory, "<memory> is 0; say how much the guest boots with");
	if (bytes != HV_UNSET && max_bytes != HV_UNSET && bytes > max_bytes) {
		g_autofree char *size = size_format(bytes);
		g_autofree char *max = size_format(max_bytes);

		note(problems, memory,
		     "<memory> (%s) is above <maxMemory> (%s); lower it or raise "
		     "<maxMemory>",
		     size, max);
	}
}

static void check_current(xmlNode *root, uint64_t floor_bytes, GPtrArray *problems,
			  GPtrArray *warnings)
{
	xmlNode *current = child(root, "currentMemory");
	uint64_t bytes, memory_bytes = size_or_unset(child(root, "memory"));
	g_autofree char *size = NULL;

	check_size(current, &bytes, problems);
	if (bytes == HV_UNSET)
		return;
	size = size_format(bytes);
	if (bytes == 0) {
		note(problems, current,
		     "<currentMemory> is 0, which libvirt would silently raise to <memory>; "
		     "write the size meant, or leave it out");
	} else if (memory_bytes != HV_UNSET && bytes > memory_bytes) {
		g_autofree char *memory = size_format(memory_bytes);

		note(problems, current,
		     "<currentMemory> (%s) is above <memory> (%s), to which libvirt would "
		     "silently lower it; write at most %s, or raise <memory>",
		     size, memory, memory);
	} else if (bytes < floor_bytes) {
		g_autofree char *floor = size_format(floor_bytes);

		note(warnings, current,
		     "<currentMemory> (%s) is below this guest's floor of %s: it may run "
		     "out of memory",
		     size, floor);
	}
}

static void check_switch(xmlNode *balloon, const char *name, GPtrArray *problems)
{
	g_autofree char *text = attribute(balloon, name);

	if (text && read_switch(balloon, name) < 0)
		note(problems, balloon, "%s='%s' of <memballoon> is unknown; write on or off", name,
		     text);
}

static void check_stats(xmlNode *balloon, GPtrArray *problems)
{
	xmlNode *stats = child(balloon, "stats");
	g_autofree char *period = attribute(stats, "period");
	int period_s;

	check_given_once(balloon, "stats", problems);
	if (stats && !period)
		note(problems, stats,
		     "<stats> has no period; write for example <stats period='5'/>");
	else if (stats && !read_period(period, &period_s))
		note(problems, stats,
		     "<stats period='%s'>: libvirt would silently drop or refuse it; write "
		     "whole seconds, 0 for none",
		     period);
}

static void check_balloon(xmlNode *devices, GPtrArray *problems)
{
	xmlNode *balloon = child(devices, "memballoon");
	g_autofree char *known = g_strjoinv(", ", (char **)balloon_models);
	g_autofree char *model = attribute(balloon, "model");

	check_given_once(devices, "memballoon", problems);
	if (!balloon)
		return;
	if (!model)
		note(problems, balloon, "<memballoon> has no model; write one of: %s", known);
	else if (!g_strv_contains(balloon_models, model))
		note(problems, balloon, "<memballoon model='%s'> is unknown; write one of: %s",
		     model, known);
	check_switch(balloon, "autodeflate", problems);
	check_switch(balloon, "freePageReporting", problems);
	check_stats(balloon, problems);
}

/* UUIDs are the same whatever their case and wherever their dashes are. */
static char *plain_uuid(const char *uuid)
{
	GString *plain = g_string_new(NULL);

	for (; *uuid; uuid++)
		if (g_ascii_isxdigit(*uuid))
			g_string_append_c(plain, g_ascii_tolower(*uuid));
	return g_string_free(plain, FALSE);
}

static void check_same(xmlNode *root, const char *name, const char *old, bool is_uuid,
		       GPtrArray *problems)
{
	xmlNode *node = child(root, name);
	g_autofree char *new = content(node);
	g_autofree char *old_plain = is_uuid && old ? plain_uuid(old) : g_strdup(old);
	g_autofree char *new_plain = is_uuid && new ? plain_uuid(new) : g_strdup(new);

	if (!old)
		return;
	if (!new)
		note(problems, root, "<%s> is missing; put back <%s>%s</%s>", name, name, old,
		     name);
	else if (strcmp(old_plain, new_plain))
		note(problems, node,
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
	g_autoptr(xmlDoc) doc = read_tree(text, &problem);
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
		check_same(root, "name", before.name, false, problems);
		check_same(root, "uuid", before.uuid, true, problems);
	}
	check_memory(root, problems);
	check_current(root, floor_bytes, problems, warnings);
	check_balloon(child(root, "devices"), problems);
	return problems->len == had;
}

/* ---- comparison ---- */

static void drop_node(xmlNode *node)
{
	if (!node)
		return;
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

static void drop_blanks(xmlNode *parent)
{
	xmlNode *next;

	for (xmlNode *node = parent->children; node; node = next) {
		next = node->next;
		if (xmlIsBlankNode(node))
			drop_node(node);
		else if (node->type == XML_ELEMENT_NODE)
			drop_blanks(node);
	}
}

/* Reads @text into @domain, and the rest of it into one string that leaves out layout and comments.
 */
static char *read_rest(const char *text, struct domain_xml *domain, GError **error)
{
	g_autofree char *problem = NULL;
	g_autoptr(xmlDoc) doc = read_tree(text, &problem);
	xmlChar *rest = NULL;
	xmlNode *root;

	if (!doc) {
		g_set_error_literal(error, HV_ERROR, HV_ERROR_INVALID, problem);
		return NULL;
	}
	root = xmlDocGetRootElement(doc);
	read_domain(root, domain);
	drop_node(child(root, "memory"));
	drop_node(child(root, "currentMemory"));
	drop_node(child(child(child(root, "devices"), "memballoon"), "stats"));
	drop_blanks(root);
	if (xmlC14NDocDumpMemory(doc, NULL, XML_C14N_1_0, NULL, 0, &rest) < 0)
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID, "the XML cannot be compared");
	return take_string(rest);
}

bool domain_xml_compare(const char *old, const char *new, struct domain_xml_changes *changes,
			GError **error)
{
	g_auto(domain_xml) before = { 0 };
	g_auto(domain_xml) after = { 0 };
	g_autofree char *old_rest = read_rest(old, &before, error);
	g_autofree char *new_rest = old_rest ? read_rest(new, &after, error) : NULL;

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
