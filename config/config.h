/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file, which aerostat.conf(5) describes for its users.
 *
 * The format
 * ----------
 * An ini file in UTF-8 of at most 1 MiB, as GLib's GKeyFile reads it:
 *
 *	# A comment has a line of its own.
 *	[discover]	where guests are looked for
 *	libvirt=URI;…
 *	qmp=GLOB;…
 *	[host]		the host, and all guests together
 *	policy=NAME
 *	budget=SIZE|auto
 *	reserve=SIZE|auto
 *	optimism=NUMBER
 *	[api]		who may use the daemon's socket
 *	group=NAME
 *	readers=NAME;@GROUP;…
 *	writers=NAME;@GROUP;…
 *	[guest GLOB]	the guests whose name matches GLOB; any number of such groups
 *	mode=auto|observe|off
 *	min=SIZE
 *	max=SIZE
 *	weight=NUMBER
 *
 * It differs from GKeyFile in three ways.  A group's name ends at the last bracket of its line,
 * so that a GLOB may contain brackets.  Groups with the same name are one group, in the place of
 * the first.  A key may be set only once per group.
 *
 * A file is either valid as a whole or refused: unknown groups, unknown keys and wrong values are
 * errors that name the file, the line and the remedy.  One table, config_key_table in
 * config_keys.c, holds groups, keys and the values that they take; it drives parsing and errors,
 * and a test compares it with the man page.
 *
 * The daemon uses all of the configuration, the command only [discover].  Functions may be called
 * from any thread; a struct config is not changed by any of them once it is loaded.
 */
#ifndef AEROSTAT_CONFIG_H
#define AEROSTAT_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hypervisor/hypervisor.h"
#include "policy/policy.h"

#define CONFIG_PATH "/etc/aerostat/aerostat.conf"

#define CONFIG_ERROR config_error_quark()
/* The domain of errors with a code of enum config_error. */
GQuark config_error_quark(void);
enum config_error {
	CONFIG_ERROR_FILE,    /* it cannot be read: "FILE: reason" */
	CONFIG_ERROR_INVALID, /* it is wrong: "FILE, line N: reason" */
};

/* One [guest GLOB]. */
struct config_guest {
	char *glob;		       /* of names, for fnmatch(3) */
	int mode;		       /* enum policy_mode, never POLICY_HELD; -1: not set */
	uint64_t min_bytes, max_bytes; /* POLICY_UNSET: not set */
	double weight;		       /* 0: not set */
};

struct config {
	char *path;
	struct hv_sources
		sources; /* [discover]; both lists NULL when it has no key, else neither */
	const struct policy_ops *policy; /* [host] policy; policy_table[0] by default */
	struct policy_settings settings; /* [host] budget, reserve, optimism */
	char *group;			 /* [api] the group of the socket; NULL: the daemon's own */
	char **readers;			 /* [api] users and @groups; "*", the default: everyone */
	char **writers;	   /* [api] the same; empty by default; never NULL, as readers */
	GPtrArray *guests; /* struct config_guest *, in the order of the file */
};

/*
 * config_path - the file that is used when no other is named
 * @is_named: whether the environment variable AEROSTAT_CONFIG names it, so that it must exist
 *
 * Otherwise it is CONFIG_PATH.
 */
const char *config_path(bool *is_named);
/*
 * config_load - reads a configuration file
 * @path: NULL for config_path()
 *
 * NULL with a CONFIG_ERROR when it cannot be read or is wrong.  CONFIG_PATH need not exist unless
 * it is named by @path or by AEROSTAT_CONFIG: all values are at their defaults then.  Freed by
 * config_free().
 */
struct config *config_load(const char *path, GError **error);
/* Frees @config; NULL is allowed. */
void config_free(struct config *config);
typedef struct config config_file;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(config_file, config_free)

/*
 * config_default_sources - where to look for guests when nothing else says so
 *
 * The libvirt connection that virsh(1) would use: VIRSH_DEFAULT_CONNECT_URI or
 * LIBVIRT_DEFAULT_URI, else qemu:///system for root and qemu:///session for others.  The caller
 * frees both lists.
 */
struct hv_sources config_default_sources(void);
/*
 * config_rules - the rules of the guest @name
 *
 * The keys of all [guest GLOB] that match; of those that set the same key the last one counts.
 * The min of the result is never above its max: where those of two groups contradict each other,
 * the earlier one gives way.
 */
struct policy_rules config_rules(const struct config *config, const char *name);

/* The name of @mode in files, in the API and in metrics: "auto", "observe", "held" or "off". */
const char *config_mode_name(enum policy_mode mode);
/* The enum policy_mode of that name; -1 for any other. */
int config_mode_find(const char *name);

#endif
