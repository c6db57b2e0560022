/* tables.h - structs of the schema as markdown tables: what the pages in docs/ show of them. */
#ifndef TABLES_H
#define TABLES_H

#include "proto/base/buf.h"
#include "proto/codec.h"

#include <inttypes.h>
#include <stdio.h>

static inline const char *tables_type(const struct kt_field *field, char text[128])
{
	switch (field->type) {
	case KT_FIELD_BOOL:
		return "bool";
	case KT_FIELD_U64:
		snprintf(text, 128, "u64, %" PRIu64 " .. %" PRIu64, field->min, field->max);
		return text;
	case KT_FIELD_I64:
		snprintf(text, 128, "i64, %" PRId64 " .. %" PRId64, (int64_t)field->min,
			 (int64_t)field->max);
		return text;
	case KT_FIELD_F64:
		return "f64";
	case KT_FIELD_STR:
		snprintf(text, 128, "text, at most %" PRIu64 " bytes", field->max);
		return text;
	case KT_FIELD_BIN:
		if (field->min == field->max)
			snprintf(text, 128, "binary, %" PRIu64 " bytes", field->max);
		else
			snprintf(text, 128, "binary, at most %" PRIu64 " bytes", field->max);
		return text;
	case KT_FIELD_VALUE:
		return "value tree";
	case KT_FIELD_ONE:
		snprintf(text, 128, "[%s](#%s)", field->of->name, field->of->name);
		return text;
	case KT_FIELD_LIST:
		snprintf(text, 128, "list of [%s](#%s), at most %" PRIu64, field->of->name,
			 field->of->name, field->max);
		return text;
	}
	return "";
}

static inline void tables_row(const struct kt_field *field, struct kt_buf *out)
{
	char text[128];

	kt_buf_printf(out, "| %" PRIu32 " | %s | %s | %s | %s |\n", field->key, field->name,
		      tables_type(field, text), field->must ? "must" : "may", field->sentence);
}

/* "### name", its sentence, and a row for each field. */
static inline void tables_print(const struct kt_schema *schema, struct kt_buf *out)
{
	kt_buf_printf(out,
		      "\n### %s\n\n%s.\n\n| key | field | type | need | meaning |\n"
		      "|---|---|---|---|---|\n",
		      schema->name, schema->sentence);
	for (size_t i = 0; i < schema->n_fields; i++)
		tables_row(&schema->fields[i], out);
}

#endif
