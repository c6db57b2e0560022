/* ktext.h - text out of a guest, made fit for a value tree: valid UTF-8 without control characters.
 *
 * What is not becomes \xNN, so that nothing is lost and nothing breaks a terminal, a JSON file or a frame.
 */
#ifndef KT_KTEXT_H
#define KT_KTEXT_H

#include "proto/base/arena.h"

/* Up to the first 0 byte or len; at most max bytes come out. In the arena. */
const char *kt_ktext_clean(struct kt_arena *arena, const void *bytes, size_t len, size_t max);

#endif
