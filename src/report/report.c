#include "report/report.h"

#include "report/export_html.h"
#include "report/json.h"
#include "report/print.h"

void lt_report_types(const struct lt_report *report, const struct lt_composition *composition,
		     uint64_t top, struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_types(composition, top), out);
	else
		lt_print_types(report, composition, top, out);
}

void lt_report_ps(const struct lt_report *report, const struct lt_ps *ps, struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_ps(ps), out);
	else
		lt_print_ps(report, ps, out);
}

void lt_report_doctor(const struct lt_report *report, const struct lt_doctor *doctor,
		      struct lt_text *out)
{
	if (report->format == LT_FORMAT_HTML)
		lt_html_doctor(report, doctor, out);
	else if (report->json)
		lt_json_write(report, "result", lt_json_doctor(doctor), out);
	else
		lt_print_doctor(report, doctor, out);
}

void lt_report_leaks(const struct lt_report *report, const struct lt_leaks *leaks,
		     struct lt_text *out)
{
	if (report->format == LT_FORMAT_HTML)
		lt_html_leaks(report, leaks, out);
	else if (report->json)
		lt_json_write(report, "result", lt_json_leaks(leaks), out);
	else
		lt_print_leaks(report, leaks, out);
}

void lt_report_gc_compare(const struct lt_report *report, const struct lt_gc_comparison *comparison,
			  struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_gc_compare(comparison), out);
	else
		lt_print_gc_compare(report, comparison, out);
}

void lt_report_gc(const struct lt_report *report, const struct lt_gc_result *result,
		  struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_gc(result), out);
	else
		lt_print_gc(report, result, out);
}

void lt_report_retained(const struct lt_report *report, const struct lt_retained *retained,
			struct lt_text *out)
{
	if (report->format == LT_FORMAT_HTML)
		lt_html_write(report, json_object(), retained, out);
	else if (report->json)
		lt_json_write(report, "result", lt_json_retained(retained), out);
	else
		lt_print_retained(report, retained, out);
}

void lt_report_query(const struct lt_report *report, const struct lt_query_result *result,
		     struct lt_text *out)
{
	if (report->format == LT_FORMAT_CSV)
		lt_csv_query(result, out);
	else if (report->json)
		lt_json_write(report, "result", lt_json_query(result), out);
	else
		lt_print_query(report, result, out);
}

void lt_report_paths(const struct lt_report *report, const struct lt_paths *paths,
		     struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_paths(paths), out);
	else
		lt_print_paths(report, paths, out);
}

void lt_report_inspection(const struct lt_report *report, const struct lt_inspection *inspection,
			  struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_inspection(inspection), out);
	else
		lt_print_inspection(report, inspection, out);
}

void lt_report_rss(const struct lt_report *report, const struct lt_rss *rss, uint64_t top,
		   struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_rss(rss), out);
	else
		lt_print_rss(report, rss, top, out);
}

void lt_report_allocators(const struct lt_report *report, const struct lt_allocators *allocators,
			  struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_allocators(allocators), out);
	else
		lt_print_allocators(report, allocators, out);
}

void lt_report_fragmentation(const struct lt_report *report,
			     const struct lt_fragmentation *fragmentation, struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_fragmentation(fragmentation), out);
	else
		lt_print_fragmentation(report, fragmentation, out);
}

void lt_report_trim(const struct lt_report *report, const struct lt_trim *trim, struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_trim(trim), out);
	else
		lt_print_trim(report, trim, out);
}

void lt_report_trim_round(const struct lt_report *report, const struct lt_trim_round *round,
			  struct lt_text *out)
{
	lt_print_trim_round(report, round, out);
}

void lt_report_snapshot(const struct lt_report *report, const struct lt_tide_written *written,
			struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_snapshot(written), out);
	else
		lt_print_snapshot(report, written, out);
}

void lt_report_diff(const struct lt_report *report, const struct lt_diff *diff, uint64_t top,
		    struct lt_text *out)
{
	if (report->json)
		lt_json_write(report, "result", lt_json_diff(diff), out);
	else
		lt_print_diff(report, diff, top, out);
}
