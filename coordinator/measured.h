/* measured.h - what an attempt measured, as `ktcoord show` prints it: workers, their wake-ups, the probe's histograms,
 * run queues seen from outside. Columns are as wide as what stands in them.
 */
#ifndef KT_MEASURED_H
#define KT_MEASURED_H

#include "proto/schema.h"

#include <stdio.h>

/* Nothing for what the result does not have. */
void kt_measured_print(const struct kt_msg_result *result, FILE *out);

#endif
