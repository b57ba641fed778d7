#include "target/unwind.h"

#include "target/arch.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>

struct lt_unwinder {
	Dwarf_CFI *cfi;
	lt_addr bias;
};

struct lt_unwinder *lt_unwinder_open(const struct lt_elf *elf, lt_addr warm)
{
	struct lt_unwinder *unwinder = calloc(1, sizeof(*unwinder));
	if (unwinder == NULL)
		return NULL;
	unwinder->bias = lt_elf_bias(elf);
	unwinder->cfi = dwarf_getcfi_elf(lt_elf_handle(elf));
	Dwarf_Frame *frame = NULL;
	if (unwinder->cfi == NULL ||
	    dwarf_cfi_addrframe(unwinder->cfi, warm - unwinder->bias, &frame) != 0) {
		lt_unwinder_close(unwinder);
		return NULL;
	}
	free(frame);
	return unwinder;
}

void lt_unwinder_close(struct lt_unwinder *unwinder)
{
	if (unwinder != NULL && unwinder->cfi != NULL)
		dwarf_cfi_end(unwinder->cfi);
	free(unwinder);
}

/* CFA: a register and an offset. */
static bool find_cfa(Dwarf_Frame *table, const struct lt_frame *frame, lt_addr *ret_cfa)
{
	Dwarf_Op *ops = NULL;
	size_t count = 0;
	if (dwarf_frame_cfa(table, &ops, &count) != 0 || count != 1)
		return false;
	unsigned number;
	uint64_t offset;
	if (ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31) {
		number = ops[0].atom - DW_OP_breg0;
		offset = ops[0].number;
	} else if (ops[0].atom == DW_OP_bregx) {
		number = (unsigned)ops[0].number;
		offset = ops[0].number2;
	} else {
		return false;
	}
	if (number != lt_arch_dwarf_sp && number != lt_arch_dwarf_fp)
		return false;
	*ret_cfa = (number == lt_arch_dwarf_sp ? frame->sp : frame->fp) + offset;
	return true;
}

/* The caller's value of a register: unchanged, or saved at an offset from the CFA. */
static bool find_register(Dwarf_Frame *table, struct lt_memory *memory, unsigned number,
			  lt_addr cfa, uint64_t *value)
{
	Dwarf_Op space[3], *ops = NULL;
	size_t count = 0;
	if (dwarf_frame_register(table, (int)number, space, &ops, &count) != 0)
		return false;
	if (count == 0)
		return ops == NULL; /* the same value; else it is undefined */
	if (ops[0].atom != DW_OP_call_frame_cfa || count > 2 ||
	    (count == 2 && ops[1].atom != DW_OP_plus_uconst))
		return false;
	lt_addr at = cfa + (count == 2 ? ops[1].number : 0);
	return lt_memory_probe(memory, at, value, sizeof(*value)) == sizeof(*value);
}

bool lt_unwinder_step(const struct lt_unwinder *unwinder, struct lt_memory *memory,
		      struct lt_frame *frame)
{
	Dwarf_Frame *table = NULL;
	struct lt_frame next = *frame;
	bool signal_frame = true;
	lt_addr cfa = 0;
	uint64_t pc = 0;
	if (dwarf_cfi_addrframe(unwinder->cfi, frame->pc - frame->caller - unwinder->bias,
				&table) != 0)
		return false;
	bool done = dwarf_frame_info(table, NULL, NULL, &signal_frame) == (int)lt_arch_dwarf_pc &&
		    !signal_frame && find_cfa(table, frame, &cfa) && cfa > frame->sp &&
		    find_register(table, memory, lt_arch_dwarf_pc, cfa, &pc) && pc != 0 &&
		    find_register(table, memory, lt_arch_dwarf_fp, cfa, &next.fp);
	free(table);
	if (!done)
		return false;
	next.pc = pc;
	next.sp = cfa;
	next.caller = true;
	*frame = next;
	return true;
}
