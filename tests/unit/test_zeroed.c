/* Arrays of zeros whose memory is there at once: what is asked for comes, what is beside it stays as it was. */
#include "base/zeroed.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { ELEMENTS = 4 << 20, PAGES_MOST = 1 << 13 };

/* Pages of elements `first` to `end` - 1 that are in memory; the last and the first may be others' too. */
static size_t resident(const void *data, size_t first, size_t end, size_t size)
{
	static unsigned char is_in[PAGES_MOST];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), count = 0;
	uintptr_t from = ((uintptr_t)data + first * size + page - 1) / page * page;
	uintptr_t to = ((uintptr_t)data + end * size) / page * page;
	assert_true((to - from) / page <= PAGES_MOST);
	assert_int_equal(mincore((void *)from, to - from, is_in), 0);
	for (size_t i = 0; i < (to - from) / page; i++)
		count += is_in[i] & 1;
	return count;
}

static bool kernel_brings(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *one = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(one != MAP_FAILED);
	bool brings = madvise(one, page, 23) == 0;
	munmap(one, page);
	return brings;
}

static void test_all_of_it(void **state)
{
	(void)state;
	uint32_t *data = lt_zeroed(ELEMENTS, sizeof(*data));
	assert_non_null(data);
	size_t pages = ELEMENTS * sizeof(*data) / (size_t)sysconf(_SC_PAGESIZE);
	if (kernel_brings())
		assert_in_range(resident(data, 0, ELEMENTS, sizeof(*data)), pages - 1, pages);
	for (size_t i = 0; i < ELEMENTS; i++)
		assert_int_equal(data[i], 0);
	free(data);
}

static void test_a_part(void **state)
{
	(void)state;
	uint32_t *data = calloc(ELEMENTS, sizeof(*data));
	assert_non_null(data);
	data[ELEMENTS / 2 + 5] = 7;
	lt_zeroed_bring(data, ELEMENTS / 2, ELEMENTS, sizeof(*data));
	assert_int_equal(data[ELEMENTS / 2 + 5], 7);
	size_t pages = ELEMENTS / 2 * sizeof(*data) / (size_t)sysconf(_SC_PAGESIZE);
	if (kernel_brings())
		assert_in_range(resident(data, ELEMENTS / 2, ELEMENTS, sizeof(*data)), pages - 2,
				pages);
	/* Where memory is kept from the last program there may be more than the first page. */
	assert_true(resident(data, 0, ELEMENTS / 2, sizeof(*data)) < pages);
	free(data);
}

static void test_nothing_and_too_much(void **state)
{
	(void)state;
	char one = 1;
	lt_zeroed_bring(&one, 0, 1, 1);
	lt_zeroed_bring(NULL, 5, 5, 8);
	lt_zeroed_bring(NULL, 5, 4, 8);
	assert_int_equal(one, 1);
	void *small = lt_zeroed(3, 5);
	assert_memory_equal(small, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
	free(small);
}

/* `count` numbers from one array into the middle of another, whose other elements stay as they were. */
static void move(size_t before, size_t count, size_t behind)
{
	uint32_t *to = calloc(before + count + behind, sizeof(*to));
	uint32_t *from = malloc(count * sizeof(*from) + LT_ZEROED_ROOM);
	assert_non_null(to);
	assert_non_null(from);
	for (size_t i = 0; i < before; i++)
		to[i] = 1;
	for (size_t i = 0; i < behind; i++)
		to[before + count + i] = 2;
	for (size_t i = 0; i < count; i++)
		from[i] = (uint32_t)i;
	assert_true(lt_zeroed_move(to + before, from, count * sizeof(*from)));
	for (size_t i = 0; i < before; i++)
		assert_int_equal(to[i], 1);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(to[before + i], i);
	for (size_t i = 0; i < behind; i++)
		assert_int_equal(to[before + count + i], 2);
	/* Both are malloc's as before. */
	memset(from, 3, count * sizeof(*from));
	from = realloc(from, count * sizeof(*from) * 2);
	to = realloc(to, (before + count + behind) * sizeof(*to) * 2);
	assert_non_null(to);
	assert_non_null(from);
	assert_int_equal(to[before + count - 1], count - 1);
	free(from);
	free(to);
}

static void move_all(void)
{
	static const size_t befores[] = {0, 1, 1023, 1024, 100001};
	for (size_t i = 0; i < sizeof(befores) / sizeof(befores[0]); i++) {
		move(befores[i], ELEMENTS / 2, i);
		move(befores[i], ELEMENTS / 2 + i, 5000);
		move(befores[i], i + 1, 3);
	}
}

static void test_moves(void **state)
{
	(void)state;
	move_all();
}

/* From here on, of this program: the last test. */
static void test_moves_where_the_kernel_refuses(void **state)
{
	(void)state;
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = {sizeof(steps) / sizeof(steps[0]), steps};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
		skip();
	move_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_a_part),
		cmocka_unit_test(test_nothing_and_too_much),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_moves_where_the_kernel_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
