/* cause.h - the one table of how an attempt can end (causes.def). */
#ifndef KT_CAUSE_H
#define KT_CAUSE_H

#include <stddef.h>

enum kt_cause_side {
	KT_CAUSE_NONE, /* nobody ended it: it ran to its end */
	KT_CAUSE_LACK, /* it cannot be run on this kernel: skipped */
	KT_CAUSE_GUEST, /* what the guest's kernel or scheduler did: a result */
	KT_CAUSE_HOST, /* infra trouble */
	KT_CAUSE_PEER, /* infra trouble */
	KT_CAUSE_USER,
};

enum kt_cause_id {
#define KT_CAUSE(name_, side_, advice_) KT_CAUSE_ID_##name_,
#include "proto/causes.def"
	KT_CAUSE_ID_N
};

struct kt_cause {
	enum kt_cause_id id;
	const char *name; /* as on the wire, in the journal and in reports */
	enum kt_cause_side side;
	const char *advice; /* one sentence: what happened or what to do next */
};

const struct kt_cause *kt_cause(enum kt_cause_id id);
const struct kt_cause *kt_cause_by_name(const char *name); /* NULL when there is none */
static inline int kt_cause_is_infra(const struct kt_cause *cause)
{
	return cause->side == KT_CAUSE_HOST || cause->side == KT_CAUSE_PEER;
}

#endif
