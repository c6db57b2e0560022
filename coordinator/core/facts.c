#include "coordinator/core/facts.h"

#include "proto/schema_tables.h"
#include "coordinator/core/facts.def"

#define KT_MESSAGE(tag_, name_, direction_) { tag_, direction_, &kt_schema_##name_ },
static const struct kt_message messages[] = {
#include "coordinator/core/facts.def"
};

const struct kt_family kt_facts_family = { "facts", messages,
					   sizeof(messages) / sizeof(messages[0]),
					   KT_FRAME_BYTES_MAX };
