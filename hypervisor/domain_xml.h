/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What libvirt's domain XML says about memory and the balloon: reading it, finding
 * mistakes before libvirt silently corrects them, and comparing two versions.
 *
 * All functions are pure.  The text may be hostile: a document with a <!DOCTYPE> is
 * refused before it is read, so no entity is expanded and no file or network
 * address is opened.
 */
#ifndef AEROSTAT_HYPERVISOR_DOMAIN_XML_H
#define AEROSTAT_HYPERVISOR_DOMAIN_XML_H

#include "hypervisor/hypervisor.h"

/* Aerostat's element in the <metadata> of a domain that has its device (adopt_xml.c). */
#define DOMAIN_XML_NAMESPACE "urn:aerostat:domain"
#define DOMAIN_XML_DEVICE "device"

/* What was read of a domain. */
typedef struct domain_xml {
	char *name;		/* NULL when not given */
	char *uuid;		/* NULL when not given */
	uint64_t memory_bytes;	/* HV_UNSET when not given, here and below */
	uint64_t current_bytes; /* memory_bytes when not given, as in libvirt */
	uint64_t max_memory_bytes;
	uint64_t beside_bytes;	/* the part of memory_bytes that is not at boot and not in DIMMs */
	uint64_t outside_bytes; /* what virtio-mem devices have plugged now */
	unsigned int max_memory_slots;
	char *balloon_model;	 /* NULL when there is no <memballoon> */
	int autodeflate;	 /* 1 on, 0 off, -1 not given */
	int free_page_reporting; /* 1 on, 0 off, -1 not given */
	int stats_period_s;	 /* 0: off, not given; adopted: of the former balloon */
	bool host_devices;	 /* a VFIO or vDPA device pins all of its memory */
	bool confidential;	 /* its memory is protected from the host (launchSecurity) */
	bool locked;		 /* its memory is locked */
	bool huge_pages;	 /* its memory is on huge pages */
	char *user;		 /* who runs its QEMU, of the DAC label; NULL when not given */
	char *control;		 /* control socket of aerostat's device; NULL if not adopted */
} domain_xml;

/* Frees the strings in @domain. */
void domain_xml_clear(struct domain_xml *domain);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(domain_xml, domain_xml_clear)

/*
 * The RAM that a running guest has without a balloon: at boot, in DIMMs, and plugged by virtio-mem
 * devices.  HV_UNSET when not known.
 */
uint64_t domain_xml_ram_bytes(const struct domain_xml *domain);

/* Whether there is a <memballoon> whose model is not "none". */
bool domain_xml_has_balloon(const struct domain_xml *domain);

/*
 * domain_xml_parse - read @text
 * @domain: overwritten; on success the caller frees it with domain_xml_clear()
 *
 * Values that libvirt would not accept count as not given.  Fails with
 * HV_ERROR_INVALID when @text is not the XML of a domain.
 */
bool domain_xml_parse(const char *text, struct domain_xml *domain, GError **error);

/*
 * domain_xml_validate - find all mistakes in @text, the new XML of a domain
 * @old: the domain's current XML, or NULL
 * @floor_bytes: the least memory that the guest needs, 0 when unknown
 * @problems: receives one line (char *) per mistake
 * @warnings: receives one line (char *) per setting that is allowed but unwise
 *
 * Each line says where the mistake is, what it is, and how to correct it.  Returns
 * true when there is no mistake.
 */
bool domain_xml_validate(const char *text, const char *old, uint64_t floor_bytes,
			 GPtrArray *problems, GPtrArray *warnings);

/* What differs between two versions of a domain's XML. */
struct domain_xml_changes {
	bool memory;	   /* <memory> */
	bool current;	   /* <currentMemory>, which can be changed live */
	bool stats_period; /* likewise */
	bool other;	   /* anything else, except layout and comments */
};

/* Compares two versions of a domain's XML.  HV_ERROR_INVALID as domain_xml_parse(). */
bool domain_xml_compare(const char *old, const char *new, struct domain_xml_changes *changes,
			GError **error);

#endif
