/* work.h - the tables of work.def: work types and their parameters. Pure. */
#ifndef KT_WORK_H
#define KT_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kt_work_id {
#define KT_WORK(name_, size_, by_, sentence_) KT_WORK_ID_##name_,
#define KT_WORK_PARAM(work_, name_, unit_, default_, min_, max_, sentence_)
#include "proto/work.def"
	KT_WORK_N
};

/* Where a type finds its parameters: KT_WORK_PARAM_<work>_<name>, in the order of the table. */
enum kt_work_param_id {
#define KT_WORK(name_, size_, by_, sentence_)
#define KT_WORK_PARAM(work_, name_, unit_, default_, min_, max_, sentence_) \
	KT_WORK_PARAM_##work_##_##name_,
#include "proto/work.def"
	KT_WORK_PARAM_N
};

enum kt_work_unit { KT_WORK_NS, KT_WORK_BYTES, KT_WORK_COUNT, KT_WORK_PERCENT };

struct kt_work_param {
	enum kt_work_id work;
	const char *name;
	enum kt_work_unit unit;
	int64_t value; /* when nothing else is said */
	int64_t min;
	int64_t max;
	const char *sentence;
};

struct kt_work {
	enum kt_work_id id;
	const char *name;
	uint32_t size; /* workers that work together */
	const char *by; /* a parameter that is added to it; "": none */
	const char *sentence;
};

extern const struct kt_work kt_work[KT_WORK_N];
/* Those of one type stand together; the last row is of KT_WORK_N. */
extern const struct kt_work_param kt_work_params[KT_WORK_PARAM_N + 1];

const struct kt_work *kt_work_by_name(const char *name); /* NULL when there is none */
/* NULL when that type has no such parameter. */
const struct kt_work_param *kt_work_param_by_name(const struct kt_work *work, const char *name);
/* The first of the type's parameters, and how many there are. */
const struct kt_work_param *kt_work_params_of(const struct kt_work *work, size_t *n);
/* Workers that work together when the parameter `by` has this value (its default: by->value). At least 1. */
uint64_t kt_work_group_size(const struct kt_work *work, int64_t by_value);
/* Whether they do different things (one wakes, the others are woken), so that they cannot be compared. */
bool kt_work_has_roles(const struct kt_work *work);
const char *kt_work_unit_name(enum kt_work_unit unit); /* "ns", "bytes", "count", "percent" */

#endif
