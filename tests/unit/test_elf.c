/*
 * test_elf.c: symbols, sections and notes of mapped files; files that were deleted, replaced or made to harm.
 */
#include "base/cleanup.h"
#include "target/elf.h"
#include "target/root.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct lt_session session;

/* Known to the symbol table; the size tells that the symbol is this one. */
uint64_t lt_test_elf_marker[5] __attribute__((used, visibility("default"))) = {1, 2, 3};
static const char constant_text[] __attribute__((used)) = "a constant of the test program";

static struct lt_process *this_process(void)
{
	struct lt_process *process = NULL;
	assert_int_equal(lt_process_open(&session, getpid(), &process), LT_OK);
	return process;
}

static void test_own_program(void **state)
{
	(void)state;
	struct lt_process *process = this_process();
	struct lt_elf *elf = NULL;
	assert_int_equal(lt_elf_open(&session, process, process->executable, &elf), LT_OK);
	assert_string_equal(lt_elf_path(elf), process->executable);
	uint64_t size = 0, offset = 99;
	lt_addr marker = (lt_addr)(uintptr_t)lt_test_elf_marker;
	assert_int_equal(lt_elf_symbol(elf, "lt_test_elf_marker", &size), marker);
	assert_int_equal(size, sizeof(lt_test_elf_marker));
	assert_int_equal(lt_elf_symbol(elf, "no_such_symbol", &size), 0);
	assert_string_equal(lt_elf_symbol_at(elf, marker + 9, &offset), "lt_test_elf_marker");
	assert_int_equal(offset, 9);
	assert_int_equal(lt_elf_symbol(elf, "test_own_program", NULL),
			 (lt_addr)(uintptr_t)&test_own_program);
	assert_null(lt_elf_symbol_at(elf, 1, &offset));

	lt_addr start = 0;
	uint64_t length = 0;
	assert_true(lt_elf_section(elf, ".data", &start, &length));
	assert_true(marker >= start && marker < start + length);
	assert_false(lt_elf_section(elf, ".no_such_section", &start, &length));
	/* Sections that are not loaded have no address in the target. */
	assert_false(lt_elf_section(elf, ".symtab", &start, &length));

	char text[sizeof(constant_text)];
	assert_true(lt_elf_read(elf, (lt_addr)(uintptr_t)constant_text, text, sizeof(text)));
	assert_memory_equal(text, constant_text, sizeof(text));
	assert_false(lt_elf_read(elf, marker, text, 8));
	assert_false(lt_elf_read(elf, 0, text, 8));
	assert_false(lt_elf_read(elf, UINT64_MAX - 3, text, 8));

	const void *bytes;
	if (lt_elf_build_id(elf)[0] != '\0') {
		assert_true(strlen(lt_elf_build_id(elf)) >= 16);
		assert_true(lt_elf_note(elf, "GNU", 3, 0, &bytes, &length));
		assert_int_equal(length * 2, strlen(lt_elf_build_id(elf)));
		char first[3];
		snprintf(first, sizeof(first), "%02x", *(const unsigned char *)bytes);
		assert_memory_equal(first, lt_elf_build_id(elf), 2);
	}
	assert_false(lt_elf_note(elf, "GNU", 3, 1, &bytes, &length));
	assert_false(lt_elf_note(elf, "no such owner", 3, 0, &bytes, &length));
	lt_elf_close(elf);
	lt_process_close(process);
}

static void test_a_shared_library(void **state)
{
	(void)state;
	struct lt_process *process = this_process();
	const struct lt_mapping *mapping =
		lt_process_mapping(process, (lt_addr)(uintptr_t)&memccpy);
	if (mapping == NULL || mapping->path[0] != '/')
		skip();
	struct lt_elf *elf = NULL;
	assert_int_equal(lt_elf_open(&session, process, mapping->path, &elf), LT_OK);
	assert_int_equal(lt_elf_symbol(elf, "memccpy", NULL), (lt_addr)(uintptr_t)&memccpy);
	uint64_t offset;
	assert_non_null(lt_elf_symbol_at(elf, (lt_addr)(uintptr_t)&memccpy + 1, &offset));
	assert_int_equal(offset, 1);
	lt_elf_close(elf);
	lt_process_close(process);
}

struct sandbox {
	char directory[64];
	char path[128];
	unsigned char *bytes; /* of this very program */
	size_t size;
	unsigned char *map;
};

static int make_sandbox(void **state)
{
	struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
	if (sandbox == NULL)
		return -1;
	strcpy(sandbox->directory, "/tmp/lt_elf_XXXXXX");
	if (mkdtemp(sandbox->directory) == NULL)
		return -1;
	snprintf(sandbox->path, sizeof(sandbox->path), "%s/a file", sandbox->directory);
	LT_FCLOSE FILE *file = fopen("/proc/self/exe", "re");
	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
		return -1;
	sandbox->size = (size_t)ftell(file);
	sandbox->bytes = malloc(sandbox->size);
	rewind(file);
	if (sandbox->bytes == NULL ||
	    fread(sandbox->bytes, 1, sandbox->size, file) != sandbox->size)
		return -1;
	*state = sandbox;
	return 0;
}

static void unmap(struct sandbox *sandbox)
{
	if (sandbox->map != NULL)
		munmap(sandbox->map, sandbox->size);
	sandbox->map = NULL;
}

static int remove_sandbox(void **state)
{
	struct sandbox *sandbox = *state;
	unmap(sandbox);
	unlink(sandbox->path);
	rmdir(sandbox->directory);
	free(sandbox->bytes);
	free(sandbox);
	return 0;
}

/* Writes the bytes to a new file and maps it whole, readable, as a library's first segment would be. */
static void write_and_map(struct sandbox *sandbox, const unsigned char *bytes, size_t size)
{
	unmap(sandbox);
	unlink(sandbox->path);
	LT_CLOSE int fd = open(sandbox->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	/* The mapping may be longer than the file; nobody reads behind its end. */
	sandbox->map = mmap(NULL, sandbox->size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(sandbox->map != MAP_FAILED);
}

static void test_deleted_and_replaced_files(void **state)
{
	struct sandbox *sandbox = *state;
	struct lt_elf *elf = NULL;
	char deleted[160];
	write_and_map(sandbox, sandbox->bytes, sandbox->size);
	struct lt_process *process = this_process();
	assert_int_equal(lt_elf_open(&session, process, sandbox->path, &elf), LT_OK);
	lt_elf_close(elf);

	/* Replaced between the look at the mappings and the opening: never the new file. */
	unlink(sandbox->path);
	LT_CLOSE int fd = open(sandbox->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "not an ELF file", 15), 15);
	LT_CLOSE int probe = lt_root_open_mapping(
		getpid(), lt_process_mapping(process, (lt_addr)(uintptr_t)sandbox->map));
	bool has_links = probe >= 0;
	if (!has_links)
		assert_int_equal(errno, ESTALE);
	enum lt_status status = lt_elf_open(&session, process, sandbox->path, &elf);
	assert_int_equal(status, has_links ? LT_OK : LT_E_FILE);
	if (status == LT_OK)
		lt_elf_close(elf);
	else
		assert_non_null(strstr(session.message, "was replaced"));
	lt_session_clear(&session);

	assert_int_equal(lt_process_refresh(&session, process), LT_OK);
	snprintf(deleted, sizeof(deleted), "%s (deleted)", sandbox->path);
	const struct lt_mapping *mapping =
		lt_process_mapping(process, (lt_addr)(uintptr_t)sandbox->map);
	assert_non_null(mapping);
	assert_string_equal(mapping->path, deleted);
	status = lt_elf_open(&session, process, deleted, &elf);
	assert_int_equal(status, has_links ? LT_OK : LT_E_FILE);
	if (status == LT_OK)
		lt_elf_close(elf);
	else
		assert_non_null(strstr(session.remedy, "sudo"));
	lt_session_clear(&session);
	assert_int_equal(lt_elf_open(&session, process, "/no/such/mapping", &elf), LT_E_FILE);
	lt_session_clear(&session);
	lt_process_close(process);
}

static void ask_everything(const struct lt_elf *elf)
{
	lt_addr start;
	uint64_t size;
	const void *bytes;
	size_t length;
	char buffer[64];
	lt_elf_symbol(elf, "lt_test_elf_marker", &size);
	lt_elf_symbol_at(elf, lt_elf_bias(elf) + 0x2000, &size);
	lt_elf_section(elf, ".data", &start, &size);
	lt_elf_note(elf, "GNU", 3, 1, &bytes, &length);
	lt_elf_read(elf, lt_elf_bias(elf) + 0x100, buffer, sizeof(buffer));
}

static void test_hostile_files(void **state)
{
	struct sandbox *sandbox = *state;
	LT_FREE unsigned char *mutant = malloc(sandbox->size);
	assert_non_null(mutant);
	uint64_t random = 3;
	unsigned opened = 0;
	uint64_t sections;
	memcpy(&sections, sandbox->bytes + 0x28, 8); /* e_shoff */
	for (int round = 0; round < 400; round++) {
		memcpy(mutant, sandbox->bytes, sandbox->size);
		size_t size = sandbox->size;
		for (int change = 0; change <= round % 4; change++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			uint64_t value = (random >> 17) % 5 == 0 ? UINT64_MAX
								 : random >> ((random >> 40) % 60);
			size_t where = (size_t)(random >> 30);
			/* Where it hurts: the header, the program headers, the section headers, anywhere. */
			switch (round % 5) {
			case 0:
				where = 0x10 + where % 0x30;
				break;
			case 1:
				where = 0x40 + where % 0x300;
				break;
			case 2:
			case 3:
				where = (size_t)sections +
					where % (sandbox->size - (size_t)sections);
				break;
			default:
				where %= sandbox->size;
			}
			if (where + 8 <= sandbox->size)
				memcpy(mutant + where, &value, 1 + (random >> 9) % 8);
		}
		if (round % 7 == 0)
			size = 1 + (size_t)(random >> 20) % (sandbox->size - 1);
		write_and_map(sandbox, mutant, size);
		struct lt_process *process = this_process();
		struct lt_elf *elf = NULL;
		if (lt_elf_open(&session, process, sandbox->path, &elf) == LT_OK) {
			opened++;
			ask_everything(elf);
			lt_elf_close(elf);
		} else {
			assert_int_equal(session.status, LT_E_FILE);
			assert_true(session.message[0] != '\0');
		}
		lt_session_clear(&session);
		lt_process_close(process);
	}
	/* The mutants must get past the door, or nothing behind it was tried. */
	assert_true(opened > 50);
}

/* Its files are gone with it: that is not a file that was deleted. */
static void test_a_process_that_ended(void **state)
{
	(void)state;
	struct lt_process *process;
	struct lt_elf *elf;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		pause();
		_exit(0);
	}
	lt_session_init(&session);
	assert_int_equal(lt_process_open(&session, child, &process), LT_OK);
	assert_int_equal(lt_elf_open(&session, process, process->executable, &elf), LT_OK);
	lt_elf_close(elf);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(lt_elf_open(&session, process, process->executable, &elf), LT_E_GONE);
	assert_non_null(strstr(session.message, "has ended"));
	lt_process_close(process);
	lt_session_deinit(&session);
}

static void test_only_regular_files_are_opened(void **state)
{
	struct sandbox *sandbox = *state;
	unlink(sandbox->path);
	assert_int_equal(mkfifo(sandbox->path, 0600), 0);
	assert_int_equal(lt_root_open(getpid(), sandbox->path), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(lt_root_open(getpid(), "/dev/null"), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(lt_root_open(getpid(), "/no/such/file"), -1);
	assert_int_equal(errno, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_program),
		cmocka_unit_test(test_a_shared_library),
		cmocka_unit_test(test_a_process_that_ended),
		cmocka_unit_test_setup_teardown(test_deleted_and_replaced_files, make_sandbox,
						remove_sandbox),
		cmocka_unit_test_setup_teardown(test_hostile_files, make_sandbox, remove_sandbox),
		cmocka_unit_test_setup_teardown(test_only_regular_files_are_opened, make_sandbox,
						remove_sandbox),
	};
	lt_session_init(&session);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	lt_session_deinit(&session);
	return failed;
}
