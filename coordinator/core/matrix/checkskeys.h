/* checkskeys.h - checks = { not_stuck = true, gap = "3s" } of [sweep] and [[scenario]]: assertions/checks.h has the
 * table.
 */
#ifndef KT_CHECKSKEYS_H
#define KT_CHECKSKEYS_H

#include "coordinator/core/matrix/grammar.h"

kt_grammar_set_fn kt_checkskeys_set; /* struct kt_checks */

#endif
