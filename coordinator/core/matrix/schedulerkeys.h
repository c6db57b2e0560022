/* schedulerkeys.h - what [[scheduler]] may say. */
#ifndef KT_SCHEDULERKEYS_H
#define KT_SCHEDULERKEYS_H

#include "coordinator/core/matrix/grammar.h"

extern const struct kt_grammar_table kt_schedulerkeys_table; /* struct kt_matrix_scheduler */

#endif
