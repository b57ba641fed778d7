/* Parts of the exports: templates, names, formats. */
#include "report/format.h"
#include "report/names.h"
#include "report/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct lt_template_part parts[] = {{"raw", "<b>&", 4}, {NULL, NULL, 0}};

/* What the template makes of the JSON text; "WRONG" for a template that is. */
static const char *filled(const char *text, const char *json)
{
	static char result[4096];
	json_error_t error;
	json_t *data = json_loads(json, 0, &error);
	assert_non_null(data);
	struct lt_text out = {0};
	bool right = lt_template_fill(text, strlen(text), data, parts, &out);
	snprintf(result, sizeof(result), "%s", right ? lt_text_get(&out) : "WRONG");
	assert_false(out.failed);
	lt_text_deinit(&out);
	json_decref(data);
	return result;
}

static void test_values(void **state)
{
	(void)state;
	assert_string_equal(filled("", "{}"), "");
	assert_string_equal(filled("as it is } { }}", "{}"), "as it is } { }}");
	assert_string_equal(filled("[{{a}}{{b}}{{c}}]", "{\"a\": 12, \"b\": null}"), "[12]");
	assert_string_equal(filled("{{a}} {{b}}", "{\"a\": true, \"b\": 0.5}"), "yes 0.5");
	assert_string_equal(filled("{{a|bytes}}, {{b|count}}, {{c|share}}, {{c|percent}}",
				   "{\"a\": 1536, \"b\": 1234567, \"c\": 0.125}"),
			    "1.5 KiB, 1,234,567, 12.5 %, 12.50");
}

static void test_everything_is_escaped(void **state)
{
	(void)state;
	assert_string_equal(filled("{{a}}", "{\"a\": \"<a href='x' b=\\\"y\\\">&amp;\"}"),
			    "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;amp;");
	assert_string_equal(filled("{{a}}", "{\"a\": \"{{b}}{{>raw}}\", \"b\": 1}"),
			    "{{b}}{{&gt;raw}}");
	assert_string_equal(filled("{{a}}", "{\"a\": \"x\\u0007\\u202ey\"}"), "x\\x07\\u202ey");
	/* Whatever the locale. */
	assert_string_equal(filled("{{a}}", "{\"a\": \"2 \\u00d7 caf\\u00e9\"}"),
			    "2 \u00d7 caf\u00e9");
	assert_string_equal(filled("{{>raw}}", "{}"), "<b>&");
}

static void test_sections(void **state)
{
	(void)state;
	assert_string_equal(filled("{{#a}}<{{.}}>{{/a}}", "{\"a\": [1, \"b\"]}"), "<1><b>");
	assert_string_equal(filled("{{#a}}{{x}}{{y}};{{/a}}",
				   "{\"a\": [{\"x\": 1}, {\"x\": 2, \"y\": 3}], \"y\": 9}"),
			    "19;23;");
	assert_string_equal(filled("{{#a}}{{b}}{{/a}}{{^a}}none{{/a}}", "{\"a\": {\"b\": 1}}"),
			    "1");
	assert_string_equal(filled("{{#a}}x{{/a}}{{^a}}none{{/a}}", "{\"a\": []}"), "none");
	assert_string_equal(filled("{{#a}}x{{/a}}{{^a}}none{{/a}}", "{\"a\": 0}"), "none");
	assert_string_equal(filled("{{#a}}{{#a}}{{b}}{{/a}}{{/a}}",
				   "{\"a\": {\"b\": 1, \"a\": [{\"b\": 2}, {\"b\": 3}]}}"),
			    "23");
	assert_string_equal(filled("x\n{{#a}}\ny\n{{/a}}\nz\n", "{\"a\": true}"), "x\ny\nz\n");
	/* What an item says is null is not looked for further out. */
	assert_string_equal(filled("{{#a}}[{{b}}]{{/a}}", "{\"a\": [{\"b\": null}], \"b\": 1}"),
			    "[]");
}

static void test_wrong_templates(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"{{a", "{{#a}}x", "{{}}", "{{a|none}}", "{{>none}}", "{{list}}",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_string_equal(filled(wrong[i], "{\"a\": 1, \"list\": [1]}"), "WRONG");
}

static void test_names(void **state)
{
	(void)state;
	struct lt_names names = {.most = 1000};
	char text[32];
	uint32_t name;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 1000; i++) {
			snprintf(text, sizeof(text), "name %u", i);
			assert_true(lt_names_add(&names, text, &name));
			assert_int_equal(name, i);
		}
	}
	assert_true(lt_names_add(&names, "one too many", &name));
	assert_true(name == LT_NAMES_NONE);
	assert_int_equal(lt_names_count(&names), 1000);
	assert_string_equal(lt_names_at(&names, 999), "name 999");
	lt_names_deinit(&names);

	struct lt_names small = {.most = 1};
	char long_text[100] = "";
	memset(long_text, 'x', sizeof(long_text) - 1);
	assert_true(lt_names_add(&small, long_text, &name));
	assert_true(name == LT_NAMES_NONE);
	assert_true(lt_names_add(&small, "", &name));
	assert_int_equal(name, 0);
	lt_names_deinit(&small);
}

static void test_formats(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		enum lt_format format;
	} known[] = {
		{"report.html", LT_FORMAT_HTML},   {"/a/b/x.HTM", LT_FORMAT_HTML},
		{"x.tide", LT_FORMAT_TIDE},        {"x.tar.dot", LT_FORMAT_DOT},
		{"x.gv", LT_FORMAT_DOT},           {"x.json", LT_FORMAT_JSON},
		{"x.txt", LT_FORMAT_TEXT},         {"y.heapsnapshot", LT_FORMAT_HEAPSNAPSHOT},
		{"a.html/b.json", LT_FORMAT_JSON},
	};
	enum lt_format format;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_true(lt_format_of_file(known[i].path, &format));
		assert_int_equal(format, known[i].format);
	}
	static const char *const unknown[] = {"html", ".html", "a/.dot", "x.html.gz",
					      "",     "x.",    "-"};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_false(lt_format_of_file(unknown[i], &format));
	assert_false(lt_format_of_file(NULL, &format));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),   cmocka_unit_test(test_everything_is_escaped),
		cmocka_unit_test(test_sections), cmocka_unit_test(test_wrong_templates),
		cmocka_unit_test(test_names),    cmocka_unit_test(test_formats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
