#include "report/csv.h"

#include "report/safe.h"

#include <string.h>

void lt_csv_text(struct lt_text *out, const char *text)
{
	struct lt_text safe = {0};
	lt_safe_add(&safe, text, LT_UTF8);
	const char *bytes = lt_text_get(&safe);
	bool quoted = *bytes == '\0' || strpbrk(bytes, ",\" ") != NULL;
	if (quoted)
		lt_text_add(out, "\"");
	for (; *bytes != '\0'; bytes++)
		lt_text_add_bytes(out, *bytes == '"' ? "\"\"" : bytes, *bytes == '"' ? 2 : 1);
	if (quoted)
		lt_text_add(out, "\"");
	out->failed |= safe.failed;
	lt_text_deinit(&safe);
}
