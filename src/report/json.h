/*
 * json.h: the envelope and the results as JSON. docs/json.md describes every member.
 *
 * Each lt_json_* function returns a new reference, NULL when memory runs out. What is built need not look whether a member or an
 * element was added: memory that ran out meanwhile is noted (base/shortage.h).
 */
#ifndef LT_REPORT_JSON_H
#define LT_REPORT_JSON_H

#include "report/report.h"

#include <jansson.h>

/* Before the first use: allocations of the library that fail are noted from then on. */
void lt_json_init(void);
/* Adds JSON in ASCII, as the flags of json_dumps() say. out->failed: it is NULL, or there was no memory. */
void lt_json_dump(const json_t *json, size_t flags, struct lt_text *out);

/* A string of unknown origin; broken UTF-8 becomes \xNN escapes. */
json_t *lt_json_string(const char *string);
/* The same, null when it is NULL or empty: what is not known. */
json_t *lt_json_known(const char *string);
/* JSON integers are signed; a larger count becomes the largest. */
json_t *lt_json_count(uint64_t count);

json_t *lt_json_types(const struct lt_composition *composition, uint64_t top);
json_t *lt_json_ps(const struct lt_ps *ps);
json_t *lt_json_doctor(const struct lt_doctor *doctor);
json_t *lt_json_leaks(const struct lt_leaks *leaks);

struct lt_gc_what_if;
/* The settings that were asked for, as a list; and what the model is, its curve and its advice. */
json_t *lt_json_gc_what_if(const struct lt_gc_what_if *answer);
json_t *lt_json_gc_model(const struct lt_gc_what_if *answer);
json_t *lt_json_gc(const struct lt_gc_result *result);
json_t *lt_json_gc_compare(const struct lt_gc_comparison *comparison);

json_t *lt_json_finding(const struct lt_finding *finding);
/* The evidence of a finding as an object. */
json_t *lt_json_evidence(const struct lt_finding *finding);
json_t *lt_json_query(const struct lt_query_result *result);
json_t *lt_json_diff(const struct lt_diff *diff);
json_t *lt_json_inspection(const struct lt_inspection *inspection);
json_t *lt_json_paths(const struct lt_paths *paths);
json_t *lt_json_retained(const struct lt_retained *retained);

struct lt_fragmentation;
json_t *lt_json_fragmentation(const struct lt_fragmentation *fragmentation);

struct lt_rss;
json_t *lt_json_rss(const struct lt_rss *rss);

struct lt_trim;
json_t *lt_json_trim(const struct lt_trim *trim);

struct lt_allocators;
json_t *lt_json_allocators(const struct lt_allocators *allocators);

json_t *lt_json_snapshot(const struct lt_tide_written *written);

/* An address as "0x7f...", null for 0. */
json_t *lt_json_address(lt_addr address);

/* Writes the envelope with `content` under `name` ("result" or "error"); takes over the reference. */
void lt_json_write(const struct lt_report *report, const char *name, json_t *content,
		   struct lt_text *out);

#endif
