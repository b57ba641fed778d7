#include "target/probe_ids.h"

#include <bpf/btf.h>
#include <string.h>

/* Members without a name that lie in each other, and bytes that an offset may be: more makes no sense. */
enum { NESTED_MOST = 8, OFFSET_MOST = 1 << 16 };

static const struct btf_type *resolved(const struct btf *btf, uint32_t id)
{
	int at = btf__resolve_type(btf, id);
	return at < 0 ? NULL : btf__type_by_id(btf, (uint32_t)at);
}

/* The member of a structure, also of those without a name in it: its bytes from the start on, and its type. */
static bool find_member(const struct btf *btf, const struct btf_type *type, const char *name,
			int nested, uint32_t *ret_offset, uint32_t *ret_type)
{
	if (type == NULL || !btf_is_composite(type) || nested > NESTED_MOST)
		return false;
	const struct btf_member *members = btf_members(type);
	for (uint32_t i = 0; i < btf_vlen(type); i++) {
		const char *own = btf__name_by_offset(btf, members[i].name_off);
		uint32_t bits = btf_member_bit_offset(type, i), inner;
		if (own == NULL || bits % 8 != 0 || bits / 8 > OFFSET_MOST)
			continue;
		if (strcmp(own, name) == 0) {
			*ret_offset = bits / 8;
			*ret_type = members[i].type;
			return true;
		}
		if (own[0] == '\0' && find_member(btf, resolved(btf, members[i].type), name,
						  nested + 1, &inner, ret_type)) {
			*ret_offset = bits / 8 + inner;
			return true;
		}
	}
	return false;
}

static const struct btf_type *structure(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
	return id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
}

static bool is_int(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = resolved(btf, id);
	return type != NULL && btf_is_int(type) && type->size == 4;
}

/* struct task_struct, struct pid and struct upid: include/linux/sched.h, include/linux/pid.h (Linux 4.19 and later). */
static bool find(const struct btf *btf, struct lt_probe_ids *ids)
{
	uint32_t type, number;
	if (!find_member(btf, structure(btf, "task_struct"), "thread_pid", 0, &ids->pid, &type))
		return false;
	const struct btf_type *pid = structure(btf, "pid");
	if (!find_member(btf, pid, "level", 0, &ids->level, &type) || !is_int(btf, type) ||
	    !find_member(btf, pid, "numbers", 0, &ids->numbers, &type))
		return false;
	const struct btf_type *numbers = resolved(btf, type);
	if (numbers == NULL || !btf_is_array(numbers))
		return false;
	uint32_t element = btf_array(numbers)->type;
	int64_t size = btf__resolve_size(btf, element);
	if (!find_member(btf, resolved(btf, element), "nr", 0, &number, &type) ||
	    !is_int(btf, type) || size <= 0 || size > OFFSET_MOST)
		return false;
	ids->numbers += number;
	ids->step = (uint32_t)size;
	return true;
}

bool lt_probe_ids_find(struct lt_probe_ids *ret_ids)
{
	struct lt_probe_ids ids = {0};
	struct btf *btf = btf__load_vmlinux_btf();
	bool found = btf != NULL && find(btf, &ids);
	btf__free(btf);
	if (found)
		*ret_ids = ids;
	return found;
}
