/*
 * expression.h: the Python expression that reaches an object, to be pasted into the service's own shell:
 * sys.modules['shop.pricing']._quotes. An object that only a running frame reaches is named by its
 * variable: local variable 'rows' of handler() at app/views.py:88 in thread 1234: rows['x'].
 *
 * What Python code has no way to is in angle brackets: <cache>.
 */
#ifndef LT_ANALYSIS_EXPRESSION_H
#define LT_ANALYSIS_EXPRESSION_H

#include "analysis/picture.h"
#include "base/text.h"

struct lt_expressions;

/* Works on a picture after lt_picture_ways(), which must outlive it. */
LT_MUST_CHECK enum lt_status lt_expressions_create(const struct lt_picture *picture,
						   struct lt_expressions **ret_expressions);
void lt_expressions_destroy(struct lt_expressions *expressions);

/*
 * Appends the expression of a node, nothing when no root reaches it, and to `where` (NULL: not wanted)
 * the place in the source that it belongs to: file:line of a frame or function, else the module's file.
 */
void lt_expression_write(struct lt_expressions *expressions, uint32_t node, struct lt_text *text,
			 struct lt_text *where);

/*
 * The same of any way: `nodes` lead from a root to the node meant. `root` NULL: the best root of nodes[0].
 * `general`: [*] in place of every index and key but the names of modules.
 */
void lt_expression_write_way(struct lt_expressions *expressions, const uint32_t *nodes,
			     size_t count, const struct lt_root *root, bool general,
			     struct lt_text *text, struct lt_text *where);

/* Appends what one step adds to an expression: ".name", "[3]", "['key']", ".__dict__". */
void lt_expression_label(struct lt_expressions *expressions, uint32_t from, uint32_t to,
			 struct lt_text *text);

/* How `from` refers to `to`: the best of its references, false when there is none. */
bool lt_expression_ref(struct lt_expressions *expressions, uint32_t from, uint32_t to,
		       struct lt_ref *ret_ref);

/* How good a reference is for an expression; the least wins. */
int lt_expression_rank(const struct lt_ref *ref);

/* The value of a str key of a dict node, LT_NO_NODE for none. */
uint32_t lt_expression_lookup(struct lt_expressions *expressions, uint32_t dict, const char *key);

/* An attribute of an object, in itself or in its dict; LT_NO_NODE for none. */
uint32_t lt_expression_attribute(struct lt_expressions *expressions, uint32_t owner,
				 const char *name);

/* The module of that name in sys.modules of the main interpreter, LT_NO_NODE for none. */
uint32_t lt_expression_module(struct lt_expressions *expressions, const char *name);

/* The name of local, cell or free variable `index` (LT_REF_LOCAL) of a code node. */
bool lt_expression_local_name(struct lt_expressions *expressions, uint32_t code, uint32_t index,
			      struct lt_text *name);

/* "file.py:12" of a function, of what an lru_cache or a method wraps, or of a code object. False: unknown. */
bool lt_expression_function_place(struct lt_expressions *expressions, uint32_t node,
				  struct lt_text *where);

#endif
