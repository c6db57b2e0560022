#include "worker/vcputime.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARED "ALL CPUs/TCG"

struct kt_vcputime {
	size_t n_vcpus;
	bool shared;
	int *fds; /* of each vCPU's schedstat; only the first when they share */
};

/* The vCPU that a thread of this name runs; 0 for the one that runs all; -1: none. */
static int vcpu_of(const char *comm, bool *shared)
{
	int cpu;
	int end = 0;

	*shared = strncmp(comm, SHARED, strlen(SHARED)) == 0;
	if (*shared)
		return 0;
	return sscanf(comm, "CPU %d/KVM%n", &cpu, &end) == 1 && end ? cpu : -1;
}

static bool read_file(int dir_fd, const char *thread, const char *file, char *text, size_t size)
{
	char path[300];
	int fd;
	ssize_t got;

	snprintf(path, sizeof(path), "%s/%s", thread, file);
	fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, size - 1);
	close(fd);
	text[got > 0 ? got : 0] = 0;
	return got > 0;
}

static void take_thread(struct kt_vcputime *vcputime, int dir_fd, const char *thread)
{
	char comm[64];
	char path[300];
	bool shared;
	int cpu;

	if (!read_file(dir_fd, thread, "comm", comm, sizeof(comm)))
		return;
	cpu = vcpu_of(comm, &shared);
	if (cpu < 0 || (size_t)cpu >= vcputime->n_vcpus || vcputime->fds[cpu] >= 0)
		return;
	snprintf(path, sizeof(path), "%s/schedstat", thread);
	vcputime->fds[cpu] = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	vcputime->shared |= shared;
}

static bool read_one(int fd, int64_t *ran_ns)
{
	char text[128];
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

	if (got <= 0)
		return false;
	text[got] = 0;
	*ran_ns = strtoll(text, NULL, 10);
	return true;
}

struct kt_vcputime *kt_vcputime_open(pid_t pid, size_t n_vcpus)
{
	KT_AUTO(kt_vcputime_destroy)
	struct kt_vcputime *vcputime = kt_must_calloc(1, sizeof(*vcputime));
	KT_AUTO_FREE int64_t *ran_ns = kt_must_calloc(n_vcpus, sizeof(*ran_ns));
	char path[64];
	struct dirent *entry;
	DIR *dir;

	vcputime->n_vcpus = n_vcpus;
	vcputime->fds = kt_must_calloc(n_vcpus, sizeof(*vcputime->fds));
	for (size_t i = 0; i < n_vcpus; i++)
		vcputime->fds[i] = -1;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return NULL;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			take_thread(vcputime, dirfd(dir), entry->d_name);
	closedir(dir);
	return kt_vcputime_read(vcputime, ran_ns) ? kt_take(&vcputime) : NULL;
}

void kt_vcputime_destroy(struct kt_vcputime **vcputime_p)
{
	struct kt_vcputime *vcputime = kt_take(vcputime_p);

	if (!vcputime)
		return;
	for (size_t i = 0; i < vcputime->n_vcpus; i++)
		if (vcputime->fds[i] >= 0)
			close(vcputime->fds[i]);
	free(vcputime->fds);
	free(vcputime);
}

bool kt_vcputime_is_shared(const struct kt_vcputime *vcputime)
{
	return vcputime->shared;
}

bool kt_vcputime_read(struct kt_vcputime *vcputime, int64_t *ran_ns)
{
	for (size_t i = 0; i < vcputime->n_vcpus; i++) {
		if (vcputime->shared && i > 0)
			ran_ns[i] = ran_ns[0];
		else if (!read_one(vcputime->fds[i], &ran_ns[i]))
			return false;
	}
	return true;
}
