/* facts.h - the journal's rows as C structs (facts.def). */
#ifndef KT_FACTS_H
#define KT_FACTS_H

#include "proto/schema.h"

#include "proto/schema_structs.h"
#include "coordinator/core/facts.def"

#define KT_MESSAGE(tag_, name_, direction_) KT_TAG_##name_ = (tag_),
enum kt_tag_fact {
#include "coordinator/core/facts.def"
};

extern const struct kt_family kt_facts_family;

/* Whether the fact can be read back: facts have the limits of one frame. */
bool kt_facts_fits(uint32_t tag, const void *fact);
/* Makes a fact with a verdict fit: details are left out from the end, where the least important ones stand, and
 * the last one says how many. verdict_p is the fact's own member; a copy in the arena takes its place.
 */
void kt_facts_cut(uint32_t tag, const void *fact, struct kt_msg_verdict **verdict_p,
		  struct kt_arena *arena);

#endif
