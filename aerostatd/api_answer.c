/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/api_private.h"

#include <string.h>

#include "common/plain_text.h"

void api_answer_text(SoupServerMessage *msg, const char *type, char *text)
{
	soup_server_message_set_status(msg, SOUP_STATUS_OK, NULL);
	soup_server_message_set_response(msg, type, SOUP_MEMORY_TAKE, text, strlen(text));
}

void api_answer_json(SoupServerMessage *msg, unsigned int status, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));

	json_decref(value);
	soup_server_message_set_status(msg, status, NULL);
	soup_server_message_set_response(msg, "application/json", SOUP_MEMORY_COPY, text,
					 strlen(text));
	free(text);
}

void api_answer_error(SoupServerMessage *msg, unsigned int status, const char *code,
		      const char *format, ...)
{
	g_autofree char *text = NULL, *valid = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	valid = plain_text(text);
	api_answer_json(msg, status,
			json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", valid));
}

void api_answer_gerror(SoupServerMessage *msg, const GError *error)
{
	static const struct {
		unsigned int status;
		const char *code;
	} answers[] = {
		[MANAGER_ERROR_NOT_FOUND] = { SOUP_STATUS_NOT_FOUND, "not-found" },
		[MANAGER_ERROR_AMBIGUOUS] = { SOUP_STATUS_CONFLICT, "ambiguous" },
		[MANAGER_ERROR_INVALID] = { SOUP_STATUS_BAD_REQUEST, "invalid" },
		[MANAGER_ERROR_REFUSED] = { SOUP_STATUS_CONFLICT, "refused" },
		[MANAGER_ERROR_NOT_KEPT] = { SOUP_STATUS_INSUFFICIENT_STORAGE, "not-kept" },
	};
	/* Other domains: the request is right, but something of the host is not. */
	int row = MANAGER_ERROR_REFUSED;

	if (error->domain == MANAGER_ERROR && error->code >= 0 &&
	    error->code < (int)G_N_ELEMENTS(answers))
		row = error->code;
	api_answer_error(msg, answers[row].status, answers[row].code, "%s", error->message);
}

bool api_parse_number(const char *text, uint64_t *number)
{
	return g_ascii_string_to_unsigned(text, 10, 0, UINT64_MAX, number, NULL);
}
