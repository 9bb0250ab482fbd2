/* SPDX-License-Identifier: BSD-3-Clause */
/* The reasons of decisions: names for programs, and what they mean for people. */
#include "policy/policy.h"

static const struct {
	const char *name;
	const char *help;
} reasons[POLICY_REASON_COUNT] = {
	[POLICY_REASON_NONE] = { "none", "it has what it wants, or close enough to it" },
	[POLICY_REASON_GROWS] = { "grows", "it wants more memory than it has, and gets it" },
	[POLICY_REASON_DISTRESS] = { "distress", "it is short of memory, and gets memory first" },
	[POLICY_REASON_SURPLUS] = { "surplus", "the host has more memory than all guests want" },
	[POLICY_REASON_IDLE] = { "idle",
				 "it gives memory that it does not use to guests that want more" },
	[POLICY_REASON_SHARE] = { "share",
				  "the guests want more memory than there is; this is its share" },
	[POLICY_REASON_HOST] = { "host", "the host itself is short of memory" },
	[POLICY_REASON_STALE] = { "stale",
				  "its statistics are too old or incomplete to shrink it" },
	[POLICY_REASON_CALM] = { "calm",
				 "it will be shrunk once it has been calm for long enough" },
	[POLICY_REASON_REGRET] = { "regret",
				   "it was short after a shrink: undone, and not shrunk for now" },
	[POLICY_REASON_INACTIVE] = { "inactive", "its balloon does not follow the target" },
	[POLICY_REASON_CLAIM] = { "claim", "its statistics contradict what the host sees" },
	[POLICY_REASON_STALLED] = { "stalled",
				    "the host stalls it, so a larger size would not help" },
	[POLICY_REASON_FIXED] = { "fixed", "it is held, observed, off, or cannot be shrunk" },
	[POLICY_REASON_BOUND] = { "bound", "it is at its minimum or maximum" },
	[POLICY_REASON_SILENT] = { "silent", "its statistics do not show what is available in it" },
	[POLICY_REASON_SLOW] = { "slow", "its balloon moves slowly, and is waited for" },
	[POLICY_REASON_DRIVER] = { "driver", "it has no balloon driver" },
	[POLICY_REASON_COST] = { "cost", "the host did not get back what was taken from it" },
	[POLICY_REASON_LIMIT] = { "limit", "a memory limit above its process leaves it no more" },
};

const char *policy_reason_name(enum policy_reason reason)
{
	return (unsigned int)reason < POLICY_REASON_COUNT ? reasons[reason].name : "unknown";
}

const char *policy_reason_help(enum policy_reason reason)
{
	return (unsigned int)reason < POLICY_REASON_COUNT ? reasons[reason].help
							  : "not a reason of this policy";
}
