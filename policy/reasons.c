/* SPDX-License-Identifier: BSD-3-Clause */
/* The reasons of decisions, as words for programs and as a line of help for people. */
#include "policy/policy.h"

static const struct {
	const char *name;
	const char *help;
} reasons[POLICY_REASON_COUNT] = {
	[POLICY_REASON_NONE] = { "none",
				 "it has what it wants, or so nearly that it is not moved" },
	[POLICY_REASON_GROWS] = { "grows", "it wants more than it has, and gets it" },
	[POLICY_REASON_DISTRESS] = { "distress",
				     "it is short of memory and gets before others do" },
	[POLICY_REASON_SURPLUS] = { "surplus",
				    "the host has more than all want, and this is its part" },
	[POLICY_REASON_IDLE] = { "idle", "it gives what it does not use, because others want it" },
	[POLICY_REASON_SHARE] = { "share", "there is less than all want, and this is its share" },
	[POLICY_REASON_HOST] = { "host", "the host itself is short of memory" },
	[POLICY_REASON_STALE] = { "stale",
				  "its statistics are too old or too few to take from it" },
	[POLICY_REASON_CALM] = { "calm", "it is to give, once it has been calm for long enough" },
	[POLICY_REASON_REGRET] = { "regret", "it was short after it gave: undone, and left alone" },
	[POLICY_REASON_INACTIVE] = { "inactive", "its balloon does not follow" },
	[POLICY_REASON_CLAIM] = { "claim", "its statistics contradict what the host sees" },
	[POLICY_REASON_STALLED] = { "stalled", "the host stalls it: a larger size would not help" },
	[POLICY_REASON_FIXED] = { "fixed", "it is held, observed, off, or cannot be shrunk" },
	[POLICY_REASON_BOUND] = { "bound", "it is at its minimum or maximum" },
};

const char *policy_reason_name(enum policy_reason reason)
{
	return (unsigned int)reason < POLICY_REASON_COUNT ? reasons[reason].name : "unknown";
}

const char *policy_reason_help(enum policy_reason reason)
{
	return (unsigned int)reason < POLICY_REASON_COUNT ? reasons[reason].help
							  : "no reason of this policy";
}
