/* drain.h - the last phase of an attempt, whatever it ended by: scheduler unloaded, QEMU killed.
 *
 * The scheduler prints its last counters when it is stopped in order; a guest that hangs gets no time.
 * Nothing of a guest outlives it, so there is nothing to shut down: powering off in order cost 210 ms of
 * every attempt. What is given up with it: what the kernel prints later than its scheduler's end. What it
 * has begun to print by then is heard to the end; a panic among it is still the attempt's cause. Blocks
 * for the patience of unload and of last words at most.
 */
#ifndef KT_DRAIN_H
#define KT_DRAIN_H

struct kt_attempt;

void kt_drain(struct kt_attempt *attempt);

#endif
