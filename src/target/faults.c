#include "target/faults.h"

#include <stdlib.h>
#include <string.h>

struct faults {
	struct lt_memory memory;
	struct lt_memory *under;
	struct lt_fault fault;
	uint64_t seen;  /* reads so far */
	uint64_t count; /* of them that went wrong */
	uint64_t state; /* of the generator */
	lt_addr hole;   /* start of the page that is missing, NO_HOLE for none */
};

static const lt_addr PAGE = 4096;
static const lt_addr NO_HOLE = UINT64_MAX;

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(struct faults *faults)
{
	uint64_t z = faults->state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static bool is_due(const struct faults *faults)
{
	const struct lt_fault *fault = &faults->fault;
	if (fault->at == 0 || faults->seen < fault->at)
		return false;
	if (faults->seen == fault->at)
		return true;
	return fault->every != 0 && (faults->seen - fault->at) % fault->every == 0;
}

/* What a torn read shows: old words, words of something else, small counts that grew wild. */
static void tear(struct faults *faults, unsigned char *bytes, size_t size)
{
	size_t start = (size_t)(next_random(faults) % size);
	size_t length = 1 + (size_t)(next_random(faults) % (size - start));
	switch (next_random(faults) % 4) {
	case 0:
		memset(bytes + start, 0, length);
		break;
	case 1:
		memset(bytes + start, 0xff, length);
		break;
	case 2:
		/* Bytes that were plausible elsewhere: the words keep their values and lose their places. */
		memmove(bytes + start, bytes, size - start < length ? size - start : length);
		break;
	default:
		for (size_t i = 0; i < length; i++)
			bytes[start + i] = (unsigned char)next_random(faults);
		break;
	}
}

static size_t read_faults(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct faults *faults = (struct faults *)memory;
	faults->seen++;
	bool due = is_due(faults);
	if (due && faults->fault.kind == LT_FAULT_HOLE)
		faults->hole = (addr + next_random(faults) % size) & ~(PAGE - 1);
	if (faults->hole != NO_HOLE && faults->hole + PAGE > addr && faults->hole < addr + size) {
		size = faults->hole > addr ? (size_t)(faults->hole - addr) : 0;
		faults->count += !due;
	}
	if (!due)
		return lt_memory_probe(faults->under, addr, buffer, size);
	faults->count++;
	switch (faults->fault.kind) {
	case LT_FAULT_FAIL:
		return 0;
	case LT_FAULT_SHORT:
		return lt_memory_probe(faults->under, addr, buffer,
				       size > 0 ? (size_t)(next_random(faults) % size) : 0);
	case LT_FAULT_HOLE:
		return lt_memory_probe(faults->under, addr, buffer, size);
	case LT_FAULT_TEAR:
		break;
	}
	size_t got = lt_memory_probe(faults->under, addr, buffer, size);
	if (got > 0)
		tear(faults, buffer, got);
	return got;
}

static void close_faults(struct lt_memory *memory)
{
	struct faults *faults = (struct faults *)memory;
	lt_memory_close(faults->under);
	free(faults);
}

static const struct lt_memory_ops faults_ops = {read_faults, close_faults};

enum lt_status lt_faults_create(struct lt_session *session, struct lt_memory *under,
				const struct lt_fault *fault, struct lt_memory **ret_memory)
{
	struct faults *faults = calloc(1, sizeof(*faults));
	if (faults == NULL)
		return lt_fail_memory(session);
	faults->memory.ops = &faults_ops;
	faults->under = under;
	faults->fault = *fault;
	faults->state = fault->seed;
	faults->hole = NO_HOLE;
	*ret_memory = &faults->memory;
	return LT_OK;
}

uint64_t lt_faults_count(const struct lt_memory *memory)
{
	return ((const struct faults *)memory)->count;
}
