/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aerostat adopt and unadopt: give a libvirt guest aerostat's balloon device, or QEMU's again.
 *
 * Theory of operation: the domain's persistent XML is rewritten (adopt_xml.h) and defined.
 * libvirt then runs the emulator, through aerostat-qemu, to probe its capabilities.  A running
 * guest keeps its present device until its next start.  Nothing is changed live, except by
 * --replug, which gives a running guest a new process for the device that it has.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aerostat/verbs.h"
#include "hypervisor/adopt.h"
#include "hypervisor/adopt_xml.h"
#include "hypervisor/domain_xml.h"
#include "hypervisor/guest_word.h"
#include "hypervisor/replug.h"

#define DEFINE_MS 30000 /* libvirt probes an emulator that is new to it */
#define START_MS 60000
#define REPLUG_MS 30000
#define DRIVER_MS 15000
#define POLL_MS 100

struct adopt {
	struct context *ctx;
	hv_guest *guest;
	const hv_info *info;
	const char *emulator; /* --emulator, or NULL */
	gboolean start, replug;
	char *old; /* the domain's present XML */
	char *new;
};

static bool adopt_guest_runs(const struct adopt *adopt)
{
	return adopt->info->state != HV_STATE_SHUTOFF;
}

/* Prints one line of text, or a JSON object. */
static void print_adopt_outcome(const struct adopt *adopt, const char *outcome, const char *when,
				const char *text)
{
	if (adopt->ctx->json)
		cli_print_json(json_pack("{s:s, s:s, s:s, s:i}", "guest", adopt->info->name,
					 "outcome", outcome, "applies", when, "exit_code",
					 EXIT_DONE));
	else
		printf("%s: %s\n", adopt->info->name, text);
}

/* Names the guest in *error, unless its text already begins with the name.  Returns false. */
static bool prefix_guest_name(const struct adopt *adopt, GError **error)
{
	const char *address = adopt->guest->address;

	if (hv_error_reason(*error, address) == (*error)->message)
		g_prefix_error(error, "%s: ", address);
	return false;
}

/* The device runs on this host, so the guest must run here, too, and under libvirt. */
static bool check_adopt_guest(const struct adopt *adopt, GError **error)
{
	const char *source = adopt->guest->source;

	if (!strcmp(adopt->guest->ops->kind, "libvirt") && hv_uri_is_local(source))
		return true;
	g_set_error(error, HV_ERROR, HV_ERROR_UNSUPPORTED,
		    "%s: only a libvirt guest on this host can be adopted, and this one is reached "
		    "by %s; %s",
		    adopt->info->name, source,
		    strcmp(adopt->guest->ops->kind, "libvirt")
			    ? "start aerostat-device and QEMU with it by hand (see: man "
			      "aerostat-device)"
			    : "run aerostat on the guest's host");
	return false;
}

static bool check_adopt_xml(const struct adopt *adopt, GError **error)
{
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *text = NULL;

	if (adopt_xml_check(adopt->old, problems))
		return true;
	g_ptr_array_add(problems, NULL);
	text = g_strjoinv("; ", (char **)problems->pdata);
	g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
		    "%s cannot have aerostat's balloon device: %s", adopt->info->name, text);
	return false;
}

static bool has_our_device(const char *xml)
{
	g_auto(domain_xml) domain = { 0 };

	return domain_xml_parse(xml, &domain, NULL) && domain.control;
}

/* ---- adopt ---- */

/* The emulator that aerostat-qemu is to execute. */
static char *find_real_emulator(const struct adopt *adopt, GError **error)
{
	g_autofree char *emulator = adopt->emulator ? g_canonicalize_filename(adopt->emulator, NULL)
						    : adopt_xml_emulator(adopt->old, error);
	const char *linked = emulator ? adopt_parse_link(emulator) : NULL;

	if (linked)
		return g_strdup(linked);
	if (!emulator)
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "its XML has no <emulator>; name one with --emulator PATH");
	return g_steal_pointer(&emulator);
}

/*
 * The device's command line.  What the guest does by itself is offered, unless its present balloon
 * was told not to: it costs nothing where the driver does not use it.
 */
static char *device_command_line(const struct adopt *adopt, GError **error)
{
	g_autofree char *program = adopt_find_program(ADOPT_DEVICE, error);
	g_autofree char *quoted = program ? g_shell_quote(program) : NULL;
	g_auto(domain_xml) domain = { 0 };

	if (!program || !domain_xml_parse(adopt->old, &domain, error))
		return NULL;
	return g_strconcat(quoted, domain.autodeflate ? " --features=+deflate-on-oom" : "",
			   domain.free_page_reporting ? " --features=+free-page-reporting" : "",
			   NULL);
}

static char *rewrite_adopted_xml(const struct adopt *adopt, const struct adopt_dirs *places,
				 const char *link, GError **error)
{
	g_autofree char *socket = adopt_format_socket(places, adopt->info->name, error);
	g_autofree char *control = socket ? adopt_format_control(socket) : NULL;
	g_autofree char *device = socket ? device_command_line(adopt, error) : NULL;
	g_autofree char *device_variable = g_strconcat(ADOPT_ENV_DEVICE "=", device, NULL);
	g_autofree char *uri_variable = g_strconcat(ADOPT_ENV_URI "=", adopt->guest->source, NULL);
	char *environment[] = { device_variable, uri_variable, NULL };
	const struct adopt_params words = {
		.emulator = link,
		.socket = socket,
		.control = control,
		.environment = environment,
	};

	return device ? adopt_xml_apply(adopt->old, &words, error) : NULL;
}

static bool define_adopted_guest(struct adopt *adopt, GError **error)
{
	g_auto(adopt_dirs) places = { 0 };
	g_autofree char *emulator = find_real_emulator(adopt, error);
	g_autofree char *launcher = NULL;
	g_autofree char *link = NULL;
	bool made;

	if (!emulator || !adopt_check_emulator(emulator, error))
		return false;
	adopt_dirs_find(adopt->guest->source, &places);
	link = adopt_format_link(&places, emulator);
	adopt->new = rewrite_adopted_xml(adopt, &places, link, error);
	launcher = adopt->new ? adopt_find_program(ADOPT_LAUNCHER, error) : NULL;
	if (!launcher || !adopt_make_link(link, launcher, &made, error))
		return false;
	if (hv_guest_xml_define(adopt->guest, hv_deadline_ms(DEFINE_MS), adopt->new, error))
		return true;
	if (made)
		unlink(link);
	return false;
}

/* Starts the guest; if it does not start, defines its former XML again. */
static bool start_adopted_guest(struct adopt *adopt, GError **error)
{
	const char *address = adopt->guest->address;
	g_autoptr(GError) failed = NULL;
	g_autoptr(GError) lost = NULL;
	const char *reason;

	if (hv_guest_start(adopt->guest, hv_deadline_ms(START_MS), &failed))
		return true;
	reason = hv_error_reason(failed, address);
	if (hv_guest_xml_define(adopt->guest, hv_deadline_ms(DEFINE_MS), adopt->old, &lost))
		g_set_error(error, HV_ERROR, failed->code,
			    "%s: it did not start, so its XML is as it was before: %s", address,
			    reason);
	else
		g_set_error(error, HV_ERROR, failed->code,
			    "%s: it did not start (%s), and its former XML cannot be defined "
			    "again: %s",
			    address, reason, hv_error_reason(lost, address));
	return false;
}

static bool adopt_guest(struct adopt *adopt, GError **error)
{
	g_autofree char *word = NULL;

	if (has_our_device(adopt->old)) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "%s already has aerostat's balloon device; nothing was changed",
			    adopt->info->name);
		return false;
	}
	if (adopt->start && adopt_guest_runs(adopt)) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "%s is already running; without --start, it can be adopted and keeps "
			    "QEMU's device until its next start",
			    adopt->info->name);
		return false;
	}
	if (!check_adopt_xml(adopt, error))
		return false;
	if (!define_adopted_guest(adopt, error))
		return prefix_guest_name(adopt, error);
	word = guest_word_quote(adopt->ctx->guest_word);
	cli_warn(adopt->ctx,
		 "%s: migrating or saving this guest would break its balloon; run aerostat unadopt "
		 "%s first",
		 adopt->info->name, word);
	if (adopt->start && !start_adopted_guest(adopt, error))
		return false;
	if (adopt->start)
		print_adopt_outcome(adopt, "adopted", "now",
				    "adopted and started with aerostat's balloon device");
	else if (adopt_guest_runs(adopt))
		print_adopt_outcome(
			adopt, "adopted", "next-start",
			"adopted; it keeps its present device until it is shut down and started "
			"again (a reboot is not enough)");
	else
		print_adopt_outcome(adopt, "adopted", "next-start",
				    "adopted; it will start with aerostat's balloon device");
	return true;
}

/* ---- replug ---- */

/* The size to restore: the present one, or the configured one if the device is dead. */
static uint64_t size_to_restore(const struct adopt *adopt)
{
	uint64_t bytes;

	if (hv_guest_balloon_get(adopt->guest, hv_deadline_ms(CALL_MS), &bytes, NULL))
		return bytes;
	return adopt->info->config_bytes == HV_UNSET ? adopt->info->max_bytes
						     : adopt->info->config_bytes;
}

/* Waits for the guest's driver, without which the device may not know the guest's RAM. */
static bool restore_size(const struct adopt *adopt, uint64_t bytes, GError **error)
{
	int64_t end = hv_deadline_ms(DRIVER_MS);

	while (g_get_monotonic_time() < end) {
		g_auto(hv_info) now = { 0 };

		if (!hv_guest_info(adopt->guest, hv_deadline_ms(CALL_MS), &now, error))
			return false;
		if (now.driver == HV_DRIVER_READY)
			break;
		poll(NULL, 0, POLL_MS);
	}
	return hv_guest_balloon_set(adopt->guest, hv_deadline_ms(CALL_MS), bytes, HV_SCOPE_LIVE,
				    error);
}

static bool replug_guest(struct adopt *adopt, GError **error)
{
	g_autofree char *live =
		hv_guest_xml_get(adopt->guest, hv_deadline_ms(CALL_MS), HV_SCOPE_LIVE, error);
	g_autofree char *device = live ? adopt_xml_device(live) : NULL;
	uint64_t bytes;

	if (!live)
		return false;
	if (!device || !has_our_device(live)) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "%s is not running with aerostat's balloon device, so there is "
			    "nothing to replug; adopt it and start it first",
			    adopt->info->name);
		return false;
	}
	bytes = size_to_restore(adopt);
	if (!replug_unplug(adopt->guest, hv_deadline_ms(REPLUG_MS), device, error) ||
	    !replug_plug(adopt->guest, hv_deadline_ms(REPLUG_MS), device, error) ||
	    !restore_size(adopt, bytes, error))
		return false;
	print_adopt_outcome(adopt, "replugged", "now",
			    "a new aerostat-device now serves its balloon");
	return true;
}

/* ---- unadopt ---- */

static bool unadopt_guest(struct adopt *adopt, GError **error)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);

	if (!has_our_device(adopt->old)) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "%s does not have aerostat's balloon device; nothing was changed",
			    adopt->info->name);
		return false;
	}
	adopt->new = adopt_xml_revert(adopt->old, notes, error);
	if (!adopt->new)
		return prefix_guest_name(adopt, error);
	if (!hv_guest_xml_define(adopt->guest, hv_deadline_ms(DEFINE_MS), adopt->new, error))
		return false;
	for (guint i = 0; i < notes->len; i++)
		cli_warn(adopt->ctx, "%s: %s", adopt->info->name, (char *)notes->pdata[i]);
	print_adopt_outcome(
		adopt, "unadopted", "next-start",
		adopt_guest_runs(adopt)
			? "no longer adopted; it keeps its present device until it is shut down "
			  "and started again (a reboot is not enough)"
			: "no longer adopted; it will start with QEMU's balloon device");
	return true;
}

/* ---- the verbs ---- */

/* Opens the guest, reads its XML and runs @action. */
static int run_adopt_action(struct context *ctx, const char *name, struct adopt *adopt,
			    bool (*action)(struct adopt *, GError **))
{
	g_autoptr(hv_guest) guest = NULL;
	g_auto(hv_info) info = { 0 };
	g_autoptr(GError) error = NULL;
	int code;
	bool ok;

	guest = context_open_guest(ctx, name, &info, &code);
	if (!guest)
		return code;
	adopt->ctx = ctx;
	adopt->guest = guest;
	adopt->info = &info;
	ok = check_adopt_guest(adopt, &error);
	if (ok)
		adopt->old =
			hv_guest_xml_get(guest, hv_deadline_ms(CALL_MS), HV_SCOPE_CONFIG, &error);
	ok = adopt->old && action(adopt, &error);
	g_free(adopt->old);
	g_free(adopt->new);
	return ok ? EXIT_DONE : cli_fail(ctx, error);
}

static int run_adopt(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct adopt adopt = { 0 };
	g_autofree char *emulator = NULL;
	const GOptionEntry entries[] = {
		{ "emulator", 0, 0, G_OPTION_ARG_FILENAME, &emulator,
		  "run this QEMU (10.1 or newer) instead of the guest's own", "PATH" },
		{ "start", 0, 0, G_OPTION_ARG_NONE, &adopt.start,
		  "start the guest, and undo everything if it does not start", NULL },
		{ "replug", 0, 0, G_OPTION_ARG_NONE, &adopt.replug,
		  "give a running, adopted guest a new device process", NULL },
		{ NULL }
	};
	g_auto(GStrv) args = NULL;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 1, 1, &args, &code))
		return code;
	if (adopt.replug && (emulator || adopt.start))
		return cli_usage(
			ctx, verb,
			"--replug excludes --emulator and --start: it is for a guest that is "
			"already running");
	adopt.emulator = emulator;
	return run_adopt_action(ctx, args[0], &adopt, adopt.replug ? replug_guest : adopt_guest);
}

static int run_unadopt(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct adopt adopt = { 0 };
	g_auto(GStrv) args = NULL;
	int code;

	if (!verb_parse(ctx, verb, NULL, argc, argv, 1, 1, &args, &code))
		return code;
	return run_adopt_action(ctx, args[0], &adopt, unadopt_guest);
}

const struct verb verb_adopt = {
	.name = "adopt",
	.args = "GUEST",
	.summary = "give a libvirt guest aerostat's own balloon device",
	.details =
		"Rewrites the guest's persistent XML so that its balloon is served by "
		"aerostat-device, a separate\n"
		"process that starts and ends with the guest. This takes effect when the guest is "
		"next started; a\n"
		"running guest keeps its present device until then. All verbs work on the guest as "
		"before.\n"
		"Needs QEMU 10.1 or newer. A guest with devices that pin its memory is refused.",
	.examples = "  aerostat adopt alpha --start\n"
		    "  aerostat adopt alpha --emulator /opt/qemu/bin/qemu-system-x86_64\n"
		    "  aerostat adopt --replug alpha           # while it is running: a new device "
		    "process\n"
		    "  aerostat unadopt alpha                  # as it was before\n",
	.run = run_adopt,
};

const struct verb verb_unadopt = {
	.name = "unadopt",
	.args = "GUEST",
	.summary = "give an adopted guest QEMU's balloon device again",
	.details =
		"Restores what adopt replaced in the guest's persistent XML: <emulator>, "
		"<memballoon> and\n"
		"<memoryBacking>; everything else stays as it is now. This takes effect when the "
		"guest is next\n"
		"started.",
	.examples = "  aerostat unadopt alpha\n",
	.run = run_unadopt,
};
