/*
 * report_samples: prints the reports of made-up results, for the golden tests of tests/cli.
 *
 *     report_samples doctor|doctor-empty|types|ps|ps-empty|error|fragmentation[-limits|-svg] [json] [ascii] [color] [quiet] [verbose] [WIDTH]
 *
 * The results hold what a hostile target may put into its strings.
 */
#include "report_samples.h"

#include "report/report.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct lt_composition_row rows[] = {
	{"dict", "builtins", 1203344, 268435456, 0},
	{"Quote", "shop.pricing", 180233, 18743232, 0},
	{"\x1b[31mRed\x1b[0m\a", "evil\r\nmodule", 3, 4096, 0},
	{"Caf\u00e9\u202e\u5546\u54c1", "na\u00efve", 2, 640, 0},
	{"broken\xff\xc3(", "", 1, 1, 0},
};

static struct lt_collector collectors[] = {
	{.interpreter = 0,
	 .enabled = false,
	 .generations = {{700, 1201, 10, 2048, 0}, {10, 4, 7, 12, 0}, {10, 7, 3, 1000000, 2}},
	 .tracked = 1386000,
	 .frozen = 52011,
	 .garbage = 2,
	 .callbacks = 1,
	 .long_lived_total = 1000000,
	 .long_lived_pending = 20000},
};

static struct lt_container containers[] = {
	{"lru_cache", "functools", "sys.modules['shop.pricing'].quote", "shop/pricing.py:41",
	 180233, 10485760, 222718976, 0.3094, 0x7f0000001000},
	{"dict", "builtins", "sys.modules['shop.cart'].Cart.instances", "shop.cart", 2048, 73816,
	 8912896, 0.0124, 0x7f0000002000},
	{"list", "builtins", "", "", 12, 184, 2048, 0.0000031, 0x7f0000003000},
	{"dict", "builtins", "sys.modules['x']['\x1b]0;owned\a\u202e']", "", 1, 232, 1024, 0.000001,
	 0x7f0000004000},
};

static struct lt_evidence cache_evidence[] = {
	{.name = "held_bytes", .kind = LT_EVIDENCE_INT, .integer = 222718976},
	{.name = "share", .kind = LT_EVIDENCE_REAL, .real = 0.3094},
	{.name = "entries", .kind = LT_EVIDENCE_INT, .integer = 180233},
	{.name = "maxsize", .kind = LT_EVIDENCE_TEXT, .text = "None"},
};
static struct lt_evidence off_evidence[] = {
	{.name = "enabled", .kind = LT_EVIDENCE_BOOL, .boolean = false},
	{.name = "count", .kind = LT_EVIDENCE_INT, .integer = -3},
	{.name = "ratio", .kind = LT_EVIDENCE_REAL, .real = 1.71571},
};

static struct lt_finding findings[] = {
	{.id = "lru-cache-unbounded",
	 .severity = LT_CRITICAL,
	 .title = "An lru_cache without a bound holds 212.4 MiB, 30.9 % of the heap",
	 .expression = "sys.modules['shop.pricing'].quote",
	 .where = "shop/pricing.py:41",
	 .evidence = cache_evidence,
	 .evidence_count = COUNT(cache_evidence),
	 .explanation = "The cache keeps every result for good: it has maxsize=None and 180,233 "
			"entries. Each entry "
			"holds its arguments and its result.",
	 .fix = "Give it a bound: @lru_cache(maxsize=4096), or clear it with quote.cache_clear()."},
	{.id = "collector-disabled",
	 .severity = LT_HIGH,
	 .title = "Automatic collection is off",
	 .expression = "",
	 .where = "",
	 .evidence = off_evidence,
	 .evidence_count = COUNT(off_evidence),
	 .explanation = "Garbage in cycles stays until somebody calls gc.collect().",
	 .fix = "Call gc.enable()."},
	{.id = "big-container",
	 .severity = LT_INFO,
	 .title = "hostile \x1b[2J\u202etitle\u200b",
	 .expression = "sys.modules['\x9b']",
	 .where = "/tmp/a\nb.py:1",
	 .explanation = "",
	 .fix = ""},
};

static struct lt_ps_row processes[] = {
	{.pid = 4242,
	 .python = "3.13.15",
	 .command_line = "python3 -m shop --workers 4",
	 .rss_bytes = 851968000,
	 .uptime_ms = 7980000,
	 .thread_count = 17,
	 .interpreters = 1,
	 .main = {.enabled = true,
		  .generations = {{2000, 1, 900, 0, 0}, {10, 2, 90, 0, 0}, {10, 0, 12, 0, 0}}},
	 .problem = ""},
	{.pid = 77,
	 .python = "",
	 .command_line = "python3.14t \x1b[1mbold and a long command line that does not fit on a "
			 "narrow terminal at all",
	 .rss_bytes = 1023,
	 .uptime_ms = 59999,
	 .thread_count = 1,
	 .problem = "free-threaded"},
};
static struct lt_ps_skipped skipped[] = {
	{LT_E_PERMISSION, "not permitted: Operation not permitted", 3}};

static struct lt_identity identity = {
	.pid = 4242,
	.python = "3.13.15",
	.command_line =
		(char *)"python3 -m shop --workers 4 --name \x1b[31mred\x1b[0m "
			"--a-long-argument=that-goes-on-and-on-past-the-width-of-a-terminal",
	.executable = (char *)"/usr/bin/python3.13",
	.uptime_ms = 7980000,
	.rss_bytes = 851968000,
	.thread_count = 17,
	.mode = LT_MODE_FORK,
};

static void take_option(struct lt_report *report, const char *option)
{
	if (strcmp(option, "json") == 0)
		report->json = true;
	else if (strcmp(option, "ascii") == 0)
		report->style.utf8 = false;
	else if (strcmp(option, "color") == 0)
		report->style.color = true;
	else if (strcmp(option, "quiet") == 0)
		report->style.verbosity = -1;
	else if (strcmp(option, "verbose") == 0)
		report->style.verbosity = 1;
	else
		report->style.width = (unsigned)atoi(option);
}

static void print(struct lt_report *report, const char *what, struct lt_text *out)
{
	struct lt_composition composition = {.rows = rows,
					     .row_count = COUNT(rows),
					     .count = 1383583,
					     .bytes = 287183425,
					     .tracked = 1383583,
					     .permanent = 52011,
					     .proved = true};
	struct lt_ps ps = {.rows = processes,
			   .row_count = COUNT(processes),
			   .skipped = skipped,
			   .skipped_count = COUNT(skipped),
			   .others = 120};
	struct lt_doctor doctor = {.identity = identity,
				   .collectors = collectors,
				   .collector_count = COUNT(collectors),
				   .kinds = rows,
				   .kind_count = COUNT(rows),
				   .object_count = 3210004,
				   .object_bytes = 719847424,
				   .tracked = 1386000,
				   .garbage_count = 41007,
				   .garbage_bytes = 5244112,
				   .collectable_count = 39990,
				   .collectable_bytes = 5180016,
				   .conservative_refs = 12,
				   .proved = true,
				   .containers = containers,
				   .container_count = COUNT(containers),
				   .findings = findings,
				   .finding_count = COUNT(findings)};
	if (print_fragmentation_sample(report, what, out))
		return;
	if (strncmp(what, "ps", 2) == 0) {
		report->identity = NULL;
		report->pid = 0;
		if (strcmp(what, "ps-empty") == 0)
			ps = (struct lt_ps){0};
		lt_report_ps(report, &ps, out);
	} else if (strcmp(what, "types") == 0) {
		lt_report_types(report, &composition, 0, out);
	} else if (strcmp(what, "error") == 0) {
		report->identity = NULL;
		lt_report_error(report, out);
	} else {
		if (strcmp(what, "doctor-empty") == 0)
			doctor = (struct lt_doctor){.identity = identity};
		lt_report_doctor(report, &doctor, out);
	}
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "");
	struct lt_session session;
	lt_session_init(&session);
	session.unreadable = 3;
	lt_warn(&session, "a warning with \x1b[31mcolour");
	struct lt_report report = {
		.command = argc > 1 ? argv[1] : "",
		.style = {.utf8 = true},
		.session = &session,
		.pid = 4242,
		.identity = &identity,
		.cost = {.stall_ms = 14.8254, .elapsed_ms = 1621.5, .peak_bytes = 92274688}};
	if (argc < 2)
		return 2;
	for (int i = 2; i < argc; i++)
		take_option(&report, argv[i]);
	if (strcmp(argv[1], "error") == 0) {
		lt_remedy(&session, "Run 'lowtide ps'.");
		if (lt_fail(&session, LT_E_GONE, "process \x1b[31m4242 ended\xff") == LT_OK)
			return 1;
	}
	struct lt_text out = {0};
	print(&report, argv[1], &out);
	fputs(lt_text_get(&out), stdout);
	bool failed = out.failed;
	lt_text_deinit(&out);
	lt_session_deinit(&session);
	return failed;
}
