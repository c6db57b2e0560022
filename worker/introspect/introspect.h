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

#include "proto/schema.h"

/* ---- guest memory ---- */

struct kt_gmem;

/* Maps the file behind QEMU's memory-backend-file. lowmem_bytes: RAM below the PCI hole; what is above
 * sits in the file at gpa - 4 GiB + lowmem. Owned by the caller.
 */
int kt_gmem_open(const char *path, uint64_t bytes, uint64_t lowmem_bytes, struct kt_gmem **gmem,
		 struct kt_err *err);
void kt_gmem_destroy(struct kt_gmem **gmem_p);

/* ---- one kernel image ---- */

struct kt_introspect_kernel;

/* Reads a bzImage (or an ELF vmlinux). Keeps the extracted vmlinux and the decoded symbols below
 * cache_dir, by build id; safe for several processes at once. 150 to 350 ms the first time.
 * Fault INPUT when the image is truncated, corrupt or of another architecture.
 */
int kt_introspect_kernel_open(const char *image, const char *cache_dir,
			      struct kt_introspect_kernel **kernel, struct kt_err *err);
void kt_introspect_kernel_destroy(struct kt_introspect_kernel **kernel_p);
const char *kt_introspect_kernel_vmlinux(
	const struct kt_introspect_kernel *kernel); /* path, for PVH */
const char *kt_introspect_kernel_release(const struct kt_introspect_kernel *kernel); /* uname -r */

/* ---- one guest ---- */

struct kt_introspect;

/* Finds the kernel in memory (KASLR, 4- or 5-level paging). -EAGAIN while the guest has not come far
 * enough. Borrows kernel and gmem, which must outlive it.
 */
int kt_introspect_attach(struct kt_introspect_kernel *kernel, struct kt_gmem *gmem,
			 struct kt_introspect **introspect, struct kt_err *err);
void kt_introspect_destroy(struct kt_introspect **introspect_p);

/* Fills an axis with a value tree in the arena, or with a typed error (axis->error, axis->text).
 * Never fails otherwise. For a consistent view the guest is frozen by the caller.
 *
 * "bpf": { "scheduler": "<ops name>", "maps": [ { "name": "<full map name, e.g. scx_kt.bss>",
 *          "id": n, "type": "array" | "percpu_array" | "hash" | ..., "running": true | false,
 *          "vars": { "<variable>": <value>, ... }            for .bss, .data, .rodata
 *          "entries": [ <value> | [ <per cpu value>, ... ] ]  for arrays, percpu arrays
 *        } ] }                                   running: belongs to the scheduler that is enabled
 */
void kt_introspect_bpf(struct kt_introspect *introspect, struct kt_arena *arena,
		       struct kt_msg_axis *axis);

/* "monitor": { "scx_state": "enabled", "scheduler": "<ops name>",
 *              "cpus": [ { "nr_running", "clock", "scx_nr_running", "scx_flags", "local_dsq" } ] }
 */
void kt_introspect_monitor(struct kt_introspect *introspect, struct kt_arena *arena,
			   struct kt_msg_axis *axis);

/* Writes sched_ext's stall watchdog (scx_sched.watchdog_timeout since 7.1, else scx_watchdog_timeout),
 * in jiffies, and reads it back into *now_ns. -ENOENT when this kernel has neither, -EAGAIN when no
 * scheduler is enabled.
 */
int kt_introspect_set_watchdog(struct kt_introspect *introspect, int64_t ns, int64_t *now_ns,
			       struct kt_err *err);

#endif
