#include "proto/fieldtext.h"
#include "proto/base/duration.h"
#include "proto/base/limits.h"
#include "proto/base/suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 64 /* of one struct, for suggestions */

void kt_fieldtext_init(const struct kt_schema *schema, void *into)
{
	memset(into, 0, schema->size);
	for (size_t i = 0; i < schema->n_fields; i++)
		if (schema->fields[i].type == KT_FIELD_STR)
			*(const char **)((char *)into + schema->fields[i].offset) = "";
}

/* cpu_ns, gap_ns_max, ns_max */
static bool is_time(const struct kt_field *field)
{
	const char *ns =
		strncmp(field->name, "ns_", 3) == 0 ? field->name : strstr(field->name, "_ns");

	if (ns && *ns == '_')
		ns++;
	return ns && (ns[2] == 0 || ns[2] == '_');
}

static bool read_u64(const struct kt_field *field, const char *text, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && errno == 0 && !*end && *number >= field->min &&
	       *number <= field->max;
}

static bool read_i64(const struct kt_field *field, const char *text, int64_t *number)
{
	char *end;

	if (is_time(field) && kt_duration_parse(text, number))
		return *number >= (int64_t)field->min && *number <= (int64_t)field->max;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return *text && errno == 0 && !*end && *number >= (int64_t)field->min &&
	       *number <= (int64_t)field->max;
}

static bool read_f64(const struct kt_field *field, const char *text, double *number)
{
	int64_t ns;
	char *end;

	if (is_time(field) && kt_duration_parse(text, &ns)) {
		*number = (double)ns;
		return true;
	}
	*number = strtod(text, &end);
	return *text && !*end;
}

static bool read_bool(const char *text, bool *flag)
{
	*flag = strcmp(text, "true") == 0;
	return *flag || strcmp(text, "false") == 0;
}

static bool read_field(const struct kt_field *field, void *member, const char *text,
		       struct kt_arena *arena)
{
	size_t len = strlen(text);

	switch (field->type) {
	case KT_FIELD_BOOL:
		return read_bool(text, member);
	case KT_FIELD_U64:
		return read_u64(field, text, member);
	case KT_FIELD_I64:
		return read_i64(field, text, member);
	case KT_FIELD_F64:
		return read_f64(field, text, member);
	case KT_FIELD_STR:
		*(const char **)member = kt_arena_strdup(arena, text);
		return len <= field->max;
	case KT_FIELD_BIN:
		*(struct kt_bin *)member = (struct kt_bin){ kt_arena_copy(arena, text, len), len };
		return len >= field->min && len <= field->max;
	case KT_FIELD_VALUE:
	case KT_FIELD_ONE:
	case KT_FIELD_LIST:
		break;
	}
	return false;
}

static int unknown(const struct kt_schema *schema, const char *name, struct kt_err *err)
{
	const char *names[FIELDS_MAX];
	KT_AUTO_BUF known = { 0 };
	size_t n = 0;

	for (; n < schema->n_fields && n < FIELDS_MAX; n++)
		names[n] = schema->fields[n].name;
	kt_suggest_print(name, names, n, &known);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s has no '%.*s'; %s", schema->name,
			  KT_NAME_BYTES_MAX, name, kt_buf_text(&known));
}

int kt_fieldtext_set(const struct kt_schema *schema, void *into, const char *name, const char *text,
		     struct kt_arena *arena, struct kt_err *err)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct kt_field *field = &schema->fields[i];

		if (strcmp(field->name, name) != 0)
			continue;
		if (read_field(field, (char *)into + field->offset, text, arena))
			return 0;
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s of %s cannot be '%.*s'", name,
				  schema->name, KT_NAME_BYTES_MAX, text);
	}
	return unknown(schema, name, err);
}
