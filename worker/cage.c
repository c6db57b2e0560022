#include "worker/cage.h"
#include "proto/base/must.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_PREFIX "ktcoord-"
#define CPU_PERIOD  100000 /* us */

enum resource { MEMORY, PIDS, CPU, N_RESOURCES };

/* What is written where; %s of `value` is the limit in decimal. */
static const struct {
	const char *controller;
	const char *v1_file;
	const char *v2_file;
} resources[] = {
	[MEMORY] = { "memory", "memory.limit_in_bytes", "memory.max" },
	[PIDS] = { "pids", "pids.max", "pids.max" },
	[CPU] = { "cpu", "cpu.cfs_quota_us", "cpu.max" },
};

struct hierarchy {
	char own[PATH_MAX]; /* the cgroup we are in */
	bool v2;
	bool has[N_RESOURCES]; /* v1: mounted here; v2: enabled for children */
};

struct kt_cage {
	char folders[N_RESOURCES + 1][PATH_MAX]; /* that exist */
	bool v2[N_RESOURCES + 1];
	size_t n_folders;
	char described[128];
};

static int write_file(const char *folder, const char *file, const char *text)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", folder, file) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

static void read_file(const char *folder, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t n = -1;
	int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", folder, file) < (int)sizeof(path))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = 0;
}

/* True when word is one of the words of list, which sep separates. */
static bool lists(const char *list, const char *word, const char *sep)
{
	size_t len = strlen(word);

	for (const char *at = list; *at; at += strspn(at, sep)) {
		size_t n = strcspn(at, sep);

		if (n == len && memcmp(at, word, len) == 0)
			return true;
		at += n;
	}
	return false;
}

/* Where a hierarchy is mounted, from /proc/self/mounts: of type cgroup2, or cgroup with the option. */
static bool find_mount(const char *type, const char *option, char *mount, size_t size)
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[PATH_MAX];
	bool found = false;

	while (mounts && !found && fgets(line, sizeof(line), mounts)) {
		char *save = NULL;
		char *where;
		char *kind;
		char *flags;

		strtok_r(line, " ", &save);
		where = strtok_r(NULL, " ", &save);
		kind = strtok_r(NULL, " ", &save);
		flags = strtok_r(NULL, " ", &save);
		found = where && kind && flags && strcmp(kind, type) == 0 &&
			(!option || lists(flags, option, ",\n"));
		if (found)
			snprintf(mount, size, "%s", where);
	}
	if (mounts)
		fclose(mounts);
	return found;
}

/* Our own path in it, from /proc/self/cgroup: "4:memory:/a/b"; "0::/a/b" for v2 (option NULL). */
static bool find_own_path(const char *option, char *path, size_t size)
{
	FILE *cgroups = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX];
	bool found = false;

	while (cgroups && !found && fgets(line, sizeof(line), cgroups)) {
		char *controllers = strchr(line, ':');
		char *at = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!at)
			continue;
		*at++ = 0;
		found = option ? lists(controllers + 1, option, ",") : controllers[1] == 0;
		at[strcspn(at, "\n")] = 0;
		if (found)
			snprintf(path, size, "%s", strcmp(at, "/") == 0 ? "" : at);
	}
	if (cgroups)
		fclose(cgroups);
	return found;
}

static bool find_hierarchy(const char *option, struct hierarchy *hierarchy)
{
	char mount[PATH_MAX / 2];
	char path[PATH_MAX / 2];

	if (!find_mount(option ? "cgroup" : "cgroup2", option, mount, sizeof(mount)) ||
	    !find_own_path(option, path, sizeof(path)))
		return false;
	snprintf(hierarchy->own, sizeof(hierarchy->own), "%s%s", mount, path);
	hierarchy->v2 = !option;
	return access(hierarchy->own, W_OK) == 0;
}

/* Asks for each controller by itself: one that is refused does not take the others with it. A cgroup
 * with processes in it cannot give controllers to children unless it is the root (EBUSY): a unit with
 * Delegate=yes whose service moved itself one folder down can.
 */
static void enable_children(struct hierarchy *v2)
{
	char enabled[256];
	char word[32];

	for (int i = 0; i < N_RESOURCES; i++) {
		snprintf(word, sizeof(word), "+%s", resources[i].controller);
		write_file(v2->own, "cgroup.subtree_control", word);
	}
	read_file(v2->own, "cgroup.subtree_control", enabled, sizeof(enabled));
	for (int i = 0; i < N_RESOURCES; i++)
		v2->has[i] = lists(enabled, resources[i].controller, " \n");
}

static void limit_text(int resource, bool v2, const struct kt_cage_limits *limits, char *text,
		       size_t size)
{
	unsigned long long value = resource == MEMORY ? limits->memory_bytes_max
				   : resource == PIDS ? limits->pids_max
						      : limits->cpus_max * CPU_PERIOD;

	if (resource == CPU && v2)
		snprintf(text, size, "%llu %d", value, CPU_PERIOD);
	else
		snprintf(text, size, "%llu", value);
}

/* Makes our folder in the hierarchy and limits what can be limited there. */
static void add_folder(struct kt_cage *cage, const struct hierarchy *hierarchy,
		       const struct kt_cage_limits *limits, bool limited[N_RESOURCES])
{
	char *folder = cage->folders[cage->n_folders];
	char text[64];

	if (snprintf(folder, PATH_MAX, "%s/" NAME_PREFIX "%d", hierarchy->own, (int)getpid()) >=
		    PATH_MAX ||
	    (mkdir(folder, 0755) < 0 && errno != EEXIST))
		return;
	cage->v2[cage->n_folders++] = hierarchy->v2;
	for (int i = 0; i < N_RESOURCES; i++) {
		const char *file = hierarchy->v2 ? resources[i].v2_file : resources[i].v1_file;

		if (!hierarchy->has[i] || limited[i])
			continue;
		limit_text(i, hierarchy->v2, limits, text, sizeof(text));
		limited[i] = write_file(folder, file, text) == 0;
	}
}

static void describe(struct kt_cage *cage, const bool limited[N_RESOURCES], struct kt_buf *notes)
{
	bool v2 = cage->n_folders > 0 && cage->v2[0];
	bool v1 = cage->n_folders > 0 && !cage->v2[cage->n_folders - 1];
	const char *kind = v1 && v2 ? "hybrid" : v2 ? "v2" : v1 ? "v1" : "none";
	size_t len;

	len = (size_t)snprintf(cage->described, sizeof(cage->described), "%s:", kind);
	for (int i = 0; i < N_RESOURCES; i++) {
		if (limited[i])
			len += (size_t)snprintf(cage->described + len,
						sizeof(cage->described) - len, " %s",
						resources[i].controller);
		else
			kt_buf_printf(notes,
				      "no %s limit for QEMU: no cgroup that we may write (%s)\n",
				      resources[i].controller, kind);
	}
}

struct kt_cage *kt_cage_create(const struct kt_cage_limits *limits, struct kt_buf *notes)
{
	struct kt_cage *cage = kt_must_calloc(1, sizeof(*cage));
	bool limited[N_RESOURCES] = { false };
	struct hierarchy v2 = { .own = "" };

	if (find_hierarchy(NULL, &v2)) {
		enable_children(&v2);
		add_folder(cage, &v2, limits, limited);
	}
	for (int i = 0; i < N_RESOURCES; i++) {
		struct hierarchy v1 = { .own = "" };

		v1.has[i] = true;
		if (!limited[i] && find_hierarchy(resources[i].controller, &v1))
			add_folder(cage, &v1, limits, limited);
	}
	describe(cage, limited, notes);
	return cage;
}

void kt_cage_join(struct kt_cage *cage, pid_t pid, struct kt_buf *notes)
{
	char text[16];
	int rc;

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < cage->n_folders; i++) {
		rc = write_file(cage->folders[i], "cgroup.procs", text);
		if (rc < 0)
			kt_buf_printf(notes, "QEMU could not be put into %s: %s\n",
				      cage->folders[i], strerror(-rc));
	}
}

bool kt_cage_saw_oom(const struct kt_cage *cage)
{
	char text[512];

	for (size_t i = 0; i < cage->n_folders; i++) {
		const char *at;

		read_file(cage->folders[i], cage->v2[i] ? "memory.events" : "memory.oom_control",
			  text, sizeof(text));
		at = strstr(text, "oom_kill ");
		if (at && at[strlen("oom_kill ")] != '0')
			return true;
	}
	return false;
}

const char *kt_cage_describe(const struct kt_cage *cage)
{
	return cage->described;
}

void kt_cage_destroy(struct kt_cage **cage_p)
{
	struct kt_cage *cage = *cage_p;

	for (size_t i = 0; cage && i < cage->n_folders; i++)
		rmdir(cage->folders[i]);
	free(cage);
	*cage_p = NULL;
}

static void sweep_hierarchy(const struct hierarchy *hierarchy)
{
	DIR *dir = opendir(hierarchy->own);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int pid;

		if (sscanf(entry->d_name, NAME_PREFIX "%d", &pid) != 1)
			continue;
		/* Its maker may live and not have filled it yet. */
		if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH)
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

void kt_cage_sweep(void)
{
	struct hierarchy hierarchy;

	if (find_hierarchy(NULL, &hierarchy))
		sweep_hierarchy(&hierarchy);
	for (int i = 0; i < N_RESOURCES; i++)
		if (find_hierarchy(resources[i].controller, &hierarchy))
			sweep_hierarchy(&hierarchy);
}
