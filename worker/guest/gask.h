/* gask.h - what a scenario tells the host and waits for: guest_capture and guest_scheduler, each answered by
 * guest_seen with its number. One is open at a time; workers go on meanwhile.
 */
#ifndef KT_GASK_H
#define KT_GASK_H

#include "proto/schema.h"

/* The host freezes the guest meanwhile, and our clock with it: this is how long it may take while we run. */
#define KT_GASK_WAIT_NS (60 * KT_NS_PER_S)

struct kt_gask {
	void (*send)(void *arg, uint32_t tag, const void *message);
	void *arg;
	uint64_t id; /* of the last one */
	bool is_open;
	int64_t due_ns;
};

void kt_gask_capture(struct kt_gask *ask, const char *tag, int64_t now_ns);
void kt_gask_scheduler(struct kt_gask *ask, uint64_t epoch, const char *name, int64_t now_ns);
void kt_gask_seen(struct kt_gask *ask, uint64_t id); /* one that is not open is ignored */
/* 1 when it was answered, 0 while not, -ETIMEDOUT. */
int kt_gask_look(const struct kt_gask *ask, int64_t now_ns, struct kt_err *err);

#endif
