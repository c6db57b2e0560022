/* rqlat.c - kt_rqlat: loads the run queue probe into a guest, tells what it counted.
 *
 * ktguest starts it and speaks to it:
 *
 *	stdout  "ready\n"          the probe is attached and counts nothing
 *	stdin   "b"                count from here on
 *	stdin   its end            stdout gets one line per cgroup, "ID TOTAL SUM_NS I:COUNT I:COUNT ...", bucket I
 *	                           being below 2^I ns; exit status 0
 *
 * stderr: why the kernel does not let it in; exit status 1 then.
 */
#include "bpf/rqlat.h"
#include "bpf/rqlat.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : vfprintf(stderr, format, args);
}

static void print_hist(uint64_t id, const struct kt_rqlat_hist *hist)
{
	printf("%" PRIu64 " %llu %llu", id, (unsigned long long)hist->total,
	       (unsigned long long)hist->sum_ns);
	for (int i = 0; i < KT_RQLAT_BUCKETS; i++)
		if (hist->buckets[i])
			printf(" %d:%llu", i, (unsigned long long)hist->buckets[i]);
	printf("\n");
}

static void print_all(int fd)
{
	struct kt_rqlat_hist hist;
	uint64_t id;
	uint64_t *before = NULL;

	while (bpf_map_get_next_key(fd, before, &id) == 0) {
		if (bpf_map_lookup_elem(fd, &id, &hist) == 0)
			print_hist(id, &hist);
		before = &id;
	}
}

/* So that what does not fit has a place. */
static int make_others(int fd)
{
	const struct kt_rqlat_hist empty = { 0 };
	uint64_t others = 0;

	return bpf_map_update_elem(fd, &others, &empty, BPF_ANY);
}

int main(void)
{
	struct rqlat *skel;
	char byte;
	int status;

	libbpf_set_print(print_libbpf);
	skel = rqlat__open_and_load();
	status = skel ? rqlat__attach(skel) : -errno;
	if (status == 0)
		status = make_others(bpf_map__fd(skel->maps.hists));
	if (status < 0) {
		fprintf(stderr, "kt_rqlat: %s\n", strerror(-status));
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) == 1)
		__atomic_store_n(&skel->bss->counts, byte == 'b', __ATOMIC_RELEASE);
	__atomic_store_n(&skel->bss->counts, 0, __ATOMIC_RELEASE);
	print_all(bpf_map__fd(skel->maps.hists));
	rqlat__destroy(skel);
	return 0;
}
