#include "report/template.h"

#include "report/safe.h"
#include "report/screen.h"

#include <string.h>

enum { DEPTH_MOST = 8, NAME_MOST = 48 };

struct filler {
	const char *text; /* the whole template */
	const struct lt_template_part *parts;
	struct lt_text *out;
	struct lt_screen screen; /* for figures */
	json_t *context[DEPTH_MOST];
	size_t depth;
	bool wrong;
};

struct tag {
	char sign; /* '#', '^', '/', '>' or 0 */
	char name[NAME_MOST];
	char filter[NAME_MOST];
	const char *start; /* of its first brace */
	const char *end;   /* behind its last one */
};

/* The next tag between `at` and `end`; false: none. */
static bool next_tag(struct filler *filler, const char *at, const char *end, struct tag *tag)
{
	const char *start = memmem(at, (size_t)(end - at), "{{", 2);
	if (start == NULL)
		return false;
	const char *stop = memmem(start, (size_t)(end - start), "}}", 2);
	if (stop == NULL) {
		filler->wrong = true;
		return false;
	}
	*tag = (struct tag){.start = start, .end = stop + 2};
	/* A section's tag alone on a line leaves no empty line. */
	bool line = start == filler->text || start[-1] == '\n';
	start += 2;
	if (strchr("#^/>", *start) != NULL)
		tag->sign = *start++;
	if (line && tag->sign != 0 && tag->sign != '>' && tag->end < end && *tag->end == '\n')
		tag->end++;
	const char *bar = memchr(start, '|', (size_t)(stop - start));
	size_t name = (size_t)((bar != NULL ? bar : stop) - start);
	size_t filter = bar != NULL ? (size_t)(stop - bar - 1) : 0;
	if (name == 0 || name >= NAME_MOST || filter >= NAME_MOST) {
		filler->wrong = true;
		return false;
	}
	memcpy(tag->name, start, name);
	if (filter > 0)
		memcpy(tag->filter, bar + 1, filter);
	return true;
}

static json_t *look_up(const struct filler *filler, const char *name)
{
	if (strcmp(name, ".") == 0)
		return filler->context[filler->depth - 1];
	for (size_t i = filler->depth; i-- > 0;) {
		json_t *value = json_object_get(filler->context[i], name);
		if (value != NULL)
			return value;
	}
	return NULL;
}

static bool shows(const json_t *value)
{
	switch (value != NULL ? json_typeof(value) : JSON_NULL) {
	case JSON_ARRAY:
		return json_array_size(value) > 0;
	case JSON_STRING:
		return json_string_length(value) > 0;
	case JSON_INTEGER:
		return json_integer_value(value) != 0;
	case JSON_NULL:
	case JSON_FALSE:
		return false;
	default:
		return true;
	}
}

void lt_template_escape(const char *string, struct lt_text *out)
{
	struct lt_text safe = {0};
	lt_safe_add(&safe, string, LT_UTF8_FILE);
	for (const char *c = lt_text_get(&safe); *c != '\0'; c++) {
		switch (*c) {
		case '&':
			lt_text_add(out, "&amp;");
			break;
		case '<':
			lt_text_add(out, "&lt;");
			break;
		case '>':
			lt_text_add(out, "&gt;");
			break;
		case '"':
			lt_text_add(out, "&quot;");
			break;
		case '\'':
			lt_text_add(out, "&#39;");
			break;
		default:
			lt_text_add_bytes(out, c, 1);
		}
	}
	out->failed |= safe.failed;
	lt_text_deinit(&safe);
}

static const char *figure(struct filler *filler, const char *filter, const json_t *value)
{
	struct lt_screen *screen = &filler->screen;
	double real = json_number_value(value);
	json_int_t whole = json_is_integer(value) ? json_integer_value(value) : (json_int_t)real;
	uint64_t count = whole < 0 ? 0 : (uint64_t)whole;
	if (strcmp(filter, "bytes") == 0)
		return lt_screen_bytes(screen, count);
	if (strcmp(filter, "count") == 0)
		return lt_screen_count(screen, count);
	if (strcmp(filter, "share") == 0)
		return lt_screen_share(screen, real);
	if (strcmp(filter, "percent") == 0)
		return lt_screen_format(screen, "%.2f", real * 100);
	if (strcmp(filter, "ms") == 0)
		return lt_screen_milliseconds(screen, real);
	if (strcmp(filter, "age") == 0)
		return lt_screen_age(screen, count);
	filler->wrong = true;
	return "";
}

static void add_value(struct filler *filler, const struct tag *tag)
{
	const json_t *value = look_up(filler, tag->name);
	if (value == NULL || json_is_null(value))
		return;
	if (*tag->filter != '\0') {
		lt_template_escape(figure(filler, tag->filter, value), filler->out);
		return;
	}
	switch (json_typeof(value)) {
	case JSON_STRING:
		lt_template_escape(json_string_value(value), filler->out);
		break;
	case JSON_INTEGER:
		lt_text_addf(filler->out, "%lld", (long long)json_integer_value(value));
		break;
	case JSON_REAL:
		lt_text_addf(filler->out, "%.6g", json_real_value(value));
		break;
	case JSON_TRUE:
		lt_text_add(filler->out, "yes");
		break;
	case JSON_FALSE:
		lt_text_add(filler->out, "no");
		break;
	default:
		filler->wrong = true;
	}
}

static void add_part(struct filler *filler, const char *name)
{
	for (const struct lt_template_part *part = filler->parts; part->name != NULL; part++) {
		if (strcmp(part->name, name) == 0) {
			lt_text_add_bytes(filler->out, part->text, part->length);
			return;
		}
	}
	filler->wrong = true;
}

/* The tag that closes the section `open`; false: the template is wrong. */
static bool find_close(struct filler *filler, const struct tag *open, const char *end,
		       struct tag *ret_close)
{
	unsigned inner = 0;
	const char *at = open->end;
	while (next_tag(filler, at, end, ret_close)) {
		at = ret_close->end;
		if (strcmp(ret_close->name, open->name) != 0)
			continue;
		if (ret_close->sign == '/' && inner-- == 0)
			return true;
		if (ret_close->sign == '#' || ret_close->sign == '^')
			inner++;
	}
	filler->wrong = true;
	return false;
}

static void fill(struct filler *filler, const char *at, const char *end);

static void fill_with(struct filler *filler, json_t *context, const char *at, const char *end)
{
	if (filler->depth == DEPTH_MOST) {
		filler->wrong = true;
		return;
	}
	filler->context[filler->depth++] = context;
	fill(filler, at, end);
	filler->depth--;
}

static void fill_section(struct filler *filler, const struct tag *open, const struct tag *close)
{
	json_t *value = look_up(filler, open->name);
	if (open->sign == '^') {
		if (!shows(value))
			fill(filler, open->end, close->start);
		return;
	}
	if (!shows(value))
		return;
	if (!json_is_array(value)) {
		fill_with(filler, value, open->end, close->start);
		return;
	}
	size_t index;
	json_t *item;
	json_array_foreach(value, index, item) fill_with(filler, item, open->end, close->start);
}

/* Recursion is as deep as the sections of the template. */
static void fill(struct filler *filler, const char *at, const char *end)
{
	struct tag tag, close;
	while (!filler->wrong && next_tag(filler, at, end, &tag)) {
		lt_text_add_bytes(filler->out, at, (size_t)(tag.start - at));
		at = tag.end;
		if (tag.sign == '>') {
			add_part(filler, tag.name);
		} else if (tag.sign == 0) {
			add_value(filler, &tag);
		} else if (find_close(filler, &tag, end, &close)) {
			fill_section(filler, &tag, &close);
			at = close.end;
		}
	}
	lt_text_add_bytes(filler->out, at, (size_t)(end - at));
}

bool lt_template_fill(const char *text, size_t length, json_t *data,
		      const struct lt_template_part *parts, struct lt_text *out)
{
	static const struct lt_style style = {.utf8 = true};
	struct filler filler = {
		.text = text, .parts = parts, .out = out, .context = {data}, .depth = 1};
	lt_screen_init(&filler.screen, &style, out);
	fill(&filler, text, text + length);
	lt_screen_deinit(&filler.screen);
	return !filler.wrong;
}
