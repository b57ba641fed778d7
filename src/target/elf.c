#include "target/elf.h"

#include "base/cleanup.h"
#include "base/vec.h"
#include "target/root.h"

#include <errno.h>
#include <gelf.h>
#include <string.h>

/* A file of the target is refused beyond these; the largest known ones are a tenth of them. */
enum {
	SEGMENTS_MAX = 512,
	SECTIONS_MAX = 1 << 17,
	SECTION_BYTES_MAX = 512 << 20,
	SYMBOLS_MAX = 8 << 20,
	NOTES_MAX = 1 << 16,
	BUILD_ID_MAX = 64, /* bytes */
};

static const uint64_t PAGE_MASK = 4095;

struct symbol {
	uint64_t value; /* address in the file */
	uint64_t size;
	const char *name; /* in the string table, which libelf owns */
	bool global;
};
LT_VEC(symbols, struct symbol);

/* One ELF file: the mapped one, or its separate debug file. */
struct file {
	int fd;
	Elf *elf;
	bool *no_memory; /* of the lt_elf: what was not found may be there */
	size_t section_count;
	size_t name_table; /* section with the names of the sections */
};

struct lt_elf {
	char *path;
	struct file main;
	struct file debug; /* elf NULL: none */
	GElf_Phdr *segments;
	size_t segment_count;
	lt_addr bias;
	char build_id[2 * BUILD_ID_MAX + 1];
	struct symbols symbols; /* ascending by value; loaded at the first question */
	bool symbols_loaded;
	bool no_memory; /* ran out while the file was read */
};

static void file_close(struct file *file)
{
	if (file->elf != NULL)
		elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	*file = (struct file){.fd = -1};
}

/* libelf says that its memory ran out by text alone, and leaves what malloc() said in errno, which is 0 before each question. */
static void note_memory(const struct file *file)
{
	if (errno == ENOMEM)
		*file->no_memory = true;
}

/* Takes the descriptor, on failure too. False: not an ELF file that can be used here, or no memory. */
static bool file_open(struct file *file, int fd, bool *no_memory)
{
	*file = (struct file){.fd = fd, .no_memory = no_memory};
	GElf_Ehdr header;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return false;
	errno = 0;
	file->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (file->elf == NULL || elf_kind(file->elf) != ELF_K_ELF ||
	    gelf_getehdr(file->elf, &header) == NULL || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    (header.e_type != ET_EXEC && header.e_type != ET_DYN)) {
		note_memory(file);
		file_close(file);
		return false;
	}
	/* A file without section headers is a file without sections. */
	if (elf_getshdrnum(file->elf, &file->section_count) != 0 ||
	    file->section_count > SECTIONS_MAX ||
	    elf_getshdrstrndx(file->elf, &file->name_table) != 0) {
		note_memory(file);
		file->section_count = 0;
	}
	return true;
}

static Elf_Scn *section_at(const struct file *file, size_t index, GElf_Shdr *ret_header)
{
	errno = 0;
	Elf_Scn *section = elf_getscn(file->elf, index);
	if (section != NULL && gelf_getshdr(section, ret_header) != NULL)
		return section;
	note_memory(file);
	return NULL;
}

/* NULL: none, or longer than any. */
static const char *text_at(const struct file *file, size_t table, size_t offset)
{
	errno = 0;
	const char *text = elf_strptr(file->elf, table, offset);
	if (text == NULL)
		note_memory(file);
	return text;
}

static Elf_Data *section_data(const struct file *file, Elf_Scn *section, const GElf_Shdr *header)
{
	if (header->sh_type == SHT_NOBITS || header->sh_size > SECTION_BYTES_MAX)
		return NULL;
	errno = 0;
	Elf_Data *data = elf_getdata(section, NULL);
	if (data != NULL && data->d_buf != NULL)
		return data;
	note_memory(file);
	return NULL;
}

static bool read_segments(struct lt_elf *elf)
{
	size_t count;
	errno = 0;
	if (elf_getphdrnum(elf->main.elf, &count) != 0 || count == 0 || count > SEGMENTS_MAX) {
		note_memory(&elf->main);
		return false;
	}
	elf->segments = calloc(count, sizeof(*elf->segments));
	if (elf->segments == NULL) {
		elf->no_memory = true;
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr *segment = &elf->segments[elf->segment_count];
		errno = 0;
		if (gelf_getphdr(elf->main.elf, (int)i, segment) == NULL) {
			note_memory(&elf->main);
			return false;
		}
		/* Ends that wrap around would pass every comparison below. */
		if (segment->p_vaddr + segment->p_memsz < segment->p_vaddr ||
		    segment->p_offset + segment->p_filesz < segment->p_offset)
			continue;
		elf->segment_count++;
	}
	return elf->segment_count > 0;
}

/* True when the mapping begins inside this segment; then the bias follows from it. */
static bool bias_from(const GElf_Phdr *segment, const struct lt_mapping *mapping, lt_addr *ret_bias)
{
	if (segment->p_type != PT_LOAD || segment->p_filesz == 0)
		return false;
	uint64_t start = segment->p_offset & ~PAGE_MASK;
	if (mapping->file_offset < start ||
	    mapping->file_offset >= segment->p_offset + segment->p_filesz)
		return false;
	*ret_bias =
		mapping->start - ((segment->p_vaddr & ~PAGE_MASK) + (mapping->file_offset - start));
	return true;
}

/*
 * The executable mapping decides: a file may also be mapped as data, by its own program. Where text was
 * moved to other pages (huge ones), the other mappings must do.
 */
static bool find_bias(struct lt_elf *elf, const struct lt_process *process, const char *path)
{
	for (int executable = 1; executable >= 0; executable--) {
		for (size_t i = 0; i < process->mappings.count; i++) {
			const struct lt_mapping *mapping = &process->mappings.data[i];
			if (mapping->executable != (executable == 1) ||
			    strcmp(mapping->path, path) != 0)
				continue;
			for (size_t j = 0; j < elf->segment_count; j++) {
				const GElf_Phdr *segment = &elf->segments[j];
				if (((segment->p_flags & PF_X) != 0) == (executable == 1) &&
				    bias_from(segment, mapping, &elf->bias))
					return true;
			}
		}
	}
	return false;
}

bool lt_elf_note(const struct lt_elf *elf, const char *owner, uint32_t type, unsigned index,
		 const void **ret_bytes, size_t *ret_size)
{
	unsigned left = NOTES_MAX;
	size_t owner_size = strlen(owner) + 1;
	for (size_t i = 0; i < elf->main.section_count; i++) {
		GElf_Shdr section_header;
		Elf_Scn *section = section_at(&elf->main, i, &section_header);
		if (section == NULL || section_header.sh_type != SHT_NOTE)
			continue;
		Elf_Data *data = section_data(&elf->main, section, &section_header);
		GElf_Nhdr note;
		size_t at = 0, next, name, body;
		while (data != NULL && left-- > 0 &&
		       (next = gelf_getnote(data, at, &note, &name, &body)) > 0) {
			at = next;
			if (note.n_type != type || note.n_namesz != owner_size ||
			    name > data->d_size || owner_size > data->d_size - name ||
			    body > data->d_size || note.n_descsz > data->d_size - body ||
			    memcmp((const char *)data->d_buf + name, owner, owner_size) != 0)
				continue;
			if (index-- > 0)
				continue;
			*ret_bytes = (const char *)data->d_buf + body;
			*ret_size = note.n_descsz;
			return true;
		}
	}
	return false;
}

static void read_build_id(struct lt_elf *elf)
{
	const void *bytes;
	size_t size;
	if (!lt_elf_note(elf, "GNU", NT_GNU_BUILD_ID, 0, &bytes, &size) || size > BUILD_ID_MAX)
		return;
	for (size_t i = 0; i < size; i++)
		snprintf(elf->build_id + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
}

static bool has_symtab(const struct file *file)
{
	GElf_Shdr header;
	for (size_t i = 0; i < file->section_count; i++)
		if (section_at(file, i, &header) != NULL && header.sh_type == SHT_SYMTAB)
			return true;
	return false;
}

/* The separate debug file in the target's root or in lowtide's own, when it is of this very build. */
static void find_debug(struct lt_elf *elf, pid_t pid)
{
	if (strlen(elf->build_id) < 4 || has_symtab(&elf->main))
		return;
	char path[256];
	snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", elf->build_id,
		 elf->build_id + 2);
	pid_t roots[] = {pid, getpid()};
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]) && elf->debug.elf == NULL; i++) {
		int fd = lt_root_open(roots[i], path);
		if (fd < 0 || !file_open(&elf->debug, fd, &elf->no_memory))
			continue;
		/* The same questions, asked of the other file. */
		struct lt_elf other = {.main = elf->debug};
		read_build_id(&other);
		if (strcmp(other.build_id, elf->build_id) != 0)
			file_close(&elf->debug);
	}
}

enum lt_status lt_elf_open(struct lt_session *session, const struct lt_process *process,
			   const char *path, struct lt_elf **ret_elf)
{
	const struct lt_mapping *mapping = NULL;
	int fd = -1;
	int error = ENOENT;
	for (size_t i = 0; i < process->mappings.count && fd < 0; i++) {
		if (strcmp(process->mappings.data[i].path, path) != 0)
			continue;
		mapping = &process->mappings.data[i];
		fd = lt_root_open_mapping(process->pid, mapping);
		error = errno;
		break;
	}
	if (mapping == NULL)
		return lt_fail(session, LT_E_FILE, "process %d has not mapped %s",
			       (int)process->pid, path);
	if (fd < 0 && !lt_process_runs_on(process))
		return lt_fail(session, LT_E_GONE,
			       "process %d has ended, or become another program",
			       (int)process->pid);
	if (fd < 0 && error == ESTALE) {
		lt_fail(session, LT_E_FILE, "%s was replaced after process %d had loaded it", path,
			(int)process->pid);
		lt_remedy(session, "run lowtide with sudo, which can still read the old file, or "
				   "restart the service");
		return LT_E_FILE;
	}
	if (fd < 0) {
		lt_fail_errno(session, LT_E_FILE, error, "cannot open %s of process %d", path,
			      (int)process->pid);
		if (error == ENOENT)
			lt_remedy(session, "the file was deleted: run lowtide with sudo, which can "
					   "still read it, "
					   "or restart the service");
		return LT_E_FILE;
	}
	struct lt_elf *elf = calloc(1, sizeof(*elf));
	if (elf == NULL) {
		close(fd);
		return lt_fail_memory(session);
	}
	elf->debug.fd = -1;
	if (!file_open(&elf->main, fd, &elf->no_memory)) {
		bool no_memory = elf->no_memory;
		lt_elf_close(elf);
		return no_memory ? lt_fail_memory(session)
				 : lt_fail(session, LT_E_FILE, "%s is not a 64-bit ELF file", path);
	}
	elf->path = strdup(path);
	if (elf->path == NULL) {
		lt_elf_close(elf);
		return lt_fail_memory(session);
	}
	bool fits = read_segments(elf) && find_bias(elf, process, path);
	if (fits) {
		read_build_id(elf);
		find_debug(elf, process->pid);
	}
	if (elf->no_memory) {
		lt_elf_close(elf);
		return lt_fail_memory(session);
	}
	if (!fits) {
		lt_elf_close(elf);
		return lt_fail(session, LT_E_FILE,
			       "the segments of %s do not fit the mappings of process %d", path,
			       (int)process->pid);
	}
	*ret_elf = elf;
	return LT_OK;
}

enum lt_status lt_elf_try(struct lt_session *session, const struct lt_process *process,
			  const char *path, struct lt_elf **ret_elf)
{
	*ret_elf = NULL;
	enum lt_status status = lt_elf_open(session, process, path, ret_elf);
	if (status == LT_OK || status == LT_E_NO_MEMORY)
		return status;
	lt_session_clear(session);
	return LT_OK;
}

enum lt_status lt_elf_check(struct lt_session *session, const struct lt_elf *elf)
{
	return elf != NULL && elf->no_memory ? lt_fail_memory(session) : LT_OK;
}

void lt_elf_close(struct lt_elf *elf)
{
	if (elf == NULL)
		return;
	symbols_deinit(&elf->symbols);
	file_close(&elf->debug);
	file_close(&elf->main);
	free(elf->segments);
	free(elf->path);
	free(elf);
}

const char *lt_elf_path(const struct lt_elf *elf)
{
	return elf->path;
}

lt_addr lt_elf_bias(const struct lt_elf *elf)
{
	return elf->bias;
}

const char *lt_elf_build_id(const struct lt_elf *elf)
{
	return elf->build_id;
}

/* False: no memory. */
static bool load_table(struct symbols *symbols, const struct file *file, uint32_t type)
{
	for (size_t i = 0; i < file->section_count; i++) {
		GElf_Shdr header;
		Elf_Scn *section = section_at(file, i, &header);
		if (section == NULL || header.sh_type != type)
			continue;
		Elf_Data *data = section_data(file, section, &header);
		size_t count = data != NULL ? data->d_size / sizeof(Elf64_Sym) : 0;
		if (count > SYMBOLS_MAX)
			count = SYMBOLS_MAX;
		for (size_t j = 0; j < count; j++) {
			GElf_Sym symbol;
			if (gelf_getsym(data, (int)j, &symbol) == NULL)
				break;
			unsigned kind = GELF_ST_TYPE(symbol.st_info);
			if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS ||
			    symbol.st_value == 0 || kind == STT_SECTION || kind == STT_FILE ||
			    kind == STT_TLS)
				continue;
			const char *name = text_at(file, header.sh_link, symbol.st_name);
			if (name == NULL || name[0] == '\0')
				continue;
			bool global = GELF_ST_BIND(symbol.st_info) != STB_LOCAL;
			if (!symbols_push(symbols, (struct symbol){symbol.st_value, symbol.st_size,
								   name, global}))
				return false;
		}
	}
	return true;
}

static int by_value(const void *a, const void *b)
{
	const struct symbol *left = a, *right = b;
	if (left->value != right->value)
		return left->value < right->value ? -1 : 1;
	/* At one address: the public name first, then by name, so that the order is always the same. */
	if (left->global != right->global)
		return left->global ? -1 : 1;
	return strcmp(left->name, right->name);
}

/* The table is a memo of the file: a const lt_elf may fill it. */
static const struct symbols *load_symbols(const struct lt_elf *const_elf)
{
	struct lt_elf *elf = (struct lt_elf *)const_elf;
	if (elf->symbols_loaded)
		return &elf->symbols;
	elf->symbols_loaded = true;
	if (!load_table(&elf->symbols, &elf->main, SHT_SYMTAB) ||
	    !load_table(&elf->symbols, &elf->main, SHT_DYNSYM) ||
	    (elf->debug.elf != NULL && !load_table(&elf->symbols, &elf->debug, SHT_SYMTAB)))
		elf->no_memory = true;
	if (elf->symbols.count > 1)
		qsort(elf->symbols.data, elf->symbols.count, sizeof(*elf->symbols.data), by_value);
	return &elf->symbols;
}

lt_addr lt_elf_symbol(const struct lt_elf *elf, const char *name, uint64_t *ret_size)
{
	if (elf == NULL)
		return 0;
	const struct symbols *symbols = load_symbols(elf);
	const struct symbol *found = NULL;
	for (size_t i = 0; i < symbols->count; i++) {
		const struct symbol *symbol = &symbols->data[i];
		if ((found == NULL || (symbol->global && !found->global)) &&
		    strcmp(symbol->name, name) == 0)
			found = symbol;
	}
	if (found == NULL)
		return 0;
	if (ret_size != NULL)
		*ret_size = found->size;
	return elf->bias + found->value;
}

const char *lt_elf_symbol_at(const struct lt_elf *elf, lt_addr addr, uint64_t *ret_offset)
{
	const struct symbols *symbols = load_symbols(elf);
	if (addr < elf->bias)
		return NULL;
	uint64_t value = addr - elf->bias;
	size_t low = 0, high = symbols->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (symbols->data[middle].value <= value)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	const struct symbol *symbol = &symbols->data[low - 1];
	/* Back to the first of those at the same address. */
	while (symbol > symbols->data && symbol[-1].value == symbol->value)
		symbol--;
	if (ret_offset != NULL)
		*ret_offset = value - symbol->value;
	return symbol->name;
}

bool lt_elf_section(const struct lt_elf *elf, const char *name, lt_addr *ret_start,
		    uint64_t *ret_size)
{
	const struct file *file = &elf->main;
	for (size_t i = 0; i < file->section_count; i++) {
		GElf_Shdr header;
		if (section_at(file, i, &header) == NULL || (header.sh_flags & SHF_ALLOC) == 0)
			continue;
		const char *found = text_at(file, file->name_table, header.sh_name);
		if (found == NULL || strcmp(found, name) != 0)
			continue;
		*ret_start = elf->bias + header.sh_addr;
		*ret_size = header.sh_size;
		return true;
	}
	return false;
}

bool lt_elf_read(const struct lt_elf *elf, lt_addr addr, void *buffer, size_t size)
{
	uint64_t value = addr - elf->bias;
	for (size_t i = 0; i < elf->segment_count; i++) {
		const GElf_Phdr *segment = &elf->segments[i];
		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0 ||
		    value < segment->p_vaddr || value - segment->p_vaddr > segment->p_filesz ||
		    size > segment->p_filesz - (value - segment->p_vaddr))
			continue;
		uint64_t offset = segment->p_offset + (value - segment->p_vaddr);
		if (offset > INT64_MAX)
			return false;
		return pread(elf->main.fd, buffer, size, (off_t)offset) == (ssize_t)size;
	}
	return false;
}

/* The one relocation of a kind, of the first byte. */
static bool find_relocation(const struct lt_elf *elf, uint32_t kind, lt_addr *ret_slot)
{
	unsigned found = 0;
	for (size_t i = 0; i < elf->main.section_count; i++) {
		GElf_Shdr header;
		Elf_Scn *section = section_at(&elf->main, i, &header);
		if (section == NULL || header.sh_type != SHT_RELA)
			continue;
		Elf_Data *data = section_data(&elf->main, section, &header);
		GElf_Rela entry;
		for (int k = 0; data != NULL && gelf_getrela(data, k, &entry) != NULL; k++) {
			if (GELF_R_TYPE(entry.r_info) != kind)
				continue;
			if (GELF_R_SYM(entry.r_info) != 0 || entry.r_addend != 0)
				return false;
			*ret_slot = elf->bias + entry.r_offset;
			found++;
		}
	}
	return found == 1;
}

bool lt_elf_thread_data(const struct lt_elf *elf, uint32_t relocation, void *buffer,
			size_t capacity, size_t *ret_size, lt_addr *ret_slot)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const GElf_Phdr *segment = &elf->segments[i];
		if (segment->p_type != PT_TLS)
			continue;
		size_t size = segment->p_filesz;
		if (size == 0 || size > capacity || segment->p_memsz != size ||
		    segment->p_offset > INT64_MAX ||
		    pread(elf->main.fd, buffer, size, (off_t)segment->p_offset) != (ssize_t)size)
			return false;
		*ret_size = size;
		return find_relocation(elf, relocation, ret_slot);
	}
	return false;
}

void *lt_elf_handle(const struct lt_elf *elf)
{
	return elf->main.elf;
}
