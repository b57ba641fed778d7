/*
 * decode_sizes.c: what sys.getsizeof() says of an object: its __sizeof__() and the words before it.
 */
#include "heap/decode_parts.h"
#include "heap/ndarray.h"

/* An object is never larger than this; a larger result comes from torn or hostile data. */
#define SIZE_MAX_PLAUSIBLE ((uint64_t)1 << 44)

struct sizer {
	struct lt_decoder *decoder;
	const struct lt_layout *layout;
	const struct lt_type *type;
	lt_addr at;
	bool failed;
};

static uint64_t word_at(struct sizer *sizer, lt_addr at)
{
	uint64_t value = 0;
	if (!lt_memory_u64(sizer->decoder->view.memory, at, &value)) {
		sizer->failed = true;
		return 0;
	}
	return value;
}

static uint64_t field(struct sizer *sizer, enum lt_field which)
{
	return lt_has(sizer->layout, which)
		       ? word_at(sizer, sizer->at + lt_off(sizer->layout, which))
		       : 0;
}

static uint32_t field_u32(struct sizer *sizer, enum lt_field which)
{
	uint32_t value = 0;
	if (!lt_memory_u32(sizer->decoder->view.memory, sizer->at + lt_off(sizer->layout, which),
			   &value))
		sizer->failed = true;
	return value;
}

/* A count of units of `unit` bytes, in bytes; too many fail. */
static uint64_t times(struct sizer *sizer, uint64_t count, uint64_t unit)
{
	if (count > SIZE_MAX_PLAUSIBLE / 64 || unit > 4096) {
		sizer->failed = true;
		return 0;
	}
	return count * unit;
}

static uint64_t var_count(struct sizer *sizer)
{
	int64_t count = (int64_t)field(sizer, LT_PyVarObject_ob_size);
	if (count == INT64_MIN)
		sizer->failed = true;
	return count < 0 ? -(uint64_t)count : (uint64_t)count;
}

/* Objects/typeobject.c: object___sizeof___impl. */
static uint64_t generic(struct sizer *sizer)
{
	const struct lt_type *type = sizer->type;
	uint64_t size = (uint64_t)type->basicsize;
	if (type->itemsize > 0)
		size += times(sizer, var_count(sizer), (uint64_t)type->itemsize);
	return size;
}

/* Objects/dictobject.c: _PyDict_SizeOf: keys count for the dict that alone owns them. */
static uint64_t dict(struct sizer *sizer)
{
	uint64_t size = (uint64_t)sizer->type->basicsize;
	struct lt_dict_keys keys;
	lt_addr values = field(sizer, LT_PyDictObject_ma_values);
	if (!lt_dict_keys_read(&sizer->decoder->view, field(sizer, LT_PyDictObject_ma_keys),
			       &keys)) {
		sizer->failed = true;
		return size;
	}
	if (values != 0)
		size += lt_dict_keys_room(&sizer->decoder->view, &keys) * 8;
	if (keys.refcount == 1)
		size += keys.bytes;
	return size;
}

/* Objects/odictobject.c: odict_sizeof. */
static uint64_t ordered_dict(struct sizer *sizer)
{
	uint64_t size = dict(sizer);
	size += times(sizer, field(sizer, LT_PyODictObject_od_fast_nodes_size), 8);
	if (field(sizer, LT_PyODictObject_od_first) != 0)
		size += times(sizer, field(sizer, LT_PyDictObject_ma_used),
			      lt_off(sizer->layout, LT_sizeof__odictnode));
	return size;
}

/* Objects/setobject.c: set___sizeof___impl. */
static uint64_t set(struct sizer *sizer)
{
	uint64_t size = (uint64_t)sizer->type->basicsize;
	if (field(sizer, LT_PySetObject_table) !=
	    sizer->at + lt_off(sizer->layout, LT_PySetObject_smalltable))
		size += times(sizer, field(sizer, LT_PySetObject_mask) + 1,
			      lt_off(sizer->layout, LT_sizeof_setentry));
	return size;
}

/* Objects/unicodeobject.c: unicode_sizeof_impl. */
static uint64_t str(struct sizer *sizer)
{
	const struct lt_layout *layout = sizer->layout;
	uint32_t state = field_u32(sizer, LT_PyASCIIObject_state);
	uint64_t length = field(sizer, LT_PyASCIIObject_length);
	uint64_t kind = (state >> lt_fact(layout, LT_FACT_unicode_kind_shift)) & 7;
	bool compact = (state >> lt_fact(layout, LT_FACT_unicode_compact_shift)) & 1;
	bool ascii = (state >> lt_fact(layout, LT_FACT_unicode_ascii_shift)) & 1;
	uint64_t start, size;
	if (compact && ascii) {
		start = lt_off(layout, LT_sizeof_PyASCIIObject);
		size = start + times(sizer, length, 1) + 1;
	} else if (compact) {
		start = lt_off(layout, LT_sizeof_PyCompactUnicodeObject);
		size = start + times(sizer, length + 1, kind);
	} else {
		size = lt_off(layout, LT_sizeof_PyUnicodeObject);
		start = 0;
		if (field(sizer, LT_PyUnicodeObject_data) != 0)
			size += times(sizer, length + 1, kind);
	}
	lt_addr data = start != 0 ? sizer->at + start : field(sizer, LT_PyUnicodeObject_data);
	/* The wide copy of before 3.12, unless it is the text itself. */
	if (lt_has(layout, LT_PyASCIIObject_wstr)) {
		lt_addr wide = field(sizer, LT_PyASCIIObject_wstr);
		bool ready = (state >> lt_fact(layout, LT_FACT_unicode_ready_shift)) & 1;
		if (wide != 0 && (!ready || wide != data)) {
			uint64_t wide_length =
				compact && ascii
					? length
					: field(sizer, LT_PyCompactUnicodeObject_wstr_length);
			size += times(sizer, wide_length + 1, 4);
		}
	}
	if (!(compact && ascii)) {
		lt_addr utf8 = field(sizer, LT_PyCompactUnicodeObject_utf8);
		if (utf8 != 0 && utf8 != data)
			size += times(sizer, field(sizer, LT_PyCompactUnicodeObject_utf8_length),
				      1) +
				1;
	}
	return size;
}

/* Objects/longobject.c: int___sizeof___impl; the first digit counts even when it is not used (3.11). */
static uint64_t integer(struct sizer *sizer)
{
	const struct lt_layout *layout = sizer->layout;
	bool tagged = lt_fact(layout, LT_FACT_long_tagged) != 0;
	uint64_t digits = tagged ? field(sizer, LT_PyLongObject_lv_tag) >>
					   lt_fact(layout, LT_FACT_long_digits_shift)
				 : var_count(sizer);
	if (digits == 0 && lt_fact(layout, LT_FACT_long_size_of_zero) != 0)
		digits = 1;
	return (tagged ? (uint64_t)sizer->type->basicsize
		       : lt_off(layout, LT_PyLongObject_ob_digit)) +
	       times(sizer, digits, 4);
}

/* Objects/typeobject.c: type___sizeof___impl: a heap type with its shared keys. */
static uint64_t type_object(struct sizer *sizer)
{
	const struct lt_layout *layout = sizer->layout;
	uint64_t flags = field(sizer, LT_PyTypeObject_tp_flags);
	if ((flags & (uint64_t)lt_fact(layout, LT_FACT_tpflag_heap_type)) == 0)
		return lt_off(layout, LT_sizeof_PyTypeObject);
	uint64_t size = lt_off(layout, LT_sizeof_PyHeapTypeObject);
	/*
	 * The metatypes of ctypes count what they add, and not the keys (Modules/_ctypes/_ctypes.c:
	 * CType_Type_sizeof, 3.13).
	 */
	const struct lt_type *metatype = lt_decoder_c_type(sizer->decoder, sizer->type);
	if (metatype != NULL && metatype->basicsize > (int64_t)size)
		return (uint64_t)metatype->basicsize;
	lt_addr cached = field(sizer, LT_PyHeapTypeObject_ht_cached_keys);
	struct lt_dict_keys keys;
	if (cached != 0 && lt_dict_keys_read(&sizer->decoder->view, cached, &keys))
		size += keys.bytes;
	return size;
}

/* Objects/codeobject.c: code_sizeof. */
static uint64_t code(struct sizer *sizer)
{
	const struct lt_layout *layout = sizer->layout;
	uint64_t size = (generic(sizer) + 7) & ~(uint64_t)7;
	lt_addr extra = field(sizer, LT_PyCodeObject_co_extra);
	/* _PyCodeObjectExtra: a count, then as many words; the struct has one of them. */
	if (extra != 0)
		size += times(sizer, word_at(sizer, extra) + 1, 8);
	lt_addr cells = field(sizer, LT_PyCodeObject_co_cellvars);
	if (field(sizer, LT_PyCodeObject_co_cell2arg) != 0 && cells != 0)
		size += times(sizer, word_at(sizer, cells + lt_off(layout, LT_PyVarObject_ob_size)),
			      8);
	if (lt_has(layout, LT_PyCodeObject_co_opcache) &&
	    field(sizer, LT_PyCodeObject_co_opcache) != 0) {
		lt_addr bytecode = field(sizer, LT_PyCodeObject_co_code);
		uint64_t caches = field_u32(sizer, LT_PyCodeObject_co_opcache_size) & 0xff;
		size += times(sizer, caches, lt_off(layout, LT_sizeof__PyOpcache));
		size += word_at(sizer, bytecode + lt_off(layout, LT_PyVarObject_ob_size)) / 2;
	}
	return size;
}

/* Slots that a frame of the code object has: named ones and stack. */
static uint64_t frame_slots(struct sizer *sizer, lt_addr code_at)
{
	const struct lt_layout *layout = sizer->layout;
	struct sizer of_code = {sizer->decoder, layout, sizer->type, code_at, false};
	uint64_t slots = field_u32(&of_code, LT_PyCodeObject_co_stacksize);
	if (lt_has(layout, LT_PyCodeObject_co_nlocalsplus)) {
		slots += field_u32(&of_code, LT_PyCodeObject_co_nlocalsplus);
	} else {
		lt_addr cells = field(&of_code, LT_PyCodeObject_co_cellvars);
		lt_addr frees = field(&of_code, LT_PyCodeObject_co_freevars);
		slots += field_u32(&of_code, LT_PyCodeObject_co_nlocals);
		slots += word_at(&of_code, cells + lt_off(layout, LT_PyVarObject_ob_size));
		slots += word_at(&of_code, frees + lt_off(layout, LT_PyVarObject_ob_size));
	}
	if (of_code.failed)
		sizer->failed = true;
	return slots;
}

/* Objects/frameobject.c: frame_sizeof. */
static uint64_t frame(struct sizer *sizer)
{
	const struct lt_layout *layout = sizer->layout;
	if (lt_fact(layout, LT_FACT_frame_object_chain) != 0)
		/* One slot is part of the struct. */
		return lt_off(layout, LT_sizeof_PyFrameObject) - 8 +
		       times(sizer, frame_slots(sizer, field(sizer, LT_PyFrameObject_f_code)), 8);
	lt_addr inner = field(sizer, LT_PyFrameObject_f_frame);
	lt_addr code_at =
		word_at(sizer, inner + lt_off(layout, LT__PyInterpreterFrame_f_executable)) &
		~(uint64_t)lt_fact(layout, LT_FACT_stackref_mask);
	return lt_off(layout, LT_PyFrameObject__f_frame_data) +
	       lt_off(layout, LT__PyInterpreterFrame_localsplus) +
	       times(sizer, frame_slots(sizer, code_at), 8);
}

/* Objects/genobject.c: gen_sizeof (3.11). */
static uint64_t generator(struct sizer *sizer)
{
	const struct lt_layout *layout = sizer->layout;
	if (!lt_has(layout, LT_PyGenObject_gi_iframe))
		return generic(sizer);
	uint64_t start = lt_off(layout, LT_PyGenObject_gi_iframe);
	lt_addr code_at;
	if (lt_has(layout, LT_PyGenObject_gi_code))
		code_at = field(sizer, LT_PyGenObject_gi_code);
	else
		code_at = word_at(sizer,
				  sizer->at + start +
					  lt_off(layout, LT__PyInterpreterFrame_f_executable)) &
			  ~(uint64_t)lt_fact(layout, LT_FACT_stackref_mask);
	return start + lt_off(layout, LT__PyInterpreterFrame_localsplus) +
	       times(sizer, frame_slots(sizer, code_at), 8);
}

/* Modules/_collectionsmodule.c: deque___sizeof__: whole blocks. */
static uint64_t deque(struct sizer *sizer)
{
	uint64_t items = (uint64_t)lt_fact(sizer->layout, LT_FACT_deque_block_items);
	uint64_t used = field(sizer, LT_dequeobject_leftindex) + var_count(sizer);
	if (items == 0)
		return generic(sizer);
	return (uint64_t)sizer->type->basicsize +
	       times(sizer, (used + items - 1) / items, lt_off(sizer->layout, LT_sizeof_BLOCK));
}

/* Modules/arraymodule.c: array___sizeof__. */
static uint64_t array(struct sizer *sizer)
{
	lt_addr descriptor = field(sizer, LT_arrayobject_ob_descr);
	uint32_t unit = 0;
	if (!lt_memory_u32(sizer->decoder->view.memory,
			   descriptor + lt_off(sizer->layout, LT_arraydescr_itemsize), &unit))
		sizer->failed = true;
	return (uint64_t)sizer->type->basicsize +
	       times(sizer, field(sizer, LT_arrayobject_allocated), unit);
}

/* numpy/_core/src/multiarray/methods.c: array_sizeof. */
static uint64_t ndarray(struct sizer *sizer)
{
	struct lt_ndarray array;
	if (!lt_ndarray_read(sizer->decoder->view.memory, sizer->at, &array)) {
		sizer->failed = true;
		return 0;
	}
	return (uint64_t)sizer->type->basicsize + array.bytes + 16 * array.dimensions;
}

/* Modules/itertoolsmodule.c: the __sizeof__ of the combinatoric iterators (to 3.13). */
static uint64_t combinatoric(struct sizer *sizer)
{
	uint64_t size = (uint64_t)sizer->type->basicsize;
	lt_addr pool;
	switch (sizer->type->kind) {
	case LT_KIND_PRODUCT:
		pool = field(sizer, LT_productobject_pools);
		return size +
		       times(sizer,
			     word_at(sizer, pool + lt_off(sizer->layout, LT_PyVarObject_ob_size)),
			     8);
	case LT_KIND_COMBINATIONS:
		return size + times(sizer, field(sizer, LT_combinationsobject_r), 8);
	case LT_KIND_COMBINATIONS_REPLACED:
		return size + times(sizer, field(sizer, LT_cwrobject_r), 8);
	default:
		pool = field(sizer, LT_permutationsobject_pool);
		return size + times(sizer, field(sizer, LT_permutationsobject_r), 8) +
		       times(sizer,
			     word_at(sizer, pool + lt_off(sizer->layout, LT_PyVarObject_ob_size)),
			     8);
	}
}

/* Modules/_io/bytesio.c: bytesio_sizeof: the buffer counts unless it is shared. */
static uint64_t bytes_io(struct sizer *sizer)
{
	const struct lt_layout *layout = sizer->layout;
	lt_addr buffer = field(sizer, LT_bytesio_buf);
	uint32_t references = 0;
	if (buffer == 0)
		return generic(sizer);
	if (!lt_memory_u32(sizer->decoder->view.memory,
			   buffer + lt_off(layout, LT_PyObject_ob_refcnt), &references))
		sizer->failed = true;
	if (references > 1)
		return generic(sizer);
	return generic(sizer) + lt_off(layout, LT_PyBytesObject_ob_sval) + 1 +
	       times(sizer, word_at(sizer, buffer + lt_off(layout, LT_PyVarObject_ob_size)), 1);
}

/* Modules/_struct.c: s_sizeof: the codes of the format, up to one without a definition, and that one. */
static uint64_t compiled_struct(struct sizer *sizer)
{
	enum { CODES_MAX = 1 << 16 };
	uint64_t unit = lt_off(sizer->layout, LT_sizeof_formatcode);
	lt_addr code_at = field(sizer, LT_PyStructObject_s_codes);
	uint64_t count = 1;
	while (code_at != 0 && count < CODES_MAX && word_at(sizer, code_at) != 0 &&
	       !sizer->failed) {
		code_at += unit;
		count++;
	}
	return generic(sizer) + count * unit;
}

/* Modules/_decimal/_decimal.c: dec_sizeof: digits count unless they are in the object. */
static uint64_t decimal(struct sizer *sizer)
{
	enum { STATIC_DATA = 0xe0 }; /* Modules/_decimal/libmpdec/mpdecimal.h: MPD_DATAFLAGS */
	if (!lt_has(sizer->layout, LT_PyDecObject_dec_flags) ||
	    (field_u32(sizer, LT_PyDecObject_dec_flags) & STATIC_DATA) != 0)
		return generic(sizer);
	return generic(sizer) + times(sizer, field(sizer, LT_PyDecObject_dec_alloc), 8);
}

/* Modules/_elementtree.c: _elementtree_Element___sizeof___impl. */
static uint64_t element(struct sizer *sizer)
{
	const struct lt_layout *layout = sizer->layout;
	lt_addr extra = field(sizer, LT_ElementObject_extra);
	uint64_t size = generic(sizer);
	if (extra == 0)
		return size;
	size += lt_off(layout, LT_sizeof_ElementObjectExtra);
	if (word_at(sizer, extra + lt_off(layout, LT_ElementObjectExtra_children)) !=
	    extra + lt_off(layout, LT_ElementObjectExtra__children))
		size += times(
			sizer,
			word_at(sizer, extra + lt_off(layout, LT_ElementObjectExtra_allocated)), 8);
	return size;
}

/* Objects/bytearrayobject.c: bytearray_sizeof; since 3.15 the bytes lie in a bytes object. */
static uint64_t byte_array(struct sizer *sizer)
{
	uint64_t size = (uint64_t)sizer->type->basicsize +
			times(sizer, field(sizer, LT_PyByteArrayObject_ob_alloc), 1);
	if (lt_has(sizer->layout, LT_PyByteArrayObject_ob_bytes_object))
		size += lt_off(sizer->layout, LT_PyBytesObject_ob_sval) + 1;
	return size;
}

static uint64_t own_size(struct sizer *sizer)
{
	switch (sizer->type->kind) {
	case LT_KIND_DICT:
	case LT_KIND_FROZENDICT:
	case LT_KIND_DEFAULT_DICT:
		return dict(sizer);
	case LT_KIND_ORDERED_DICT:
		return ordered_dict(sizer);
	case LT_KIND_C_TYPE_INFO:
		/* Modules/_ctypes/stgdict.c: PyCStgDict_sizeof: what it adds counts twice. */
		return dict(sizer) + lt_off(sizer->layout, LT_sizeof_StgDictObject) -
		       lt_off(sizer->layout, LT_sizeof_PyDictObject);
	case LT_KIND_LIST:
		return (uint64_t)sizer->type->basicsize +
		       times(sizer, field(sizer, LT_PyListObject_allocated), 8);
	case LT_KIND_SET:
		return set(sizer);
	case LT_KIND_STR:
		return str(sizer);
	case LT_KIND_INT:
		return integer(sizer);
	case LT_KIND_BYTEARRAY:
		return byte_array(sizer);
	case LT_KIND_TYPE:
		return type_object(sizer);
	case LT_KIND_CODE:
		return code(sizer);
	case LT_KIND_FRAME:
		return frame(sizer);
	case LT_KIND_GENERATOR:
	case LT_KIND_COROUTINE:
	case LT_KIND_ASYNC_GENERATOR:
		return generator(sizer);
	case LT_KIND_DEQUE:
		return deque(sizer);
	case LT_KIND_ARRAY:
		return array(sizer);
	case LT_KIND_NDARRAY:
		return ndarray(sizer);
	case LT_KIND_PRODUCT:
	case LT_KIND_COMBINATIONS:
	case LT_KIND_COMBINATIONS_REPLACED:
	case LT_KIND_PERMUTATIONS:
		return combinatoric(sizer);
	case LT_KIND_BUFFERED:
		return generic(sizer) +
		       (field(sizer, LT_buffered_buffer) != 0
				? times(sizer, field(sizer, LT_buffered_buffer_size), 1)
				: 0);
	case LT_KIND_BYTES_IO:
		return bytes_io(sizer);
	case LT_KIND_STRUCT:
		return compiled_struct(sizer);
	case LT_KIND_ELEMENT:
		return element(sizer);
	case LT_KIND_DECIMAL:
		return decimal(sizer);
	default:
		return generic(sizer);
	}
}

bool lt_decode_size(struct lt_decoder *decoder, lt_addr object, const struct lt_type *type,
		    uint64_t *ret_size)
{
	const struct lt_layout *layout = decoder->view.layout;
	struct sizer sizer = {decoder, layout, type, object, false};
	uint64_t size = own_size(&sizer);
	bool gc = type->gc;
	/* Static types are no objects of the collector (Objects/typeobject.c: type_is_gc). */
	if (type->kind == LT_KIND_TYPE && gc && lt_fact(layout, LT_FACT_sizeof_head_by_type) == 0)
		gc = (field(&sizer, LT_PyTypeObject_tp_flags) &
		      (uint64_t)lt_fact(layout, LT_FACT_tpflag_heap_type)) != 0;
	if (gc)
		size += lt_off(layout, LT_sizeof_PyGC_Head);
	if (lt_fact(layout, LT_FACT_sizeof_preheader) != 0 &&
	    (type->managed_dict || type->managed_weakref))
		size += 16;
	if (sizer.failed || type->basicsize < 0 || size > SIZE_MAX_PLAUSIBLE) {
		decoder->view.session->unreadable++;
		return false;
	}
	*ret_size = size;
	return true;
}
