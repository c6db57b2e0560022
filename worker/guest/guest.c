#include "worker/guest/guest.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/gchannel.h"
#include "worker/guest/gdump.h"
#include "worker/guest/gentropy.h"
#include "worker/guest/gfiles.h"
#include "worker/guest/gmachine.h"
#include "worker/guest/grqlat.h"
#include "worker/guest/gscenario.h"
#include "worker/guest/gsched.h"
#include "worker/guest/gshell.h"
#include "worker/guest/gstall.h"
#include "worker/guest/gstats.h"
#include "worker/guest/gtime.h"
#include "worker/guest/logtail.h"
#include "worker/guest/sysfile.h"

#include "proto/base/must.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT_WAIT_NS       (20 * KT_NS_PER_S) /* for the port to appear: drivers probe late */
#define PORT_LOOK_NS       (1 * KT_NS_PER_MS)
#define HOST_WAIT_NS       (120 * KT_NS_PER_S) /* without a host: then there is nobody to work for */
/* When workers were slow to stop, the scheduler may just have been thrown out: that frees them before
 * the kernel says a word about it. So the good news waits for the bad to show itself.
 */
#define STOP_SLOW_NS       (200 * KT_NS_PER_MS)
#define SETTLE_NS          (2 * KT_NS_PER_S)
#define SCX_STREAM         "scheduler"
/* What the host takes whole (worker/hearing.c): it puts it into a result. */
#define FINISHED_BYTES_MAX (480u << 10)
/* Of a stall that only we saw. */
#define DUMP_BYTES_MAX     (96u << 10)
#define OUTPUT_BYTES_MAX   (32u << 10)
#define OTHER_FDS          7 /* that are polled beside the shell's */
#define RUN_FDS            2 /* the last of these: what the scenario has to do */

struct guest {
	struct kt_gchannel channel;
	struct kt_kmsg kmsg;
	struct kt_gfiles files;
	struct kt_gsched sched;
	struct kt_gstats stats;
	struct kt_gscenario scenario;
	struct kt_gstall stall;
	struct kt_grqlat rqlat;
	struct kt_gshell shell;
	bool has_job; /* more than prepare was asked for: a new host may not take over in the middle */
	bool is_running; /* a run was asked for and neither finished nor failed was said */
	int64_t finish_at_ns; /* when to say finished; 0 while the scenario goes on */
	int64_t elapsed_ns; /* of the scenario that ended */
	int64_t request_ns; /* when the request under way came */
};

/* ---- answers ---- */

static void done(struct guest *guest, const char *what)
{
	kt_gchannel_send(&guest->channel, KT_TAG_guest_done,
			 &(struct kt_msg_guest_done){
				 .what = what,
				 .took_ns = kt_gtime_now_ns() - guest->request_ns,
			 });
}

static void failed(struct guest *guest, const char *what, enum kt_cause_id cause, const char *line,
		   const char *evidence)
{
	kt_gchannel_send(&guest->channel, KT_TAG_guest_failed,
			 &(struct kt_msg_guest_failed){
				 .what = what,
				 .cause = kt_cause(cause)->name,
				 .line = line,
				 .evidence = evidence,
			 });
}

static void run_failed(struct guest *guest, enum kt_cause_id cause, const char *line,
		       const char *evidence)
{
	kt_gscenario_abort(&guest->scenario);
	kt_gstall_end(&guest->stall);
	kt_grqlat_stop(&guest->rqlat);
	guest->is_running = false;
	guest->finish_at_ns = 0;
	failed(guest, "run", cause, line, evidence);
}

/* For trouble that the scheduler did not tell of itself: the kernel may know more. */
static void run_failed_kmsg(struct guest *guest, enum kt_cause_id cause, const char *line)
{
	KT_AUTO_BUF evidence = { 0 };

	kt_logtail_collapse(&guest->kmsg.tail, KT_LOGTAIL_BYTES_MAX, &evidence);
	run_failed(guest, cause, line, kt_buf_text(&evidence));
}

static void failed_err(struct guest *guest, const char *what, const struct kt_err *err)
{
	enum kt_cause_id cause = KT_CAUSE_ID_host_trouble;

	if (err->fault == KT_FAULT_PEER)
		cause = KT_CAUSE_ID_protocol;
	else if (err->code == ENOMEM || err->code == ENOSPC)
		cause = KT_CAUSE_ID_guest_oom;
	failed(guest, what, cause, err->text, "");
}

static void send_stats(void *arg, const struct kt_msg_guest_stats_answer *answer)
{
	struct guest *guest = arg;

	kt_gchannel_send(&guest->channel, KT_TAG_guest_stats_answer, answer);
}

static void send_any(void *arg, uint32_t tag, const void *message)
{
	struct guest *guest = arg;

	kt_gchannel_send(&guest->channel, tag, message);
}

static void send_output(void *arg, const void *bytes, size_t len)
{
	struct guest *guest = arg;

	kt_gchannel_log(&guest->channel, SCX_STREAM, bytes, len);
}

static void send_printed(void *arg, uint64_t stream, const void *bytes, size_t len)
{
	struct guest *guest = arg;

	kt_gchannel_send(&guest->channel, KT_TAG_guest_printed,
			 &(struct kt_msg_guest_printed){ .stream = stream,
							 .body = { bytes, len } });
}

static void send_took(void *arg, size_t bytes)
{
	struct guest *guest = arg;

	kt_gchannel_send(&guest->channel, KT_TAG_guest_took,
			 &(struct kt_msg_guest_took){ .bytes = bytes });
}

static void send_shell_ended(void *arg, int wait_status)
{
	struct guest *guest = arg;
	struct kt_msg_guest_shell_ended ended = { 0 };

	if (WIFSIGNALED(wait_status))
		ended.signal = (uint64_t)WTERMSIG(wait_status);
	else
		ended.status = (uint64_t)WEXITSTATUS(wait_status);
	kt_gchannel_send(&guest->channel, KT_TAG_guest_shell_ended, &ended);
}

static void announce(struct guest *guest)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_guest_ready ready = {
		.version = KT_GUEST_PROTOCOL_VERSION,
		.cpus = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN),
		.sched_ext = kt_gsched_is_supported(),
	};
	struct utsname names;
	struct sysinfo info;
	struct kt_err err = { 0 };

	uname(&names);
	sysinfo(&info);
	ready.kernel_release = names.release;
	ready.mem_bytes = (uint64_t)info.totalram * info.mem_unit;
	if (kt_gmachine_look(KT_GMACHINE_ROOT, &arena, &ready, &err) < 0)
		failed_err(guest, "prepare", &err);
	else
		kt_gchannel_send(&guest->channel, KT_TAG_guest_ready, &ready);
}

/* ---- requests ---- */

/* Comes once for a guest that was booted; for one from a template when it was restored, and again when its
 * job comes.
 */
static void on_prepare(struct guest *guest, const void *message)
{
	const struct kt_msg_guest_prepare *prepare = message;
	struct timespec wall = { .tv_sec = prepare->wall_ns / KT_NS_PER_S,
				 .tv_nsec = prepare->wall_ns % KT_NS_PER_S };
	struct kt_err err = { 0 };

	if (kt_gentropy_add(KT_GENTROPY_DEVICE, &prepare->entropy, &err) < 0) {
		failed_err(guest, "prepare", &err);
		return;
	}
	if (clock_settime(CLOCK_REALTIME, &wall) < 0) {
		kt_err_sys(&err, KT_FAULT_GUEST, errno, "setting the wall clock");
		failed_err(guest, "prepare", &err);
		return;
	}
	done(guest, "prepare");
}

static void after_file(struct guest *guest, int status, const struct kt_err *err)
{
	if (status < 0)
		failed_err(guest, "file", err);
	else if (status == 1)
		done(guest, "file");
}

static void on_file(struct guest *guest, const void *message)
{
	struct kt_err err = { 0 };

	after_file(guest, kt_gfiles_begin(&guest->files, message, &err), &err);
}

static void on_data(struct guest *guest, const void *message)
{
	const struct kt_msg_guest_data *data = message;
	struct kt_err err = { 0 };

	after_file(guest, kt_gfiles_data(&guest->files, &data->body, &err), &err);
}

static void after_sched(struct guest *guest, enum kt_gsched_event event)
{
	const struct kt_gsched_failure *failure = &guest->sched.failure;
	const char *evidence = kt_buf_text(&failure->evidence);
	int64_t now_ns = kt_gtime_now_ns();

	if (event == KT_GSCHED_LOADED || event == KT_GSCHED_RELOADED)
		kt_gstats_expect(&guest->stats, now_ns);
	if (kt_gscenario_take(&guest->scenario, event, now_ns))
		return;
	switch (event) {
	case KT_GSCHED_NOTHING:
	case KT_GSCHED_RELOADED:
		return;
	case KT_GSCHED_LOADED:
		done(guest, "load");
		return;
	case KT_GSCHED_REFUSED:
		failed(guest, "load", failure->cause, failure->line, evidence);
		return;
	case KT_GSCHED_LOST:
		/* between load and run nobody asked: said when run or shell comes */
		if (guest->is_running)
			run_failed(guest, failure->cause, failure->line, evidence);
		else if (guest->shell.state != KT_GSHELL_IDLE)
			failed(guest, "scheduler", failure->cause, failure->line, evidence);
		return;
	case KT_GSCHED_UNLOADED:
		done(guest, "unload");
		return;
	case KT_GSCHED_FORCED:
		failed(guest, "unload", failure->cause, failure->line, evidence);
		return;
	}
}

static void on_load(struct guest *guest, const void *message)
{
	if (guest->sched.state != KT_GSCHED_IDLE) {
		failed(guest, "load", KT_CAUSE_ID_protocol,
		       "a scheduler is there already: unload it", "");
		return;
	}
	after_sched(guest, kt_gsched_load(&guest->sched, message));
}

static void begin_run(struct guest *guest, const struct kt_msg_scenario *scenario)
{
	guest->is_running = true;
	kt_gstall_begin(&guest->stall, scenario);
}

static void name_cgroup(void *arg, const char *name, uint64_t id)
{
	struct guest *guest = arg;

	char outer[KT_NAME_BYTES_MAX + 1];

	/* a payload's waits are those of the cgroup that it runs in */
	snprintf(outer, sizeof(outer), "%.*s", (int)kt_gpayload_cgroup_len(name), name);
	kt_grqlat_name(&guest->rqlat, id, outer);
}

static bool may_begin(void *arg)
{
	const struct guest *guest = arg;

	return kt_grqlat_is_settled(&guest->rqlat);
}

static void on_run(struct guest *guest, const void *message)
{
	const struct kt_msg_guest_run *run = message;
	struct kt_err err = { 0 };

	if (guest->sched.state == KT_GSCHED_BROKEN) {
		failed(guest, "run", guest->sched.failure.cause, guest->sched.failure.line,
		       kt_buf_text(&guest->sched.failure.evidence));
		return;
	}
	if (guest->is_running || guest->shell.state != KT_GSHELL_IDLE ||
	    (guest->sched.state != KT_GSCHED_IDLE && guest->sched.state != KT_GSCHED_ENABLED)) {
		failed(guest, "run", KT_CAUSE_ID_protocol, "not now: something else is under way",
		       "");
		return;
	}
	if (run->scenario->runqueue_latency)
		kt_grqlat_start(&guest->rqlat, KT_GRQLAT_PROGRAM, kt_gtime_now_ns());
	if (kt_gscenario_start(&guest->scenario, run, guest->sched.state == KT_GSCHED_ENABLED,
			       &err) < 0)
		failed_err(guest, "run", &err);
	else
		begin_run(guest, run->scenario);
}

static void on_stats(struct guest *guest, const void *message)
{
	const struct kt_msg_guest_stats *request = message;

	if (!guest->sched.pid || guest->sched.has_ended) {
		send_stats(guest, &(struct kt_msg_guest_stats_answer){
					  .id = request->id,
					  .error = "no_scheduler",
					  .text = "no scheduler's program is running",
				  });
		return;
	}
	kt_gstats_ask(&guest->stats, request, kt_gtime_now_ns(), send_stats, guest);
}

/* A scheduler that was lost or refused keeps nobody from looking at what is left. */
static void on_shell(struct guest *guest, const void *message)
{
	const struct kt_msg_guest_shell *shell = message;
	const struct kt_gsched_failure *failure = &guest->sched.failure;
	struct kt_err err = { 0 };

	if (guest->is_running || guest->shell.state != KT_GSHELL_IDLE) {
		failed(guest, "shell", KT_CAUSE_ID_protocol, "not now: something else is under way",
		       "");
		return;
	}
	if (kt_gshell_start(&guest->shell, shell->shell, &err) < 0) {
		failed_err(guest, "shell", &err);
		return;
	}
	done(guest, "shell");
	if (guest->sched.state == KT_GSCHED_BROKEN)
		failed(guest, "scheduler", failure->cause, failure->line,
		       kt_buf_text(&failure->evidence));
}

static void on_typed(struct guest *guest, const void *message)
{
	struct kt_err err = { 0 };

	if (kt_gshell_typed(&guest->shell, message, &err) < 0)
		failed_err(guest, "shell", &err);
}

static void on_window(struct guest *guest, const void *message)
{
	const struct kt_msg_guest_window *window = message;

	kt_gshell_window(&guest->shell, window->rows, window->cols);
}

static void on_showed(struct guest *guest, const void *message)
{
	const struct kt_msg_guest_showed *showed = message;

	kt_gshell_showed(&guest->shell, showed->bytes);
}

static void unload_scheduler(void *arg, int64_t deadline_ns)
{
	struct guest *guest = arg;

	kt_gstats_close(&guest->stats, "no_scheduler", "the scheduler is being unloaded",
			send_stats, guest);
	kt_gsched_unload(&guest->sched, deadline_ns);
	unlink(KT_GSTATS_PATH); /* one that is killed leaves it; the next must not be met at it */
}

static void on_unload(struct guest *guest, const void *message)
{
	const struct kt_msg_guest_unload *unload = message;

	kt_gscenario_abort(&guest->scenario);
	kt_gstall_end(&guest->stall);
	kt_grqlat_stop(&guest->rqlat);
	guest->is_running = false;
	guest->finish_at_ns = 0;
	if (guest->sched.state == KT_GSCHED_IDLE)
		done(guest, "unload");
	else
		unload_scheduler(guest, unload->deadline_ns);
}

static void on_seen(struct guest *guest, const void *message)
{
	const struct kt_msg_guest_seen *seen = message;

	kt_gscenario_seen(&guest->scenario, seen->id);
}

static const struct request {
	uint32_t tag;
	bool goes_between; /* the rest of a file, a question: no request begins with it */
	void (*serve)(struct guest *guest, const void *message);
} requests[] = {
	{ KT_TAG_guest_prepare, false, on_prepare }, { KT_TAG_guest_file, false, on_file },
	{ KT_TAG_guest_data, true, on_data },        { KT_TAG_guest_load, false, on_load },
	{ KT_TAG_guest_run, false, on_run },         { KT_TAG_guest_stats, true, on_stats },
	{ KT_TAG_guest_unload, false, on_unload },   { KT_TAG_guest_shell, false, on_shell },
	{ KT_TAG_guest_typed, true, on_typed },      { KT_TAG_guest_window, true, on_window },
	{ KT_TAG_guest_showed, true, on_showed },    { KT_TAG_guest_seen, true, on_seen },
};

static int serve(struct guest *guest, const struct kt_message *message, const void *body,
		 struct kt_err *err)
{
	if (message->tag != KT_TAG_guest_prepare)
		guest->has_job = true;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].tag != message->tag)
			continue;
		if (!requests[i].goes_between)
			guest->request_ns = kt_gtime_now_ns();
		requests[i].serve(guest, body);
		return 0;
	}
	return kt_err_set(err, KT_FAULT_PEER, EPROTO, "%s is not for the guest",
			  message->schema->name);
}

static int serve_all(struct guest *guest, struct kt_err *err)
{
	const struct kt_message *message;
	void *body;
	int status;

	while ((status = kt_gchannel_next(&guest->channel, &message, &body, err)) != 0) {
		if (status > 0)
			status = serve(guest, message, body, err);
		if (status < 0)
			return status;
	}
	return 0;
}

/* ---- what happens by itself ---- */

static void reap(struct guest *guest, int signal_fd)
{
	struct signalfd_siginfo info;
	int wait_status;
	pid_t pid;

	while (read(signal_fd, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		kt_gsched_reaped(&guest->sched, pid, wait_status);
		kt_gscenario_reaped(&guest->scenario, pid, wait_status);
		kt_gshell_reaped(&guest->shell, pid, wait_status);
		kt_grqlat_reaped(&guest->rqlat, pid, wait_status);
	}
}

/* A frame has a limit, and a loop can have started thousands of workers: the last ones' reports are left out. */
static void make_fit(struct guest *guest, struct kt_msg_guest_finished *finished)
{
	size_t n = finished->n_reports;
	size_t bytes;
	char text[128];

	while (finished->n_reports > 0 &&
	       (bytes = kt_codec_frame_bytes(&kt_schema_guest, KT_TAG_guest_finished, finished)) >
		       FINISHED_BYTES_MAX)
		finished->n_reports =
			finished->n_reports * (FINISHED_BYTES_MAX / 1024) / (bytes / 1024 + 1);
	if (finished->n_reports == n)
		return;
	snprintf(text, sizeof(text),
		 "reports of the first %zu of %zu workers are kept: together they "
		 "are too large",
		 finished->n_reports, n);
	kt_gchannel_send(&guest->channel, KT_TAG_guest_event,
			 &(struct kt_msg_guest_event){
				 .elapsed_ns = guest->elapsed_ns, .kind = "worker", .text = text });
}

static void finish_run(struct guest *guest)
{
	struct kt_gstage *stage = &guest->scenario.stage;
	struct kt_msg_guest_finished finished = {
		.elapsed_ns = guest->elapsed_ns,
		.reports = stage->reports,
		.n_reports = stage->n_reports,
		.payloads = stage->payload_reports,
		.n_payloads = stage->n_payload_reports,
		.latencies = guest->rqlat.reports,
		.n_latencies = guest->rqlat.n_reports,
	};
	char note[sizeof(guest->rqlat.why) + 64];
	char line[sizeof(guest->kmsg.oom) + 64];

	if (stage->n_missing && guest->kmsg.oom[0]) {
		snprintf(line, sizeof(line), "the guest's kernel killed a worker: %s",
			 guest->kmsg.oom);
		run_failed_kmsg(guest, KT_CAUSE_ID_guest_oom, line);
		return;
	}
	kt_gstall_end(&guest->stall);
	guest->is_running = false;
	guest->finish_at_ns = 0;
	finished.n_wakes = kt_gwakes_report(&stage->wakes, stage->arena, &finished.wakes);
	if (guest->rqlat.state == KT_GRQLAT_FAILED) {
		snprintf(note, sizeof(note), "run queue latency was not measured: %s",
			 guest->rqlat.why);
		finished.note = note;
	}
	make_fit(guest, &finished);
	kt_gchannel_send(&guest->channel, KT_TAG_guest_finished, &finished);
	kt_grqlat_stop(&guest->rqlat);
}

static void prepare_finish(struct guest *guest, int64_t now_ns)
{
	kt_grqlat_end(&guest->rqlat, now_ns);
	guest->elapsed_ns = now_ns - guest->scenario.anchor_ns;
	guest->finish_at_ns = now_ns; /* at once, but after one more look at the scheduler */
	if (guest->sched.state != KT_GSCHED_IDLE) {
		kt_gsched_look(&guest->sched);
		if (guest->scenario.stage.stop_took_ns_max > STOP_SLOW_NS)
			guest->finish_at_ns = now_ns + SETTLE_NS;
	}
}

/* The verdict is ours, so the kernel has written no dump: it is asked for one. */
static void look_for_stall(struct guest *guest, int64_t now_ns)
{
	bool is_kernels_own =
		guest->sched.state == KT_GSCHED_IDLE || guest->sched.state == KT_GSCHED_LOADING;
	KT_AUTO_BUF evidence = { 0 };

	if (!kt_gstall_step(&guest->stall, &guest->scenario.stage, is_kernels_own, now_ns))
		return;
	kt_buf_append(&evidence, guest->stall.evidence.data, guest->stall.evidence.len);
	kt_buf_puts(&evidence, "--- dump of sched_ext\n");
	kt_gdump_take(DUMP_BYTES_MAX, &evidence);
	kt_gsched_put_evidence(&guest->sched, OUTPUT_BYTES_MAX, &evidence);
	run_failed(guest, guest->stall.cause, guest->stall.line, kt_buf_text(&evidence));
}

static void step_scenario(struct guest *guest, int64_t now_ns)
{
	struct kt_gscenario *scenario = &guest->scenario;
	enum kt_gscenario_event event;

	while ((event = kt_gscenario_step(scenario, now_ns)) != KT_GSCENARIO_NOTHING) {
		if (event == KT_GSCENARIO_FINISHED)
			prepare_finish(guest, now_ns);
		else if (scenario->evidence)
			run_failed(guest, scenario->cause, scenario->line, scenario->evidence);
		else
			run_failed_kmsg(guest, scenario->cause, scenario->line);
	}
}

/* It left, and whether it comes back or why it does not is not known yet: the scenario waits for that. */
static bool scheduler_is_unclear(const struct guest *guest)
{
	return guest->sched.state == KT_GSCHED_ENABLED && guest->sched.broken_ns;
}

/* The scheduler first: a scenario that ends in the same round as its scheduler has lost it. */
static void step(struct guest *guest, int64_t now_ns)
{
	kt_kmsg_read(&guest->kmsg);
	kt_gsched_read(&guest->sched, send_output, guest);
	after_sched(guest, kt_gsched_step(&guest->sched, now_ns));
	if (guest->sched.has_ended)
		kt_gstats_close(&guest->stats, "no_scheduler", "the scheduler's program ended",
				send_stats, guest);
	else
		kt_gstats_step(&guest->stats, now_ns, send_stats, guest);
	kt_gshell_step(&guest->shell, now_ns);
	/* Whatever else waits: nobody else empties the pipes of payloads. */
	kt_gstage_step(&guest->scenario.stage, now_ns);
	if (scheduler_is_unclear(guest))
		return;
	kt_grqlat_step(&guest->rqlat, now_ns);
	if (guest->finish_at_ns && now_ns >= guest->finish_at_ns &&
	    kt_grqlat_is_over(&guest->rqlat))
		finish_run(guest);
	look_for_stall(guest, now_ns);
	step_scenario(guest, now_ns);
	if (guest->scenario.anchor_ns >= 0)
		kt_grqlat_count(&guest->rqlat);
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

/* What the scenario has to do. While it waits for the scheduler that only gets later: to look at it without pause
 * would take a CPU from the scheduler's program, which ktguest goes before.
 */
static int64_t run_due_ns(const struct guest *guest, int64_t now_ns)
{
	int64_t due_ns = earlier(kt_gscenario_due_ns(&guest->scenario, now_ns),
				 kt_gstall_due_ns(&guest->stall));

	if (scheduler_is_unclear(guest))
		return INT64_MAX;
	due_ns = earlier(due_ns, kt_grqlat_due_ns(&guest->rqlat));
	if (guest->finish_at_ns && kt_grqlat_is_over(&guest->rqlat))
		due_ns = earlier(due_ns, guest->finish_at_ns);
	return due_ns;
}

static int wait_ms(struct guest *guest, int64_t now_ns)
{
	int64_t due_ns = earlier(kt_gsched_due_ns(&guest->sched, now_ns),
				 earlier(kt_gstats_due_ns(&guest->stats, now_ns),
					 run_due_ns(guest, now_ns)));

	due_ns = earlier(due_ns, kt_gshell_due_ns(&guest->shell, now_ns));
	/* the host's coming and going is told by no event */
	due_ns = earlier(due_ns, now_ns + (guest->channel.is_connected ? 10 * KT_GCHANNEL_LOOK_NS
								       : KT_GCHANNEL_LOOK_NS));
	return due_ns <= now_ns ? 0 : (int)((due_ns - now_ns + KT_NS_PER_MS - 1) / KT_NS_PER_MS);
}

static void wait_for_something(struct guest *guest, int signal_fd, int64_t now_ns)
{
	struct pollfd fds[OTHER_FDS + KT_GSHELL_FDS] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = guest->kmsg.fd, .events = POLLIN },
		{ .fd = guest->sched.output_fd, .events = POLLIN },
		kt_gchannel_fd(&guest->channel),
		kt_gstats_fd(&guest->stats),
		kt_gscenario_fd(&guest->scenario),
		{ .fd = guest->rqlat.out_fd, .events = POLLIN },
	};

	/* nobody reads them now */
	for (size_t i = OTHER_FDS - RUN_FDS; i < OTHER_FDS && scheduler_is_unclear(guest); i++)
		fds[i].fd = -1;
	kt_gshell_fds(&guest->shell, fds + OTHER_FDS);
	poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms(guest, now_ns));
}

/* ---- begin and end ---- */

static enum kt_gsched_event load_scheduler(void *arg, const struct kt_msg_guest_load *load)
{
	struct guest *guest = arg;

	return kt_gsched_load(&guest->sched, load);
}

static int open_port(struct guest *guest, struct kt_err *err)
{
	int64_t until_ns = kt_gtime_now_ns() + PORT_WAIT_NS;
	int status;

	while ((status = kt_gchannel_open(&guest->channel, KT_GCHANNEL_PORT, err)) == -ENOENT &&
	       kt_gtime_now_ns() < until_ns)
		usleep(PORT_LOOK_NS / KT_NS_PER_US);
	return status;
}

int kt_guest_serve(int signal_fd, struct kt_err *err)
{
	static struct guest guest; /* one per machine; too large for comfort on the stack */
	const struct kt_gshell_events shell_events = { send_printed, send_took, send_shell_ended,
						       &guest };
	const struct kt_gscenario_calls calls = { send_any, load_scheduler,       unload_scheduler,
						  &guest,   &guest.sched.failure, may_begin };
	int64_t host_seen_ns;
	int64_t now_ns;
	int status;

	guest.files.fd = -1;
	status = kt_kmsg_open(&guest.kmsg, err);
	if (status == 0)
		status = open_port(&guest, err);
	if (status == 0)
		status = kt_gcgroup_init(KT_GCGROUP_ROOT, err);
	if (status < 0)
		return status;
	kt_kmsg_restart(&guest.kmsg);
	kt_gsched_init(&guest.sched, &guest.kmsg);
	kt_gstats_init(&guest.stats, KT_GSTATS_PATH);
	kt_gscenario_init(&guest.scenario, &calls);
	kt_grqlat_init(&guest.rqlat);
	kt_gcgroup_tell(name_cgroup, &guest);
	kt_gshell_init(&guest.shell, &shell_events);
	host_seen_ns = kt_gtime_now_ns();
	for (;;) {
		now_ns = kt_gtime_now_ns();
		if (kt_gchannel_look(&guest.channel)) {
			if (guest.has_job)
				return kt_err_set(err, KT_FAULT_HOST, EPIPE,
						  "another host came in the middle of a job");
			announce(&guest);
		}
		if (guest.channel.is_connected)
			host_seen_ns = now_ns;
		if (now_ns - host_seen_ns > HOST_WAIT_NS)
			return kt_err_set(err, KT_FAULT_HOST, ETIMEDOUT, "no host for %lld s",
					  HOST_WAIT_NS / KT_NS_PER_S);
		kt_gchannel_fill(&guest.channel);
		status = serve_all(&guest, err);
		if (status < 0)
			return status;
		step(&guest, kt_gtime_now_ns());
		status = kt_gchannel_flush(&guest.channel, err);
		if (status < 0)
			return status;
		wait_for_something(&guest, signal_fd, kt_gtime_now_ns());
		reap(&guest, signal_fd);
	}
}
