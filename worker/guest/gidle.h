/* gidle.h - does a program, with all processes of its group, do nothing at all?
 *
 * One that is to load a scheduler works until it is enabled: in the verifier, in libbpf, or in the kernel for it. One
 * that sleeps, and goes on sleeping without having used any CPU, waits for something that never comes; there
 * is no need to wait for it as long as for one that works.
 *
 * Only time in which we ran ourselves counts: of a host that keeps the whole guest waiting, two looks are far apart.
 */
#ifndef KT_GIDLE_H
#define KT_GIDLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct kt_gidle {
	uint64_t ticks; /* of CPU time, at the last look */
	int64_t looked_ns;
	int64_t idle_ns; /* in a row */
};

/* Pure. What was found of the group: CPU time in all, and whether every process of it sleeps. */
void kt_gidle_add(struct kt_gidle *idle, uint64_t ticks, bool sleeps, int64_t now_ns);

/* Looks at every process of the group, at most twice a second. How long they have been idle. */
int64_t kt_gidle_look(struct kt_gidle *idle, pid_t group, int64_t now_ns);

#endif
