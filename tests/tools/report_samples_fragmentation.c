#include "report_samples.h"

#include "analysis/fragmentation.h"
#include "report/export_svg.h"

#include <string.h>

enum { KIB = 1 << 10, MIB = 1 << 20, POOL = 16 * KIB, POOLS = 64, ARENAS = 6, RUNS = 150 };

static bool add(struct lt_fragmentation *found, lt_addr address, uint32_t used, uint32_t arena,
		bool resident)
{
	const struct lt_fragment_cell cell = {.address = address,
					      .bytes = POOL,
					      .used = used,
					      .arena = arena,
					      .resident = resident};
	return lt_fragment_cells_push(&found->cells, cell);
}

/* Two full arenas, four with a survivor each and pools that were never touched; then runs of each shade of malloc. */
static bool add_cells(struct lt_fragmentation *found)
{
	static const uint32_t shades[] = {POOL, POOL * 9 / 10, POOL / 2, POOL / 10, 0};
	bool ok = true;
	for (unsigned i = 0; i < ARENAS * POOLS && ok; i++) {
		unsigned arena = i / POOLS, pool = i % POOLS;
		uint32_t used = arena < 2 ? POOL : pool == arena * 7 ? 512 : 0;
		ok = add(found, 0x7f0000000000 + (lt_addr)i * POOL, used, UINT32_MAX,
			 arena < 2 || used > 0 || pool < 56);
	}
	for (unsigned i = 0; i < RUNS && ok; i++)
		ok = add(found, 0x550000000000 + (lt_addr)i * POOL, shades[i / 10 % 5], i / 100,
			 i % 10 != 9 || shades[i / 10 % 5] > 0);
	return ok;
}

static bool fill(struct lt_fragmentation *found, bool tight)
{
	*found = (struct lt_fragmentation){
		.largest_free_bytes = 840 * KIB,
		.largest_gap_bytes = (uint64_t)40 << 40,
		.pymalloc_held_bytes = 8 * MIB,
		.pymalloc_free_bytes = 6 * MIB,
		.pymalloc_largest_free_bytes = 840 * KIB,
		.pool_size = POOL,
		.pinned_arenas = 4,
		.pinned_free_bytes = 5900 * KIB,
		.pinned_used_bytes = 2 * KIB,
		.pinned_blocks = 4,
		.malloc_held_bytes = 9 * MIB,
		.malloc_free_bytes = 3 * MIB,
		.thread_arenas = 1,
		.thread_arenas_free_bytes = 2 * MIB,
		.threads = 8,
		.malloc = {.found = true,
			   .release = "2.36",
			   .whole = true,
			   .mmapped_bytes = 400 * KIB,
			   .mmapped_chunks = 2},
		.pymalloc = {.classes = {{16, 3, 3000, 60}, {32, 0, 0, 0}, {48, 10, 100, 3310}},
			     .class_count = 3,
			     .arenas = ARENAS,
			     .arena_bytes = ARENAS * MIB,
			     .pools_used = 13,
			     .pools_free = 371,
			     .used_bytes = 52800,
			     .free_bytes = 159840},
	};
	const struct lt_fragment_arena main = {.address = 0x7f1111111000,
					       .main = true,
					       .whole = true,
					       .attached = 1,
					       .system_bytes = 6 * MIB,
					       .used_bytes = 2 * MIB,
					       .free_bytes = 4 * MIB,
					       .resident_free_bytes = 3 * MIB,
					       .largest_free_bytes = 640 * KIB};
	struct lt_fragment_arena thread = main;
	thread.address = 0x7f2222200030;
	thread.main = thread.whole = false;
	thread.attached = 7;
	const struct lt_memory_sources sources = {.limits = "Max address space         1073741824  "
							    "         unlimited            bytes\n",
						  .status = tight ? "VmSize:\t 1048000 kB\n"
								  : "VmSize:\t 104800 kB\n",
						  .mappings = 210,
						  .mappings_most = 65530};
	lt_memory_limits_judge(&sources, found);
	lt_fragmentation_judge(found);
	return lt_fragment_arenas_push(&found->arenas, main) &&
	       lt_fragment_arenas_push(&found->arenas, thread) && add_cells(found);
}

bool print_fragmentation_sample(const struct lt_report *report, const char *what,
				struct lt_text *out)
{
	struct lt_fragmentation found = {0};
	if (strncmp(what, "fragmentation", strlen("fragmentation")) != 0)
		return false;
	if (!fill(&found, strcmp(what, "fragmentation-limits") == 0))
		out->failed = true;
	else if (strcmp(what, "fragmentation-svg") == 0)
		lt_export_svg(report, &found, out);
	else
		lt_report_fragmentation(report, &found, out);
	lt_fragmentation_deinit(&found);
	return true;
}
