/*
 * rss_pointers.c: which memory objects have beside themselves.
 *
 * While the picture is taken every object is asked for pointers to memory that is no object: the array of a list, the keys of a dict,
 * the data of an array, whatever a C type keeps.
 */
#include "analysis/rss_parts.h"

#include "heap/objmap.h"

#include <string.h>

enum {
	BEFORE = 32,        /* bytes before an object where its dict and values are pointed to */
	BODY = 1024,        /* bytes of an object that are searched */
	INSIDE_WORDS = 9,   /* a pointer to memory may lead to one of these first words of it */
	CONTENT = 64 << 10, /* bytes of C memory that are searched, each */
	WORD = 8,
};

/* Objects of these kinds have no memory beside themselves. */
static bool is_compact(enum lt_kind kind)
{
	switch (kind) {
	case LT_KIND_INT:
	case LT_KIND_FLOAT:
	case LT_KIND_COMPLEX:
	case LT_KIND_NONE:
	case LT_KIND_BYTES:
	case LT_KIND_TUPLE:
	case LT_KIND_CELL:
	case LT_KIND_BUILTIN:
	case LT_KIND_METHOD:
	case LT_KIND_WEAKREF:
		return true;
	default:
		return false;
	}
}

bool lt_rss_has_plain_content(enum lt_kind kind)
{
	switch (kind) {
	case LT_KIND_DICT:
	case LT_KIND_DEFAULT_DICT:
	case LT_KIND_LIST:
	case LT_KIND_SET:
	case LT_KIND_STR:
	case LT_KIND_BYTEARRAY:
	case LT_KIND_ARRAY:
	case LT_KIND_NDARRAY:
	case LT_KIND_OBJECT:
		return true;
	default:
		return false;
	}
}

/* True when memory that is no object may begin at the address. */
static bool may_be_owned(const struct lt_rss_reading *reading, const struct lt_heap_graph *graph,
			 uint64_t word)
{
	return lt_pageset_has(&reading->allocated, word) && (word & (WORD - 1)) == 0 &&
	       !lt_objmap_has(graph->objects, word);
}

static bool is_asked(const struct lt_type *type)
{
	return type != NULL && type->basicsize > 0 &&
	       (!is_compact(type->kind) || !type->exact || type->managed_dict);
}

/* How much of a str is no text, which leads to nothing; what cannot be read is taken as whole. */
static uint64_t before_text(const struct lt_view *view, const struct lt_type *type, lt_addr at)
{
	const struct lt_layout *layout = view->layout;
	size_t offset = lt_off(layout, LT_PyASCIIObject_state);
	uint32_t state;
	const unsigned char *bytes = lt_memory_at(view->memory, at + offset, sizeof(state));
	if (bytes == NULL)
		return (uint64_t)type->basicsize;
	memcpy(&state, bytes, sizeof(state));
	if ((state >> lt_fact(layout, LT_FACT_unicode_compact_shift) & 1) == 0)
		return (uint64_t)type->basicsize;
	if ((state >> lt_fact(layout, LT_FACT_unicode_ascii_shift) & 1) == 0)
		return lt_off(layout, LT_sizeof_PyCompactUnicodeObject);
	/* Until 3.12 it may have a wide copy. */
	return lt_has(layout, LT_PyASCIIObject_wstr) ? lt_off(layout, LT_sizeof_PyASCIIObject) : 0;
}

size_t lt_rss_pointers(const struct lt_view *view, const struct lt_type *type, lt_addr at,
		       uint64_t words[LT_RSS_POINTERS])
{
	if (!is_asked(type))
		return 0;
	uint64_t before = type->managed_dict ? BEFORE : 0;
	uint64_t size = type->basicsize < BODY ? (uint64_t)type->basicsize : BODY;
	size_t count = 0;
	/* Inline values are behind the struct, and what they refer to are objects. */
	uint64_t got = before + size;
	if (type->kind == LT_KIND_STR && type->exact)
		got = before_text(view, type, at);
	if (got == 0)
		return 0;
	const unsigned char *bytes = lt_memory_at(view->memory, at - before, got);
	if (bytes == NULL) {
		got = lt_memory_probe(view->memory, at - before, words, got);
		bytes = (const unsigned char *)words;
	}
	for (size_t i = 0; i < got / WORD; i++) {
		uint64_t word;
		/* Of the words before only the last but two and three; one of them may be tagged. */
		if (before != 0 && (i == 2 || i == 3))
			continue;
		memcpy(&word, bytes + i * WORD, sizeof(word));
		if (before != 0 && i < 2)
			word += word & 1;
		if (word < at || word >= at + size)
			words[count++] = word;
	}
	return count;
}

bool lt_rss_ask_object(void *ctx, unsigned part, const struct lt_view *view,
		       const struct lt_heap_graph *graph, lt_addr object,
		       const struct lt_type *type)
{
	struct lt_rss_reading *reading = ctx;
	uint64_t words[LT_RSS_POINTERS];
	size_t count = lt_rss_pointers(view, type, object, words);
	for (size_t i = 0; i < count; i++)
		if (may_be_owned(reading, graph, words[i]) &&
		    !lt_wordmap_add(&reading->owners[part], words[i], type->index))
			return false;
	return true;
}

/* An object's own pointer to the same comes first. */
static void take_word(struct lt_rss_reading *reading, uint64_t word, uint32_t type)
{
	uint32_t before;
	if (!may_be_owned(reading, &reading->nodes, word))
		return;
	for (unsigned i = 0; i < LT_HEAP_PARTS; i++)
		if (lt_wordmap_get(&reading->owners[i], word, &before))
			return;
	if (!lt_wordmap_add(&reading->owners[0], word, type))
		reading->no_memory = true;
}

void lt_rss_take_content(struct lt_rss_reading *reading, struct lt_memory *memory, lt_addr start,
			 uint64_t size, uint32_t type)
{
	uint64_t words[512];
	if (type >= reading->type_count || reading->plain[type] != 0)
		return;
	if (size > CONTENT)
		size = CONTENT;
	for (uint64_t done = 0; done < size; done += sizeof(words)) {
		size_t wanted = size - done < sizeof(words) ? size - done : sizeof(words);
		size_t got = lt_memory_probe(memory, start + done, words, wanted);
		for (size_t i = 0; i < got / WORD; i++)
			take_word(reading, words[i], type);
		if (got < wanted)
			break;
	}
}

bool lt_rss_find_owner(const struct lt_rss_reading *reading, lt_addr address, uint64_t size,
		       uint32_t *ret_type)
{
	uint64_t words = (size + WORD - 1) / WORD;
	return lt_wordmap_first(reading->owners, LT_HEAP_PARTS, address,
				words < INSIDE_WORDS ? (unsigned)words : INSIDE_WORDS, ret_type);
}
