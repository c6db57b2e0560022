/* layer: worker/guest */
/* fuzz_logtail.c - whatever a scheduler prints: limits hold, no 0 byte is left, and it does not matter in which pieces it
 * comes.
 */
#include "proto/base/must.h"
#include "worker/guest/logtail.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kt_logtail whole;
	struct kt_logtail bytewise;
	KT_AUTO_BUF a = { 0 };
	KT_AUTO_BUF b = { 0 };
	char last[64];

	kt_logtail_init(&whole);
	kt_logtail_init(&bytewise);
	kt_logtail_append(&whole, data, len);
	for (size_t i = 0; i < len; i++)
		kt_logtail_append(&bytewise, data + i, 1);
	kt_logtail_last_line(&whole, last, sizeof(last));
	kt_must(strlen(last) < sizeof(last));
	kt_logtail_collapse(&whole, KT_LOGTAIL_BYTES_MAX, &a);
	kt_logtail_collapse(&bytewise, KT_LOGTAIL_BYTES_MAX, &b);
	kt_must(a.len <= KT_LOGTAIL_BYTES_MAX);
	kt_must(a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0));
	kt_must(a.len == 0 || !memchr(a.data, 0, a.len));
	kt_logtail_destroy(&whole);
	kt_logtail_destroy(&bytewise);
	return 0;
}
