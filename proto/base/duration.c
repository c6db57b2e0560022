#include "proto/base/duration.h"
#include "proto/base/limits.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
	{ "ns", 1 },          { "us", KT_NS_PER_US },    { "ms", KT_NS_PER_MS },
	{ "s", KT_NS_PER_S }, { "m", 60 * KT_NS_PER_S }, { "h", 3600 * KT_NS_PER_S },
};

bool kt_duration_parse(const char *text, int64_t *ns)
{
	__int128 total = 0;
	__int128 scale = 1;
	bool after_point = false;
	bool digits = false;

	for (; isdigit((unsigned char)*text) || (*text == '.' && !after_point); text++) {
		if (*text == '.') {
			after_point = true;
			continue;
		}
		digits = true;
		total = total * 10 + (*text - '0');
		if (after_point)
			scale *= 10;
		if (total > (__int128)KT_DURATION_NS_MAX * 1000000000 || scale > 1000000000000)
			return false;
	}
	if (!digits)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].name) != 0)
			continue;
		total = total * units[i].ns;
		if (total % scale != 0 || total / scale > KT_DURATION_NS_MAX)
			return false;
		*ns = (int64_t)(total / scale);
		return true;
	}
	return false;
}

const char *kt_duration_format(int64_t ns, char text[KT_DURATION_TEXT_BYTES])
{
	const char *sign = ns < 0 ? "-" : "";
	uint64_t n = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	uint64_t seconds = n / KT_NS_PER_S;

	if (seconds >= 3600)
		snprintf(text, KT_DURATION_TEXT_BYTES, "%s%" PRIu64 "h%02" PRIu64 "m", sign,
			 seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		snprintf(text, KT_DURATION_TEXT_BYTES, "%s%" PRIu64 "m%02" PRIu64 "s", sign,
			 seconds / 60, seconds % 60);
	else if (n >= 999500000) /* what would round to 1000ms */
		snprintf(text, KT_DURATION_TEXT_BYTES, "%s%.3gs", sign, (double)n / 1e9);
	else if (n >= 999500)
		snprintf(text, KT_DURATION_TEXT_BYTES, "%s%.3gms", sign, (double)n / 1e6);
	else if (n >= 1000)
		snprintf(text, KT_DURATION_TEXT_BYTES, "%s%.3gus", sign, (double)n / 1e3);
	else
		snprintf(text, KT_DURATION_TEXT_BYTES, "%s%" PRIu64 "ns", sign, n);
	return text;
}
