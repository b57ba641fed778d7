#include "target/proc.h"

#include "base/cleanup.h"
#include "base/shortage.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

bool lt_proc_read(const char *path, char *buffer, size_t capacity)
{
	LT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size_t length = 0;
	while (length < capacity - 1) {
		ssize_t got = read(fd, buffer + length, capacity - 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	buffer[length] = '\0';
	return true;
}

char *lt_proc_slurp(const char *path, size_t limit, size_t *ret_size)
{
	LT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	size_t capacity = 4096, length = 0;
	LT_FREE char *data = malloc(capacity + 1);
	while (data != NULL && length < limit) {
		if (length == capacity) {
			char *grown = realloc(data, capacity * 2 + 1);
			if (grown == NULL) {
				lt_shortage_note();
				return NULL;
			}
			data = grown;
			capacity *= 2;
		}
		size_t want =
			capacity - length < limit - length ? capacity - length : limit - length;
		ssize_t got = read(fd, data + length, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return NULL;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	if (data == NULL) {
		lt_shortage_note();
		return NULL;
	}
	data[length] = '\0';
	if (ret_size != NULL)
		*ret_size = length;
	return LT_TAKE(data);
}

bool lt_proc_field(const char *text, const char *name, char *buffer, size_t capacity)
{
	size_t length = strlen(name);
	for (const char *line = text; line != NULL && *line != '\0';) {
		if (strncmp(line, name, length) == 0 && line[length] == ':') {
			const char *value = line + length + 1;
			while (*value == ' ' || *value == '\t')
				value++;
			size_t size = strcspn(value, "\n");
			if (size > capacity - 1)
				size = capacity - 1;
			memcpy(buffer, value, size);
			buffer[size] = '\0';
			return true;
		}
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return false;
}

bool lt_proc_number(const char *text, uint64_t *ret_value)
{
	if (!isdigit((unsigned char)text[0]))
		return false;
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno != 0 || (*end != '\0' && *end != '\n' && *end != ' '))
		return false;
	*ret_value = value;
	return true;
}

bool lt_proc_stat_field(const char *stat, unsigned number, uint64_t *ret_value)
{
	/* The name stands in parentheses and may hold blanks and parentheses itself: its end is the last one. */
	const char *at = strrchr(stat, ')');
	if (at == NULL || number < 3)
		return false;
	at++;
	for (unsigned field = 3;; field++) {
		while (*at == ' ')
			at++;
		if (*at == '\0' || *at == '\n')
			return false;
		if (field == number)
			break;
		while (*at != ' ' && *at != '\0' && *at != '\n')
			at++;
	}
	if (number == 3) {
		*ret_value = (unsigned char)*at;
		return true;
	}
	return lt_proc_number(at, ret_value);
}

uint64_t lt_proc_bytes(const char *text, const char *name)
{
	char value[64];
	uint64_t number;
	return lt_proc_field(text, name, value, sizeof(value)) && lt_proc_number(value, &number) &&
			       number <= UINT64_MAX / 4096
		       ? number * 1024
		       : 0;
}

bool lt_proc_state(pid_t pid, char *ret_state)
{
	char path[64], text[1024];
	uint64_t state;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!lt_proc_read(path, text, sizeof(text)) || !lt_proc_stat_field(text, 3, &state))
		return false;
	*ret_state = (char)state;
	return true;
}

pid_t lt_proc_inside(pid_t tid)
{
	char path[64], text[8192], value[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	if (!lt_proc_read(path, text, sizeof(text)) ||
	    !lt_proc_field(text, "NSpid", value, sizeof(value)))
		return tid;
	const char *last = strrchr(value, '\t');
	return (pid_t)strtol(last != NULL ? last + 1 : value, NULL, 10);
}

pid_t lt_proc_thread(pid_t pid, pid_t inside)
{
	char path[80];
	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, (int)inside);
	if (access(path, F_OK) == 0 && lt_proc_inside(inside) == inside)
		return inside;
	if (lt_proc_inside(pid) == pid)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *directory = opendir(path);
	if (directory == NULL)
		return 0;
	pid_t found = 0;
	for (struct dirent *entry; found == 0 && (entry = readdir(directory)) != NULL;) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (tid > 0 && lt_proc_inside(tid) == inside)
			found = tid;
	}
	closedir(directory);
	return found;
}
