/*
 * lt_malloc: glibc's allocator of a process as JSON, summed up and walked.
 *
 *     lt_malloc [--mode fork|stop|live] [--by-structure] PID
 *
 * By structure: as if the C library had no symbols.
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
};

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
	return true;
}

static const char *const states[LT_CHUNK_STATES] = {"used", "tcache", "fast",
						    "free", "top",    "mmapped"};

static json_t *states_json(const uint64_t bytes[LT_CHUNK_STATES],
			   const uint64_t chunks[LT_CHUNK_STATES])
{
	json_t *object = json_object();
	for (int i = 0; i < LT_CHUNK_STATES; i++)
		json_object_set_new(object, states[i],
				    json_pack("[II]", (json_int_t)bytes[i], (json_int_t)chunks[i]));
	return object;
}

static enum lt_status report(const struct lt_view *view, struct lt_malloc *malloc)
{
	size_t count = malloc->arenas.count;
	struct totals totals = {.malloc = malloc,
				.bytes = calloc(count + 1, sizeof(*totals.bytes)),
				.chunks = calloc(count + 1, sizeof(*totals.chunks)),
				.arena = UINT32_MAX - 1};
	uint64_t start = lt_now_ns();
	LT_TRY(lt_malloc_walk(view, malloc, add_chunk, &totals));
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
		"{sbsssIsIsIsIsIsbsbsIsfsoso}", "found", malloc->found, "release", malloc->release,
		"mmapped_bytes", (json_int_t)malloc->mmapped_bytes, "mmapped_chunks",
		(json_int_t)malloc->mmapped_chunks, "mmap_threshold",
		(json_int_t)malloc->mmap_threshold, "mapped_found_bytes",
		(json_int_t)malloc->mapped_found_bytes, "caches", (json_int_t)malloc->caches,
		"whole", malloc->whole, "disordered", totals.disordered, "unreadable",
		(json_int_t)view->session->unreadable, "walk_ms", ms, "arenas", arenas, "mmapped",
		states_json(totals.bytes[count], totals.chunks[count]));
	json_dumpf(result, stdout, JSON_COMPACT | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(result);
	free(totals.bytes);
	free(totals.chunks);
	return LT_OK;
}

int main(int argc, char **argv)
{
	struct lt_session session;
	struct lt_look_options options = {.mode = LT_MODE_FORK};
	bool symbols = true;
	pid_t pid = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--by-structure") == 0)
			symbols = false;
		else if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc)
			options.mode = strcmp(argv[++i], "live") == 0 ? LT_MODE_LIVE
				       : strcmp(argv[i], "stop") == 0 ? LT_MODE_STOP
								      : LT_MODE_FORK;
		else
			pid = (pid_t)strtol(argv[i], NULL, 10);
	}
	lt_session_init(&session);
	struct lt_look *look = NULL;
	struct lt_malloc malloc = {0};
	struct lt_glibc glibc;
	enum lt_status status = lt_look_open(&session, pid, &options, &look);
	uint64_t start = lt_now_ns();
	if (status == LT_OK && symbols)
		status = lt_malloc_find(look->view, &malloc);
	if (status == LT_OK && !symbols) {
		status = lt_glibc_find(&session, look->process, look->view->memory, false, &glibc);
		if (status == LT_OK && glibc.found)
			status = lt_malloc_find_in(look->view, &glibc, &malloc);
	}
	if (status == LT_OK) {
		fprintf(stderr, "%.1f ms\n", (double)(lt_now_ns() - start) / 1e6);
		status = report(look->view, &malloc);
	}
	if (status != LT_OK)
		fprintf(stderr, "%s\n", session.message);
	lt_malloc_deinit(&malloc);
	lt_look_close(look);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
