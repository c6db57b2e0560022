/* layer: coordinator */
/* fuzz_plugin.c - whatever the process of a verdict plug-in says: it is refused, or becomes sentences of one line
 * with outcomes and kinds that are known, and fits where verdicts go.
 */
#include "coordinator/plugin.h"
#include "proto/base/must.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct kt_plugin_ask ask = { .name = "x.so" };
	KT_AUTO_ARENA limited = { .max = 8192 + 64 * len };
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF encoded = { 0 };
	struct kt_plugin_result result = { .end = KT_PLUGIN_JUDGED, .text = "", .printed = "" };
	const struct kt_message *message;
	struct kt_verdict verdict;
	struct kt_msg_verdict msg;
	void *body;

	if (kt_codec_decode_frame(&kt_plugin_family, data, len, &limited, &message, &body, NULL) <
	    0)
		return 0;
	if (message->tag == KT_TAG_plugin_said) {
		result.verdict = ((const struct kt_msg_plugin_said *)body)->verdict;
		result.end = ((const struct kt_msg_plugin_said *)body)->returned ? KT_PLUGIN_GAVE_UP
										 : KT_PLUGIN_JUDGED;
	} else {
		result.end = KT_PLUGIN_REFUSED;
		result.text = ((const struct kt_msg_plugin_refused *)body)->text;
	}
	kt_verdict_init(&verdict, &arena);
	kt_plugin_tell(&ask, &result, &verdict);
	for (const struct kt_verdict_detail *d = verdict.first; d; d = d->next)
		kt_must(!strchr(d->text, '\n'));
	kt_must(result.end == KT_PLUGIN_JUDGED ||
		kt_verdict_outcome(&verdict) == KT_VERDICT_INCONCLUSIVE);
	kt_verdict_finish(&verdict, &msg);
	kt_codec_encode(&kt_schema_verdict, &msg, &encoded);
	return 0;
}
