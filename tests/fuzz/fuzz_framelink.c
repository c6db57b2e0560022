/* layer: worker */
/* fuzz_framelink.c - whatever a guest writes into its channel, in pieces of any size: frames come out or the
 * link breaks, and what waits is bounded.
 */
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/framelink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* False when the link broke. */
static bool take_all(struct kt_framelink *link)
{
	int rc;

	do {
		KT_AUTO_ARENA arena = { .max = 16u << 20 };
		const struct kt_message *message;
		struct kt_err err = { 0 };
		void *frame;

		rc = kt_framelink_next(link, &arena, &message, &frame, &err);
		kt_must(rc >= 0 || err.fault == KT_FAULT_PEER);
	} while (rc > 0);
	return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct kt_family *families[] = { &kt_schema_guest, &kt_schema_runner };

	for (size_t i = 0; i < 2; i++) {
		struct kt_framelink link;
		size_t piece = len ? data[0] % 61 + 1 : 1;

		kt_framelink_init(&link, families[i], -1, 0);
		for (size_t at = 0; at < len; at += piece) {
			size_t n = len - at < piece ? len - at : piece;

			kt_must(kt_framelink_feed(&link, data + at, n, NULL) == 0);
			if (!take_all(&link))
				break;
			kt_must(!kt_framelink_has_frame(&link));
		}
		kt_framelink_destroy(&link);
	}
	return 0;
}
