#include "report/format.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

const char *const lt_format_names[LT_FORMAT_COUNT + 1] = {
	[LT_FORMAT_TEXT] = "text",
	[LT_FORMAT_JSON] = "json",
	[LT_FORMAT_CSV] = "csv",
	[LT_FORMAT_HTML] = "html",
	[LT_FORMAT_DOT] = "dot",
	[LT_FORMAT_HEAPSNAPSHOT] = "heapsnapshot",
	[LT_FORMAT_TIDE] = "tide",
	[LT_FORMAT_TRACE] = "trace",
	[LT_FORMAT_OPENMETRICS] = "openmetrics",
};

bool lt_format_of_file(const char *path, enum lt_format *ret_format)
{
	static const struct {
		const char *ending;
		enum lt_format format;
	} endings[] = {
		{".trace.json", LT_FORMAT_TRACE},
		{".perfetto.json", LT_FORMAT_TRACE},
		{".prom", LT_FORMAT_OPENMETRICS},
		{".openmetrics", LT_FORMAT_OPENMETRICS},
		{".txt", LT_FORMAT_TEXT},
		{".csv", LT_FORMAT_CSV},
		{".json", LT_FORMAT_JSON},
		{".html", LT_FORMAT_HTML},
		{".htm", LT_FORMAT_HTML},
		{".dot", LT_FORMAT_DOT},
		{".gv", LT_FORMAT_DOT},
		{".tide", LT_FORMAT_TIDE},
		{".heapsnapshot", LT_FORMAT_HEAPSNAPSHOT},
	};
	if (path == NULL)
		return false;
	size_t length = strlen(path);
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t end = strlen(endings[i].ending);
		/* A name is more than its ending. */
		if (length > end && path[length - end - 1] != '/' &&
		    strcasecmp(path + length - end, endings[i].ending) == 0) {
			*ret_format = endings[i].format;
			return true;
		}
	}
	return false;
}
