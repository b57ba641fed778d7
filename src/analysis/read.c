#include "analysis/read.h"

#include "base/utf8.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
	LITERAL_CHARACTERS = 80,
	LITERAL_ITEMS = 8,
	LITERAL_DEPTH = 2,
	STRING_CHUNK = 4096, /* characters of one string that are read at most */
};

/* A str that was found plausible: where its characters lie and how wide they are. */
struct string {
	lt_addr data;
	uint64_t length;
	unsigned width;
};

static bool find_string(const struct lt_view *view, lt_addr object, struct string *ret_string)
{
	const struct lt_layout *layout = view->layout;
	uint32_t state = 0;
	if (object == 0 || !lt_has(layout, LT_PyASCIIObject_state) ||
	    !lt_memory_u32(view->memory, object + lt_off(layout, LT_PyASCIIObject_state), &state))
		return false;
	int64_t length = lt_read_word(view, object, LT_PyASCIIObject_length);
	unsigned width = state >> lt_fact(layout, LT_FACT_unicode_kind_shift) & 7;
	bool compact = state >> lt_fact(layout, LT_FACT_unicode_compact_shift) & 1;
	bool ascii = state >> lt_fact(layout, LT_FACT_unicode_ascii_shift) & 1;
	if (length < 0 || length > INT64_MAX / 8 || (width != 1 && width != 2 && width != 4) ||
	    (ascii && width != 1))
		return false;
	lt_addr data;
	if (!compact)
		data = lt_read_pointer(view, object, LT_PyUnicodeObject_data);
	else if (ascii)
		data = object + lt_off(layout, LT_sizeof_PyASCIIObject);
	else
		data = object + lt_off(layout, LT_sizeof_PyCompactUnicodeObject);
	if (data == 0)
		return false;
	*ret_string = (struct string){.data = data, .length = (uint64_t)length, .width = width};
	return true;
}

static void add_utf8(struct lt_text *text, uint32_t c)
{
	char bytes[LT_UTF8_MAX];
	lt_text_add_bytes(text, bytes, lt_utf8_put(c, bytes));
}

static uint32_t character(const uint8_t *data, unsigned width, size_t i)
{
	uint32_t c = 0;
	memcpy(&c, data + i * width,
	       width); /* x86-64 and aarch64 are little-endian, as the target is */
	return c;
}

static bool printable(uint32_t c)
{
	return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && !(c >= 0xd800 && c < 0xe000) &&
	       !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069) && c < 0x110000;
}

/* The first `limit` characters, widths as they are; free(3). NULL: unreadable. */
static uint8_t *read_characters(const struct lt_view *view, const struct string *string,
				size_t limit, size_t *ret_count)
{
	size_t count = string->length < limit ? (size_t)string->length : limit;
	uint8_t *data = malloc(count * string->width + 1);
	if (data == NULL)
		return NULL;
	if (count > 0 && !lt_memory_get(view->memory, string->data, data, count * string->width)) {
		free(data);
		return NULL;
	}
	*ret_count = count;
	return data;
}

bool lt_read_str(const struct lt_view *view, lt_addr object, size_t limit, struct lt_text *text)
{
	struct string string;
	size_t count = 0;
	if (!find_string(view, object, &string))
		return false;
	LT_FREE uint8_t *data =
		read_characters(view, &string, limit < STRING_CHUNK ? limit : STRING_CHUNK, &count);
	if (data == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		uint32_t c = character(data, string.width, i);
		add_utf8(text, printable(c) ? c : '?');
	}
	if (count < string.length)
		lt_text_add(text, "...");
	return true;
}

bool lt_read_int(const struct lt_view *view, lt_addr object, int64_t *ret_value)
{
	const struct lt_layout *layout = view->layout;
	if (!lt_has(layout, LT_PyLongObject_ob_digit))
		return false;
	bool negative;
	uint64_t digits;
	if (lt_fact(layout, LT_FACT_long_tagged)) {
		uint64_t tag = (uint64_t)lt_read_word(view, object, LT_PyLongObject_lv_tag);
		negative = (tag & 3) == 2;
		digits = tag >> lt_fact(layout, LT_FACT_long_digits_shift);
		if ((tag & 3) == 1)
			digits = 0;
	} else {
		int64_t size = lt_read_word(view, object, LT_PyVarObject_ob_size);
		negative = size < 0;
		digits = size < 0 ? 0 - (uint64_t)size : (uint64_t)size;
	}
	unsigned bits = (unsigned)lt_fact(layout, LT_FACT_long_digit_bits);
	if (digits > 3 || bits == 0 || bits > 32)
		return false;
	uint32_t digit[3] = {0};
	if (digits > 0 &&
	    !lt_memory_get(view->memory, object + lt_off(layout, LT_PyLongObject_ob_digit), digit,
			   (size_t)digits * 4))
		return false;
	uint64_t value = 0;
	for (unsigned i = 0; i < digits; i++) {
		unsigned shift = i * bits;
		if (i == 2 && digit[i] >> (63 - shift) != 0)
			return false;
		value |= (uint64_t)digit[i] << shift;
	}
	*ret_value = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

static bool add_quoted(const struct lt_view *view, lt_addr object, struct lt_text *text)
{
	struct string string;
	size_t count = 0;
	if (!find_string(view, object, &string) || string.length > LITERAL_CHARACTERS)
		return false;
	LT_FREE uint8_t *data = read_characters(view, &string, LITERAL_CHARACTERS, &count);
	if (data == NULL)
		return false;
	/* As repr() chooses: single quotes, unless only double ones need no escape. */
	bool has_single = false, has_double = false;
	for (size_t i = 0; i < count; i++) {
		has_single |= character(data, string.width, i) == '\'';
		has_double |= character(data, string.width, i) == '"';
	}
	char quote = has_single && !has_double ? '"' : '\'';
	lt_text_addf(text, "%c", quote);
	for (size_t i = 0; i < count; i++) {
		uint32_t c = character(data, string.width, i);
		if (c == (uint32_t)quote || c == '\\')
			lt_text_addf(text, "\\%c", (char)c);
		else if (c == '\n')
			lt_text_add(text, "\\n");
		else if (c == '\t')
			lt_text_add(text, "\\t");
		else if (printable(c))
			add_utf8(text, c);
		else if (c < 0x100)
			lt_text_addf(text, "\\x%02" PRIx32, c);
		else if (c < 0x10000)
			lt_text_addf(text, "\\u%04" PRIx32, c);
		else
			lt_text_addf(text, "\\U%08" PRIx32, c);
	}
	lt_text_addf(text, "%c", quote);
	return true;
}

static bool add_bytes(const struct lt_view *view, lt_addr object, struct lt_text *text)
{
	uint64_t size = lt_read_size(view, object);
	uint8_t data[LITERAL_CHARACTERS];
	if (size > sizeof(data) || !lt_has(view->layout, LT_PyBytesObject_ob_sval) ||
	    !lt_memory_get(view->memory, object + lt_off(view->layout, LT_PyBytesObject_ob_sval),
			   data, (size_t)size))
		return false;
	lt_text_add(text, "b'");
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '\'' || data[i] == '\\')
			lt_text_addf(text, "\\%c", data[i]);
		else if (data[i] >= 0x20 && data[i] < 0x7f)
			lt_text_addf(text, "%c", data[i]);
		else
			lt_text_addf(text, "\\x%02x", data[i]);
	}
	lt_text_add(text, "'");
	return true;
}

static bool add_float(const struct lt_view *view, lt_addr object, struct lt_text *text)
{
	double value = 0;
	if (!lt_has(view->layout, LT_PyFloatObject_ob_fval) ||
	    !lt_memory_get(view->memory, object + lt_off(view->layout, LT_PyFloatObject_ob_fval),
			   &value, sizeof(value)))
		return false;
	if (!isfinite(value))
		return false;
	/* The shortest digits that give the same value back, as repr() does. */
	char digits[40];
	for (int precision = 1; precision <= 17; precision++) {
		snprintf(digits, sizeof(digits), "%.*g", precision, value);
		if (strtod(digits, NULL) == value)
			break;
	}
	lt_text_add(text, digits);
	if (strpbrk(digits, ".e") == NULL)
		lt_text_add(text, ".0");
	return true;
}

static bool add_literal(const struct lt_view *view, struct lt_types *types, lt_addr object,
			struct lt_text *text, int depth)
{
	const struct lt_layout *layout = view->layout;
	const struct lt_type *type =
		lt_types_get(types, lt_read_pointer(view, object, LT_PyObject_ob_type));
	if (type == NULL)
		return false;
	/* A subclass has its own repr and perhaps its own equality: only the types themselves count. */
	if (strcmp(type->module, "builtins") == 0 && strcmp(type->name, "bool") == 0) {
		int64_t value = 0;
		if (!lt_read_int(view, object, &value))
			return false;
		lt_text_add(text, value != 0 ? "True" : "False");
		return true;
	}
	if (!type->exact)
		return false;
	if (strcmp(type->name, "NoneType") == 0) {
		lt_text_add(text, "None");
		return true;
	}
	int64_t value = 0;
	switch (type->kind) {
	case LT_KIND_STR:
		return add_quoted(view, object, text);
	case LT_KIND_BYTES:
		return add_bytes(view, object, text);
	case LT_KIND_INT:
		if (!lt_read_int(view, object, &value))
			return false;
		lt_text_addf(text, "%" PRId64, value);
		return true;
	case LT_KIND_FLOAT:
		return add_float(view, object, text);
	case LT_KIND_TUPLE: {
		uint64_t size = lt_read_size(view, object);
		lt_addr item[LITERAL_ITEMS];
		if (depth >= LITERAL_DEPTH || size > LITERAL_ITEMS ||
		    !lt_has(layout, LT_PyTupleObject_ob_item) ||
		    !lt_memory_get(view->memory, object + lt_off(layout, LT_PyTupleObject_ob_item),
				   item, (size_t)size * sizeof(*item)))
			return false;
		lt_text_add(text, "(");
		for (size_t i = 0; i < size; i++) {
			if (i > 0)
				lt_text_add(text, ", ");
			if (!add_literal(view, types, item[i], text, depth + 1))
				return false;
		}
		lt_text_add(text, size == 1 ? ",)" : ")");
		return true;
	}
	default:
		return false;
	}
}

bool lt_read_literal(const struct lt_view *view, struct lt_types *types, lt_addr object,
		     struct lt_text *text)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text literal = {0};
	if (!add_literal(view, types, object, &literal, 0) || literal.failed ||
	    literal.length > 2 * LITERAL_CHARACTERS)
		return false;
	lt_text_add(text, lt_text_get(&literal));
	return true;
}

bool lt_is_identifier(const char *name)
{
	static const char *const keywords[] = {
		"False",  "None",   "True",    "and",      "as",       "assert", "async",
		"await",  "break",  "class",   "continue", "def",      "del",    "elif",
		"else",   "except", "finally", "for",      "from",     "global", "if",
		"import", "in",     "is",      "lambda",   "nonlocal", "not",    "or",
		"pass",   "raise",  "return",  "try",      "while",    "with",   "yield",
	};
	if (name[0] == '\0' || (name[0] >= '0' && name[0] <= '9'))
		return false;
	for (const char *c = name; *c != '\0'; c++) {
		bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
		if (!letter && !(*c >= '0' && *c <= '9'))
			return false;
	}
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strcmp(name, keywords[i]) == 0)
			return false;
	}
	return true;
}
