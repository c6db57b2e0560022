#include "assertions/lib/assert_inside.h"
#include "assertions/lib/assert_sample.h"
#include "proto/base/must.h"
#include "proto/base/wholefile.h"

#include <string.h>

/* ---- reading ---- */

struct kt_assert_series *kt_assert_series_new(void)
{
	struct kt_assert_series *series = kt_must_calloc(1, sizeof(*series));

	series->header = (struct kt_msg_series_header){
		.producer = "libktassert " KT_VERSION, .cell = "", .cause = "", .line = ""
	};
	return series;
}

static int parse(const void *bytes, size_t len, struct kt_assert_series **series_p,
		 struct kt_err *err)
{
	struct kt_assert_series *series = kt_assert_series_new();
	int status = kt_seriesfile_read(bytes, len, &series->arena, &series->header,
					&series->series, err);

	if (status < 0)
		kt_assert_series_destroy(&series);
	*series_p = series;
	return status;
}

int kt_assert_series_parse(const void *bytes, size_t len, struct kt_assert_series **series,
			   struct kt_assert_error *error)
{
	struct kt_err err = { 0 };

	assert_inside_begin(error);
	return parse(bytes, len, series, &err) < 0 ? assert_inside_error(&err, error) : 0;
}

int kt_assert_series_read(const char *path, struct kt_assert_series **series,
			  struct kt_assert_error *error)
{
	KT_AUTO_BUF file = { 0 };
	struct kt_err err = { 0 };

	assert_inside_begin(error);
	*series = NULL;
	if (kt_wholefile_read(path, KT_SERIESFILE_BYTES_MAX, &file, &err) < 0)
		return assert_inside_error(&err, error);
	if (parse(file.data, file.len, series, &err) == 0)
		return 0;
	kt_err_wrap(&err, "%s", path);
	return assert_inside_error(&err, error);
}

void kt_assert_series_destroy(struct kt_assert_series **series_p)
{
	struct kt_assert_series *series = kt_take(series_p);

	if (!series)
		return;
	kt_series_destroy(&series->series);
	kt_arena_destroy(&series->arena);
	free(series);
}

/* ---- writing ---- */

int kt_assert_series_write(const struct kt_assert_series *series, const char *path,
			   struct kt_assert_error *error)
{
	struct kt_msg_series_header header = series->header;
	KT_AUTO_BUF file = { 0 };
	struct kt_err err = { 0 };

	assert_inside_begin(error);
	if (kt_seriesfile_write(&series->series, &header, &file, &err) < 0 ||
	    kt_wholefile_write(path, file.data, file.len, &err) < 0)
		return assert_inside_error(&err, error);
	return 0;
}

int kt_assert_series_add(struct kt_assert_series *series, struct kt_assert_sample **sample_p,
			 struct kt_assert_error *error)
{
	size_t n = series->series.n;
	uint64_t seq = n ? kt_series_at(&series->series, n - 1)->seq + 1 : 0;
	KT_AUTO_BUF body = { 0 };
	struct kt_err err = { 0 };

	assert_inside_begin(error);
	if (seq > KT_SAMPLES_PER_ATTEMPT_MAX) {
		kt_err_set(&err, KT_FAULT_INPUT, EFBIG, "a series has at most %d samples",
			   KT_SAMPLES_PER_ATTEMPT_MAX);
		return assert_inside_error(&err, error);
	}
	kt_assert_sample_encode(*sample_p, seq, &body);
	if (kt_series_append(&series->series, body.data, body.len, &err) < 0)
		return assert_inside_error(&err, error);
	kt_assert_sample_destroy(sample_p);
	return 0;
}

/* ---- what it is ---- */

const char *kt_assert_series_cell(const struct kt_assert_series *series)
{
	return series->header.cell;
}

const char *kt_assert_series_cause(const struct kt_assert_series *series)
{
	return series->header.cause;
}

const char *kt_assert_series_line(const struct kt_assert_series *series)
{
	return series->header.line;
}

void kt_assert_series_set_cell(struct kt_assert_series *series, const char *cell)
{
	size_t len = strnlen(cell, KT_CELL_NAME_BYTES_MAX);

	series->header.cell = kt_arena_copy(&series->arena, cell, len);
}

size_t kt_assert_series_size(const struct kt_assert_series *series)
{
	return series->series.n;
}

const char *kt_assert_series_tag(const struct kt_assert_series *series, size_t i)
{
	return kt_series_at(&series->series, i)->tag;
}

int64_t kt_assert_series_elapsed_ns(const struct kt_assert_series *series, size_t i)
{
	return kt_series_at(&series->series, i)->elapsed_ns;
}

uint32_t kt_assert_series_step(const struct kt_assert_series *series, size_t i)
{
	return (uint32_t)kt_series_at(&series->series, i)->step;
}

uint32_t kt_assert_series_epoch(const struct kt_assert_series *series, size_t i)
{
	return (uint32_t)kt_series_at(&series->series, i)->epoch;
}

const char *kt_assert_series_placeholder(const struct kt_assert_series *series, size_t i)
{
	return kt_series_at(&series->series, i)->placeholder;
}
