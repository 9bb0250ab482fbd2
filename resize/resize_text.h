/* SPDX-License-Identifier: BSD-3-Clause */
/* The texts of a result, for resize.c: why a guest stopped short, and what to do about it. */
#ifndef AEROSTAT_RESIZE_RESIZE_TEXT_H
#define AEROSTAT_RESIZE_RESIZE_TEXT_H

#include "resize/guest_stats.h"
#include "resize/resize.h"

/* What the texts are made of, apart from the result itself. */
struct resize_facts {
	const hv_info *info;
	uint64_t used_bytes;	   /* what the guest cannot free; HV_UNSET when unknown */
	uint64_t newer_bytes;	   /* the target of a newer request; HV_UNSET: there is none */
	enum hv_state state;	   /* of the guest now */
	bool is_set;		   /* the target was set */
	bool has_moved;		   /* since then */
	bool relieves_early;	   /* as in hv_stats */
	uint64_t taken_back_bytes; /* from the balloon, by itself, since it was smallest */
};

/* Sets result->reason, why and remedy. */
void resize_explain(struct resize_result *result, enum resize_reason reason,
		    const struct resize_facts *facts);

/* What @obstacle means for a guest that is to shrink, after its name; free it with g_free(). */
char *resize_obstacle_text(enum hv_obstacle obstacle);

/* What the guest may do about a size of @target_bytes by itself; NULL: nothing.  To be freed. */
char *resize_relief_text(const hv_info *info, uint64_t target_bytes);

/* That the guest uses @used_bytes that it cannot free; free it with g_free(). */
char *resize_need_text(uint64_t used_bytes);

/* That the statistics do not show what the guest can give, and why; free it with g_free(). */
char *resize_silence_text(const struct guest_stats *stats);

#endif
