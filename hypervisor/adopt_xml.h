/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rewriting domain XML from QEMU's balloon device to aerostat's, and back.
 *
 * All functions are pure.  Those that return a string leave it to the caller to
 * free, and fail with HV_ERROR_INVALID when @text is not the XML of a domain.
 */
#ifndef AEROSTAT_HYPERVISOR_ADOPT_XML_H
#define AEROSTAT_HYPERVISOR_ADOPT_XML_H

#include "hypervisor/hypervisor.h"

/* The QEMU ids of the devices that adopt_xml_apply() adds. */
#define ADOPT_DEVICE_ID "aerostat0"
#define ADOPT_PORT_ID "aerostat-port"

/* What adopt_xml_apply() writes into the domain. */
struct adopt_params {
	const char *emulator; /* the link to the launcher, see adopt_format_link() */
	const char *socket;   /* on which QEMU reaches the device */
	const char *control;  /* the device's control socket */
	/* Additions to QEMU's environment, "NAME=value"; NULL-terminated. */
	char *const *environment;
};

/* The prefix of all environment variables of aerostat's. */
#define ADOPT_ENVIRONMENT "AEROSTAT_"

/* The domain's <emulator>; NULL without an error when it has none. */
char *adopt_xml_emulator(const char *text, GError **error);

/*
 * adopt_xml_check - find what prevents the domain from having aerostat's device
 * @problems: receives one line (char *) per reason
 *
 * Returns true when there is no reason.
 */
bool adopt_xml_check(const char *text, GPtrArray *problems);

/* The domain with aerostat's device.  HV_ERROR_REFUSED when it has one already. */
char *adopt_xml_apply(const char *text, const struct adopt_params *params, GError **error);

/*
 * adopt_xml_revert - the domain as it was before adopt_xml_apply()
 * @notes: receives one line (char *) per thing that could not be restored
 *
 * Keeps later changes, except those to <emulator>, <memballoon> and
 * <memoryBacking>.  HV_ERROR_REFUSED when it does not have aerostat's device.
 */
char *adopt_xml_revert(const char *text, GPtrArray *notes, GError **error);

/*
 * The JSON of aerostat's device, as QEMU's -device and device_add accept it; NULL
 * when there is none or @text is not the XML of a domain.
 */
char *adopt_xml_device(const char *text);

#endif
