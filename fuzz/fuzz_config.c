/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file: any bytes.
 *
 * They are accepted or refused.  A refusal is one line that names the file and the
 * line; an accepted file has rules for every guest that a policy can use.
 */
#include "config/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/script.h"

static void check_refusal(const GError *error, const char *path, const uint8_t *data, size_t size)
{
	unsigned long lines = 1, line;
	const char *place = error->message + strlen(path);

	require(error->domain == CONFIG_ERROR && error->code == CONFIG_ERROR_INVALID);
	require(g_str_has_prefix(error->message, path) && g_str_has_prefix(place, ", line "));
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	line = strtoul(place + strlen(", line "), NULL, 10);
	require(line >= 1 && line <= lines);
	require(g_utf8_validate(error->message, -1, NULL));
	for (const char *c = error->message; *c; c++)
		require(!g_ascii_iscntrl(*c));
}

static bool is_size(uint64_t bytes)
{
	return bytes > 0 && (bytes <= INT64_MAX || bytes == POLICY_UNSET);
}

static void check_rules(const struct config *config, const char *name)
{
	struct policy_rules rules = config_rules(config, name);

	require(rules.mode == POLICY_AUTO || rules.mode == POLICY_OBSERVE ||
		rules.mode == POLICY_OFF);
	require(is_size(rules.min_bytes) && is_size(rules.max_bytes));
	require(rules.min_bytes == POLICY_UNSET || rules.min_bytes <= rules.max_bytes);
	require(isnormal(rules.weight) && rules.weight > 0);
}

static void check_config(const struct config *config)
{
	require(is_size(config->settings.budget_bytes) && is_size(config->settings.reserve_bytes));
	require(config->settings.optimism >= 0 && config->settings.optimism <= 1);
	require(config->policy && config->readers && config->writers);
	require(!config->sources.libvirt_uris == !config->sources.qmp_globs);
	check_rules(config, "web");
	for (guint i = 0; i < config->guests->len; i++) {
		const struct config_guest *guest = config->guests->pdata[i];

		require(*guest->glob);
		check_rules(config, guest->glob);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("aerostat.conf", MFD_CLOEXEC);
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	g_autoptr(GError) error = NULL;
	g_autoptr(config_file) config = NULL;

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	config = config_load(path, &error);
	close(fd);
	require(!config == !!error);
	if (config)
		check_config(config);
	else
		check_refusal(error, path, data, size);
	return 0;
}
