/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/xml_tree.h"

#include "hypervisor/hypervisor.h"

#include <string.h>

#define TEXT_MAX (4 << 20) /* libvirt's limit for a string */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)

/* A <!DOCTYPE> could define entities; domain XML has none. */
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

xmlDoc *xml_tree_read(const char *text, char **problem)
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

xmlDoc *xml_tree_parse(const char *text, GError **error)
{
	g_autofree char *problem = NULL;
	xmlDoc *doc = xml_tree_read(text, &problem);

	if (!doc)
		g_set_error_literal(error, HV_ERROR, HV_ERROR_INVALID, problem);
	return doc;
}

static char *copy_xml_string(xmlChar *string)
{
	char *copy = g_strdup((const char *)string);

	xmlFree(string);
	return copy;
}

char *xml_tree_text(xmlDoc *doc)
{
	xmlBuffer *buffer = xmlBufferCreate();
	char *text;

	xmlNodeDump(buffer, doc, xmlDocGetRootElement(doc), 0, 0);
	text = g_strconcat((const char *)xmlBufferContent(buffer), "\n", NULL);
	xmlBufferFree(buffer);
	return text;
}

xmlNode *xml_find(xmlNode *node, const char *name)
{
	while (node && (node->type != XML_ELEMENT_NODE || node->ns ||
			strcmp((const char *)node->name, name)))
		node = node->next;
	return node;
}

xmlNode *xml_child(xmlNode *parent, const char *name)
{
	return parent ? xml_find(parent->children, name) : NULL;
}

xmlNode *xml_child_ns(xmlNode *parent, const char *uri, const char *name)
{
	xmlNode *node = parent ? parent->children : NULL;

	while (node && (node->type != XML_ELEMENT_NODE || !node->ns ||
			strcmp((const char *)node->ns->href, uri) ||
			strcmp((const char *)node->name, name)))
		node = node->next;
	return node;
}

char *xml_content(xmlNode *node)
{
	return node ? copy_xml_string(xmlNodeGetContent(node)) : NULL;
}

char *xml_attribute(xmlNode *node, const char *name)
{
	return node ? copy_xml_string(xmlGetNoNsProp(node, (const xmlChar *)name)) : NULL;
}

void xml_drop(xmlNode *node)
{
	if (!node)
		return;
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

void xml_drop_blanks(xmlNode *parent)
{
	xmlNode *next;

	for (xmlNode *node = parent->children; node; node = next) {
		next = node->next;
		if (xmlIsBlankNode(node))
			xml_drop(node);
		else if (node->type == XML_ELEMENT_NODE)
			xml_drop_blanks(node);
	}
}
