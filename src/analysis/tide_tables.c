/* What a snapshot file has in tables: who was looked at, types, collectors, interpreters, frames, roots. */
#include "analysis/tide_parts.h"

#include "base/cleanup.h"

#include <string.h>
#include <time.h>

enum {
	TYPES_MAX = 1 << 22,
	FRAMES_MAX = 1 << 20,
	ROOTS_MAX = 1 << 27,
	VALUES_MAX = 24,
};

/* Flags of a type. */
enum {
	EXACT = 1,
	TYPE_TYPE = 2,
	HEAP_TYPE = 4,
	PYTHON_CLASS = 8,
	GC = 16,
	HAS_IS_GC = 32,
};

/* ---- Writing ---- */

struct row {
	struct lt_store_writer *writer;
	struct lt_store_value values[VALUES_MAX];
	size_t count;
};

static void add_integer(struct row *row, int64_t value)
{
	row->values[row->count++] = lt_store_integer(value);
}

static void add_text(struct row *row, const char *text)
{
	row->values[row->count++] = lt_store_text(text);
}

static enum lt_status end_row(struct row *row, uint32_t table)
{
	enum lt_status status = lt_store_put_row(row->writer, table, row->values, row->count);
	row->count = 0;
	return status;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

enum lt_status lt_tide_redact_roots(struct lt_session *session, struct lt_roots *roots)
{
	for (size_t i = 0; i < roots->frames.count; i++)
		roots->frames.data[i].file = base_name(roots->frames.data[i].file);
	for (size_t i = 0; i < roots->list.count; i++) {
		struct lt_root *root = &roots->list.data[i];
		char placeholder[32];
		int length = snprintf(placeholder, sizeof(placeholder), "local#%u", root->index);
		if (root->kind != LT_ROOT_LOCAL)
			root->variable = NULL;
		if (root->variable == NULL)
			continue;
		root->variable = lt_arena_copy(&roots->strings, placeholder, (size_t)length);
		if (root->variable == NULL)
			return lt_fail_memory(session);
	}
	return LT_OK;
}

static enum lt_status put_text(struct lt_store_writer *writer, const char *key, const char *text)
{
	return lt_store_put_meta(writer, key, lt_store_text(text));
}

static enum lt_status put_integer(struct lt_store_writer *writer, const char *key, uint64_t value)
{
	return lt_store_put_meta(writer, key,
				 lt_store_integer(value > INT64_MAX ? INT64_MAX : (int64_t)value));
}

enum { REGION_KEY = 32 };

static const char *region_key(enum lt_region region, char key[REGION_KEY])
{
	snprintf(key, REGION_KEY, "region_%s", lt_region_name(region));
	return key;
}

static enum lt_status put_meta(struct lt_store_writer *writer, const struct lt_subject *subject,
			       bool redact)
{
	const struct lt_identity *identity = &subject->identity;
	const struct lt_picture *picture = &subject->picture;
	LT_TRY(put_integer(writer, "taken", (uint64_t)time(NULL)));
	LT_TRY(put_integer(writer, "redacted", redact));
	LT_TRY(put_integer(writer, "pid", (uint64_t)identity->pid));
	LT_TRY(put_text(writer, "python", identity->python));
	LT_TRY(put_text(writer, "command_line", redact ? "" : identity->command_line));
	LT_TRY(put_text(writer, "executable",
			redact ? base_name(identity->executable) : identity->executable));
	LT_TRY(put_integer(writer, "uptime_ms", identity->uptime_ms));
	LT_TRY(put_integer(writer, "rss_bytes", identity->rss_bytes));
	LT_TRY(put_integer(writer, "anonymous_bytes", identity->anonymous_bytes));
	for (int region = 0; region < LT_REGION_COUNT; region++) {
		char key[REGION_KEY];
		LT_TRY(put_integer(writer, region_key((enum lt_region)region, key),
				   identity->region_bytes[region]));
	}
	LT_TRY(put_integer(writer, "threads", identity->thread_count));
	LT_TRY(put_integer(writer, "mode", (uint64_t)identity->mode));
	LT_TRY(put_integer(writer, "unreadable", subject->session->unreadable));
	LT_TRY(put_integer(writer, "objects", picture->graph.graph.node_count));
	LT_TRY(put_integer(writer, "total_bytes", picture->graph.total_bytes));
	LT_TRY(put_integer(writer, "tracked", picture->graph.tracked));
	LT_TRY(put_integer(writer, "permanent", picture->graph.permanent));
	LT_TRY(put_integer(writer, "conservative", picture->graph.conservative_refs));
	LT_TRY(put_integer(writer, "native_bytes", picture->native.bytes));
	LT_TRY(put_integer(writer, "native_skipped", picture->native.skipped));
	return put_integer(writer, "proved", picture->graph.proved);
}

/* The numbers that the columns use for members and details, with what they stand for. */
static enum lt_status put_words(struct lt_store_writer *writer)
{
	struct row row = {.writer = writer};
	uint32_t table;
	LT_TRY(lt_store_put_table(writer, "members (id INTEGER, name TEXT)", &table));
	for (int i = 0; i < LT_MEMBER_COUNT; i++) {
		add_integer(&row, i);
		add_text(&row, lt_member_name((enum lt_member)i));
		LT_TRY(end_row(&row, table));
	}
	LT_TRY(lt_store_put_table(writer, "details (id INTEGER, name TEXT)", &table));
	for (int i = 0; i < LT_DETAIL_COUNT; i++) {
		add_integer(&row, i);
		add_text(&row, lt_detail_spelling((enum lt_detail)i));
		LT_TRY(end_row(&row, table));
	}
	return LT_OK;
}

static enum lt_status put_types(struct lt_store_writer *writer, const struct lt_types *types,
				const struct lt_type_totals *all,
				const struct lt_type_totals *tracked)
{
	struct row row = {.writer = writer};
	uint32_t table;
	LT_TRY(lt_store_put_table(
		writer,
		"types (id INTEGER, address INTEGER, module TEXT, name TEXT, kind TEXT, "
		"flags INTEGER, tp_flags INTEGER, basicsize INTEGER, itemsize INTEGER, "
		"base INTEGER, metatype INTEGER, objects INTEGER, bytes INTEGER, "
		"tracked_objects INTEGER, tracked_bytes INTEGER, permanent_objects INTEGER, "
		"permanent_bytes INTEGER)",
		&table));
	for (uint32_t i = 0; i < lt_types_count(types); i++) {
		const struct lt_type *type = lt_types_at(types, i);
		add_integer(&row, i);
		add_integer(&row, (int64_t)type->address);
		add_text(&row, type->module);
		add_text(&row, type->name);
		add_text(&row, lt_kind_name(type->kind));
		add_integer(&row, (type->exact ? EXACT : 0) | (type->is_type_type ? TYPE_TYPE : 0) |
					  (type->heap_type ? HEAP_TYPE : 0) |
					  (type->python_class ? PYTHON_CLASS : 0) |
					  (type->gc ? GC : 0) | (type->has_is_gc ? HAS_IS_GC : 0));
		add_integer(&row, (int64_t)type->flags);
		add_integer(&row, type->basicsize);
		add_integer(&row, type->itemsize);
		add_integer(&row, (int64_t)type->base);
		add_integer(&row, (int64_t)type->metatype);
		add_integer(&row, (int64_t)all->data[i].count);
		add_integer(&row, (int64_t)all->data[i].bytes);
		add_integer(&row, (int64_t)tracked->data[i].count);
		add_integer(&row, (int64_t)tracked->data[i].bytes);
		add_integer(&row, (int64_t)all->data[i].permanent_count);
		add_integer(&row, (int64_t)all->data[i].permanent_bytes);
		LT_TRY(end_row(&row, table));
	}
	return LT_OK;
}

static enum lt_status put_collectors(struct lt_store_writer *writer,
				     const struct lt_subject *subject)
{
	struct row row = {.writer = writer};
	uint32_t table, generations;
	LT_TRY(lt_store_put_table(
		writer,
		"collectors (interpreter INTEGER, enabled INTEGER, collecting INTEGER, "
		"tracked INTEGER, frozen INTEGER, garbage INTEGER, callbacks INTEGER, "
		"debug INTEGER, long_lived_total INTEGER, long_lived_pending INTEGER, "
		"incremental INTEGER)",
		&table));
	LT_TRY(lt_store_put_table(
		writer,
		"generations (interpreter INTEGER, generation INTEGER, threshold INTEGER, "
		"usual INTEGER, count INTEGER, collections INTEGER, collected INTEGER, "
		"uncollectable INTEGER)",
		&generations));
	for (size_t i = 0; i < subject->collector_count; i++) {
		const struct lt_collector *collector = &subject->collectors[i];
		add_integer(&row, (int64_t)collector->interpreter);
		add_integer(&row, collector->enabled);
		add_integer(&row, collector->collecting);
		add_integer(&row, (int64_t)collector->tracked);
		add_integer(&row, (int64_t)collector->frozen);
		add_integer(&row, (int64_t)collector->garbage);
		add_integer(&row, (int64_t)collector->callbacks);
		add_integer(&row, collector->debug);
		add_integer(&row, (int64_t)collector->long_lived_total);
		add_integer(&row, (int64_t)collector->long_lived_pending);
		add_integer(&row, collector->incremental);
		LT_TRY(end_row(&row, table));
		for (int g = 0; g < LT_GENERATIONS; g++) {
			const struct lt_collector_generation *generation =
				&collector->generations[g];
			add_integer(&row, (int64_t)collector->interpreter);
			add_integer(&row, g);
			add_integer(&row, generation->threshold);
			add_integer(&row, collector->usual[g]);
			add_integer(&row, generation->count);
			add_integer(&row, (int64_t)generation->collections);
			add_integer(&row, (int64_t)generation->collected);
			add_integer(&row, (int64_t)generation->uncollectable);
			LT_TRY(end_row(&row, generations));
		}
	}
	return LT_OK;
}

static enum lt_status put_threads(struct lt_store_writer *writer, const struct lt_roots *roots)
{
	struct row row = {.writer = writer};
	uint32_t interpreters, threads;
	LT_TRY(lt_store_put_table(writer, "interpreters (id INTEGER, address INTEGER)",
				  &interpreters));
	LT_TRY(lt_store_put_table(writer,
				  "threads (interpreter INTEGER, address INTEGER, "
				  "thread_id INTEGER, native_id INTEGER, holds_gil INTEGER)",
				  &threads));
	for (size_t i = 0; i < roots->interpreters.count; i++) {
		const struct lt_interpreter *interpreter = &roots->interpreters.data[i];
		add_integer(&row, interpreter->id);
		add_integer(&row, (int64_t)interpreter->address);
		LT_TRY(end_row(&row, interpreters));
		for (size_t t = 0; t < interpreter->thread_count; t++) {
			const struct lt_thread *thread = &interpreter->threads[t];
			add_integer(&row, (int64_t)i);
			add_integer(&row, (int64_t)thread->address);
			add_integer(&row, (int64_t)thread->thread_id);
			add_integer(&row, thread->native_id);
			add_integer(&row, thread->holds_gil);
			LT_TRY(end_row(&row, threads));
		}
	}
	return LT_OK;
}

static enum lt_status put_frames(struct lt_store_writer *writer, const struct lt_roots *roots)
{
	struct row row = {.writer = writer};
	uint32_t table;
	LT_TRY(lt_store_put_table(writer,
				  "frames (interpreter INTEGER, thread INTEGER, depth INTEGER, "
				  "address INTEGER, code INTEGER, locals INTEGER, stack INTEGER, "
				  "line INTEGER, function TEXT, file TEXT)",
				  &table));
	for (size_t i = 0; i < roots->frames.count; i++) {
		const struct lt_frame *frame = &roots->frames.data[i];
		add_integer(&row, frame->interpreter);
		add_integer(&row, frame->thread);
		add_integer(&row, frame->depth);
		add_integer(&row, (int64_t)frame->address);
		add_integer(&row, (int64_t)frame->code);
		add_integer(&row, frame->local_count);
		add_integer(&row, frame->stack_count);
		add_integer(&row, frame->line);
		add_text(&row, frame->function);
		add_text(&row, frame->file);
		LT_TRY(end_row(&row, table));
	}
	return LT_OK;
}

static enum lt_status put_roots(struct lt_store_writer *writer, const struct lt_roots *roots)
{
	struct row row = {.writer = writer};
	uint32_t table;
	LT_TRY(lt_store_put_table(writer,
				  "roots (address INTEGER, kind TEXT, interpreter INTEGER, "
				  "frame INTEGER, position INTEGER, count INTEGER, at INTEGER, "
				  "name TEXT, variable TEXT)",
				  &table));
	for (size_t i = 0; i < roots->list.count; i++) {
		const struct lt_root *root = &roots->list.data[i];
		add_integer(&row, (int64_t)root->address);
		add_text(&row, lt_root_kind_name(root->kind));
		add_integer(&row, root->interpreter);
		add_integer(&row, root->frame);
		add_integer(&row, root->index);
		add_integer(&row, root->count);
		add_integer(&row, (int64_t)root->at);
		add_text(&row, root->name);
		add_text(&row, root->variable);
		LT_TRY(end_row(&row, table));
	}
	return LT_OK;
}

/* What the code of C types says, which is not in the file. */
static enum lt_status put_unvisited(struct lt_store_writer *writer,
				    const struct lt_unvisited_list *list)
{
	struct row row = {.writer = writer};
	uint32_t table;
	LT_TRY(lt_store_put_table(writer,
				  "unvisited (type INTEGER, collected INTEGER, edges INTEGER, "
				  "source INTEGER, target INTEGER, position INTEGER, "
				  "objects INTEGER, bytes INTEGER, tracked INTEGER)",
				  &table));
	for (size_t i = 0; i < list->count; i++) {
		const struct lt_unvisited *unvisited = &list->data[i];
		add_integer(&row, unvisited->type->index);
		add_integer(&row, unvisited->collected);
		add_integer(&row, (int64_t)unvisited->edges);
		add_integer(&row, unvisited->from);
		add_integer(&row, unvisited->to);
		add_integer(&row, unvisited->offset);
		add_integer(&row, (int64_t)unvisited->objects);
		add_integer(&row, (int64_t)unvisited->bytes);
		add_integer(&row, (int64_t)unvisited->tracked);
		LT_TRY(end_row(&row, table));
	}
	return LT_OK;
}

enum lt_status lt_tide_put_tables(struct lt_store_writer *writer, const struct lt_subject *subject,
				  const struct lt_type_totals *all,
				  const struct lt_type_totals *tracked, bool redact)
{
	const struct lt_roots *roots = &subject->picture.roots;
	LT_TRY(put_meta(writer, subject, redact));
	LT_TRY(put_words(writer));
	LT_TRY(put_types(writer, subject->picture.types, all, tracked));
	LT_TRY(put_collectors(writer, subject));
	LT_TRY(put_threads(writer, roots));
	LT_TRY(put_frames(writer, roots));
	LT_TRY(put_unvisited(writer, &subject->picture.unvisited));
	return put_roots(writer, roots);
}

/* ---- Reading ---- */

enum lt_status lt_tide_damaged(struct lt_tide *tide, const char *what)
{
	lt_remedy(tide->session, "Take another snapshot, or copy the file again.");
	return lt_fail(tide->session, LT_E_FILE, "%.300s is damaged: %s",
		       lt_store_path(tide->store), what);
}

static uint64_t meta_number(const struct lt_tide *tide, const char *key)
{
	int64_t value;
	return lt_store_meta_integer(tide->store, key, &value) && value > 0 ? (uint64_t)value : 0;
}

static char *meta_copy(const struct lt_tide *tide, const char *key)
{
	const char *text = lt_store_meta_text(tide->store, key);
	return strdup(text != NULL ? text : "");
}

static enum lt_status get_identity(struct lt_tide *tide, struct lt_subject *subject)
{
	struct lt_identity *identity = &subject->identity;
	const char *python = lt_store_meta_text(tide->store, "python");
	uint64_t pid = meta_number(tide, "pid"), mode = meta_number(tide, "mode");
	if (python == NULL || pid == 0 || pid > INT32_MAX || mode > LT_MODE_LIVE)
		return lt_tide_damaged(tide, "it does not say whose picture it is");
	snprintf(identity->python, sizeof(identity->python), "%s", python);
	identity->pid = (pid_t)pid;
	identity->mode = (enum lt_mode)mode;
	identity->stored = true;
	identity->command_line = meta_copy(tide, "command_line");
	identity->executable = meta_copy(tide, "executable");
	identity->uptime_ms = meta_number(tide, "uptime_ms");
	identity->rss_bytes = meta_number(tide, "rss_bytes");
	identity->anonymous_bytes = meta_number(tide, "anonymous_bytes");
	for (int region = 0; region < LT_REGION_COUNT; region++) {
		char key[REGION_KEY];
		identity->region_bytes[region] =
			meta_number(tide, region_key((enum lt_region)region, key));
	}
	identity->thread_count = (unsigned)meta_number(tide, "threads");
	tide->session->unreadable += meta_number(tide, "unreadable");
	if (identity->command_line == NULL || identity->executable == NULL)
		return lt_fail_memory(tide->session);
	tide->counts = (struct lt_tide_counts){
		.objects = meta_number(tide, "objects"),
		.tracked = meta_number(tide, "tracked"),
		.permanent = meta_number(tide, "permanent"),
		.proved = meta_number(tide, "proved") != 0,
	};
	return LT_OK;
}

static enum lt_status each_row(struct lt_tide *tide, const char *sql,
			       enum lt_status (*take)(struct lt_tide *tide,
						      struct lt_store_cursor *cursor, void *ctx),
			       void *ctx)
{
	struct lt_store_cursor *cursor = NULL;
	bool more = true;
	enum lt_status status = lt_store_select(tide->store, sql, NULL, 0, &cursor);
	while (status == LT_OK) {
		status = lt_store_next(cursor, &more);
		if (status != LT_OK || !more)
			break;
		status = take(tide, cursor, ctx);
	}
	lt_store_cursor_close(cursor);
	return status;
}

static enum lt_status take_member(struct lt_tide *tide, struct lt_store_cursor *cursor, void *ctx)
{
	(void)ctx;
	const char *name = lt_store_get_text(cursor, 0);
	uint16_t *members = realloc(tide->member, (tide->member_count + 1) * sizeof(*tide->member));
	if (members == NULL)
		return lt_fail_memory(tide->session);
	tide->member = members;
	if (name == NULL || tide->member_count >= UINT16_MAX)
		return lt_tide_damaged(tide, "its list of members");
	uint16_t known = 0;
	while (known < LT_MEMBER_COUNT && strcmp(lt_member_name((enum lt_member)known), name) != 0)
		known++;
	tide->member[tide->member_count++] = known;
	return LT_OK;
}

static enum lt_status take_detail(struct lt_tide *tide, struct lt_store_cursor *cursor, void *ctx)
{
	(void)ctx;
	int64_t id = lt_store_get_integer(cursor, 0);
	const char *name = lt_store_get_text(cursor, 1);
	if (id < 0 || id >= LT_TIDE_PLAIN_STRING || name == NULL)
		return lt_tide_damaged(tide, "its list of details");
	for (int d = 0; d < LT_DETAIL_COUNT; d++) {
		if (strcmp(lt_detail_spelling((enum lt_detail)d), name) == 0)
			tide->detail[id] = (uint8_t)d;
	}
	return LT_OK;
}

static uint64_t count_at(struct lt_store_cursor *cursor, unsigned index)
{
	int64_t value = lt_store_get_integer(cursor, index);
	return value > 0 ? (uint64_t)value : 0;
}

static enum lt_status take_type(struct lt_tide *tide, struct lt_store_cursor *cursor, void *ctx)
{
	(void)ctx;
	const char *module = lt_store_get_text(cursor, 2), *name = lt_store_get_text(cursor, 3);
	const char *kind = lt_store_get_text(cursor, 4);
	int64_t flags = lt_store_get_integer(cursor, 5);
	if (module == NULL || name == NULL || kind == NULL ||
	    lt_store_get_integer(cursor, 0) != (int64_t)lt_types_count(tide->types) ||
	    lt_types_count(tide->types) >= TYPES_MAX)
		return lt_tide_damaged(tide, "its list of types");
	struct lt_type type = {
		.address = (lt_addr)lt_store_get_integer(cursor, 1),
		.module = module,
		.name = name,
		.exact = (flags & EXACT) != 0,
		.is_type_type = (flags & TYPE_TYPE) != 0,
		.heap_type = (flags & HEAP_TYPE) != 0,
		.python_class = (flags & PYTHON_CLASS) != 0,
		.gc = (flags & GC) != 0,
		.has_is_gc = (flags & HAS_IS_GC) != 0,
		.flags = (uint64_t)lt_store_get_integer(cursor, 6),
		.basicsize = lt_store_get_integer(cursor, 7),
		.itemsize = lt_store_get_integer(cursor, 8),
		.base = (lt_addr)lt_store_get_integer(cursor, 9),
		.metatype = (lt_addr)lt_store_get_integer(cursor, 10),
	};
	/* A layout that this release does not know is a C type that nobody knows. */
	for (int k = 0; k < LT_KIND_COUNT; k++) {
		if (strcmp(lt_kind_name((enum lt_kind)k), kind) == 0)
			type.kind = (enum lt_kind)k;
	}
	if (!lt_types_add(tide->types, &type))
		return lt_fail_memory(tide->session);
	struct lt_type_total all = {.count = count_at(cursor, 11), .bytes = count_at(cursor, 12)};
	struct lt_type_total tracked = {.count = count_at(cursor, 13),
					.bytes = count_at(cursor, 14)};
	all.type = tracked.type = lt_types_at(tide->types, lt_types_count(tide->types) - 1);
	all.permanent_count = tracked.permanent_count = count_at(cursor, 15);
	all.permanent_bytes = tracked.permanent_bytes = count_at(cursor, 16);
	return lt_type_totals_push(&tide->all, all) && lt_type_totals_push(&tide->tracked, tracked)
		       ? LT_OK
		       : lt_fail_memory(tide->session);
}

static enum lt_status take_collector(struct lt_tide *tide, struct lt_store_cursor *cursor,
				     void *ctx)
{
	struct lt_subject *subject = ctx;
	if (subject->collector_count >= LT_INTERPRETERS_MAX)
		return lt_tide_damaged(tide, "its list of collectors");
	subject->collectors[subject->collector_count++] = (struct lt_collector){
		.interpreter = count_at(cursor, 0),
		.enabled = lt_store_get_integer(cursor, 1) != 0,
		.collecting = lt_store_get_integer(cursor, 2) != 0,
		.tracked = count_at(cursor, 3),
		.frozen = count_at(cursor, 4),
		.garbage = count_at(cursor, 5),
		.callbacks = count_at(cursor, 6),
		.debug = (uint32_t)lt_store_get_integer(cursor, 7),
		.long_lived_total = count_at(cursor, 8),
		.long_lived_pending = count_at(cursor, 9),
		.incremental = lt_store_get_integer(cursor, 10) != 0,
	};
	return LT_OK;
}

static enum lt_status take_generation(struct lt_tide *tide, struct lt_store_cursor *cursor,
				      void *ctx)
{
	struct lt_subject *subject = ctx;
	int64_t g = lt_store_get_integer(cursor, 1);
	if (g < 0 || g >= LT_GENERATIONS)
		return lt_tide_damaged(tide, "its list of generations");
	for (size_t i = 0; i < subject->collector_count; i++) {
		struct lt_collector *collector = &subject->collectors[i];
		if (collector->interpreter != count_at(cursor, 0))
			continue;
		collector->usual[g] = lt_store_get_integer(cursor, 3);
		collector->generations[g] = (struct lt_collector_generation){
			.threshold = lt_store_get_integer(cursor, 2),
			.count = lt_store_get_integer(cursor, 4),
			.collections = count_at(cursor, 5),
			.collected = count_at(cursor, 6),
			.uncollectable = count_at(cursor, 7),
		};
	}
	return LT_OK;
}

enum lt_status lt_tide_get_facts(struct lt_tide *tide, struct lt_subject *subject)
{
	LT_TRY(get_identity(tide, subject));
	memset(tide->detail, LT_DETAIL_COUNT, sizeof(tide->detail));
	LT_TRY(each_row(tide, "SELECT name FROM members ORDER BY id", take_member, NULL));
	LT_TRY(each_row(tide, "SELECT id, name FROM details", take_detail, NULL));
	LT_TRY(each_row(tide,
			"SELECT id, address, module, name, kind, flags, tp_flags, basicsize, "
			"itemsize, base, metatype, objects, bytes, tracked_objects, tracked_bytes, "
			"permanent_objects, permanent_bytes FROM types ORDER BY id",
			take_type, NULL));
	subject->collectors = calloc(LT_INTERPRETERS_MAX, sizeof(*subject->collectors));
	if (subject->collectors == NULL)
		return lt_fail_memory(tide->session);
	LT_TRY(each_row(tide,
			"SELECT interpreter, enabled, collecting, tracked, frozen, garbage, "
			"callbacks, debug, long_lived_total, long_lived_pending, incremental "
			"FROM collectors ORDER BY rowid",
			take_collector, subject));
	return each_row(tide,
			"SELECT interpreter, generation, threshold, usual, count, collections, "
			"collected, uncollectable FROM generations",
			take_generation, subject);
}

static enum lt_status take_interpreter(struct lt_tide *tide, struct lt_store_cursor *cursor,
				       void *ctx)
{
	struct lt_interpreters *interpreters = &((struct lt_roots *)ctx)->interpreters;
	if (interpreters->count >= LT_INTERPRETERS_MAX)
		return lt_tide_damaged(tide, "its list of interpreters");
	interpreters->data[interpreters->count++] = (struct lt_interpreter){
		.id = lt_store_get_integer(cursor, 0),
		.address = (lt_addr)lt_store_get_integer(cursor, 1),
	};
	return LT_OK;
}

static enum lt_status take_thread(struct lt_tide *tide, struct lt_store_cursor *cursor, void *ctx)
{
	struct lt_interpreters *interpreters = &((struct lt_roots *)ctx)->interpreters;
	uint64_t index = (uint64_t)lt_store_get_integer(cursor, 0);
	if (index >= interpreters->count ||
	    interpreters->data[index].thread_count >= LT_THREADS_MAX)
		return lt_tide_damaged(tide, "its list of threads");
	struct lt_interpreter *interpreter = &interpreters->data[index];
	if ((interpreter->thread_count & (interpreter->thread_count + 1)) == 0) {
		struct lt_thread *threads =
			realloc(interpreter->threads, (interpreter->thread_count * 2 + 2) *
							      sizeof(*interpreter->threads));
		if (threads == NULL)
			return lt_fail_memory(tide->session);
		interpreter->threads = threads;
	}
	interpreter->threads[interpreter->thread_count++] = (struct lt_thread){
		.address = (lt_addr)lt_store_get_integer(cursor, 1),
		.thread_id = (uint64_t)lt_store_get_integer(cursor, 2),
		.native_id = (pid_t)lt_store_get_integer(cursor, 3),
		.holds_gil = lt_store_get_integer(cursor, 4) != 0,
	};
	return LT_OK;
}

/* NULL: no memory. */
static const char *keep(struct lt_roots *roots, const char *text)
{
	return text != NULL ? lt_arena_copy(&roots->strings, text, strlen(text)) : "";
}

static enum lt_status take_frame(struct lt_tide *tide, struct lt_store_cursor *cursor, void *ctx)
{
	struct lt_roots *roots = ctx;
	const struct lt_interpreters *interpreters = &roots->interpreters;
	uint64_t interpreter = (uint64_t)lt_store_get_integer(cursor, 0);
	uint64_t thread = (uint64_t)lt_store_get_integer(cursor, 1);
	if (interpreter >= interpreters->count ||
	    thread >= interpreters->data[interpreter].thread_count ||
	    roots->frames.count >= FRAMES_MAX)
		return lt_tide_damaged(tide, "its list of frames");
	struct lt_frame frame = {
		.interpreter = (uint32_t)interpreter,
		.thread = (uint32_t)thread,
		.depth = (uint32_t)lt_store_get_integer(cursor, 2),
		.address = (lt_addr)lt_store_get_integer(cursor, 3),
		.code = (lt_addr)lt_store_get_integer(cursor, 4),
		.local_count = (uint32_t)lt_store_get_integer(cursor, 5),
		.stack_count = (uint32_t)lt_store_get_integer(cursor, 6),
		.line = (int)lt_store_get_integer(cursor, 7),
		.function = keep(roots, lt_store_get_text(cursor, 8)),
		.file = keep(roots, lt_store_get_text(cursor, 9)),
	};
	return frame.function != NULL && frame.file != NULL && lt_frames_push(&roots->frames, frame)
		       ? LT_OK
		       : lt_fail_memory(tide->session);
}

static enum lt_status take_root(struct lt_tide *tide, struct lt_store_cursor *cursor, void *ctx)
{
	struct lt_roots *roots = ctx;
	const char *kind = lt_store_get_text(cursor, 1);
	int known = 0;
	while (known < LT_ROOT_KIND_COUNT &&
	       (kind == NULL || strcmp(kind, lt_root_kind_name((enum lt_root_kind)known)) != 0))
		known++;
	uint64_t frame = (uint64_t)lt_store_get_integer(cursor, 3);
	uint64_t interpreter = (uint64_t)lt_store_get_integer(cursor, 2);
	const char *variable = lt_store_get_text(cursor, 8);
	bool of_frame = known == LT_ROOT_LOCAL || known == LT_ROOT_FRAME;
	if (known == LT_ROOT_KIND_COUNT || (of_frame && frame >= roots->frames.count) ||
	    frame > UINT32_MAX || (interpreter > 0 && interpreter >= roots->interpreters.count) ||
	    roots->list.count >= ROOTS_MAX)
		return lt_tide_damaged(tide, "its list of roots");
	struct lt_root root = {
		.address = (lt_addr)lt_store_get_integer(cursor, 0),
		.kind = (enum lt_root_kind)known,
		.interpreter = (uint32_t)interpreter,
		.frame = (uint32_t)frame,
		.index = (uint32_t)lt_store_get_integer(cursor, 4),
		.count = (uint32_t)lt_store_get_integer(cursor, 5),
		.at = (lt_addr)lt_store_get_integer(cursor, 6),
		.name = keep(roots, lt_store_get_text(cursor, 7)),
		.variable = variable != NULL ? keep(roots, variable) : NULL,
	};
	return root.name != NULL && (known != LT_ROOT_LOCAL || root.variable != NULL) &&
			       lt_root_list_push(&roots->list, root)
		       ? LT_OK
		       : lt_fail_memory(tide->session);
}

enum lt_status lt_tide_get_roots(struct lt_tide *tide, struct lt_roots *roots)
{
	roots->interpreters.data = calloc(LT_INTERPRETERS_MAX, sizeof(*roots->interpreters.data));
	if (roots->interpreters.data == NULL)
		return lt_fail_memory(tide->session);
	LT_TRY(each_row(tide, "SELECT id, address FROM interpreters ORDER BY rowid",
			take_interpreter, roots));
	LT_TRY(each_row(tide,
			"SELECT interpreter, address, thread_id, native_id, holds_gil FROM threads "
			"ORDER BY rowid",
			take_thread, roots));
	LT_TRY(each_row(tide,
			"SELECT interpreter, thread, depth, address, code, locals, stack, line, "
			"function, file FROM frames ORDER BY rowid",
			take_frame, roots));
	return each_row(tide,
			"SELECT address, kind, interpreter, frame, position, count, at, name, "
			"variable FROM roots ORDER BY rowid",
			take_root, roots);
}

static enum lt_status take_unvisited(struct lt_tide *tide, struct lt_store_cursor *cursor,
				     void *ctx)
{
	struct lt_unvisited_list *list = ctx;
	uint64_t type = (uint64_t)lt_store_get_integer(cursor, 0);
	struct lt_unvisited unvisited = {
		.collected = lt_store_get_integer(cursor, 1) != 0,
		.edges = count_at(cursor, 2),
		.from = (uint32_t)lt_store_get_integer(cursor, 3),
		.to = (uint32_t)lt_store_get_integer(cursor, 4),
		.offset = (uint32_t)lt_store_get_integer(cursor, 5),
		.objects = count_at(cursor, 6),
		.bytes = count_at(cursor, 7),
		.tracked = count_at(cursor, 8),
	};
	if (type >= lt_types_count(tide->types) || unvisited.from >= tide->counts.objects ||
	    unvisited.to >= tide->counts.objects || list->count >= TYPES_MAX)
		return lt_tide_damaged(tide, "its list of references that no collector sees");
	unvisited.type = lt_types_at(tide->types, (uint32_t)type);
	return lt_unvisited_list_push(list, unvisited) ? LT_OK : lt_fail_memory(tide->session);
}

enum lt_status lt_tide_get_unvisited(struct lt_tide *tide, struct lt_unvisited_list *list)
{
	return each_row(tide,
			"SELECT type, collected, edges, source, target, position, objects, bytes, "
			"tracked FROM unvisited ORDER BY rowid",
			take_unvisited, list);
}
