/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-qemu/qemu_args.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "hypervisor/adopt_xml.h"

#define GUEST "guest="

void qemu_args_clear(struct qemu_args *args)
{
	g_clear_pointer(&args->name, g_free);
	g_clear_pointer(&args->uuid, g_free);
	g_clear_pointer(&args->socket, g_free);
}

/* The socket's path, if @device is the JSON of aerostat's device; otherwise NULL. */
static char *parse_device_socket(const char *device)
{
	json_auto_t *root = json_loads(device, 0, NULL);
	const char *id = json_string_value(json_object_get(root, "id"));
	const json_t *socket = json_object_get(root, "socket");

	if (g_strcmp0(id, ADOPT_DEVICE_ID))
		return NULL;
	return g_strdup(json_string_value(json_object_get(socket, "path")));
}

/* Parses "guest=NAME,debug-threads=on"; a comma in the name is doubled. */
static char *parse_guest_name(const char *value)
{
	GString *name = g_string_new(NULL);

	for (const char *p = value + strlen(GUEST); *p && (*p != ',' || p[1] == ','); p++) {
		g_string_append_c(name, *p);
		if (*p == ',')
			p++;
	}
	return g_string_free(name, FALSE);
}

/* Stores @value in @field unless it is NULL. */
static void replace_string(char **field, char *value)
{
	if (!value)
		return;
	g_free(*field);
	*field = value;
}

void qemu_args_parse(char *const *argv, struct qemu_args *args)
{
	*args = (struct qemu_args){ .name = g_strdup("guest"), .uuid = g_strdup("") };
	for (; argv[0] && argv[1]; argv++) {
		if (!strcmp(argv[0], "-device"))
			replace_string(&args->socket, parse_device_socket(argv[1]));
		else if (!strcmp(argv[0], "-uuid"))
			replace_string(&args->uuid, g_strdup(argv[1]));
		else if (!strcmp(argv[0], "-name") && g_str_has_prefix(argv[1], GUEST))
			replace_string(&args->name, parse_guest_name(argv[1]));
	}
}
