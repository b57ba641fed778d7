/* Objects that pin more than they seem to: kept exceptions, classes made again and again, thread-local values. */
#include "analysis/findings.h"

#include "analysis/containers.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum {
	EXCEPTIONS_MIN = 100,
	BYTES_MIN = 1 << 20,
	DOMINATORS_MAX = 64, /* steps up to find what a node is counted with already */
	THREADS_MIN = 200,   /* threads in Python code */
	CLASSES_MIN = 50,    /* classes of one name */
};

static const double LOCALS_SHARE = 0.1; /* of the heap, for thread-local values */

/* The traceback of an exception object, LT_NO_NODE for none. */
static uint32_t traceback_of(const struct lt_picture *picture, uint32_t node)
{
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	lt_picture_refs(picture, node, &refs);
	for (size_t i = 0; i < refs.count; i++) {
		if (refs.data[i].kind == LT_REF_MEMBER && refs.data[i].index == LT_MEMBER_traceback)
			return lt_heap_graph_find(&picture->graph, refs.data[i].to);
	}
	return LT_NO_NODE;
}

static bool is_exception(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	return type != NULL && lt_kind_is_exception(type->kind);
}

/* True when an exception further up dominates the node, so that its bytes are in that one's. */
static bool counted_above(const struct lt_picture *picture, uint32_t node)
{
	uint32_t up = picture->dominator[node];
	for (int step = 0; up != LT_GRAPH_NONE && step < DOMINATORS_MAX; step++) {
		if (is_exception(picture, up))
			return true;
		up = picture->dominator[up];
	}
	return false;
}

static enum lt_status kept_exceptions(struct lt_findings *findings)
{
	const struct lt_picture *picture = findings->picture;
	uint64_t count = 0, held = 0;
	uint32_t heaviest = LT_NO_NODE, most_common = LT_NO_NODE;
	uint64_t most = 0;
	LT_CLEANUP(lt_map_deinit) struct lt_map holders = {0};
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		if (!picture->alive[node] || !is_exception(picture, node) ||
		    traceback_of(picture, node) == LT_NO_NODE)
			continue;
		count++;
		if (!counted_above(picture, node))
			held += picture->retained[node];
		if (heaviest == LT_NO_NODE || picture->retained[node] > picture->retained[heaviest])
			heaviest = node;
		uint32_t holder = picture->parent[node];
		if (holder == LT_GRAPH_NONE)
			continue;
		uint64_t *kept = lt_map_at(&holders, holder, 0);
		if (kept == NULL)
			return lt_fail_memory(findings->session);
		if (++*kept > most) {
			most = *kept;
			most_common = holder;
		}
	}
	if (count == 0 || (count < EXCEPTIONS_MIN && held < BYTES_MIN))
		return LT_OK;
	enum lt_severity severity = lt_findings_grade(findings, held);
	if (severity == LT_LOW && count >= 1000)
		severity = LT_MEDIUM;
	struct lt_finding *finding =
		lt_finding_begin(findings, "kept-exceptions", severity, (double)held);
	if (finding == NULL)
		return lt_fail_memory(findings->session);
	lt_finding_int(findings, finding, "exceptions_with_traceback", count);
	lt_finding_int(findings, finding, "held_bytes", held);
	lt_finding_real(findings, finding, "heap_share", lt_findings_share(findings, held));
	/* The container that keeps most of them says more than one of them, if there is such a one. */
	bool one_holder = most >= 2 && most * 2 >= count;
	lt_finding_point(findings, finding, one_holder ? most_common : heaviest);
	if (one_holder)
		lt_finding_int(findings, finding, "kept_by_one_holder", most);
	const struct lt_type *type = lt_picture_type(picture, heaviest);
	lt_finding_string(findings, finding, "heaviest_type",
			  lt_finding_format(findings, "%s.%s", type->module, type->name));
	lt_finding_int(findings, finding, "heaviest_bytes", picture->retained[heaviest]);
	int64_t line = 0;
	(void)lt_picture_number(picture, traceback_of(picture, heaviest), LT_DETAIL_LINE, &line);
	lt_finding_int(findings, finding, "heaviest_line", (uint64_t)(line > 0 ? line : 0));
	finding->title = lt_finding_format(
		findings, "%s kept exceptions with their tracebacks hold %s",
		lt_findings_count(findings, count), lt_findings_bytes(findings, held));
	finding->explanation =
		"The traceback of a kept exception refers to the frames that it passed through, "
		"and they "
		"keep all their local variables alive until the exception or its traceback goes.";
	finding->fix = "Keep str(exc) or traceback.format_exception(exc) instead of the exception, "
		       "or clear it: "
		       "exc.__traceback__ = None, traceback.clear_frames(tb); await or discard "
		       "failed tasks.";
	return LT_OK;
}

struct class_name {
	const struct lt_type *type;
	uint32_t node;
	uint64_t held;
};
LT_VEC(class_names, struct class_name);

static int by_class(const void *left, const void *right)
{
	const struct class_name *a = left, *b = right;
	int order = strcmp(a->type->module, b->type->module);
	if (order == 0)
		order = strcmp(a->type->name, b->type->name);
	return order != 0 ? order : a->node < b->node ? -1 : a->node > b->node;
}

static enum lt_status repeated_classes(struct lt_findings *findings)
{
	const struct lt_picture *picture = findings->picture;
	LT_CLEANUP(class_names_deinit) struct class_names classes = {0};
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		const struct lt_type *own =
			picture->alive[node] ? lt_picture_type(picture, node) : NULL;
		if (own == NULL || own->kind != LT_KIND_TYPE)
			continue;
		const struct lt_type *type = lt_picture_type_of_class(picture, node);
		if (type == NULL || !type->python_class || type->name[0] == '\0')
			continue;
		struct class_name name = {
			.type = type, .node = node, .held = picture->retained[node]};
		if (!class_names_push(&classes, name))
			return lt_fail_memory(findings->session);
	}
	if (classes.count > 0)
		qsort(classes.data, classes.count, sizeof(*classes.data), by_class);
	for (size_t first = 0, next; first < classes.count; first = next) {
		const struct class_name *name = &classes.data[first];
		uint64_t held = 0;
		for (next = first;
		     next < classes.count &&
		     strcmp(classes.data[next].type->module, name->type->module) == 0 &&
		     strcmp(classes.data[next].type->name, name->type->name) == 0;
		     next++)
			held += classes.data[next].held;
		size_t count = next - first;
		if (count < CLASSES_MIN)
			continue;
		enum lt_severity severity = lt_findings_grade(findings, held);
		if (severity == LT_LOW && count >= 1000)
			severity = LT_MEDIUM;
		struct lt_finding *finding = lt_finding_begin(findings, "classes-made-repeatedly",
							      severity, (double)held);
		if (finding == NULL)
			return lt_fail_memory(findings->session);
		lt_finding_string(
			findings, finding, "class",
			lt_finding_format(findings, "%s.%s", name->type->module, name->type->name));
		lt_finding_int(findings, finding, "classes", count);
		lt_finding_int(findings, finding, "held_bytes", held);
		lt_finding_real(findings, finding, "heap_share", lt_findings_share(findings, held));
		lt_finding_point(findings, finding, classes.data[next - 1].node);
		finding->title =
			lt_finding_format(findings, "%zu classes of the name %s exist (%s)", count,
					  name->type->name, lt_findings_bytes(findings, held));
		finding->explanation =
			"A class statement, namedtuple() or dataclass() that runs again makes a "
			"new class of "
			"a kilobyte or more each time; a class is part of cycles, so only the "
			"collector frees it, and only when nothing keeps it.";
		finding->fix = lt_finding_format(
			findings,
			"Make the class once, at module level, instead of where %s is made now.",
			name->type->name);
	}
	return LT_OK;
}

/* The values of one threading.local() object, of all threads (Modules/_threadmodule.c: localobject). */
struct local_values {
	uint64_t threads, held, most;
};

static void add_local_values(struct lt_findings *findings, uint32_t dict,
			     struct local_values *values)
{
	const struct lt_picture *picture = findings->picture;
	const struct lt_type *type = lt_picture_type(picture, dict);
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	if (type == NULL || type->kind != LT_KIND_DICT)
		return;
	lt_picture_refs(picture, dict, &refs);
	for (size_t i = 0; i < refs.count; i++) {
		uint32_t node = refs.data[i].kind == LT_REF_VALUE
					? lt_heap_graph_find(&picture->graph, refs.data[i].to)
					: LT_NO_NODE;
		uint64_t length = 0;
		if (node == LT_NO_NODE || !lt_container_length(picture, node, &length) ||
		    length == 0)
			continue;
		values->threads++;
		values->held += picture->retained[node];
		if (picture->retained[node] > values->most)
			values->most = picture->retained[node];
	}
}

static enum lt_status thread_locals(struct lt_findings *findings)
{
	const struct lt_picture *picture = findings->picture;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		const struct lt_type *type =
			picture->alive[node] ? lt_picture_type(picture, node) : NULL;
		if (type == NULL || type->kind != LT_KIND_THREAD_LOCAL)
			continue;
		struct local_values values = {0};
		refs.count = 0;
		lt_picture_refs(picture, node, &refs);
		for (size_t i = 0; i < refs.count; i++) {
			uint32_t dict =
				refs.data[i].kind == LT_REF_MEMBER &&
						refs.data[i].index == LT_MEMBER_local_dicts
					? lt_heap_graph_find(&picture->graph, refs.data[i].to)
					: LT_NO_NODE;
			if (dict != LT_NO_NODE)
				add_local_values(findings, dict, &values);
		}
		if (values.held < BYTES_MIN ||
		    lt_findings_share(findings, values.held) < LOCALS_SHARE)
			continue;
		struct lt_finding *finding = lt_finding_begin(
			findings, "thread-local-values", lt_findings_grade(findings, values.held),
			(double)values.held);
		if (finding == NULL)
			return lt_fail_memory(findings->session);
		lt_finding_int(findings, finding, "threads", values.threads);
		lt_finding_int(findings, finding, "held_bytes", values.held);
		lt_finding_int(findings, finding, "most_of_one_thread_bytes", values.most);
		lt_finding_real(findings, finding, "heap_share",
				lt_findings_share(findings, values.held));
		lt_finding_point(findings, finding, node);
		finding->title =
			lt_finding_format(findings, "The thread-local values of %s threads hold %s",
					  lt_findings_count(findings, values.threads),
					  lt_findings_bytes(findings, values.held));
		finding->explanation = "Each thread that used this threading.local() object has "
				       "values of its own in it, "
				       "and they live as long as the thread. Those of ended "
				       "threads are freed; a pool "
				       "of threads that never end keeps one copy each.";
		finding->fix = "Keep less per thread, delete the attributes at the end of a unit "
			       "of work, or use fewer "
			       "threads.";
	}
	return LT_OK;
}

struct thread_place {
	const struct lt_frame *frame; /* the innermost one of user code */
	uint64_t thread;
};
LT_VEC(thread_places, struct thread_place);

static int by_place(const void *left, const void *right)
{
	const struct lt_frame *a = ((const struct thread_place *)left)->frame;
	const struct lt_frame *b = ((const struct thread_place *)right)->frame;
	int order = strcmp(a->file, b->file);
	return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* Frames of the standard library say little of why a thread waits. */
static bool library_frame(const struct lt_frame *frame)
{
	return strstr(frame->file, "/lib/python3") != NULL || frame->file[0] == '<';
}

/* Where each thread stands: frames come thread by thread, the innermost first. */
static bool find_places(const struct lt_frames *frames, struct thread_places *places)
{
	uint64_t thread = 0;
	for (size_t i = 0; i < frames->count; thread++) {
		const struct lt_frame *best = &frames->data[i];
		size_t next = i + 1;
		while (next < frames->count && frames->data[next].depth != 0) {
			if (library_frame(best) && !library_frame(&frames->data[next]))
				best = &frames->data[next];
			next++;
		}
		if (!thread_places_push(places, (struct thread_place){best, thread}))
			return false;
		i = next;
	}
	return true;
}

static enum lt_status many_threads(struct lt_findings *findings)
{
	LT_CLEANUP(thread_places_deinit) struct thread_places places = {0};
	if (!find_places(&findings->picture->roots.frames, &places))
		return lt_fail_memory(findings->session);
	if (places.count < THREADS_MIN)
		return LT_OK;
	qsort(places.data, places.count, sizeof(*places.data), by_place);
	size_t most = 0, most_first = 0;
	for (size_t first = 0, next; first < places.count; first = next) {
		for (next = first + 1;
		     next < places.count && by_place(&places.data[first], &places.data[next]) == 0;
		     next++)
			;
		if (next - first > most) {
			most = next - first;
			most_first = first;
		}
	}
	const struct lt_frame *frame = places.data[most_first].frame;
	struct lt_finding *finding =
		lt_finding_begin(findings, "many-threads",
				 places.count >= 1000 ? LT_MEDIUM : LT_LOW, (double)places.count);
	if (finding == NULL)
		return lt_fail_memory(findings->session);
	lt_finding_int(findings, finding, "threads", places.count);
	lt_finding_int(findings, finding, "at_one_place", most);
	lt_finding_string(findings, finding, "function", frame->function);
	finding->where = lt_finding_format(findings, "%s:%d", frame->file, frame->line);
	finding->expression = "sys._current_frames()";
	finding->title =
		lt_finding_format(findings, "%zu threads run Python code, %zu of them at one place",
				  places.count, most);
	finding->explanation = lt_finding_format(
		findings,
		"Most stand in %s() at %s:%d. Each thread keeps the local variables of all its "
		"frames, its "
		"thread-local values and the touched part of its stack until its function returns.",
		frame->function, frame->file, frame->line);
	finding->fix = "Give the wait a time-out, join or stop threads that are done, or hand the "
		       "work to a pool "
		       "of fixed size (concurrent.futures.ThreadPoolExecutor).";
	return LT_OK;
}

enum lt_status lt_findings_objects(struct lt_findings *findings)
{
	LT_TRY(kept_exceptions(findings));
	LT_TRY(repeated_classes(findings));
	LT_TRY(thread_locals(findings));
	LT_TRY(many_threads(findings));
	return findings->failed ? lt_fail_memory(findings->session) : LT_OK;
}
