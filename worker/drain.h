/* drain.h - the last phase of an attempt, whatever it ended by: scheduler unloaded, guest off, QEMU dead.
 *
 * The scheduler prints its last counters when it is stopped in order; a guest that hangs gets no time.
 * Blocks for the patience of unload and power off at most.
 */
#ifndef KT_DRAIN_H
#define KT_DRAIN_H

struct kt_attempt;

void kt_drain(struct kt_attempt *attempt);

#endif
