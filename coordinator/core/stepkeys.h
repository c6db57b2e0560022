/* stepkeys.h - what [[scenario.step]] may say. */
#ifndef KT_STEPKEYS_H
#define KT_STEPKEYS_H

#include "coordinator/core/grammar.h"

extern const struct kt_grammar_table kt_stepkeys_table; /* struct kt_msg_step */

#endif
