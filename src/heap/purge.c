#include "heap/purge.h"

#include "base/cleanup.h"
#include "layout/jemalloc.h"
#include "target/elf.h"

#include <stdio.h>
#include <string.h>

enum {
	/* Bytes from the thread pointer on in which glibc keeps what a thread has at its first keys: struct pthread. */
	KEYS_WITHIN = 1792,
	BELOW_MOST = 512 << 10,
};

static enum lt_status refuse(const struct lt_view *view, const struct lt_foreign *foreign,
			     const char *why)
{
	if (!lt_process_alive(view->process))
		return lt_fail(view->session, LT_E_GONE, "process %d ended",
			       (int)view->process->pid);
	lt_fail(view->session, LT_E_NOT_PYTHON,
		"process %d uses %s in place of glibc's malloc, which gives memory back by "
		"itself, while it is used%s%s",
		(int)view->process->pid, foreign->name, why[0] != '\0' ? "; " : "", why);
	if (foreign->setting[0] != '\0')
		lt_remedy(view->session, "start it with %s and it does so sooner",
			  foreign->setting);
	else
		lt_remedy(view->session, "it has no setting for that; 'lowtide rss' names what "
					 "Python's own allocator keeps");
	return LT_E_NOT_PYTHON;
}

/* The library, not the program: what of that is the allocator nobody can tell. */
static const char *library(const struct lt_view *view, const char *name)
{
	char part[32];
	snprintf(part, sizeof(part), "/lib%s", name);
	for (size_t i = 0; i < view->process->mappings.count; i++) {
		const struct lt_mapping *mapping = &view->process->mappings.data[i];
		if (mapping->executable && strstr(mapping->path, part) != NULL)
			return mapping->path;
	}
	return NULL;
}

static bool find_code(const struct lt_view *view, struct lt_purge *purge)
{
	const struct lt_mapping *mapping = lt_process_mapping(view->process, purge->function);
	if (purge->function == 0 || mapping == NULL || !mapping->executable)
		return false;
	purge->code_start = mapping->start;
	purge->code_end = mapping->end;
	return true;
}

/* Where the state is in the data that threads begin with. */
static bool find_state(struct lt_purge *purge)
{
	unsigned found = 0;
	for (size_t at = 0; at + 8 <= purge->data_size; at += 8) {
		uint64_t word;
		memcpy(&word, purge->data + at, sizeof(word));
		if (word == LT_JE_THREAD_UNINITIALIZED) {
			purge->state_at = at;
			found++;
		}
	}
	return found == 1;
}

static bool find_jemalloc(const struct lt_view *view, const struct lt_elf *elf,
			  struct lt_purge *purge)
{
	lt_addr slot = 0;
	uint64_t distance = 0;
	purge->name = "mallctl";
	purge->function = lt_elf_symbol(elf, purge->name, NULL);
	if (!find_code(view, purge) ||
	    !lt_elf_thread_data(elf, lt_arch_thread_relocation, purge->data, sizeof(purge->data),
				&purge->data_size, &slot) ||
	    !find_state(purge) || !lt_memory_u64(view->memory, slot, &distance))
		return false;
	purge->data_at = (int64_t)distance;
	purge->data[purge->state_at] = LT_JE_THREAD_PURGATORY;
	snprintf(purge->text, sizeof(purge->text), "arena.4096.purge"); /* MALLCTL_ARENAS_ALL */
	return purge->data_at < 0 && purge->data_at > -BELOW_MOST &&
	       purge->data_size <= (uint64_t)-purge->data_at;
}

enum lt_status lt_purge_find(const struct lt_view *view, const struct lt_foreign *foreign,
			     struct lt_purge *ret_purge)
{
	struct lt_purge purge = {.path = library(view, foreign->name)};
	struct lt_elf *elf = NULL;
	if (strcmp(foreign->name, "jemalloc") != 0)
		return refuse(view, foreign,
			      strcmp(foreign->name, "mimalloc") == 0
				      ? "its purge is each thread's own: called from outside it "
					"gives next to nothing back"
				      : "");
	if (purge.path == NULL)
		return refuse(view, foreign,
			      "it is linked into the program, where it cannot be called");
	if (strcmp(foreign->release, LT_JE_RELEASE) != 0)
		return refuse(view, foreign, "only release " LT_JE_RELEASE " can be called");
	/* Whether its tree is found, which may fail while it changes, is a matter of the prediction only. */
	LT_TRY(lt_elf_open(view->session, view->process, purge.path, &elf));
	bool found = find_jemalloc(view, elf, &purge);
	enum lt_status status = lt_elf_check(view->session, elf);
	lt_elf_close(elf);
	if (status != LT_OK)
		return status;
	if (!found)
		return refuse(view, foreign, "it is built in a way that is not known");
	snprintf(purge.allocator, sizeof(purge.allocator), "%s %s", foreign->name,
		 foreign->release);
	*ret_purge = purge;
	return LT_OK;
}

/* A thread that has used the allocator has noted where its data are, for the time of its end. */
bool lt_purge_knows(const struct lt_purge *purge, struct lt_memory *memory, lt_addr thread_pointer)
{
	uint64_t words[KEYS_WITHIN / sizeof(uint64_t)];
	uint8_t state = 0;
	lt_addr data = thread_pointer + (uint64_t)purge->data_at;
	if (!lt_memory_u8(memory, data + purge->state_at, &state) ||
	    state > LT_JE_THREAD_UNINITIALIZED)
		return false;
	if (state > LT_JE_THREAD_NOMINAL_LAST)
		return true;
	if (lt_memory_probe(memory, thread_pointer, words, sizeof(words)) != sizeof(words))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (words[i] == data)
			return true;
	return false;
}

void lt_purge_call(const struct lt_purge *purge, struct lt_side_call *call)
{
	call->function = purge->function;
	memcpy(call->text, purge->text, sizeof(call->text));
	call->data_at = purge->data_at;
	call->data_size = purge->data_size;
	memcpy(call->data, purge->data, purge->data_size);
}
