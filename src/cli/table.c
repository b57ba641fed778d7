#include "cli/table.h"

#include "analysis/allocators.h"
#include "analysis/leaks.h"
#include "cli/run.h"
#include "report/export_gc.h"

#include <string.h>

static const char *const colors[] = {"auto", "always", "never", NULL};
static const char *const modes[] = {"fork", "stop", "live", NULL};
static const char *const levels[] = {"info", "low", "medium", "high", "critical", NULL};
static const char *const sources[] = {"probe", "ring", "poll", NULL};
static const char *const generators[] = {"man", "bash", "zsh", "fish", NULL};

const struct lt_option lt_options[LT_OPT_COUNT] = {
	[LT_OPT_JSON] = {.name = "json", .help = "Write JSON (docs/json.md), also for errors"},
	[LT_OPT_OUTPUT] =
		{.name = "output",
		 .letter = 'o',
		 .argument = "FILE",
		 .completion = LT_COMPLETE_FILE,
		 .help = "Write the report to FILE, which appears complete or not at all; its "
			 "ending chooses the format"},
	[LT_OPT_FORMAT] =
		{.name = "format",
		 .argument = "FORMAT",
		 .choices = lt_format_names,
		 .help = "The format, whatever the ending of FILE: text, json, csv, tide, "
			 "html, dot, heapsnapshot, trace or openmetrics"},
	[LT_OPT_COLOR] =
		{.name = "color",
		 .argument = "WHEN",
		 .choices = colors,
		 .help = "Colour the report: auto (on a terminal, unless NO_COLOR is set), "
			 "always or never"},
	[LT_OPT_QUIET] = {.name = "quiet",
			  .letter = 'q',
			  .help = "No progress bar, no warnings, only the heart of the report"},
	[LT_OPT_VERBOSE] = {.name = "verbose",
			    .letter = 'v',
			    .help = "Show more: all arguments, addresses, how the look went"},
	[LT_OPT_MODE] =
		{.name = "mode",
		 .argument = "MODE",
		 .choices = modes,
		 .help = "How to look: fork (a frozen copy, the default), stop (the target "
			 "stands while it is read) or live (nothing stops, reads may be torn)"},
	[LT_OPT_IGNORE_HEADROOM] =
		{.name = "ignore-headroom",
		 .help = "Fork even when the memory limit of the target's cgroup "
			 "is near"},
	[LT_OPT_ALL] = {.name = "all",
			.letter = 'a',
			.help = "Count every object that can be reached, not only those that the "
				"collector tracks"},
	[LT_OPT_REDACT] = {.name = "redact",
			   .help = "Leave out of the file every key and every name of an attribute "
				   "or variable, file paths but for their last part and the "
				   "command line"},
	[LT_OPT_TOP] = {.name = "top",
			.alias = "limit",
			.letter = 'n',
			.argument = "N",
			.least = 1,
			.most = 1000000,
			.help = "Show the N biggest rows"},
	[LT_OPT_FAIL_ON] = {.name = "fail-on",
			    .argument = "LEVEL",
			    .choices = levels,
			    .help = "Exit with 1 when a finding is at or above LEVEL: info, low, "
				    "medium, high or critical"},
	[LT_OPT_DURATION] =
		{.name = "duration",
		 .letter = 'd',
		 .argument = "SECONDS",
		 .least = 1,
		 .most = LT_LEAKS_SECONDS_MAX,
		 .help = "Watch for SECONDS: gc 10 unless given, leaks 30, doctor not at all, trim "
			 "until interrupted"},
	[LT_OPT_SNAPSHOTS] = {.name = "snapshots",
			      .argument = "N",
			      .least = 2,
			      .most = LT_LEAKS_LOOKS_MAX,
			      .help = "Look N times in all (3)"},
	[LT_OPT_SOURCE] =
		{.name = "source",
		 .argument = "SOURCE",
		 .choices = sources,
		 .help = "Watch through SOURCE only: probe (exact, takes privileges), ring "
			 "(what 3.15 records itself) or poll (reads the counters); the best "
			 "that is possible unless given"},
	[LT_OPT_HZ] =
		{.name = "hz",
		 .argument = "N",
		 .least = 1,
		 .most = 1000,
		 .help = "Read the counters N times a second where the source needs it (1000)"},
	[LT_OPT_REQUESTS] =
		{.name = "requests",
		 .argument = "N[,M]",
		 .help = "So many requests were served in the first recording and in the second, "
			 "or with /s a second: compare what one of them costs"},
	[LT_OPT_WHAT_IF] =
		{.name = "what-if",
		 .argument = "SETTING",
		 .help = "Predict what other settings would have done: thresholds "
			 "(10000,10,10), freeze, or bound=64M for no automatic collection but "
			 "one each time so much garbage may wait; may be given several times"},
	[LT_OPT_ADVISE] = {.name = "advise",
			   .help = "Name the thresholds that keep collections below a share of "
				   "the time, 1 % unless given, at the least memory, with the "
				   "curve behind it"},
	[LT_OPT_GC_SHARE] = {.name = "max-share",
			     .argument = "PERCENT",
			     .least = 1,
			     .most = 100,
			     .help = "The share of the time that --advise keeps to"},
	[LT_OPT_GC_PAUSE] = {.name = "max-pause",
			     .argument = "MS",
			     .least = 1,
			     .most = 3600000,
			     .help = "The longest pause in milliseconds that --advise keeps to, "
				     "and from which on a pause is a finding (100)"},
	[LT_OPT_DEPTH] = {.name = "depth",
			  .argument = "N",
			  .least = 1,
			  .most = 500,
			  .help = "Show N levels of the tree"},
	[LT_OPT_FROM] = {.name = "from",
			 .argument = "WHERE",
			 .help = "Begin at an object (its address, or an expression that begins "
				 "with sys.modules) or at all objects of a type"},
	[LT_OPT_RETAINED] = {.name = "retained",
			     .help = "Count every object, with what would go with those of each "
				     "type; most of that first"},
	[LT_OPT_RUNS] = {.name = "runs",
			 .argument = "N",
			 .least = 1,
			 .most = LT_ALLOCATOR_RUNS_MOST,
			 .help = "Run the command N times under each setting (1) and compare the "
				 "medians"},
	[LT_OPT_TIMEOUT] = {.name = "timeout",
			    .argument = "SECONDS",
			    .least = 1,
			    .most = 86400,
			    .help = "End a run after SECONDS (600): how a service is measured, "
				    "which does not end by itself"},
	[LT_OPT_ONLY] = {.name = "only",
			 .argument = "NAMES",
			 .help = "Only these settings, with commas between: tuned, jemalloc, "
				 "mimalloc, malloc, malloc+tuned, malloc+jemalloc, "
				 "malloc+mimalloc"},
	[LT_OPT_SVG] =
		{.name = "svg",
		 .argument = "FILE",
		 .completion = LT_COMPLETE_FILE,
		 .help = "Write the map as a picture to FILE, a cell for each pool or run of "
			 "pages"},
	[LT_OPT_WATCH] = {.name = "watch",
			  .help = "Repeat it, each time that it would return the amount of "
				  "--at-least, until interrupted"},
	[LT_OPT_INTERVAL] = {.name = "interval",
			     .argument = "SECONDS",
			     .least = 1,
			     .most = 86400,
			     .help = "Look every SECONDS (60)"},
	[LT_OPT_AT_LEAST] =
		{.name = "at-least",
		 .argument = "AMOUNT",
		 .help = "Do nothing when less than AMOUNT would go back: bytes, or 64M "
			 "(0; with --watch 64M)"},
	[LT_OPT_HELP] = {.name = "help", .letter = 'h', .help = "Show help and exit"},
	[LT_OPT_VERSION] = {.name = "version", .letter = 'V', .help = "Show the version and exit"},
	[LT_OPT_GENERATE] = {.name = "generate",
			     .hidden = true,
			     .argument = "WHAT",
			     .choices = generators,
			     .help = "Write the man page or a shell completion"},
};

#define COMMON                                                                                     \
	(LT_OPT_BIT(LT_OPT_JSON) | LT_OPT_BIT(LT_OPT_OUTPUT) | LT_OPT_BIT(LT_OPT_FORMAT) |         \
	 LT_OPT_BIT(LT_OPT_COLOR) | LT_OPT_BIT(LT_OPT_QUIET) | LT_OPT_BIT(LT_OPT_VERBOSE) |        \
	 LT_OPT_BIT(LT_OPT_HELP))
#define TEXT_AND_JSON (LT_FORMAT_BIT(LT_FORMAT_TEXT) | LT_FORMAT_BIT(LT_FORMAT_JSON))
#define GC_FILES (LT_FORMAT_BIT(LT_FORMAT_TIDE) | LT_GC_EXPORTS)
#define LOOK (LT_OPT_BIT(LT_OPT_MODE) | LT_OPT_BIT(LT_OPT_IGNORE_HEADROOM))

static const char *const doctor_examples[] = {
	"lowtide doctor 4242",
	"What is wrong with process 4242",
	"lowtide doctor -d 30 4242",
	"With what is wrong with its collections, watched for 30 seconds",
	"lowtide doctor -o report.html 4242",
	"The same as a page for people who were not there",
	"lowtide doctor --fail-on high --json -o report.json 4242",
	"For a cron job or a CI check: exit code 1 when a finding is high or critical",
	NULL};

static const char *const ps_examples[] = {
	"lowtide ps", "The CPython processes that you may look at",
	"lowtide ps --json | jq '.result.processes[].pid'", "Their PIDs, for a script", NULL};

static const char *const snapshot_examples[] = {
	"lowtide snapshot 4242 -o app.tide",
	"Keep the picture of process 4242 for later",
	"lowtide snapshot --redact 4242 -o app.tide && lowtide doctor app.tide",
	"A file to give away: types, sizes and structure, no keys and no names",
	"lowtide snapshot 4242 -o app.heapsnapshot",
	"The same for the Memory tab of Chrome DevTools",
	NULL};

static const char *const types_examples[] = {
	"lowtide types 4242", "The kinds of object that take the most memory",
	"lowtide types --all --top 100 4242", "Strings, numbers and other untracked objects too",
	NULL};

static const char *const gc_examples[] = {
	"lowtide gc 4242",
	"Every collection of process 4242 within 10 seconds, and why it ran",
	"lowtide gc -d 3600 -o monday.tide 4242 && lowtide gc monday.tide",
	"An hour in a file, which is there up to the last second should lowtide be killed",
	"lowtide gc -d 60 --fail-on high 4242",
	"For a check: exit code 1 when the collector stops the program too long or too often",
	"lowtide gc before.tide after.tide",
	"What changed between two recordings, and whether that is good",
	"lowtide gc --requests 1200,4800 one.tide four.tide",
	"What a request costs at one and at four at a time",
	NULL};

static const char *const leaks_examples[] = {
	"lowtide leaks 4242",
	"What process 4242 keeps more and more of, within 30 seconds",
	"lowtide leaks -d 600 --snapshots 6 --fail-on medium 4242",
	"For a slow leak: ten minutes, six looks, exit code 1 when there is a suspect",
	"lowtide leaks monday.tide tuesday.tide wednesday.tide",
	"What grew between snapshots of one process",
	NULL};

static const char *const diff_examples[] = {
	"lowtide diff monday.tide tuesday.tide", "What grew from Monday to Tuesday",
	"lowtide diff monday.tide 4242", "What grew since Monday in the process itself", NULL};

static const char *const object_examples[] = {
	"lowtide object 4242 0x7f3a5c0d1e40", "All about one object",
	"lowtide object 4242 \"sys.modules['shop'].cache\"", "The same by the way to it", NULL};

static const char *const path_examples[] = {
	"lowtide path 4242 shop.models.Order",
	"What holds the objects of a type, by share",
	"lowtide path 4242 0x7f3a5c0d1e40",
	"Who holds one object",
	"lowtide path 4242 shop.models.Order -o paths.dot && dot -Tsvg -O paths.dot",
	"The paths as a picture, by Graphviz",
	NULL};

static const char *const retained_examples[] = {
	"lowtide retained 4242", "What keeps the memory of process 4242 alive",
	"lowtide retained --from \"sys.modules['shop'].cache\" --depth 3 4242",
	"What one container holds, three levels deep", NULL};

static const char *const rss_examples[] = {
	"lowtide rss 4242", "Where the resident memory of process 4242 is, part by part",
	"lowtide rss -v 4242", "With the size classes of Python's allocator", NULL};

static const char *const try_allocators_examples[] = {
	"lowtide try-allocators --runs 3 -- python3 batch.py",
	"What a job takes under each allocator, and what to set",
	"lowtide try-allocators -q --timeout 60 --only tuned,jemalloc -- ./serve-with-load.sh",
	"A service that does not end: a minute each as it is, tuned and under jemalloc", NULL};

static const char *const fragmentation_examples[] = {
	"lowtide fragmentation 4242", "How much memory is free and stays, why, and where",
	"lowtide fragmentation --svg map.svg 4242", "The map as a picture too", NULL};

static const char *const trim_examples[] = {
	"lowtide trim 4242", "Give what malloc has free back to the system, now",
	"lowtide trim --watch --at-least 256M 4242",
	"Look every minute, and do so when 256 MiB or more would go back", NULL};

static const char *const sql_examples[] = {
	"lowtide sql 4242 \"SELECT type, count, bytes FROM types ORDER BY bytes DESC LIMIT 10\"",
	"The ten kinds of object that take the most memory",
	"lowtide sql app.tide \"SELECT printf('0x%x', address) AS address, length, retained FROM "
	"objects WHERE type = 'dict' ORDER BY retained DESC LIMIT 5\"",
	"The five dicts that keep the most memory alive",
	"lowtide sql app.tide \"SELECT o.type, r.kind, r.label FROM refs r JOIN objects o ON "
	"o.address = r.target WHERE r.source = 0x7f1c5a3e8d40\"",
	"What one object refers to",
	NULL};

static const char *const help_examples[] = {"lowtide help types", "All options of types", NULL};

const struct lt_command lt_commands[] = {
	{.name = "doctor",
	 .operand = "PID|FILE",
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_TOP) | LT_OPT_BIT(LT_OPT_FAIL_ON) |
		    LT_OPT_BIT(LT_OPT_DURATION),
	 .formats = TEXT_AND_JSON | LT_FORMAT_BIT(LT_FORMAT_HTML),
	 .summary = "what is wrong, ranked, with evidence and the change to make",
	 .description =
		 "Freezes one picture of the process, reads every object and reference in it, and "
		 "reports what is wrong: findings first, worst on top, each with the Python "
		 "expression that reaches the object, the figures that it rests on, and the change "
		 "to make. Then the containers that hold the most, the biggest kinds of object, "
		 "and "
		 "the state of the collector.\n\n"
		 "The process stands still for about as long as a fork(2) takes. It runs nothing "
		 "of "
		 "lowtide's. With --duration its collector is watched for so long before, after a "
		 "short look of its own: what is wrong with the collections, and growth of memory "
		 "that no Python object explains, are among the findings then.",
	 .examples = doctor_examples,
	 .run = lt_cmd_doctor},
	{.name = "leaks",
	 .operand = "PID|FILE...",
	 .operands_most = LT_OPERANDS_MOST,
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_DURATION) | LT_OPT_BIT(LT_OPT_SNAPSHOTS) |
		    LT_OPT_BIT(LT_OPT_FAIL_ON),
	 .formats = TEXT_AND_JSON | LT_FORMAT_BIT(LT_FORMAT_HTML),
	 .summary = "what the process keeps more and more of, and what to change",
	 .description =
		 "Looks at the process several times, each time through a frozen copy, and finds "
		 "the objects that are new and stayed. Each is put down to the container or "
		 "variable that it piles up in; what comes and goes gives nothing. Suspects are "
		 "ranked by severity and growth, each with the Python expression that reaches it, "
		 "the rate, what piles up and the change to make.\n\n"
		 "Between the looks the process runs freely; no collection is ever forced. Give it "
		 "its usual load meanwhile. An interrupt (Ctrl-C) takes the last look at once.",
	 .examples = leaks_examples,
	 .run = lt_cmd_leaks},
	{.name = "gc",
	 .operand = "PID|FILE [AFTER]",
	 .operands_least = 1,
	 .operands_most = 2,
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LT_OPT_BIT(LT_OPT_DURATION) | LT_OPT_BIT(LT_OPT_SOURCE) |
		    LT_OPT_BIT(LT_OPT_HZ) | LT_OPT_BIT(LT_OPT_FAIL_ON) | LT_OPT_BIT(LT_OPT_REDACT) |
		    LT_OPT_BIT(LT_OPT_REQUESTS) | LT_OPT_BIT(LT_OPT_WHAT_IF) |
		    LT_OPT_BIT(LT_OPT_ADVISE) | LT_OPT_BIT(LT_OPT_GC_SHARE) |
		    LT_OPT_BIT(LT_OPT_GC_PAUSE),
	 .formats = TEXT_AND_JSON | GC_FILES,
	 .beside = GC_FILES,
	 .summary = "every collection as it happens: pause, generation, cause, file:line",
	 .description =
		 "Watches the collector of a live process and reports each collection: how long it "
		 "stopped the program, what it found, and why it ran, with the evidence: which "
		 "threshold was crossed and by how much, or who called gc.collect() and from which "
		 "line. What matters most comes first, then pauses by generation, cause and place, "
		 "the longest of them with their stacks, who changed the collector meanwhile, the "
		 "curves of memory and pauses, and findings with the change to make.\n\n"
		 "Nothing in the process is stopped or changed. The source in use is named: probes "
		 "of "
		 "the kernel (root or CAP_BPF and CAP_PERFMON) see every collection to the "
		 "microsecond; the records of CPython 3.15 give exact times; reading the counters "
		 "a "
		 "thousand times a second needs no more rights than reading memory. An interrupt "
		 "(Ctrl-C) ends the watch with what there is.\n\n"
		 "With -o FILE.tide the recording is written to a file, second by second, which gc "
		 "reads back, --what-if included; -o FILE.trace.json, .csv and .prom write it for "
		 "other programs. With --redact paths are shown by their last part, and without "
		 "the command line.\n\n"
		 "Two recordings, or a recording and the process now, are compared: what changed "
		 "in "
		 "rates, pauses, settings and heap, and whether that is good, bad or needs a look. "
		 "Fewer collections are good when less is allocated, and bad when garbage waits. "
		 "With --fail-on, bad counts as high and what needs a look as medium.",
	 .examples = gc_examples,
	 .run = lt_cmd_gc},
	{.name = "ps",
	 .options = COMMON,
	 .summary = "which processes here are CPython; version, RSS, GC state",
	 .description =
		 "Lists the CPython processes of this machine with version, resident memory, age, "
		 "threads and the state of the collector. Nothing is stopped: a few words of each "
		 "process are read while it runs. Processes that may not be read are counted with "
		 "the reason.",
	 .examples = ps_examples,
	 .run = lt_cmd_ps},
	{.name = "types",
	 .operand = "PID|FILE",
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_ALL) | LT_OPT_BIT(LT_OPT_RETAINED) |
		    LT_OPT_BIT(LT_OPT_TOP),
	 .summary = "what the heap is made of",
	 .description =
		 "Counts the objects of a process by type, with bytes as sys.getsizeof gives them, "
		 "headers of the collector included. Without --all these are the objects that the "
		 "collector tracks, as gc.get_objects() lists them, and those that gc.freeze() set "
		 "apart; with --all every object that can be reached from them.\n\n"
		 "The text report shows the 30 biggest rows unless --top says otherwise; JSON has "
		 "all rows unless --top is given.",
	 .examples = types_examples,
	 .run = lt_cmd_types},
	{.name = "diff",
	 .operand = "PID|FILE PID|FILE",
	 .operands_least = 2,
	 .operands_most = 2,
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_TOP),
	 .summary = "what grew between two snapshots, and what holds it",
	 .description = "Compares two pictures of one process, each a snapshot file or the process "
			"itself, the "
			"older first. Objects are the same when address and type are. What is new "
			"belongs to "
			"the object that was there before and holds it now: these holders come "
			"first, most "
			"growth on top. Then the types with a difference, by bytes, by what they "
			"retain and by "
			"count.\n\n"
			"Pictures of two processes are compared by type only.",
	 .examples = diff_examples,
	 .run = lt_cmd_diff},
	{.name = "object",
	 .operand = "PID|FILE 0xADDR",
	 .operands_least = 2,
	 .operands_most = 2,
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_TOP),
	 .summary = "all about one object: what holds it and what it holds",
	 .description =
		 "Shows one object, given by its address or by an expression that begins with "
		 "sys.modules: its type, its own bytes and what would go with it, its reference "
		 "count "
		 "beside the references that were found, the names in its namespace, the ways to "
		 "it, "
		 "what it goes with, what refers to it and what it refers to. Values are not "
		 "shown.",
	 .examples = object_examples,
	 .run = lt_cmd_object},
	{.name = "snapshot",
	 .operand = "PID|FILE",
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_REDACT),
	 .formats = LT_FORMAT_BIT(LT_FORMAT_TIDE) | LT_FORMAT_BIT(LT_FORMAT_HEAPSNAPSHOT),
	 .writes_file = true,
	 .summary = "freeze and save, to be examined later or elsewhere",
	 .description =
		 "Writes the picture of the process to FILE (-o): all objects with type and size, "
		 "all references, the roots and the state of the collector. Every command that "
		 "takes PID|FILE gives on the file what it would have given on the process.\n\n"
		 "The file has no values. Of strings it has those that name something, at most 80 "
		 "characters of each: attributes, variables, and keys of dicts (of a dict of more "
		 "than 1,000 entries those of its heaviest). With --redact it has none of them: "
		 "only modules, classes and functions keep their names.\n\n"
		 "A FILE that ends in .heapsnapshot is written for the Memory tab of Chrome "
		 "DevTools, from a process or from a snapshot file.",
	 .examples = snapshot_examples,
	 .run = lt_cmd_snapshot},
	{.name = "path",
	 .operand = "PID|FILE TYPE|0xADDR",
	 .operands_least = 2,
	 .operands_most = 2,
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_TOP),
	 .formats = TEXT_AND_JSON | LT_FORMAT_BIT(LT_FORMAT_DOT),
	 .summary = "who holds an object or the objects of a type, as Python expressions",
	 .description =
		 "Of an object, given by its address or by an expression that begins with "
		 "sys.modules: several ways to it from the roots, cheapest first, that differ in "
		 "what holds it. Of a type: the ways to all its objects, joined where they differ "
		 "in "
		 "indexes and keys only, which are written [*]; with the share of the objects that "
		 "each holds, and one object as an example.\n\n"
		 "The end of a type's name is enough where only one type ends so. Weak references "
		 "hold nothing and are on no way. 5 ways to an object and 10 of a type are shown "
		 "unless --top says otherwise.",
	 .examples = path_examples,
	 .run = lt_cmd_path},
	{.name = "retained",
	 .operand = "PID|FILE",
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_TOP) | LT_OPT_BIT(LT_OPT_DEPTH) |
		    LT_OPT_BIT(LT_OPT_FROM),
	 .formats = TEXT_AND_JSON | LT_FORMAT_BIT(LT_FORMAT_HTML),
	 .summary = "what keeps memory alive, as a tree",
	 .description =
		 "Shows the dominator tree from the top: below each object stand those that can be "
		 "reached through it only, and that would go with it. Objects of one type below "
		 "one parent are joined in one row; heavy ones stand alone. What no single object "
		 "holds is at the top, by the module that it is reached through.\n\n"
		 "10 rows below each parent and 8 levels are shown unless --top and --depth say "
		 "otherwise.",
	 .examples = retained_examples,
	 .run = lt_cmd_retained},
	{.name = "rss",
	 .operand = "PID",
	 .completion = LT_COMPLETE_PID,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_TOP),
	 .summary = "where resident memory is, part by part",
	 .description =
		 "Puts every resident byte of the process into a named part: live Python objects "
		 "by kind, with what belongs to them (the array of a list, the keys of a dict, the "
		 "data of an array); what Python's allocator holds free in blocks, pools and "
		 "arenas; what the C allocator has in use for no Python object, and free; stacks; "
		 "mapped files. The parts add up to RSS; what nobody accounts for is said to be "
		 "not explained. Swap, page tables and memory that was never touched stand "
		 "beside.\n\n"
		 "Resident pages are the kernel's own count (smaps, pagemap). With --verbose the "
		 "size classes of Python's allocator follow.",
	 .examples = rss_examples,
	 .run = lt_cmd_rss},
	{.name = "fragmentation",
	 .operand = "PID",
	 .completion = LT_COMPLETE_PID,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_SVG),
	 .summary = "how much memory is free but stays, why, and a map of it",
	 .description =
		 "Says how much of what Python's and the C allocator hold is free, the longest "
		 "free range, and the figures by size class and by arena of malloc, with a "
		 "verdict: none; internal (free between used memory); pinned by survivors (arenas "
		 "that a few blocks keep); too many malloc arenas. Limits of the process, its "
		 "control group and the machine that are nearly exhausted are told apart, since "
		 "they make requests fail too.\n\n"
		 "A map shows each pool or run of pages by how full it is, in the order of "
		 "addresses; --svg writes it as a picture. The objects are not read, so it is "
		 "fast. With --verbose all size classes and arenas are listed.",
	 .examples = fragmentation_examples,
	 .run = lt_cmd_fragmentation},
	{.name = "trim",
	 .operand = "PID",
	 .completion = LT_COMPLETE_PID,
	 .options = COMMON | LT_OPT_BIT(LT_OPT_WATCH) | LT_OPT_BIT(LT_OPT_INTERVAL) |
		    LT_OPT_BIT(LT_OPT_AT_LEAST) | LT_OPT_BIT(LT_OPT_DURATION),
	 .summary = "give free memory of malloc back to the system, now",
	 .description =
		 "Calls malloc_trim(0) in the process, on a thread of its own that ends at once, "
		 "and shows RSS before and after, with what was predicted. It changes nothing that "
		 "the program has in use. It is called only when it is safe: beside the other "
		 "threads where malloc takes its locks, and where it takes none, in a process of "
		 "one thread, while that stands outside malloc; else lowtide refuses with the "
		 "reason.\n\n"
		 "Where jemalloc 5.3 is in glibc's place, its own purge (mallctl) is called in the "
		 "same way; other allocators are refused, with what to set. What Python's own "
		 "allocator holds free stays, as "
		 "does what survivors pin (rss, fragmentation). With --watch it is repeated each "
		 "time that at least so much would go back; an interrupt (Ctrl-C) ends the watch "
		 "with a report.",
	 .examples = trim_examples,
	 .run = lt_cmd_trim},
	{.name = "try-allocators",
	 .operand = "-- COMMAND [ARGUMENT]...",
	 .completion = LT_COMPLETE_PROGRAM,
	 .options = COMMON | LT_OPT_BIT(LT_OPT_RUNS) | LT_OPT_BIT(LT_OPT_TIMEOUT) |
		    LT_OPT_BIT(LT_OPT_ONLY),
	 .summary = "a command under each C allocator: memory, time, what to set",
	 .description =
		 "Runs the command as it is, with settings of glibc, without Python's own "
		 "allocator, and with jemalloc and mimalloc preloaded, one after another; compares "
		 "the most resident memory, that in the last fifth of the run, and the time; and "
		 "names the environment to set when that gains 10 % or more. A library that is not "
		 "installed is listed with its package; a command that fails with a setting is "
		 "shown so.\n\n"
		 "Child processes count. The command reads nothing, and writes to standard error, "
		 "with --quiet nowhere. Whatever it leaves running is ended after each run, and so "
		 "is all of it when lowtide is interrupted.",
	 .examples = try_allocators_examples,
	 .run = lt_cmd_try_allocators},
	{.name = "sql",
	 .operand = "PID|FILE QUERY",
	 .operands_least = 2,
	 .operands_most = 2,
	 .completion = LT_COMPLETE_SUBJECT,
	 .options = COMMON | LOOK | LT_OPT_BIT(LT_OPT_TOP),
	 .formats = TEXT_AND_JSON | LT_FORMAT_BIT(LT_FORMAT_CSV),
	 .summary = "a query in SQL over objects, references, types and roots",
	 .description =
		 "Runs one SELECT of SQLite's SQL over these tables:\n\n"
		 "objects (address, type, module, size, flags, refcount, length, name, retained, "
		 "dominator): one row an object, in the order of addresses; flags are words of "
		 "tracked, frozen, immortal and static.\n\n"
		 "refs (source, target, kind, label, position): one row a reference; source and "
		 "target are addresses.\n\n"
		 "types (type, module, count, bytes): one row a type.\n\n"
		 "roots (address, kind, name, variable, function, file, line): what keeps objects "
		 "alive from outside the heap.\n\n"
		 "An address, or a range of them, is found without a scan in objects.address and "
		 "refs.source; all else looks at every row. The first use of retained or dominator "
		 "works out the dominators of the heap. A query can only read.",
	 .examples = sql_examples,
	 .run = lt_cmd_sql},
	{.name = "help",
	 .operand = "[COMMAND]",
	 .completion = LT_COMPLETE_COMMAND,
	 .options = LT_OPT_BIT(LT_OPT_HELP),
	 .summary = "show help on lowtide or on one command",
	 .description = "Shows what lowtide can do, or all about one command.",
	 .examples = help_examples},
};
const size_t lt_command_count = sizeof(lt_commands) / sizeof(lt_commands[0]);

const struct lt_exit_code lt_exit_codes[] = {
	{0, "Done."},
	{1, "doctor, gc or leaks found something at or above the level of --fail-on."},
	{2, "The command line is wrong."},
	{3, "The process is not CPython, or a build that is not supported."},
	{4, "Not permitted; the message names the remedy."},
	{5, "The process ended, or there is none with this PID."},
	{6, "A file is missing, damaged or cannot be written."},
	{70, "lowtide could not do it: its own fault, no memory, or the process was busy at every "
	     "try."},
};
const size_t lt_exit_code_count = sizeof(lt_exit_codes) / sizeof(lt_exit_codes[0]);

const struct lt_command *lt_command_find(const char *name)
{
	for (size_t i = 0; i < lt_command_count; i++)
		if (strcmp(lt_commands[i].name, name) == 0)
			return &lt_commands[i];
	return NULL;
}
