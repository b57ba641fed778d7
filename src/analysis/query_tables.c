#include "analysis/query_tables.h"

#include <string.h>

/* How the rows of a table are found: by node, in the order of addresses, or one after the other. */
enum shape { BY_NODE, BY_REFERENCE, BY_TYPE, BY_ROOT };

struct table_kind {
	const char *name;
	const char *declaration;
	enum shape shape;
};

/* The order of the columns is that of the enums below. */
static const struct table_kind kinds[] = {
	{"objects",
	 "CREATE TABLE objects (address INTEGER, type TEXT, module TEXT, size INTEGER, flags TEXT, "
	 "refcount INTEGER, length INTEGER, name TEXT, retained INTEGER, dominator INTEGER)",
	 BY_NODE},
	{"refs",
	 "CREATE TABLE refs (source INTEGER, target INTEGER, kind TEXT, label TEXT, position "
	 "INTEGER)",
	 BY_REFERENCE},
	{"types", "CREATE TABLE types (type TEXT, module TEXT, count INTEGER, bytes INTEGER)",
	 BY_TYPE},
	{"roots",
	 "CREATE TABLE roots (address INTEGER, kind TEXT, name TEXT, variable TEXT, function TEXT, "
	 "file TEXT, line INTEGER)",
	 BY_ROOT},
};
enum object_column {
	OBJECT_ADDRESS,
	OBJECT_TYPE,
	OBJECT_MODULE,
	OBJECT_SIZE,
	OBJECT_FLAGS,
	OBJECT_REFCOUNT,
	OBJECT_LENGTH,
	OBJECT_NAME,
	OBJECT_RETAINED,
	OBJECT_DOMINATOR,
};
enum reference_column { REF_SOURCE, REF_TARGET, REF_KIND, REF_LABEL, REF_POSITION };
enum type_column { TYPE_NAME, TYPE_MODULE, TYPE_COUNT, TYPE_BYTES };
enum root_column {
	ROOT_ADDRESS,
	ROOT_KIND,
	ROOT_NAME,
	ROOT_VARIABLE,
	ROOT_FUNCTION,
	ROOT_FILE,
	ROOT_LINE,
};

struct table {
	sqlite3_vtab base;
	struct lt_query_scope *scope;
	const struct table_kind *kind;
};

struct cursor {
	sqlite3_vtab_cursor base;
	struct table *table;
	uint32_t wanted;     /* node that references must lead to, LT_NO_NODE: any */
	uint64_t row, end;   /* nodes, or indexes of types or roots */
	struct lt_refs refs; /* of node `row` */
	size_t ref;
	struct lt_type_totals totals;
};

/*
 * Constraints in the bits of idxNum, each with an argument, in this order: on the address in the first
 * column, and, for references, on the address of the target.
 */
enum { AT = 1, FROM = 2, ABOVE = 4, UP_TO = 8, BELOW = 16, LEADS_TO = 32 };

static struct lt_picture *picture_of(const struct cursor *cursor)
{
	return &cursor->table->scope->subject->picture;
}

static int table_connect(sqlite3 *db, void *context, int argument_count,
			 const char *const *arguments, sqlite3_vtab **ret_table, char **ret_error)
{
	(void)argument_count;
	(void)ret_error;
	struct table *table = calloc(1, sizeof(*table));
	if (table == NULL)
		return SQLITE_NOMEM;
	table->scope = context;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, arguments[0]) == 0)
			table->kind = &kinds[i];
	int code = table->kind == NULL ? SQLITE_INTERNAL
				       : sqlite3_declare_vtab(db, table->kind->declaration);
	if (code != SQLITE_OK) {
		free(table);
		return code;
	}
	*ret_table = &table->base;
	return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *base)
{
	free((struct table *)(void *)base);
	return SQLITE_OK;
}

static int bit_of(unsigned char operation)
{
	switch (operation) {
	case SQLITE_INDEX_CONSTRAINT_EQ:
		return AT;
	case SQLITE_INDEX_CONSTRAINT_GE:
		return FROM;
	case SQLITE_INDEX_CONSTRAINT_GT:
		return ABOVE;
	case SQLITE_INDEX_CONSTRAINT_LE:
		return UP_TO;
	case SQLITE_INDEX_CONSTRAINT_LT:
		return BELOW;
	default:
		return 0;
	}
}

/* Nodes are in the order of their addresses: an address or a range of them is found without a scan. */
static int table_best(sqlite3_vtab *base, sqlite3_index_info *info)
{
	const struct table *table = (const struct table *)(const void *)base;
	bool by_address = table->kind->shape == BY_NODE || table->kind->shape == BY_REFERENCE;
	double per_node = table->kind->shape == BY_REFERENCE ? 3 : 1;
	int place[LEADS_TO + 1] = {0}, arguments = 0;
	for (int i = 0; i < info->nConstraint && by_address; i++) {
		int bit = bit_of(info->aConstraint[i].op);
		if (!info->aConstraint[i].usable)
			continue;
		if (info->aConstraint[i].iColumn == 0 && bit != 0)
			place[bit] = i + 1;
		if (info->aConstraint[i].iColumn == REF_TARGET && bit == AT &&
		    table->kind->shape == BY_REFERENCE)
			place[LEADS_TO] = i + 1;
	}
	for (int bit = AT; bit <= LEADS_TO; bit *= 2) {
		if (place[bit] == 0)
			continue;
		info->aConstraintUsage[place[bit] - 1].argvIndex = ++arguments;
		info->idxNum |= bit;
	}
	info->estimatedCost = (table->kind->shape == BY_TYPE ? 1e3 : 1e7) * per_node;
	if (table->kind->shape == BY_ROOT)
		info->estimatedCost = 1e4;
	if (info->idxNum & AT)
		info->estimatedCost = 10 * per_node;
	else if (info->idxNum & LEADS_TO)
		info->estimatedCost /= 100;
	else if (info->idxNum != 0)
		info->estimatedCost /= arguments == 1 ? 4 : 100;
	info->estimatedRows = (sqlite3_int64)info->estimatedCost;
	if (by_address && info->nOrderBy == 1 && info->aOrderBy[0].iColumn == 0 &&
	    !info->aOrderBy[0].desc)
		info->orderByConsumed = 1;
	return SQLITE_OK;
}

static int table_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret_cursor)
{
	struct cursor *cursor = calloc(1, sizeof(*cursor));
	if (cursor == NULL)
		return SQLITE_NOMEM;
	cursor->table = (struct table *)(void *)base;
	*ret_cursor = &cursor->base;
	return SQLITE_OK;
}

static int table_close(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)(void *)base;
	lt_refs_deinit(&cursor->refs);
	lt_type_totals_deinit(&cursor->totals);
	free(cursor);
	return SQLITE_OK;
}

/* The first node whose address is at least `address`. */
static uint64_t node_at_least(const struct lt_picture *picture, lt_addr address)
{
	uint64_t low = 0, high = picture->graph.graph.node_count;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (lt_picture_address(picture, (uint32_t)middle) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* SQLite looks at the constraints again: what is no whole number here narrows nothing. */
static void narrow(struct cursor *cursor, int bits, sqlite3_value **arguments)
{
	const struct lt_picture *picture = picture_of(cursor);
	for (int bit = AT; bit <= LEADS_TO; bit *= 2) {
		if ((bits & bit) == 0)
			continue;
		sqlite3_value *argument = *arguments++;
		if (sqlite3_value_type(argument) != SQLITE_INTEGER)
			continue;
		int64_t value = sqlite3_value_int64(argument);
		lt_addr address = value < 0 ? 0 : (lt_addr)value;
		if (bit == LEADS_TO) {
			cursor->wanted = lt_heap_graph_find(&picture->graph, address);
			if (cursor->wanted == LT_NO_NODE || value < 0)
				cursor->end = 0;
			continue;
		}
		uint64_t first = node_at_least(picture, address);
		uint64_t after = node_at_least(picture, address + 1);
		if (value < 0)
			first = after = 0;
		if ((bit & (AT | FROM)) && first > cursor->row)
			cursor->row = first;
		if (bit == ABOVE && after > cursor->row)
			cursor->row = after;
		if ((bit & (AT | UP_TO)) && after < cursor->end)
			cursor->end = after;
		if (bit == BELOW && first < cursor->end)
			cursor->end = first;
	}
}

/* False: the node does not refer to the one that is wanted, which the edges tell while they are there. */
static bool may_lead(const struct cursor *cursor, const struct lt_picture *picture)
{
	if (cursor->wanted == LT_NO_NODE || picture->graph.graph.out.target == NULL)
		return true;
	struct lt_row row = lt_row(&picture->graph.graph.out, (uint32_t)cursor->row);
	for (const uint32_t *to = row.begin; to < row.end; to++)
		if (*to == cursor->wanted)
			return true;
	return false;
}

/* Goes on from reference `ref` of node `row` to the first that is to be shown. */
static void settle(struct cursor *cursor)
{
	const struct lt_picture *picture = picture_of(cursor);
	for (;;) {
		for (; cursor->ref < cursor->refs.count; cursor->ref++) {
			uint32_t to = lt_heap_graph_find(&picture->graph,
							 cursor->refs.data[cursor->ref].to);
			if (to != LT_NO_NODE &&
			    (cursor->wanted == LT_NO_NODE || to == cursor->wanted))
				return;
		}
		cursor->refs.count = cursor->ref = 0;
		do
			cursor->row++;
		while (cursor->row < cursor->end && !may_lead(cursor, picture));
		if (cursor->row >= cursor->end)
			return;
		lt_picture_refs(picture, (uint32_t)cursor->row, &cursor->refs);
	}
}

/* A failure that is not the query's. */
static int failed(struct lt_query_scope *scope, enum lt_status status)
{
	scope->status = status;
	return status == LT_E_NO_MEMORY ? SQLITE_NOMEM : SQLITE_ERROR;
}

static int table_filter(sqlite3_vtab_cursor *base, int bits, const char *text, int argument_count,
			sqlite3_value **arguments)
{
	(void)text;
	(void)argument_count;
	struct cursor *cursor = (struct cursor *)(void *)base;
	struct lt_query_scope *scope = cursor->table->scope;
	enum shape shape = cursor->table->kind->shape;
	if (scope->subject == NULL)
		return SQLITE_MISUSE;
	enum lt_status status = lt_subject_picture(
		scope->subject, shape == BY_ROOT ? LT_PICTURE_LIFE : LT_PICTURE_TAKEN);
	const struct lt_picture *picture = picture_of(cursor);
	lt_type_totals_deinit(&cursor->totals);
	if (status == LT_OK && shape == BY_TYPE)
		status = lt_picture_totals(picture, &cursor->totals);
	if (status != LT_OK)
		return failed(scope, status);
	cursor->row = 0;
	cursor->wanted = LT_NO_NODE;
	cursor->end = shape == BY_TYPE   ? cursor->totals.count
		      : shape == BY_ROOT ? picture->roots.list.count
					 : picture->graph.graph.node_count;
	narrow(cursor, bits, arguments);
	cursor->refs.count = cursor->ref = 0;
	if (shape == BY_REFERENCE && cursor->row < cursor->end) {
		if (may_lead(cursor, picture))
			lt_picture_refs(picture, (uint32_t)cursor->row, &cursor->refs);
		settle(cursor);
	}
	return SQLITE_OK;
}

static int table_next(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)(void *)base;
	if (cursor->table->kind->shape != BY_REFERENCE) {
		cursor->row++;
		return SQLITE_OK;
	}
	cursor->ref++;
	settle(cursor);
	return SQLITE_OK;
}

static int table_end(sqlite3_vtab_cursor *base)
{
	const struct cursor *cursor = (const struct cursor *)(const void *)base;
	return cursor->row >= cursor->end;
}

static int table_row(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_row)
{
	const struct cursor *cursor = (const struct cursor *)(const void *)base;
	*ret_row = (sqlite3_int64)(cursor->row << 24 | (cursor->ref & 0xffffff));
	return SQLITE_OK;
}

static void give_count(sqlite3_context *context, uint64_t count)
{
	sqlite3_result_int64(context, count > INT64_MAX ? INT64_MAX : (sqlite3_int64)count);
}

/* "" and NULL become null. */
static void give_text(sqlite3_context *context, const char *text)
{
	if (text != NULL && *text != '\0')
		sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

static void give_number(sqlite3_context *context, const struct lt_picture *picture, uint32_t node,
			enum lt_detail detail)
{
	int64_t value;
	if (lt_picture_number(picture, node, detail, &value))
		sqlite3_result_int64(context, value);
}

/* False: the node has no such text. */
static bool give_detail(sqlite3_context *context, const struct lt_picture *picture, uint32_t node,
			enum lt_detail detail)
{
	struct lt_text text = {0};
	bool found = lt_picture_text(picture, node, detail, &text);
	if (found)
		sqlite3_result_text(context, lt_text_get(&text), (int)text.length,
				    SQLITE_TRANSIENT);
	lt_text_deinit(&text);
	return found;
}

static void give_flags(sqlite3_context *context, uint8_t flags)
{
	static const struct {
		uint8_t flag;
		const char *word;
	} words[] = {{LT_NODE_TRACKED, " tracked"},
		     {LT_NODE_PERMANENT, " frozen"},
		     {LT_NODE_IMMORTAL, " immortal"},
		     {LT_NODE_STATIC, " static"}};
	char text[64] = "";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (flags & words[i].flag)
			strcat(text, words[i].word);
	sqlite3_result_text(context, *text == '\0' ? "" : text + 1, -1, SQLITE_TRANSIENT);
}

/* Dominators and retained sizes are found when a query asks for the first of them. */
static int give_weight(sqlite3_context *context, struct cursor *cursor, int column)
{
	struct lt_query_scope *scope = cursor->table->scope;
	enum lt_status status = lt_subject_picture(scope->subject, LT_PICTURE_WEIGHED);
	if (status != LT_OK) {
		sqlite3_result_error(context, "no retained sizes", -1);
		return failed(scope, status);
	}
	const struct lt_picture *picture = picture_of(cursor);
	if (column == OBJECT_RETAINED)
		give_count(context, picture->retained[cursor->row]);
	else if (picture->dominator[cursor->row] != LT_GRAPH_NONE)
		give_count(context, lt_picture_address(picture, picture->dominator[cursor->row]));
	return SQLITE_OK;
}

static int give_object(sqlite3_context *context, struct cursor *cursor, int column)
{
	const struct lt_picture *picture = picture_of(cursor);
	uint32_t node = (uint32_t)cursor->row;
	const struct lt_type *type = lt_picture_type(picture, node);
	switch ((enum object_column)column) {
	case OBJECT_ADDRESS:
		give_count(context, lt_picture_address(picture, node));
		break;
	case OBJECT_TYPE:
		give_text(context, type == NULL ? NULL : type->name);
		break;
	case OBJECT_MODULE:
		give_text(context, type == NULL ? NULL : type->module);
		break;
	case OBJECT_SIZE:
		give_count(context, lt_heap_graph_size(&picture->graph, node));
		break;
	case OBJECT_FLAGS:
		give_flags(context, picture->graph.flags[node]);
		break;
	case OBJECT_REFCOUNT:
		give_number(context, picture, node, LT_DETAIL_REFCOUNT);
		break;
	case OBJECT_LENGTH:
		give_number(context, picture, node, LT_DETAIL_LENGTH);
		break;
	case OBJECT_NAME:
		if (!give_detail(context, picture, node, LT_DETAIL_NAME))
			(void)give_detail(context, picture, node, LT_DETAIL_STRING);
		break;
	case OBJECT_RETAINED:
	case OBJECT_DOMINATOR:
		return give_weight(context, cursor, column);
	}
	return SQLITE_OK;
}

static void give_label(sqlite3_context *context, const struct lt_picture *picture,
		       const struct lt_ref *ref)
{
	if (ref->kind == LT_REF_MEMBER) {
		give_text(context, lt_member_spelling((enum lt_member)ref->index));
		return;
	}
	uint32_t name = ref->name == 0 ? (uint32_t)LT_NO_NODE
				       : lt_heap_graph_find(&picture->graph, ref->name);
	if (name == LT_NO_NODE)
		return;
	if (ref->kind == LT_REF_VALUE && give_detail(context, picture, name, LT_DETAIL_LITERAL))
		return;
	(void)give_detail(context, picture, name, LT_DETAIL_STRING);
}

static void give_reference(sqlite3_context *context, const struct cursor *cursor, int column)
{
	const struct lt_picture *picture = picture_of(cursor);
	const struct lt_ref *ref = &cursor->refs.data[cursor->ref];
	switch ((enum reference_column)column) {
	case REF_SOURCE:
		give_count(context, lt_picture_address(picture, (uint32_t)cursor->row));
		break;
	case REF_TARGET:
		give_count(context, ref->to);
		break;
	case REF_KIND:
		give_text(context, lt_ref_kind_name(ref->kind));
		break;
	case REF_LABEL:
		give_label(context, picture, ref);
		break;
	case REF_POSITION:
		if (ref->kind == LT_REF_ITEM || ref->kind == LT_REF_KEY ||
		    ref->kind == LT_REF_SLOT || ref->kind == LT_REF_LOCAL ||
		    ref->kind == LT_REF_CONSERVATIVE)
			give_count(context, ref->index);
		break;
	}
}

static void give_type(sqlite3_context *context, const struct cursor *cursor, int column)
{
	const struct lt_type_total *total = &cursor->totals.data[cursor->row];
	switch ((enum type_column)column) {
	case TYPE_NAME:
		give_text(context, total->type->name);
		break;
	case TYPE_MODULE:
		give_text(context, total->type->module);
		break;
	case TYPE_COUNT:
		give_count(context, total->count);
		break;
	case TYPE_BYTES:
		give_count(context, total->bytes);
		break;
	}
}

static void give_root(sqlite3_context *context, const struct cursor *cursor, int column)
{
	const struct lt_roots *roots = &picture_of(cursor)->roots;
	const struct lt_root *root = &roots->list.data[cursor->row];
	bool framed = (root->kind == LT_ROOT_LOCAL || root->kind == LT_ROOT_FRAME) &&
		      root->frame < roots->frames.count;
	const struct lt_frame *frame = framed ? &roots->frames.data[root->frame] : NULL;
	switch ((enum root_column)column) {
	case ROOT_ADDRESS:
		give_count(context, root->address);
		break;
	case ROOT_KIND:
		give_text(context, lt_root_kind_name(root->kind));
		break;
	case ROOT_NAME:
		give_text(context, root->name);
		break;
	case ROOT_VARIABLE:
		give_text(context, root->variable);
		break;
	case ROOT_FUNCTION:
		give_text(context, framed ? frame->function : NULL);
		break;
	case ROOT_FILE:
		give_text(context, framed ? frame->file : NULL);
		break;
	case ROOT_LINE:
		if (framed && frame->line > 0)
			sqlite3_result_int(context, frame->line);
		break;
	}
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	struct cursor *cursor = (struct cursor *)(void *)base;
	switch (cursor->table->kind->shape) {
	case BY_NODE:
		return give_object(context, cursor, column);
	case BY_REFERENCE:
		give_reference(context, cursor, column);
		break;
	case BY_TYPE:
		give_type(context, cursor, column);
		break;
	case BY_ROOT:
		give_root(context, cursor, column);
		break;
	}
	return SQLITE_OK;
}

int lt_query_tables_add(sqlite3 *db, struct lt_query_scope *scope)
{
	/* Without xCreate the tables are there under their own names, and no other can be made of them. */
	static const sqlite3_module module = {
		.xConnect = table_connect,
		.xBestIndex = table_best,
		.xDisconnect = table_disconnect,
		.xOpen = table_open,
		.xClose = table_close,
		.xFilter = table_filter,
		.xNext = table_next,
		.xEof = table_end,
		.xColumn = table_column,
		.xRowid = table_row,
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int code = sqlite3_create_module_v2(db, kinds[i].name, &module, scope, NULL);
		if (code != SQLITE_OK)
			return code;
	}
	return SQLITE_OK;
}
