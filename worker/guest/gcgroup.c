#include "worker/guest/gcgroup.h"
#include "worker/guest/sysfile.h"

#include "proto/base/must.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_BYTES_MAX 64
#define PATH_BYTES     (ROOT_BYTES_MAX + KT_NAME_BYTES_MAX + 64)
#define LINE_BYTES     4096 /* of a control file; the longest, a list of CPUs, has 1100 */
#define PASSES_MAX     64 /* over the processes of a cgroup that fork while they are moved */
#define REMOVE_FDS     KT_GCGROUP_DEPTH_MAX

/* Controllers one by one: a kernel that lacks one still gets the others. */
static const char *const controllers[] = { "cpu", "cpuset", "memory", "pids", "io" };

/* What a scenario may write, and the controller whose file it is. */
static const struct limit {
	const char *file;
	const char *controller;
} limits[] = {
	{ "cpu.max", "cpu" },        { "cpu.weight", "cpu" },    { "memory.max", "memory" },
	{ "memory.high", "memory" }, { "memory.low", "memory" }, { "io.weight", "io" },
	{ "pids.max", "pids" },
};

#define CPUSET_CPUS "cpuset.cpus"

static const struct limit cpuset_file = { CPUSET_CPUS, "cpuset" };

static const char *root = KT_GCGROUP_ROOT; /* one per machine */
static kt_gcgroup_made *teller;
static void *teller_arg;

/* ---- names ---- */

static bool component_ok(const char *component, size_t len)
{
	bool is_dots = component[0] == '.' && (len == 1 || (len == 2 && component[1] == '.'));

	return len > 0 && !is_dots && !memchr(component, '\n', len);
}

bool kt_gcgroup_name_ok(const char *name)
{
	const char *at = name;
	size_t depth = 0;

	if (strlen(name) > KT_NAME_BYTES_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(at, "/");

		if (!component_ok(at, len) || ++depth > KT_GCGROUP_DEPTH_MAX)
			return false;
		at += len;
		if (!*at)
			return true;
		at++;
	}
}

bool kt_gcgroup_is_below(const char *name, const char *above)
{
	size_t len = strlen(above);

	return strncmp(name, above, len) == 0 && name[len] == '/';
}

static const char *path_of(const char *name, const char *file, char path[PATH_BYTES])
{
	const char *slash = *file ? "/" : "";

	kt_must(kt_gcgroup_name_ok(name));
	snprintf(path, PATH_BYTES, "%s/%s%s%s", root, name, slash, file);
	return path;
}

/* ---- controllers ---- */

static void enable_controllers(const char *folder)
{
	char path[PATH_BYTES + 32];
	char text[16];

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", folder);
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
		snprintf(text, sizeof(text), "+%s", controllers[i]);
		kt_sysfile_write(path, text);
	}
}

int kt_gcgroup_init(const char *where, struct kt_err *err)
{
	char parent[ROOT_BYTES_MAX];

	kt_must(strlen(where) < sizeof(parent) && strrchr(where, '/'));
	root = where;
	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(where, '/') - where), where);
	enable_controllers(parent);
	if (mkdir(root, 0755) < 0 && errno != EEXIST)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "making %s", root);
	enable_controllers(root);
	return 0;
}

void kt_gcgroup_hand_down(const char *name)
{
	char path[PATH_BYTES];

	enable_controllers(path_of(name, "", path));
}

/* Whether `folder`, the root when NULL, has this controller. */
static bool has_controller(const char *name, const char *controller)
{
	char path[PATH_BYTES];
	char line[LINE_BYTES];
	char *rest = NULL;

	if (name)
		path_of(name, "cgroup.controllers", path);
	else
		snprintf(path, sizeof(path), "%s/cgroup.controllers", root);
	if (kt_sysfile_read(path, line, sizeof(line)) < 0)
		return false;
	for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		if (strcmp(word, controller) == 0)
			return true;
	return false;
}

/* A control file is not there: why not? */
static int lack(const char *name, const struct limit *limit, struct kt_err *err)
{
	if (!has_controller(NULL, limit->controller))
		return kt_err_set(
			err, KT_FAULT_GUEST, ENOSYS,
			"this kernel's cgroups have no controller %s, which %s of %s needs",
			limit->controller, limit->file, name);
	if (has_controller(name, limit->controller))
		return kt_err_set(err, KT_FAULT_GUEST, ENOSYS, "this kernel's cgroups have no %s",
				  limit->file);
	return kt_err_set(err, KT_FAULT_GUEST, EBUSY,
			  "%s has no %s: a cgroup with processes of its own hands no controllers "
			  "down to those below it",
			  name, limit->file);
}

static int write_file(const char *name, const struct limit *limit, const char *text,
		      struct kt_err *err)
{
	char path[PATH_BYTES];
	int status = kt_sysfile_write(path_of(name, limit->file, path), text);

	if (status == -ENOENT)
		return lack(name, limit, err);
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "writing '%s' to %s of %s",
				  text[0] == '\n' ? "" : text, limit->file, name);
	return 0;
}

int kt_gcgroup_limit(const char *name, const char *file, const char *text, struct kt_err *err)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (strcmp(limits[i].file, file) == 0)
			return write_file(name, &limits[i], text, err);
	return kt_err_set(err, KT_FAULT_PEER, EINVAL, "%.64s is no file that a scenario may write",
			  file);
}

/* ---- make and remove ---- */

void kt_gcgroup_tell(kt_gcgroup_made *made, void *arg)
{
	teller = made;
	teller_arg = arg;
}

static void tell_made(const char *path)
{
	struct stat stat_of;

	if (teller && stat(path, &stat_of) == 0)
		teller(teller_arg, path + strlen(root) + 1, stat_of.st_ino);
}

int kt_gcgroup_make(const char *name, struct kt_err *err)
{
	char path[PATH_BYTES];
	char *end;

	if (!kt_gcgroup_name_ok(name))
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "%.100s is no cgroup name", name);
	path_of(name, "", path);
	end = path + strlen(root) + 1;
	do {
		char cut;

		end += strcspn(end, "/");
		cut = *end;
		*end = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return kt_err_sys(err, KT_FAULT_GUEST, errno, "making %s", path);
		tell_made(path);
		*end = cut;
	} while (*end++);
	return 0;
}

static int remove_folder(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	(void)info;
	(void)where;
	return kind == FTW_DP && rmdir(path) < 0 ? errno : 0;
}

int kt_gcgroup_remove(const char *name)
{
	char path[PATH_BYTES];
	int status;

	path_of(name, "", path);
	status = nftw(path, remove_folder, REMOVE_FDS, FTW_DEPTH | FTW_PHYS);
	return status < 0 ? -errno : -status;
}

void kt_gcgroup_kill(const char *name)
{
	char path[PATH_BYTES];

	kt_sysfile_write(path_of(name, "cgroup.kill", path), "1");
}

/* ---- CPUs ---- */

int kt_gcgroup_set_cpus(const char *name, const struct kt_cpuset *cpus, struct kt_err *err)
{
	char text[KT_CPUSET_TEXT_BYTES] = "";

	if (cpus)
		kt_cpuset_print(cpus, text);
	/* the kernel is not called for a write of nothing */
	return write_file(name, &cpuset_file, text[0] ? text : "\n", err);
}

static int read_cpus(const char *name, const char *file, struct kt_cpuset *cpus, struct kt_err *err)
{
	char path[PATH_BYTES];
	char line[LINE_BYTES];
	int status = kt_sysfile_read(path_of(name, file, path), line, sizeof(line));

	if (status == -ENOENT)
		return lack(name, &cpuset_file, err);
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "reading %s of %s", file, name);
	if (kt_cpuset_parse(line, cpus) < 0)
		return kt_err_set(err, KT_FAULT_GUEST, EINVAL, "%s of %s says '%.100s'", file, name,
				  line);
	return 0;
}

int kt_gcgroup_cpus(const char *name, struct kt_cpuset *cpus, struct kt_err *err)
{
	return read_cpus(name, CPUSET_CPUS, cpus, err);
}

int kt_gcgroup_effective_cpus(const char *name, struct kt_cpuset *cpus, struct kt_err *err)
{
	return read_cpus(name, CPUSET_CPUS ".effective", cpus, err);
}

/* ---- processes ---- */

static int move(const char *name, pid_t pid)
{
	char path[PATH_BYTES];
	char text[32];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return kt_sysfile_write(path_of(name, "cgroup.procs", path), text);
}

static int cannot_move(const char *name, int status, struct kt_err *err)
{
	if (status == -EBUSY || status == -EOPNOTSUPP)
		return kt_err_sys(err, KT_FAULT_GUEST, -status,
				  "%s cannot have processes of its own: cgroups below it have "
				  "controllers",
				  name);
	return kt_err_sys(err, KT_FAULT_GUEST, -status, "moving a process into %s", name);
}

int kt_gcgroup_move(const char *name, pid_t pid, struct kt_err *err)
{
	int status = move(name, pid);

	return status < 0 ? cannot_move(name, status, err) : 0;
}

/* How many were there to be moved; one that is gone by now is none. */
static int move_pass(FILE *processes, const char *to)
{
	int n = 0;
	int pid;

	while (fscanf(processes, "%d", &pid) == 1) {
		int status = move(to, pid);

		if (status < 0 && status != -ESRCH)
			return status;
		n += status == 0;
	}
	return n;
}

int kt_gcgroup_move_all(const char *from, const char *to, size_t *n, struct kt_err *err)
{
	char path[PATH_BYTES];

	path_of(from, "cgroup.procs", path);
	*n = 0;
	for (int pass = 0; pass < PASSES_MAX; pass++) {
		FILE *processes = fopen(path, "re");
		int status;

		if (!processes)
			return kt_err_sys(err, KT_FAULT_GUEST, errno, "opening %s", path);
		status = move_pass(processes, to);
		fclose(processes);
		if (status < 0)
			return cannot_move(to, status, err);
		if (status == 0)
			return 0;
		*n += (size_t)status;
	}
	return kt_err_set(err, KT_FAULT_GUEST, EBUSY,
			  "%s forks faster than its processes can be moved", from);
}

int kt_gcgroup_freeze(const char *name, bool freeze, struct kt_err *err)
{
	char path[PATH_BYTES];
	int status = kt_sysfile_write(path_of(name, "cgroup.freeze", path), freeze ? "1" : "0");

	if (status == -ENOENT)
		return kt_err_set(err, KT_FAULT_GUEST, ENOSYS, "this kernel cannot freeze cgroups");
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "writing cgroup.freeze of %s",
				  name);
	return 0;
}

int kt_gcgroup_is_frozen(const char *name, struct kt_err *err)
{
	char path[PATH_BYTES];
	char events[LINE_BYTES];
	int status = kt_sysfile_read(path_of(name, "cgroup.events", path), events, sizeof(events));

	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "reading cgroup.events of %s",
				  name);
	return strstr(events, "frozen 1") != NULL;
}

static uint64_t throttled_times(const char *name)
{
	char path[PATH_BYTES];
	char stat[LINE_BYTES];
	const char *row;

	if (kt_sysfile_read(path_of(name, "cpu.stat", path), stat, sizeof(stat)) < 0)
		return 0;
	row = strstr(stat, "nr_throttled ");
	return row ? strtoull(row + strlen("nr_throttled "), NULL, 10) : 0;
}

bool kt_gcgroup_throttled(const char *name, uint64_t *times)
{
	char above[KT_NAME_BYTES_MAX + 1];
	char path[PATH_BYTES];
	char limit[64];
	bool is_limited = false;

	*times = 0;
	snprintf(above, sizeof(above), "%s", name);
	while (above[0]) {
		char *slash = strrchr(above, '/');

		if (kt_sysfile_read(path_of(above, "cpu.max", path), limit, sizeof(limit)) >= 0 &&
		    strncmp(limit, "max", 3) != 0) {
			is_limited = true;
			*times += throttled_times(above);
		}
		*(slash ? slash : above) = 0;
	}
	return is_limited;
}
