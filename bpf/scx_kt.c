/* scx_kt.c - loads the fixture scheduler, serves its counters, and leaves when told.
 *
 * Debian 12's libbpf 1.1.2 knows .struct_ops without link only: the map itself is the registration.
 * So the scheduler survives a kill -9 of this program (SysRq-S ends it), and leaving cleanly means
 * deleting the map's one entry. It also knows no sleepable struct_ops, hence the flag set by hand.
 *
 * stdout: one JSON line with every counter and the cells of the map `stats`, as [entry][CPU], once nothing
 * counts any more. stderr: everything else.
 * Exit status: 0 when it was told to leave, 1 when the kernel threw it out, 2 for bad arguments.
 */
#include "bpf/scx_kt.h"
#include "bpf/scx_kt.skel.h"
#include "bpf/statsd.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#define POLL_MS               50 /* how late a reported exit or --exit-after may be noticed */
#define SCX_ECODE_ACT_RESTART (1ll << 48) /* kernel/sched/ext_internal.h */

/* ---- options ---- */

struct options {
	double stall_after_s;
	double starve_after_s;
	double crash_after_s;
	double exit_after_s;
	double die_after_s;
	double panic_after_s;
	double degrade_after_s;
	double linger_s;
	double watchdog_ms;
	bool slow;
	bool scattershot;
	bool fail_verify;
	bool fail_verify_late;
	bool fail_init;
	bool hang_at_load;
	bool help;
};

/* A knob with a maximum takes a number above 0, a double; one without is a bool. */
static const struct knob {
	const char *name;
	double max;
	size_t where; /* in struct options */
	const char *sentence;
} knobs[] = {
#define SECONDS(name_, member_) name_, 86400, offsetof(struct options, member_)
#define FLAG(name_, member_)    name_, 0, offsetof(struct options, member_)
	{ SECONDS("stall-after", stall_after_s), "after N seconds no user task is run any more" },
	{ SECONDS("starve-one", starve_after_s),
	  "after N seconds one user task, the next that comes, is not run any more" },
	{ SECONDS("crash-after", crash_after_s), "after N seconds call scx_bpf_error" },
	{ SECONDS("exit-after", exit_after_s),
	  "after N seconds leave, cleanly, without being asked" },
	{ SECONDS("die-after", die_after_s),
	  "after N seconds this program dies (SIGKILL) and leaves the scheduler behind" },
	{ SECONDS("panic-after", panic_after_s),
	  "after N seconds take the kernel down with it; only in a guest of ktcoord" },
	{ SECONDS("degrade-after", degrade_after_s),
	  "after N seconds every further second wastes more time per dispatch" },
	{ SECONDS("linger", linger_s),
	  "after leaving stay N seconds, so that the maps stay too; SIGTERM again ends it" },
	{ "watchdog-ms", 30000, offsetof(struct options, watchdog_ms),
	  "ops.timeout_ms; the kernel's own default without it" },
	{ FLAG("slow", slow), "waste time at every dispatch, run 1 ms slices" },
	{ FLAG("scattershot", scattershot), "put tasks on random CPUs" },
	{ FLAG("fail-verify", fail_verify), "be a program that the verifier refuses" },
	{ FLAG("fail-verify-late", fail_verify_late),
	  "the same behind a loop: the verifier's log is long" },
	{ FLAG("fail-init", fail_init), "ops.init returns an error" },
	{ FLAG("hang-at-load", hang_at_load), "never register the scheduler; sleep until SIGTERM" },
	{ FLAG("help", help), "this text" },
#undef SECONDS
#undef FLAG
};
#define N_KNOBS (sizeof(knobs) / sizeof(knobs[0]))

static void usage(FILE *to)
{
	fprintf(to, "usage: scx_kt [OPTION...]\n"
		    "A small sched_ext scheduler with counters, and faults on request.\n\n");
	for (size_t i = 0; i < N_KNOBS; i++)
		fprintf(to, "  --%-16s %s  %s\n", knobs[i].name, knobs[i].max > 0 ? "N" : " ",
			knobs[i].sentence);
}

static int set_knob(struct options *options, const struct knob *knob, const char *text)
{
	void *where = (uint8_t *)options + knob->where;
	double number;
	char *end;

	if (knob->max == 0) {
		*(bool *)where = true;
		return 0;
	}
	number = strtod(text, &end);
	if (end == text || *end || !(number > 0 && number <= knob->max)) {
		fprintf(stderr, "scx_kt: --%s: '%s' is not a number above 0 and up to %.0f\n",
			knob->name, text, knob->max);
		return -EINVAL;
	}
	*(double *)where = number;
	return 0;
}

/* 0 to go on, else the exit status plus 1 */
static int parse(int argc, char **argv, struct options *options)
{
	struct option longs[N_KNOBS + 1] = { 0 };
	int which;
	int index = 0;

	for (size_t i = 0; i < N_KNOBS; i++)
		longs[i] = (struct option){ knobs[i].name,
					    knobs[i].max > 0 ? required_argument : no_argument,
					    NULL, 0 };
	while ((which = getopt_long(argc, argv, "", longs, &index)) != -1)
		if (which == '?' || set_knob(options, &knobs[index], optarg) < 0)
			return 3;
	if (optind < argc) {
		fprintf(stderr, "scx_kt: what is '%s'? There are only options.\n", argv[optind]);
		return 3;
	}
	if (options->help) {
		usage(stdout);
		return 1;
	}
	return 0;
}

/* ---- the scheduler ---- */

static struct scx_kt *skel;
static struct bpf_link *link_of_ops;

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : vfprintf(stderr, format, args);
}

/* See KT_SCX_TIMEOUT_UNSET. *object is the caller's. */
static int copy_object(uint32_t timeout_ms, void **object, size_t *len)
{
	const uint32_t unset = KT_SCX_TIMEOUT_UNSET;
	const void *elf = scx_kt__elf_bytes(len);
	uint8_t *copy = kt_must_calloc(1, *len);
	uint8_t *at;

	*object = copy;
	memcpy(copy, elf, *len);
	at = memmem(copy, *len, &unset, sizeof(unset));
	if (!at || memmem(at + 1, *len - (size_t)(at + 1 - copy), &unset, sizeof(unset)))
		return -EINVAL;
	memcpy(at, &timeout_ms, sizeof(timeout_ms));
	return 0;
}

/* scx_kt__open() with the changed object in place of the built-in one. */
static int open_object(uint32_t timeout_ms)
{
	static void *object; /* libbpf may look at it until load is over */
	size_t len;
	int status = copy_object(timeout_ms, &object, &len);

	if (status < 0)
		return status;
	skel = kt_must_calloc(1, sizeof(*skel));
	status = scx_kt__create_skeleton(skel);
	if (status < 0)
		return status;
	skel->skeleton->data = object;
	return bpf_object__open_skeleton(skel->skeleton, NULL);
}

static int load(const struct options *options)
{
	int cpus = libbpf_num_possible_cpus();
	int status;

	status = open_object((uint32_t)options->watchdog_ms);
	if (status < 0)
		return status;
	skel->rodata->stall_after_ns = (uint64_t)(options->stall_after_s * 1e9);
	skel->rodata->starve_after_ns = (uint64_t)(options->starve_after_s * 1e9);
	skel->rodata->crash_after_ns = (uint64_t)(options->crash_after_s * 1e9);
	skel->rodata->degrade_after_ns = (uint64_t)(options->degrade_after_s * 1e9);
	skel->rodata->slow = options->slow;
	skel->rodata->scattershot = options->scattershot;
	skel->rodata->fail_verify = options->fail_verify;
	skel->rodata->fail_verify_late = options->fail_verify_late;
	skel->rodata->fail_init = options->fail_init;
	skel->rodata->loader_tgid = (uint32_t)getpid();
	skel->rodata->nr_cpus = cpus > 0 ? (uint32_t)cpus : 1;
	bpf_program__set_flags(skel->progs.kt_init, BPF_F_SLEEPABLE);
	status = scx_kt__load(skel);
	if (status < 0)
		return status;
	link_of_ops = bpf_map__attach_struct_ops(skel->maps.scx_kt);
	return link_of_ops ? 0 : -errno;
}

static uint64_t read_counter(size_t index)
{
	const uint64_t *const cells[] = {
#define X(name_, sentence_) (const uint64_t *)&skel->bss->name_,
		KT_SCX_COUNTERS(X)
#undef X
	};

	return __atomic_load_n(cells[index], __ATOMIC_RELAXED);
}

static const struct kt_statsd_counter counters[] = {
#define X(name_, sentence_) { #name_, sentence_, read_counter },
	KT_SCX_COUNTERS(X)
#undef X
};
#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))

static const struct kt_statsd_source source = { "scx_kt", counters, N_COUNTERS };

static bool has_exited(void)
{
	return __atomic_load_n(&skel->bss->exit_report.kind, __ATOMIC_ACQUIRE) != 0;
}

/* ---- the end ---- */

static int print_dump(void *arg, void *dump, size_t len)
{
	if (*(const char *)dump)
		fprintf(stderr, "scx_kt: dump:\n%.*s\n", (int)len, (const char *)dump);
	return 0;
}

static void print_exit(void)
{
	const struct kt_scx_exit *report = &skel->bss->exit_report;
	struct ring_buffer *ring;

	fprintf(stderr, "scx_kt: EXIT kind=%lld code=%lld reason=\"%s\" msg=\"%s\"\n",
		(long long)report->kind, (long long)report->code, report->reason, report->msg);
	ring = ring_buffer__new(bpf_map__fd(skel->maps.exit_dump), print_dump, NULL, NULL);
	if (ring) {
		ring_buffer__consume(ring);
		ring_buffer__free(ring);
	}
}

/* Deleting the entry waits in the kernel until the scheduler is off: nothing counts after it. */
static void unload(void)
{
	uint32_t zero = 0;

	if (bpf_map_delete_elem(bpf_map__fd(skel->maps.scx_kt), &zero) < 0 && !has_exited())
		fprintf(stderr, "scx_kt: detaching: %s\n", strerror(errno));
	bpf_link__disconnect(link_of_ops); /* the entry is gone already */
}

/* A CPU came or went, which we do not know how to cope with: the kernel asks to be loaded anew, as it asks others. */
static bool is_to_restart(void)
{
	return has_exited() && skel->bss->exit_report.code & SCX_ECODE_ACT_RESTART;
}

/* What the map's entries hold, in the order of the CPUs. */
static void print_stats(void)
{
	int cpus = libbpf_num_possible_cpus();
	KT_AUTO_FREE uint64_t *cells = kt_must_calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*cells));

	printf("\"stats\":[");
	for (uint32_t entry = 0; entry < KT_SCX_STATS_N; entry++) {
		printf("%s[", entry ? "," : "");
		if (cpus < 0 ||
		    bpf_map_lookup_elem(bpf_map__fd(skel->maps.stats), &entry, cells) < 0)
			fprintf(stderr, "scx_kt: stats: entry %u cannot be read\n", entry);
		else
			for (int cpu = 0; cpu < cpus; cpu++)
				printf("%s%" PRIu64, cpu ? "," : "", cells[cpu]);
		printf("]");
	}
	printf("]");
}

static void print_counters(void)
{
	printf("{");
	for (size_t i = 0; i < N_COUNTERS; i++)
		printf("\"%s\":%" PRIu64 ",", counters[i].name, read_counter(i));
	print_stats();
	printf("}\n");
	fflush(stdout);
}

static void wait_for_signal(int signals, int ms)
{
	struct pollfd fd = { .fd = signals, .events = POLLIN };

	poll(&fd, 1, ms);
}

/* For who reads the maps from outside: they live as long as we do. Whatever signal comes now is another one
 * than that which ended serve().
 */
static void linger(int signals, double seconds)
{
	wait_for_signal(signals, (int)(seconds * 1000));
}

/* Whoever tries this knob on a machine of their own must not lose it: PID 1 has to be ktguest, which is
 * /init of an initramfs and keeps programs below /kt.
 */
static void panic_the_guest(void)
{
	char init[16] = "";
	char self[16] = "";

	if (readlink("/proc/1/exe", init, sizeof(init) - 1) < 0 || strcmp(init, "/init") != 0 ||
	    readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 ||
	    strncmp(self, "/kt/", strlen("/kt/")) != 0) {
		fprintf(stderr, "scx_kt: --panic-after: this is no guest of ktcoord\n");
		return;
	}
	KT_AUTO_FD int trigger = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (trigger < 0 || write(trigger, "c", 1) != 1)
		fprintf(stderr, "scx_kt: /proc/sysrq-trigger: %s\n", strerror(errno));
}

static int64_t after_ns(double seconds)
{
	return seconds > 0 ? kt_clock_now_ns() + (int64_t)(seconds * 1e9) : INT64_MAX;
}

/* Returns when told to leave, when the time is up, or when the kernel threw the scheduler out. */
static void serve(int signals, struct kt_statsd *statsd, const struct options *options)
{
	int64_t end_ns = after_ns(options->exit_after_s);
	int64_t die_ns = after_ns(options->die_after_s);
	int64_t panic_ns = after_ns(options->panic_after_s);
	struct pollfd fds[2 + KT_STATSD_CLIENTS_MAX];
	struct signalfd_siginfo taken;
	size_t n;

	while (!has_exited() && kt_clock_now_ns() < end_ns) {
		fds[0] = (struct pollfd){ .fd = signals, .events = POLLIN };
		n = 1 + (statsd ? kt_statsd_fds(statsd, fds + 1) : 0);
		if (poll(fds, n, POLL_MS) > 0 && fds[0].revents &&
		    read(signals, &taken, sizeof(taken)) > 0)
			return;
		if (statsd)
			kt_statsd_serve(statsd);
		if (kt_clock_now_ns() >= die_ns)
			raise(SIGKILL);
		if (kt_clock_now_ns() >= panic_ns) {
			panic_the_guest();
			panic_ns = INT64_MAX;
		}
	}
}

int main(int argc, char **argv)
{
	KT_AUTO(kt_statsd_destroy) struct kt_statsd *statsd = NULL;
	KT_AUTO_FD int signals = -1;
	struct options options = { 0 };
	sigset_t mask;
	bool thrown_out;
	int status = parse(argc, argv, &options);

	if (status)
		return status - 1;
	/* before load: a SIGTERM in the middle of it must still end in a clean unload */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	libbpf_set_print(print_libbpf);
	/* before load too: who sees the scheduler enabled may ask at once and is served soon */
	status = kt_statsd_open(KT_STATSD_PATH, &source, &statsd);
	if (status < 0)
		fprintf(stderr, "scx_kt: no stats: %s: %s\n", KT_STATSD_PATH, strerror(-status));
	if (options.hang_at_load) {
		wait_for_signal(signals, -1);
		return 1;
	}
	do {
		if (skel)
			scx_kt__destroy(skel);
		status = load(&options);
		if (status < 0) {
			fprintf(stderr, "scx_kt: not loaded: %s\n", strerror(-status));
			return 1;
		}
		serve(signals, statsd, &options);
		thrown_out = has_exited();
		unload();
		if (has_exited())
			print_exit();
		print_counters();
	} while (thrown_out && is_to_restart());
	kt_statsd_destroy(&statsd); /* there is nothing more to be asked */
	linger(signals, options.linger_s);
	scx_kt__destroy(skel);
	return thrown_out ? 1 : 0;
}
