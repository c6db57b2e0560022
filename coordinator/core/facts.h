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

#endif
