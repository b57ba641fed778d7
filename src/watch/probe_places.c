/* Where an interpreter is probed: found by its USDT notes, its symbols, and the table of the functions of gc. */
#include "base/cleanup.h"
#include "watch/probe_parts.h"

#include <string.h>

enum {
	NOTE_STAPSDT = 3, /* the type of a note that describes a USDT probe */
	SEGMENT_MAX = 64 << 20,
	METHODS_MAX = 64,
	NAME_MAX_BYTES = 24,
};

/* Only the table of the module gc has a function of this name. */
static const char telling_name[] = "get_freeze_count";

static const char *const method_names[LT_CALL_COUNT] = {
	[LT_CALL_COLLECT] = "collect",     [LT_CALL_ENABLE] = "enable",
	[LT_CALL_DISABLE] = "disable",     [LT_CALL_FREEZE] = "freeze",
	[LT_CALL_UNFREEZE] = "unfreeze",   [LT_CALL_SET_THRESHOLD] = "set_threshold",
	[LT_CALL_SET_DEBUG] = "set_debug",
};

/* Names that the collector's function has had: Python/gc.c, Modules/gcmodule.c (3.9: collect). */
static const char *const collector_names[] = {"gc_collect_main", "collect"};

static bool is_code(const struct lt_view *view, lt_addr address)
{
	const struct lt_mapping *mapping = lt_process_mapping(view->process, address);
	return mapping != NULL && mapping->executable && mapping->inode != 0;
}

/* provider\0name\0arguments\0 behind three addresses. */
static bool note_is(const char *bytes, size_t size, const char *name, uint64_t ret_words[3])
{
	char wanted[64];
	int length = snprintf(wanted, sizeof(wanted), "python%c%s", 0, name) + 1;
	if (size < 24 + (size_t)length || memcmp(bytes + 24, wanted, (size_t)length) != 0)
		return false;
	memcpy(ret_words, bytes, 24);
	return true;
}

static void find_notes(const struct lt_view *view, struct lt_probe_places *places)
{
	const struct lt_elf *elf = view->python->elf;
	const void *bytes;
	size_t size;
	lt_addr base = 0;
	uint64_t base_size, words[3];
	if (!lt_elf_section(elf, ".stapsdt.base", &base, &base_size))
		return;
	for (unsigned i = 0; lt_elf_note(elf, "stapsdt", NOTE_STAPSDT, i, &bytes, &size); i++) {
		bool begin = note_is(bytes, size, "gc__start", words);
		if (!begin && !note_is(bytes, size, "gc__done", words))
			continue;
		/* Addresses of the file as it was linked, moved as its base was. */
		lt_addr at = words[0] + (base - words[1]);
		lt_addr semaphore = words[2] == 0 ? 0 : words[2] + (base - words[1]);
		size_t *count = begin ? &places->begin_count : &places->end_count;
		if (*count >= LT_PROBE_NOTES || !is_code(view, at))
			continue;
		(begin ? places->begin : places->end)[(*count)++] = at;
		*(begin ? &places->begin_semaphore : &places->end_semaphore) = semaphore;
	}
}

/* Bytes of a mapping of the interpreter's file: of the file itself where nothing can have changed them. NULL: no memory. */
static char *read_mapping(const struct lt_view *view, const struct lt_mapping *mapping, size_t size)
{
	char *bytes = malloc(size);
	if (bytes == NULL)
		return NULL;
	if (!mapping->writable && lt_elf_read(view->python->elf, mapping->start, bytes, size))
		return bytes;
	size_t got = lt_memory_probe(view->memory, mapping->start, bytes, size);
	memset(bytes + got, 0, size - got);
	return bytes;
}

static bool is_of_interpreter(const struct lt_view *view, const struct lt_mapping *mapping)
{
	return mapping->readable && mapping->end - mapping->start <= SEGMENT_MAX &&
	       strcmp(mapping->path, lt_elf_path(view->python->elf)) == 0;
}

static enum lt_status find_name(const struct lt_view *view, lt_addr *ret_name)
{
	*ret_name = 0;
	const struct lt_mappings *mappings = &view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (!is_of_interpreter(view, mapping) || mapping->writable)
			continue;
		size_t size = (size_t)(mapping->end - mapping->start);
		LT_FREE char *bytes = read_mapping(view, mapping, size);
		if (bytes == NULL)
			return lt_fail_memory(view->session);
		const char *at = memmem(bytes, size, telling_name, sizeof(telling_name));
		if (at == NULL)
			continue;
		*ret_name = mapping->start + (lt_addr)(at - bytes);
		return LT_OK;
	}
	return LT_OK;
}

/* The entry of the table whose name lies at `name`. */
static enum lt_status find_entry(const struct lt_view *view, lt_addr name, lt_addr *ret_entry)
{
	*ret_entry = 0;
	const struct lt_mappings *mappings = &view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (!is_of_interpreter(view, mapping) || mapping->executable)
			continue;
		size_t size = (size_t)(mapping->end - mapping->start);
		LT_FREE char *bytes = read_mapping(view, mapping, size);
		if (bytes == NULL)
			return lt_fail_memory(view->session);
		for (size_t at = 0; at + 8 <= size; at += 8) {
			if (memcmp(bytes + at, &name, sizeof(name)) != 0)
				continue;
			*ret_entry =
				mapping->start + at - lt_off(view->layout, LT_PyMethodDef_ml_name);
			return LT_OK;
		}
	}
	return LT_OK;
}

/* The name and function of an entry. False: it is none, and the table ends there. */
static bool read_method(const struct lt_view *view, lt_addr entry, char name[NAME_MAX_BYTES],
			lt_addr *ret_function)
{
	lt_addr text = 0, function = 0;
	memset(name, 0, NAME_MAX_BYTES);
	if (lt_memory_probe(view->memory, entry + lt_off(view->layout, LT_PyMethodDef_ml_name),
			    &text, 8) != 8 ||
	    lt_memory_probe(view->memory, entry + lt_off(view->layout, LT_PyMethodDef_ml_meth),
			    &function, 8) != 8 ||
	    text == 0 || !is_code(view, function))
		return false;
	if (lt_memory_probe(view->memory, text, name, NAME_MAX_BYTES - 1) == 0)
		return false;
	*ret_function = function;
	return true;
}

static enum lt_status find_methods(const struct lt_view *view, struct lt_probe_places *places)
{
	const struct lt_layout *layout = view->layout;
	if (!lt_has(layout, LT_PyMethodDef_ml_name) || !lt_has(layout, LT_PyMethodDef_ml_meth) ||
	    !lt_has(layout, LT_sizeof_PyMethodDef))
		return LT_OK;
	lt_addr text, entry = 0;
	LT_TRY(find_name(view, &text));
	if (text != 0)
		LT_TRY(find_entry(view, text, &entry));
	uint64_t size = lt_off(layout, LT_sizeof_PyMethodDef);
	char name[NAME_MAX_BYTES];
	lt_addr function;
	if (entry == 0)
		return LT_OK;
	for (int i = 0; i < METHODS_MAX && read_method(view, entry - size, name, &function); i++)
		entry -= size;
	for (int i = 0; i < METHODS_MAX && read_method(view, entry, name, &function);
	     i++, entry += size)
		for (int call = 0; call < LT_CALL_COUNT; call++)
			if (method_names[call] != NULL && strcmp(name, method_names[call]) == 0)
				places->calls[call] = function;
	/* Functions that the linker made one cannot be told apart. */
	for (int a = 0; a < LT_CALL_COUNT; a++)
		for (int b = a + 1; b < LT_CALL_COUNT; b++)
			if (places->calls[a] != 0 && places->calls[a] == places->calls[b])
				places->calls[a] = places->calls[b] = 0;
	return LT_OK;
}

enum lt_status lt_probe_places_find(const struct lt_view *view, struct lt_probe_places *ret_places)
{
	*ret_places = (struct lt_probe_places){0};
	find_notes(view, ret_places);
	/* The incremental collector is three functions that may be parts of others. */
	bool one_function = lt_fact(view->layout, LT_FACT_gc_incremental) == 0;
	for (size_t i = 0; i < sizeof(collector_names) / sizeof(*collector_names) &&
			   ret_places->collector == 0 && one_function;
	     i++) {
		lt_addr at = lt_python_symbol(view->python, collector_names[i]);
		if (at != 0 && is_code(view, at))
			ret_places->collector = at;
	}
	LT_TRY(find_methods(view, ret_places));
	lt_addr collect = lt_python_symbol(view->python, "PyGC_Collect");
	if (collect != 0 && is_code(view, collect))
		ret_places->calls[LT_CALL_C_COLLECT] = collect;
	return lt_elf_check(view->session, view->python->elf);
}
