#include "worker/boot.h"
#include "proto/base/clock.h"
#include "proto/cause.h"
#include "worker/attempt.h"
#include "worker/introspect/introspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_ready(const struct kt_attempt *attempt)
{
	return attempt->ready;
}

static void say_lines(struct kt_attempt *attempt, const struct kt_buf *lines)
{
	for (const char *at = kt_buf_text(lines); *at;) {
		size_t len = strcspn(at, "\n");

		kt_attempt_say(attempt, "%.*s", (int)len, at);
		at += len + (at[len] == '\n');
	}
}

static void end_by_kernel(struct kt_attempt *attempt, const struct kt_err *err)
{
	enum kt_cause_id cause = err->fault == KT_FAULT_INPUT ? KT_CAUSE_ID_kernel_unusable
				 : err->code == ENOSPC        ? KT_CAUSE_ID_disk_full
				 : err->code == ENOMEM        ? KT_CAUSE_ID_no_memory
							      : KT_CAUSE_ID_host_trouble;

	kt_attempt_end(attempt, cause, "kernel %s: %s", attempt->job->kernel->name, err->text);
}

static bool open_kernel(struct kt_attempt *attempt)
{
	const char *image = kt_attempt_file_path(attempt, &attempt->job->kernel->digest);
	struct kt_err err = { 0 };

	if (!image) {
		kt_attempt_end(attempt, KT_CAUSE_ID_artifact_missing,
			       "kernel %s is not on this host", attempt->job->kernel->name);
		return false;
	}
	if (kt_introspect_kernel_open(image, attempt->start->cache_dir, &attempt->kernel, &err) <
	    0) {
		end_by_kernel(attempt, &err);
		return false;
	}
	return true;
}

static bool open_qemu(struct kt_attempt *attempt, struct kt_vm_config *config)
{
	struct kt_err err = { 0 };
	int rc = kt_qemu_version(config->qemu, &config->qemu_major, attempt->qemu_version,
				 sizeof(attempt->qemu_version), &err);

	if (rc == -ENOENT)
		kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_qemu_missing, "%s", err.text);
	else if (rc < 0)
		kt_attempt_end(attempt, KT_CAUSE_ID_host_trouble, "%s", err.text);
	return rc == 0;
}

/* That the guest's RAM cannot be read from outside is no failure of the attempt: the axes say so. */
static void open_memory(struct kt_attempt *attempt)
{
	struct kt_err *err = &attempt->capture.unreadable;
	KT_AUTO_BUF notes = { 0 };

	if (kt_vm_open_memory(&attempt->vm, &attempt->gmem, &notes, err) < 0)
		kt_attempt_note(attempt, "%s", err->text);
	say_lines(attempt, &notes);
}

/* The guest says that it is up, so its kernel is in memory. */
static void attach(struct kt_attempt *attempt)
{
	struct kt_err *err = &attempt->capture.unreadable;

	if (!attempt->gmem || attempt->introspect)
		return;
	if (kt_introspect_attach(attempt->kernel, attempt->gmem, &attempt->introspect, err) < 0)
		kt_attempt_note(attempt, "the guest's memory cannot be read: %s", err->text);
	attempt->capture.introspect = attempt->introspect;
}

static bool start_vm(struct kt_attempt *attempt, const struct kt_vm_config *config)
{
	enum kt_cause_id cause;
	KT_AUTO_BUF notes = { 0 };
	struct kt_err err = { 0 };
	int rc;

	rc = kt_vm_start(&attempt->vm, config, &notes, &cause, &err);
	say_lines(attempt, &notes);
	if (rc < 0) {
		kt_attempt_end_with_advice(attempt, cause, "%s", err.text);
		return false;
	}
	kt_attempt_say(attempt, "QEMU %s, accelerator %s, cgroup limits: %s", attempt->qemu_version,
		       config->accel, kt_cage_describe(attempt->vm.cage));
	return true;
}

void kt_boot(struct kt_attempt *attempt)
{
	struct kt_vm_config config = {
		.qemu = attempt->start->qemu,
		.accel = attempt->start->accel,
		.topology = attempt->job->topology,
		.ktguest = attempt->start->ktguest,
	};
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_BOOT, 0);
	int64_t began_ns = kt_clock_now_ns();

	kt_attempt_enter(attempt, KT_ATTEMPT_BOOT,
			 kt_patience_expected_ns(KT_PATIENCE_BOOT, attempt->kvm, attempt->cpus),
			 "");
	if (!open_qemu(attempt, &config) || !open_kernel(attempt))
		return;
	config.kernel = kt_introspect_kernel_vmlinux(attempt->kernel);
	if (!start_vm(attempt, &config))
		return;
	open_memory(attempt);
	if (!kt_attempt_wait_until(attempt, is_ready, began_ns + allowed_ns)) {
		kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_boot_timeout,
					   "the guest did not come up in %lld s",
					   (long long)kt_attempt_seconds(allowed_ns));
		return;
	}
	kt_attempt_moment(attempt, "ready", "%s", attempt->kernel_release);
	if (attempt->guest_version != KT_GUEST_PROTOCOL_VERSION)
		kt_attempt_end(
			attempt, KT_CAUSE_ID_host_trouble,
			"ktguest speaks version %llu of the guest channel, this worker %d: install "
			"both from one build",
			(unsigned long long)attempt->guest_version, KT_GUEST_PROTOCOL_VERSION);
	else
		attach(attempt);
}
