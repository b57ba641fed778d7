/* Snapshot files that were put together by hand: a good one becomes a picture, a hostile one a sentence. */
#include "analysis/tide_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { NODES = 4 };

/* What is wrong with a file. */
enum flaw {
	NONE,
	UNKNOWN_TYPE, /* not wrong: a type that could not be read */
	UNKNOWN_MEMBER,
	UNKNOWN_KIND, /* neither: of a later release */
	LAST_GOOD = UNKNOWN_KIND,
	ADDRESS_ORDER,
	ADDRESS_ODD,
	ADDRESS_HIGH,
	TARGET_BEYOND,
	LABELS_SHORT,
	LABELS_LONG,
	LABELS_FEWER_ROWS,
	NAME_BEYOND,
	ROOT_FRAME_BEYOND,
	ROOT_KIND,
	ROOT_INTERPRETER,
	THREAD_INTERPRETER,
	FRAME_THREAD,
	GENERATION,
	OBJECT_COUNT,
	DETAIL_ORDER,
	DETAIL_ROWS,
	TYPE_IDS,
	SCANNED_BEYOND,
	UNVISITED_BEYOND,
	NO_PID,
	NO_TYPES,
	FLAW_COUNT
};

static char path[] = "/tmp/lowtide-unit-XXXXXX/picture.tide";

struct making {
	struct lt_store_writer *writer;
	enum flaw flaw;
};

static uint32_t column(struct making *m, const char *name, unsigned width, bool lists,
		       enum lt_store_coding coding)
{
	const struct lt_store_spec spec = {
		.name = name, .width = width, .lists = lists, .coding = coding};
	uint32_t number;
	assert_int_equal(lt_store_put_column(m->writer, &spec, &number), LT_OK);
	return number;
}

static void items(struct making *m, const char *name, unsigned width, const void *data,
		  size_t count)
{
	uint32_t number = column(m, name, width, false, LT_STORE_PLAIN);
	if (count > 0)
		assert_int_equal(lt_store_put_items(m->writer, number, data, count), LT_OK);
}

static void meta(struct making *m, const char *key, int64_t value)
{
	assert_int_equal(lt_store_put_meta(m->writer, key, lt_store_integer(value)), LT_OK);
}

/* A row is given as text: numbers, and 'words'. */
static void table(struct making *m, const char *definition, const char *const *rows)
{
	uint32_t number;
	assert_int_equal(lt_store_put_table(m->writer, definition, &number), LT_OK);
	for (; *rows != NULL; rows++) {
		char line[512], *at = line;
		struct lt_store_value values[24];
		size_t count = 0;
		snprintf(line, sizeof(line), "%s", *rows);
		for (char *word; (word = strsep(&at, " ")) != NULL;) {
			char *end;
			long long value = strtoll(word, &end, 0);
			values[count++] =
				*end == '\0' ? lt_store_integer(value) : lt_store_text(word);
		}
		assert_int_equal(lt_store_put_row(m->writer, number, values, count), LT_OK);
	}
}

#define ROWS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void put_tables(struct making *m)
{
	enum flaw flaw = m->flaw;
	assert_int_equal(lt_store_put_meta(m->writer, "python", lt_store_text("3.12.1")), LT_OK);
	if (flaw != NO_PID)
		meta(m, "pid", 4242);
	meta(m, "mode", 0);
	meta(m, "objects", flaw == OBJECT_COUNT ? NODES + 1 : NODES);
	table(m, "members (id INTEGER, name TEXT)",
	      ROWS(flaw == UNKNOWN_MEMBER ? "0 of_a_later_release" : "0 cell_contents"));
	table(m, "details (id INTEGER, name TEXT)", ROWS("0 length", "1 string"));
	if (flaw != NO_TYPES)
		table(m,
		      "types (id INTEGER, address INTEGER, module TEXT, name TEXT, kind TEXT, "
		      "flags "
		      "INTEGER, tp_flags INTEGER, basicsize INTEGER, itemsize INTEGER, base "
		      "INTEGER, "
		      "metatype INTEGER, objects INTEGER, bytes INTEGER, tracked_objects INTEGER, "
		      "tracked_bytes INTEGER, permanent_objects INTEGER, permanent_bytes INTEGER)",
		      ROWS("0 4096 builtins dict DICT 1 0 64 0 0 0 2 200 2 200 0 0",
			   flaw == TYPE_IDS ? "2 8192 builtins str STR 1 0 64 0 0 0 2 100 0 0 0 0"
			   : flaw == UNKNOWN_KIND
				   ? "1 8192 builtins str RUNE 1 0 64 0 0 0 2 100 0 0 0 0"
				   : "1 8192 builtins str STR 1 0 64 0 0 0 2 100 0 0 0 0"));
	table(m,
	      "collectors (interpreter INTEGER, enabled INTEGER, collecting INTEGER, tracked "
	      "INTEGER, "
	      "frozen INTEGER, garbage INTEGER, callbacks INTEGER, debug INTEGER, long_lived_total "
	      "INTEGER, long_lived_pending INTEGER, incremental INTEGER)",
	      ROWS("0 1 0 2 0 0 0 0 0 0 0"));
	table(m,
	      "generations (interpreter INTEGER, generation INTEGER, threshold INTEGER, usual "
	      "INTEGER, count INTEGER, collections INTEGER, collected INTEGER, uncollectable "
	      "INTEGER)",
	      ROWS(flaw == GENERATION ? "0 7 700 700 1 2 3 4" : "0 0 700 700 1 2 3 4"));
	table(m, "interpreters (id INTEGER, address INTEGER)", ROWS("0 65536"));
	table(m,
	      "threads (interpreter INTEGER, address INTEGER, thread_id INTEGER, native_id "
	      "INTEGER, "
	      "holds_gil INTEGER)",
	      ROWS(flaw == THREAD_INTERPRETER ? "1 65600 77 78 1" : "0 65600 77 78 1"));
	table(m,
	      "frames (interpreter INTEGER, thread INTEGER, depth INTEGER, address INTEGER, code "
	      "INTEGER, locals INTEGER, stack INTEGER, line INTEGER, function TEXT, file TEXT)",
	      ROWS(flaw == FRAME_THREAD ? "0 1 0 70000 0 1 0 12 main app.py"
					: "0 0 0 70000 0 1 0 12 main app.py"));
	table(m,
	      "roots (address INTEGER, kind TEXT, interpreter INTEGER, frame INTEGER, position "
	      "INTEGER, count INTEGER, at INTEGER, name TEXT, variable TEXT)",
	      ROWS(flaw == ROOT_KIND          ? "1048576 nowhere 0 0 0 1 0 modules -x"
		   : flaw == ROOT_INTERPRETER ? "1048576 modules 9 0 0 1 0 modules -x"
					      : "1048576 modules 0 0 0 1 0 modules -x",
		   flaw == ROOT_FRAME_BEYOND ? "1048640 local 0 5 0 1 0 variable held"
					     : "1048640 local 0 0 0 1 0 variable held"));
	table(m,
	      "unvisited (type INTEGER, collected INTEGER, edges INTEGER, source INTEGER, target "
	      "INTEGER, position INTEGER, objects INTEGER, bytes INTEGER, tracked INTEGER)",
	      ROWS(flaw == UNVISITED_BEYOND ? "0 0 1 0 9 16 1 100 1" : "0 0 1 0 1 16 1 100 1"));
}

static void put_columns(struct making *m)
{
	enum flaw flaw = m->flaw;
	uint64_t address[NODES] = {1048576, 1048640, 1048704, 1048768};
	uint32_t type[NODES] = {0, 0, 1, 1};
	const uint64_t size[NODES] = {100, 100, 50, (uint64_t)1 << 40};
	const uint8_t flags[NODES] = {LT_NODE_TRACKED, LT_NODE_TRACKED, 0, 0};
	const uint8_t alive[NODES] = {1, 1, 1, 1};
	const int32_t external[NODES] = {1, 0, 0, LT_TIDE_NO_COUNT};
	uint32_t target[2] = {2, 1};
	/* Key, and the value under it; a value whose name is given. */
	uint8_t labels[3] = {LT_REF_KEY, LT_REF_VALUE | 64, 0};
	uint32_t names[1] = {2};
	if (flaw == ADDRESS_ORDER)
		address[2] = address[1];
	if (flaw == ADDRESS_ODD)
		address[1] += 4;
	if (flaw == ADDRESS_HIGH)
		address[3] = (uint64_t)1 << 60;
	if (flaw == UNKNOWN_TYPE)
		type[3] = UINT32_MAX;
	if (flaw == TARGET_BEYOND)
		target[1] = NODES;
	if (flaw == NAME_BEYOND)
		names[0] = NODES;
	if (flaw == UNKNOWN_MEMBER)
		labels[0] = LT_REF_MEMBER;
	items(m, LT_TIDE_ADDRESS, 8, address, NODES);
	items(m, LT_TIDE_TYPE, 4, type, NODES);
	items(m, LT_TIDE_SIZE, 8, size, NODES);
	items(m, LT_TIDE_FLAGS, 1, flags, NODES);
	items(m, LT_TIDE_ALIVE, 1, alive, NODES);
	items(m, LT_TIDE_EXTERNAL, 4, external, NODES);
	items(m, LT_TIDE_NAMES, 4, names, 1);
	uint32_t targets = column(m, LT_TIDE_TARGETS, 4, true, LT_STORE_RELATIVE);
	uint32_t bytes = column(m, LT_TIDE_LABELS, 1, true, LT_STORE_PLAIN);
	for (int node = 0; node < NODES; node++) {
		size_t count = node == 0 ? 2 : 0, length = count;
		if (node == 0 && flaw == LABELS_SHORT)
			length = 1;
		if (node == 0 && flaw == LABELS_LONG)
			length = 3;
		assert_int_equal(lt_store_put_list(m->writer, targets, target, count), LT_OK);
		if (node < NODES - 1 || flaw != LABELS_FEWER_ROWS)
			assert_int_equal(lt_store_put_list(m->writer, bytes, labels, length),
					 LT_OK);
	}
	const uint32_t number_node[2] = {flaw == DETAIL_ORDER ? 3 : 0, 1};
	const uint8_t number_detail[2] = {0, 9};
	const int64_t number_value[2] = {77, 5};
	items(m, LT_TIDE_NUMBER_NODE, 4, number_node, 2);
	items(m, LT_TIDE_NUMBER_DETAIL, 1, number_detail, flaw == DETAIL_ROWS ? 1 : 2);
	items(m, LT_TIDE_NUMBER_VALUE, 8, number_value, 2);
	const uint32_t text_node = 2;
	const uint8_t text_detail = LT_TIDE_PLAIN_STRING;
	items(m, LT_TIDE_TEXT_NODE, 4, &text_node, 1);
	items(m, LT_TIDE_TEXT_DETAIL, 1, &text_detail, 1);
	uint32_t texts = column(m, LT_TIDE_TEXT_VALUE, 1, true, LT_STORE_PLAIN);
	assert_int_equal(lt_store_put_list(m->writer, texts, "shop", 4), LT_OK);
	const uint32_t scanned = flaw == SCANNED_BEYOND ? NODES : 0;
	items(m, LT_TIDE_SCANNED_FROM, 4, &scanned, 1);
	items(m, LT_TIDE_SCANNED_TO, 4, &scanned, 1);
}

static void make(struct lt_session *session, enum flaw flaw)
{
	struct making m = {.flaw = flaw};
	assert_int_equal(lt_store_create(session, path, LT_TIDE_SCHEMA, &m.writer), LT_OK);
	put_tables(&m);
	put_columns(&m);
	assert_int_equal(lt_store_commit(m.writer), LT_OK);
}

/* All that an analysis may ask, whatever comes of it. */
static void ask_everything(const struct lt_picture *picture)
{
	struct lt_refs refs = {0};
	struct lt_text text = {0};
	int64_t value;
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		lt_picture_refs(picture, node, &refs);
		(void)lt_picture_type_of_class(picture, node);
		for (int detail = 0; detail < LT_DETAIL_COUNT; detail++) {
			(void)lt_picture_number(picture, node, (enum lt_detail)detail, &value);
			(void)lt_picture_text(picture, node, (enum lt_detail)detail, &text);
		}
	}
	lt_refs_deinit(&refs);
	lt_text_deinit(&text);
}

static enum lt_status look(struct lt_session *session, struct lt_subject **ret_subject)
{
	LT_TRY(lt_subject_open(session, path, NULL, ret_subject));
	LT_TRY(lt_subject_picture(*ret_subject, LT_PICTURE_WEIGHED));
	ask_everything(&(*ret_subject)->picture);
	return lt_subject_status(*ret_subject, LT_OK);
}

static void check_good(const struct lt_subject *subject)
{
	const struct lt_picture *picture = &subject->picture;
	struct lt_refs refs = {0};
	struct lt_text text = {0};
	int64_t value = 0;
	assert_int_equal(subject->identity.pid, 4242);
	assert_string_equal(subject->identity.python, "3.12.1");
	assert_int_equal(subject->collectors[0].generations[0].threshold, 700);
	assert_int_equal(picture->roots.frames.count, 1);
	assert_string_equal(picture->roots.list.data[1].variable, "held");
	assert_int_equal(lt_heap_graph_size(&picture->graph, 3), (uint64_t)1 << 40);
	assert_int_equal(picture->retained[0], 150);
	lt_picture_refs(picture, 0, &refs);
	assert_int_equal(refs.count, 2);
	assert_int_equal(refs.data[0].kind, LT_REF_KEY);
	assert_int_equal(refs.data[1].kind, LT_REF_VALUE);
	assert_int_equal(refs.data[1].to, 1048640);
	assert_int_equal(refs.data[1].name, 1048704);
	assert_true(lt_picture_number(picture, 0, LT_DETAIL_LENGTH, &value));
	assert_int_equal(value, 77);
	assert_true(lt_picture_number(picture, 1, LT_DETAIL_LENGTH, &value));
	assert_int_equal(value, 0);
	assert_true(lt_picture_number(picture, 2, LT_DETAIL_REFCOUNT, &value));
	assert_int_equal(value, 1);
	assert_false(lt_picture_number(picture, 3, LT_DETAIL_REFCOUNT, &value));
	assert_true(lt_picture_text(picture, 2, LT_DETAIL_LITERAL, &text));
	assert_string_equal(lt_text_get(&text), "'shop'");
	assert_false(lt_picture_text(picture, 3, LT_DETAIL_STRING, &text));
	lt_refs_deinit(&refs);
	lt_text_deinit(&text);
}

static void test_files(void **unused)
{
	(void)unused;
	for (int flaw = 0; flaw < FLAW_COUNT; flaw++) {
		struct lt_session session;
		struct lt_subject *subject = NULL;
		lt_session_init(&session);
		make(&session, (enum flaw)flaw);
		enum lt_status status = look(&session, &subject);
		if (flaw <= LAST_GOOD) {
			assert_int_equal(status, LT_OK);
			if (flaw == NONE)
				check_good(subject);
		} else {
			if (status != LT_E_FILE)
				print_message("flaw %d: %s\n", flaw, lt_status_name(status));
			assert_int_equal(status, LT_E_FILE);
			assert_true(session.message[0] != '\0');
		}
		lt_subject_close(subject);
		lt_session_deinit(&session);
		assert_int_equal(unlink(path), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_files)};
	char *slash = strrchr(path, '/');
	*slash = '\0';
	if (mkdtemp(path) == NULL)
		return 1;
	*slash = '/';
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	*slash = '\0';
	return rmdir(path) == 0 ? failed : 1;
}
