/*
 * lt_malloc: glibc's allocator of a process as JSON, summed up and walked.
 *
 *     lt_malloc [--mode fork|stop|live] [--by-structure] [--disturb N] PID [ADDRESS...]
 *
 * By structure: as if the C library had no symbols. Addresses: of memory whose chunk's state is told. Disturbed: N
 * times, each with other words of what is read changed; only how many of these ended is told.
 */
#include "analysis/open.h"
#include "heap/malloc_parts.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct totals {
	struct lt_malloc *malloc;
	uint64_t (*bytes)[LT_CHUNK_STATES],
		(*chunks)[LT_CHUNK_STATES]; /* by arena; the last: mmapped */
	uint32_t arena;
	lt_addr last;
	bool disordered;
	const lt_addr *asked;
	size_t asked_count;
	json_t *answers;
};

static const char *const states[LT_CHUNK_STATES] = {"used", "tcache", "fast",
						    "free", "top",    "mmapped"};

static bool add_chunk(void *ctx, const struct lt_chunk *chunk)
{
	struct totals *totals = ctx;
	size_t arena = chunk->arena == UINT32_MAX ? totals->malloc->arenas.count : chunk->arena;
	if (chunk->arena == totals->arena && chunk->address <= totals->last)
		totals->disordered = true;
	totals->arena = chunk->arena;
	totals->last = chunk->address;
	totals->bytes[arena][chunk->state] += chunk->size;
	totals->chunks[arena][chunk->state]++;
	for (size_t i = 0; i < totals->asked_count; i++)
		if (totals->asked[i] == chunk->address)
			json_array_set_new(totals->answers, i, json_string(states[chunk->state]));
	return true;
}

static json_t *states_json(const uint64_t bytes[LT_CHUNK_STATES],
			   const uint64_t chunks[LT_CHUNK_STATES])
{
	json_t *object = json_object();
	for (int i = 0; i < LT_CHUNK_STATES; i++)
		json_object_set_new(object, states[i],
				    json_pack("[II]", (json_int_t)bytes[i], (json_int_t)chunks[i]));
	return object;
}

static enum lt_status report(const struct lt_view *view, struct lt_malloc *malloc,
			     const lt_addr *asked, size_t asked_count)
{
	size_t count = malloc->arenas.count;
	struct totals totals = {.malloc = malloc,
				.bytes = calloc(count + 1, sizeof(*totals.bytes)),
				.chunks = calloc(count + 1, sizeof(*totals.chunks)),
				.arena = UINT32_MAX - 1,
				.asked = asked,
				.asked_count = asked_count,
				.answers = json_array()};
	for (size_t i = 0; i < asked_count; i++)
		json_array_append_new(totals.answers, json_null());
	uint64_t start = lt_now_ns();
	lt_malloc_walk(malloc, add_chunk, &totals);
	double ms = (double)(lt_now_ns() - start) / 1e6;
	json_t *arenas = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct lt_malloc_arena *arena = &malloc->arenas.data[i];
		json_array_append_new(arenas,
				      json_pack("{sIsbsbsbsIsIsIsIsoso}", "address",
						(json_int_t)arena->address, "main", arena->main,
						"locked", arena->locked, "whole", arena->whole,
						"system", (json_int_t)arena->system_bytes,
						"attached", (json_int_t)arena->attached,
						"largest_free", (json_int_t)arena->largest_free,
						"overhead", (json_int_t)arena->overhead, "found",
						states_json(arena->bytes, arena->chunks), "walked",
						states_json(totals.bytes[i], totals.chunks[i])));
	}
	json_t *result = json_pack(
		"{sbsssIsIsIsIsIsbsbsIsfsososo}", "found", malloc->found, "release",
		malloc->release, "mmapped_bytes", (json_int_t)malloc->mmapped_bytes,
		"mmapped_chunks", (json_int_t)malloc->mmapped_chunks, "mmap_threshold",
		(json_int_t)malloc->mmap_threshold, "mapped_found_bytes",
		(json_int_t)malloc->mapped_found_bytes, "caches", (json_int_t)malloc->caches,
		"whole", malloc->whole, "disordered", totals.disordered, "unreadable",
		(json_int_t)view->session->unreadable, "walk_ms", ms, "arenas", arenas, "mmapped",
		states_json(totals.bytes[count], totals.chunks[count]), "asked", totals.answers);
	json_dumpf(result, stdout, JSON_COMPACT | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(result);
	free(totals.bytes);
	free(totals.chunks);
	return LT_OK;
}

/* Passes on what is below, with some words changed. */
struct disturber {
	struct lt_memory memory;
	struct lt_memory *under; /* not owned */
	uint64_t state;
	unsigned rarity; /* a read in so many is changed */
};

static uint64_t draw(struct disturber *disturber)
{
	disturber->state = disturber->state * 6364136223846793005u + 1442695040888963407u;
	return disturber->state >> 24;
}

static size_t read_disturbed(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct disturber *disturber = (struct disturber *)memory;
	size_t got = lt_memory_probe(disturber->under, addr, buffer, size);
	if (got < 8 || draw(disturber) % disturber->rarity != 0)
		return got;
	for (uint64_t words = draw(disturber) % 8; words > 0; words--) {
		static const uint64_t values[] = {
			0, 1, 16, 17, 33, UINT64_MAX, 0x7fffffffffffff01, 0x10000001};
		uint64_t value = values[draw(disturber) % 8];
		size_t at = draw(disturber) % (got / 8) * 8;
		/* A word from elsewhere in it makes rings and crossed lists. */
		if (draw(disturber) % 2 == 0)
			memcpy(&value, (char *)buffer + draw(disturber) % (got / 8) * 8, 8);
		memcpy((char *)buffer + at, &value, 8);
	}
	return got;
}

static void close_disturbed(struct lt_memory *memory)
{
	(void)memory;
}

static const struct lt_memory_ops disturber_ops = {read_disturbed, close_disturbed};

/* Each round ends, in a result or in an error; a walk tells no more than was summed up where it is whole. */
static int disturb(struct lt_look *look, unsigned rounds)
{
	static const unsigned rarities[] = {1, 3, 10, 100};
	unsigned found = 0, whole = 0;
	uint64_t slowest = 0;
	for (unsigned i = 0; i < rounds; i++) {
		struct disturber disturber = {
			{.ops = &disturber_ops}, look->view->memory, i, rarities[i % 4]};
		struct lt_view view = *look->view;
		struct lt_malloc malloc = {0};
		struct lt_glibc glibc = {0};
		uint64_t start = lt_now_ns();
		/* The arena itself is found undisturbed in every other round, so that what follows is reached. */
		enum lt_status status = lt_glibc_find(
			look->session, look->process,
			i % 2 == 0 ? look->view->memory : &disturber.memory, i % 3 == 0, &glibc);
		view.memory = &disturber.memory;
		if (status == LT_OK && glibc.found)
			status = lt_malloc_find_in(&view, &glibc, NULL, &malloc);
		if (status == LT_OK) {
			struct totals totals = {
				.malloc = &malloc,
				.bytes = calloc(malloc.arenas.count + 1, sizeof(*totals.bytes)),
				.chunks = calloc(malloc.arenas.count + 1, sizeof(*totals.chunks))};
			lt_malloc_walk(&malloc, add_chunk, &totals);
			free(totals.bytes);
			free(totals.chunks);
		}
		if (status != LT_OK)
			return 70;
		found += malloc.found;
		whole += malloc.whole;
		lt_malloc_deinit(&malloc);
		if (lt_now_ns() - start > slowest)
			slowest = lt_now_ns() - start;
	}
	printf("{\"rounds\":%u,\"found\":%u,\"whole\":%u,\"slowest_ms\":%.1f}\n", rounds, found,
	       whole, (double)slowest / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	struct lt_session session;
	struct lt_look_options options = {.mode = LT_MODE_FORK};
	bool symbols = true;
	unsigned rounds = 0;
	pid_t pid = 0;
	lt_addr asked[64];
	size_t asked_count = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--by-structure") == 0) {
			symbols = false;
		} else if (strcmp(argv[i], "--disturb") == 0 && i + 1 < argc) {
			rounds = (unsigned)strtoul(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc) {
			i++;
			options.mode = strcmp(argv[i], "live") == 0   ? LT_MODE_LIVE
				       : strcmp(argv[i], "stop") == 0 ? LT_MODE_STOP
								      : LT_MODE_FORK;
		} else if (pid == 0) {
			pid = (pid_t)strtol(argv[i], NULL, 10);
		} else if (asked_count < 64) {
			asked[asked_count++] = strtoull(argv[i], NULL, 0);
		}
	}
	lt_session_init(&session);
	struct lt_look *look = NULL;
	struct lt_malloc malloc = {0};
	struct lt_glibc glibc;
	enum lt_status status = lt_look_open(&session, pid, &options, &look);
	if (status == LT_OK && rounds > 0) {
		int code = disturb(look, rounds);
		lt_look_close(look);
		lt_session_deinit(&session);
		return code;
	}
	uint64_t start = lt_now_ns();
	if (status == LT_OK && symbols)
		status = lt_malloc_find(look->view, NULL, &malloc);
	if (status == LT_OK && !symbols) {
		status = lt_glibc_find(&session, look->process, look->view->memory, false, &glibc);
		if (status == LT_OK && glibc.found)
			status = lt_malloc_find_in(look->view, &glibc, NULL, &malloc);
	}
	if (status == LT_OK) {
		fprintf(stderr, "%.1f ms\n", (double)(lt_now_ns() - start) / 1e6);
		status = report(look->view, &malloc, asked, asked_count);
	}
	if (status != LT_OK)
		fprintf(stderr, "%s\n", session.message);
	lt_malloc_deinit(&malloc);
	lt_look_close(look);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
