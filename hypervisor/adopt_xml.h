/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rewriting domain XML from QEMU's balloon device to our own, and back.
 *
 * All functions are pure: text in, answers out.
 */
#ifndef AEROSTAT_HYPERVISOR_ADOPT_XML_H
#define AEROSTAT_HYPERVISOR_ADOPT_XML_H

#include "hypervisor/hypervisor.h"

/* QEMU's ids of what adopt_xml_apply() puts on its command line. */
#define ADOPT_DEVICE_ID "aerostat0"
#define ADOPT_PORT_ID "aerostat-port"

/* What the adopted domain says. */
struct adopt_params {
	const char *emulator; /* the launcher, in the shape of that emulator */
	const char *socket;   /* where the device waits for QEMU */
	const char *control;  /* where it is steered */
	/* QEMU's environment, "NAME=value", for the launcher; NULL-terminated. */
	char *const *environment;
};
/* The names of environment variables that are ours all begin so. */
#define ADOPT_ENVIRONMENT "AEROSTAT_"

/* The domain's <emulator>; NULL when it names none. */
char *adopt_xml_emulator(const char *text, GError **error);

/*
 * adopt_xml_check - why the domain cannot have our device
 * @problems: receives one reason (char *) each
 *
 * True when there is none.
 */
bool adopt_xml_check(const char *text, GPtrArray *problems);

/* The domain with our device.  HV_ERROR_REFUSED when it has it already. */
char *adopt_xml_apply(const char *text, const struct adopt_params *words, GError **error);

/*
 * adopt_xml_revert - the domain as it was before adopt_xml_apply()
 * @notes: receives one line (char *) about each thing that could not be put back as it was
 *
 * What was changed since stays, but for <emulator>, <memballoon> and
 * <memoryBacking>.  HV_ERROR_REFUSED when it does not have our device.
 */
char *adopt_xml_revert(const char *text, GPtrArray *notes, GError **error);

/* Our device in JSON, as QEMU's -device and device_add take it; NULL when there is none. */
char *adopt_xml_device(const char *text);

#endif
