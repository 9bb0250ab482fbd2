/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's answers as the command reads them: any JSON.
 *
 * Whatever is missing or wrong has its default, so each parser returns something
 * that can be used and freed; what it holds is read once here.
 */
#include "api_client/answers.h"

#include <string.h>

#include "fuzz/script.h"

static void read_text(const char *text)
{
	require(text && strlen(text) < SIZE_MAX);
}

static void check_guest(const struct daemon_guest *guest)
{
	read_text(guest->name);
	read_text(guest->word);
	read_text(guest->address);
	require(daemon_mode_name(guest->mode));
}

static void check_status(json_t *json)
{
	g_autoptr(daemon_status) status = daemon_parse_status(json_incref(json));

	require(status);
	read_text(status->version);
	read_text(status->policy);
	for (size_t i = 0; i < status->guest_count; i++) {
		check_guest(&status->guests[i]);
		read_text(status->guests[i].label);
	}
	for (size_t i = 0; i < status->limit_count; i++)
		read_text(status->limits[i].path);
	for (size_t i = 0; i < status->problem_count; i++)
		read_text(status->problems[i].text);
}

static void check_failure(json_t *json)
{
	g_autoptr(daemon_failure) failure = daemon_parse_failure(json_incref(json));

	require(failure);
	read_text(failure->code);
	read_text(failure->message);
}

static void check_texts(const json_t *json)
{
	g_autofree char *text = daemon_parse_text(json, "message");
	g_auto(GStrv) names = daemon_parse_names(json, "names");

	read_text(text);
	for (char **name = names; *name; name++)
		read_text(*name);
}

static void check_line(const uint8_t *data, size_t size)
{
	g_autofree char *line = g_strndup((const char *)data, size);

	require(daemon_parse_line(line) >= 0);
}

/* Each answer keeps its own reference of the value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_auto_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
	g_autoptr(daemon_guest) guest = daemon_parse_guest(json_incref(json));
	g_autoptr(daemon_reservation) reservation = daemon_parse_reservation(json_incref(json));
	g_autoptr(daemon_resize) resize = daemon_parse_resize(json_incref(json));

	require(guest && reservation && resize);
	check_guest(guest);
	check_status(json);
	check_failure(json);
	check_texts(json);
	if (size)
		check_line(data, size);
	return 0;
}
