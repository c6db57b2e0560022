#include "worker/boot.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "proto/cause.h"
#include "worker/attempt.h"
#include "worker/initramfs.h"
#include "worker/introspect/introspect.h"
#include "worker/load.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

	kt_attempt_end(attempt, cause, "kernel %s: %s", attempt->guest->kernel_name, err->text);
}

/* Symbols and types of the kernel are decoded, some 60 ms, while QEMU gets up and the guest boots or wakes up: only
 * reading its memory needs them. The thread touches nothing but this.
 */
struct opening {
	const struct kt_msg_run_guest *guest;
	struct kt_digest digest;
	pthread_t thread;
	struct kt_introspect_kernel *kernel;
	struct kt_err err;
};

static void *open_it(void *arg)
{
	struct opening *opening = arg;

	kt_introspect_kernel_open(opening->guest->kernel_path, &opening->digest,
				  opening->guest->cache_dir, &opening->kernel, &opening->err);
	return NULL;
}

static struct opening opening_of(const struct kt_attempt *attempt)
{
	struct opening opening = { .guest = attempt->guest };

	memcpy(opening.digest.bytes, attempt->guest->kernel_digest.data, KT_DIGEST_BYTES);
	return opening;
}

static void take_kernel(struct opening *opening, struct kt_attempt *attempt)
{
	attempt->kernel = opening->kernel;
	if (!attempt->kernel)
		end_by_kernel(attempt, &opening->err);
}

/* Only after QEMU was started: what forks has no threads (worker/jail.c). */
static void begin_opening(struct opening *opening)
{
	kt_must(pthread_create(&opening->thread, NULL, open_it, opening) == 0);
}

static void end_opening(struct opening *opening, struct kt_attempt *attempt)
{
	pthread_join(opening->thread, NULL);
	take_kernel(opening, attempt);
}

static void open_memory(struct kt_attempt *attempt)
{
	struct kt_err *err = &attempt->capture.unreadable;
	KT_AUTO_BUF notes = { 0 };

	kt_vm_open_memory(&attempt->vm, &attempt->gmem, &notes, err);
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
	kt_attempt_say(attempt, "QEMU %s, accelerator %s, cgroup limits: %s",
		       attempt->guest->qemu_version, config->accel,
		       kt_cage_describe(attempt->vm.cage));
	return true;
}

static bool greet(struct kt_attempt *attempt)
{
	enum kt_cause_id cause = KT_CAUSE_ID_qemu_died;
	struct kt_err err = { 0 };

	if (kt_vm_greet(&attempt->vm, &cause, &err) < 0)
		kt_attempt_end_with_advice(attempt, cause, "%s", err.text);
	return !attempt->ending;
}

static struct kt_vm_config config_of(const struct kt_attempt *attempt)
{
	const struct kt_msg_run_guest *guest = attempt->guest;

	return (struct kt_vm_config){
		.qemu = guest->qemu,
		.qemu_major = (unsigned int)strtoul(guest->qemu_version, NULL, 10),
		.accel = guest->accel,
		.topology = guest->topology,
		.ktguest = guest->ktguest,
		.ram_fds = attempt->has_template ? attempt->template_ram_fds : NULL,
	};
}

static void wait_for_ready(struct kt_attempt *attempt, int64_t began_ns)
{
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_BOOT, 0);

	if (!kt_attempt_wait_until(attempt, is_ready, began_ns + allowed_ns))
		kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_boot_timeout,
					   "the guest did not come up in %lld s",
					   (long long)kt_attempt_seconds(allowed_ns));
	else if (attempt->guest_version != KT_GUEST_PROTOCOL_VERSION)
		kt_attempt_end(
			attempt, KT_CAUSE_ID_host_trouble,
			"ktguest speaks version %llu of the guest channel, this worker %d: install "
			"both from one build",
			(unsigned long long)attempt->guest_version, KT_GUEST_PROTOCOL_VERSION);
}

/* QEMU booted what was there before it was verified. */
static void check_booted(struct kt_attempt *attempt, const struct stat *booted)
{
	const char *vmlinux = kt_introspect_kernel_vmlinux(attempt->kernel);
	struct stat verified;

	if (stat(vmlinux, &verified) < 0 || verified.st_ino != booted->st_ino)
		kt_attempt_end(attempt, KT_CAUSE_ID_host_trouble,
			       "%s was damaged and has been made anew", vmlinux);
}

static void wait_for_guest(struct kt_attempt *attempt, int64_t began_ns)
{
	if (!greet(attempt))
		return;
	open_memory(attempt);
	/* No failure of the attempt: the axes say so. */
	if (!attempt->gmem)
		kt_attempt_note(attempt, "%s", attempt->capture.unreadable.text);
	wait_for_ready(attempt, began_ns);
	if (!attempt->ending)
		kt_attempt_moment(attempt, "ready", "%s", attempt->kernel_release);
}

/* The first guest of a kernel waits for its vmlinux; the others boot the one that is there while it is verified. */
void kt_boot(struct kt_attempt *attempt)
{
	struct kt_vm_config config = config_of(attempt);
	int64_t began_ns = kt_clock_now_ns();
	struct opening opening = opening_of(attempt);
	char vmlinux[KT_PATH_BYTES_MAX + 1];
	struct stat booted;
	bool found = kt_introspect_kernel_find(&opening.digest, attempt->guest->cache_dir, vmlinux,
					       sizeof(vmlinux)) &&
		     stat(vmlinux, &booted) == 0;

	kt_attempt_enter(attempt, KT_ATTEMPT_BOOT,
			 kt_patience_expected_ns(KT_PATIENCE_BOOT, attempt->kvm, attempt->cpus),
			 "");
	if (!found) {
		open_it(&opening);
		take_kernel(&opening, attempt);
	}
	if (attempt->ending)
		return;
	config.kernel = found ? vmlinux : kt_introspect_kernel_vmlinux(attempt->kernel);
	if (!start_vm(attempt, &config))
		return;
	if (found)
		begin_opening(&opening);
	wait_for_guest(attempt, began_ns);
	if (found) {
		end_opening(&opening, attempt);
		if (attempt->kernel)
			check_booted(attempt, &booted);
	}
	if (!attempt->ending)
		attach(attempt);
}

/* ---- templates ---- */

/* The devices' state, then the guest goes on where it was saved; that it answers proves that it does. */
static bool wake_up(struct kt_attempt *attempt)
{
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_RESTORE, 0);
	int64_t deadline_ns = kt_clock_now_ns() + allowed_ns;
	struct kt_err err = { 0 };
	int rc = kt_vm_restore(&attempt->vm, attempt->template_state_fd, deadline_ns, &err);

	if (rc == 0)
		rc = kt_vm_cont(&attempt->vm, deadline_ns, &err);
	if (rc < 0)
		kt_attempt_end(attempt, KT_CAUSE_ID_host_trouble,
			       "the guest could not be restored: %s", err.text);
	return !attempt->ending && kt_load_prepare(attempt);
}

/* The host's answer to every guest, not a QEMU that has just died or a process short of something. */
static bool never_allowed(const struct kt_err *err)
{
	return err->code == EPERM || err->code == EACCES || err->code == ENOSYS;
}

void kt_boot_restore(struct kt_attempt *attempt)
{
	struct kt_vm_config config = config_of(attempt);
	struct opening opening = opening_of(attempt);
	char detail[64];

	config.restores = true;
	attempt->kernel_release = attempt->guest->kernel_release;
	attempt->topology_seen = attempt->guest->topology_seen;
	snprintf(detail, sizeof(detail), "from template %s", attempt->guest->template);
	kt_attempt_enter(attempt, KT_ATTEMPT_BOOT,
			 kt_patience_expected_ns(KT_PATIENCE_RESTORE, attempt->kvm, attempt->cpus),
			 detail);
	if (!start_vm(attempt, &config))
		return;
	begin_opening(&opening);
	if (greet(attempt) && wake_up(attempt)) {
		attempt->ready = true;
		kt_attempt_moment(attempt, "ready", "%s", attempt->kernel_release);
	}
	end_opening(&opening, attempt);
	if (attempt->ending)
		return;
	open_memory(attempt);
	if (attempt->gmem) {
		attach(attempt);
		return;
	}
	/* One that boots can be read all the same: its RAM is shared with us. */
	attempt->never_warm = never_allowed(&attempt->capture.unreadable);
	kt_attempt_end(attempt, KT_CAUSE_ID_host_trouble, "%s", attempt->capture.unreadable.text);
}

static bool is_still(struct kt_attempt *attempt, const char *path, const struct kt_bin *digest,
		     const struct kt_digest *now)
{
	if (digest->len == KT_DIGEST_BYTES && memcmp(digest->data, now->bytes, digest->len) != 0)
		kt_attempt_end(attempt, KT_CAUSE_ID_host_trouble, "%s changed meanwhile", path);
	return !attempt->ending;
}

/* What the guest was made of must be what the template is called after. */
static bool is_as_named(struct kt_attempt *attempt)
{
	const struct kt_msg_run_guest *guest = attempt->guest;
	struct kt_digest qemu;
	struct kt_digest initramfs;
	struct kt_err err = { 0 };

	if (kt_digest_of_file(guest->qemu, &qemu, NULL, &err) < 0 ||
	    kt_initramfs_digest(guest->ktguest, &initramfs, &err) < 0) {
		kt_attempt_end(attempt, KT_CAUSE_ID_host_trouble, "%s", err.text);
		return false;
	}
	return is_still(attempt, guest->qemu, &guest->qemu_digest, &qemu) &&
	       is_still(attempt, guest->ktguest, &guest->initramfs_digest, &initramfs);
}

void kt_boot_save(struct kt_attempt *attempt)
{
	struct kt_msg_run_saved saved = { .kernel_release = attempt->kernel_release,
					  .topology_seen = attempt->topology_seen };
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_RESTORE, 0);
	struct kt_err err = { 0 };

	if (kt_vm_save(&attempt->vm, attempt->template_state_fd, kt_clock_now_ns() + allowed_ns,
		       &err) < 0)
		kt_attempt_end(attempt, KT_CAUSE_ID_host_trouble,
			       "the guest could not be saved: %s", err.text);
	/* Only memory that nobody maps any more can be sealed. */
	kt_vm_kill(&attempt->vm);
	if (!attempt->ending && is_as_named(attempt))
		kt_framelink_push(&attempt->control, KT_TAG_run_saved, &saved);
}
