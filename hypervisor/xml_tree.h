/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Helpers around libxml2 for domain XML (private to this folder).
 *
 * The text may be hostile: a document with a <!DOCTYPE> is refused before it is
 * read, so no entity is expanded and no file or network address is opened.
 *
 * Unless a function takes a namespace, it considers only elements without one, as
 * libvirt's own elements are.
 */
#ifndef AEROSTAT_HYPERVISOR_XML_TREE_H
#define AEROSTAT_HYPERVISOR_XML_TREE_H

#include <glib.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/*
 * The tree of the domain XML @text, for the caller to xmlFreeDoc().  On failure
 * NULL, with the reason in @problem, for the caller to g_free().
 */
xmlDoc *xml_tree_read(const char *text, char **problem);

/* As xml_tree_read(), but fails with HV_ERROR_INVALID. */
xmlDoc *xml_tree_parse(const char *text, GError **error);

/* The text of @doc as libvirt writes it: without <?xml?>.  The caller frees it. */
char *xml_tree_text(xmlDoc *doc);

/* The first element @name among @node and its next siblings; NULL when there is none. */
xmlNode *xml_find(xmlNode *node, const char *name);

/* The first child element @name; NULL when there is none or @parent is NULL. */
xmlNode *xml_child(xmlNode *parent, const char *name);

/* As xml_child(), in the namespace @uri. */
xmlNode *xml_child_ns(xmlNode *parent, const char *uri, const char *name);

/* The text of @node; NULL when @node is NULL.  The caller frees it. */
char *xml_content(xmlNode *node);

/* The value of attribute @name; NULL when there is no node or attribute.  The caller frees it. */
char *xml_attribute(xmlNode *node, const char *name);

/* Removes @node from its document and frees it; NULL is allowed. */
void xml_drop(xmlNode *node);

/* Removes the white space between elements, at all levels below @parent. */
void xml_drop_blanks(xmlNode *parent);

#endif
