/* layer: assertions */
/* fuzz_seriesfile.c - any bytes are refused with the user's fault and a place, or are a series; what is
 * written of that is read back, and writes the same bytes again.
 */
#include "assertions/seriesfile.h"
#include "proto/base/must.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	KT_AUTO_SERIES back = { 0 };
	KT_AUTO_BUF a = { 0 };
	KT_AUTO_BUF b = { 0 };
	struct kt_msg_series_header header;
	struct kt_err err = { 0 };
	int status = kt_seriesfile_read(data, len, &arena, &header, &series, &err);

	if (status < 0) {
		kt_must(err.fault == KT_FAULT_INPUT);
		kt_must(strncmp(err.text, "byte ", 5) == 0);
		return 0;
	}
	kt_must(series.n == header.samples);
	if (kt_seriesfile_write(&series, &header, &a, &err) == -EFBIG)
		return 0;
	status = kt_seriesfile_read(a.data, a.len, &arena, &header, &back, &err);
	kt_must(status == 0);
	kt_must(back.n == series.n);
	status = kt_seriesfile_write(&back, &header, &b, &err);
	kt_must(status == 0);
	kt_must(a.len == b.len);
	kt_must(memcmp(a.data, b.data, a.len) == 0);
	return 0;
}
