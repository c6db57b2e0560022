#include "coordinator/core/facts.h"

#include <string.h>

#include "proto/schema_tables.h"
#include "coordinator/core/facts.def"

#define KT_MESSAGE(tag_, name_, direction_) { tag_, direction_, &kt_schema_##name_ },
static const struct kt_message messages[] = {
#include "coordinator/core/facts.def"
};

const struct kt_family kt_facts_family = { "facts", messages,
					   sizeof(messages) / sizeof(messages[0]),
					   KT_FRAME_BYTES_MAX };

bool kt_facts_fits(uint32_t tag, const void *fact)
{
	return kt_codec_frame_bytes(&kt_facts_family, tag, fact) <= KT_FRAME_BYTES_MAX;
}

void kt_facts_cut(uint32_t tag, const void *fact, struct kt_msg_verdict **verdict_p,
		  struct kt_arena *arena)
{
	struct kt_msg_verdict *verdict;
	size_t n = (*verdict_p)->n_details;

	if (kt_facts_fits(tag, fact))
		return;
	verdict = kt_arena_alloc(arena, 1, sizeof(*verdict));
	*verdict = **verdict_p;
	verdict->details = kt_arena_alloc(arena, n, sizeof(*verdict->details));
	memcpy(verdict->details, (*verdict_p)->details, n * sizeof(*verdict->details));
	*verdict_p = verdict;
	while (verdict->n_details > 1 && !kt_facts_fits(tag, fact)) {
		verdict->n_details /= 2;
		verdict->details[verdict->n_details - 1] = (struct kt_msg_detail){
			.outcome = "note",
			.kind = "Cut",
			.assertion = "",
			.text = kt_arena_printf(arena, "%zu details more were left out",
						n - verdict->n_details + 1),
		};
	}
}
