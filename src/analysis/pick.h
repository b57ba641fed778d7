/*
 * pick.h: which objects a user means: an address, a type, or an expression as lowtide writes them.
 */
#ifndef LT_ANALYSIS_PICK_H
#define LT_ANALYSIS_PICK_H

#include "analysis/expression.h"

/* An object, or every instance of a type. */
struct lt_picked {
	uint32_t node;    /* LT_NO_NODE: a type is meant */
	uint8_t *of_type; /* by type index: 1 for the types meant; owned, NULL for an object */
	char *name;       /* full name of the type or expression; owned */
};
void lt_picked_deinit(struct lt_picked *picked);

/*
 * "0x7f3a..." is an object's address, "sys.modules['shop'].cache['x'][0].name" an object by its way; all
 * else names a type: "shop.models.Order", "dict", "builtins.dict", or the end of a full name when only one
 * type ends so. LT_E_USAGE when nothing, or more than one type, is meant: the remedy has near names.
 */
LT_MUST_CHECK enum lt_status lt_pick(const struct lt_picture *picture,
				     struct lt_expressions *expressions, const char *operand,
				     struct lt_picked *ret_picked);

/* True for an operand that can only mean one object. */
bool lt_pick_is_object(const char *operand);

/* Appends "shop.models.Order", or "dict" for a type of builtins; NULL is a type that could not be read. */
void lt_type_name_add(struct lt_text *text, const struct lt_type *type);

/* Appends the name of a node's type, with lru_cache for what functools makes. */
void lt_node_type_add(struct lt_text *text, const struct lt_picture *picture, uint32_t node);

#endif
