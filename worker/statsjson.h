/* statsjson.h - a scheduler's scx_stats answer, from JSON to a value tree.
 *
 *	{"errno":0,"args":{"resp":{...}}}        (semantics.md section 2)
 *
 * The bytes come from an untrusted guest. Integers keep all 64 bits; nothing goes through double.
 */
#ifndef KT_STATSJSON_H
#define KT_STATSJSON_H

#include "proto/schema.h"

#define KT_STATSJSON_DEPTH_MAX  16
#define KT_STATSJSON_NODES_MAX  65536
#define KT_STATSJSON_DIGITS_MAX 64 /* characters of one number */

/* The request for target "top", without the newline. */
extern const char kt_statsjson_request[];

/* Fills axis (name "stats") with args.resp, or with a typed error: not_json, no_resp, errno (text: its
 * number and name), too_large. Never fails otherwise.
 */
void kt_statsjson_axis(const void *body, size_t len, struct kt_arena *arena,
		       struct kt_msg_axis *axis);

/* A typed error of which the guest told (guest_stats_answer) or that the host found. */
void kt_statsjson_error(const char *error, const char *text, struct kt_arena *arena,
			struct kt_msg_axis *axis);

#endif
