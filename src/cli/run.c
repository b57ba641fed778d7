#include "cli/run.h"

#include "base/cleanup.h"

#include <stdio.h>

void lt_run_cost(struct lt_run *run)
{
	run->report.cost.elapsed_ms = (double)(lt_now_ns() - run->started_ns) / 1e6;
	LT_FCLOSE FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long long kibibytes = 0;
	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
		if (sscanf(line, "VmHWM: %llu", &kibibytes) == 1)
			run->report.cost.peak_bytes = kibibytes * 1024;
}

void lt_run_deinit(struct lt_run *run)
{
	lt_text_deinit(&run->out);
	lt_identity_deinit(&run->identity);
}
