/* SPDX-License-Identifier: BSD-3-Clause */
/* The texts of a result, for resize.c: why a guest stopped short, and what to do about it. */
#ifndef AEROSTAT_RESIZE_RESIZE_TEXT_H
#define AEROSTAT_RESIZE_RESIZE_TEXT_H

#include "resize/resize.h"

/* What the texts are made of, apart from the result itself. */
struct resize_facts {
	const hv_info *info;
	uint64_t used_bytes;  /* what the guest cannot free; HV_UNSET when unknown */
	uint64_t newer_bytes; /* the target of a newer request; HV_UNSET: there is none */
	enum hv_state state;  /* of the guest now */
};

/* Sets result->reason, why and remedy. */
void resize_explain(struct resize_result *result, enum resize_reason reason,
		    const struct resize_facts *facts);

#endif
