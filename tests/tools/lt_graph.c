/*
 * lt_graph: the object graph of a process and what lowtide makes of it, for the live tests.
 *
 *     lt_graph PID > FILE
 *
 * FILE holds 64-bit words: nodes N, edges E, roots R, components; then 32-bit words: E targets, R roots,
 * and N each of: successors, dominator (2^32 - 1: none), component, flags (LT_NODE_*), alive; then 64-bit
 * words, N each: size, retained size, address.
 */
#include "analysis/subject.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <stdlib.h>

static void put32(uint32_t word)
{
	fwrite(&word, sizeof(word), 1, stdout);
}

static void put64(uint64_t word)
{
	fwrite(&word, sizeof(word), 1, stdout);
}

static enum lt_status print_graph(struct lt_subject *subject)
{
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_LIFE));
	struct lt_picture *picture = &subject->picture;
	const struct lt_graph *graph = &picture->graph.graph;
	LT_FREE uint32_t *component = NULL;
	LT_FREE uint32_t *degree = malloc(((size_t)graph->node_count + 1) * sizeof(*degree));
	uint32_t components = 0;
	if (degree == NULL)
		return lt_fail_memory(subject->session);
	LT_TRY(lt_graph_components(subject->session, graph, &component, &components));
	put64(graph->node_count);
	put64(graph->edge_count);
	put64(picture->roots.list.count);
	put64(components);
	for (uint32_t node = 0; node < graph->node_count; node++) {
		struct lt_row row = lt_row(&graph->out, node);
		degree[node] = (uint32_t)(row.end - row.begin);
		fwrite(row.begin, sizeof(*row.begin), degree[node], stdout);
	}
	fwrite(picture->root_node, sizeof(*picture->root_node), picture->roots.list.count, stdout);
	/* It uses up the edges. */
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	fwrite(degree, sizeof(*degree), graph->node_count, stdout);
	fwrite(picture->dominator, sizeof(*picture->dominator), graph->node_count, stdout);
	fwrite(component, sizeof(*component), graph->node_count, stdout);
	for (uint32_t node = 0; node < graph->node_count; node++)
		put32(picture->graph.flags[node]);
	for (uint32_t node = 0; node < graph->node_count; node++)
		put32(picture->alive[node]);
	for (uint32_t node = 0; node < graph->node_count; node++)
		put64(lt_heap_graph_size(&picture->graph, node));
	fwrite(picture->retained, sizeof(*picture->retained), graph->node_count, stdout);
	for (uint32_t node = 0; node < graph->node_count; node++)
		put64(lt_picture_address(picture, node));
	return LT_OK;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_subject *subject = NULL;
	const struct lt_look_options options = {.mode = LT_MODE_FORK};
	enum lt_status status = lt_subject_open(&session, argv[1], &options, &subject);
	if (status == LT_OK)
		status = print_graph(subject);
	if (status != LT_OK)
		fprintf(stderr, "%s: %s\n", lt_status_name(status), session.message);
	lt_subject_close(subject);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
