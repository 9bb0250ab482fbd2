/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-qemu/words.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "hypervisor/adopt_xml.h"

#define GUEST "guest="

void launch_words_clear(struct launch_words *words)
{
	g_clear_pointer(&words->name, g_free);
	g_clear_pointer(&words->uuid, g_free);
	g_clear_pointer(&words->socket, g_free);
}

/* The socket's path in the JSON of our device; NULL in all else. */
static char *read_socket(const char *device)
{
	json_auto_t *root = json_loads(device, 0, NULL);
	const char *id = json_string_value(json_object_get(root, "id"));
	const json_t *socket = json_object_get(root, "socket");

	if (g_strcmp0(id, ADOPT_DEVICE_ID))
		return NULL;
	return g_strdup(json_string_value(json_object_get(socket, "path")));
}

/* "guest=NAME,debug-threads=on"; a comma of the name itself is written twice. */
static char *read_name(const char *value)
{
	GString *name = g_string_new(NULL);

	for (const char *p = value + strlen(GUEST); *p && (*p != ',' || p[1] == ','); p++) {
		g_string_append_c(name, *p);
		if (*p == ',')
			p++;
	}
	return g_string_free(name, FALSE);
}

static void take(char **field, char *value)
{
	if (!value)
		return;
	g_free(*field);
	*field = value;
}

void words_read(char *const *argv, struct launch_words *words)
{
	*words = (struct launch_words){ .name = g_strdup("guest"), .uuid = g_strdup("") };
	for (; argv[0] && argv[1]; argv++) {
		if (!strcmp(argv[0], "-device"))
			take(&words->socket, read_socket(argv[1]));
		else if (!strcmp(argv[0], "-uuid"))
			take(&words->uuid, g_strdup(argv[1]));
		else if (!strcmp(argv[0], "-name") && g_str_has_prefix(argv[1], GUEST))
			take(&words->name, read_name(argv[1]));
	}
}
