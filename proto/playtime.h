/* playtime.h - how long a scenario plays, for who waits for its end: its holds, and what its ops may add to them.
 *
 * Only ops that wait for something outside of the kernel add more than patience covers: schedulers that are
 * loaded and unloaded (under TCG seconds each), payloads that are waited for. Pure.
 */
#ifndef KT_PLAYTIME_H
#define KT_PLAYTIME_H

#include "proto/schema.h"

struct kt_playtime {
	int64_t holds_ns; /* of all steps, or the duration when that is longer */
	int64_t ops_ns; /* what all ops may take, each once, and once more in a loop, whose last round may overshoot */
	int64_t op_ns_max; /* the one that may take longest */
	int64_t ends_ns; /* for payloads that are told to end, and take their time */
};

/* load_ns, unload_ns: what a scheduler may take. */
struct kt_playtime kt_playtime_of(const struct kt_msg_scenario *scenario, int64_t load_ns,
				  int64_t unload_ns);

/* How much longer than its holds a scenario may last of whose ops so much time is known to be spent: that, and
 * the one that may be under way. What the guest says of its time (spent_ns) counts for no more than all ops may
 * take.
 */
int64_t kt_playtime_extra_ns(const struct kt_playtime *playtime, int64_t spent_ns);

#endif
