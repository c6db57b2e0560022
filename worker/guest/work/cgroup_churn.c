#include "worker/guest/gwork.h"
#include "worker/guest/sysfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 1024

struct churn {
	char own[PATH_BYTES]; /* its folder below the cgroup2 mount */
	int n_made;
	int now; /* 0: its own; else one of those that it made */
};

/* A line is "cgroup2 /sys/fs/cgroup cgroup2 rw,... 0 0". */
static int find_mount(char path[PATH_BYTES])
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[4096];
	char type[64];
	int status = -ENOENT;

	if (!mounts)
		return -errno;
	while (status < 0 && fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%*s %1023s %63s", path, type) == 2 &&
		    strcmp(type, "cgroup2") == 0)
			status = 0;
	fclose(mounts);
	return status;
}

/* "0::/kt/cg_0" is the line of cgroup2; there may be others, of cgroup1, before it. */
static int find_own(struct churn *churn)
{
	char text[4096];
	const char *line;
	size_t len;
	int status = find_mount(churn->own);

	if (status < 0)
		return status;
	status = kt_sysfile_read("/proc/self/cgroup", text, sizeof(text));
	if (status < 0)
		return status;
	line = strstr(text, "0::/");
	if (!line)
		return -ENOENT;
	line += strlen("0::");
	len = strlen(churn->own);
	snprintf(churn->own + len, sizeof(churn->own) - len, "%.*s", (int)strcspn(line, "\n"),
		 line);
	return 0;
}

static void path_of(const struct churn *churn, int place, const char *file, char path[PATH_BYTES])
{
	if (place == 0)
		snprintf(path, PATH_BYTES, "%.900s%s", churn->own, file);
	else
		snprintf(path, PATH_BYTES, "%.900s/churn_%d_%d%s", churn->own, (int)getpid(), place,
			 file);
}

static int begin(struct kt_gself *self, struct kt_err *err)
{
	struct churn *churn = self->state;
	char path[PATH_BYTES];
	int status = find_own(churn);

	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "finding its cgroup");
	while (churn->n_made < self->params[KT_WORK_PARAM_cgroup_churn_cgroups]) {
		path_of(churn, churn->n_made + 1, "", path);
		if (mkdir(path, 0755) < 0)
			return kt_err_sys(err, KT_FAULT_GUEST, errno, "making %s", path);
		churn->n_made++;
	}
	return 0;
}

static bool move_to(const struct churn *churn, int place)
{
	char path[PATH_BYTES];

	path_of(churn, place, "/cgroup.procs", path);
	return kt_sysfile_write(path, "0") == 0; /* 0: whoever writes it */
}

static uint64_t round_of(struct kt_gself *self)
{
	struct churn *churn = self->state;
	int next = (churn->now + 1) % (churn->n_made + 1);

	if (!move_to(churn, next)) {
		kt_gself_sleep(self, KT_NS_PER_MS);
		return 0;
	}
	churn->now = next;
	kt_gself_run(self, self->params[KT_WORK_PARAM_cgroup_churn_run]);
	return 1;
}

static void end(struct kt_gself *self)
{
	const struct churn *churn = self->state;
	char path[PATH_BYTES];

	if (churn->now)
		move_to(churn, 0);
	for (int i = 1; i <= churn->n_made; i++) {
		path_of(churn, i, "", path);
		rmdir(path);
	}
}

const struct kt_gwork kt_cgroup_churn_work = {
	.state_bytes = sizeof(struct churn),
	.begin = begin,
	.round = round_of,
	.end = end,
};
