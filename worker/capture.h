/* capture.h - what one sample sees: freeze, read, thaw, encode (semantics.md section 2).
 *
 * Workload time stands still while the guest is frozen:
 *	elapsed = now - anchor - everything frozen so far
 * The anchor is the moment at which the host read guest_started. It is late by the frame's way
 * through virtio-serial (about 1 ms on a quiet host, up to a scheduling delay of QEMU on a busy one), so
 * elapsed_ns is short by that much against the guest's own clock.
 *
 * A rehearsal comes first: the axes are read from the running guest, for nothing. So the reader knows what to fetch
 * in one system call once the guest stands still, and finds it in the caches. A guest that runs meanwhile
 * looks like one that lies, and the reader is built for those.
 */
#ifndef KT_CAPTURE_H
#define KT_CAPTURE_H

#include "proto/schema.h"
#include "worker/introspect/introspect.h"
#include "worker/vm.h"

struct kt_capture {
	struct kt_vm *vm;
	struct kt_introspect *introspect; /* NULL: unreadable says why */
	struct kt_err unreadable;
	int64_t anchor_ns; /* CLOCK_BOOTTIME */
	int64_t frozen_ns; /* sum of all freezes since the anchor */
	int64_t freeze_ns_max; /* patience with one stop or cont */
};

int64_t kt_capture_elapsed_ns(const struct kt_capture *capture, int64_t now_ns);
/* The host's moment of an elapsed time, if nothing is frozen in between. */
int64_t kt_capture_at_ns(const struct kt_capture *capture, int64_t elapsed_ns);

/* Rehearses, takes the time stamp, freezes, fills the axes bpf and monitor behind sample->axes[0 .. n_axes - 1] (room
 * for two more), thaws, adds to frozen_ns. When the guest could not be frozen the sample becomes a placeholder
 * with the reason and without axes. False when QEMU no longer answers: the guest is lost.
 */
bool kt_capture_read(struct kt_capture *capture, struct kt_arena *arena,
		     struct kt_msg_sample *sample);

/* Encodes within KT_SAMPLE_BYTES_MAX: the largest axis gives way to the typed error too_large until it
 * fits.
 */
void kt_capture_encode(struct kt_msg_sample *sample, struct kt_arena *arena, struct kt_buf *body);

#endif
