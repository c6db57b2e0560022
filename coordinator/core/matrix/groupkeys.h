/* groupkeys.h - what a group of workers may say: how many, what they do, as whom, where. */
#ifndef KT_GROUPKEYS_H
#define KT_GROUPKEYS_H

#include "coordinator/core/matrix/grammar.h"
#include "proto/schema.h"

extern const struct kt_grammar_table kt_groupkeys_table; /* struct kt_msg_group */

/* Workers of a group are a multiple of this: pairs, rings, ... 1 when its work type is not known. */
uint64_t kt_groupkeys_size(const struct kt_msg_group *group);

#endif
