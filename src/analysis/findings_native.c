/* What C code holds: references that the collector is not told of, and references that nobody accounts for. */
#include "analysis/findings.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	OBJECTS_MIN = 100,    /* objects of one type worth a word */
	OBJECTS_MANY = 1000,  /* worth more than a word */
	BYTES_MIN = 1 << 20,  /* or bytes held by them */
	BYTES_FEW = 64 << 10, /* fewer are what a library needs for itself */
	BUSY_OBJECTS_MIN = 8, /* fewer may be in the registers of a thread that runs */
	LOOKED_AT = 100,      /* objects of a group that are asked for types near them */
	NAMES_SHOWN = 4,
	GROUPS_MAX = 512,
	TEXT_MAX = 512,
};

static const char *type_name(struct lt_findings *findings, const struct lt_type *type)
{
	if (type == NULL)
		return "object";
	return lt_finding_format(findings, "%s.%s", type->module, type->name);
}

const char *lt_findings_library(struct lt_findings *findings, const struct lt_type *type)
{
	const struct lt_picture *picture = findings->picture;
	LT_CLEANUP(lt_text_deinit) struct lt_text path = {0};
	uint32_t node =
		type != NULL ? lt_heap_graph_find(&picture->graph, type->address) : LT_NO_NODE;
	if (node == LT_NO_NODE || !lt_picture_text(picture, node, LT_DETAIL_LIBRARY, &path))
		return "";
	return lt_finding_format(findings, "%s", lt_text_get(&path));
}

/* ---- Types that do not tell the collector ---- */

enum lt_status lt_finding_stuck(struct lt_findings *findings, const struct lt_unvisited *unvisited)
{
	const struct lt_picture *picture = findings->picture;
	enum lt_severity severity = lt_findings_grade(findings, unvisited->bytes);
	if (severity == LT_LOW && unvisited->edges >= OBJECTS_MANY)
		severity = LT_MEDIUM;
	struct lt_finding *finding = lt_finding_begin(findings, "type-without-traverse", severity,
						      (double)unvisited->bytes);
	if (finding == NULL)
		return lt_fail_memory(findings->session);
	const char *type = type_name(findings, unvisited->type);
	const char *to = type_name(findings, lt_picture_type(picture, unvisited->to));
	const char *library = lt_findings_library(findings, unvisited->type);
	const char *slash = strrchr(library, '/');
	lt_finding_string(findings, finding, "type", type);
	if (library[0] != '\0')
		lt_finding_string(findings, finding, "library", library);
	lt_finding_int(findings, finding, "member_offset", unvisited->offset);
	lt_finding_string(findings, finding, "leads_to", to);
	lt_finding_bool(findings, finding, "collected_type", unvisited->collected);
	lt_finding_int(findings, finding, "references", unvisited->edges);
	lt_finding_int(findings, finding, "objects", unvisited->objects);
	lt_finding_int(findings, finding, "held_bytes", unvisited->bytes);
	lt_finding_real(findings, finding, "heap_share",
			lt_findings_share(findings, unvisited->bytes));
	lt_addr from_at = lt_picture_address(picture, unvisited->from);
	lt_addr to_at = lt_picture_address(picture, unvisited->to);
	lt_finding_string(findings, finding, "edge",
			  lt_finding_format(findings,
					    "%s at 0x%" PRIx64 ", member at offset %" PRIu32
					    ", to %s at 0x%" PRIx64,
					    type, from_at, unvisited->offset, to, to_at));
	/* Nothing reaches it, but the collector's lists do. */
	bool listed = (picture->graph.flags[unvisited->to] & LT_NODE_TRACKED) != 0;
	if (listed || (picture->graph.flags[unvisited->from] & LT_NODE_TRACKED) != 0)
		finding->expression = lt_finding_format(
			findings, "next(x for x in gc.get_objects() if id(x) == 0x%" PRIx64 ")",
			listed ? to_at : from_at);
	finding->where = lt_finding_format(findings, "%s", library);
	finding->title =
		lt_finding_format(findings, "Cycles through %s are never freed: %s objects, %s",
				  type, lt_findings_count(findings, unvisited->objects),
				  lt_findings_bytes(findings, unvisited->bytes));
	finding->explanation = lt_finding_format(
		findings,
		"The member at offset %" PRIu32 " of %s holds a reference to %s, %s. The collector "
		"takes such a reference for one from outside, so a cycle through it stays for "
		"ever, "
		"with all that it reaches. Nothing else reaches these objects.",
		unvisited->offset, type, to,
		unvisited->collected ? "which its tp_traverse does not visit"
				     : "but the type is none of the collector's "
				       "(no Py_TPFLAGS_HAVE_GC)");
	finding->fix = lt_finding_format(
		findings,
		"In %s: %s Py_VISIT() and Py_CLEAR() the member at offset %" PRIu32
		" there. Until then break the cycle by hand: do not let what a %s holds refer back "
		"to it, or use a weak reference.",
		slash != NULL ? slash + 1 : type,
		unvisited->collected
			? "complete tp_traverse and tp_clear of the type."
			: "give the type Py_TPFLAGS_HAVE_GC, tp_traverse and tp_clear.",
		unvisited->offset, unvisited->type->name);
	return LT_OK;
}

/* ---- References that nobody accounts for ---- */

/* Objects of one type that only C code holds, from one place. */
struct group {
	const struct lt_type *type;
	const char *holder; /* "libfoo.so:registry", "" when it is not known */
	uint32_t node;      /* the one that holds most */
	uint64_t objects, missing, bytes;
};
LT_VEC(groups, struct group);

/* NULL: no memory, or so many groups that none of them says much. */
static struct group *group_of(struct groups *groups, const struct lt_type *type, const char *holder)
{
	/* The offset into a symbol is none of the group's: an array of objects is one place. */
	size_t length = strcspn(holder, "+");
	for (size_t i = 0; i < groups->count; i++) {
		struct group *group = &groups->data[i];
		if (group->type == type && strncmp(group->holder, holder, length) == 0 &&
		    strcspn(group->holder, "+") == length)
			return group;
	}
	struct group group = {.type = type, .holder = holder, .node = LT_NO_NODE};
	return groups->count < GROUPS_MAX && groups_push(groups, group)
		       ? &groups->data[groups->count - 1]
		       : NULL;
}

/* Nodes that an exact root holds: C code is not what keeps them. */
static void mark_held(const struct lt_picture *picture, uint8_t *held)
{
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		const struct lt_root *root = &picture->roots.list.data[r];
		uint32_t node = picture->root_node[r];
		if (node != LT_NO_NODE && root->kind != LT_ROOT_EXTERNAL &&
		    root->kind != LT_ROOT_STATIC)
			held[node] = 1;
	}
}

static enum lt_status make_groups(struct lt_findings *findings, struct groups *groups)
{
	const struct lt_picture *picture = findings->picture;
	LT_FREE uint8_t *held = calloc((size_t)picture->graph.graph.node_count + 1, 1);
	if (held == NULL)
		return lt_fail_memory(findings->session);
	mark_held(picture, held);
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		const struct lt_root *root = &picture->roots.list.data[r];
		uint32_t node = picture->root_node[r];
		bool from_c = root->kind == LT_ROOT_STATIC ||
			      (root->kind == LT_ROOT_EXTERNAL && root->count > 0);
		/* What has a way that a user knows is not kept by C code alone. */
		if (!from_c || node == LT_NO_NODE || picture->parent[node] != LT_GRAPH_NONE ||
		    held[node] == 1)
			continue;
		struct group *group = group_of(groups, lt_picture_type(picture, node),
					       root->kind == LT_ROOT_STATIC ? root->name : "");
		if (group == NULL && groups->count >= GROUPS_MAX)
			continue;
		if (group == NULL)
			return lt_fail_memory(findings->session);
		group->missing += root->count;
		/* Of several roots of one object the first counts its bytes. */
		if (held[node] == 2)
			continue;
		held[node] = 2;
		group->objects++;
		group->bytes += picture->retained[node];
		if (group->node == LT_NO_NODE ||
		    picture->retained[node] > picture->retained[group->node])
			group->node = node;
	}
	return LT_OK;
}

static void add_name(struct lt_text *text, size_t *count, const char *name)
{
	if (name[0] == '\0' || *count >= NAMES_SHOWN || strstr(lt_text_get(text), name) != NULL)
		return;
	lt_text_addf(text, "%s%s", *count > 0 ? ", " : "", name);
	++*count;
}

/* Types of C extensions among what the objects refer to; else the extension modules that are loaded. */
static void near_types(struct lt_findings *findings, uint32_t near, struct lt_text *types,
		       struct lt_text *modules)
{
	const struct lt_picture *picture = findings->picture;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	size_t named = 0, listed = 0;
	lt_picture_refs(picture, near, &refs);
	for (size_t i = 0; i < refs.count && i < LOOKED_AT; i++) {
		uint32_t to = lt_heap_graph_find(&picture->graph, refs.data[i].to);
		const struct lt_type *type = to != LT_NO_NODE ? lt_picture_type(picture, to) : NULL;
		if (type != NULL && type->kind == LT_KIND_OPAQUE && !type->python_class)
			add_name(types, &named, type_name(findings, type));
	}
	for (uint32_t node = 0; node < picture->graph.graph.node_count && listed < NAMES_SHOWN;
	     node++) {
		const struct lt_type *type = lt_picture_type(picture, node);
		LT_CLEANUP(lt_text_deinit) struct lt_text file = {0};
		if (type == NULL || type->kind != LT_KIND_MODULE || !picture->alive[node] ||
		    !lt_picture_text(picture, node, LT_DETAIL_FILE, &file))
			continue;
		const char *path = lt_text_get(&file), *end = strrchr(path, '.');
		const char *slash = strrchr(path, '/');
		if (end != NULL && strcmp(end, ".so") == 0 && strstr(path, "/lib-dynload/") == NULL)
			add_name(modules, &listed, slash != NULL ? slash + 1 : path);
	}
}

void lt_finding_near(struct lt_findings *findings, struct lt_finding *finding, uint32_t node)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text types = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text modules = {0};
	near_types(findings, node, &types, &modules);
	if (types.length > 0)
		lt_finding_string(findings, finding, "near_types", lt_text_get(&types));
	if (modules.length > 0)
		lt_finding_string(findings, finding, "extension_modules", lt_text_get(&modules));
}

static bool runs(const struct lt_picture *picture)
{
	const struct lt_interpreters *interpreters = &picture->roots.interpreters;
	for (size_t i = 0; i < interpreters->count; i++) {
		for (size_t t = 0; t < interpreters->data[i].thread_count; t++)
			if (interpreters->data[i].threads[t].holds_gil)
				return true;
	}
	return false;
}

static enum lt_status from_c(struct lt_findings *findings, const struct group *group)
{
	const struct lt_picture *picture = findings->picture;
	bool unknown = group->holder[0] == '\0';
	enum lt_severity severity = lt_findings_grade(findings, group->bytes);
	if (severity == LT_LOW && unknown && group->objects >= OBJECTS_MANY &&
	    group->bytes >= BYTES_FEW)
		severity = LT_MEDIUM;
	if (unknown && group->objects < BUSY_OBJECTS_MIN && runs(picture))
		severity = LT_LOW;
	/* Static data holds what a library needs: only much of it is worth a word. */
	if (severity == LT_LOW && (!unknown || group->bytes < BYTES_FEW ||
				   (group->objects < OBJECTS_MIN && group->bytes < BYTES_MIN)))
		return LT_OK;
	struct lt_finding *finding =
		lt_finding_begin(findings, "references-from-c", severity, (double)group->bytes);
	if (finding == NULL)
		return lt_fail_memory(findings->session);
	const char *type = type_name(findings, group->type);
	char holder[TEXT_MAX];
	snprintf(holder, sizeof(holder), "%.*s", (int)strcspn(group->holder, "+"), group->holder);
	lt_finding_string(findings, finding, "type", type);
	lt_finding_int(findings, finding, "objects", group->objects);
	lt_finding_int(findings, finding, "missing_references", group->missing);
	lt_finding_int(findings, finding, "held_bytes", group->bytes);
	lt_finding_real(findings, finding, "heap_share", lt_findings_share(findings, group->bytes));
	if (!unknown)
		lt_finding_string(findings, finding, "held_by", holder);
	const char *library = lt_findings_library(findings, group->type);
	if (library[0] != '\0')
		lt_finding_string(findings, finding, "type_library", library);
	if (unknown)
		lt_finding_near(findings, finding, group->node);
	lt_finding_point(findings, finding, group->node);
	const char *objects = lt_findings_count(findings, group->objects);
	const char *bytes = lt_findings_bytes(findings, group->bytes);
	finding->title = lt_finding_format(
		findings,
		unknown ? "%s objects of type %s have references that nothing accounts for (%s)"
			: "%s objects of type %s are held by C data only (%s)",
		objects, type, bytes);
	finding->explanation =
		unknown ? "Their reference counts are higher than the references found in all "
			  "objects, in the interpreter, in frames, C stacks and the static data of "
			  "loaded libraries. Either C code keeps pointers to them in memory of its "
			  "own, or it took a reference (Py_INCREF) and never gave it back. No "
			  "Python "
			  "code can reach them."
			: lt_finding_format(findings,
					    "The static C data %s keeps them alive; no Python code "
					    "reaches them in another way.",
					    holder);
	finding->fix =
		unknown ? "Look for the call into an extension that gets these objects: one that "
			  "is "
			  "given a callback or registers an object has to be told to let go; a "
			  "missing Py_DECREF (often on an error path) is to be mended in the "
			  "extension."
			: lt_finding_format(
				  findings,
				  "Call what empties %s in that library, or report to its "
				  "authors that it has no bound.",
				  holder);
	return LT_OK;
}

enum lt_status lt_findings_native(struct lt_findings *findings)
{
	const struct lt_picture *picture = findings->picture;
	for (size_t i = 0; i < picture->unvisited.count; i++)
		LT_TRY(lt_finding_stuck(findings, &picture->unvisited.data[i]));
	LT_CLEANUP(groups_deinit) struct groups groups = {0};
	LT_TRY(make_groups(findings, &groups));
	for (size_t i = 0; i < groups.count; i++)
		LT_TRY(from_c(findings, &groups.data[i]));
	return findings->failed ? lt_fail_memory(findings->session) : LT_OK;
}
