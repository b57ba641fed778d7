#include "analysis/findings.h"

#include "base/number.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { EVIDENCE_MAX = 24 };

struct lt_finding *lt_finding_begin(struct lt_findings *findings, const char *id,
				    enum lt_severity severity, double weight)
{
	struct lt_finding finding = {
		.id = id,
		.severity = severity,
		.weight = weight,
		.title = "",
		.expression = "",
		.where = "",
		.explanation = "",
		.fix = "",
		.evidence = lt_arena_alloc(findings->strings,
					   EVIDENCE_MAX * sizeof(struct lt_evidence)),
	};
	if (finding.evidence == NULL || !lt_finding_list_push(&findings->list, finding)) {
		findings->failed = true;
		return NULL;
	}
	return &findings->list.data[findings->list.count - 1];
}

const char *lt_finding_format(struct lt_findings *findings, const char *format, ...)
{
	char buffer[4096];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(buffer, sizeof(buffer), format, arguments);
	va_end(arguments);
	if (length < 0)
		length = 0;
	if ((size_t)length >= sizeof(buffer))
		length = (int)sizeof(buffer) - 1;
	const char *copy = lt_arena_copy(findings->strings, buffer, (size_t)length);
	if (copy == NULL)
		findings->failed = true;
	return copy != NULL ? copy : "";
}

static struct lt_evidence *next_evidence(struct lt_finding *finding, const char *name)
{
	if (finding == NULL || finding->evidence_count >= EVIDENCE_MAX)
		return NULL;
	struct lt_evidence *evidence = &finding->evidence[finding->evidence_count++];
	evidence->name = name;
	return evidence;
}

void lt_finding_int(struct lt_findings *findings, struct lt_finding *finding, const char *name,
		    uint64_t value)
{
	(void)findings;
	struct lt_evidence *evidence = next_evidence(finding, name);
	if (evidence == NULL)
		return;
	evidence->kind = LT_EVIDENCE_INT;
	evidence->integer = value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

void lt_finding_real(struct lt_findings *findings, struct lt_finding *finding, const char *name,
		     double value)
{
	(void)findings;
	struct lt_evidence *evidence = next_evidence(finding, name);
	if (evidence == NULL)
		return;
	evidence->kind = LT_EVIDENCE_REAL;
	evidence->real = value;
}

void lt_finding_string(struct lt_findings *findings, struct lt_finding *finding, const char *name,
		       const char *value)
{
	struct lt_evidence *evidence = next_evidence(finding, name);
	if (evidence == NULL)
		return;
	evidence->kind = LT_EVIDENCE_TEXT;
	evidence->text = lt_finding_format(findings, "%s", value);
}

void lt_finding_bool(struct lt_findings *findings, struct lt_finding *finding, const char *name,
		     bool value)
{
	(void)findings;
	struct lt_evidence *evidence = next_evidence(finding, name);
	if (evidence == NULL)
		return;
	evidence->kind = LT_EVIDENCE_BOOL;
	evidence->boolean = value;
}

void lt_finding_point(struct lt_findings *findings, struct lt_finding *finding, uint32_t node)
{
	if (finding == NULL)
		return;
	LT_CLEANUP(lt_text_deinit) struct lt_text expression = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
	lt_expression_write(findings->expressions, node, &expression, &where);
	finding->expression = lt_finding_format(findings, "%s", lt_text_get(&expression));
	finding->where = lt_finding_format(findings, "%s", lt_text_get(&where));
}

double lt_findings_share(const struct lt_findings *findings, uint64_t bytes)
{
	uint64_t heap = findings->picture->graph.total_bytes;
	return heap == 0 ? 0 : (double)bytes / (double)heap;
}

const char *lt_findings_bytes(struct lt_findings *findings, uint64_t bytes)
{
	char text[LT_NUMBER_MAX];
	return lt_finding_format(findings, "%s", lt_number_bytes(bytes, text));
}

const char *lt_findings_count(struct lt_findings *findings, uint64_t count)
{
	char text[LT_NUMBER_MAX];
	return lt_finding_format(findings, "%s", lt_number_count(count, text));
}

enum lt_severity lt_findings_grade(const struct lt_findings *findings, uint64_t bytes)
{
	double share = lt_findings_share(findings, bytes);
	if (share >= 0.1 && bytes >= 8u << 20)
		return LT_HIGH;
	if (share >= 0.01 && bytes >= 1u << 20)
		return LT_MEDIUM;
	return LT_LOW;
}
