/* vcputime.h - how long the host ran a guest's vCPUs: CPU time of QEMU's threads, out of /proc.
 *
 * QEMU names its threads (-name debug-threads=on, worker/qemu.c): "CPU 3/KVM" is a vCPU's own, "ALL CPUs/TCG" the one in
 * which all of them take turns (tcg,thread=single).
 */
#ifndef KT_VCPUTIME_H
#define KT_VCPUTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kt_vcputime;

/* pid: QEMU's, which answers its monitor already. NULL when its threads cannot be told, or this host does not say how
 * long they ran.
 */
struct kt_vcputime *kt_vcputime_open(pid_t pid, size_t n_vcpus);
void kt_vcputime_destroy(struct kt_vcputime **vcputime_p);

/* All of them share one thread. */
bool kt_vcputime_is_shared(const struct kt_vcputime *vcputime);

/* CPU time so far, ns, of each vCPU; of all in each when they share. False when a thread has ended. */
bool kt_vcputime_read(struct kt_vcputime *vcputime, int64_t *ran_ns);

#endif
