/* payloadkeys.h - what [[payload]] may say: a program of the user's that runs in the guest. */
#ifndef KT_PAYLOADKEYS_H
#define KT_PAYLOADKEYS_H

#include "coordinator/core/matrix/grammar.h"

#define KT_PAYLOADKEYS_PROGRAMS "/kt/program" /* where the guest has all programs: nobody's files */

extern const struct kt_grammar_table kt_payloadkeys_table; /* struct kt_matrix_payload */

#endif
