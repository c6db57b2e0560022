/* out.h - what one step of the dispatch says: facts, then effects.
 *
 * Facts go to the journal first; effects are performed after the facts are on disk, in their order.
 */
#ifndef KT_OUT_H
#define KT_OUT_H

#include "coordinator/core/facts.h"

enum kt_effect_kind {
	KT_EFFECT_SEND, /* tag, body to peer */
	KT_EFFECT_KEEP_SAMPLE, /* body is struct kt_msg_sample_sent; with the facts, before any SEND */
	KT_EFFECT_KEEP_LOG, /* body is struct kt_msg_log_sent; likewise */
	KT_EFFECT_JUDGE, /* cell, epoch: judge its samples, come back with JUDGED or DAMAGED */
	KT_EFFECT_GROUP, /* cell, repeats: judge what is asserted over them, come back with GROUPED */
	KT_EFFECT_PHASE, /* cell, body is struct kt_msg_phase: for the view */
	KT_EFFECT_SAY, /* cell, repeats, body is a text: what this cell and as many like it, with it, wait for */
};

struct kt_effect {
	enum kt_effect_kind kind;
	uint64_t peer;
	uint32_t tag;
	uint64_t cell;
	uint64_t epoch;
	uint64_t repeats;
	const void *body;
};

struct kt_fact {
	uint32_t tag;
	const void *body;
};

/* Lifetimes: a SEND's body lives in the arena. Facts and the other effects may borrow from the input:
 * write them to the journal (open transaction) before the input goes.
 */
struct kt_out {
	struct kt_arena arena;
	struct kt_fact *facts;
	size_t n_facts;
	struct kt_effect *effects;
	size_t n_effects, cap_effects;
};

void kt_out_reset(struct kt_out *out);
void kt_out_destroy(struct kt_out *out);

/* One effect more; the caller fills what its kind has. Valid until the next one. */
struct kt_effect *kt_out_effect(struct kt_out *out, enum kt_effect_kind kind, const void *body);
void kt_out_send(struct kt_out *out, uint64_t peer, uint32_t tag, const void *body);
/* REFUSE, with a reason in words. rejoin: only the session is unknown. */
__attribute__((format(printf, 4, 5))) void kt_out_refuse(struct kt_out *out, uint64_t peer,
							 bool rejoin, const char *format, ...);

/* A message or a fact in out's arena, all zero. */
#define KT_OUT_NEW(out_, type_) \
	((struct kt_msg_##type_ *)kt_arena_alloc(&(out_)->arena, 1, sizeof(struct kt_msg_##type_)))

#endif
