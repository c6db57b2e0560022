/* strangers.h - how often is told of those who are not let in: a stranger that tries ten times a second for a week is
 * a line a minute, and ten thousand strangers are a line a second. Pure. Private to proto/net.
 */
#ifndef KT_STRANGERS_H
#define KT_STRANGERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_STRANGERS_AGAIN_NS 60000000000LL /* until one stranger is told of again */
#define KT_STRANGERS_BURST    20 /* lines at once, then one a second */
#define KT_STRANGERS_MAX      512 /* remembered, those who came last */
#define KT_STRANGERS_ID_BYTES \
	64 /* of a key, or an address and what is wrong; what is longer is cut */

struct kt_strangers {
	struct kt_strangers_one *table; /* uthash, the oldest first */
	int64_t full_at_ns; /* when the burst is whole again; 0: it is */
	uint64_t n_untold;
};

/* Whether this one should be told of now; then *n_untold is how many were not, since the last that was. */
bool kt_strangers_tell(struct kt_strangers *strangers, int64_t now_ns, const char *id,
		       uint64_t *n_untold);
void kt_strangers_destroy(struct kt_strangers *strangers);

#endif
