/* cgroupkeys.h - what a cgroup of a step may say. */
#ifndef KT_CGROUPKEYS_H
#define KT_CGROUPKEYS_H

#include "coordinator/core/grammar.h"

extern const struct kt_grammar_table kt_cgroupkeys_table; /* struct kt_msg_cgroup */

#endif
