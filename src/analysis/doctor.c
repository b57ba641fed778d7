#include "analysis/doctor.h"

#include "analysis/findings.h"
#include "analysis/gc_findings.h"
#include "analysis/memory_state.h"
#include "analysis/subject.h"
#include "base/cleanup.h"

#include <string.h>

enum { ROWS_DEFAULT = 10, CONTAINERS_EXAMINED = 32 };

static const char *const severity_names[] = {
	[LT_INFO] = "info", [LT_LOW] = "low",           [LT_MEDIUM] = "medium",
	[LT_HIGH] = "high", [LT_CRITICAL] = "critical",
};

const char *lt_severity_name(enum lt_severity severity)
{
	return severity_names[severity];
}

bool lt_severity_parse(const char *name, enum lt_severity *ret_severity)
{
	for (size_t i = 0; i < sizeof(severity_names) / sizeof(severity_names[0]); i++) {
		if (strcmp(name, severity_names[i]) == 0) {
			*ret_severity = (enum lt_severity)i;
			return true;
		}
	}
	return false;
}

static int by_severity(const void *left, const void *right)
{
	const struct lt_finding *a = left, *b = right;
	if (a->severity != b->severity)
		return a->severity < b->severity ? 1 : -1;
	if (a->weight < b->weight || a->weight > b->weight)
		return a->weight < b->weight ? 1 : -1;
	int order = strcmp(a->id, b->id);
	return order != 0 ? order : strcmp(a->expression, b->expression);
}

static enum lt_status copy_identity(struct lt_session *session, const struct lt_identity *from,
				    struct lt_identity *to)
{
	*to = *from;
	to->command_line = strdup(from->command_line);
	to->executable = strdup(from->executable);
	return to->command_line != NULL && to->executable != NULL ? LT_OK : lt_fail_memory(session);
}

static enum lt_status take_kinds(struct lt_session *session, const struct lt_picture *picture,
				 size_t limit, struct lt_doctor *doctor)
{
	LT_CLEANUP(lt_type_totals_deinit) struct lt_type_totals totals = {0};
	LT_CLEANUP(lt_composition_deinit) struct lt_composition composition = {0};
	LT_TRY(lt_picture_totals(picture, &totals));
	LT_TRY(lt_composition_of(session, totals.data, totals.count, NULL, &composition));
	doctor->object_count = composition.count;
	doctor->object_bytes = composition.bytes;
	size_t count = composition.row_count < limit ? composition.row_count : limit;
	doctor->kinds = calloc(count + 1, sizeof(*doctor->kinds));
	if (doctor->kinds == NULL)
		return lt_fail_memory(session);
	for (size_t i = 0; i < count; i++) {
		struct lt_composition_row row = composition.rows[i];
		row.type = lt_arena_copy(&doctor->strings, row.type, strlen(row.type));
		row.module = lt_arena_copy(&doctor->strings, row.module, strlen(row.module));
		if (row.type == NULL || row.module == NULL)
			return lt_fail_memory(session);
		doctor->kinds[doctor->kind_count++] = row;
	}
	return LT_OK;
}

static enum lt_status copy_collectors(const struct lt_subject *subject, struct lt_doctor *doctor)
{
	size_t count = subject->collector_count;
	doctor->collectors = calloc(count + 1, sizeof(*doctor->collectors));
	if (doctor->collectors == NULL)
		return lt_fail_memory(subject->session);
	for (size_t i = 0; i < count; i++)
		doctor->collectors[i] = subject->collectors[i];
	doctor->collector_count = count;
	return LT_OK;
}

/* Resident memory is that of a process: a snapshot file has none. */
static enum lt_status examine_memory(struct lt_subject *subject,
				     const struct lt_memory_before *before,
				     struct lt_findings *findings)
{
	LT_CLEANUP(lt_memory_state_deinit) struct lt_memory_state state = {0};
	if (subject->look == NULL)
		return LT_OK;
	lt_progress(subject->session, "resident memory", 0, 0);
	LT_TRY(lt_memory_state_read(subject, &state));
	return lt_findings_memory(findings, &state, before);
}

static enum lt_status examine(struct lt_subject *subject, const struct lt_doctor_options *options,
			      struct lt_doctor *doctor)
{
	struct lt_session *session = subject->session;
	const struct lt_picture *picture = &subject->picture;
	size_t kinds = options != NULL && options->kinds > 0 ? options->kinds : ROWS_DEFAULT;
	size_t containers =
		options != NULL && options->containers > 0 ? options->containers : ROWS_DEFAULT;
	LT_TRY(copy_identity(session, &subject->identity, &doctor->identity));
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	LT_TRY(copy_collectors(subject, doctor));
	LT_TRY(take_kinds(session, picture, kinds, doctor));
	doctor->tracked = picture->graph.tracked;
	doctor->garbage_count = picture->garbage_count;
	doctor->garbage_bytes = picture->garbage_bytes;
	doctor->collectable_count = picture->collectable_count;
	doctor->collectable_bytes = picture->collectable_bytes;
	doctor->conservative_refs = picture->graph.conservative_refs;
	doctor->proved = picture->graph.proved;

	struct lt_findings findings = {
		.session = session,
		.picture = picture,
		.doctor = doctor,
		.strings = &doctor->strings,
	};
	LT_TRY(lt_expressions_create(picture, &findings.expressions));
	size_t examined = containers > CONTAINERS_EXAMINED ? containers : CONTAINERS_EXAMINED;
	enum lt_status status =
		lt_containers_find(picture, findings.expressions, examined, &doctor->strings,
				   &doctor->containers, &doctor->container_count);
	if (status == LT_OK)
		status = lt_findings_collector(&findings);
	if (status == LT_OK && options != NULL && options->watched != NULL)
		status = lt_findings_gc(&findings, &options->watched->recording,
					&options->watched->summary, options->watched->budget_ms);
	if (status == LT_OK)
		status = lt_findings_caches(&findings);
	if (status == LT_OK)
		status = lt_findings_objects(&findings);
	if (status == LT_OK)
		status = lt_findings_native(&findings);
	if (status == LT_OK)
		status = lt_findings_containers(&findings);
	if (status == LT_OK)
		status = examine_memory(subject, options != NULL ? options->before : NULL,
					&findings);
	lt_expressions_destroy(findings.expressions);
	if (doctor->container_count > containers)
		doctor->container_count = containers;
	if (findings.list.count > 0)
		qsort(findings.list.data, findings.list.count, sizeof(*findings.list.data),
		      by_severity);
	doctor->findings = findings.list.data;
	doctor->finding_count = findings.list.count;
	if (status == LT_OK && options != NULL && options->tree) {
		const struct lt_retained_options tree = LT_RETAINED_FINE;
		status = lt_retained_take(subject, &tree, &doctor->tree);
	}
	return status;
}

enum lt_status lt_doctor_examine(struct lt_subject *subject,
				 const struct lt_doctor_options *options,
				 struct lt_doctor *ret_doctor)
{
	LT_CLEANUP(lt_doctor_deinit) struct lt_doctor doctor = {0};
	LT_TRY(lt_subject_status(subject, examine(subject, options, &doctor)));
	*ret_doctor = doctor;
	doctor = (struct lt_doctor){0};
	return LT_OK;
}

void lt_doctor_deinit(struct lt_doctor *doctor)
{
	lt_identity_deinit(&doctor->identity);
	free(doctor->collectors);
	free(doctor->kinds);
	free(doctor->containers);
	free(doctor->findings);
	lt_retained_deinit(&doctor->tree);
	lt_arena_deinit(&doctor->strings);
	*doctor = (struct lt_doctor){0};
}

bool lt_doctor_has(const struct lt_doctor *doctor, enum lt_severity level)
{
	for (size_t i = 0; i < doctor->finding_count; i++) {
		if (doctor->findings[i].severity >= level)
			return true;
	}
	return false;
}
