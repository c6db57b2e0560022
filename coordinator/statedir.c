#include "coordinator/statedir.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define SUFFIX        ".sweep"
#define LOCK_TRIES    5
#define LOCK_PAUSE_US 10000

static int make_path(char *dir, struct kt_err *err)
{
	for (char *slash = strchr(dir + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = 0;
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", dir);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

int kt_statedir_find(const char *given, char dir[PATH_MAX], struct kt_err *err)
{
	const char *from_env = getenv("KTCOORD_STATE");
	const char *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	char wanted[PATH_MAX];
	char sub[PATH_MAX + 16];
	int status;

	if (given || (from_env && *from_env))
		snprintf(wanted, sizeof(wanted), "%s", given ? given : from_env);
	else if (xdg && *xdg)
		snprintf(wanted, sizeof(wanted), "%s/ktcoord", xdg);
	else
		snprintf(wanted, sizeof(wanted), "%s/.local/state/ktcoord", home ? home : "/root");
	status = make_path(wanted, err);
	if (status < 0)
		return status;
	if (!realpath(wanted, dir))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "%s", wanted);
	snprintf(sub, sizeof(sub), "%s/sweeps", dir);
	if (mkdir(sub, 0755) < 0 && errno != EEXIST)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", sub);
	return 0;
}

/* Of an open lock that somebody else holds. */
static void read_holder(int lock, char *who, size_t size)
{
	ssize_t n = pread(lock, who, size - 1, 0);

	who[n > 0 ? n : 0] = 0;
	who[strcspn(who, "\n")] = 0;
}

bool kt_statedir_holder(const char *dir, char *who, size_t size)
{
	char path[PATH_MAX + 8];
	KT_AUTO_FD int lock = -1;

	snprintf(path, sizeof(path), "%s/lock", dir);
	lock = open(path, O_RDONLY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_SH | LOCK_NB) == 0)
		return false;
	read_holder(lock, who, size);
	return true;
}

int kt_statedir_note(int fd, const char *what, struct kt_err *err)
{
	char line[256];
	int len = snprintf(line, sizeof(line), "pid %d, %.200s\n", (int)getpid(), what);

	if (pwrite(fd, line, (size_t)len, 0) != len || ftruncate(fd, len) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "writing who works here");
	return 0;
}

/* Whoever only looks (kt_statedir_holder) has it for a moment. */
static int take_lock(int lock)
{
	int status = -1;

	for (int i = 0; i < LOCK_TRIES && status < 0; i++) {
		status = flock(lock, LOCK_EX | LOCK_NB);
		if (status < 0)
			usleep(LOCK_PAUSE_US);
	}
	return status;
}

int kt_statedir_lock(const char *dir, const char *what, int *fd, struct kt_err *err)
{
	char path[PATH_MAX + 8];
	char who[256] = "";
	KT_AUTO_FD int lock = -1;

	snprintf(path, sizeof(path), "%s/lock", dir);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (lock < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "%s", path);
	if (take_lock(lock) < 0) {
		read_holder(lock, who, sizeof(who));
		return kt_err_set(err, KT_FAULT_INPUT, EBUSY,
				  "another ktcoord works in %s (%s): wait for it, or use another "
				  "folder with --state",
				  dir, who);
	}
	if (kt_statedir_note(lock, what, err) < 0)
		return kt_err_wrap(err, "%s", path);
	*fd = kt_own_take_fd(&lock);
	return 0;
}

void kt_statedir_new_sweep(const char *dir, const char *name, char *id, size_t id_max,
			   char path[PATH_MAX])
{
	time_t now = time(NULL);
	char stamp[32];
	struct tm tm;
	int again = 1;

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	do {
		if (again == 1)
			snprintf(id, id_max, "%.90s-%s", name, stamp);
		else
			snprintf(id, id_max, "%.90s-%s-%d", name, stamp, again);
		snprintf(path, PATH_MAX, "%s/sweeps/%s" SUFFIX, dir, id);
		again++;
	} while (access(path, F_OK) == 0);
}

static bool has_suffix(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(SUFFIX) && strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0;
}

int kt_statedir_find_sweep(const char *dir, const char *given, char path[PATH_MAX],
			   struct kt_err *err)
{
	char folder[PATH_MAX + 8];
	struct dirent *entry;
	int64_t newest_ns = 0;
	size_t hits = 0;
	bool last = strcmp(given, "last") == 0;
	DIR *sweeps;

	if (strchr(given, '/') || has_suffix(given)) {
		snprintf(path, PATH_MAX, "%s", given);
		return 0;
	}
	snprintf(folder, sizeof(folder), "%s/sweeps", dir);
	sweeps = opendir(folder);
	if (!sweeps)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "%s", folder);
	while ((entry = readdir(sweeps))) {
		char one[PATH_MAX];
		struct stat st;
		int64_t changed_ns;
		bool exact;

		if (!has_suffix(entry->d_name) ||
		    (!last && strncmp(entry->d_name, given, strlen(given)) != 0))
			continue;
		exact = !last && strlen(entry->d_name) == strlen(given) + strlen(SUFFIX);
		if (snprintf(one, sizeof(one), "%s/%s", folder, entry->d_name) >= PATH_MAX ||
		    stat(one, &st) < 0)
			continue;
		hits++;
		changed_ns = (int64_t)st.st_mtim.tv_sec * KT_NS_PER_S + st.st_mtim.tv_nsec;
		if (exact || !last || changed_ns >= newest_ns)
			snprintf(path, PATH_MAX, "%s", one);
		newest_ns = changed_ns > newest_ns ? changed_ns : newest_ns;
		if (exact) {
			hits = 1;
			break;
		}
	}
	closedir(sweeps);
	if (!hits && access(given, R_OK) == 0) { /* written there with --out */
		snprintf(path, PATH_MAX, "%s", given);
		return 0;
	}
	if (!hits)
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
				  "no sweep '%s' in %s; `ktcoord sweeps` lists them", given,
				  folder);
	if (hits > 1 && !last)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%zu sweeps begin with '%s'; `ktcoord sweeps` lists them", hits,
				  given);
	return 0;
}
