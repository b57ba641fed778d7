#include "analysis/pick.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	NAME_MOST = 512,  /* bytes of a type's name that are compared */
	NEAR_SHOWN = 4,   /* near names in a remedy */
	STEPS_MOST = 200, /* steps of an expression */
};

void lt_picked_deinit(struct lt_picked *picked)
{
	free(picked->of_type);
	free(picked->name);
	*picked = (struct lt_picked){.node = LT_NO_NODE};
}

void lt_type_name_add(struct lt_text *text, const struct lt_type *type)
{
	if (type == NULL) {
		lt_text_add(text, "unreadable");
		return;
	}
	if (type->module[0] != '\0' && strcmp(type->module, "builtins") != 0)
		lt_text_addf(text, "%s.", type->module);
	lt_text_add(text, type->name);
}

void lt_node_type_add(struct lt_text *text, const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	if (type != NULL && type->kind == LT_KIND_LRU_CACHE && type->exact)
		lt_text_add(text, "functools.lru_cache");
	else
		lt_type_name_add(text, type);
}

bool lt_pick_is_object(const char *operand)
{
	return strncmp(operand, "0x", 2) == 0 || strncmp(operand, "0X", 2) == 0 ||
	       strncmp(operand, "sys.modules", 11) == 0;
}

static enum lt_status pick_address(const struct lt_picture *picture, const char *operand,
				   uint32_t *ret_node)
{
	struct lt_session *session = picture->session;
	char *end = NULL;
	errno = 0;
	unsigned long long address = strtoull(operand + 2, &end, 16);
	if (errno != 0 || end == operand + 2 || *end != '\0' || operand[2] == '-' ||
	    operand[2] == '+') {
		lt_remedy(session,
			  "An address is hexadecimal, as hex(id(object)) gives it: 0x7f...");
		return lt_fail(session, LT_E_USAGE, "'%.100s' is not an address", operand);
	}
	uint32_t node = lt_heap_graph_find(&picture->graph, (lt_addr)address);
	if (node == LT_NO_NODE) {
		lt_remedy(session, "It may have gone since; 'lowtide retained' and 'lowtide path' "
				   "with a type give addresses of now.");
		return lt_fail(session, LT_E_USAGE, "there is no object at 0x%llx", address);
	}
	*ret_node = node;
	return LT_OK;
}

/* The node that `from` holds under `name`: an attribute, or through its namespace. */
static uint32_t attribute(const struct lt_picture *picture, struct lt_expressions *expressions,
			  uint32_t from, const char *name)
{
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	lt_picture_refs(picture, from, &refs);
	uint32_t names = LT_NO_NODE;
	for (size_t i = 0; i < refs.count; i++) {
		const struct lt_ref *ref = &refs.data[i];
		uint32_t to = lt_heap_graph_find(&picture->graph, ref->to);
		if (ref->kind == LT_REF_DICT ||
		    (ref->kind == LT_REF_MEMBER && (ref->index == LT_MEMBER_attributes ||
						    ref->index == LT_MEMBER_instance_attributes)))
			names = to;
		LT_CLEANUP(lt_text_deinit) struct lt_text spelling = {0};
		lt_text_addf(&spelling, ".");
		if (ref->kind == LT_REF_ATTRIBUTE) {
			uint32_t key = lt_heap_graph_find(&picture->graph, ref->name);
			if (lt_picture_text(picture, key, LT_DETAIL_STRING, &spelling) &&
			    strcmp(lt_text_get(&spelling) + 1, name) == 0)
				return to;
		} else if (ref->kind == LT_REF_MEMBER &&
			   strcmp(lt_member_spelling((enum lt_member)ref->index) + 1, name) == 0) {
			return to;
		} else if (ref->kind == LT_REF_SLOT) {
			LT_CLEANUP(lt_text_deinit) struct lt_text slot = {0};
			const uint32_t way[] = {from, to};
			lt_expression_label(expressions, way[0], way[1], &slot);
			if (slot.length > 1 && strcmp(lt_text_get(&slot) + 1, name) == 0)
				return to;
		}
	}
	if (names != LT_NO_NODE && strcmp(name, "__dict__") == 0)
		return names;
	return names != LT_NO_NODE ? lt_expression_lookup(expressions, names, name) : LT_NO_NODE;
}

/* The item of a sequence, or the value of a key that is written `literal`. */
static uint32_t item(const struct lt_picture *picture, uint32_t from, const char *literal)
{
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	lt_picture_refs(picture, from, &refs);
	char *end = NULL;
	unsigned long index = strtoul(literal, &end, 10);
	bool number = *literal >= '0' && *literal <= '9' && *end == '\0';
	for (size_t i = 0; i < refs.count; i++) {
		const struct lt_ref *ref = &refs.data[i];
		if (ref->kind == LT_REF_ITEM && number && ref->index == index)
			return lt_heap_graph_find(&picture->graph, ref->to);
		if (ref->kind != LT_REF_VALUE && ref->kind != LT_REF_ATTRIBUTE)
			continue;
		LT_CLEANUP(lt_text_deinit) struct lt_text key = {0};
		uint32_t name = lt_heap_graph_find(&picture->graph, ref->name);
		if (lt_picture_text(picture, name, LT_DETAIL_LITERAL, &key) &&
		    strcmp(lt_text_get(&key), literal) == 0)
			return lt_heap_graph_find(&picture->graph, ref->to);
	}
	return LT_NO_NODE;
}

/* Length of what stands in brackets from `at` on ("['a]']"): up to the bracket that closes; 0: none does. */
static size_t bracketed(const char *at)
{
	char quote = '\0';
	int depth = 0;
	for (size_t i = 0; at[i] != '\0'; i++) {
		if (quote != '\0') {
			if (at[i] == '\\' && at[i + 1] != '\0')
				i++;
			else if (at[i] == quote)
				quote = '\0';
		} else if (at[i] == '\'' || at[i] == '"') {
			quote = at[i];
		} else if (at[i] == '[') {
			depth++;
		} else if (at[i] == ']' && --depth == 0) {
			return i + 1;
		}
	}
	return 0;
}

static uint32_t follow(const struct lt_picture *picture, struct lt_expressions *expressions,
		       const char *operand)
{
	const char *at = operand + strlen("sys.modules");
	size_t length = *at == '[' ? bracketed(at) : 0;
	char part[NAME_MOST];
	if (length < 5 || length >= sizeof(part))
		return LT_NO_NODE;
	memcpy(part, at + 2, length - 4);
	part[length - 4] = '\0';
	uint32_t node = lt_expression_module(expressions, part);
	at += length;
	for (int step = 0; node != LT_NO_NODE && *at != '\0' && step < STEPS_MOST; step++) {
		if (*at == '.') {
			length = strcspn(at + 1, ".[");
			if (length == 0 || length >= sizeof(part))
				return LT_NO_NODE;
			memcpy(part, at + 1, length);
			part[length] = '\0';
			node = attribute(picture, expressions, node, part);
			at += length + 1;
		} else {
			length = *at == '[' ? bracketed(at) : 0;
			if (length < 3 || length >= sizeof(part))
				return LT_NO_NODE;
			memcpy(part, at + 1, length - 2);
			part[length - 2] = '\0';
			node = item(picture, node, part);
			at += length;
		}
	}
	return *at == '\0' ? node : LT_NO_NODE;
}

struct candidate {
	char name[NAME_MOST];
	uint64_t count;
	unsigned distance; /* less is nearer */
};

static void keep_candidate(struct candidate *list, size_t *count, const struct candidate *candidate)
{
	for (size_t i = 0; i < *count; i++) {
		if (strcmp(list[i].name, candidate->name) == 0)
			return;
	}
	size_t at = *count < NEAR_SHOWN ? (*count)++ : NEAR_SHOWN - 1;
	if (at == NEAR_SHOWN - 1 && list[at].name[0] != '\0' &&
	    (list[at].distance < candidate->distance ||
	     (list[at].distance == candidate->distance && list[at].count >= candidate->count)))
		return;
	list[at] = *candidate;
	for (; at > 0 && (list[at].distance < list[at - 1].distance ||
			  (list[at].distance == list[at - 1].distance &&
			   list[at].count > list[at - 1].count));
	     at--) {
		struct candidate swap = list[at];
		list[at] = list[at - 1];
		list[at - 1] = swap;
	}
}

static const char *last_part(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot != NULL ? dot + 1 : name;
}

/* How far a type's name is from what was typed, UINT_MAX: it is another. */
static unsigned distance_of(const char *typed, const char *name)
{
	unsigned whole = lt_text_slips(typed, name, true);
	unsigned part = lt_text_slips(last_part(typed), last_part(name), true);
	unsigned best = whole < part ? whole : part;
	size_t length = strlen(last_part(typed));
	if (best <= 1 + length / 3)
		return best;
	return length >= 3 && strcasestr(name, last_part(typed)) != NULL ? (unsigned)length + 8
									 : UINT32_MAX;
}

static enum lt_status no_type(const struct lt_picture *picture, const char *operand,
			      const struct candidate *list, size_t count, bool ambiguous)
{
	struct lt_session *session = picture->session;
	char names[400] = "";
	for (size_t i = 0; i < count; i++) {
		char one[128];
		snprintf(one, sizeof(one), "%s%.80s (%" PRIu64 ")", i > 0 ? ", " : "", list[i].name,
			 list[i].count);
		if (strlen(names) + strlen(one) < sizeof(names))
			strcat(names, one);
	}
	if (ambiguous) {
		lt_remedy(session, "Give the full name: %s.", names);
		return lt_fail(session, LT_E_USAGE, "more than one type is called '%.100s'",
			       operand);
	}
	if (count > 0)
		lt_remedy(session, "Did you mean %s?", names);
	else
		lt_remedy(session, "'lowtide types --all' lists the types that there are.");
	return lt_fail(session, LT_E_USAGE, "there is no object of a type '%.100s'", operand);
}

enum match { MATCH_NONE, MATCH_END, MATCH_FULL };

static enum match match_of(const char *operand, const struct lt_type *type, const char *name)
{
	if (strcmp(name, operand) == 0)
		return MATCH_FULL;
	size_t prefix = strlen("builtins.");
	if (strncmp(operand, "builtins.", prefix) == 0 && strcmp(type->module, "builtins") == 0 &&
	    strcmp(type->name, operand + prefix) == 0)
		return MATCH_FULL;
	size_t length = strlen(name), tail = strlen(operand);
	if (length > tail && strcmp(name + length - tail, operand) == 0 &&
	    name[length - tail - 1] == '.')
		return MATCH_END;
	return MATCH_NONE;
}

static enum lt_status pick_type(const struct lt_picture *picture, const char *operand,
				struct lt_picked *picked)
{
	struct lt_session *session = picture->session;
	LT_CLEANUP(lt_type_totals_deinit) struct lt_type_totals totals = {0};
	LT_TRY(lt_picture_totals(picture, &totals));
	struct candidate near[NEAR_SHOWN] = {0}, found[NEAR_SHOWN] = {0};
	size_t near_count = 0, found_count = 0;
	enum match best = MATCH_NONE;
	picked->of_type = calloc(totals.count + 1, 1);
	if (picked->of_type == NULL)
		return lt_fail_memory(session);
	for (size_t t = 0; t < totals.count; t++) {
		const struct lt_type *type = totals.data[t].type;
		if (totals.data[t].count == 0 || type == NULL)
			continue;
		LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
		lt_type_name_add(&name, type);
		struct candidate candidate = {.count = totals.data[t].count};
		snprintf(candidate.name, sizeof(candidate.name), "%s", lt_text_get(&name));
		enum match match = match_of(operand, type, lt_text_get(&name));
		if (match > best) {
			best = match;
			memset(picked->of_type, 0, totals.count);
			memset(found, 0, sizeof(found));
			found_count = 0;
		}
		if (match != MATCH_NONE && match == best) {
			picked->of_type[t] = 1;
			keep_candidate(found, &found_count, &candidate);
		}
		candidate.distance = distance_of(operand, candidate.name);
		if (best == MATCH_NONE && candidate.distance != UINT32_MAX)
			keep_candidate(near, &near_count, &candidate);
	}
	if (best == MATCH_NONE)
		return no_type(picture, operand, near, near_count, false);
	if (found_count > 1)
		return no_type(picture, operand, found, found_count, true);
	picked->name = strdup(found[0].name);
	return picked->name != NULL ? LT_OK : lt_fail_memory(session);
}

enum lt_status lt_pick(const struct lt_picture *picture, struct lt_expressions *expressions,
		       const char *operand, struct lt_picked *ret_picked)
{
	LT_CLEANUP(lt_picked_deinit) struct lt_picked picked = {.node = LT_NO_NODE};
	if (strncmp(operand, "0x", 2) == 0 || strncmp(operand, "0X", 2) == 0) {
		LT_TRY(pick_address(picture, operand, &picked.node));
	} else if (lt_pick_is_object(operand)) {
		picked.node = follow(picture, expressions, operand);
		if (picked.node == LT_NO_NODE) {
			lt_remedy(picture->session,
				  "Give the address of the object, or a way that begins with "
				  "sys.modules['name'] and goes on with .name, [index] or "
				  "['key'].");
			return lt_fail(picture->session, LT_E_USAGE,
				       "there is no object at '%.200s'", operand);
		}
	} else {
		LT_TRY(pick_type(picture, operand, &picked));
	}
	if (picked.name == NULL)
		picked.name = strdup(operand);
	if (picked.name == NULL)
		return lt_fail_memory(picture->session);
	*ret_picked = picked;
	picked = (struct lt_picked){.node = LT_NO_NODE};
	return LT_OK;
}
