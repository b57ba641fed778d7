#include "heap/rooms.h"

#include "base/cleanup.h"
#include "base/thread.h"
#include "base/zeroed.h"

#include <string.h>

enum {
	ARRAYS = 4,
	MANY = 1 << 22,    /* nodes from which on a thread is worth its start */
	AT_ONCE = 4 << 20, /* bytes */
};

struct array {
	void *data;
	size_t size;    /* of an element */
	uint64_t ready; /* elements that have memory */
};

struct lt_rooms {
	struct array arrays[ARRAYS];
	uint64_t nodes; /* for which there is room, one more than that is there */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t found; /* with the lock, as what follows */
	bool ends;
	uint64_t told; /* of `found`; the caller's */
	pthread_t thread;
	bool started;
};

static void *work(void *ctx)
{
	struct lt_rooms *rooms = ctx;
	pthread_mutex_lock(&rooms->lock);
	while (!rooms->ends) {
		uint64_t found = rooms->found;
		struct array *least = NULL;
		for (unsigned i = 0; i < ARRAYS && least == NULL; i++) {
			struct array *array = &rooms->arrays[i];
			if (found - array->ready >= AT_ONCE / array->size)
				least = array;
		}
		if (least == NULL) {
			pthread_cond_wait(&rooms->changed, &rooms->lock);
			continue;
		}
		pthread_mutex_unlock(&rooms->lock);
		uint64_t end = least->ready + AT_ONCE / least->size;
		lt_zeroed_bring(least->data, least->ready, end, least->size);
		least->ready = end;
		pthread_mutex_lock(&rooms->lock);
	}
	pthread_mutex_unlock(&rooms->lock);
	return NULL;
}

static bool begin(struct lt_rooms *rooms, uint64_t nodes)
{
	const struct lt_heap_graph *graph = NULL;
	const size_t sizes[ARRAYS] = {sizeof(*graph->type), sizeof(*graph->size),
				      sizeof(*graph->flags), sizeof(*graph->balance)};
	for (unsigned i = 0; i < ARRAYS; i++) {
		rooms->arrays[i].size = sizes[i];
		rooms->arrays[i].data = calloc(nodes + 1, sizes[i]);
		if (rooms->arrays[i].data == NULL)
			return false;
	}
	rooms->nodes = nodes;
	if (pthread_mutex_init(&rooms->lock, NULL) != 0)
		return false;
	if (pthread_cond_init(&rooms->changed, NULL) != 0) {
		pthread_mutex_destroy(&rooms->lock);
		return false;
	}
	rooms->started = lt_thread_start(&rooms->thread, work, rooms);
	if (!rooms->started) {
		pthread_cond_destroy(&rooms->changed);
		pthread_mutex_destroy(&rooms->lock);
	}
	return rooms->started;
}

struct lt_rooms *lt_rooms_begin(uint64_t nodes)
{
	if (nodes < MANY || nodes >= UINT32_MAX)
		return NULL;
	struct lt_rooms *rooms = calloc(1, sizeof(*rooms));
	if (rooms != NULL && !begin(rooms, nodes)) {
		lt_rooms_destroy(rooms);
		return NULL;
	}
	return rooms;
}

void lt_rooms_found(struct lt_rooms *rooms, uint64_t nodes)
{
	if (rooms == NULL)
		return;
	if (nodes > rooms->nodes)
		nodes = rooms->nodes;
	if (nodes < rooms->told + AT_ONCE / sizeof(uint32_t))
		return;
	rooms->told = nodes;
	pthread_mutex_lock(&rooms->lock);
	rooms->found = nodes;
	pthread_cond_signal(&rooms->changed);
	pthread_mutex_unlock(&rooms->lock);
}

static void stop(struct lt_rooms *rooms)
{
	if (!rooms->started)
		return;
	pthread_mutex_lock(&rooms->lock);
	rooms->ends = true;
	pthread_cond_signal(&rooms->changed);
	pthread_mutex_unlock(&rooms->lock);
	pthread_join(rooms->thread, NULL);
	pthread_cond_destroy(&rooms->changed);
	pthread_mutex_destroy(&rooms->lock);
	rooms->started = false;
}

void lt_rooms_destroy(struct lt_rooms *rooms)
{
	if (rooms == NULL)
		return;
	stop(rooms);
	for (unsigned i = 0; i < ARRAYS; i++)
		free(rooms->arrays[i].data);
	free(rooms);
}

/* What was made for more nodes; a failure to make it smaller keeps it as it is. */
static void *shrunk(void *data, size_t size)
{
	void *smaller = realloc(data, size);
	return smaller != NULL ? smaller : data;
}

bool lt_rooms_end(struct lt_rooms *rooms, uint64_t nodes, struct lt_heap_graph *graph)
{
	if (rooms != NULL) {
		stop(rooms);
		if (nodes <= rooms->nodes) {
			void *data[ARRAYS];
			for (unsigned i = 0; i < ARRAYS; i++)
				data[i] = shrunk(LT_TAKE(rooms->arrays[i].data),
						 (nodes + 1) * rooms->arrays[i].size);
			graph->type = data[0];
			graph->size = data[1];
			graph->flags = data[2];
			graph->balance = data[3];
		}
		bool taken = nodes <= rooms->nodes;
		lt_rooms_destroy(rooms);
		if (taken)
			return true;
	}
	graph->type = calloc(nodes + 1, sizeof(*graph->type));
	graph->size = calloc(nodes + 1, sizeof(*graph->size));
	graph->flags = calloc(nodes + 1, sizeof(*graph->flags));
	graph->balance = calloc(nodes + 1, sizeof(*graph->balance));
	return graph->type != NULL && graph->size != NULL && graph->flags != NULL &&
	       graph->balance != NULL;
}
