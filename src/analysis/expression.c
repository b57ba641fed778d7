#include "analysis/expression.h"

#include "analysis/pick.h"
#include "analysis/read.h"
#include "analysis/tasks.h"
#include "analysis/threads.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum {
	STEPS_SHOWN = 24, /* steps of one way that are written out */
	STEPS_MAX = 4096, /* longer ways are cut: the rest is counted */
	NAME_BYTES = 400, /* one part of a qualified name */
	BASES_MAX = 64,
	REFS_KEPT =
		1 << 12, /* of an object with more references they are kept for the next question */
};

/* What gives them where an event loop runs. */
#define ALL_TASKS "sys.modules['asyncio'].all_tasks()"

struct lt_expressions {
	const struct lt_picture *picture;
	struct lt_refs refs;   /* of the object looked at last */
	struct lt_refs many;   /* of the object `many_of`, which has many */
	uint32_t many_of;      /* LT_NO_NODE: none */
	struct lt_map modules; /* hash of a name -> node of the module */
	uint32_t modules_dict; /* node of sys.modules of the main interpreter */
	bool naming_variable;  /* a context variable is being named: no other one is then */
};

static lt_addr address_of(const struct lt_expressions *ex, uint32_t node)
{
	return lt_picture_address(ex->picture, node);
}

static enum lt_kind kind_of(const struct lt_expressions *ex, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(ex->picture, node);
	return type != NULL ? type->kind : LT_KIND_OPAQUE;
}

static const struct lt_refs *refs_of(struct lt_expressions *ex, uint32_t node)
{
	if (node == ex->many_of)
		return &ex->many;
	ex->refs.count = 0;
	lt_picture_refs(ex->picture, node, &ex->refs);
	if (ex->refs.count > REFS_KEPT) {
		struct lt_refs swap = ex->many;
		ex->many = ex->refs;
		ex->refs = swap;
		ex->many_of = node;
		return &ex->many;
	}
	return &ex->refs;
}

static uint32_t node_of(const struct lt_expressions *ex, lt_addr address)
{
	return lt_heap_graph_find(&ex->picture->graph, address);
}

/* The name that a str object holds. */
static bool name_at(const struct lt_expressions *ex, lt_addr object, struct lt_text *name)
{
	uint32_t node = node_of(ex, object);
	return node != LT_NO_NODE && lt_picture_text(ex->picture, node, LT_DETAIL_STRING, name);
}

/* What the node refers to by a fixed member, LT_NO_NODE when it has none. */
static uint32_t member_of(struct lt_expressions *ex, uint32_t node, enum lt_member member)
{
	const struct lt_refs *refs = refs_of(ex, node);
	for (size_t i = 0; i < refs->count; i++) {
		if (refs->data[i].kind == LT_REF_MEMBER && refs->data[i].index == (uint32_t)member)
			return node_of(ex, refs->data[i].to);
	}
	return LT_NO_NODE;
}

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return hash;
}

enum lt_status lt_expressions_create(const struct lt_picture *picture,
				     struct lt_expressions **ret_expressions)
{
	struct lt_session *session = picture->session;
	struct lt_expressions *ex = calloc(1, sizeof(*ex));
	if (ex == NULL)
		return lt_fail_memory(session);
	ex->picture = picture;
	ex->modules_dict = LT_NO_NODE;
	ex->many_of = LT_NO_NODE;
	for (size_t r = 0; r < picture->roots.list.count && ex->modules_dict == LT_NO_NODE; r++) {
		const struct lt_root *root = &picture->roots.list.data[r];
		if (root->kind == LT_ROOT_MODULES && root->interpreter == 0)
			ex->modules_dict = picture->root_node[r];
	}
	if (ex->modules_dict != LT_NO_NODE) {
		const struct lt_refs *refs = refs_of(ex, ex->modules_dict);
		for (size_t i = 0; i < refs->count; i++) {
			const struct lt_ref *ref = &refs->data[i];
			LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
			uint32_t node = node_of(ex, ref->to);
			if (ref->kind != LT_REF_VALUE || node == LT_NO_NODE ||
			    !name_at(ex, ref->name, &name))
				continue;
			if (!lt_map_put(&ex->modules, hash_text(lt_text_get(&name)), node)) {
				lt_expressions_destroy(ex);
				return lt_fail_memory(session);
			}
		}
	}
	*ret_expressions = ex;
	return LT_OK;
}

void lt_expressions_destroy(struct lt_expressions *ex)
{
	if (ex == NULL)
		return;
	lt_refs_deinit(&ex->refs);
	lt_refs_deinit(&ex->many);
	lt_map_deinit(&ex->modules);
	free(ex);
}

uint32_t lt_expression_module(struct lt_expressions *ex, const char *name)
{
	uint64_t node = LT_NO_NODE;
	return lt_map_get(&ex->modules, hash_text(name), &node) ? (uint32_t)node : LT_NO_NODE;
}

/* How good a reference is for an expression; the least wins. */
int lt_expression_rank(const struct lt_ref *ref)
{
	switch (ref->kind) {
	case LT_REF_ATTRIBUTE:
		return 0;
	case LT_REF_VALUE:
		return 1;
	case LT_REF_ITEM:
	case LT_REF_SLOT:
		return 2;
	case LT_REF_MEMBER:
		return lt_member_spelling((enum lt_member)ref->index)[0] == '.' ? 3 : 7;
	case LT_REF_DICT:
		return 4;
	case LT_REF_LOCAL:
		return 5;
	case LT_REF_KEY:
		return 6;
	case LT_REF_TYPE:
		return 8;
	default:
		return 9;
	}
}

bool lt_expression_ref(struct lt_expressions *ex, uint32_t from, uint32_t to,
		       struct lt_ref *ret_ref)
{
	lt_addr wanted = address_of(ex, to);
	const struct lt_refs *refs = refs_of(ex, from);
	const struct lt_ref *best = NULL;
	for (size_t i = 0; i < refs->count; i++) {
		const struct lt_ref *ref = &refs->data[i];
		if (ref->to == wanted &&
		    (best == NULL || lt_expression_rank(ref) < lt_expression_rank(best)))
			best = ref;
	}
	if (best == NULL)
		return false;
	*ret_ref = *best;
	return true;
}

uint32_t lt_expression_lookup(struct lt_expressions *ex, uint32_t dict, const char *key)
{
	const struct lt_refs *refs = refs_of(ex, dict);
	for (size_t i = 0; i < refs->count; i++) {
		const struct lt_ref *ref = &refs->data[i];
		LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
		if ((ref->kind == LT_REF_VALUE || ref->kind == LT_REF_ATTRIBUTE) &&
		    name_at(ex, ref->name, &name) && strcmp(lt_text_get(&name), key) == 0)
			return node_of(ex, ref->to);
	}
	return LT_NO_NODE;
}

static bool is_namespace(const struct lt_ref *ref)
{
	return ref->kind == LT_REF_DICT ||
	       (ref->kind == LT_REF_MEMBER && (ref->index == LT_MEMBER_attributes ||
					       ref->index == LT_MEMBER_instance_attributes));
}

/* The dict of a module or type node. */
static uint32_t namespace_of(struct lt_expressions *ex, uint32_t owner)
{
	const struct lt_refs *refs = refs_of(ex, owner);
	for (size_t i = 0; i < refs->count; i++) {
		if (is_namespace(&refs->data[i]))
			return node_of(ex, refs->data[i].to);
	}
	return LT_NO_NODE;
}

uint32_t lt_expression_attribute(struct lt_expressions *ex, uint32_t owner, const char *name)
{
	uint32_t dict = namespace_of(ex, owner);
	return lt_expression_lookup(ex, dict != LT_NO_NODE ? dict : owner, name);
}

/* The object that `module`.`qualname` names, LT_NO_NODE when there is none or a part is no identifier. */
static uint32_t resolve(struct lt_expressions *ex, const char *module, const char *qualname)
{
	uint32_t at = lt_expression_module(ex, module);
	char part[NAME_BYTES];
	while (at != LT_NO_NODE && *qualname != '\0') {
		size_t length = strcspn(qualname, ".");
		if (length >= sizeof(part))
			return LT_NO_NODE;
		memcpy(part, qualname, length);
		part[length] = '\0';
		qualname += length + (qualname[length] == '.');
		uint32_t dict = lt_is_identifier(part) ? namespace_of(ex, at) : LT_NO_NODE;
		at = dict != LT_NO_NODE ? lt_expression_lookup(ex, dict, part) : LT_NO_NODE;
	}
	return at;
}

/* The function inside what wraps one: lru_cache, method, staticmethod; else the node itself. */
static uint32_t wrapped_function(struct lt_expressions *ex, uint32_t node)
{
	switch (kind_of(ex, node)) {
	case LT_KIND_LRU_CACHE:
		return member_of(ex, node, LT_MEMBER_wrapped);
	case LT_KIND_METHOD:
	case LT_KIND_STATIC_METHOD:
	case LT_KIND_CLASS_METHOD:
		return member_of(ex, node, LT_MEMBER_function);
	default:
		return node;
	}
}

static bool is_kind(const struct lt_expressions *ex, uint32_t node, enum lt_kind kind)
{
	return node != LT_NO_NODE && kind_of(ex, node) == kind;
}

static bool code_place(const struct lt_expressions *ex, uint32_t code, struct lt_text *where)
{
	int64_t line = 0;
	if (!is_kind(ex, code, LT_KIND_CODE) ||
	    !lt_picture_text(ex->picture, code, LT_DETAIL_FILE, where))
		return false;
	(void)lt_picture_number(ex->picture, code, LT_DETAIL_FIRST_LINE, &line);
	lt_text_addf(where, ":%" PRId64, line);
	return true;
}

/* The line at which a suspended generator or coroutine stands, else that of its function. */
static bool suspended_place(struct lt_expressions *ex, uint32_t generator, struct lt_text *where)
{
	int64_t line = 0;
	uint32_t code = member_of(ex, generator, LT_MEMBER_frame_code);
	if (!is_kind(ex, code, LT_KIND_CODE) ||
	    !lt_picture_number(ex->picture, generator, LT_DETAIL_LINE, &line))
		return code_place(ex, code, where);
	if (!lt_picture_text(ex->picture, code, LT_DETAIL_FILE, where))
		return false;
	lt_text_addf(where, ":%" PRId64, line);
	return true;
}

bool lt_expression_function_place(struct lt_expressions *ex, uint32_t node, struct lt_text *where)
{
	uint32_t code = wrapped_function(ex, node);
	if (is_kind(ex, code, LT_KIND_FUNCTION))
		code = member_of(ex, code, LT_MEMBER_code);
	return code_place(ex, code, where);
}

/* The names of variables that code objects keep: one table, or one each for its three kinds. */
bool lt_expression_local_name(struct lt_expressions *ex, uint32_t code, uint32_t index,
			      struct lt_text *name)
{
	static const enum lt_member tables[] = {LT_MEMBER_local_names, LT_MEMBER_variable_names,
						LT_MEMBER_cell_names, LT_MEMBER_free_names};
	uint64_t at = index;
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		uint32_t table = member_of(ex, code, tables[t]);
		int64_t length = 0;
		if (table == LT_NO_NODE ||
		    !lt_picture_number(ex->picture, table, LT_DETAIL_LENGTH, &length))
			continue;
		if (at >= (uint64_t)length) {
			at -= (uint64_t)length;
			continue;
		}
		const struct lt_refs *refs = refs_of(ex, table);
		for (size_t i = 0; i < refs->count; i++) {
			if (refs->data[i].kind == LT_REF_ITEM && refs->data[i].index == at)
				return name_at(ex, refs->data[i].to, name);
		}
		return false;
	}
	return false;
}

/*
 * Where a class, a function or what wraps a function says that it lives, when it is really there: so it
 * is named by its home and not by a module that imported it.
 */
static bool write_home(struct lt_expressions *ex, uint32_t node, struct lt_text *text)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text module = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text qualname = {0};
	uint32_t named = node;
	switch (kind_of(ex, node)) {
	case LT_KIND_TYPE:
		break;
	case LT_KIND_FUNCTION:
	case LT_KIND_LRU_CACHE:
		named = wrapped_function(ex, node);
		if (!is_kind(ex, named, LT_KIND_FUNCTION))
			return false;
		break;
	default:
		return false;
	}
	if (!lt_picture_text(ex->picture, named, LT_DETAIL_MODULE, &module) ||
	    !lt_picture_text(ex->picture, named, LT_DETAIL_NAME, &qualname))
		return false;
	if (qualname.length == 0 ||
	    resolve(ex, lt_text_get(&module), lt_text_get(&qualname)) != node)
		return false;
	lt_text_addf(text, "sys.modules['%s'].%s", lt_text_get(&module), lt_text_get(&qualname));
	return true;
}

/* Name of the __slots__ member at `offset`, from the member descriptors of the type and its bases. */
static bool slot_name(struct lt_expressions *ex, const struct lt_type *type, int64_t offset,
		      struct lt_text *name)
{
	for (int depth = 0; type != NULL && depth < BASES_MAX; depth++) {
		uint32_t class = node_of(ex, type->address);
		uint32_t dict = class != LT_NO_NODE ? namespace_of(ex, class) : LT_NO_NODE;
		const struct lt_refs *refs = dict != LT_NO_NODE ? refs_of(ex, dict) : NULL;
		for (size_t i = 0; refs != NULL && i < refs->count; i++) {
			const struct lt_ref *ref = &refs->data[i];
			uint32_t value =
				ref->kind == LT_REF_VALUE ? node_of(ex, ref->to) : LT_NO_NODE;
			int64_t own;
			if (is_kind(ex, value, LT_KIND_DESCRIPTOR) &&
			    lt_picture_number(ex->picture, value, LT_DETAIL_MEMBER_OFFSET, &own) &&
			    own == offset)
				return name_at(ex, ref->name, name);
		}
		type = type->base != 0 ? lt_types_get(ex->picture->types, type->base) : NULL;
	}
	return false;
}

/* One expression under construction. */
struct writing {
	struct lt_text text;
	bool pending;    /* the node is the __dict__ of what `text` says */
	bool owner_type; /* then: what `text` says is a class */
	bool in_locals;  /* the node may be a cell whose contents Python shows in its place */
	bool of_threads; /* the node is the dict of the namespaces of what `text` says, one for each thread */
	bool of_context;              /* the node belongs to the context in which a thread runs */
	bool of_state;                /* the node belongs to the interpreter itself */
	bool one_thread;              /* the expression holds in one thread only */
	const struct lt_root *thread; /* then: a root that names it, NULL: which one is not known */
	uint32_t weak; /* the weak reference whose callback `text` leads to, LT_NO_NODE: none */
	bool general;  /* [*] for every index and key but the names of modules */
};

static void wrap(struct lt_text *text, const char *before, const char *after)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text inner = *text;
	*text = (struct lt_text){0};
	lt_text_add(text, before);
	lt_text_add(text, lt_text_get(&inner));
	lt_text_add(text, after);
}

/* A key as Python source. */
static bool literal_at(const struct lt_expressions *ex, lt_addr key, struct lt_text *literal)
{
	uint32_t node = node_of(ex, key);
	return node != LT_NO_NODE && lt_picture_text(ex->picture, node, LT_DETAIL_LITERAL, literal);
}

static void add_attribute(struct lt_expressions *ex, struct writing *w, lt_addr name)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text key = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text literal = {0};
	if (name_at(ex, name, &key) && lt_is_identifier(lt_text_get(&key))) {
		lt_text_addf(&w->text, ".%s", lt_text_get(&key));
	} else if (literal_at(ex, name, &literal)) {
		lt_text_addf(&literal, ")");
		lt_text_add(&w->text, ", ");
		lt_text_add(&w->text, lt_text_get(&literal));
		wrap(&w->text, "getattr(", "");
	} else {
		lt_text_add(&w->text, "<attribute>");
	}
}

/*
 * A dict value: an attribute when the dict is a namespace, else by its key. `of_state`: the dict may be that of
 * interned strings, each of which is its own key.
 */
static void add_value(struct lt_expressions *ex, struct writing *w, uint32_t to, lt_addr key,
		      bool of_state)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
	enum lt_kind kind = kind_of(ex, to);
	/* A class gives these not as they are but through their __get__. */
	bool bound = w->owner_type && (kind == LT_KIND_STATIC_METHOD ||
				       kind == LT_KIND_CLASS_METHOD || kind == LT_KIND_DESCRIPTOR);
	if (w->pending && !bound && is_kind(ex, node_of(ex, key), LT_KIND_STR) &&
	    name_at(ex, key, &name) && lt_is_identifier(lt_text_get(&name))) {
		lt_text_addf(&w->text, ".%s", lt_text_get(&name));
		return;
	}
	if (w->pending)
		lt_text_add(&w->text, ".__dict__");
	LT_CLEANUP(lt_text_deinit) struct lt_text literal = {0};
	if (!(of_state && key == address_of(ex, to)) && literal_at(ex, key, &literal)) {
		lt_text_addf(&w->text, "[%s]", lt_text_get(&literal));
		return;
	}
	char after[64];
	snprintf(after, sizeof(after), ".values() if id(x) == 0x%" PRIx64 ")", address_of(ex, to));
	wrap(&w->text, "next(x for x in ", after);
}

static const char *frame_attribute(enum lt_kind kind)
{
	switch (kind) {
	case LT_KIND_GENERATOR:
		return ".gi_frame";
	case LT_KIND_COROUTINE:
		return ".cr_frame";
	case LT_KIND_ASYNC_GENERATOR:
		return ".ag_frame";
	default:
		return "";
	}
}

/* The code that a frame or generator runs, LT_NO_NODE when it does not say. */
static uint32_t code_of(struct lt_expressions *ex, uint32_t node)
{
	return member_of(ex, node, LT_MEMBER_frame_code);
}

/* True for a step inside the tree in which a context keeps its variables; Python shows a mapping. */
static bool in_variables(const struct lt_expressions *ex, uint32_t from, const struct lt_ref *ref)
{
	switch (kind_of(ex, from)) {
	case LT_KIND_CONTEXT:
		return ref->kind == LT_REF_MEMBER && ref->index == LT_MEMBER_context_variables;
	case LT_KIND_HAMT:
	case LT_KIND_HAMT_BITMAP:
	case LT_KIND_HAMT_ARRAY:
	case LT_KIND_HAMT_COLLISION:
		return true;
	default:
		return false;
	}
}

/* The value of a context variable: variable.get() in the context that runs, else by the variable. */
static void add_variable(struct lt_expressions *ex, struct writing *w, uint32_t from,
			 const struct lt_ref *ref)
{
	enum lt_kind kind = kind_of(ex, from);
	if (ref->kind != LT_REF_ITEM || ref->index % 2 == 0 ||
	    (kind != LT_KIND_HAMT_BITMAP && kind != LT_KIND_HAMT_COLLISION))
		return;
	/* Pairs: a variable and its value; the next level of the tree has no variable beside it. */
	uint32_t variable = LT_NO_NODE;
	const struct lt_refs *refs = refs_of(ex, from);
	for (size_t i = 0; i < refs->count && variable == LT_NO_NODE; i++) {
		if (refs->data[i].kind == LT_REF_ITEM && refs->data[i].index == ref->index - 1)
			variable = node_of(ex, refs->data[i].to);
	}
	if (!is_kind(ex, variable, LT_KIND_CONTEXT_VAR))
		return;
	LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
	if (!ex->naming_variable) {
		ex->naming_variable = true;
		lt_expression_write(ex, variable, &name, NULL);
		ex->naming_variable = false;
	}
	if (name.length == 0)
		lt_text_add(&name, "<variable>");
	if (w->of_context) {
		lt_text_add(&name, ".get()");
		lt_text_deinit(&w->text);
		w->text = name;
		name = (struct lt_text){0};
		w->of_context = false;
		w->one_thread = true;
	} else {
		lt_text_addf(&w->text, "[%s]", lt_text_get(&name));
	}
}

static void add_step(struct lt_expressions *ex, struct writing *w, uint32_t from, uint32_t to)
{
	struct lt_ref ref;
	if (!lt_expression_ref(ex, from, to, &ref)) {
		lt_text_add(&w->text, "<unknown>");
		w->pending = w->in_locals = false;
		return;
	}
	bool in_locals = w->in_locals, of_state = w->of_state;
	w->in_locals = w->of_state = false;
	if (in_variables(ex, from, &ref)) {
		add_variable(ex, w, from, &ref);
		return;
	}
	w->of_context = false;
	if (is_namespace(&ref)) {
		w->pending = true;
		w->owner_type = kind_of(ex, from) == LT_KIND_TYPE;
		return;
	}
	if (w->of_threads && ref.kind == LT_REF_VALUE) {
		w->of_threads = false;
		w->pending = w->one_thread = true;
		w->thread = lt_local_values_root(ex->picture, to);
		return;
	}
	if (ref.kind == LT_REF_MEMBER && ref.index == LT_MEMBER_local_dicts) {
		w->of_threads = true;
		return;
	}
	if (ref.kind == LT_REF_VALUE && (w->pending || !w->general || from == ex->modules_dict)) {
		add_value(ex, w, to, ref.name, of_state);
		w->pending = false;
		return;
	}
	if (w->pending)
		lt_text_add(&w->text, ".__dict__");
	w->pending = false;
	if (w->general && (ref.kind == LT_REF_VALUE || ref.kind == LT_REF_ITEM ||
			   (ref.kind == LT_REF_KEY && kind_of(ex, from) == LT_KIND_SET))) {
		lt_text_add(&w->text, "[*]");
		return;
	}
	if (w->general && ref.kind == LT_REF_KEY) {
		lt_text_add(&w->text, ".keys()[*]");
		return;
	}
	char after[64];
	uint32_t code;
	LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
	switch (ref.kind) {
	case LT_REF_ATTRIBUTE:
		add_attribute(ex, w, ref.name);
		return;
	case LT_REF_ITEM:
		lt_text_addf(&w->text, "[%" PRIu32 "]", ref.index);
		return;
	case LT_REF_KEY:
		snprintf(after, sizeof(after), " if id(x) == 0x%" PRIx64 ")", ref.to);
		wrap(&w->text, "next(x for x in ", after);
		return;
	case LT_REF_SLOT:
		if (slot_name(ex, lt_picture_type(ex->picture, from), (int64_t)ref.index, &name))
			lt_text_addf(&w->text, ".%s", lt_text_get(&name));
		else
			lt_text_addf(&w->text, "<slot at %" PRIu32 ">", ref.index);
		return;
	case LT_REF_MEMBER: {
		const char *spelling = lt_member_spelling((enum lt_member)ref.index);
		if (in_locals && ref.index == LT_MEMBER_cell_contents)
			return;
		if (kind_of(ex, to) == LT_KIND_FRAME &&
		    frame_attribute(kind_of(ex, from))[0] != '\0')
			spelling = frame_attribute(kind_of(ex, from));
		if (ref.index == LT_MEMBER_callback && kind_of(ex, from) == LT_KIND_WEAKREF)
			w->weak = from;
		if (ref.index == LT_MEMBER_coroutine && kind_of(ex, from) == LT_KIND_TASK)
			spelling = ".get_coro()";
		lt_text_add(&w->text, spelling);
		return;
	}
	case LT_REF_LOCAL:
		lt_text_add(&w->text, frame_attribute(kind_of(ex, from)));
		code = code_of(ex, from);
		if (code != LT_NO_NODE && lt_expression_local_name(ex, code, ref.index, &name))
			lt_text_addf(&w->text, ".f_locals['%s']", lt_text_get(&name));
		else
			lt_text_addf(&w->text, "<local %" PRIu32 ">", ref.index);
		w->in_locals = true;
		return;
	case LT_REF_TYPE:
		wrap(&w->text, "type(", ")");
		return;
	case LT_REF_STACK:
		lt_text_add(&w->text, "<evaluation stack>");
		return;
	default:
		lt_text_addf(&w->text, "<word at %" PRIu32 ">", ref.index);
		return;
	}
}

static void add_thread(const struct lt_picture *picture, const struct lt_frame *frame,
		       struct lt_text *text)
{
	const struct lt_interpreter *interpreter =
		&picture->roots.interpreters.data[frame->interpreter];
	lt_thread_add(text, &interpreter->threads[frame->thread]);
}

/* "asyncio task 'Task-7' of fetch()", and what gives it in Python. */
static void begin_at_task(struct lt_expressions *ex, const struct lt_root *root, uint32_t node,
			  struct writing *w, struct lt_text *prefix, struct lt_text *where)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text function = {0};
	uint32_t code = lt_task_code(ex->picture, node);
	if (!w->general)
		lt_text_addf(&w->text, "next(x for x in " ALL_TASKS " if id(x) == 0x%" PRIx64 ")",
			     address_of(ex, node));
	else
		lt_text_add(&w->text, ALL_TASKS "[*]");
	lt_text_add(prefix, w->general ? "asyncio tasks" : "asyncio task");
	if (!w->general && root->variable != NULL)
		lt_text_addf(prefix, " '%s'", root->variable);
	if (code != LT_NO_NODE && lt_picture_text(ex->picture, code, LT_DETAIL_NAME, &function))
		lt_text_addf(prefix, " of %s()", lt_text_get(&function));
	uint32_t coroutine = member_of(ex, node, LT_MEMBER_coroutine);
	if (where != NULL && coroutine != LT_NO_NODE)
		(void)suspended_place(ex, coroutine, where);
}

/* How the way begins: `prefix` is the sentence before the expression itself. */
static void begin(struct lt_expressions *ex, const struct lt_root *root, uint32_t node,
		  struct writing *w, struct lt_text *prefix, struct lt_text *where)
{
	const struct lt_picture *picture = ex->picture;
	switch (root->kind) {
	case LT_ROOT_MODULES:
		lt_text_add(&w->text, "sys.modules");
		if (root->interpreter > 0 && root->interpreter < picture->roots.interpreters.count)
			lt_text_addf(prefix, "in interpreter %" PRId64,
				     picture->roots.interpreters.data[root->interpreter].id);
		return;
	case LT_ROOT_NAMED:
		lt_text_add(&w->text, root->name);
		return;
	case LT_ROOT_LOCAL: {
		const struct lt_frame *frame = &picture->roots.frames.data[root->frame];
		lt_text_addf(prefix, "local variable '%s' of %s() at %s:%d in ", root->variable,
			     frame->function, frame->file, frame->line);
		add_thread(picture, frame, prefix);
		lt_text_add(&w->text, root->variable);
		w->in_locals = true;
		if (where != NULL)
			lt_text_addf(where, "%s:%d", frame->file, frame->line);
		return;
	}
	case LT_ROOT_FRAME: {
		const struct lt_frame *frame = &picture->roots.frames.data[root->frame];
		lt_text_addf(prefix, "%s of %s() at %s:%d in ", root->name, frame->function,
			     frame->file, frame->line);
		add_thread(picture, frame, prefix);
		if (where != NULL)
			lt_text_addf(where, "%s:%d", frame->file, frame->line);
		lt_text_add(&w->text, "<value>");
		return;
	}
	case LT_ROOT_STATE:
	case LT_ROOT_STATIC:
	case LT_ROOT_STACK:
	case LT_ROOT_EXTERNAL: {
		const struct lt_type *type = lt_picture_type(picture, node);
		w->of_state = root->kind == LT_ROOT_STATE;
		lt_text_addf(&w->text, "<%s", type != NULL ? type->name : "object");
		if (!w->general)
			lt_text_addf(&w->text, " at 0x%" PRIx64, address_of(ex, node));
		lt_text_addf(&w->text, ", %s>", root->name);
		return;
	}
	case LT_ROOT_ASYNCIO:
		begin_at_task(ex, root, node, w, prefix, where);
		return;
	default:
		w->of_context = root->kind == LT_ROOT_CONTEXT;
		lt_text_addf(&w->text, "<%s", root->name);
		if (root->variable != NULL && !w->general)
			lt_text_addf(&w->text, " '%s'", root->variable);
		lt_text_add(&w->text, ">");
	}
}

/* In which thread an expression holds: "in thread 1234 'worker'". */
static void add_one_thread(const struct writing *w, struct lt_text *prefix)
{
	if (w->thread == NULL || w->general) {
		lt_text_add(prefix, "in one of its threads");
		return;
	}
	lt_text_addf(prefix, "in %s", w->thread->name);
	if (w->thread->variable != NULL)
		lt_text_addf(prefix, " '%s'", w->thread->variable);
}

/* "callback of a weak reference to shop.Order", before what else is said. */
static void add_weak(const struct lt_expressions *ex, const struct writing *w,
		     struct lt_text *prefix)
{
	const struct lt_picture *picture = ex->picture;
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	int64_t referent = 0;
	if (w->weak == LT_NO_NODE)
		return;
	lt_text_add(&text, "callback of a weak reference");
	if (lt_picture_number(picture, w->weak, LT_DETAIL_REFERENT, &referent)) {
		uint32_t node = node_of(ex, (lt_addr)referent);
		const struct lt_type *type =
			node != LT_NO_NODE ? lt_picture_type(picture, node) : NULL;
		if (type != NULL && strcmp(type->name, "NoneType") == 0) {
			lt_text_add(&text, " to what is gone");
		} else if (node != LT_NO_NODE) {
			lt_text_add(&text, " to ");
			lt_node_type_add(&text, picture, node);
		}
	}
	lt_text_add(&text, prefix->length > 0 ? ", in " : "");
	lt_text_add(&text, lt_text_get(prefix));
	lt_text_deinit(prefix);
	*prefix = text;
	text = (struct lt_text){0};
}

/*
 * `nodes` lead from a root to the node meant; `cut` more steps that are not among them lead on. Among the first
 * `within` of them a task may be where it begins.
 */
static void write_way(struct lt_expressions *ex, const uint32_t *nodes, size_t count, uint64_t cut,
		      size_t within, const struct lt_root *root, bool general, struct lt_text *text,
		      struct lt_text *where)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text prefix = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text place = {0};
	struct writing w = {.general = general, .weak = LT_NO_NODE};
	size_t first = 0;
	/* The last class or function on the way that is at home in its module is where the expression starts. */
	for (size_t i = count; i-- > 1 && first == 0;) {
		if (write_home(ex, nodes[i], &w.text))
			first = i;
	}
	if (first == 0 && lt_task_start(ex, ex->picture, nodes, within, root, &first))
		root = lt_task_root(ex->picture, nodes[first]);
	if (w.text.length == 0 && root != NULL)
		begin(ex, root, nodes[first], &w, &prefix, &place);
	size_t shown = count - 1 - first > STEPS_SHOWN ? first + STEPS_SHOWN : count - 1;
	for (size_t i = first; i < shown; i++)
		add_step(ex, &w, nodes[i], nodes[i + 1]);
	if (w.pending)
		lt_text_add(&w.text, ".__dict__");
	if (w.of_threads)
		lt_text_add(&w.text, lt_member_spelling(LT_MEMBER_local_dicts));
	if (w.one_thread && prefix.length == 0)
		add_one_thread(&w, &prefix);
	add_weak(ex, &w, &prefix);
	uint64_t left = cut + (count - 1 - shown);
	if (left > 0)
		lt_text_addf(&w.text, "<%" PRIu64 " steps more>", left);

	bool alone = prefix.length > 0 && root != NULL && root->kind == LT_ROOT_LOCAL &&
		     first == 0 && count == 1;
	lt_text_add(text, lt_text_get(&prefix));
	if (!alone) {
		lt_text_add(text, prefix.length > 0 ? ": " : "");
		lt_text_add(text, lt_text_get(&w.text));
	}
	lt_text_deinit(&w.text);

	if (where == NULL)
		return;
	uint32_t node = nodes[count - 1];
	if (first == count - 1 || kind_of(ex, node) == LT_KIND_LRU_CACHE)
		(void)lt_expression_function_place(ex, node, where);
	for (size_t i = count; i-- > 0 && where->length == 0;) {
		if (frame_attribute(kind_of(ex, nodes[i]))[0] != '\0')
			(void)suspended_place(ex, nodes[i], where);
		else if (kind_of(ex, nodes[i]) == LT_KIND_MODULE)
			(void)lt_picture_text(ex->picture, nodes[i], LT_DETAIL_FILE, where);
	}
	if (where->length == 0)
		lt_text_add(where, lt_text_get(&place));
}

void lt_expression_write_way(struct lt_expressions *ex, const uint32_t *nodes, size_t count,
			     const struct lt_root *root, bool general, struct lt_text *text,
			     struct lt_text *where)
{
	if (count == 0)
		return;
	size_t kept = count > STEPS_MAX ? STEPS_MAX : count;
	write_way(ex, nodes, kept, count - kept, kept - 1,
		  root != NULL ? root : lt_picture_root(ex->picture, nodes[0]), general, text,
		  where);
}

void lt_expression_label(struct lt_expressions *ex, uint32_t from, uint32_t to,
			 struct lt_text *text)
{
	struct writing w = {.weak = LT_NO_NODE};
	add_step(ex, &w, from, to);
	if (w.pending)
		lt_text_add(&w.text, ".__dict__");
	if (w.of_threads)
		lt_text_add(&w.text, lt_member_spelling(LT_MEMBER_local_dicts));
	/* What stands around an expression stands around nothing here. */
	if (strncmp(lt_text_get(&w.text), "next(x for x in ", 16) == 0) {
		bool value = strncmp(lt_text_get(&w.text) + 16, ".values()", 9) == 0;
		lt_text_clear(&w.text);
		lt_text_add(&w.text, value ? "<value>" : "<key>");
	}
	lt_text_add(text, lt_text_get(&w.text));
	lt_text_deinit(&w.text);
}

void lt_expression_write(struct lt_expressions *ex, uint32_t node, struct lt_text *text,
			 struct lt_text *where)
{
	const struct lt_picture *picture = ex->picture;
	if (node >= picture->graph.graph.node_count || !picture->alive[node])
		return;
	/* From the node back to the root; a way that is too long is written from its start. */
	uint64_t length = 0;
	for (uint32_t at = node; picture->parent[at] != LT_GRAPH_NONE; at = picture->parent[at])
		length++;
	uint64_t cut = length > STEPS_MAX ? length - STEPS_MAX : 0;
	size_t count = (size_t)(length - cut) + 1;
	LT_FREE uint32_t *chain = calloc(count, sizeof(*chain));
	if (chain == NULL)
		return;
	uint32_t at = node;
	for (uint64_t i = 0; i < cut; i++)
		at = picture->parent[at];
	for (size_t i = count; i-- > 0; at = picture->parent[at])
		chain[i] = at;
	write_way(ex, chain, count, cut, count, lt_picture_root(picture, chain[0]), false, text,
		  where);
}
