/* truth.h - three-valued truth over the slots of a column, and the windows of temporal logic over it.
 *
 * A vector has one byte for each slot: a slot without a value is UNKNOWN, and what is UNKNOWN is carried
 * along, never guessed. Windows are of workload time and begin at the slot that is asked about:
 *
 *	slot i asks about the slots j >= i with  t(i) + from_ns <= t(j) <= t(i) + to_ns
 *
 * What a window would see behind the last slot is UNKNOWN, and so is a window between two slots: nobody
 * looked. to_ns = KT_TRUTH_TO_THE_END ends with the last slot. All take time linear in the slots and
 * work in place; the slots' times never fall (kt_truth_in_order).
 */
#ifndef KT_TRUTH_H
#define KT_TRUTH_H

#include "assertions/column.h"

enum kt_truth { KT_TRUTH_FALSE, KT_TRUTH_UNKNOWN, KT_TRUTH_TRUE }; /* and: lowest, or: highest */

#define KT_TRUTH_TO_THE_END INT64_MAX

/* The first slot that is earlier than the one before it; n when time never falls. */
size_t kt_truth_in_order(const struct kt_column *column);

void kt_truth_and(uint8_t *truth, const uint8_t *other, size_t n);
void kt_truth_or(uint8_t *truth, const uint8_t *other, size_t n);

/* Some slot of the window is true; every slot of the window is true. */
void kt_truth_eventually(const struct kt_column *column, int64_t from_ns, int64_t to_ns,
			 uint8_t *truth);
void kt_truth_always(const struct kt_column *column, int64_t from_ns, int64_t to_ns,
		     uint8_t *truth);
/* Some slot of the window [0, to_ns] is true in `then`, and all slots before that one are in `hold`, which
 * becomes the answer.
 */
void kt_truth_until(const struct kt_column *column, int64_t to_ns, uint8_t *hold,
		    const uint8_t *then);

#endif
