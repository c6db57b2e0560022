#include "worker/guest/gcgroup.h"
#include "worker/guest/sysfile.h"

#include "proto/base/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES (sizeof(KT_GCGROUP_ROOT) + KT_NAME_BYTES_MAX + 64)

/* Controllers one by one: a kernel that lacks one still gets the others. */
static const char *const controllers[] = { "+cpu", "+cpuset", "+memory", "+pids", "+io" };

int kt_gcgroup_init(struct kt_err *err)
{
	static const char *const parents[] = { "/sys/fs/cgroup", KT_GCGROUP_ROOT };

	for (size_t p = 0; p < sizeof(parents) / sizeof(parents[0]); p++) {
		char path[PATH_BYTES];

		if (mkdir(parents[p], 0755) < 0 && errno != EEXIST)
			return kt_err_sys(err, KT_FAULT_GUEST, errno, "making %s", parents[p]);
		snprintf(path, sizeof(path), "%s/cgroup.subtree_control", parents[p]);
		for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
			kt_sysfile_write(path, controllers[i]);
	}
	return 0;
}

bool kt_gcgroup_name_ok(const char *name)
{
	return name[0] && strlen(name) <= KT_NAME_BYTES_MAX && !strchr(name, '/') &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void path_of(const char *name, const char *file, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, KT_GCGROUP_ROOT "/%s%s", name, file);
}

int kt_gcgroup_make(const char *name, struct kt_err *err)
{
	char path[PATH_BYTES];

	if (!kt_gcgroup_name_ok(name))
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "%.100s is no cgroup name", name);
	path_of(name, "", path);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "making %s", path);
	return 0;
}

int kt_gcgroup_move(const char *name, pid_t pid, struct kt_err *err)
{
	char path[PATH_BYTES];
	char text[32];
	int status;

	path_of(name, "/cgroup.procs", path);
	snprintf(text, sizeof(text), "%d", (int)pid);
	status = kt_sysfile_write(path, text);
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "moving %d into %s", (int)pid,
				  path);
	return 0;
}

int kt_gcgroup_remove(const char *name)
{
	char path[PATH_BYTES];

	if (!kt_gcgroup_name_ok(name))
		return -EINVAL;
	path_of(name, "", path);
	return rmdir(path) < 0 ? -errno : 0;
}
