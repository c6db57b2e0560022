/* asserts.h - [[sweep.assert]], [[scheduler.assert]], [[scenario.assert]] and `expect` of a matrix.
 *
 * What an assertion may say is assertions/assertion.h's own table: here values are handed to it, and what
 * it refuses gets a line and a column. Once the whole matrix is read, every assertion is looked at together
 * with the scenarios that it is judged in: steps and samples that are not there, names that switch nothing
 * off.
 */
#ifndef KT_ASSERTS_H
#define KT_ASSERTS_H

#include "coordinator/core/matrix/grammar.h"
#include "coordinator/core/matrix/matrix.h"

/* Setters (grammar.h): struct kt_matrix_asserts, const struct kt_expect *. */
kt_grammar_set_fn kt_asserts_set;
kt_grammar_set_fn kt_asserts_expect;

/* What stands in the document, as assertions and checks take it. Tables and arrays that nest too deep become nil. */
struct kt_value kt_asserts_value(struct kt_arena *arena, const struct kt_doc_node *node);

/* Of a matrix whose axes and filters are complete; scratch is freed by the caller. */
void kt_asserts_check(const struct kt_matrix *matrix, struct kt_arena *scratch,
		      struct kt_problems *problems);

#endif
