#include "assertions/series.h"
#include "proto/base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct kt_series_sample {
	struct kt_arena arena;
	struct kt_msg_sample msg;
};

static const char *const names[] = {
#define X(id_, name_, sentence_) name_,
	KT_SERIES_AXES(X)
#undef X
};

static const char *const sentences[] = {
#define X(id_, name_, sentence_) sentence_,
	KT_SERIES_AXES(X)
#undef X
};

const char *kt_series_axis_name(enum kt_series_axis axis)
{
	kt_must(axis < KT_SERIES_AXIS_N);
	return names[axis];
}

const char *kt_series_axis_sentence(enum kt_series_axis axis)
{
	kt_must(axis < KT_SERIES_AXIS_N);
	return sentences[axis];
}

const char *const *kt_series_axis_names(void)
{
	return names;
}

static void sample_destroy(struct kt_series_sample **sample_p)
{
	if (!*sample_p)
		return;
	kt_arena_destroy(&(*sample_p)->arena);
	free(kt_take(sample_p));
}

static int check_axes(const struct kt_msg_sample *msg, struct kt_err *err)
{
	for (size_t i = 0; i < msg->n_axes; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(msg->axes[i].name, msg->axes[j].name) == 0)
				return kt_err_set(err, KT_FAULT_PEER, EPROTO,
						  "sample %" PRIu64 ": axis '%s' twice", msg->seq,
						  msg->axes[i].name);
	return 0;
}

/* Where a sample with this seq belongs: behind all that are smaller. Most come in order, so the
 * search begins at the end.
 */
static size_t place_of(const struct kt_series *series, uint64_t seq)
{
	size_t place = series->n;

	while (place > 0 && series->samples[place - 1]->msg.seq >= seq)
		place--;
	return place;
}

int kt_series_append(struct kt_series *series, const void *body, size_t len, struct kt_err *err)
{
	KT_AUTO(sample_destroy) struct kt_series_sample *sample = NULL;
	size_t place;
	int status;

	if (len > KT_SAMPLE_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_PEER, EFBIG,
				  "a sample of %zu bytes, at most %u are taken", len,
				  KT_SAMPLE_BYTES_MAX);
	if (series->n == KT_SAMPLES_PER_ATTEMPT_MAX)
		return kt_err_set(err, KT_FAULT_PEER, EFBIG, "more than %d samples in one attempt",
				  KT_SAMPLES_PER_ATTEMPT_MAX);
	if (len > KT_SERIES_BYTES_MAX - series->bytes)
		return kt_err_set(err, KT_FAULT_PEER, EFBIG,
				  "more than %u bytes of samples in one attempt",
				  KT_SERIES_BYTES_MAX);
	sample = kt_must_calloc(1, sizeof(*sample));
	sample->arena.max = 8192 + 64 * len; /* a pair of nothing takes 2 bytes there, 40 here */
	status = kt_codec_decode(&kt_schema_sample, body, len, &sample->arena, &sample->msg, err);
	if (status < 0)
		return status;
	status = check_axes(&sample->msg, err);
	if (status < 0)
		return status;
	place = place_of(series, sample->msg.seq);
	if (place < series->n && series->samples[place]->msg.seq == sample->msg.seq)
		return kt_err_set(err, KT_FAULT_PEER, EEXIST, "sample %" PRIu64 " twice",
				  sample->msg.seq);
	if (series->n == series->cap) {
		series->cap = series->cap ? 2 * series->cap : 16;
		series->samples =
			kt_must_realloc(series->samples, series->cap, sizeof(*series->samples));
	}
	memmove(&series->samples[place + 1], &series->samples[place],
		(series->n - place) * sizeof(*series->samples));
	series->samples[place] = kt_take(&sample);
	series->n++;
	series->bytes += len;
	return 0;
}

const struct kt_msg_sample *kt_series_at(const struct kt_series *series, size_t i)
{
	kt_must(i < series->n);
	return &series->samples[i]->msg;
}

const struct kt_msg_axis *kt_series_axis_of(const struct kt_msg_sample *sample,
					    enum kt_series_axis axis)
{
	const char *name = kt_series_axis_name(axis);

	for (size_t i = 0; i < sample->n_axes; i++)
		if (strcmp(sample->axes[i].name, name) == 0)
			return &sample->axes[i];
	return NULL;
}

void kt_series_destroy(struct kt_series *series)
{
	for (size_t i = 0; i < series->n; i++)
		sample_destroy(&series->samples[i]);
	free(series->samples);
	*series = (struct kt_series){ 0 };
}
