#include "coordinator/core/out.h"
#include "proto/base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void kt_out_reset(struct kt_out *out)
{
	out->n_facts = 0;
	out->n_effects = 0;
	kt_arena_reset(&out->arena);
}

void kt_out_destroy(struct kt_out *out)
{
	free(out->facts);
	free(out->effects);
	kt_arena_destroy(&out->arena);
	memset(out, 0, sizeof(*out));
}

struct kt_effect *kt_out_effect(struct kt_out *out, enum kt_effect_kind kind, const void *body)
{
	struct kt_effect *added;

	if (out->n_effects == out->cap_effects) {
		out->cap_effects = out->cap_effects ? 2 * out->cap_effects : 64;
		out->effects =
			kt_must_realloc(out->effects, out->cap_effects, sizeof(*out->effects));
	}
	added = &out->effects[out->n_effects++];
	*added = (struct kt_effect){ .kind = kind, .body = body };
	return added;
}

void kt_out_send(struct kt_out *out, uint64_t peer, uint32_t tag, const void *body)
{
	struct kt_effect *added = kt_out_effect(out, KT_EFFECT_SEND, body);

	added->peer = peer;
	added->tag = tag;
}

__attribute__((format(printf, 4, 5))) void kt_out_refuse(struct kt_out *out, uint64_t peer,
							 bool rejoin, const char *format, ...)
{
	struct kt_msg_refuse *msg = KT_OUT_NEW(out, refuse);
	char reason[KT_ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	msg->reason = kt_arena_strdup(&out->arena, reason);
	msg->rejoin = rejoin;
	kt_out_send(out, peer, KT_TAG_refuse, msg);
}
