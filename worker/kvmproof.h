/* kvmproof.h - does this host's KVM really run a guest?
 *
 * A /dev/kvm that opens and creates machines may still be a software emulator that cannot boot a stock
 * kernel. So a long-mode ring-0 guest of our own runs through the raw ioctls:
 *
 *	shlx (VEX-coded: the instruction that such emulators lack)   then hlt
 *	a loop of 20,000 rounds, in less than 20 ms                  then hlt
 *
 * Measured (facts-boot.md): a real kvm passes in 3 to 4 ms; the lying one stops with an internal error,
 * and its loop alone takes 54 ms. The host's CPU must have BMI2 for shlx; where CPUID says that it has
 * not, shl is run instead.
 *
 * See Documentation/virt/kvm/api.rst; Intel SDM 3A, 4.5 (paging), 3.4.5 (segment descriptors).
 */
#ifndef KT_KVMPROOF_H
#define KT_KVMPROOF_H

#include <stdbool.h>
#include <stdint.h>

struct kt_kvmproof {
	bool works;
	char reason[256]; /* why not, or how it was proven; one line */
	int64_t took_ns;
};

/* In a child process that is killed after 5 s: a vCPU may never come back. 0, also when KVM does not
 * work; -errno when the proof itself could not be made (works is then false, reason is set).
 */
int kt_kvmproof_run(struct kt_kvmproof *proof);

#endif
