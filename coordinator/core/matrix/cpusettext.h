/* cpusettext.h - CPUs as a matrix writes them (proto/cpuset.h says what they mean):
 *
 *	"llc(0)"  "numa(1)"  "range(0, 0.5)"  "disjoint(0, 2)"  "overlap(0, 2, 0.5)"  "0-3,5"
 *
 * Whether they fit a guest is another question: kt_cpuset_resolve() with its machine.
 */
#ifndef KT_CPUSETTEXT_H
#define KT_CPUSETTEXT_H

#include "coordinator/core/matrix/grammar.h"
#include "proto/cpuset.h"

/* Fills spec, whose list is borrowed from text. -EINVAL with fault INPUT and a sentence. */
int kt_cpusettext_parse(const char *text, struct kt_msg_cpuset *spec, struct kt_err *err);

kt_grammar_set_fn kt_cpusettext_set; /* struct kt_msg_cpuset *: a new one */

#endif
