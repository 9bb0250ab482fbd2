/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every number that our policy takes for granted, with its unit and its reason.
 * Names end in the unit.
 */
#ifndef AEROSTAT_CONSTANTS_H
#define AEROSTAT_CONSTANTS_H

#include <stdint.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)

/* Statistics (sample.c) */
#define SAMPLE_AGE_MAX_US (5 * SECOND_US)  /* older, and 3 periods: a burst fits into it */
#define SAMPLE_AGE_PERIODS 3		   /* one answer may be lost, the next be late */
#define SAMPLE_GAP_MIN_US (SECOND_US / 10) /* rates over less are noise */
#define CLAIM_SLACK_BYTES (64 * MIB)	   /* a kernel's own memory, sampled a moment apart */
#define CLAIM_SLACK_PART 20		   /* and 1/20 of the size */

/* Need (need.c) */
#define DEMAND_FALL_S 120.0  /* most batch jobs come back within two minutes, or not at all */
#define KILL_HOLD_S 300.0    /* services that were killed are up again, and warm, by then */
#define SWAP_FORGET_S 600.0  /* what was not read back for ten minutes is not missed */
#define CACHE_FORGET_S 600.0 /* nor is cache, after that long without faults, in use for sure */

/* Reserve (reserve.c) */
#define RESERVE_PART 0.15	      /* of the demand: a large guest's usual swing */
#define RESERVE_MIN_BYTES (128 * MIB) /* bursts are absolute: one process starting */
#define GROWTH_REMEMBER_S 3600.0      /* an hourly job is remembered until it comes again */
#define GROWTH_RARE 0.01	      /* growth that is rarer is not prepared for */
#define GROWTH_LEAST_BYTES_PER_S ((double)MIB) /* below is no burst */
#define RELIEF_FIRST_S 2.0   /* one period until it is seen, one until it is relieved */
#define RELIEF_MAX_S 10.0    /* a guest that is stuck proves nothing about bursts */
#define RELIEF_NEW_PART 0.25 /* the last measurement's part in the mean */

/* View (view.c) */
#define CUSHION_PART 0.30 /* of the maximum: what one job that starts takes of most machines */

/* Distress (distress.c) */
#define CRITICAL_MARGIN 1.25		       /* times the headroom (floor.h): surely above it */
#define KILL_REMEMBER_US (10 * SECOND_US)      /* a kill frees memory: without it all looks well */
#define STALLS_PER_S 10.0		       /* allocations that had to reclaim by themselves */
#define SCANS_BYTES_PER_S (16.0 * (double)MIB) /* with few scans, stalls are a limit inside */
#define SWAP_IN_BYTES_PER_S ((double)MIB)      /* reading back: it missed what it was deprived of */
#define FAULTS_FACTOR 3.0		       /* times the usual */
#define FAULTS_PER_S 100.0   /* and at least so many: a program that starts makes fewer */
#define FAULTS_USUAL_S 600.0 /* what is usual is learnt within */
#define PSI_SHARE 0.1	     /* of the time stalled, seen by our own driver */
#define HOST_STALL_SHARE 0.1 /* of the time, its process's cgroup */

/* Budget (budget.c) */
#define HOST_RESERVE_PART 0.05	      /* of the host's RAM: its own swing */
#define HOST_RESERVE_BYTES GIB	      /* and at least that: its daemons, page cache, QEMU */
#define HOST_RESERVE_SMALL_PART 0.125 /* but no more of a small host */
#define HOST_PRESSURE_FACTOR 10.0     /* 10 % of the time stalled doubles the reserve */
#define HOST_RESERVE_MAX_PART 0.25    /* and pressure never takes more of the host */

/* Division (divide.c) */
#define IDLE_COST 4.0 /* an idle byte costs as 4 used ones: 1 / (1 - a tax of 75 %), as ESXi's */

/* Pace (pace.c) */
#define CALM_US (30 * SECOND_US)	/* the usual gap within one burst is shorter */
#define STEP_PART 20			/* 1/20 of the size at once: reclaim keeps up */
#define STEP_BYTES_PER_S (64 * MIB)	/* half of what a stock driver takes without pain */
#define HURRY_FACTOR 4			/* steps are larger when a guest in distress waits */
#define BAND_BYTES (32 * MIB)		/* less is not worth an operation */
#define BAND_PART 100			/* nor is less than 1/100 */
#define CONFIRM_SLACK_BYTES (2 * MIB)	/* a driver that works in huge pages may stop there */
#define ROUND_BYTES MIB			/* targets are whole MiB: people read them */
#define REGRET_US MINUTE_US		/* distress that soon after a shrink is its fault */
#define BACKOFF_MIN_US MINUTE_US	/* how long a guest is then left alone, */
#define BACKOFF_MAX_US (60 * MINUTE_US) /* doubling up to that */
#define INFLATE_BYTES_PER_S (15 * MIB)	/* slower is a driver that finds no memory, or none */
#define INFLATE_US (5 * SECOND_US)	/* for so long */
#define INACTIVE_BACK_BYTES (128 * MIB) /* what it gets back, to breathe */
#define STEP_US_MAX (5 * SECOND_US)	/* a step that came late is no licence to take much */
#define AGAIN_US (SECOND_US / 4)	/* sooner than usual when a guest in distress waits */

/* Numbers that only a mistake or a liar sends */
#define BYTES_MAX (UINT64_C(1) << 48)
#define WEIGHT_MIN (1.0 / 1024)
#define WEIGHT_MAX 1024.0

#endif
