/*
 * Strings made harmless, and the figures and paragraphs of text reports.
 */
#include "report/safe.h"
#include "report/screen.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

static void assert_safe(const char *string, enum lt_charset charset, const char *expected)
{
	struct lt_text text = {0};
	lt_safe_add(&text, string, charset);
	assert_string_equal(lt_text_get(&text), expected);
	lt_text_deinit(&text);
}

static void assert_valid(const char *string, const char *expected)
{
	struct lt_text text = {0};
	lt_valid_add(&text, string);
	assert_string_equal(lt_text_get(&text), expected);
	lt_text_deinit(&text);
}

static void test_plain_text_stays(void **state)
{
	(void)state;
	assert_safe("", LT_UTF8, "");
	assert_safe("sys.modules['shop'] ~!\"\\", LT_ASCII, "sys.modules['shop'] ~!\"\\");
	assert_safe("Caf\u00e9 \u5546\u54c1 \U0001f600", LT_UTF8,
		    "Caf\u00e9 \u5546\u54c1 \U0001f600");
	assert_safe("Caf\u00e9 \u5546\u54c1 \U0001f600", LT_ASCII,
		    "Caf\\xe9 \\u5546\\u54c1 \\U0001f600");
}

static void test_what_acts_on_a_terminal_is_shown(void **state)
{
	(void)state;
	assert_safe("\x1b[31m\a\b\r\n\t\x7f", LT_UTF8, "\\x1b[31m\\x07\\x08\\x0d\\x0a\\x09\\x7f");
	assert_safe("\xc2\x85\xc2\x9b"
		    "1m",
		    LT_UTF8, "\\x85\\x9b1m");
	assert_safe("\u202e\u2066\u200f\u200b\ufeff\u2028\u061c", LT_UTF8,
		    "\\u202e\\u2066\\u200f\\u200b\\ufeff\\u2028\\u061c");
	assert_safe("\U000e0041", LT_UTF8, "\\U000e0041");
	assert_safe("e\u0301", LT_UTF8,
		    "e\\u0301"); /* no width of its own: it would change what stands before it */
}

static void test_broken_utf8_is_shown(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *shown;
	} cases[] = {
		{"\xff", "\\xff"},
		{"\x80", "\\x80"},
		{"a\xc3", "a\\xc3"},
		{"\xe2\x82", "\\xe2\\x82"},
		{"\xf0\x9f\x98", "\\xf0\\x9f\\x98"},
		{"\xc3(", "\\xc3("},
		{"\xc0\xaf", "\\xc0\\xaf"}, /* overlong */
		{"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
		{"\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* past U+10FFFF */
		{"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_safe(cases[i].bytes, LT_UTF8, cases[i].shown);
		assert_safe(cases[i].bytes, LT_ASCII, cases[i].shown);
		assert_valid(cases[i].bytes, cases[i].shown);
	}
	assert_valid("\x1b\u202e\xff", "\x1b\u202e\\xff");
}

/* A small generator of its own, so that every run sees the same bytes. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void test_random_bytes(void **state)
{
	(void)state;
	uint32_t seed = 1;
	for (int round = 0; round < 20000; round++) {
		char bytes[24] = "";
		size_t length = next_random(&seed) % (sizeof(bytes) - 1);
		for (size_t i = 0; i < length; i++)
			bytes[i] =
				(char)(next_random(&seed) % 3 == 0 ? 0x80 + next_random(&seed) % 128
								   : 1 + next_random(&seed) % 255);
		struct lt_text text = {0};
		lt_safe_add(&text, bytes, LT_UTF8);
		wchar_t wide[256];
		size_t characters = mbstowcs(wide, lt_text_get(&text), 256);
		assert_true(characters < 256); /* valid for the C library too */
		unsigned columns = 0;
		for (size_t i = 0; i < characters; i++) {
			int width = wcwidth(wide[i]);
			assert_in_range(width, 1, 2);
			columns += (unsigned)width;
		}
		assert_int_equal(lt_safe_columns(lt_text_get(&text)), columns);
		for (unsigned most = 1; most < columns; most++) {
			char start[256] = "";
			size_t taken = lt_safe_prefix(lt_text_get(&text), most);
			memcpy(start, lt_text_get(&text), taken);
			assert_in_range(lt_safe_columns(start), 1, most < 2 ? 2 : most);
		}
		lt_text_clear(&text);
		lt_safe_add(&text, bytes, LT_ASCII);
		for (size_t i = 0; i < text.length; i++)
			assert_in_range(text.data[i], 0x20, 0x7e);
		lt_text_clear(&text);
		lt_valid_add(&text, bytes);
		assert_true(mbstowcs(wide, lt_text_get(&text), 256) < 256);
		lt_text_deinit(&text);
	}
}

static void test_figures(void **state)
{
	(void)state;
	struct lt_style style = {.utf8 = true};
	struct lt_text out = {0};
	struct lt_screen screen;
	lt_screen_init(&screen, &style, &out);
	assert_string_equal(lt_screen_bytes(&screen, 0), "0 B");
	assert_string_equal(lt_screen_bytes(&screen, 1023), "1023 B");
	assert_string_equal(lt_screen_bytes(&screen, 1024), "1.0 KiB");
	assert_string_equal(lt_screen_bytes(&screen, 1024 * 1024 - 1), "1.0 MiB");
	assert_string_equal(lt_screen_bytes(&screen, UINT64_MAX), "16.0 EiB");
	assert_string_equal(lt_screen_count(&screen, 0), "0");
	assert_string_equal(lt_screen_count(&screen, 999), "999");
	assert_string_equal(lt_screen_count(&screen, 1000), "1,000");
	assert_string_equal(lt_screen_count(&screen, UINT64_MAX), "18,446,744,073,709,551,615");
	assert_string_equal(lt_screen_share(&screen, 0), "0.0 %");
	assert_string_equal(lt_screen_share(&screen, 0.0001), "< 0.1 %");
	assert_string_equal(lt_screen_share(&screen, 1), "100.0 %");
	assert_string_equal(lt_screen_age(&screen, 0), "0 s");
	assert_string_equal(lt_screen_age(&screen, 59999), "59 s");
	assert_string_equal(lt_screen_age(&screen, 3599999), "59 min 59 s");
	assert_string_equal(lt_screen_age(&screen, 7980000), "2 h 13 min");
	assert_string_equal(lt_screen_age(&screen, 86400000), "1 d 0 h");
	assert_string_equal(lt_screen_milliseconds(&screen, 14.82), "14.8 ms");
	assert_string_equal(lt_screen_milliseconds(&screen, 250), "250 ms");
	assert_string_equal(lt_screen_milliseconds(&screen, 1500), "1.50 s");
	assert_false(out.failed);
	lt_screen_deinit(&screen);
	lt_text_deinit(&out);
}

static void assert_paragraph(unsigned width, const char *text, const char *expected)
{
	struct lt_style style = {.utf8 = true, .width = width};
	struct lt_text out = {0};
	struct lt_screen screen;
	lt_screen_init(&screen, &style, &out);
	lt_screen_paragraph(&screen, 2, "fix", 8, text);
	assert_string_equal(lt_text_get(&out), expected);
	lt_screen_deinit(&screen);
	lt_text_deinit(&out);
}

static void test_paragraphs(void **state)
{
	(void)state;
	assert_paragraph(40, "", "  fix   \n");
	assert_paragraph(40, "one", "  fix   one\n");
	assert_paragraph(40, "one two three four five six seven eight",
			 "  fix   one two three four five six\n"
			 "        seven eight\n");
	assert_paragraph(1, "one two three four five six seven eight",
			 "  fix   one two three four five six\n"
			 "        seven eight\n");
	assert_paragraph(40, "a xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx b",
			 "  fix   a\n        xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n  "
			 "      b\n");
	assert_paragraph(40, "one\ntwo", "  fix   one\n        two\n");
}

static void test_cut(void **state)
{
	(void)state;
	struct lt_style style = {.utf8 = true};
	struct lt_text out = {0};
	struct lt_screen screen;
	lt_screen_init(&screen, &style, &out);
	assert_string_equal(lt_screen_cut(&screen, "abcdef", 6), "abcdef");
	assert_string_equal(lt_screen_cut(&screen, "abcdef", 5), "abcd\u2026");
	assert_string_equal(lt_screen_cut(&screen, "\u5546\u54c1\u5546", 5), "\u5546\u54c1\u2026");
	assert_string_equal(lt_screen_cut(&screen, "\u5546\u54c1\u5546", 4), "\u5546\u2026");
	style.utf8 = false;
	assert_string_equal(lt_screen_cut(&screen, "abcdef", 5), "ab...");
	lt_screen_deinit(&screen);
	lt_text_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_text_stays),
		cmocka_unit_test(test_what_acts_on_a_terminal_is_shown),
		cmocka_unit_test(test_broken_utf8_is_shown),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_paragraphs),
		cmocka_unit_test(test_cut),
	};
	/* Widths of characters are those of the locale. */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
