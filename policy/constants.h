/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every number that our policy assumes, with its unit and the reason for its value.  Names end
 * in the unit.
 */
#ifndef AEROSTAT_CONSTANTS_H
#define AEROSTAT_CONSTANTS_H

#include <stdint.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)

/* Statistics (sample.c) */
#define SAMPLE_AGE_MAX_US (5 * SECOND_US)  /* or 3 periods if longer: a burst fits into this */
#define SAMPLE_AGE_PERIODS 3		   /* one answer may be lost and the next one late */
#define SAMPLE_GAP_MIN_US (SECOND_US / 10) /* rates over a shorter time are noise */
#define CLAIM_SLACK_BYTES (64 * MIB)	   /* a kernel's own memory, sampled a moment apart */
#define CLAIM_SLACK_PART 20		   /* and 1/20 of the RAM at boot */
#define FROZEN_BYTES (32 * MIB) /* no number of a guest ignores a balloon that moves further */

/* Need (need.c) */
#define DEMAND_FALL_S 120.0	/* most batch jobs come back within two minutes, or not at all */
#define DEMAND_FALL_PULL_S 20.0 /* a guest that can take memory back need not keep it so long */
#define DEMAND_FALL_SHORT_S 5.0 /* least of all while others wait for what it does not use */
#define KILL_HOLD_S 300.0	/* a killed service is up again and warm by then */
#define SWAP_FORGET_S 600.0	/* what was not read back for ten minutes is not missed */
#define CACHE_FORGET_S 600.0	/* nor is cache that caused no faults for as long */

/* Reserve (reserve.c) */
#define RESERVE_PART 0.15	      /* of the demand: a large guest's usual swing */
#define RESERVE_MIN_BYTES (128 * MIB) /* a burst has an absolute size: one process starting */
#define GROWTH_REMEMBER_S 3600.0      /* an hourly job is remembered until it comes again */
#define GROWTH_RARE 0.01	      /* rarer growth is not prepared for */
#define GROWTH_MIN_BYTES_PER_S ((double)MIB) /* slower growth is not a burst */
#define RELIEF_FIRST_S 2.0		     /* one period until it is seen, one until relief */
#define RELIEF_MAX_S 10.0		     /* a guest that is stuck proves nothing about bursts */
#define RELIEF_NEW_PART 0.25		     /* weight of the last measurement in the average */

/* View (view.c) */
#define SHORT_PART 4	     /* a host is short with less than 1/4 of its RAM available */
#define CUSHION_SHORT_PART 6 /* with less than 1/6, gated guests have no cushion */
#define CUSHION_PART 0.30    /* of the maximum: what one starting job takes on most machines */

/* Distress (distress.c) */
#define CRITICAL_MARGIN 1.25		       /* times the headroom (floor.h): safely above it */
#define KILL_REMEMBER_US (10 * SECOND_US)      /* a kill frees memory, so the rest looks fine */
#define STALLS_PER_S 10.0		       /* allocations that had to reclaim memory first */
#define SCANS_BYTES_PER_S (16.0 * (double)MIB) /* few scans: a limit inside the guest */
#define SWAP_IN_BYTES_PER_S ((double)MIB)      /* it needs what was swapped out */
#define FAULTS_FACTOR 3.0		       /* times the usual */
#define FAULTS_PER_S 100.0   /* and at least this many: a starting program makes fewer */
#define FAULTS_USUAL_S 600.0 /* time constant of the usual rate */
#define PSI_SHARE 0.1	     /* of the time stalled, seen by our own driver */
#define HOST_STALL_SHARE 0.1 /* of the time, by its process's cgroup */

/* Cost (cost.c) */
#define COST_SLOT_US (10 * SECOND_US)	 /* measured every 5 s, and released a moment later */
#define COST_TAKEN_BYTES (48 * MIB)	 /* less may be noise */
#define COST_RETURN_PART 4		 /* 1/4 of what was taken is to come back at least */
#define COST_BACKOFF_US (60 * MINUTE_US) /* what prevents it rarely ends while the guest runs */

/* Budget (budget.c) */
#define HOST_RESERVE_PART 0.05	      /* of the host's RAM: the swing of its own use */
#define HOST_RESERVE_BYTES GIB	      /* and at least this: daemons, page cache, QEMU */
#define HOST_RESERVE_SMALL_PART 0.125 /* but at most this part of a small host */
#define HOST_PRESSURE_FACTOR 10.0     /* 10 % of the time stalled doubles the reserve */
#define HOST_RESERVE_MAX_PART 0.25    /* and pressure raises it to at most this part */

#define GROUP_RESERVE_PART 20	       /* of a group's limit: for the growth of its processes */
#define GROUP_RESERVE_BYTES (32 * MIB) /* and at least this, */
#define GROUP_RESERVE_SMALL_PART 8     /* but at most this part of a small limit */
#define GROUP_OWN_BYTES (64 * MIB)     /* what a VMM uses itself, where that is not known */

/* Pool (pool.c) */
#define POOL_SLOT_US (SECOND_US / 2) /* POOL_SLOTS of them: until growth is seen and answered */
#define POOL_RARE 0.002		     /* rarer growth is not prepared for, */
#define POOL_PART 0.6		     /* and of that this part, as the reserve helps, too */
#define POOL_PRIOR_PART 0.15	     /* of the largest guest: assumed as long as nothing is known */
#define POOL_PRIOR_US (10 * MINUTE_US)

/* Loan (loan.c) */
#define CLIMB_FORGET_S 1.5    /* bursts pause for less */
#define CLIMB_AHEAD_S 1.0     /* until the next decision, and its effect */
#define LOAN_UNGATED_PART 0.8 /* of what a guest does not use and may use at any time */

#define CEILING_LEFT_PART 2 /* 1/2 of what is free: others may begin to take, too */
#define CREDIT_URGENCY 16.0 /* times its weight for a guest that took memory back lately: most */
#define CREDIT_URGENT_US SECOND_US /* most bursts rise for about as long */

/* Trim (trim.c) */
#define TRIM_PART_PER_S 0.02		      /* of the cache that may be in use, in quiet times */
#define TRIM_SHORT_PART_PER_S 0.04	      /* and when the host is short; */
#define TRIM_BYTES_PER_S (32.0 * (double)MIB) /* at most: a disk reads that again in 0.2 s */
#define TRIM_NEW_PART_PER_S 0.25	      /* of what it got along without before */
#define TRIM_SETTLE_S 5.0		      /* a starting program has read its files by then */
#define TRIM_KEEP_PART 0.025		      /* of the size: caches that every process needs */
#define TRIM_BACKOFF_US (5 * SECOND_US)	      /* after harm */
#define TRIM_REFAULT_BYTES_PER_S                                                                   \
	((double)MIB) /* of cache that was dropped and read again: harm                            \
		       */

/* Division (divide.c) */
#define IDLE_COST 4.0 /* an idle byte costs as 4 used ones: 1 / (1 - a tax of 75 %), as ESXi's */

/* Pace (pace.c) */
#define CALM_US (30 * SECOND_US)	/* the usual gap within one burst is shorter */
#define PULL_REST_US (5 * SECOND_US)	/* after that, its driver takes nothing for as long */
#define CALM_PULL_US (10 * SECOND_US)	/* for a guest that can take memory back by itself */
#define STEP_PART 20			/* 1/20 of the size per step: reclaim keeps up */
#define STEP_BYTES_PER_S (64 * MIB)	/* half of what a stock driver takes without harm */
#define HURRY_FACTOR 4			/* steps are larger when a guest in distress waits */
#define BAND_BYTES (32 * MIB)		/* a smaller change is not worth an operation */
#define BAND_PULL_PART 8		/* its size says little about what it costs */
#define BAND_PART 100			/* nor is one of less than 1/100 */
#define CONFIRM_SLACK_BYTES (2 * MIB)	/* a driver that takes huge pages may stop this far away */
#define ROUND_BYTES MIB			/* targets are whole MiB, because people read them */
#define REGRET_US MINUTE_US		/* distress within this time is blamed on the shrink */
#define BACKOFF_MIN_US MINUTE_US	/* how long a guest is then not shrunk, */
#define BACKOFF_MAX_US (60 * MINUTE_US) /* doubling each time, up to this */
#define INFLATE_US (5 * SECOND_US)	/* its balloon is watched for this long at a time: */
#define INFLATE_BYTES_PER_S (15 * MIB)	/* slower: hurts if the guest is short as well, */
#define INFLATE_DEAD_BYTES (MIB / 2)	/* or this little in all: no driver, or a stuck one */
#define INACTIVE_BACK_BYTES (128 * MIB) /* what the guest then gets back */
#define STEP_US_MAX (5 * SECOND_US)	/* a late step does not shrink by more than this allows */
#define AGAIN_US (SECOND_US / 4)	/* the next step, while a guest in distress waits */

/* Limits for input that only an error or a false claim exceeds */
#define BYTES_MAX (UINT64_C(1) << 48)
#define WEIGHT_MIN (1.0 / 1024)
#define WEIGHT_MAX 1024.0

#endif
