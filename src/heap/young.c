#include "heap/young.h"

#include "heap/decode.h"
#include "layout/object.h"
#include "target/cache.h"
#include "target/live.h"

#include <stdlib.h>

enum {
	LOOKS = 48, /* at once, each at another place: what lies side by side is of one piece of work */
	LOOKS_NS = 4000000, /* these together take no longer */
	LOOKED_AT = 8,      /* objects from each place on */
	HELD_LEAST = 4,     /* one of so many places has to hold still */
	OLD_PART = 4,       /* the oldest of so many parts of a list are looked at */
	PASSED_MOST = 2000, /* objects that may lie before these in the list */
	SIZE_MOST =
		8192, /* bytes of an object that count: a large one tells nothing of the others */
	HEAD_OBJECT = 32, /* a PyGC_Head and an object's header */
	CACHE_BYTES = 1 << 20,
};

struct lt_young {
	/* Of its own: an object may go while it is looked at, which is no loss that anybody should be told. */
	struct lt_session session;
	struct lt_memory
		*memory; /* a cache: a look has to be faster than the program's next collection */
	struct lt_view view;
	struct lt_types *types;
	struct lt_decoder *decoder;
	struct lt_refs refs;
	uint64_t random;
};

/* A PyGC_Head and the object behind it. */
struct member {
	lt_addr next, previous, type;
	uint64_t references; /* refcount; more than any for an immortal object */
};

enum lt_status lt_young_open(const struct lt_view *view, struct lt_young **ret_young)
{
	struct lt_young *young = calloc(1, sizeof(*young));
	if (young == NULL)
		return lt_fail_memory(view->session);
	lt_session_init(&young->session);
	young->view = *view;
	young->view.session = &young->session;
	young->random = 88172645463325252u;
	struct lt_memory *live = NULL;
	enum lt_status status = lt_live_open(view->session, view->process->pid, &live);
	if (status != LT_OK) {
		lt_young_close(young);
		return status;
	}
	if (lt_cache_create(&young->session, live, CACHE_BYTES, &young->memory) != LT_OK) {
		lt_memory_close(live);
		lt_young_close(young);
		return lt_fail_memory(view->session);
	}
	young->view.memory = young->memory;
	status = lt_types_create(&young->view, &young->types);
	if (status == LT_OK)
		status = lt_decoder_create(&young->view, young->types, &young->decoder);
	if (status != LT_OK) {
		lt_young_close(young);
		return lt_fail_memory(view->session);
	}
	*ret_young = young;
	return LT_OK;
}

void lt_young_close(struct lt_young *young)
{
	if (young == NULL)
		return;
	lt_decoder_destroy(young->decoder);
	lt_types_destroy(young->types);
	lt_refs_deinit(&young->refs);
	lt_memory_close(young->memory);
	lt_session_deinit(&young->session);
	free(young);
}

static bool read_member(struct lt_young *young, lt_addr at, struct member *ret_member)
{
	const struct lt_layout *layout = young->view.layout;
	unsigned char bytes[HEAD_OBJECT];
	if (lt_memory_probe(young->view.memory, at, bytes, sizeof(bytes)) != sizeof(bytes))
		return false;
	uint64_t head = lt_off(layout, LT_sizeof_PyGC_Head);
	uint64_t count = lt_word(bytes, head + lt_off(layout, LT_PyObject_ob_refcnt));
	ret_member->next =
		lt_gc_next(layout, lt_word(bytes, lt_off(layout, LT_PyGC_Head__gc_next)));
	ret_member->previous =
		lt_gc_prev(layout, lt_word(bytes, lt_off(layout, LT_PyGC_Head__gc_prev)));
	ret_member->type = lt_word(bytes, head + lt_off(layout, LT_PyObject_ob_type));
	ret_member->references =
		lt_is_immortal(layout, count) ? UINT64_MAX : lt_refcount(layout, count);
	return true;
}

static uint64_t size_of(struct lt_young *young, lt_addr object, const struct lt_type *type)
{
	uint64_t size = 0;
	if (!lt_decode_size(young->decoder, object, type, &size))
		return 0;
	return size < SIZE_MOST ? size : SIZE_MOST;
}

/* 0: somebody else holds it too, or it goes on its own: the collector tracks it. */
static uint64_t size_of_part(struct lt_young *young, lt_addr object)
{
	struct member part;
	lt_addr head = object - lt_off(young->view.layout, LT_sizeof_PyGC_Head);
	if (!lt_may_be_referred_to(object) || !read_member(young, head, &part) ||
	    part.references != 1)
		return 0;
	const struct lt_type *type = lt_types_get(young->types, part.type);
	if (type == NULL || type->is_type_type || (type->gc && part.next != 0))
		return 0;
	return size_of(young, object, type);
}

/* With what it alone holds; 0: not to be told. */
static uint64_t whole_size(struct lt_young *young, lt_addr object, lt_addr type_address)
{
	const struct lt_type *type = lt_types_get(young->types, type_address);
	if (type == NULL || !type->gc)
		return 0;
	uint64_t size = size_of(young, object, type);
	if (size == 0 || size == SIZE_MOST)
		return size;
	young->refs.count = 0;
	lt_decode_refs(young->decoder, object, type, &young->refs);
	for (size_t i = 0; i < young->refs.count && size < SIZE_MOST; i++) {
		const struct lt_ref *ref = &young->refs.data[i];
		size += ref->borrowed ? 0 : size_of_part(young, ref->to);
	}
	return size < SIZE_MOST ? size : SIZE_MOST;
}

static uint64_t random_below(struct lt_young *young, uint64_t end)
{
	young->random ^= young->random << 13;
	young->random ^= young->random >> 7;
	young->random ^= young->random << 17;
	return young->random % end;
}

/* Some objects from behind the first `before` of the list; false: they are not the same afterwards, and do not count. */
static bool look(struct lt_young *young, lt_addr head, uint64_t before,
		 struct lt_young_sizes *sizes)
{
	const struct lt_layout *layout = young->view.layout;
	struct member member, seen[LOOKED_AT];
	lt_addr places[LOOKED_AT];
	uint64_t bytes[LOOKED_AT];
	unsigned count = 0;
	lt_cache_clear(young->memory);
	if (!read_member(young, head, &member))
		return false;
	lt_addr previous = head, at = member.next;
	for (uint64_t i = 0; i < before + LOOKED_AT && at != head; i++) {
		/* The link back holds something else while a collection runs, and in an object that has left the list. */
		if (at == 0 || !read_member(young, at, &member) || member.previous != previous)
			return false;
		if (i >= before) {
			places[count] = at;
			seen[count] = member;
			bytes[count++] = whole_size(young, at + lt_off(layout, LT_sizeof_PyGC_Head),
						    member.type);
		}
		previous = at;
		at = member.next;
	}
	lt_cache_clear(young->memory);
	for (unsigned i = 0; i < count; i++) {
		if (!read_member(young, places[i], &member) || member.next != seen[i].next ||
		    member.previous != seen[i].previous || member.type != seen[i].type)
			return false;
	}
	for (unsigned i = 0; i < count; i++) {
		sizes->bytes += bytes[i];
		sizes->objects += bytes[i] > 0;
	}
	return true;
}

/* What a piece of work has in use for a moment was made last, and is at the end of the list: what waits is before it. */
void lt_young_look(struct lt_young *young, lt_addr head, int64_t count,
		   struct lt_young_sizes *sizes)
{
	const struct lt_layout *layout = young->view.layout;
	if (head == 0 || count <= 0 || !lt_has(layout, LT_PyGC_Head__gc_next) ||
	    lt_off(layout, LT_sizeof_PyGC_Head) + lt_off(layout, LT_sizeof_PyObject) > HEAD_OBJECT)
		return;
	uint64_t reach = (uint64_t)count / OLD_PART, start = lt_now_ns();
	/* Of a short list no object is looked at again and again. */
	unsigned most = reach / LOOKED_AT < LOOKS ? (unsigned)(reach / LOOKED_AT) : LOOKS;
	struct lt_young_sizes found = {0};
	unsigned looks = 0, held = 0;
	for (; looks < most && lt_now_ns() - start < LOOKS_NS; looks++)
		held += look(young, head,
			     random_below(young, (reach < PASSED_MOST ? reach : PASSED_MOST) + 1),
			     &found);
	/* Where the list changes all the time, those few places that did not are not like the others. */
	if (looks > 0 && held >= looks / HELD_LEAST) {
		sizes->bytes += found.bytes;
		sizes->objects += found.objects;
	}
	lt_session_clear(&young->session);
}
