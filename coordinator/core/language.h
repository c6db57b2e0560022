/* language.h - the matrix language: what a matrix file may say, as tables (language.c).
 *
 *	[sweep]			name, attempts, repeats, seed, guest, template_renew, out
 *	[[kernel]]		name, path | debian = { suite, package }
 *	[[scheduler]]		name, binary, args
 *	[[topology]]		name, cpus, memory
 *	[[scenario]]		name, duration, samples, watchdog, repeats, guest, kernels, schedulers, topologies,
 *				script
 *	[[scenario.step]]	hold, cgroup = [{ name, workers, work }]
 *	[[scenario.assert]]	series, options and patterns: assertions/assertion.h
 */
#ifndef KT_LANGUAGE_H
#define KT_LANGUAGE_H

#include "coordinator/core/matrix.h"
#include "coordinator/core/problem.h"

/* Takes the document: the matrix lives in it. -EINVAL with fault INPUT and the first problem when
 * anything is wrong; `problems` then has all of them (zeroed and given its file here).
 */
int kt_language_read(struct kt_doc **doc, struct kt_problems *problems, struct kt_matrix **matrix,
		     struct kt_err *err);

#endif
