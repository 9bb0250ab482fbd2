/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x-misbehave {"how": NAME, "queue": KIND, "value": N}: one more command for the
 * control socket.  Its answer shows what is kept, and counts what was done.
 */
#include <string.h>

#include "control/control_error.h"
#include "control/control_request.h"
#include "control/control_state.h"
#include "tests/fakes/misbehave.h"

#define NS_PER_US UINT64_C(1000)

void __wrap_control_answer_request(struct control_client *client, const char *text, size_t length);
void __real_control_answer_request(struct control_client *client, const char *text, size_t length);

static const char *const kinds[BALLOON_QUEUE_KINDS] = {
	[BALLOON_INFLATE] = "inflate",	   [BALLOON_DEFLATE] = "deflate",
	[BALLOON_STATS] = "stats",	   [BALLOON_FREE_PAGE] = "free-page",
	[BALLOON_REPORTING] = "reporting",
};

/*
 * The ways to misbehave; @bad belongs to the queue that was named
 */

static void keep(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	bad->keep_ms = value;
	if (!value)
		misbehave_return(balloon, (enum balloon_queue)(bad - misbehaviour.queues));
}

static void deaf(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	bad->deaf_ms = value;
	if (!value)
		misbehave_return(balloon, (enum balloon_queue)(bad - misbehaviour.queues));
}

static void give_back(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)value;
	misbehave_return(balloon, (enum balloon_queue)(bad - misbehaviour.queues));
}

static void newest_first(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	bad->newest_first = value;
}

static void mute(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	bad->mute = value;
}

static void wrong_length(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	bad->wrong_length = value;
}

static void twice(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	bad->twice = (unsigned int)value;
}

static void strays(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	bad->strays = (unsigned int)value;
}

static void num_pages(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)bad;
	misbehave_set_num_pages(balloon, (uint32_t)value);
}

static void toggle(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	(void)bad;
	misbehaviour.toggle_pages = (uint32_t)value;
	if (!misbehaviour.toggle_ns)
		misbehaviour.toggle_ns = 1000 * NS_PER_US;
	if (!value)
		misbehaviour.toggle_ns = 0;
}

static void toggle_pause(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	(void)bad;
	misbehaviour.toggle_ns = (uint64_t)value * NS_PER_US;
}

static void storm(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	(void)bad;
	misbehaviour.storm_ns = (uint64_t)value * NS_PER_US;
}

static void stats_flood(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	(void)bad;
	misbehaviour.stats_flood = value;
}

static void refuse_features(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	(void)bad;
	misbehaviour.refuse_features = value;
}

static void needs_reset(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)bad;
	balloon->driver.needs_reset = value;
	balloon->host.notify_config(balloon->host.data);
}

static void heal(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)bad;
	(void)value;
	misbehave_heal(balloon);
}

static void look(struct balloon *balloon, struct bad_queue *bad, json_int_t value)
{
	(void)balloon;
	(void)bad;
	(void)value;
}

/* One row per way; the value 0 switches it off again. */
static const struct way {
	const char *name;
	const char *help;
	void (*go)(struct balloon *balloon, struct bad_queue *bad, json_int_t value);
	bool of_queue; /* it needs a "queue" */
} ways[] = {
	{ "keep", "return buffers so many ms late; -1: never", keep, true },
	{ "deaf", "handle kicks so many ms late; -1: never", deaf, true },
	{ "return", "return kept buffers, handle the kick that waits", give_back, true },
	{ "newest-first", "return the newest of the kept buffers first", newest_first, true },
	{ "mute", "send no interrupt when buffers are returned", mute, true },
	{ "wrong-length", "report a larger length than buffers have", wrong_length, true },
	{ "twice", "return as many of the next buffers twice", twice, true },
	{ "stray", "return as many buffers that were never sent", strays, true },
	{ "num-pages", "ask for so many pages, whatever RAM there is", num_pages, false },
	{ "toggle", "ask for so many pages and for none, alternately", toggle, false },
	{ "toggle-pause", "how many us are between two of these", toggle_pause, false },
	{ "storm", "a configuration interrupt every so many us, without a change", storm, false },
	{ "stats-flood", "request statistics whenever they have come", stats_flood, false },
	{ "refuse-features", "refuse what the driver acknowledges", refuse_features, false },
	{ "needs-reset", "set DEVICE_NEEDS_RESET, and stop working", needs_reset, false },
	{ "heal", "return all buffers and behave", heal, false },
	{ "look", "only answer", look, false },
};

static const struct way *find_way(const char *name)
{
	for (size_t i = 0; name && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i].name, name))
			return &ways[i];
	return NULL;
}

static struct bad_queue *find_queue(const char *name)
{
	for (size_t i = 0; name && i < BALLOON_QUEUE_KINDS; i++)
		if (!strcmp(kinds[i], name))
			return &misbehaviour.queues[i];
	return NULL;
}

static void tell(struct json_writer *out, const struct balloon *balloon)
{
	json_write_open(out, "kept", '{');
	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS; kind++)
		json_write_u64(out, kinds[kind], misbehave_kept(balloon, kind));
	json_write_close(out, '}');
	json_write_open(out, "unheard", '{');
	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS; kind++)
		json_write_bool(out, kinds[kind], misbehaviour.queues[kind].kicked);
	json_write_close(out, '}');
	json_write_u64(out, "interrupts", misbehaviour.interrupts);
	json_write_u64(out, "toggles", misbehaviour.toggles);
	json_write_u64(out, "forgeries", misbehaviour.forgeries);
	json_write_u64(out, "overtakings", misbehaviour.overtakings);
	json_write_u64(out, "num-pages", balloon->config.num_pages);
	json_write_u64(out, "actual-pages", balloon->config.actual);
}

/* Does what was asked for; returns what is wrong with the request, or NULL. */
static const char *obey(struct balloon *balloon, const json_t *arguments)
{
	const struct way *way = find_way(json_string_value(json_object_get(arguments, "how")));
	struct bad_queue *bad = find_queue(json_string_value(json_object_get(arguments, "queue")));
	const json_t *value = json_object_get(arguments, "value");

	if (!way)
		return "unknown way to misbehave; see misbehave_command.c";
	if (way->of_queue != !!bad)
		return way->of_queue ? "it needs a queue: inflate, deflate, stats, free-page or "
				       "reporting"
				     : "it takes no queue";
	way->go(balloon, bad, json_is_true(value) ? 1 : json_integer_value(value));
	return NULL;
}

void __wrap_control_answer_request(struct control_client *client, const char *text, size_t length)
{
	struct balloon *balloon = client->control->balloon;
	json_t *request = json_loadb(text, length, 0, NULL);
	const char *name = json_string_value(json_object_get(request, "execute"));
	const char *complaint;
	struct json_writer out;

	if (!name || strcmp(name, "x-misbehave")) {
		json_decref(request);
		__real_control_answer_request(client, text, length);
		return;
	}
	complaint = obey(balloon, json_object_get(request, "arguments"));
	json_decref(request);
	if (complaint) {
		control_send_error(client, complaint);
		return;
	}
	control_message_begin(client, &out);
	json_write_open(&out, NULL, '{');
	json_write_open(&out, "return", '{');
	tell(&out, balloon);
	json_write_close(&out, '}');
	json_write_close(&out, '}');
	control_message_end(client, &out);
}
