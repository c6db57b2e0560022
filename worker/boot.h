/* boot.h - the first phase of an attempt: from nothing to a guest that is up.
 *
 *	kt_boot          kernel image -> vmlinux -> QEMU -> guest_ready -> attached          cold
 *	kt_boot_restore  template -> QEMU -> its state -> prepared -> attached               warm
 *	kt_boot_save     a guest that is up -> template
 *
 * Afterwards the attempt has vm, kernel, gmem and introspect, or is ending. That the memory cannot be read
 * is no failure: capture.unreadable says why, and so will the axes.
 */
#ifndef KT_BOOT_H
#define KT_BOOT_H

struct kt_attempt;

void kt_boot(struct kt_attempt *attempt);

/* Needs no job. The guest runs afterwards and has answered: its clock and its random numbers are its own. */
void kt_boot_restore(struct kt_attempt *attempt);

/* The guest is dead afterwards. */
void kt_boot_save(struct kt_attempt *attempt);

#endif
