#include "worker/host.h"
#include "proto/base/own.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#define RESERVE_BYTES (256ull << 20)

uint64_t kt_host_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > 0 ? (uint64_t)n : 1;
}

static void close_file(FILE **file_p)
{
	if (*file_p)
		fclose(*file_p);
}

/* The text behind "key<blank>:<blank>" of the first such line. */
static void read_key(const char *path, const char *key, char *text, size_t size)
{
	KT_AUTO(close_file) FILE *file = fopen(path, "re");
	char line[4096]; /* flags of a CPU: 1.5 KB */

	text[0] = 0;
	while (file && fgets(line, sizeof(line), file)) {
		size_t len = strlen(key);
		char *at = line + len;

		if (strncmp(line, key, len) != 0)
			continue;
		at += strspn(at, " \t:");
		at[strcspn(at, "\n")] = 0;
		snprintf(text, size, "%s", at);
		return;
	}
}

static uint64_t read_limit(const char *path)
{
	KT_AUTO(close_file) FILE *file = fopen(path, "re");
	uint64_t bytes;

	/* "max" is no limit. */
	return file && fscanf(file, "%" SCNu64, &bytes) == 1 ? bytes : UINT64_MAX;
}

uint64_t kt_host_available_bytes(void)
{
	char text[64];

	read_key("/proc/meminfo", "MemAvailable", text, sizeof(text));
	return strtoull(text, NULL, 10) << 10;
}

uint64_t kt_host_mem_bytes(void)
{
	static const char *const limits[] = {
		"/sys/fs/cgroup/memory.max", /* v2, as a container sees its own */
		"/sys/fs/cgroup/memory/memory.limit_in_bytes", /* v1 */
	};
	uint64_t bytes = kt_host_available_bytes();

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		uint64_t limit = read_limit(limits[i]);

		if (limit < bytes)
			bytes = limit;
	}
	return bytes > 2 * RESERVE_BYTES ? bytes - RESERVE_BYTES : bytes / 2;
}

uint64_t kt_host_disk_bytes(const char *path)
{
	char part[4096];
	struct statvfs stat;

	snprintf(part, sizeof(part), "%s", path);
	while (statvfs(part, &stat) < 0) {
		char *slash = strrchr(part, '/');

		if (!slash || slash == part)
			return statvfs("/", &stat) < 0 ? 0 : stat.f_bavail * stat.f_frsize;
		*slash = 0;
	}
	return stat.f_bavail * stat.f_frsize;
}

void kt_host_identity(struct kt_buf *text)
{
	static const char *const keys[] = { "model name", "stepping", "microcode", "bogomips",
					    "flags" };
	struct utsname name;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char value[4096];

		read_key("/proc/cpuinfo", keys[i], value, sizeof(value));
		kt_buf_printf(text, "%s, ", value);
	}
	kt_buf_puts(text, uname(&name) == 0 ? name.release : "");
}

uint32_t kt_host_tsc_khz(void)
{
	char value[64];
	double bogomips;

	read_key("/proc/cpuinfo", "bogomips", value, sizeof(value));
	bogomips = strtod(value, NULL);
	return bogomips > 0 && bogomips < 40000 ? (uint32_t)(bogomips * 500) : 0;
}

void kt_host_cpu_model(char *text, size_t size)
{
	read_key("/proc/cpuinfo", "model name", text, size);
}

void kt_host_name(char *text, size_t size)
{
	struct utsname name;

	snprintf(text, size, "%s", uname(&name) == 0 ? name.nodename : "");
}

void kt_host_program(const char *name, char *path, size_t size)
{
	const char *at = getenv("PATH");

	if (strchr(name, '/')) {
		snprintf(path, size, "%s", access(name, X_OK) == 0 ? name : "");
		return;
	}
	for (at = at ? at : "/usr/bin:/bin"; *at;) {
		size_t len = strcspn(at, ":");

		snprintf(path, size, "%.*s/%s", (int)len, at, name);
		if (len > 0 && access(path, X_OK) == 0)
			return;
		at += len + (at[len] == ':');
	}
	path[0] = 0;
}

void kt_host_sibling(const char *name, char *path, size_t size)
{
	char self[2048];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	path[0] = 0;
	if (len <= 0)
		return;
	self[len] = 0;
	slash = strrchr(self, '/');
	if (slash)
		snprintf(path, size, "%.*s/%s", (int)(slash - self), self, name);
}
