#include "layout/selfcheck.h"

#include "layout/object.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	INTERPRETERS_MAX = 1024,
	THREADS_MAX = 4096, /* followed for each interpreter */
	NODES_MAX = 256,    /* followed in each list of the collector */
	TYPES_KEPT = 32,    /* power of two */
	ENTRIES_MAX = 4096, /* looked through in a dict */
	ENTRY_SIZE = 32,    /* of a dict, at most */
	NAME_MAX_SIZE = 64,
};

struct check {
	struct lt_memory *memory;
	const struct lt_layout *layout;
	lt_addr runtime;
	lt_addr type_type;         /* PyType_Type, once it is known */
	lt_addr types[TYPES_KEPT]; /* found to be types, by address */
	struct lt_check_result *result;
};

/* Records what disagrees; the first one wins. Returns false. */
static bool differs(struct check *check, enum lt_check outcome, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool differs(struct check *check, enum lt_check outcome, const char *format, ...)
{
	if (check->result->outcome != LT_CHECK_FITS)
		return false;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(check->result->found, sizeof check->result->found, format, arguments);
	va_end(arguments);
	check->result->outcome = outcome;
	return false;
}

static bool bytes_at(const struct check *check, lt_addr addr, void *buffer, size_t size)
{
	return addr != 0 && lt_memory_probe(check->memory, addr, buffer, size) == size;
}

static bool word_at(const struct check *check, lt_addr addr, uint64_t *ret_value)
{
	uint64_t value;
	if (!bytes_at(check, addr, &value, sizeof value))
		return false;
	*ret_value = value;
	return true;
}

static bool field_at(const struct check *check, lt_addr base, enum lt_field field,
		     uint64_t *ret_value)
{
	return lt_has(check->layout, field) && base != 0 &&
	       word_at(check, base + lt_off(check->layout, field), ret_value);
}

static bool int_at(const struct check *check, lt_addr base, enum lt_field field, int32_t *ret_value)
{
	return lt_has(check->layout, field) && base != 0 &&
	       bytes_at(check, base + lt_off(check->layout, field), ret_value, sizeof *ret_value);
}

static lt_addr type_of(const struct check *check, lt_addr object)
{
	uint64_t type;
	return object % 8 == 0 && field_at(check, object, LT_PyObject_ob_type, &type) ? type : 0;
}

/* The name of a type is `name`. */
static bool type_is(const struct check *check, lt_addr type, const char *name)
{
	uint64_t addr;
	char text[NAME_MAX_SIZE];
	size_t size = strlen(name) + 1;
	return size <= sizeof text && field_at(check, type, LT_PyTypeObject_tp_name, &addr) &&
	       bytes_at(check, addr, text, size) && memcmp(text, name, size) == 0;
}

/* ---- types ---- */

/* From the dict of sys up: its type is dict, the type of that is type, and that is its own type. */
static bool check_type_of_types(struct check *check, lt_addr dict)
{
	const struct lt_layout *layout = check->layout;
	lt_addr dict_type = type_of(check, dict);
	lt_addr type_type = type_of(check, dict_type);
	uint64_t size, mro, first;
	if (type_type == 0 || type_of(check, type_type) != type_type)
		return differs(check, LT_CHECK_DIFFERS,
			       "the type of the dict of sys has no type that is its own type");
	if (!type_is(check, type_type, "type") || !type_is(check, dict_type, "dict"))
		return differs(check, LT_CHECK_DIFFERS,
			       "the types type and dict do not bear these names");
	if (!field_at(check, type_type, LT_PyTypeObject_tp_basicsize, &size) ||
	    size != lt_off(layout, LT_sizeof_PyHeapTypeObject))
		return differs(check, LT_CHECK_DIFFERS, "a type is not %d bytes long",
			       layout->off[LT_sizeof_PyHeapTypeObject]);
	if (!field_at(check, dict_type, LT_PyTypeObject_tp_basicsize, &size) ||
	    size != lt_off(layout, LT_sizeof_PyDictObject))
		return differs(check, LT_CHECK_DIFFERS, "a dict is not %d bytes long",
			       layout->off[LT_sizeof_PyDictObject]);
	if (!field_at(check, dict_type, LT_PyTypeObject_tp_mro, &mro) ||
	    !type_is(check, type_of(check, mro), "tuple") ||
	    !word_at(check, mro + lt_off(layout, LT_PyTupleObject_ob_item), &first) ||
	    first != dict_type)
		return differs(check, LT_CHECK_DIFFERS,
			       "the base types of dict do not begin with dict");
	check->type_type = type_type;
	return true;
}

/* An object is a type: its type is type, or derived from it. */
static bool is_type(struct check *check, lt_addr object)
{
	lt_addr *kept = &check->types[object / 16 % TYPES_KEPT];
	if (*kept == object && object != 0)
		return true;
	lt_addr type = type_of(check, object);
	uint64_t flags;
	/* Include/object.h: Py_TPFLAGS_TYPE_SUBCLASS is the last of the eight. */
	if (type != check->type_type &&
	    (type_of(check, type) == 0 ||
	     !field_at(check, type, LT_PyTypeObject_tp_flags, &flags) ||
	     (flags >> (lt_fact(check->layout, LT_FACT_tpflag_subclass_shift) + 7) & 1) == 0))
		return false;
	*kept = object;
	return true;
}

/* ---- dicts ---- */

/* The str at `object` is `text` (ASCII). */
static bool str_is(const struct check *check, lt_addr object, const char *text)
{
	uint8_t bytes[LT_STR_HEADER + NAME_MAX_SIZE] = {0};
	struct lt_str_place place;
	size_t length = strlen(text),
	       size = lt_off(check->layout, LT_sizeof_PyASCIIObject) + length + 1;
	return size <= sizeof bytes && bytes_at(check, object, bytes, size) &&
	       lt_str_decode(check->layout, bytes, &place) && place.ascii &&
	       place.data_offset != 0 && place.length == length &&
	       place.data_offset + length < size &&
	       memcmp(bytes + place.data_offset, text, length + 1) == 0;
}

/* The value of a string key in a dict that is not split; 0: not there. */
static lt_addr dict_get(const struct check *check, lt_addr dict, const char *name)
{
	uint64_t keys_addr;
	uint8_t header[LT_DICT_KEYS_HEADER];
	struct lt_dict_keys keys;
	if (!field_at(check, dict, LT_PyDictObject_ma_keys, &keys_addr) ||
	    !bytes_at(check, keys_addr, header, sizeof header) ||
	    !lt_dict_keys_decode(check->layout, header, &keys))
		return 0;
	for (uint64_t i = 0; i < keys.entries && i < ENTRIES_MAX; i++) {
		uint8_t entry[ENTRY_SIZE];
		if (keys.entry_size > sizeof entry ||
		    !bytes_at(check, keys_addr + keys.entries_offset + i * keys.entry_size, entry,
			      keys.entry_size))
			return 0;
		uint64_t key = lt_word(entry, keys.key_offset),
			 value = lt_word(entry, keys.value_offset);
		if (key != 0 && value != 0 && str_is(check, key, name))
			return value;
	}
	return 0;
}

static bool check_singletons(struct check *check, lt_addr interpreter)
{
	static const struct {
		const char *name, *type;
		int64_t value;
	} wanted[] = {{"None", "NoneType", -1}, {"True", "bool", 1}, {"False", "bool", 0}};
	uint64_t builtins;
	if (!field_at(check, interpreter, LT_PyInterpreterState_builtins, &builtins) ||
	    !type_is(check, type_of(check, builtins), "dict"))
		return differs(check, LT_CHECK_MOVING, "the builtins are no dict");
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		lt_addr object = dict_get(check, builtins, wanted[i].name);
		int64_t value = wanted[i].value;
		if (object == 0 || !type_is(check, type_of(check, object), wanted[i].type))
			return differs(check, LT_CHECK_MOVING, "%s is not found in the builtins",
				       wanted[i].name);
		if (value >= 0 && (!lt_int_read(check->layout, check->memory, object, &value) ||
				   value != wanted[i].value))
			return differs(check, LT_CHECK_DIFFERS, "%s does not have the value %d",
				       wanted[i].name, (int)wanted[i].value);
	}
	if (dict_get(check, builtins, "type") != check->type_type)
		return differs(check, LT_CHECK_MOVING, "the builtins hold another type named type");
	return true;
}

static bool check_sys(struct check *check, lt_addr sys)
{
	int64_t value;
	lt_addr hexversion = dict_get(check, sys, "hexversion");
	if (hexversion == 0 || !lt_int_read(check->layout, check->memory, hexversion, &value) ||
	    value < 0 || value > UINT32_MAX)
		return differs(check, LT_CHECK_MOVING, "sys.hexversion cannot be read");
	check->result->hexversion = (uint32_t)value;
	return true;
}

/* ---- interpreters and threads ---- */

static bool check_threads(struct check *check, lt_addr interpreter, unsigned *ret_count)
{
	uint64_t thread, before = 0, back, owner;
	if (!field_at(check, interpreter, LT_PyInterpreterState_threads_head, &thread))
		return differs(check, LT_CHECK_DIFFERS, "an interpreter cannot be read");
	unsigned count = 0;
	for (; thread != 0 && count < THREADS_MAX; count++) {
		if (!field_at(check, thread, LT_PyThreadState_interp, &owner) ||
		    owner != interpreter ||
		    !field_at(check, thread, LT_PyThreadState_prev, &back) || back != before)
			return differs(check, LT_CHECK_MOVING,
				       "the threads of an interpreter do not link back");
		before = thread;
		if (!field_at(check, thread, LT_PyThreadState_next, &thread))
			return differs(check, LT_CHECK_MOVING, "a thread cannot be read");
	}
	*ret_count += count;
	return true;
}

/* ---- the collector ---- */

/* One list: `head` is its PyGC_Head. */
static bool check_list(struct check *check, lt_addr head, const char *name)
{
	const struct lt_layout *layout = check->layout;
	uint64_t object = lt_off(layout, LT_sizeof_PyGC_Head);
	size_t size = object + lt_off(layout, LT_sizeof_PyObject);
	uint8_t bytes[64];
	lt_addr before = head, node;
	uint64_t word;
	if (size > sizeof bytes || !field_at(check, head, LT_PyGC_Head__gc_next, &word))
		return differs(check, LT_CHECK_MOVING, "%s cannot be read", name);
	node = lt_gc_next(layout, word);
	for (unsigned i = 0; i < NODES_MAX; i++, before = node, node = lt_gc_next(layout, word)) {
		if (!bytes_at(check, node, bytes, size))
			return differs(check, LT_CHECK_MOVING,
				       "%s leads to memory that cannot be read", name);
		word = lt_word(bytes, lt_off(layout, LT_PyGC_Head__gc_prev));
		if (lt_gc_prev(layout, word) != before)
			return differs(check, LT_CHECK_MOVING, "%s does not link back", name);
		if (node == head)
			return true;
		if (!is_type(check, lt_word(bytes, object + lt_off(layout, LT_PyObject_ob_type))))
			return differs(check, LT_CHECK_MOVING, "%s holds what is no object", name);
		word = lt_word(bytes, lt_off(layout, LT_PyGC_Head__gc_next));
	}
	return true;
}

static bool check_generations(struct check *check, lt_addr gc, enum lt_field field, int count,
			      const char *what)
{
	for (int i = 0; i < count; i++) {
		char name[64];
		snprintf(name, sizeof name,
			 count > 1 ? "the collector's list of %s %d" : "the collector's list of %s",
			 what, i);
		if (!check_list(check,
				gc + lt_off(check->layout, field) +
					(uint64_t)i *
						lt_off(check->layout, LT_sizeof_gc_generation),
				name))
			return false;
	}
	return true;
}

static bool check_collector(struct check *check, lt_addr interpreter)
{
	const struct lt_layout *layout = check->layout;
	lt_addr gc = interpreter + lt_off(layout, LT_PyInterpreterState_gc);
	int32_t enabled, collecting;
	uint64_t garbage;
	if (!int_at(check, gc, LT__gc_runtime_state_enabled, &enabled) ||
	    !int_at(check, gc, LT__gc_runtime_state_collecting, &collecting) ||
	    (enabled != 0 && enabled != 1) || (collecting != 0 && collecting != 1))
		return differs(check, LT_CHECK_DIFFERS,
			       "the collector is neither enabled nor disabled");
	if (!field_at(check, gc, LT__gc_runtime_state_garbage, &garbage) ||
	    (garbage != 0 && !type_is(check, type_of(check, garbage), "list")))
		return differs(check, LT_CHECK_DIFFERS, "gc.garbage is no list");
	/* While it runs its lists are in motion, but not where they begin. */
	if (collecting != 0) {
		uint64_t first;
		check->result->lists_told =
			lt_has(layout, LT__gc_runtime_state_generations) &&
			field_at(check, gc, LT__gc_runtime_state_generation0, &first) &&
			first == gc + lt_off(layout, LT__gc_runtime_state_generations);
		return differs(check, LT_CHECK_COLLECTING, "a collection runs");
	}
	if (lt_has(layout, LT__gc_runtime_state_generations)) {
		if (!check_generations(check, gc, LT__gc_runtime_state_generations, 3,
				       "generation"))
			return false;
	} else if (!check_generations(check, gc, LT__gc_runtime_state_young, 1, "young objects") ||
		   !check_generations(check, gc, LT__gc_runtime_state_old, 2, "old space")) {
		return false;
	}
	return check_generations(check, gc, LT__gc_runtime_state_permanent_generation, 1,
				 "frozen objects");
}

/* ---- pymalloc ---- */

/* The table of arenas of a state that is in use; an interpreter whose memory is all malloc's has an empty one. */
static bool check_allocator(struct check *check, lt_addr interpreter)
{
	const struct lt_layout *layout = check->layout;
	uint64_t state, arenas;
	uint8_t first[64];
	int32_t count;
	if (!lt_has(layout, LT_PyInterpreterState_obmalloc))
		return true;
	state = interpreter + lt_off(layout, LT_PyInterpreterState_obmalloc);
	if (lt_fact(layout, LT_FACT_obmalloc_pointer) != 0 &&
	    (!word_at(check, state, &state) || state == 0))
		return true;
	if (state % 8 != 0 || !field_at(check, state, LT__obmalloc_state_mgmt_arenas, &arenas) ||
	    !int_at(check, state, LT__obmalloc_state_mgmt_maxarenas, &count) || count < 0 ||
	    arenas % 8 != 0 || (count > 0) != (arenas != 0))
		return differs(check, LT_CHECK_MOVING, "the table of arenas is not there");
	if (count > 0 && !bytes_at(check, arenas, first, lt_off(layout, LT_sizeof_arena_object)))
		return differs(check, LT_CHECK_MOVING, "the table of arenas cannot be read");
	return true;
}

/* ---- everything ---- */

static bool check_interpreter(struct check *check, lt_addr interpreter, bool is_main)
{
	uint64_t owner, sys;
	if (!field_at(check, interpreter, LT_PyInterpreterState_runtime, &owner) ||
	    owner != check->runtime)
		return differs(check, LT_CHECK_DIFFERS,
			       "an interpreter belongs to another runtime");
	if (!field_at(check, interpreter, LT_PyInterpreterState_sysdict, &sys))
		return differs(check, LT_CHECK_MOVING, "an interpreter cannot be read");
	/* One that is being made or ended has none. */
	if (sys == 0)
		return !is_main || differs(check, LT_CHECK_EMPTY, "it has no module sys");
	return check_type_of_types(check, sys) && check_singletons(check, interpreter) &&
	       check_sys(check, sys);
}

void lt_selfcheck(struct lt_memory *memory, const struct lt_layout *layout, lt_addr runtime,
		  struct lt_check_result *ret_result)
{
	*ret_result = (struct lt_check_result){.outcome = LT_CHECK_FITS};
	struct check check = {
		.memory = memory, .layout = layout, .runtime = runtime, .result = ret_result};
	uint64_t interpreter, main;
	unsigned count = 0, threads = 0;
	bool has_main = false;
	if (!field_at(&check, runtime, LT__PyRuntimeState_interpreters_head, &interpreter) ||
	    !field_at(&check, runtime, LT__PyRuntimeState_interpreters_main, &main)) {
		differs(&check, LT_CHECK_DIFFERS, "the runtime cannot be read");
		return;
	}
	if (interpreter == 0 && main == 0) {
		differs(&check, LT_CHECK_EMPTY, "it has no interpreter");
		return;
	}
	for (; interpreter != 0 && count < INTERPRETERS_MAX; count++) {
		has_main = has_main || interpreter == main;
		if (!check_interpreter(&check, interpreter, interpreter == main) ||
		    !check_threads(&check, interpreter, &threads) ||
		    !check_allocator(&check, interpreter) || !check_collector(&check, interpreter))
			return;
		if (!field_at(&check, interpreter, LT_PyInterpreterState_next, &interpreter)) {
			differs(&check, LT_CHECK_MOVING, "an interpreter cannot be read");
			return;
		}
	}
	if (!has_main)
		differs(&check, LT_CHECK_MOVING,
			"the main interpreter is not among the interpreters");
	else if (threads == 0)
		differs(&check, LT_CHECK_MOVING, "no interpreter has a thread");
}
