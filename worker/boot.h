/* boot.h - the first phase of an attempt: from nothing to a guest that says guest_ready.
 *
 *	QEMU's version, the kernel's image -> vmlinux -> QEMU -> its memory opened -> guest_ready -> attached
 *
 * Afterwards the attempt has vm, kernel, gmem and introspect, or is ending. That the memory cannot be read
 * is no failure: capture.unreadable says why, and so will the axes.
 */
#ifndef KT_BOOT_H
#define KT_BOOT_H

struct kt_attempt;

void kt_boot(struct kt_attempt *attempt);

#endif
