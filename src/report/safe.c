#include "report/safe.h"

#include <wchar.h>

/*
 * One UTF-8 sequence at `bytes` (RFC 3629: shortest form, no surrogates, up to U+10FFFF). Returns its
 * length, 0 when it is broken. The string's NUL ends a sequence too: no read goes past it.
 */
static size_t decode(const unsigned char *bytes, uint32_t *ret_code)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t form = 0; form < sizeof(forms) / sizeof(forms[0]); form++) {
		if ((bytes[0] & forms[form].mask) != forms[form].lead)
			continue;
		uint32_t code = bytes[0] & (uint32_t)(unsigned char)~forms[form].mask;
		for (size_t i = 1; i <= form; i++) {
			if ((bytes[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (bytes[i] & 0x3f);
		}
		if (code < forms[form].least || code > 0x10ffff ||
		    (code >= 0xd800 && code <= 0xdfff))
			return 0;
		*ret_code = code;
		return form + 1;
	}
	return 0;
}

/* Characters that act on what stands around them instead of being seen (Unicode 15: Bidi_Control, Zl, Zp, Cf). */
static bool acts(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x0000, 0x001f},   {0x007f, 0x009f}, {0x00ad, 0x00ad}, {0x061c, 0x061c},
		{0x180e, 0x180e},   {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
		{0xfe00, 0xfe0f},   {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3},
		{0xe0000, 0xe0fff},
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

static unsigned columns_of(uint32_t code)
{
	if (code < 0x80)
		return 1;
	int width = wcwidth((wchar_t)code);
	return width < 0 ? 0 : (unsigned)width;
}

static void add_escape(struct lt_text *out, uint32_t code)
{
	lt_text_addf(out, code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
}

void lt_safe_add(struct lt_text *out, const char *string, enum lt_charset charset)
{
	const unsigned char *bytes = (const unsigned char *)string;
	while (*bytes != '\0') {
		uint32_t code = *bytes;
		size_t length = decode(bytes, &code);
		bool shown = length == 1 ||
			     (length > 1 && (charset == LT_UTF8_FILE ||
					     (charset == LT_UTF8 && columns_of(code) > 0)));
		if (shown && !acts(code))
			lt_text_add_bytes(out, (const char *)bytes, length);
		else
			add_escape(out, code);
		bytes += length == 0 ? 1 : length;
	}
}

void lt_valid_add(struct lt_text *out, const char *string)
{
	const unsigned char *bytes = (const unsigned char *)string;
	while (*bytes != '\0') {
		uint32_t code = *bytes;
		size_t length = decode(bytes, &code);
		if (length > 0)
			lt_text_add_bytes(out, (const char *)bytes, length);
		else
			add_escape(out, code);
		bytes += length == 0 ? 1 : length;
	}
}

unsigned lt_safe_columns(const char *safe)
{
	unsigned columns = 0;
	for (const unsigned char *bytes = (const unsigned char *)safe; *bytes != '\0';) {
		uint32_t code = *bytes;
		size_t length = decode(bytes, &code);
		columns += length == 0 ? 1 : columns_of(code);
		bytes += length == 0 ? 1 : length;
	}
	return columns;
}

size_t lt_safe_prefix(const char *safe, unsigned columns)
{
	const unsigned char *bytes = (const unsigned char *)safe;
	size_t taken = 0;
	unsigned used = 0;
	while (bytes[taken] != '\0') {
		uint32_t code = bytes[taken];
		size_t length = decode(bytes + taken, &code);
		unsigned width = length == 0 ? 1 : columns_of(code);
		if (taken > 0 && used + width > columns)
			break;
		used += width;
		taken += length == 0 ? 1 : length;
	}
	return taken;
}
