/* Rows of a query: as a table for people, as JSON, as CSV. */
#include "analysis/query.h"
#include "report/csv.h"
#include "report/json.h"
#include "report/print.h"
#include "report/safe.h"

#include <inttypes.h>
#include <string.h>

enum { REAL_DIGITS = 15 };

static const struct lt_store_value *value_at(const struct lt_query_result *result, size_t row,
					     size_t column)
{
	return &result->values[row * result->column_count + column];
}

static const char *cell(struct lt_screen *screen, const struct lt_store_value *value)
{
	switch (value->type) {
	case LT_STORE_INTEGER:
		return lt_screen_format(screen, "%" PRId64, value->integer);
	case LT_STORE_REAL:
		return lt_screen_format(screen, "%.*g", REAL_DIGITS, value->real);
	case LT_STORE_TEXT:
		return lt_screen_safe(screen, value->text);
	case LT_STORE_NULL:
		break;
	}
	return "NULL";
}

/* Figures stand to the right; a column with a text in it does not. */
static bool is_figures(const struct lt_query_result *result, size_t column)
{
	bool some = false;
	for (size_t row = 0; row < result->row_count; row++) {
		enum lt_store_type type = value_at(result, row, column)->type;
		if (type == LT_STORE_TEXT)
			return false;
		some = some || type != LT_STORE_NULL;
	}
	return some;
}

void lt_print_query(const struct lt_report *report, const struct lt_query_result *result,
		    struct lt_text *out)
{
	struct lt_screen screen;
	struct lt_table_column columns[LT_TABLE_COLUMNS] = {0};
	lt_screen_init(&screen, &report->style, out);
	if (report->style.verbosity > 0)
		lt_print_head(&screen, report);
	size_t count = result->column_count < LT_TABLE_COLUMNS ? result->column_count
							       : (size_t)LT_TABLE_COLUMNS;
	const char **cells = calloc(result->row_count * count + 1, sizeof(*cells));
	if (cells == NULL) {
		out->failed = true;
		lt_screen_deinit(&screen);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		columns[i].title = lt_screen_safe(&screen, result->columns[i]);
		columns[i].right = is_figures(result, i);
		for (size_t row = 0; row < result->row_count; row++)
			cells[row * count + i] = cell(&screen, value_at(result, row, i));
	}
	const struct lt_table table = {.columns = columns,
				       .column_count = count,
				       .cells = cells,
				       .row_count = result->row_count};
	lt_screen_table(&screen, &table);
	if (result->cut && report->style.verbosity >= 0)
		lt_text_addf(out, "There are more rows than these %s.\n",
			     lt_screen_count(&screen, result->row_count));
	free(cells);
	lt_screen_deinit(&screen);
}

static json_t *json_value(const struct lt_store_value *value)
{
	switch (value->type) {
	case LT_STORE_INTEGER:
		return json_integer(value->integer);
	case LT_STORE_REAL: {
		/* Infinity is no number of JSON. */
		json_t *real = json_real(value->real);
		return real != NULL ? real : json_null();
	}
	case LT_STORE_TEXT:
		return lt_json_string(value->text);
	case LT_STORE_NULL:
		break;
	}
	return json_null();
}

json_t *lt_json_query(const struct lt_query_result *result)
{
	json_t *columns = json_array();
	json_t *rows = json_array();
	for (size_t i = 0; i < result->column_count; i++)
		json_array_append_new(columns, lt_json_string(result->columns[i]));
	for (size_t row = 0; row < result->row_count; row++) {
		json_t *object = json_object();
		for (size_t i = 0; i < result->column_count; i++) {
			struct lt_text name = {0};
			lt_valid_add(&name, result->columns[i]);
			json_object_set_new(object, lt_text_get(&name),
					    json_value(value_at(result, row, i)));
			lt_text_deinit(&name);
		}
		json_array_append_new(rows, object);
	}
	return json_pack("{s:o, s:o, s:b}", "columns", columns, "rows", rows, "cut", result->cut);
}

void lt_csv_query(const struct lt_query_result *result, struct lt_text *out)
{
	for (size_t i = 0; i < result->column_count; i++) {
		lt_text_add(out, i == 0 ? "" : ",");
		lt_csv_text(out, result->columns[i]);
	}
	lt_text_add(out, "\r\n");
	for (size_t row = 0; row < result->row_count; row++) {
		for (size_t i = 0; i < result->column_count; i++) {
			const struct lt_store_value *value = value_at(result, row, i);
			lt_text_add(out, i == 0 ? "" : ",");
			/* A null is nothing, an empty text is "". */
			if (value->type == LT_STORE_INTEGER)
				lt_text_addf(out, "%" PRId64, value->integer);
			else if (value->type == LT_STORE_REAL)
				lt_text_addf(out, "%.*g", REAL_DIGITS, value->real);
			else if (value->type == LT_STORE_TEXT)
				lt_csv_text(out, value->text);
		}
		lt_text_add(out, "\r\n");
	}
}
