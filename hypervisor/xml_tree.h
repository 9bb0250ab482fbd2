/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The little of libxml2 that domain XML needs (private to domain_xml.c and
 * adopt_xml.c).
 *
 * The text may be hostile: no entity is expanded and no file or network address
 * is opened, for a document with a <!DOCTYPE> is refused before it is read.
 *
 * Elements are looked for by name and outside of any namespace, as libvirt's
 * own are.
 */
#ifndef AEROSTAT_HYPERVISOR_XML_TREE_H
#define AEROSTAT_HYPERVISOR_XML_TREE_H

#include <glib.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/* The tree of the domain XML @text; else NULL, and @problem says why not. */
xmlDoc *xml_tree_read(const char *text, char **problem);
/* The same with HV_ERROR_INVALID. */
xmlDoc *xml_tree_parse(const char *text, GError **error);
/* libvirt's way of writing it: no <?xml?> in front. */
char *xml_tree_text(xmlDoc *doc);

/* @node or the next element after it that is called @name. */
xmlNode *xml_find(xmlNode *node, const char *name);
xmlNode *xml_child(xmlNode *parent, const char *name);
/* The first child called @name in the namespace @uri. */
xmlNode *xml_child_ns(xmlNode *parent, const char *uri, const char *name);
/* Copies; NULL when there is no such node or attribute. */
char *xml_content(xmlNode *node);
char *xml_attribute(xmlNode *node, const char *name);

void xml_drop(xmlNode *node);
/* Drops the blanks between elements, the layout. */
void xml_drop_blanks(xmlNode *parent);

#endif
