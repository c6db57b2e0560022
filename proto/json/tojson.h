/* tojson.h - messages and values as JSON, by their schema: what --json prints.
 *
 * A struct of the .def files becomes an object with its fields' names, in their order; nothing has to
 * be written per message. bin becomes lower-case hex; a ONE that is absent becomes null. Integers keep
 * all 64 bits. JSON has neither NaN nor infinities: they become null. Texts may hold any bytes, JSON is
 * UTF-8: each byte that is not becomes U+FFFD.
 *
 * The caller owns what it gets (json_object_put), or gives it to another object.
 */
#ifndef KT_TOJSON_H
#define KT_TOJSON_H

#include "proto/codec.h"
#include "proto/value.h"

#include <json-c/json.h>

struct json_object *kt_tojson_struct(const struct kt_schema *schema, const void *from);
struct json_object *kt_tojson_value(const struct kt_value *value);
struct json_object *kt_tojson_text(const char *text, size_t len);

#endif
