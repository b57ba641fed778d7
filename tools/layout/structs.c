/*
 * structs.c: prints the members of chosen structs from the debug information of ELF files.
 *
 *     layout-structs FILE NAME...
 *
 * One tab-separated line a member, inner structs flattened with ".", unnamed ones without a name:
 *     M  struct  member.path  byte offset  bit offset or -1  size  array length or -1  source file
 * a struct's size:
 *     S  struct  size  source file
 * and every named enumerator of the file, once:
 *     E  name  value
 * A struct that several source files define alike is printed once; one that they define differently
 * is printed for each. NAME is a tag or a typedef. Nothing is known of CPython here.
 */
#include "base/cleanup.h"
#include "base/text.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 8, MAX_SEEN = 65536 };

struct output {
	char **names; /* wanted */
	int name_count;
	char **seen; /* what was printed, hashed by open addressing */
};

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 14695981039346656037u;
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash;
}

/* True the first time that `key` comes. */
static bool first_time(struct output *output, const char *key)
{
	uint64_t at = hash_text(key) % MAX_SEEN;
	for (unsigned probes = 0; probes < MAX_SEEN; probes++, at = (at + 1) % MAX_SEEN) {
		if (output->seen[at] == NULL) {
			output->seen[at] = strdup(key);
			return true;
		}
		if (strcmp(output->seen[at], key) == 0)
			return false;
	}
	return true;
}

/* Through typedefs and qualifiers to the type itself. False: it has none (void). */
static bool strip_type(Dwarf_Die *die, Dwarf_Die *ret_type)
{
	Dwarf_Attribute attr;
	Dwarf_Die type;
	if (dwarf_attr_integrate(die, DW_AT_type, &attr) == NULL ||
	    dwarf_formref_die(&attr, &type) == NULL)
		return false;
	return dwarf_peel_type(&type, ret_type) == 0;
}

/* The complete type that a declaration stands for is looked up by the caller through its tag. */
static bool is_struct(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);
	return tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_class_type;
}

static int64_t number(Dwarf_Die *die, unsigned name, int64_t otherwise)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;
	if (dwarf_attr(die, name, &attr) == NULL || dwarf_formudata(&attr, &value) != 0)
		return otherwise;
	return (int64_t)value;
}

static int64_t array_length(Dwarf_Die *array)
{
	Dwarf_Die child;
	if (dwarf_child(array, &child) != 0)
		return -1;
	int64_t length = 1;
	do {
		if (dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		int64_t upper = number(&child, DW_AT_upper_bound, -1);
		int64_t count = number(&child, DW_AT_count, upper + 1);
		length *= count;
	} while (dwarf_siblingof(&child, &child) == 0);
	return length;
}

static void print_members(Dwarf_Die *structure, const char *prefix, int64_t base, unsigned depth,
			  struct lt_text *text)
{
	Dwarf_Die child;
	if (depth > MAX_DEPTH || dwarf_child(structure, &child) != 0)
		return;
	do {
		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		Dwarf_Die type;
		if (!strip_type(&child, &type))
			continue;
		int64_t offset = base + number(&child, DW_AT_data_member_location, 0);
		int64_t bit = number(&child, DW_AT_data_bit_offset, -1);
		if (bit >= 0) {
			offset += bit / 8;
			bit %= 8;
		}
		const char *name = dwarf_diename(&child);
		LT_FREE char *path = NULL;
		if (name == NULL) {
			path = strdup(prefix);
		} else if (asprintf(&path, "%s%s%s", prefix, *prefix != '\0' ? "." : "", name) <
			   0) {
			path = NULL;
		}
		if (path == NULL)
			abort();
		if (name != NULL) {
			Dwarf_Word size = 0;
			if (dwarf_aggregate_size(&type, &size) != 0)
				size = 0;
			int64_t length =
				dwarf_tag(&type) == DW_TAG_array_type ? array_length(&type) : -1;
			lt_text_addf(text,
				     "M\t%%s\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRIu64 "\t%" PRId64
				     "\t%%s\n",
				     path, offset, bit, (uint64_t)size, length);
		}
		if (is_struct(&type))
			print_members(&type, path, offset, depth + 1, text);
	} while (dwarf_siblingof(&child, &child) == 0);
}

/* Writes the lines of `text`, whose two %s are the struct's name and the source file. */
static void put_lines(const struct lt_text *text, const char *name, const char *source)
{
	for (const char *line = lt_text_get(text); *line != '\0';) {
		const char *first = strstr(line, "%s");
		const char *second = first != NULL ? strstr(first + 2, "%s") : NULL;
		const char *end = strchr(line, '\n');
		if (second == NULL || end == NULL)
			return;
		printf("%.*s%s%.*s%s\n", (int)(first - line), line, name, (int)(second - first - 2),
		       first + 2, source);
		line = end + 1;
	}
}

static void print_struct(struct output *output, const char *name, Dwarf_Die *structure,
			 const char *source)
{
	Dwarf_Word size;
	if (dwarf_hasattr(structure, DW_AT_declaration) ||
	    dwarf_aggregate_size(structure, &size) != 0)
		return;
	/* The header's struct comes again with each source file: it is taken apart once. */
	int line = 0;
	const char *file = dwarf_decl_file(structure);
	struct lt_text text = {0}, key = {0};
	dwarf_decl_line(structure, &line);
	lt_text_addf(&key, "%s %" PRIu64 " %s:%d", name, (uint64_t)size, file != NULL ? file : "",
		     line);
	bool known = file != NULL && !first_time(output, lt_text_get(&key));
	lt_text_clear(&key);
	if (known) {
		lt_text_deinit(&key);
		return;
	}
	lt_text_addf(&text, "S\t%%s\t%" PRIu64 "\t%%s\n", (uint64_t)size);
	print_members(structure, "", 0, 0, &text);
	lt_text_addf(&key, "%s %s", name, lt_text_get(&text));
	if (first_time(output, lt_text_get(&key)))
		put_lines(&text, name, source);
	lt_text_deinit(&text);
	lt_text_deinit(&key);
}

static bool wanted(const struct output *output, const char *name)
{
	for (int i = 0; i < output->name_count; i++)
		if (strcmp(output->names[i], name) == 0)
			return true;
	return false;
}

static void print_enumerators(struct output *output, Dwarf_Die *enumeration)
{
	Dwarf_Die child;
	if (dwarf_child(enumeration, &child) != 0)
		return;
	do {
		Dwarf_Attribute attr;
		Dwarf_Sword value;
		const char *name = dwarf_diename(&child);
		if (dwarf_tag(&child) != DW_TAG_enumerator || name == NULL ||
		    dwarf_attr(&child, DW_AT_const_value, &attr) == NULL ||
		    dwarf_formsdata(&attr, &value) != 0)
			continue;
		LT_FREE char *line = NULL;
		if (asprintf(&line, "E\t%s\t%" PRId64, name, (int64_t)value) < 0)
			abort();
		if (first_time(output, line))
			puts(line);
	} while (dwarf_siblingof(&child, &child) == 0);
}

static void print_units(struct output *output, Dwarf *dwarf)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit, child;
	while (dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &unit, NULL) == 0) {
		const char *source = dwarf_diename(&unit);
		if (source == NULL)
			source = "";
		if (dwarf_child(&unit, &child) != 0)
			continue;
		do {
			const char *name = dwarf_diename(&child);
			Dwarf_Die type;
			if (dwarf_tag(&child) == DW_TAG_enumeration_type)
				print_enumerators(output, &child);
			else if (name == NULL || !wanted(output, name))
				continue;
			else if (is_struct(&child))
				print_struct(output, name, &child, source);
			else if (dwarf_tag(&child) == DW_TAG_typedef && strip_type(&child, &type) &&
				 is_struct(&type))
				print_struct(output, name, &type, source);
		} while (dwarf_siblingof(&child, &child) == 0);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: layout-structs FILE NAME...\n");
		return 2;
	}
	LT_CLOSE int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	Dwarf *dwarf = fd >= 0 ? dwarf_begin(fd, DWARF_C_READ) : NULL;
	if (dwarf == NULL) {
		fprintf(stderr, "layout-structs: %s: no debug information: %s\n", argv[1],
			dwarf_errmsg(-1));
		return 1;
	}
	struct output output = {argv + 2, argc - 2, calloc(MAX_SEEN, sizeof(char *))};
	if (output.seen == NULL)
		return 1;
	print_units(&output, dwarf);
	Dwarf *alternate = dwarf_getalt(dwarf);
	if (alternate != NULL)
		print_units(&output, alternate);
	for (unsigned i = 0; i < MAX_SEEN; i++)
		free(output.seen[i]);
	free(output.seen);
	dwarf_end(dwarf);
	return 0;
}
