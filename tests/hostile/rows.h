/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a hostile guest or VMM does, one row per attack.
 *
 * A row gets a VM at the stage that it needs, carries out its attack, and returns
 * true if the device reacted as it should.  What must hold after every attack is
 * checked by main.c.
 */
#ifndef AEROSTAT_TESTS_ROWS_H
#define AEROSTAT_TESTS_ROWS_H

#include "tests/hostile/vm.h"

enum stage {
	ALONE,	   /* nobody is connected */
	CONNECTED, /* and has exchanged greetings */
	STARTED,   /* a driver runs, with all queues */
};

struct row {
	const char *name;
	enum stage stage;
	unsigned int protocols; /* a bit per protocol */
	bool (*run)(struct vm *vm);
};
#define BOTH (BIT(VFIO_USER) | BIT(VHOST_USER))
#define VFIO_ONLY BIT(VFIO_USER)
#define VHOST_ONLY BIT(VHOST_USER)

/* Each ends with a row without a name. */
extern const struct row rows_chains[], rows_pages[], rows_gate[], rows_stats[], rows_reports[],
	rows_rings[], rows_memory[], rows_config[], rows_vfio_user[], rows_vhost_user[];

/* A counter of x-query-counters. */
uint64_t row_counter(struct vm *vm, const char *name);
/* Makes the chain at @head available, kicks, waits for its return, and expects a @fault counted. */
bool row_chain(struct vm *vm, unsigned int queue, uint16_t head, const char *fault);
/* The same with a chain of one descriptor. */
bool row_buffer(struct vm *vm, unsigned int queue, uint64_t gpa, uint32_t length, uint16_t flags,
		const char *fault);
/* A buffer of PFNs. */
bool row_pfns(struct vm *vm, unsigned int queue, const uint32_t *pfns, unsigned int count,
	      const char *fault);

/* Waits until the device has at most @most open files.  It may close after it has answered. */
bool row_files(struct vm *vm, int most);

/* Numbers that are the same in every run; *@state is not 0. */
uint32_t row_random(uint32_t *state);

#endif
