/* patience.h - how long each part of an attempt may take on the host's clock: one table.
 *
 * Deadlines only end what hangs. They are many times what was measured (facts-boot.md, facts-guest.md),
 * because a host may be busy with other guests, and grow with the guest's CPUs and, where bytes move,
 * with their number. Pure.
 */
#ifndef KT_PATIENCE_H
#define KT_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

enum kt_patience {
	KT_PATIENCE_BOOT, /* QEMU's start to guest_ready */
	KT_PATIENCE_RESTORE, /* a template's guest, QEMU's start to its first answer; or saving one */
	KT_PATIENCE_FILES, /* prepare, or one file to the guest; per MiB of it */
	KT_PATIENCE_LOAD, /* the scheduler's start until the kernel says enabled */
	KT_PATIENCE_START, /* guest_run to guest_started */
	KT_PATIENCE_RUN, /* beyond the scenario's own length; per step: its setup and end */
	KT_PATIENCE_PROBE, /* is anybody there? */
	KT_PATIENCE_STATS, /* one scx_stats request, in the guest */
	KT_PATIENCE_FREEZE, /* one stop or cont over QMP */
	KT_PATIENCE_UNLOAD, /* the scheduler's end */
	KT_PATIENCE_LAST_WORDS, /* of a kernel that is dying; then it is killed */
	KT_PATIENCE_N,
};

/* units: of what the row grows by beside CPUs, see the table; 0 where nothing. */
int64_t kt_patience_ns(enum kt_patience what, bool kvm, uint64_t cpus, uint64_t units);
/* What it takes on a quiet host, for the progress view; 0 when nobody knows. */
int64_t kt_patience_expected_ns(enum kt_patience what, bool kvm, uint64_t cpus);

#endif
