/* schema.h - the C structs of the .def files, one `struct kt_msg_<name>` each, and their descriptors.
 *
 * Read the .def files for what the fields mean: job.def first, then messages.def, runner.def,
 * guest.def. Decoded structs and everything they point to live in the arena they were decoded into.
 */
#ifndef KT_SCHEMA_H
#define KT_SCHEMA_H

#include "proto/base/digest.h"
#include "proto/base/limits.h"
#include "proto/codec.h"
#include "proto/value.h"

#include "proto/schema_structs.h"
#include "proto/job.def"
#include "proto/schema_structs.h"
#include "proto/messages.def"
#include "proto/schema_structs.h"
#include "proto/runner.def"
#include "proto/schema_structs.h"
#include "proto/guest.def"

/* Tags, as KT_TAG_<name>. */
#define KT_MESSAGE(tag_, name_, direction_) KT_TAG_##name_ = (tag_),
enum kt_tag_fleet {
#include "proto/messages.def"
};
#define KT_MESSAGE(tag_, name_, direction_) KT_TAG_##name_ = (tag_),
enum kt_tag_runner {
#include "proto/runner.def"
};
#define KT_MESSAGE(tag_, name_, direction_) KT_TAG_##name_ = (tag_),
enum kt_tag_guest {
#include "proto/guest.def"
};

extern const struct kt_family kt_schema_fleet; /* coordinator and worker */
extern const struct kt_family kt_schema_runner; /* worker and attempt process */
extern const struct kt_family kt_schema_guest; /* host and guest */

/* Over the schema's canonical text without its sentences: two builds that would read one another's
 * frames differently have different digests.
 */
void kt_schema_digest(const struct kt_family *family, struct kt_digest *digest);

#define KT_PROTOCOL_VERSION       1
#define KT_PROTOCOL_VERSION_MIN   1 /* the oldest that we still speak */
#define KT_GUEST_PROTOCOL_VERSION 1

/* The guest channel's virtio-serial port, as /sys/class/virtio-ports/<port>/name says it. */
#define KT_GUEST_PORT "kt.0"

#endif
