#include "coordinator/numberjson.h"

#include <math.h>

struct json_object *kt_numberjson(const struct kt_number *number)
{
	char text[KT_NUMBER_TEXT_BYTES];

	switch (number->type) {
	case KT_NUMBER_U64:
		return json_object_new_uint64(number->u64);
	case KT_NUMBER_I64:
		return json_object_new_int64(number->i64);
	case KT_NUMBER_BOOL:
		return json_object_new_boolean(number->boolean);
	case KT_NUMBER_F64:
		if (isfinite(number->f64))
			return json_object_new_double_s(number->f64,
							kt_number_format(number, text));
		break;
	}
	return json_object_new_string(kt_number_format(number, text));
}
