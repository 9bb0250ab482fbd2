/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat edit: change a guest's libvirt XML, and check it before it is defined.
 *
 * Theory of operation: the persistent XML is written to a private file and opened in the
 * editor.  The result is checked against domain_xml.h's rules first, because libvirt silently
 * corrects some mistakes (such as a currentMemory above memory) that the user should hear of.
 * Then it is defined, and what can be changed in a running guest (currentMemory and the
 * statistics period) is applied.  An edited text is never lost: if it cannot be used, its file
 * is kept.
 */
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aerostat/resize_cli.h"
#include "aerostat/verbs.h"
#include "common/plain_file.h"
#include "hypervisor/domain_xml.h"
#include "policy/floor.h"

#define TEXT_MAX ((size_t)16 << 20) /* bytes of XML; libvirt takes no more */

struct edit {
	struct context *ctx;
	hv_guest *guest;
	const hv_info *info;
	struct resize_options options;
	char *file; /* where the text is edited */
	char *old;
	char *new;
	struct domain_xml_changes changes;
};

static const char *editor_command(void)
{
	static const char *const variables[] = { "VISUAL", "EDITOR" };

	for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
		const char *value = g_getenv(variables[i]);

		if (value && *value)
			return value;
	}
	return "sensible-editor";
}

/* A file that only this user may read: the XML may hold secrets. */
static bool write_xml_file(struct edit *edit, GError **error)
{
	int fd = g_file_open_tmp("aerostat-XXXXXX.xml", &edit->file, error);

	if (fd < 0)
		return false;
	close(fd);
	return g_file_set_contents_full(edit->file, edit->old, -1, G_FILE_SET_CONTENTS_NONE, 0600,
					error);
}

/* The shell splits an editor with arguments, such as EDITOR="code --wait". */
static bool run_editor(struct edit *edit, GError **error)
{
	g_autofree char *command = g_strdup_printf("%s \"$1\"", editor_command());
	char *argv[] = { "/bin/sh", "-c", command, "sh", edit->file, NULL };
	int status, reason;

	if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL,
			  &status, error))
		return false;
	if (!g_spawn_check_wait_status(status, error)) {
		g_prefix_error(error, "editor '%s': ", editor_command());
		return false;
	}
	g_clear_pointer(&edit->new, g_free);
	edit->new = plain_file_read(edit->file, TEXT_MAX, NULL, &reason);
	if (!edit->new)
		g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(reason),
			    "%s: cannot be read: %s", edit->file, plain_file_error_text(reason));
	return edit->new;
}

static bool edit_guest_runs(const struct edit *edit)
{
	return edit->info->state != HV_STATE_SHUTOFF;
}

/* The new currentMemory, if the running guest can have it now; otherwise 0. */
static uint64_t live_target(const struct edit *edit)
{
	g_auto(domain_xml) domain = { 0 };

	if (!edit_guest_runs(edit) || !edit->changes.current || !edit->info->has_balloon)
		return 0;
	if (!domain_xml_parse(edit->new, &domain, NULL) || domain.current_bytes == HV_UNSET ||
	    domain.current_bytes > edit->info->max_bytes)
		return 0;
	return domain.current_bytes;
}

/* All reasons not to define the text. */
static GPtrArray *find_xml_problems(struct edit *edit)
{
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
	GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	g_auto(domain_xml) domain = { 0 };
	uint64_t floor = 0;
	uint64_t target;

	if (domain_xml_parse(edit->new, &domain, NULL) && domain.memory_bytes != HV_UNSET)
		floor = floor_bytes(domain.memory_bytes);
	if (!domain_xml_validate(edit->new, edit->old, floor, problems, warnings))
		return problems;
	for (guint i = 0; i < warnings->len; i++)
		cli_warn(edit->ctx, "%s", (char *)warnings->pdata[i]);
	if (!domain_xml_compare(edit->old, edit->new, &edit->changes, &error)) {
		g_ptr_array_add(problems, g_strdup(error->message));
		return problems;
	}
	target = live_target(edit);
	if (target && !resize_check_target(edit->info->name, edit->info->max_bytes, target,
					   edit->options.force, &error))
		g_ptr_array_add(problems, g_strdup(error->message));
	return problems;
}

/* Whether there is a user at a terminal to ask. */
static bool can_ask_user(const struct edit *edit)
{
	return !edit->ctx->json && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static bool ask_to_edit_again(void)
{
	char answer[16] = "";

	fputs("edit again? [Y/n] ", stderr);
	return fgets(answer, sizeof(answer), stdin) && g_ascii_tolower(answer[0]) != 'n';
}

/* Ends an edit that cannot be used; the file with its text is kept. */
static int reject_edit(struct edit *edit, const GError *error)
{
	enum exit_code code = exit_code_of(error);
	/* A libvirt that did not answer may still define it. */
	const char *fate = code == EXIT_UNREACHABLE ? "" : "nothing was changed, and ";

	code = cli_fail_with(edit->ctx, code, "%s; %syour text is in %s", error->message, fate,
			     edit->file);
	g_clear_pointer(&edit->file, g_free);
	return code;
}

/* Defines the text if nothing is wrong with it. */
static bool define_edited_guest(struct edit *edit, GError **error)
{
	g_autoptr(GPtrArray) problems = find_xml_problems(edit);
	g_autofree char *text = NULL;

	if (!problems->len)
		return hv_guest_xml_define(edit->guest, hv_deadline_ms(CALL_MS), edit->new, error);
	g_ptr_array_add(problems, NULL);
	text = g_strjoinv("; ", (char **)problems->pdata);
	g_set_error_literal(error, HV_ERROR, HV_ERROR_INVALID, text);
	return false;
}

static void apply_stats_period(struct edit *edit)
{
	g_auto(domain_xml) domain = { 0 };
	g_autoptr(GError) error = NULL;

	if (!edit->changes.stats_period || !edit_guest_runs(edit) ||
	    !domain_xml_parse(edit->new, &domain, NULL))
		return;
	if (!hv_guest_stats_period_set(edit->guest, hv_deadline_ms(CALL_MS), domain.stats_period_s,
				       HV_SCOPE_LIVE, &error))
		cli_warn(edit->ctx, "the new statistics period applies from the next start: %s",
			 error->message);
}

static void print_edit_defined(const struct edit *edit, bool live_follows)
{
	const struct domain_xml_changes *changes = &edit->changes;
	bool waits = edit_guest_runs(edit) &&
		     (changes->memory || changes->other || (changes->current && !live_follows));

	if (edit->ctx->json && !live_follows)
		cli_print_json(json_pack("{s:s, s:s, s:i}", "guest", edit->info->name, "outcome",
					 "defined", "exit_code", EXIT_DONE));
	else if (!edit->ctx->json)
		printf("%s: defined%s\n", edit->info->name,
		       waits ? "; what cannot change while it runs applies from its next start"
			     : "");
}

/* EXIT_REFUSED would mean that nothing was changed. */
static int report_live_failure(const struct edit *edit, const GError *error)
{
	enum exit_code code = exit_code_of(error);

	return cli_fail_with(edit->ctx, code == EXIT_REFUSED ? EXIT_SHORT : code,
			     "%s: the text is defined, but the running guest was not changed: %s",
			     edit->info->name, hv_error_reason(error, edit->info->name));
}

static int apply_live(struct edit *edit)
{
	uint64_t target = live_target(edit);
	struct resize_outcome outcome = { 0 };
	g_autoptr(GError) error = NULL;
	int code;

	apply_stats_period(edit);
	print_edit_defined(edit, target != 0);
	if (!target)
		return EXIT_DONE;
	if (resize_live(edit->ctx, edit->guest, edit->info, target, &edit->options, &outcome,
			&error))
		code = resize_report(edit->ctx, edit->info, &outcome);
	else
		code = report_live_failure(edit, error);
	resize_outcome_clear(&outcome);
	return code;
}

static int print_edit_unchanged(const struct edit *edit)
{
	if (edit->ctx->json)
		cli_print_json(json_pack("{s:s, s:s, s:i}", "guest", edit->info->name, "outcome",
					 "unchanged", "exit_code", EXIT_DONE));
	else
		printf("%s: not changed\n", edit->info->name);
	return EXIT_DONE;
}

static bool is_text_changed(const struct edit *edit)
{
	int reason;
	g_autofree char *text = plain_file_read(edit->file, TEXT_MAX, NULL, &reason);

	return text && strcmp(text, edit->old);
}

static int edit_and_apply(struct edit *edit)
{
	g_autoptr(GError) error = NULL;

	edit->old = hv_guest_xml_get(edit->guest, hv_deadline_ms(CALL_MS), HV_SCOPE_CONFIG, &error);
	if (!edit->old || !write_xml_file(edit, &error))
		return cli_fail(edit->ctx, error);
	for (;;) {
		g_clear_error(&error);
		if (!run_editor(edit, &error))
			return is_text_changed(edit) ? reject_edit(edit, error)
						     : cli_fail(edit->ctx, error);
		if (!strcmp(edit->old, edit->new))
			return print_edit_unchanged(edit);
		if (define_edited_guest(edit, &error))
			return apply_live(edit);
		if (!can_ask_user(edit))
			return reject_edit(edit, error);
		fprintf(stderr, "error: %s\n", error->message);
		if (!ask_to_edit_again())
			return reject_edit(edit, error);
	}
}

static void edit_clear(struct edit *edit)
{
	if (edit->file)
		g_unlink(edit->file);
	g_free(edit->file);
	g_free(edit->old);
	g_free(edit->new);
}

static int run_edit(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct edit edit = { .ctx = ctx, .options = RESIZE_DEFAULTS };
	GOptionContext *options = verb_options_new(verb, NULL);
	g_auto(GStrv) args = NULL;
	g_autoptr(hv_guest) guest = NULL;
	g_auto(hv_info) info = { 0 };
	int code;

	g_option_context_add_group(options, resize_option_group(&edit.options));
	if (!verb_parse_options(ctx, verb, options, argc, argv, 1, 1, &args, &code))
		return code;
	if (!resize_check_options(ctx, verb, &edit.options, &code))
		return code;
	guest = context_open_guest(ctx, args[0], &info, &code);
	if (!guest)
		return code;
	edit.guest = guest;
	edit.info = &info;
	code = edit_and_apply(&edit);
	edit_clear(&edit);
	return code;
}

const struct verb verb_edit = {
	.name = "edit",
	.args = "GUEST",
	.summary = "edit a guest's libvirt XML, check it and apply it",
	.details = "Opens the guest's persistent XML in $VISUAL or $EDITOR, checks the result and "
		   "reports what is\n"
		   "wrong with it before it is defined. For a running guest, a changed "
		   "currentMemory and statistics\n"
		   "period are applied at once; everything else applies from its next start.",
	.examples = "  aerostat edit alpha\n"
		    "  EDITOR='sed -i s/524288/786432/' aerostat edit alpha\n",
	.run = run_edit,
};
