#include "store/journal.h"

#include "base/cleanup.h"
#include "base/vec.h"
#include "store/journal_parts.h"
#include "store/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <zstd.h>

enum { LEVEL = 3, WAITING_MOST = 64 << 20 };

struct frame {
	unsigned char *bytes;
	size_t length;
};
LT_VEC(frames, struct frame);

struct lt_journal {
	struct lt_session *session;
	struct lt_unfinished file;
	uint64_t number, sequence;
	ZSTD_CCtx *compressor;
	unsigned char *packed;
	size_t room;

	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t changed;
	struct frames waiting; /* the first one is at work while `busy` */
	size_t waiting_bytes;
	bool busy, stop;
	uint64_t durable; /* bytes */
	int error;        /* errno of the first failure: nothing is written after it */
};

/* 0 or an errno. */
static int write_all(int fd, const unsigned char *bytes, size_t length, uint64_t offset)
{
	while (length > 0) {
		ssize_t put = pwrite(fd, bytes, length, (off_t)offset);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno;
		bytes += put;
		offset += (uint64_t)put;
		length -= (size_t)put;
	}
	return 0;
}

/* A file system without fdatasync(2) is as durable as it gets. */
static int sync_file(int fd)
{
	return fdatasync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
}

static int put_frame(struct lt_journal *journal, const struct frame *frame, uint64_t offset)
{
	int fd = journal->file.fd;
	int error = write_all(fd, frame->bytes, frame->length, offset);
	if (error == 0)
		error = sync_file(fd);
	/* What is there of it is no frame; a reader passes over it where it cannot be cut off. */
	if (error != 0 && ftruncate(fd, (off_t)offset) != 0)
		return error;
	return error;
}

static void *work(void *ctx)
{
	struct lt_journal *journal = ctx;
	pthread_mutex_lock(&journal->lock);
	for (;;) {
		while (journal->waiting.count == 0 && !journal->stop)
			pthread_cond_wait(&journal->changed, &journal->lock);
		if (journal->waiting.count == 0)
			break;
		struct frame frame = journal->waiting.data[0];
		uint64_t offset = journal->durable;
		int error = journal->error;
		journal->waiting.count--;
		memmove(journal->waiting.data, journal->waiting.data + 1,
			journal->waiting.count * sizeof(frame));
		journal->waiting_bytes -= frame.length;
		journal->busy = true;
		pthread_mutex_unlock(&journal->lock);
		if (error == 0)
			error = put_frame(journal, &frame, offset);
		free(frame.bytes);
		pthread_mutex_lock(&journal->lock);
		journal->busy = false;
		journal->error = error;
		if (error == 0)
			journal->durable += frame.length;
		pthread_cond_broadcast(&journal->changed);
	}
	pthread_mutex_unlock(&journal->lock);
	return NULL;
}

static enum lt_status cannot(struct lt_journal *journal, int error)
{
	if (journal->durable > LT_HEAD_BYTES)
		lt_remedy(journal->session,
			  "What was recorded until then is in %.200s: read it with 'lowtide gc', "
			  "or remove it.",
			  journal->file.temporary);
	return lt_fail_errno(journal->session, LT_E_FILE, error, "cannot write %.200s",
			     journal->file.path);
}

static enum lt_status put_head(struct lt_journal *journal, uint32_t schema)
{
	unsigned char head[LT_HEAD_BYTES] = LT_JOURNAL_MAGIC;
	if (getrandom(&journal->number, sizeof(journal->number), 0) !=
	    (ssize_t)sizeof(journal->number))
		journal->number = lt_now_ns() ^ (uint64_t)getpid() << 40;
	lt_journal_put(head, LT_HEAD_VERSION, 4, LT_JOURNAL_VERSION);
	lt_journal_put(head, LT_HEAD_SCHEMA, 4, schema);
	lt_journal_put(head, LT_HEAD_NUMBER, 8, journal->number);
	strncpy((char *)head + LT_HEAD_WRITER, LT_VERSION, LT_HEAD_CHECKSUM - LT_HEAD_WRITER - 1);
	lt_journal_put(head, LT_HEAD_CHECKSUM, 8, lt_checksum(head, LT_HEAD_CHECKSUM, 0));
	int error = write_all(journal->file.fd, head, sizeof(head), 0);
	if (error == 0)
		error = sync_file(journal->file.fd);
	if (error == 0)
		error = lt_unfinished_sync(&journal->file);
	if (error != 0)
		return cannot(journal, error);
	journal->durable = sizeof(head);
	return LT_OK;
}

/* Signals are for the thread that has something to end. */
static int start(struct lt_journal *journal)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&journal->thread, NULL, work, journal);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	journal->running = error == 0;
	return error;
}

static enum lt_status begin(struct lt_journal *journal, const char *path, uint32_t schema)
{
	journal->compressor = ZSTD_createCCtx();
	journal->room = ZSTD_compressBound(LT_JOURNAL_FRAME_MOST);
	journal->packed = malloc(journal->room);
	if (journal->compressor == NULL || journal->packed == NULL)
		return lt_fail_memory(journal->session);
	LT_TRY(lt_unfinished_begin(journal->session, path, LT_UNFINISHED_JOURNAL, &journal->file));
	LT_TRY(put_head(journal, schema));
	int error = start(journal);
	return error == 0 ? LT_OK
			  : lt_fail_errno(journal->session, LT_E_NO_MEMORY, error,
					  "cannot start a thread");
}

enum lt_status lt_journal_begin(struct lt_session *session, const char *path, uint32_t schema,
				struct lt_journal **ret_journal)
{
	struct lt_journal *journal = calloc(1, sizeof(*journal));
	if (journal == NULL)
		return lt_fail_memory(session);
	journal->session = session;
	journal->file.fd = journal->file.slot = -1;
	pthread_mutex_init(&journal->lock, NULL);
	pthread_cond_init(&journal->changed, NULL);
	enum lt_status status = begin(journal, path, schema);
	if (status == LT_OK)
		*ret_journal = journal;
	else
		lt_journal_remove(journal);
	return status;
}

/* Waits until at most `most` bytes are on their way. */
static enum lt_status wait_for(struct lt_journal *journal, size_t most, bool idle)
{
	pthread_mutex_lock(&journal->lock);
	while (journal->error == 0 && (journal->waiting_bytes > most || (idle && journal->busy)))
		pthread_cond_wait(&journal->changed, &journal->lock);
	int error = journal->error;
	pthread_mutex_unlock(&journal->lock);
	return error == 0 ? LT_OK : cannot(journal, error);
}

enum lt_status lt_journal_append(struct lt_journal *journal, const void *bytes, size_t length)
{
	if (length > LT_JOURNAL_FRAME_MOST)
		return lt_fail(journal->session, LT_E_INTERNAL, "a frame that is too long");
	LT_TRY(wait_for(journal, WAITING_MOST, false));
	size_t packed = ZSTD_compressCCtx(journal->compressor, journal->packed, journal->room,
					  bytes, length, LEVEL);
	struct frame frame = {.length = LT_FRAME_BYTES + packed};
	if (!ZSTD_isError(packed))
		frame.bytes = calloc(1, frame.length);
	if (frame.bytes == NULL)
		return lt_fail_memory(journal->session);
	memcpy(frame.bytes + LT_FRAME_BYTES, journal->packed, packed);
	lt_journal_put(frame.bytes, 0, 4, LT_FRAME_MAGIC);
	lt_journal_put(frame.bytes, LT_FRAME_PACKED, 4, packed);
	lt_journal_put(frame.bytes, LT_FRAME_RAW, 4, length);
	lt_journal_put(frame.bytes, LT_FRAME_SEQUENCE, 8, journal->sequence);
	lt_journal_put(frame.bytes, LT_FRAME_CONTENT, 8,
		       lt_journal_sum(journal->packed, packed, journal->number, journal->sequence));
	lt_journal_put(frame.bytes, LT_FRAME_CHECKSUM, 8,
		       lt_journal_sum(frame.bytes, LT_FRAME_CHECKSUM, journal->number, 0));
	pthread_mutex_lock(&journal->lock);
	bool pushed = frames_push(&journal->waiting, frame);
	if (pushed)
		journal->waiting_bytes += frame.length;
	pthread_cond_broadcast(&journal->changed);
	pthread_mutex_unlock(&journal->lock);
	if (!pushed) {
		free(frame.bytes);
		return lt_fail_memory(journal->session);
	}
	journal->sequence++;
	return LT_OK;
}

enum lt_status lt_journal_sync(struct lt_journal *journal)
{
	return wait_for(journal, 0, true);
}

uint64_t lt_journal_bytes(const struct lt_journal *journal)
{
	return journal->durable;
}

const char *lt_journal_name(const struct lt_journal *journal)
{
	return journal->file.temporary;
}

enum lt_status lt_journal_read_back(struct lt_journal *journal,
				    struct lt_journal_reader **ret_reader)
{
	LT_TRY(lt_journal_sync(journal));
	int fd = fcntl(journal->file.fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return lt_fail_errno(journal->session, LT_E_FILE, errno, "cannot read %.200s",
				     journal->file.temporary);
	return lt_journal_reader_create(journal->session, fd, journal->file.temporary,
					journal->number, journal->durable, ret_reader);
}

static void end(struct lt_journal *journal, bool keep)
{
	if (journal == NULL)
		return;
	if (journal->running) {
		pthread_mutex_lock(&journal->lock);
		journal->stop = true;
		pthread_cond_broadcast(&journal->changed);
		pthread_mutex_unlock(&journal->lock);
		pthread_join(journal->thread, NULL);
	}
	frames_deinit(&journal->waiting);
	if (keep && journal->durable > LT_HEAD_BYTES)
		lt_unfinished_keep(&journal->file);
	else
		lt_unfinished_end(&journal->file);
	pthread_mutex_destroy(&journal->lock);
	pthread_cond_destroy(&journal->changed);
	ZSTD_freeCCtx(journal->compressor);
	free(journal->packed);
	free(journal);
}

void lt_journal_remove(struct lt_journal *journal)
{
	end(journal, false);
}

void lt_journal_keep(struct lt_journal *journal)
{
	end(journal, true);
}
