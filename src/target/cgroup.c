#include "target/cgroup.h"

#include "base/cleanup.h"
#include "target/permission.h"
#include "target/proc.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { MOUNTINFO_MAX = 8 << 20, GROUPS_MAX = 64 << 10 };

/* Version 1 says "no limit" by a number near 2^63, rounded to pages. */
static const uint64_t NO_LIMIT = (uint64_t)1 << 62;

enum version { VERSION_1, VERSION_2 };

/* The files of a group that matter, in each version. */
static const struct {
	const char *limits[2]; /* NULL: none */
	const char *usage;
	const char *
		reclaimable; /* line of memory.stat; version 1 counts the groups below only in total_ */
	const char *swap, *swap_limit; /* version 1: of memory and swap together */
	const char *events;            /* has a line "oom_kill N" */
} files[] = {
	[VERSION_1] = {{"memory.limit_in_bytes", NULL},
		       "memory.usage_in_bytes",
		       "total_inactive_file",
		       "memory.memsw.usage_in_bytes",
		       "memory.memsw.limit_in_bytes",
		       "memory.oom_control"},
	[VERSION_2] = {{"memory.max", "memory.high"},
		       "memory.current",
		       "inactive_file",
		       "memory.swap.current",
		       "memory.swap.max",
		       "memory.events"},
};

struct mount {
	char point[PATH_MAX]; /* where it is, "" when none was found */
	char root[PATH_MAX];  /* the group that it shows at that place */
};

static bool read_file(const char *group, const char *name, char *buffer, size_t capacity)
{
	char path[2 * PATH_MAX];
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", group, name) >= sizeof(path))
		return false;
	return lt_proc_read(path, buffer, capacity);
}

/* A number on a line "name number" of memory.stat. */
static bool stat_line(const char *text, const char *name, uint64_t *ret_value)
{
	size_t length = strlen(name);
	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			return lt_proc_number(line + length + 1, ret_value);
	}
	return false;
}

static uint64_t less(uint64_t from, uint64_t what)
{
	return from > what ? from - what : 0;
}

/* What else there is to say about the group whose limit and usage are in *group. */
static void look_closer(const char *directory, enum version version, struct lt_cgroup_memory *group)
{
	char text[8192];
	if (read_file(directory, files[version].swap, text, sizeof(text)) &&
	    lt_proc_number(text, &group->swap)) {
		group->swaps = true;
		group->swap_limit = UINT64_MAX;
		uint64_t limit;
		if (read_file(directory, files[version].swap_limit, text, sizeof(text)) &&
		    lt_proc_number(text, &limit) && limit < NO_LIMIT)
			group->swap_limit =
				version == VERSION_1 ? less(limit, group->limit) : limit;
		if (version == VERSION_1)
			group->swap = less(group->swap, group->usage);
	}
	group->counts_kills = read_file(directory, files[version].events, text, sizeof(text)) &&
			      stat_line(text, "oom_kill", &group->kills);
}

/* Weighs one group: if it has less headroom than what is known so far, it is what is known. */
static void weigh(const char *directory, const char *name, enum version version,
		  struct lt_cgroup_memory *memory)
{
	char text[8192];
	struct lt_cgroup_memory here = {.limited = true};
	if (!read_file(directory, files[version].usage, text, sizeof(text)) ||
	    !lt_proc_number(text, &here.usage))
		return;
	if (read_file(directory, "memory.stat", text, sizeof(text)) &&
	    stat_line(text, files[version].reclaimable, &here.reclaimable) &&
	    here.reclaimable > here.usage)
		here.reclaimable = here.usage;
	uint64_t needed = here.usage - here.reclaimable;
	snprintf(here.group, sizeof(here.group), "%s", name);
	for (size_t i = 0; i < 2 && files[version].limits[i] != NULL; i++) {
		if (!read_file(directory, files[version].limits[i], text, sizeof(text)) ||
		    !lt_proc_number(text, &here.limit) || here.limit >= NO_LIMIT)
			continue;
		here.headroom = here.limit > needed ? here.limit - needed : 0;
		here.throttles = i == 1;
		here.file = files[version].limits[i];
		if (!memory->limited || here.headroom < memory->headroom) {
			*memory = here;
			look_closer(directory, version, memory);
		}
	}
}

/* True when `path` is `prefix` or lies below it; then *ret_rest is what is behind it. */
static bool is_below(const char *path, const char *prefix, const char **ret_rest)
{
	size_t length = strlen(prefix);
	if (length == 1)
		length = 0; /* "/" */
	if (strncmp(path, prefix, length) != 0 || (path[length] != '/' && path[length] != '\0'))
		return false;
	*ret_rest = path + length;
	return true;
}

static bool climbs(const char *path)
{
	for (const char *at = path; (at = strstr(at, "/..")) != NULL; at += 3)
		if (at[3] == '/' || at[3] == '\0')
			return true;
	return false;
}

/* Undoes the octal escapes of blanks and backslashes in mountinfo, in place. */
static void unescape(char *text)
{
	char *out = text;
	for (const char *in = text; *in != '\0'; in++) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
		    in[3] >= '0' && in[3] <= '7') {
			*out++ = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
}

static bool has_option(const char *options, const char *wanted)
{
	size_t length = strlen(wanted);
	for (const char *at = options; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
		if (strncmp(at, wanted, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	return false;
}

/*
 * The mount of the hierarchy that shows the group `path` and the most of those that hold it. Lines of
 * mountinfo (proc(5)): ID PARENT DEVICE ROOT POINT OPTIONS [TAGS ...] - TYPE SOURCE SUPER-OPTIONS.
 */
static void find_mount(char *mountinfo, enum version version, const char *path, struct mount *mount)
{
	mount->point[0] = '\0';
	char *line_state = NULL;
	for (char *line = strtok_r(mountinfo, "\n", &line_state); line != NULL;
	     line = strtok_r(NULL, "\n", &line_state)) {
		char *fields[5], *word_state = NULL, *tail = strstr(line, " - ");
		if (tail == NULL)
			continue;
		*tail = '\0';
		size_t count = 0;
		for (char *word = strtok_r(line, " ", &word_state); word != NULL && count < 5;
		     word = strtok_r(NULL, " ", &word_state))
			fields[count++] = word;
		char *type = strtok_r(tail + 3, " ", &word_state);
		strtok_r(NULL, " ", &word_state);
		const char *options = strtok_r(NULL, " ", &word_state);
		if (count < 5 || type == NULL || options == NULL)
			continue;
		if (version == VERSION_2
			    ? strcmp(type, "cgroup2") != 0
			    : strcmp(type, "cgroup") != 0 || !has_option(options, "memory"))
			continue;
		unescape(fields[3]);
		unescape(fields[4]);
		const char *rest;
		if (!is_below(path, fields[3], &rest) || climbs(rest) ||
		    strlen(fields[3]) >= sizeof(mount->root) ||
		    strlen(fields[4]) >= sizeof(mount->point))
			continue;
		if (mount->point[0] != '\0' && strlen(mount->root) <= strlen(fields[3]))
			continue;
		strcpy(mount->root, fields[3]);
		strcpy(mount->point, fields[4]);
	}
}

/* Weighs the group and all that hold it, as far as the mounts of process `through` show them. */
static bool weigh_through(const char *root, const char *through, bool in_its_root,
			  enum version version, const char *path, struct lt_cgroup_memory *memory)
{
	char name[PATH_MAX], base[PATH_MAX] = "";
	snprintf(name, sizeof(name), "%s/proc/%s/mountinfo", root, through);
	LT_FREE char *mountinfo = lt_proc_slurp(name, MOUNTINFO_MAX, NULL);
	LT_FREE struct mount *mount = malloc(sizeof(*mount));
	if (mountinfo == NULL || mount == NULL)
		return false;
	find_mount(mountinfo, version, path, mount);
	if (mount->point[0] == '\0')
		return false;
	if (in_its_root)
		snprintf(base, sizeof(base), "/proc/%s/root", through);
	char directory[3 * PATH_MAX];
	int point = snprintf(directory, sizeof(directory), "%s%s%s", root, base, mount->point);
	const char *rest = "";
	(void)is_below(path, mount->root, &rest);
	if (point < 0 || (size_t)point + strlen(rest) >= sizeof(directory))
		return false;
	strcpy(directory + point, rest);
	for (;;) {
		char *end = directory + strlen(directory);
		while (end > directory + point && end[-1] == '/')
			*--end = '\0';
		const char *shown = strlen(directory) > (size_t)point ? directory + point : "/";
		weigh(directory, shown, version, memory);
		if (end <= directory + point)
			break;
		while (end > directory + point && end[-1] != '/')
			*--end = '\0';
	}
	return true;
}

static void weigh_path(const char *root, pid_t pid, enum version version, const char *path,
		       struct lt_cgroup_memory *memory)
{
	char target[16];
	snprintf(target, sizeof(target), "%d", (int)pid);
	if (!weigh_through(root, "self", false, version, path, memory))
		(void)weigh_through(root, target, true, version, path, memory);
}

enum lt_status lt_cgroup_memory_below(struct lt_session *session, const char *root, pid_t pid,
				      struct lt_cgroup_memory *ret_memory)
{
	char name[PATH_MAX];
	snprintf(name, sizeof(name), "%s/proc/%d/cgroup", root, (int)pid);
	LT_FREE char *groups = lt_proc_slurp(name, GROUPS_MAX, NULL);
	if (groups == NULL && errno == ENOMEM)
		return lt_fail_memory(session);
	if (groups == NULL)
		return lt_permission_fail(session, pid, errno, "look at the control groups of");
	struct lt_cgroup_memory memory = {0};
	/* Lines of /proc/PID/cgroup (cgroups(7)): HIERARCHY:CONTROLLERS:PATH; version 2 is "0::PATH". */
	char *state = NULL;
	for (char *line = strtok_r(groups, "\n", &state); line != NULL;
	     line = strtok_r(NULL, "\n", &state)) {
		char *controllers = strchr(line, ':');
		char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
		if (path == NULL || path[1] != '/')
			continue;
		*controllers++ = '\0';
		*path++ = '\0';
		if (has_option(controllers, "memory"))
			weigh_path(root, pid, VERSION_1, path, &memory);
		else if (strcmp(line, "0") == 0 && controllers[0] == '\0')
			weigh_path(root, pid, VERSION_2, path, &memory);
	}
	*ret_memory = memory;
	return LT_OK;
}

enum lt_status lt_cgroup_memory(struct lt_session *session, pid_t pid,
				struct lt_cgroup_memory *ret_memory)
{
	return lt_cgroup_memory_below(session, "", pid, ret_memory);
}
