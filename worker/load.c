#include "worker/load.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/attempt.h"
#include "worker/introspect/introspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB           (1u << 20)
#define PROBE         "kt_rqlat"
#define ENTROPY_BYTES 32 /* as much as the guest's generator holds: 256 bits */

static void end_by_silence(struct kt_attempt *attempt, const char *what, int64_t allowed_ns)
{
	kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_guest_lost,
				   "the guest did not %s in %lld s", what,
				   (long long)kt_attempt_seconds(allowed_ns));
}

static bool send_pieces(struct kt_attempt *attempt, int fd, uint64_t bytes, int64_t deadline_ns)
{
	KT_AUTO_FREE uint8_t *piece = kt_must_calloc(1, KT_CHUNK_BYTES_MAX);

	while (bytes > 0) {
		struct kt_msg_guest_data data = { .body = { piece, 0 } };
		size_t want = bytes < KT_CHUNK_BYTES_MAX ? (size_t)bytes : KT_CHUNK_BYTES_MAX;
		ssize_t n = read(fd, piece, want);

		if (n <= 0) {
			kt_attempt_end_with_advice(
				attempt, KT_CAUSE_ID_artifact_corrupt,
				"a file of the job is shorter than it should be");
			return false;
		}
		data.body.len = (size_t)n;
		if (!kt_attempt_tell_guest(attempt, KT_TAG_guest_data, &data, deadline_ns))
			return false;
		bytes -= (uint64_t)n;
	}
	return true;
}

/* What the guest has by now, by where it has it. */
struct sent {
	const struct kt_msg_file **files;
	size_t n;
};

static const struct kt_msg_file *find_sent(const struct sent *sent, const char *path)
{
	for (size_t i = 0; i < sent->n; i++)
		if (strcmp(sent->files[i]->path, path) == 0)
			return sent->files[i];
	return NULL;
}

static bool is_same(const struct kt_bin *a, const struct kt_bin *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* path: on this host. */
static bool send_from(struct kt_attempt *attempt, const char *path, const struct kt_msg_file *file)
{
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_FILES, file->bytes / MIB + 1);
	int64_t deadline_ns = kt_clock_now_ns() + allowed_ns;
	struct kt_msg_guest_file head = { .path = file->path,
					  .mode = file->mode,
					  .bytes = file->bytes };
	KT_AUTO_FD int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0) {
		kt_attempt_end(attempt, KT_CAUSE_ID_artifact_missing, "%s is not on this host: %s",
			       file->path, path ? strerror(errno) : "nobody fetched it");
		return false;
	}
	attempt->done = false;
	if (!kt_attempt_tell_guest(attempt, KT_TAG_guest_file, &head, deadline_ns) ||
	    !send_pieces(attempt, fd, file->bytes, deadline_ns) ||
	    !kt_attempt_wait_until(attempt, kt_attempt_is_done, deadline_ns)) {
		end_by_silence(attempt, "take in the job's files", allowed_ns);
		return false;
	}
	return true;
}

static bool send_file(struct kt_attempt *attempt, const struct kt_msg_file *file)
{
	return send_from(attempt, kt_attempt_file_path(attempt, &file->digest), file);
}

/* The run queue probe is no file of the job: it stands beside ktguest, and goes to the guests that want it only, so that
 * templates are the same for all.
 */
static bool send_probe(struct kt_attempt *attempt)
{
	const char *ktguest = attempt->guest->ktguest;
	const char *slash = strrchr(ktguest, '/');
	char path[KT_PATH_BYTES_MAX + sizeof(PROBE)];
	struct kt_msg_file file = { .path = "/kt/bin/" PROBE, .mode = 0755 };
	struct stat stat_of;

	snprintf(path, sizeof(path), "%.*s" PROBE, slash ? (int)(slash + 1 - ktguest) : 0, ktguest);
	if (stat(path, &stat_of) < 0) {
		kt_attempt_note(attempt, "run queue latency cannot be measured: %s: %s", path,
				strerror(errno));
		return true;
	}
	file.bytes = (uint64_t)stat_of.st_size;
	return send_from(attempt, path, &file);
}

/* Programs share libraries; what stands at one place can only be one file. */
static bool send_once(struct kt_attempt *attempt, struct sent *sent,
		      const struct kt_msg_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct kt_msg_file *there = find_sent(sent, files[i].path);

		if (there && is_same(&there->digest, &files[i].digest))
			continue;
		if (there || sent->n == KT_FILES_MAX) {
			kt_attempt_end(attempt, KT_CAUSE_ID_artifact_corrupt,
				       there ? "two files of the job would be %s in the guest"
					     : "%s is one file too many for the job",
				       files[i].path);
			return false;
		}
		if (!send_file(attempt, &files[i]))
			return false;
		sent->files[sent->n++] = &files[i];
	}
	return true;
}

/* Of all programs that may run before the attempt is over: there is no time for it later. */
static bool send_files(struct kt_attempt *attempt)
{
	const struct kt_msg_job *job = attempt->job;
	KT_AUTO_FREE const struct kt_msg_file **files =
		kt_must_calloc(KT_FILES_MAX, sizeof(*files));
	struct sent sent = { .files = files };
	bool ok = send_once(attempt, &sent, job->scheduler->files, job->scheduler->n_files);

	for (size_t i = 0; ok && i < job->n_schedulers; i++)
		ok = send_once(attempt, &sent, job->schedulers[i].files,
			       job->schedulers[i].n_files);
	for (size_t i = 0; ok && i < job->n_payloads; i++)
		ok = send_once(attempt, &sent, job->payloads[i].files, job->payloads[i].n_files);
	if (ok && kt_shell_is_wanted(attempt))
		ok = send_once(attempt, &sent, attempt->start->shell->files,
			       attempt->start->shell->n_files);
	return ok;
}

void kt_load_set_watchdog(struct kt_attempt *attempt)
{
	int64_t wanted_ns = attempt->job->scenario->watchdog_ns;
	int64_t stop_ns = kt_clock_now_ns();
	int64_t patience_ns = kt_attempt_patience(attempt, KT_PATIENCE_FREEZE, 0);
	int64_t frozen_ns = 0;
	int64_t now_ns = 0;
	struct kt_err err = { 0 };
	int rc;

	if (wanted_ns == 0)
		return;
	if (!attempt->introspect) {
		kt_attempt_note(attempt, "the watchdog keeps the scheduler's own value: %s",
				attempt->capture.unreadable.text);
		return;
	}
	rc = kt_vm_freeze(&attempt->vm, stop_ns + patience_ns, &err);
	if (rc == 0)
		rc = kt_introspect_refresh(attempt->introspect, &err);
	if (rc == 0)
		rc = kt_introspect_set_watchdog(attempt->introspect, wanted_ns, &now_ns, &err);
	kt_vm_thaw(&attempt->vm, stop_ns, kt_clock_now_ns() + patience_ns, &frozen_ns, NULL);
	attempt->capture.frozen_ns += frozen_ns; /* the scenario may be under way */
	if (rc < 0)
		kt_attempt_note(attempt, "the watchdog keeps the scheduler's own value: %s",
				err.text);
	else
		kt_attempt_say(attempt, "sched_ext's watchdog is %lld ms",
			       (long long)(now_ns / KT_NS_PER_MS));
}

bool kt_load_prepare(struct kt_attempt *attempt)
{
	uint8_t entropy[ENTROPY_BYTES];
	struct kt_msg_guest_prepare prepare = { .wall_ns = kt_clock_wall_ns(),
						.entropy = { entropy, sizeof(entropy) } };
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_FILES, 1);

	/* So few bytes come whole, and never wait: the host has been up for a while. */
	kt_must(getrandom(entropy, sizeof(entropy), 0) == sizeof(entropy));
	if (!kt_attempt_request(attempt, KT_TAG_guest_prepare, &prepare,
				kt_clock_now_ns() + allowed_ns))
		end_by_silence(attempt, "set its clock and seed its generator", allowed_ns);
	else
		attempt->prepared = true;
	return !attempt->ending;
}

void kt_load(struct kt_attempt *attempt)
{
	const struct kt_msg_scheduler *scheduler = attempt->job->scheduler;
	struct kt_msg_guest_load message = { .args = scheduler->args, .n_args = scheduler->n_args };
	int64_t allowed_ns;

	kt_attempt_enter(attempt, KT_ATTEMPT_LOAD, 0, "");
	if (!attempt->prepared && !kt_load_prepare(attempt))
		return;
	if (!send_files(attempt) ||
	    (attempt->job->scenario->runqueue_latency && !send_probe(attempt)) ||
	    !attempt->has_scheduler)
		return;
	kt_attempt_moment(attempt, "start", "%s", scheduler->args[0].text);
	allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_LOAD, 0);
	message.deadline_ns = allowed_ns;
	attempt->load_sent = true;
	/* The guest's own deadline comes first: it knows more to say. */
	allowed_ns += kt_attempt_patience(attempt, KT_PATIENCE_PROBE, 0);
	if (!kt_attempt_request(attempt, KT_TAG_guest_load, &message,
				kt_clock_now_ns() + allowed_ns)) {
		kt_attempt_end_with_advice(
			attempt, KT_CAUSE_ID_scheduler_load_timeout,
			"the guest did not say in %lld s that the scheduler is enabled",
			(long long)kt_attempt_seconds(allowed_ns));
		return;
	}
	if (attempt->shell.without_scheduler)
		return;
	kt_attempt_moment(attempt, "enabled", "%s", scheduler->name);
	kt_load_set_watchdog(attempt);
}
