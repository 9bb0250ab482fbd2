/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replays the PFNs that a guest put into its balloon through different ways to
 * return memory to the host, and measures what each costs.
 *
 *	device-play [--rounds=N] [--backing=NAME]... [--rate=GIB/S]... STREAM
 *
 * STREAM holds little-endian 32-bit PFNs in the order in which the guest sent
 * them, 256 per buffer (bench/streams.py records such streams).  Prints one line of
 * JSON per measurement, for bench/play.py, which takes medians.
 *
 * For each backing and round, all ways take turns, in one order and the next
 * round in the other; each gets memory of its own, all of it touched.  Then the
 * memory is given back (measured), taken again, and touched: what is in huge
 * pages then has survived.
 */
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/play_ways.h"

#define RATES_MAX 8

struct settings {
	unsigned int rounds;
	bool wanted[16]; /* of backing_kinds[]; none: all */
	bool some;
	double rates[RATES_MAX];
	unsigned int rate_count;
};

static const char *load(const char *path, struct play_stream *stream)
{
	FILE *file = fopen(path, "rbe");
	struct stat st;

	if (!file || fstat(fileno(file), &st) < 0)
		return strerror(errno);
	stream->count = (size_t)st.st_size / sizeof(uint32_t);
	stream->pfns = calloc(stream->count + 1, sizeof(uint32_t));
	if (!stream->pfns)
		return strerror(ENOMEM);
	if (fread(stream->pfns, sizeof(uint32_t), stream->count, file) != stream->count)
		return "cannot be read";
	fclose(file);
	for (size_t i = 0; i < stream->count; i++) {
		stream->pfns[i] = le32toh(stream->pfns[i]);
		if (stream->pfns[i] >= stream->limit)
			stream->limit = stream->pfns[i] + 1;
	}
	return stream->count ? NULL : "is empty";
}

static void print_double(const char *name, double value)
{
	printf(", \"%s\": %.9f", name, value);
}

static void print_u64(const char *name, uint64_t value)
{
	printf(", \"%s\": %" PRIu64, name, value);
}

static void print_play(const struct play *play)
{
	print_u64("stream_bytes", play->stream->count * PLAY_PAGE_BYTES);
	print_u64("calls", play->calls);
	print_u64("failed", play->failed);
	print_u64("released_bytes", play->released_bytes);
	print_double("cpu_s", play->cpu_s);
	print_double("system_s", play->system_s);
	print_double("wall_s", play->wall_s);
}

static void end_line(void)
{
	printf("}\n");
	fflush(stdout);
}

static void skip(const char *backing, const char *way, const char *why)
{
	printf("{\"skipped\": true, \"backing\": \"%s\", \"way\": \"%s\", \"why\": \"%s\"", backing,
	       way, why);
	end_line();
}

/* The size of the guest's RAM: all that the stream names, in whole huge pages. */
static uint64_t ram_bytes(const struct play_stream *stream)
{
	uint64_t bytes = (uint64_t)stream->limit * PLAY_PAGE_BYTES;

	return (bytes + PLAY_BLOCK_BYTES - 1) / PLAY_BLOCK_BYTES * PLAY_BLOCK_BYTES;
}

static const char *play_one(struct play *play, const struct way *way, unsigned int round)
{
	const struct backing *backing = play->backing;
	uint64_t huge_before = backing_huge_bytes(backing);
	uint64_t free_before = backing_host_free_bytes(backing);
	int64_t gained;
	const char *why = way->run(play);

	if (why)
		return why;
	gained = (int64_t)(backing_host_free_bytes(backing) - free_before);
	why = backing_touch(backing);
	if (why)
		return why;
	printf("{\"backing\": \"%s\", \"way\": \"%s\", \"round\": %u", backing->kind->name,
	       way->name, round);
	print_play(play);
	printf(", \"gained_bytes\": %" PRId64, gained);
	print_u64("ram_bytes", backing->bytes);
	print_u64("huge_before_bytes", huge_before);
	print_u64("huge_after_bytes", backing_huge_bytes(backing));
	end_line();
	return NULL;
}

/* Returns false if this backing is not available at all. */
static bool play_way(const struct play_stream *stream, const struct backing_kind *kind,
		     const struct way *way, unsigned int round)
{
	struct backing backing;
	struct play play = { .stream = stream, .backing = &backing };
	const char *why = backing_open(&backing, kind, ram_bytes(stream));

	if (why) {
		skip(kind->name, "", why);
		return false;
	}
	why = play_one(&play, way, round);
	if (why)
		skip(kind->name, way->name, why);
	backing_close(&backing);
	return true;
}

static void print_audit(const struct backing *backing, const char *state,
			const struct play_audit *audit)
{
	printf("{\"audit\": \"%s\", \"backing\": \"%s\"", state, backing->kind->name);
	print_u64("pages", audit->pages);
	print_u64("resident", audit->resident);
	print_double("cpu_s", audit->cpu_s);
	end_line();
}

static void play_audit(const struct play_stream *stream, const struct backing_kind *kind)
{
	struct play_audit untouched, touched;
	struct backing backing;
	struct play play = { .stream = stream, .backing = &backing };
	const char *why = backing_open(&backing, kind, ram_bytes(stream));

	if (why)
		return;
	why = play_audits(&play, &untouched, &touched);
	if (why) {
		skip(kind->name, "audit", why);
	} else {
		print_audit(&backing, "untouched", &untouched);
		print_audit(&backing, "touched", &touched);
	}
	backing_close(&backing);
}

static void play_backing(const struct settings *settings, const struct play_stream *stream,
			 const struct backing_kind *kind)
{
	for (unsigned int round = 0; round < settings->rounds; round++) {
		for (unsigned int i = 0; i < way_count; i++) {
			const struct way *way = &ways[round % 2 ? way_count - 1 - i : i];

			if (way->can && !way->can(kind))
				continue;
			if (!play_way(stream, kind, way, round))
				return;
		}
	}
	play_audit(stream, kind);
}

/* Counts the device's calls for guests of different speed; the kind of memory matters little. */
static void play_rates(const struct settings *settings, const struct play_stream *stream)
{
	struct backing backing;
	const char *why = NULL;

	for (unsigned int i = 0; i < settings->rate_count && !why; i++) {
		struct play play = { .stream = stream,
				     .backing = &backing,
				     .rate_bytes = settings->rates[i] * (double)(1 << 30) };

		why = backing_open(&backing, &backing_kinds[0], ram_bytes(stream));
		if (why)
			break;
		why = play_device(&play);
		printf("{\"rate_gib_s\": %g", settings->rates[i]);
		print_play(&play);
		end_line();
		backing_close(&backing);
	}
	if (why)
		skip(backing_kinds[0].name, "rates", why);
}

static bool want_backing(struct settings *settings, const char *name)
{
	for (unsigned int i = 0; i < backing_kind_count; i++) {
		if (strcmp(backing_kinds[i].name, name) != 0)
			continue;
		settings->wanted[i] = settings->some = true;
		return true;
	}
	return false;
}

static bool read_options(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'n' },
		{ "backing", required_argument, NULL, 'b' },
		{ "rate", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n') {
			settings->rounds = (unsigned int)strtoul(optarg, NULL, 10);
		} else if (option == 'r' && settings->rate_count < RATES_MAX) {
			settings->rates[settings->rate_count++] = strtod(optarg, NULL);
		} else if (option != 'b' || !want_backing(settings, optarg)) {
			return false;
		}
	}
	return optind == argc - 1;
}

int main(int argc, char **argv)
{
	struct settings settings = { .rounds = 1 };
	struct play_stream stream = { .count = 0 };
	const char *why;

	if (!read_options(argc, argv, &settings)) {
		fprintf(stderr, "usage: device-play [--rounds=N] [--backing=NAME]... "
				"[--rate=GIB/S]... STREAM\nbackings:");
		for (unsigned int i = 0; i < backing_kind_count; i++)
			fprintf(stderr, " %s", backing_kinds[i].name);
		fprintf(stderr, "\n");
		return 2;
	}
	why = load(argv[optind], &stream);
	if (why) {
		fprintf(stderr, "device-play: %s: %s\n", argv[optind], why);
		return 1;
	}
	for (unsigned int i = 0; i < backing_kind_count; i++)
		if (!settings.some || settings.wanted[i])
			play_backing(&settings, &stream, &backing_kinds[i]);
	play_rates(&settings, &stream);
	free(stream.pfns);
	return 0;
}
