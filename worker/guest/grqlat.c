#include "worker/guest/grqlat.h"

#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRIORITY    40 /* SCHED_FIFO; ktguest has 50 */
#define BUCKETS_MAX 64 /* latency_report.buckets */
#define LINE_MAX    4096

void kt_grqlat_init(struct kt_grqlat *grqlat)
{
	*grqlat = (struct kt_grqlat){ .in_fd = -1, .out_fd = -1 };
}

void kt_grqlat_stop(struct kt_grqlat *grqlat)
{
	if (grqlat->pid)
		kill(grqlat->pid, SIGKILL);
	kt_own_close(&grqlat->in_fd);
	kt_own_close(&grqlat->out_fd);
	kt_buf_destroy(&grqlat->line);
	kt_arena_destroy(&grqlat->arena);
	kt_grqlat_init(grqlat);
}

static void fail(struct kt_grqlat *grqlat, const char *why)
{
	if (grqlat->state == KT_GRQLAT_OVER || grqlat->state == KT_GRQLAT_FAILED)
		return;
	grqlat->state = KT_GRQLAT_FAILED;
	if (!grqlat->why[0])
		snprintf(grqlat->why, sizeof(grqlat->why), "%s", why);
	if (grqlat->pid)
		kill(grqlat->pid, SIGKILL);
	kt_own_close(&grqlat->in_fd);
	kt_own_close(&grqlat->out_fd);
}

/* ---- its program ---- */

__attribute__((noreturn)) static void become(const char *program, int in_fd, int out_fd)
{
	static char *const environment[] = { NULL };
	char *const argv[] = { (char *)program, NULL };
	struct sched_param param = { .sched_priority = PRIORITY };
	sigset_t none;

	sched_setscheduler(0, SCHED_FIFO, &param);
	dup2(in_fd, STDIN_FILENO);
	dup2(out_fd, STDOUT_FILENO);
	dup2(out_fd, STDERR_FILENO);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(program, argv, environment);
	dprintf(STDERR_FILENO, "%s: %s\n", program, strerror(errno));
	_exit(127);
}

static int start_program(struct kt_grqlat *grqlat, const char *program)
{
	int in[2];
	int out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return -errno;
	}
	grqlat->pid = fork();
	if (grqlat->pid == 0)
		become(program, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	grqlat->in_fd = in[1];
	grqlat->out_fd = out[0];
	fcntl(grqlat->out_fd, F_SETFL, O_NONBLOCK);
	if (grqlat->pid > 0)
		return 0;
	grqlat->pid = 0;
	return -EAGAIN;
}

void kt_grqlat_start(struct kt_grqlat *grqlat, const char *program, int64_t now_ns)
{
	int status;

	kt_grqlat_stop(grqlat);
	grqlat->state = KT_GRQLAT_STARTING;
	grqlat->due_ns = now_ns + KT_GRQLAT_START_NS;
	grqlat->names = kt_arena_alloc(&grqlat->arena, KT_GRQLAT_NAMES_MAX, sizeof(*grqlat->names));
	grqlat->reports = kt_arena_alloc(&grqlat->arena, KT_CGROUPS_MAX, sizeof(*grqlat->reports));
	status = start_program(grqlat, program);
	if (status < 0)
		fail(grqlat, strerror(-status));
}

void kt_grqlat_count(struct kt_grqlat *grqlat)
{
	if (grqlat->state != KT_GRQLAT_READY)
		return;
	grqlat->state = KT_GRQLAT_COUNTING;
	if (write(grqlat->in_fd, "b", 1) != 1)
		fail(grqlat, "the probe's program is gone");
}

void kt_grqlat_end(struct kt_grqlat *grqlat, int64_t now_ns)
{
	if (grqlat->state == KT_GRQLAT_STARTING)
		fail(grqlat, "the scenario ended before the probe was there");
	if (grqlat->state != KT_GRQLAT_READY && grqlat->state != KT_GRQLAT_COUNTING)
		return;
	grqlat->state = KT_GRQLAT_ENDING;
	grqlat->due_ns = now_ns + KT_GRQLAT_END_NS;
	kt_own_close(&grqlat->in_fd);
}

bool kt_grqlat_is_settled(const struct kt_grqlat *grqlat)
{
	return grqlat->state != KT_GRQLAT_STARTING;
}

bool kt_grqlat_is_over(const struct kt_grqlat *grqlat)
{
	return grqlat->state == KT_GRQLAT_OFF || grqlat->state == KT_GRQLAT_OVER ||
	       grqlat->state == KT_GRQLAT_FAILED;
}

/* ---- what it counted ---- */

void kt_grqlat_name(struct kt_grqlat *grqlat, uint64_t id, const char *name)
{
	if (!grqlat->names || !id || grqlat->n_names == KT_GRQLAT_NAMES_MAX)
		return;
	grqlat->names[grqlat->n_names++] =
		(struct kt_grqlat_name){ id, kt_arena_strdup(&grqlat->arena, name) };
}

static const char *name_of(const struct kt_grqlat *grqlat, uint64_t id)
{
	for (size_t i = grqlat->n_names; i > 0; i--) /* an inode may be used again */
		if (grqlat->names[i - 1].id == id)
			return grqlat->names[i - 1].name;
	return "";
}

bool kt_grqlat_parse(const char *line, uint64_t *id, struct kt_msg_latency_report *report)
{
	uint64_t sum_ns;
	int at;

	report->n_buckets = 0;
	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 "%n", id, &report->total, &sum_ns,
		   &at) != 3)
		return false;
	report->sum_ns = sum_ns < INT64_MAX ? (int64_t)sum_ns : INT64_MAX;
	for (line += at; *line; line += at) {
		struct kt_msg_bucket *bucket = &report->buckets[report->n_buckets];
		unsigned int i;

		if (report->n_buckets == BUCKETS_MAX ||
		    sscanf(line, " %u:%" SCNu64 "%n", &i, &bucket->count, &at) != 2 || i > 62)
			return false;
		bucket->below_ns = 1ll << i;
		report->n_buckets++;
	}
	return true;
}

/* Adds up: a cgroup of that name may have been made more than once. Buckets stay in order. */
static void add_bucket(struct kt_msg_latency_report *to, const struct kt_msg_bucket *bucket)
{
	size_t i = 0;

	while (i < to->n_buckets && to->buckets[i].below_ns < bucket->below_ns)
		i++;
	if (i == to->n_buckets || to->buckets[i].below_ns != bucket->below_ns) {
		memmove(&to->buckets[i + 1], &to->buckets[i],
			(to->n_buckets - i) * sizeof(*bucket));
		to->buckets[i] = (struct kt_msg_bucket){ .below_ns = bucket->below_ns };
		to->n_buckets++;
	}
	to->buckets[i].count += bucket->count;
}

/* The report of that name; a new one stands where its name sorts it. NULL when there are too many. */
static struct kt_msg_latency_report *report_of(struct kt_grqlat *grqlat, const char *name)
{
	struct kt_msg_latency_report *reports = grqlat->reports;
	size_t i = 0;

	while (i < grqlat->n_reports && strcmp(reports[i].cgroup, name) < 0)
		i++;
	if (i < grqlat->n_reports && strcmp(reports[i].cgroup, name) == 0)
		return &reports[i];
	if (grqlat->n_reports == KT_CGROUPS_MAX)
		return *name ? report_of(grqlat, "") : NULL;
	memmove(&reports[i + 1], &reports[i], (grqlat->n_reports - i) * sizeof(*reports));
	grqlat->n_reports++;
	reports[i] = (struct kt_msg_latency_report){
		.cgroup = name,
		.buckets = kt_arena_alloc(&grqlat->arena, BUCKETS_MAX + 1,
					  sizeof(struct kt_msg_bucket)),
	};
	return &reports[i];
}

static void take_counts(struct kt_grqlat *grqlat, const char *line)
{
	struct kt_msg_bucket buckets[BUCKETS_MAX + 1];
	struct kt_msg_latency_report counts = { .buckets = buckets };
	struct kt_msg_latency_report *report;
	uint64_t id;

	if (!kt_grqlat_parse(line, &id, &counts)) {
		snprintf(grqlat->why, sizeof(grqlat->why), "%s", line);
		return;
	}
	if (!counts.total)
		return;
	report = report_of(grqlat, name_of(grqlat, id));
	if (!report)
		return;
	report->total += counts.total;
	report->sum_ns += counts.sum_ns;
	for (size_t i = 0; i < counts.n_buckets; i++)
		add_bucket(report, &counts.buckets[i]);
}

/* ---- what it says ---- */

/* Whatever it complained of before was no obstacle. */
static void be_ready(struct kt_grqlat *grqlat)
{
	grqlat->state = KT_GRQLAT_READY;
	grqlat->why[0] = 0;
}

static void take_line(struct kt_grqlat *grqlat, const char *line)
{
	if (grqlat->state == KT_GRQLAT_ENDING)
		take_counts(grqlat, line);
	else if (grqlat->state == KT_GRQLAT_STARTING && strcmp(line, "ready") == 0)
		be_ready(grqlat);
	else if (!grqlat->why[0]) /* the first thing that libbpf says is the best of it */
		snprintf(grqlat->why, sizeof(grqlat->why), "%s", line);
}

static void take_lines(struct kt_grqlat *grqlat)
{
	uint8_t *newline;

	while (grqlat->line.len && (newline = memchr(grqlat->line.data, '\n', grqlat->line.len))) {
		*newline = 0;
		take_line(grqlat, (const char *)grqlat->line.data);
		kt_buf_consume(&grqlat->line, (size_t)(newline + 1 - grqlat->line.data));
	}
	if (grqlat->line.len > LINE_MAX)
		kt_buf_reset(&grqlat->line);
}

static void read_output(struct kt_grqlat *grqlat)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(grqlat->out_fd, piece, sizeof(piece))) > 0) {
		kt_buf_append(&grqlat->line, piece, (size_t)n);
		take_lines(grqlat);
	}
	if (n < 0)
		return;
	kt_own_close(&grqlat->out_fd);
	if (grqlat->state == KT_GRQLAT_ENDING && !grqlat->why[0])
		grqlat->state = KT_GRQLAT_OVER;
	else
		fail(grqlat, "the probe's program ended by itself");
}

void kt_grqlat_reaped(struct kt_grqlat *grqlat, pid_t pid, int wait_status)
{
	if (grqlat->pid && pid == grqlat->pid)
		grqlat->pid = 0;
}

void kt_grqlat_step(struct kt_grqlat *grqlat, int64_t now_ns)
{
	if (grqlat->out_fd >= 0)
		read_output(grqlat);
	if (now_ns >= kt_grqlat_due_ns(grqlat))
		fail(grqlat, grqlat->state == KT_GRQLAT_STARTING
				     ? "the probe was not there in time"
				     : "the probe did not tell what it counted in time");
}

int64_t kt_grqlat_due_ns(const struct kt_grqlat *grqlat)
{
	bool waits = grqlat->state == KT_GRQLAT_STARTING || grqlat->state == KT_GRQLAT_ENDING;

	return waits ? grqlat->due_ns : INT64_MAX;
}
