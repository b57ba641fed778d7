/*
 * elf.h: symbols, sections and notes of the files that a process has mapped (elfutils underneath).
 *
 * The file belongs to the target and may say anything: sizes and counts are bounded, and it is read,
 * never mapped, so that one that shrinks meanwhile does no harm. When it has no .symtab of its own, the
 * one of its separate debug file (/usr/lib/debug/.build-id) is used too.
 */
#ifndef LT_TARGET_ELF_H
#define LT_TARGET_ELF_H

#include "base/session.h"
#include "target/memory.h"
#include "target/process.h"

struct lt_elf;

/*
 * The ELF file behind the mappings of `path` (as in lt_mapping.path), opened through
 * /proc/PID/root or /proc/PID/map_files and checked against the mapping's device and inode where that
 * can be. A deleted or replaced file is read from map_files when permitted, else LT_E_FILE.
 */
LT_MUST_CHECK enum lt_status lt_elf_open(struct lt_session *session,
					 const struct lt_process *process, const char *path,
					 struct lt_elf **ret_elf);
void lt_elf_close(struct lt_elf *elf);

/* The same where the file may be one that cannot be used: then LT_OK and NULL. Fails with LT_E_NO_MEMORY alone. */
LT_MUST_CHECK enum lt_status lt_elf_try(struct lt_session *session,
					const struct lt_process *process, const char *path,
					struct lt_elf **ret_elf);

/*
 * LT_E_NO_MEMORY: memory ran out while the file was read, so that what was not found in it may be there.
 * To be asked after the questions below. `elf` may be NULL.
 */
LT_MUST_CHECK enum lt_status lt_elf_check(struct lt_session *session, const struct lt_elf *elf);

/* Path as the target sees it. */
const char *lt_elf_path(const struct lt_elf *elf);

/* Address in the target of a symbol in .symtab or .dynsym; 0: none. *ret_size may be NULL, `elf` too. */
lt_addr lt_elf_symbol(const struct lt_elf *elf, const char *name, uint64_t *ret_size);

/* Name of the nearest symbol at or below `addr` and the distance to it; NULL: none. */
const char *lt_elf_symbol_at(const struct lt_elf *elf, lt_addr addr, uint64_t *ret_offset);

/* Address range in the target of a section; false: none. */
bool lt_elf_section(const struct lt_elf *elf, const char *name, lt_addr *ret_start,
		    uint64_t *ret_size);

/* Bytes of the file at a target address of a read-only segment (for constants of stripped files). False: not in the file. */
bool lt_elf_read(const struct lt_elf *elf, lt_addr addr, void *buffer, size_t size);

/*
 * Thread-local data of a library as each thread has it at first, at most `capacity` bytes. *ret_slot: the address in the target of
 * the word in which the loader has put how far the first of it lies from the thread pointer. False: there is none, it has
 * more bytes, some are not in the file, or no word or several are of that kind.
 */
bool lt_elf_thread_data(const struct lt_elf *elf, uint32_t relocation, void *buffer,
			size_t capacity, size_t *ret_size, lt_addr *ret_slot);

/* What is added to an address in the file to get the one in the target; 0 for a program at fixed addresses. */
lt_addr lt_elf_bias(const struct lt_elf *elf);

/* The Elf handle of libelf, for unwind.c. */
void *lt_elf_handle(const struct lt_elf *elf);

/* The build id in hex digits, "" when the file has none. */
const char *lt_elf_build_id(const struct lt_elf *elf);

/*
 * The description of the `index`-th note with this owner and type ("stapsdt", 3), valid until the file
 * is closed; false: there are not so many.
 */
bool lt_elf_note(const struct lt_elf *elf, const char *owner, uint32_t type, unsigned index,
		 const void **ret_bytes, size_t *ret_size);

#endif
