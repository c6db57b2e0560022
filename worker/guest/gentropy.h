/* gentropy.h - random bytes of the host into the guest's kernel, so that copies of one guest draw apart.
 *
 * Guests restored from one template begin with one state of the kernel's generator and would draw the same
 * numbers. vmgenid tells the kernel, but by an ACPI notification that is handled when a worker thread gets
 * to run: perhaps after somebody has drawn. Here it is certain before the answer to guest_prepare.
 * drivers/char/random.c: RNDADDENTROPY mixes the bytes into the input pool (the credit only matters while
 * the generator is not ready); RNDRESEEDCRNG makes a new key from the pool and counts the generation up,
 * which every CPU's generator, their batches and the vDSO compare before they hand out a number.
 *
 * ktguest itself draws nothing before: what libc took at its start (stack canary, pointer guard, malloc's
 * key) is the same in all guests of a template and guards memory only; workloads are seeded by guest_run.
 */
#ifndef KT_GENTROPY_H
#define KT_GENTROPY_H

#include "proto/schema.h"

#define KT_GENTROPY_DEVICE "/dev/random"

/* At most KT_ENTROPY_BYTES_MAX; nothing is done when there are none. Fault GUEST when the kernel refuses.
 * Fewer than 32 bytes for a generator that is not ready yet: -ENODATA.
 */
int kt_gentropy_add(const char *device, const struct kt_bin *bytes, struct kt_err *err);

#endif
