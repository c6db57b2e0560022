/* layer: assertions */
/* fuzz_metric.c - whatever a pattern is and whatever a program prints, there is a number or a reason. The first line
 * is the pattern, the rest the output.
 */
#include "assertions/metric.h"
#include "proto/base/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = len ? memchr(data, '\n', len) : NULL;
	size_t pattern_len = end ? (size_t)(end - data) : len;
	KT_AUTO_ARENA arena = { 0 };
	const char *pattern = kt_arena_copy(&arena, data, pattern_len);
	struct kt_metric metric = { .name = "m", .pattern = pattern };
	struct kt_metric_output output = { .no_tree = "" };
	struct kt_metric_value value;

	if (end)
		output.out = (struct kt_bin){ end + 1, len - pattern_len - 1 };
	if (output.out.len > 2048 || kt_metric_check_pattern(pattern, NULL) < 0)
		return 0;
	output.out_bytes = output.out.len;
	kt_metric_read(&metric, &output, &arena, &value);
	kt_must(value.is_there != (value.why[0] != 0));
	return 0;
}
