/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs, one file each; verb_table (cli.h) holds them all. */
#ifndef AEROSTAT_VERBS_H
#define AEROSTAT_VERBS_H

#include "aerostat/cli.h"

extern const struct verb verb_list;
extern const struct verb verb_dominfo;
extern const struct verb verb_setmem;
extern const struct verb verb_setmaxmem;
extern const struct verb verb_dommemstat;
extern const struct verb verb_domstats;
extern const struct verb verb_event;
extern const struct verb verb_edit;
extern const struct verb verb_adopt;
extern const struct verb verb_unadopt;
extern const struct verb verb_status;
extern const struct verb verb_top;
extern const struct verb verb_explain;
extern const struct verb verb_auto;
extern const struct verb verb_reserve;
extern const struct verb verb_reload;
extern const struct verb verb_record;
extern const struct verb verb_simulate;
extern const struct verb verb_help;

#endif
