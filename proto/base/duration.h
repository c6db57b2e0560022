/* duration.h - spans of time as people write them: "10s", "1.5s", "150ms", "20us", "3m", "2h". */
#ifndef KT_DURATION_H
#define KT_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* False when text is not a number with a unit (ns us ms s m h), or is beyond KT_DURATION_NS_MAX.
 * Exact: digits after the point are taken as decimal nanoseconds, never through a double.
 */
bool kt_duration_parse(const char *text, int64_t *ns);

#define KT_DURATION_TEXT_BYTES 32

/* The shortest of those forms that a person wants to read: "10s", "2.35s", "150ms", "1m30s". */
const char *kt_duration_format(int64_t ns, char text[KT_DURATION_TEXT_BYTES]);

#endif
