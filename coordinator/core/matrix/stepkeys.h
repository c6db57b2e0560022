/* stepkeys.h - what [[scenario.step]] and [scenario.backdrop] may say. */
#ifndef KT_STEPKEYS_H
#define KT_STEPKEYS_H

#include "coordinator/core/matrix/grammar.h"

extern const struct kt_grammar_table kt_stepkeys_table; /* struct kt_msg_step */
extern const struct kt_grammar_table kt_stepkeys_backdrop_table; /* struct kt_msg_backdrop */

#endif
