/*
 * assets.h: the files of src/report/assets/, built into the program (tools/embed/embed.py).
 */
#ifndef LT_REPORT_ASSETS_H
#define LT_REPORT_ASSETS_H

#include <stddef.h>

struct lt_asset {
	const char *text; /* UTF-8, NUL-terminated */
	size_t length;
	const char *hash; /* "sha256-..." as a Content-Security-Policy names it */
};

extern const struct lt_asset lt_asset_page_html, lt_asset_page_css, lt_asset_page_js;

#endif
