/* language.h - the matrix language: what a matrix file may say, as tables, one file per table.
 *
 *	[sweep], [[kernel]]	language.c, and the matrix as a whole
 *	[[scheduler]]		schedulerkeys.c
 *	[[topology]]		topologykeys.c
 *	[[payload]]		payloadkeys.c
 *	[[scenario]]		scenariokeys.c, and what its parts must be to one another
 *	[[scenario.step]]	stepkeys.c: its hold; and [scenario.backdrop]
 *	ops = [{ }]		opkeys.c
 *	cgroup = [{ }]		cgroupkeys.c: names, limits
 *	groups = [{ }]		groupkeys.c: workers, what they do, as whom
 *	"llc(0)"		cpusettext.c
 *	[[*.assert]], expect	asserts.c; assertions/assertion.h has the table
 *	checks = { }		checkskeys.c; assertions/checks.def has it
 *
 * Then a scenario is followed from its first moment to its last: rehearsal.c.
 *
 * How a table is written: rows.h. What setters there are: grammar.h. What they know of the matrix: reading.h.
 */
#ifndef KT_LANGUAGE_H
#define KT_LANGUAGE_H

#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/matrix/problem.h"

/* Takes the document: the matrix lives in it. -EINVAL with fault INPUT and the first problem when
 * anything is wrong; `problems` then has all of them (zeroed and given its file here).
 */
int kt_language_read(struct kt_doc **doc, struct kt_problems *problems, struct kt_matrix **matrix,
		     struct kt_err *err);

#endif
