/*
 * lt_faults: examines a frozen process again and again, each time with other reads that go wrong.
 *
 *     lt_faults PID FIRST LAST STEP
 *
 * The n-th read fails, comes short or is torn, for n from FIRST to LAST by STEP, and once each with every n-th
 * read wrong. Prints how many examinations ended with a result, and how many with a failure that has a sentence.
 */
#include "analysis/doctor.h"
#include "analysis/subject.h"
#include "analysis/expression.h"
#include "target/faults.h"

#include <stdio.h>
#include <stdlib.h>

/* The frozen memory, not owned by what stands on it. */
struct borrowed {
	struct lt_memory memory;
	struct lt_memory *under;
};

static size_t borrowed_read(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	return lt_memory_probe(((struct borrowed *)memory)->under, addr, buffer, size);
}

static void borrowed_close(struct lt_memory *memory)
{
	free(memory);
}

static const struct lt_memory_ops borrowed_ops = {borrowed_read, borrowed_close};

/* 0: a result, 1: a failure that is told, -1: neither. */
static int examine(struct lt_look *look, const struct lt_fault *fault)
{
	struct lt_memory *frozen = look->view->memory, *faulty = NULL;
	struct borrowed *borrowed = calloc(1, sizeof(*borrowed));
	if (borrowed == NULL)
		return -1;
	borrowed->memory.ops = &borrowed_ops;
	borrowed->under = frozen;
	if (lt_faults_create(look->session, &borrowed->memory, fault, &faulty) != LT_OK) {
		free(borrowed);
		return -1;
	}
	look->view->memory = faulty;
	struct lt_doctor doctor = {0};
	struct lt_subject *subject = NULL;
	enum lt_status status = lt_subject_of_look(look, &subject);
	if (status == LT_OK)
		status = lt_doctor_examine(subject, NULL, &doctor);
	int result = status == LT_OK ? 0 : 1;
	if (status == LT_E_INTERNAL || (status != LT_OK && look->session->message[0] == '\0'))
		result = -1;
	if (result < 0)
		fprintf(stderr, "kind %d at %llu every %llu: %s %s\n", (int)fault->kind,
			(unsigned long long)fault->at, (unsigned long long)fault->every,
			lt_status_name(status), look->session->message);
	lt_doctor_deinit(&doctor);
	/* The look is the caller's. */
	if (subject != NULL) {
		subject->look = NULL;
		subject->identity = (struct lt_identity){0};
	}
	lt_subject_close(subject);
	lt_memory_close(faulty);
	look->view->memory = frozen;
	lt_session_clear(look->session);
	return result;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_look *look = NULL;
	const struct lt_look_options options = {.mode = LT_MODE_FORK};
	if (lt_look_open(&session, atoi(argv[1]), &options, &look) != LT_OK) {
		fprintf(stderr, "lt_faults: %s\n", session.message);
		return 1;
	}
	unsigned long count[2] = {0};
	int code = 0;
	for (uint64_t n = strtoull(argv[2], NULL, 10); n <= strtoull(argv[3], NULL, 10);
	     n += strtoull(argv[4], NULL, 10)) {
		for (int k = 0; k < 6; k++) {
			const struct lt_fault fault = {.kind = (enum lt_fault_kind)(k % 3),
						       .at = n,
						       .every = k < 3 ? 0 : n,
						       .seed = n};
			int result = examine(look, &fault);
			if (result < 0)
				code = 1;
			else
				count[result]++;
		}
	}
	printf("{\"results\": %lu, \"failures\": %lu}\n", count[0], count[1]);
	lt_look_close(look);
	lt_session_deinit(&session);
	return code;
}
