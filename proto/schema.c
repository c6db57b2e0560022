#include "proto/schema.h"

#include "proto/schema_tables.h"
#include "proto/job.def"
#include "proto/schema_tables.h"
#include "proto/messages.def"
#include "proto/schema_tables.h"
#include "proto/runner.def"
#include "proto/schema_tables.h"
#include "proto/guest.def"

#define KT_MESSAGE(tag_, name_, direction_) { tag_, direction_, &kt_schema_##name_ },
static const struct kt_message fleet_messages[] = {
#include "proto/messages.def"
};
#define KT_MESSAGE(tag_, name_, direction_) { tag_, direction_, &kt_schema_##name_ },
static const struct kt_message runner_messages[] = {
#include "proto/runner.def"
};
#define KT_MESSAGE(tag_, name_, direction_) { tag_, direction_, &kt_schema_##name_ },
static const struct kt_message guest_messages[] = {
#include "proto/guest.def"
};

#define FAMILY(text_, table_, bytes_)                                       \
	{                                                                   \
		text_, table_, sizeof(table_) / sizeof((table_)[0]), bytes_ \
	}

const struct kt_family kt_schema_fleet = FAMILY("fleet", fleet_messages, KT_FRAME_BYTES_MAX);
const struct kt_family kt_schema_runner = FAMILY("runner", runner_messages, KT_FRAME_BYTES_MAX);
const struct kt_family kt_schema_guest = FAMILY("guest", guest_messages, KT_GUEST_FRAME_BYTES_MAX);
