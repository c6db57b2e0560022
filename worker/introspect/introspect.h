/* introspect.h - reading a guest's kernel from outside, with no help from the guest.
 *
 *	vmlinuz -> vmlinux -> BTF + kallsyms        kt_introspect_kernel  (once per image, cached)
 *	guest RAM -> where the kernel is -> page walk -> maps, run queues   kt_introspect (per guest)
 *
 * The guest is untrusted: every pointer followed is checked, every loop has a limit, every failure is
 * a typed value, never an abort. No offset is hard-coded; all come from the image's BTF.
 */
#ifndef KT_INTROSPECT_H
#define KT_INTROSPECT_H

#include "proto/base/digest.h"
#include "proto/schema.h"

#include <sys/types.h>

/* ---- guest memory ---- */

struct kt_gmem;

/* Opens the RAM of a running guest: finds where its QEMU, process pid, maps the memfds of its n NUMA nodes, as
 * long as node_bytes says (0: a node without memory), and reads and writes there (remote.h says what that needs: EPERM and EACCES without). It does
 * not matter whether QEMU maps them shared, or private as for a guest that was restored from a template.
 * lowmem_bytes: RAM below the PCI hole; what is above sits at gpa - 4 GiB + lowmem (kt_gmem_lowmem_bytes).
 * Owned by the caller; the descriptors are not needed afterwards. -ENOENT: it does not map them (yet).
 */
int kt_gmem_open_process(pid_t pid, const int *ram_fds, const uint64_t *node_bytes, size_t n,
			 uint64_t lowmem_bytes, struct kt_gmem **gmem, struct kt_err *err);

/* For tools and tests: maps a file of RAM, as a dump is. It must not shrink while it is mapped (SIGBUS). Whole
 * pages.
 */
int kt_gmem_open(const char *path, uint64_t bytes, uint64_t lowmem_bytes, struct kt_gmem **gmem,
		 struct kt_err *err);
/* The next file of RAM that is made of several (NUMA: one memory backend per node, in order of nodes). */
int kt_gmem_add(struct kt_gmem *gmem, const char *path, uint64_t bytes, struct kt_err *err);
/* How much of ram_bytes QEMU puts below 4 GiB on machine "q35" or "pc" (any version; seen on 7.2 with HMP
 * `info mtree -f`). 0 for a machine that is not known here.
 */
uint64_t kt_gmem_lowmem_bytes(const char *machine, uint64_t ram_bytes);
void kt_gmem_destroy(struct kt_gmem **gmem_p);
/* Of a process: from here on it is read as of now, and what the last few looks needed is read at once. Fault HOST,
 * -ESRCH: the process has ended. To be called by whoever keeps it after the process may have been reaped.
 */
int kt_gmem_refresh(struct kt_gmem *gmem, struct kt_err *err);

/* ---- one kernel image ---- */

struct kt_introspect_kernel;

/* Reads a bzImage (or an ELF vmlinux). digest: the image's, when it is known; may be NULL. Keeps the extracted vmlinux below cache_dir, by the image's digest
 * (vmcache.h), readable for all; safe for several processes at once. Symbols are decoded each
 * time (6 ms). Fault INPUT when the image is truncated, corrupt, of another architecture or built
 * without what we need; HOST when it or the cache cannot be read or written.
 */
int kt_introspect_kernel_open(const char *image, const struct kt_digest *digest,
			      const char *cache_dir, struct kt_introspect_kernel **kernel,
			      struct kt_err *err);
/* The vmlinux that an earlier opening left, if it looks whole: opening verifies it. */
bool kt_introspect_kernel_find(const struct kt_digest *digest, const char *cache_dir, char *path,
			       size_t size);
void kt_introspect_kernel_destroy(struct kt_introspect_kernel **kernel_p);
const char *kt_introspect_kernel_vmlinux(
	const struct kt_introspect_kernel *kernel); /* path, for PVH */
const char *kt_introspect_kernel_release(const struct kt_introspect_kernel *kernel); /* uname -r */
uint32_t kt_introspect_kernel_hz(const struct kt_introspect_kernel *kernel); /* 0: cannot be told */

/* ---- one guest ---- */

struct kt_introspect;

/* Finds the kernel in memory (KASLR, 4- or 5-level paging). -EAGAIN while the guest has not come far
 * enough (it schedules tasks; surely so once ktguest said it is ready). Borrows kernel and gmem, which
 * must outlive it.
 */
int kt_introspect_attach(struct kt_introspect_kernel *kernel, struct kt_gmem *gmem,
			 struct kt_introspect **introspect, struct kt_err *err);
void kt_introspect_destroy(struct kt_introspect **introspect_p);

/* All that is read is as of the attach or of the last refresh: to be called once the guest was frozen, or
 * whenever it may have run since. Fault HOST, -ESRCH: its QEMU has ended.
 */
int kt_introspect_refresh(struct kt_introspect *introspect, struct kt_err *err);

struct kt_introspect_place { /* of the kernel, for people */
	uint64_t va_slide; /* KASLR, virtual */
	uint64_t pa_slide; /* KASLR, physical */
	unsigned int levels; /* of page tables: 4 or 5 */
};
void kt_introspect_where(const struct kt_introspect *introspect, struct kt_introspect_place *place);

/* Fills an axis with a value tree in the arena, or with a typed error (axis->error, axis->text):
 * no_scheduler, unmapped. Never fails otherwise. For a consistent view the guest is frozen by the
 * caller, and refreshed after that. The arena must have no limit: the tree is bounded (KT_SAMPLE_BYTES_MAX / 2 when encoded, some
 * MiB in memory at worst). axis->name is set.
 *
 * "bpf": { "scheduler": "<ops name>", "maps": [ { "name": "<the kernel's name, at most 15 bytes, e.g. scx_kt.bss>",
 *          "id": n, "type": "array" | "percpu_array" | "hash" | ..., "running": true | false,
 *          "value_size": n, "max_entries": n,
 *          "vars": { "<variable>": <value>, ... }             for .bss, .data, .rodata
 *          "entries": [ <value> | [ <per cpu value>, ... ] ]  for arrays, percpu arrays
 *          "error": "unmapped" | "bad_type"                   when some of it could not be read
 *          "dropped": n                                       variables or entries left out, when any
 *        } ], "dropped": n }                                  maps left out
 * running: belongs to the scheduler that is enabled; those come first, variables before arrays.
 * bpfval.h says how types become values.
 */
void kt_introspect_bpf(struct kt_introspect *introspect, struct kt_arena *arena,
		       struct kt_msg_axis *axis);
/* The same whether or not a scheduler is enabled ("scheduler" is nil then). For tools. */
void kt_introspect_all_maps(struct kt_introspect *introspect, struct kt_arena *arena,
			    struct kt_msg_axis *axis);

/* "monitor": { "scx_state": "enabled", "scheduler": "<ops name>" or nil,
 *              "cpus": [ { "cpu", "idle", "nr_running", "clock", "scx_nr_running", "scx_flags", "local_dsq" } ],
 *              "events": { "select_cpu_fallback": n, ... } }
 * A CPU that is not possible or not mapped is nil. events: what the enabled sched_ext scheduler's kernel counted
 * (scxevents.h), over all CPUs; not there without one, or when this kernel counts none.
 */
void kt_introspect_monitor(struct kt_introspect *introspect, struct kt_arena *arena,
			   struct kt_msg_axis *axis);

/* The same, but for one who looks often: run queues and counters, nothing allocated. */
#define KT_INTROSPECT_EVENTS_MAX 32

struct kt_introspect_queue {
	bool there;
	bool idle; /* its idle task runs */
	uint64_t nr_running;
	uint64_t clock;
	uint64_t local_dsq;
};

struct kt_introspect_look {
	bool enabled; /* a sched_ext scheduler */
	uint64_t life; /* which one: another number, another scheduler */
	size_t n_cpus;
	struct kt_introspect_queue queues[KT_GUEST_CPUS_MAX + 1];
	bool has_events;
	int64_t events[KT_INTROSPECT_EVENTS_MAX]; /* of kt_introspect_event() */
};

/* As of the last refresh. -EFAULT with fault GUEST: not mapped. */
int kt_introspect_look(struct kt_introspect *introspect, struct kt_introspect_look *look,
		       struct kt_err *err);
size_t kt_introspect_n_events(const struct kt_introspect_kernel *kernel);
/* "select_cpu_fallback"; lives in the arena. */
const char *kt_introspect_event(const struct kt_introspect_kernel *kernel, size_t event,
				struct kt_arena *arena);

/* Is a sched_ext scheduler enabled? */
int kt_introspect_scx_enabled(struct kt_introspect *introspect, bool *enabled, struct kt_err *err);

/* Writes sched_ext's stall watchdog (scx_sched.watchdog_timeout since 7.1, else scx_watchdog_timeout),
 * in jiffies, and reads it back into *now_ns (rounded up to jiffies). The guest should be frozen: up
 * to three variables change together (scx.c). A first check is due half the scheduler's own timeout
 * after it was enabled and cannot be moved from outside: only from then on is the new value precise.
 * -ENOENT when this kernel has neither, or its HZ cannot be told; -EAGAIN when no scheduler is enabled;
 * -ERANGE when ns is below two jiffies or beyond KT_DURATION_NS_MAX.
 */
int kt_introspect_set_watchdog(struct kt_introspect *introspect, int64_t ns, int64_t *now_ns,
			       struct kt_err *err);

#endif
