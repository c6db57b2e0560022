/* scenariokeys.h - what [[scenario]] may say, and what its parts must be to one another. */
#ifndef KT_SCENARIOKEYS_H
#define KT_SCENARIOKEYS_H

#include "coordinator/core/matrix/grammar.h"

/* "warm", "cold", NULL */
extern const char *const kt_scenariokeys_guests[];
extern const char *const kt_scenariokeys_accels[]; /* likewise */

extern const struct kt_grammar_table kt_scenariokeys_table; /* struct kt_matrix_scenario */

#endif
