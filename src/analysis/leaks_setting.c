/* Where growth is: the nearest thing above it on the way to it that a user would name. */
#include "analysis/leaks_parts.h"

enum { STEPS_MAX = 64 };

void lt_setting_deinit(struct lt_setting *setting)
{
	lt_text_deinit(&setting->name);
	lt_text_deinit(&setting->key);
}

enum lt_kind lt_leaks_kind(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	return type != NULL ? type->kind : LT_KIND_OPAQUE;
}

void lt_leaks_key(const struct lt_picture *picture, lt_addr key, struct lt_text *name)
{
	uint32_t node = lt_heap_graph_find(&picture->graph, key);
	lt_text_clear(name);
	if (node != LT_NO_NODE)
		(void)lt_picture_text(picture, node, LT_DETAIL_STRING, name);
}

static enum lt_place place_of_root(const struct lt_root *root)
{
	if (root == NULL)
		return LT_PLACE_UNKNOWN;
	if (root->kind == LT_ROOT_LOCAL || root->kind == LT_ROOT_FRAME)
		return LT_PLACE_LOCAL;
	if (root->kind == LT_ROOT_THREAD_LOCAL)
		return LT_PLACE_THREAD_LOCAL;
	if (root->kind == LT_ROOT_CONTEXT)
		return LT_PLACE_CONTEXT;
	return LT_PLACE_UNKNOWN;
}

static enum lt_place place_of_step(enum lt_kind kind, const struct lt_ref *ref)
{
	switch (kind) {
	case LT_KIND_MODULE:
		return LT_PLACE_MODULE;
	case LT_KIND_TYPE:
		return LT_PLACE_CLASS;
	case LT_KIND_CELL:
		return LT_PLACE_CLOSURE;
	case LT_KIND_THREAD_LOCAL:
		return LT_PLACE_THREAD_LOCAL;
	case LT_KIND_CONTEXT:
	case LT_KIND_CONTEXT_VAR:
	case LT_KIND_HAMT:
	case LT_KIND_HAMT_BITMAP:
	case LT_KIND_HAMT_ARRAY:
	case LT_KIND_HAMT_COLLISION:
		return LT_PLACE_CONTEXT;
	case LT_KIND_LRU_CACHE:
		return ref->kind == LT_REF_MEMBER && ref->index == LT_MEMBER_cache
			       ? LT_PLACE_CACHE
			       : LT_PLACE_UNKNOWN;
	case LT_KIND_FUNCTION:
		return ref->kind == LT_REF_MEMBER && (ref->index == LT_MEMBER_defaults ||
						      ref->index == LT_MEMBER_kwdefaults)
			       ? LT_PLACE_DEFAULT
			       : LT_PLACE_UNKNOWN;
	case LT_KIND_GENERATOR:
	case LT_KIND_COROUTINE:
	case LT_KIND_ASYNC_GENERATOR:
		return LT_PLACE_SUSPENDED;
	case LT_KIND_TRACEBACK:
	case LT_KIND_BASE_EXCEPTION:
		return LT_PLACE_EXCEPTION;
	default:
		return ref->kind == LT_REF_ATTRIBUTE || ref->kind == LT_REF_SLOT ||
				       ref->kind == LT_REF_DICT ||
				       (ref->kind == LT_REF_MEMBER &&
					ref->index == LT_MEMBER_instance_attributes)
			       ? LT_PLACE_INSTANCE
			       : LT_PLACE_UNKNOWN;
	}
}

void lt_setting_find(const struct lt_suspecting *suspecting, uint32_t node,
		     struct lt_setting *setting)
{
	const struct lt_picture *picture = suspecting->findings.picture;
	uint32_t at = node;
	setting->owner = LT_NO_NODE;
	for (int step = 0; step < STEPS_MAX; step++) {
		uint32_t up = picture->parent[at];
		struct lt_ref ref;
		if (up == LT_GRAPH_NONE) {
			setting->root = lt_picture_root(picture, at);
			setting->place = place_of_root(setting->root);
			if (setting->root != NULL && setting->root->variable != NULL) {
				lt_text_clear(&setting->name);
				lt_text_add(&setting->name, setting->root->variable);
			}
			return;
		}
		if (!lt_expression_ref(suspecting->findings.expressions, up, at, &ref))
			return;
		if (ref.kind == LT_REF_VALUE || ref.kind == LT_REF_ATTRIBUTE) {
			if (setting->key.length == 0)
				lt_text_add(&setting->key, lt_text_get(&setting->name));
			lt_leaks_key(picture, ref.name, &setting->name);
		}
		setting->of_subclasses |=
			ref.kind == LT_REF_MEMBER && ref.index == LT_MEMBER_subclasses;
		setting->place = place_of_step(lt_leaks_kind(picture, up), &ref);
		if (setting->place != LT_PLACE_UNKNOWN) {
			setting->owner = up;
			setting->type = setting->place == LT_PLACE_CLASS
						? lt_picture_type_of_class(picture, up)
						: lt_picture_type(picture, up);
			return;
		}
		at = up;
	}
}
