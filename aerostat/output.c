/* SPDX-License-Identifier: BSD-3-Clause */
/* Output: results on stdout, everything else on stderr, JSON if --json was given. */
#include "aerostat/cli.h"

#include <stdio.h>

#include "common/plain_text.h"

static int print_error(struct context *ctx, enum exit_code code, const char *text)
{
	g_autofree char *message = plain_text(text);

	if (ctx->json)
		cli_print_json(json_pack("{s:{s:s, s:i, s:s}}", "error", "code",
					 exit_code_name(code), "exit_code", (int)code, "message",
					 message));
	fprintf(stderr, "error: %s\n", message);
	return code;
}

int cli_fail(struct context *ctx, const GError *error)
{
	return print_error(ctx, exit_code_of(error), error->message);
}

int cli_fail_with(struct context *ctx, enum exit_code code, const char *format, ...)
{
	g_autofree char *message = NULL;
	va_list args;

	va_start(args, format);
	message = g_strdup_vprintf(format, args);
	va_end(args);
	return print_error(ctx, code, message);
}

int cli_usage(struct context *ctx, const struct verb *verb, const char *format, ...)
{
	g_autofree char *message = NULL;
	g_autofree char *line = NULL;
	va_list args;

	va_start(args, format);
	message = g_strdup_vprintf(format, args);
	va_end(args);
	line = verb ? g_strdup_printf("%s (see: aerostat help %s)", message, verb->name)
		    : g_strdup_printf("%s (see: aerostat help)", message);
	return print_error(ctx, EXIT_USAGE, line);
}

void cli_warn(const struct context *ctx, const char *format, ...)
{
	g_autofree char *message = NULL;
	g_autofree char *plain = NULL;
	va_list args;

	if (ctx->quiet)
		return;
	va_start(args, format);
	message = g_strdup_vprintf(format, args);
	va_end(args);
	plain = plain_text(message);
	fprintf(stderr, "warning: %s\n", plain);
}

void cli_print_json(json_t *value)
{
	/* Only texts that are not UTF-8 could make this fail: see cli_json_string(). */
	if (json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)))
		g_error("a result cannot be written as JSON");
	putchar('\n');
	fflush(stdout);
	json_decref(value);
}

json_t *cli_json_bytes(uint64_t bytes)
{
	return bytes == HV_UNSET ? json_null() : json_integer((json_int_t)bytes);
}

json_t *cli_json_string(const char *text)
{
	g_autofree char *plain = text ? plain_text(text) : NULL;

	return plain ? json_string(plain) : json_null();
}
