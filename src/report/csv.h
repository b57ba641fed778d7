/*
 * csv.h: cells of a CSV file (RFC 4180).
 */
#ifndef LT_REPORT_CSV_H
#define LT_REPORT_CSV_H

#include "base/text.h"

/* In quotes where the text needs them. What cannot be shown is escaped: this may go to a terminal. */
void lt_csv_text(struct lt_text *out, const char *text);

#endif
