/* assert_sample.h - a sample that a stranger makes, on its way into a series. Not installed. */
#ifndef KT_ASSERT_SAMPLE_H
#define KT_ASSERT_SAMPLE_H

#include "assertions/lib/ktassert.h"
#include "proto/base/buf.h"

/* Encoded, with the number that it gets in the series. */
void kt_assert_sample_encode(const struct kt_assert_sample *sample, uint64_t seq,
			     struct kt_buf *body);

#endif
