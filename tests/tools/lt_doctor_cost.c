/*
 * lt_doctor_cost: how long `doctor` takes on a process, and how much of that its findings on resident memory are, for
 * tests/bench.
 *
 *     lt_doctor_cost PID
 *
 * One line of JSON: seconds of the whole look, those of the findings on memory (the last step), and how many findings.
 */
#include "analysis/doctor.h"
#include "analysis/subject.h"
#include "target/proc.h"

#include <stdio.h>
#include <string.h>

/* When the step began that looks at resident memory; 0: it did not. */
static void note_step(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	uint64_t *began = ctx;
	(void)done;
	(void)total;
	if (*began == 0 && strcmp(what, "resident memory") == 0)
		*began = lt_now_ns();
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	struct lt_session session;
	lt_session_init(&session);
	uint64_t start = lt_now_ns(), memory = 0, end = 0;
	session.progress = note_step;
	session.progress_ctx = &memory;
	struct lt_subject *subject = NULL;
	struct lt_doctor doctor = {0};
	const struct lt_look_options options = {.mode = LT_MODE_FORK};
	enum lt_status status = lt_subject_open(&session, argv[1], &options, &subject);
	if (status == LT_OK)
		status = lt_doctor_examine(subject, NULL, &doctor);
	end = lt_now_ns();
	lt_subject_close(subject);
	if (status == LT_OK && memory == 0)
		status = lt_fail(&session, LT_E_INTERNAL, "it did not look at resident memory");
	if (status == LT_OK)
		printf("{\"seconds\": %.6f, \"memory_seconds\": %.6f, \"findings\": %zu}\n",
		       (double)(end - start) / 1e9, (double)(end - memory) / 1e9,
		       doctor.finding_count);
	else
		fprintf(stderr, "%s: %s\n", lt_status_name(status), session.message);
	lt_doctor_deinit(&doctor);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
