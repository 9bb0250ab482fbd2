/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of verbs. */
#include "aerostat/verbs.h"

#include <string.h>

const struct verb *const verb_table[] = {
	&verb_list,	&verb_dominfo, &verb_setmem,   &verb_setmaxmem, &verb_dommemstat,
	&verb_domstats, &verb_event,   &verb_edit,     &verb_adopt,	&verb_unadopt,
	&verb_status,	&verb_top,     &verb_explain,  &verb_auto,	&verb_reserve,
	&verb_reload,	&verb_record,  &verb_simulate, &verb_help,	NULL,
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *const *verb = verb_table; *verb; verb++)
		if (!strcmp((*verb)->name, name))
			return *verb;
	return NULL;
}
