/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What libvirt's domain XML says about memory and the balloon: reading it,
 * finding mistakes before libvirt silently corrects them, and telling what an
 * edit changed.
 *
 * All functions are pure: text in, answers out.  The text may be hostile: no
 * entity is expanded and no file or network address is opened, for a document
 * with a <!DOCTYPE> is refused before it is read.
 */
#ifndef AEROSTAT_HYPERVISOR_DOMAIN_XML_H
#define AEROSTAT_HYPERVISOR_DOMAIN_XML_H

#include "hypervisor/hypervisor.h"

/* Our note in the <metadata> of a domain whose balloon is our own device (adopt_xml.c). */
#define DOMAIN_XML_NAMESPACE "urn:aerostat:domain"
#define DOMAIN_XML_DEVICE "device"

typedef struct domain_xml {
	char *name;		/* NULL when not given */
	char *uuid;		/* NULL when not given */
	uint64_t memory_bytes;	/* HV_UNSET when not given, here and below */
	uint64_t current_bytes; /* as libvirt: memory_bytes when not given */
	uint64_t max_memory_bytes;
	unsigned int max_memory_slots;
	char *balloon_model;	 /* NULL when there is no <memballoon> */
	int autodeflate;	 /* 1 on, 0 off, -1 not given */
	int free_page_reporting; /* 1 on, 0 off, -1 not given */
	int stats_period_s;	 /* 0 off or not given; when adopted, of the former balloon */
	bool host_devices;	 /* VFIO or vDPA: a device has all of its memory pinned */
	bool locked;		 /* its memory is locked */
	char *control;		 /* where our own device is steered; NULL when not adopted */
} domain_xml;
void domain_xml_clear(struct domain_xml *domain);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(domain_xml, domain_xml_clear)

/* There is a <memballoon>, and its model is not "none". */
bool domain_xml_has_balloon(const struct domain_xml *domain);

/* Reads @text; what libvirt would not understand counts as not given.  HV_ERROR_INVALID. */
bool domain_xml_parse(const char *text, struct domain_xml *domain, GError **error);

/*
 * domain_xml_validate - everything wrong with @text as new XML of a domain
 * @old: the domain's XML until now, or NULL
 * @floor_bytes: the least that the guest needs, 0 when unknown
 * @problems: receives one line (char *) each
 * @warnings: the same for what is allowed but unwise
 *
 * Each line says where, what, and how to put it right.  Returns true when there
 * is no problem.
 */
bool domain_xml_validate(const char *text, const char *old, uint64_t floor_bytes,
			 GPtrArray *problems, GPtrArray *warnings);

/* What an edit changed.  Current memory and statistics period can be changed live. */
struct domain_xml_changes {
	bool memory;
	bool current;
	bool stats_period;
	bool other; /* anything else but layout and comments */
};

bool domain_xml_compare(const char *old, const char *new, struct domain_xml_changes *changes,
			GError **error);

#endif
