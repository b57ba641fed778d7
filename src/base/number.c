#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>

const char *lt_number_count(uint64_t count, char text[static LT_NUMBER_MAX])
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	size_t used = 0;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = '\0';
	return text;
}

const char *lt_number_bytes(uint64_t bytes, char text[static LT_NUMBER_MAX])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	if (bytes < 1024) {
		snprintf(text, LT_NUMBER_MAX, "%u B", (unsigned)bytes);
		return text;
	}
	double value = (double)bytes / 1024;
	size_t unit = 0;
	/* 1023.95 would be shown as 1024.0. */
	while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(text, LT_NUMBER_MAX, "%.1f %s", value, units[unit]);
	return text;
}
