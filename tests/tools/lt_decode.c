/*
 * lt_decode: what lowtide says of single objects of a live process, for the live tests.
 *
 *     lt_decode [--kinds] PID < ADDRESSES
 *
 * One line an address (hexadecimal, one a line):
 *     ADDRESS MODULE.TYPE KIND SIZE FLAGS [REFERENCE...]
 * SIZE is "-" when it is not known; FLAGS holds "c" for a conservative scan, "u" when a part could not be
 * read, "-" for neither. A reference that tp_traverse passes over has a minus before it; with --kinds each
 * has :KIND:INDEX:NAME behind it, KIND a word, NAME an address, and for a member its spelling. The process
 * is read as it runs: it has to sleep.
 */
#include "heap/decode.h"
#include "target/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool show_kinds;

static void print_ref(const struct lt_ref *ref)
{
	printf(" %s%" PRIx64, ref->untraversed ? "-" : "", ref->to);
	if (!show_kinds)
		return;
	printf(":%s:%" PRIu32 ":", lt_ref_kind_name(ref->kind), ref->index);
	if (ref->kind == LT_REF_MEMBER) {
		for (const char *c = lt_member_spelling((enum lt_member)ref->index); *c != '\0';
		     c++)
			putchar(*c == ' ' ? '_' : *c);
	} else {
		printf("%" PRIx64, ref->name);
	}
}

static int fail(const struct lt_session *session)
{
	fprintf(stderr, "%s: %s\n", lt_status_name(session->status), session->message);
	return lt_status_exit_code(session->status);
}

static void print_object(struct lt_decoder *decoder, struct lt_types *types,
			 const struct lt_view *view, lt_addr address, struct lt_refs *refs)
{
	lt_addr type_at;
	const struct lt_type *type = NULL;
	if (lt_memory_u64(view->memory, address + lt_off(view->layout, LT_PyObject_ob_type),
			  &type_at))
		type = lt_types_get(types, type_at);
	printf("%" PRIx64 " ", address);
	if (type == NULL) {
		puts("? 0 - u");
		return;
	}
	for (const char *c = type->module; *c != '\0'; c++)
		putchar(*c == ' ' ? '_' : *c);
	putchar('.');
	for (const char *c = type->name; *c != '\0'; c++)
		putchar(*c == ' ' ? '_' : *c);
	printf(" %d ", (int)type->kind);
	uint64_t size;
	if (lt_decode_size(decoder, address, type, &size))
		printf("%" PRIu64 " ", size);
	else
		printf("- ");
	refs->count = 0;
	bool whole = lt_decode_refs(decoder, address, type, refs);
	bool conservative = lt_decode_is_conservative(type);
	printf("%s%s%s", conservative ? "c" : "", whole ? "" : "u",
	       whole && !conservative ? "-" : "");
	for (size_t i = 0; i < refs->count; i++)
		print_ref(&refs->data[i]);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct lt_session session;
	lt_session_init(&session);
	show_kinds = argc == 3 && strcmp(argv[1], "--kinds") == 0;
	if (argc != (show_kinds ? 3 : 2))
		return 2;
	struct lt_process *process = NULL;
	struct lt_memory *memory = NULL;
	struct lt_python *python = NULL;
	struct lt_types *types = NULL;
	struct lt_decoder *decoder = NULL;
	if (lt_process_open(&session, (pid_t)atoi(argv[argc - 1]), &process) != LT_OK ||
	    lt_process_memory(&session, process, &memory) != LT_OK ||
	    lt_python_find(&session, process, memory, &python) != LT_OK)
		return fail(&session);
	struct lt_view view = {
		.session = &session,
		.memory = memory,
		.python = python,
		.layout = python->layout,
		.process = process,
	};
	if (lt_types_create(&view, &types) != LT_OK ||
	    lt_decoder_create(&view, types, &decoder) != LT_OK)
		return fail(&session);
	struct lt_refs refs = {0};
	char line[64];
	while (fgets(line, sizeof(line), stdin) != NULL)
		print_object(decoder, types, &view, strtoull(line, NULL, 16), &refs);
	fprintf(stderr, "unreadable %" PRIu64 "\n", session.unreadable);
	lt_refs_deinit(&refs);
	lt_decoder_destroy(decoder);
	lt_types_destroy(types);
	lt_python_close(python);
	lt_memory_close(memory);
	lt_process_close(process);
	lt_session_deinit(&session);
	return 0;
}
