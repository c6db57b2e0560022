/* statsjson.h - a scheduler's scx_stats answer, from JSON to a value tree.
 *
 *	{"errno":0,"args":{"resp":{...}}}        (semantics.md section 2)
 *
 * The bytes come from an untrusted guest; proto/json/fromjson.h bounds what they may be.
 */
#ifndef KT_STATSJSON_H
#define KT_STATSJSON_H

#include "proto/schema.h"

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
