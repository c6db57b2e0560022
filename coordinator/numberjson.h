/* numberjson.h - a number with all of its bits as JSON; what JSON has no number for (NaN, infinities) as text. */
#ifndef KT_NUMBERJSON_H
#define KT_NUMBERJSON_H

#include "assertions/number.h"

#include <json-c/json.h>

struct json_object *kt_numberjson(const struct kt_number *number); /* the caller's */

#endif
