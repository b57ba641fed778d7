#include "analysis/collector.h"

#include "analysis/read.h"
#include "base/cleanup.h"
#include "heap/interpreters.h"

_Static_assert((int)LT_GENERATIONS == (int)LT_GC_GENERATIONS, "one count of generations");

enum lt_status lt_collectors_read(const struct lt_view *view, struct lt_collector **ret_collectors,
				  size_t *ret_count)
{
	LT_CLEANUP(lt_interpreters_deinit) struct lt_interpreters interpreters = {0};
	LT_TRY(lt_interpreters_read(view, &interpreters));
	const struct lt_layout *layout = view->layout;
	struct lt_collector *collectors = calloc(interpreters.count + 1, sizeof(*collectors));
	if (collectors == NULL)
		return lt_fail_memory(view->session);
	for (size_t i = 0; i < interpreters.count; i++) {
		const struct lt_gc_state *gc = &interpreters.data[i].gc;
		struct lt_collector *collector = &collectors[i];
		*collector = (struct lt_collector){
			.interpreter = (uint64_t)interpreters.data[i].id,
			.enabled = gc->enabled,
			.collecting = gc->collecting,
			.garbage = lt_read_size(view, gc->garbage),
			.callbacks = lt_read_size(view, gc->callbacks),
			.debug = gc->debug,
			.long_lived_total = gc->long_lived_total,
			.long_lived_pending = gc->long_lived_pending,
			.usual = {lt_fact(layout, LT_FACT_gc_threshold0),
				  lt_fact(layout, LT_FACT_gc_threshold1),
				  lt_fact(layout, LT_FACT_gc_threshold2)},
			.incremental = lt_fact(layout, LT_FACT_gc_incremental) != 0,
		};
		for (size_t g = 0; g < LT_GENERATIONS; g++) {
			collector->generations[g] = (struct lt_collector_generation){
				.threshold = gc->generations[g].threshold,
				.count = gc->generations[g].count,
				.collections = gc->generations[g].collections,
				.collected = gc->generations[g].collected,
				.uncollectable = gc->generations[g].uncollectable,
			};
		}
	}
	*ret_collectors = collectors;
	*ret_count = interpreters.count;
	return LT_OK;
}
