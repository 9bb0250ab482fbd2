/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file, aerostat.conf(5): where guests are looked for, what
 * the host keeps, who may use the daemon, and the rules of each guest.
 *
 * A file is taken whole or refused whole: an error names the file, the line and
 * the reason, and what was in force stays so.  One table of groups and keys
 * (config_key_table) drives the parsing and is checked against the man page.
 *
 * Both programs read it: the daemon all of it, the command what it needs.
 */
#ifndef AEROSTAT_CONFIG_H
#define AEROSTAT_CONFIG_H

#include <glib.h>
#include <stdbool.h>

#include "hypervisor/hypervisor.h"
#include "policy/policy.h"

#define CONFIG_ERROR config_error_quark()
GQuark config_error_quark(void);
enum config_error {
	CONFIG_ERROR_FILE,    /* not there, not readable */
	CONFIG_ERROR_INVALID, /* FILE, line N: reason */
};

/* Used where no file is named: AEROSTAT_CONFIG, else /etc/aerostat/aerostat.conf. */
#define CONFIG_PATH "/etc/aerostat/aerostat.conf"

/* AEROSTAT_CONFIG (then @is_named), else CONFIG_PATH, which need not exist. */
const char *config_path(bool *is_named);

struct config_reader;
struct config_key {
	const char *group; /* "guest" stands for every [guest GLOB] */
	const char *key;
	const char *values; /* what it takes, for errors: "a size, as 512M" */
	/* config_keys.c's own: takes a value, or says in @error what is wrong with it. */
	bool (*take)(struct config_reader *reader, const char *raw, GError **error);
	bool may_be_empty; /* a list of nobody, of nothing */
};
extern const struct config_key config_key_table[]; /* ends with a group of NULL */

/* One [guest GLOB]; what it does not say is POLICY_UNSET, 0 or -1. */
struct config_guest {
	char *glob; /* of names, as fnmatch(3) */
	int mode;   /* enum policy_mode, without POLICY_HELD; -1: not said */
	uint64_t min_bytes, max_bytes;
	double weight; /* 0: not said */
	unsigned int line;
};

struct config {
	char *path;
	struct hv_sources sources; /* [discover]; both NULL when the file has none, else neither */
	const struct policy_ops *policy; /* [host] policy, default ours */
	struct policy_settings settings; /* [host] budget, reserve, optimism */
	char *group;			 /* [api] the socket's group; NULL: that of the daemon */
	/* [api] users and @groups; "*", the default of readers: whoever can open the socket */
	char **readers;
	char **writers;	   /* [api] default none; root and the daemon's own user always may */
	GPtrArray *guests; /* struct config_guest *, in the order of the file */
};

/* Everything at its default: no file at all. */
struct config *config_new(void);
/*
 * config_load - what @path says
 * @path: NULL for the usual place, which need not exist; one that is named
 *        (here or by AEROSTAT_CONFIG) must
 *
 * NULL with a CONFIG_ERROR.
 */
struct config *config_load(const char *path, GError **error);
/*
 * Where guests are looked for when neither the file nor the command line says so: at
 * libvirt's default URI, as virsh finds it.  The caller frees both lists.
 */
struct hv_sources config_default_sources(void);
/*
 * The rules of a guest: each [guest GLOB] that fits @name, the later one over the earlier.
 * Their min is never above their max.
 */
struct policy_rules config_rules(const struct config *config, const char *name);
void config_free(struct config *config);
typedef struct config config_file;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(config_file, config_free)

/* "auto", "observe", "held", "off"; -1 for another word. */
const char *config_mode_name(enum policy_mode mode);
int config_mode_find(const char *name);

#endif
