/* topologykeys.h - what [[topology]] may say. */
#ifndef KT_TOPOLOGYKEYS_H
#define KT_TOPOLOGYKEYS_H

#include "coordinator/core/matrix/grammar.h"

extern const struct kt_grammar_table kt_topologykeys_table; /* struct kt_matrix_topology */

#endif
