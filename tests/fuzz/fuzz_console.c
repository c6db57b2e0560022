/* layer: worker */
/* fuzz_console.c - whatever a guest prints: limits hold, nothing unprintable is shown, and it does not matter
 * in which pieces it comes.
 */
#include "proto/base/must.h"
#include "worker/console.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_shown(const struct kt_buf *text, size_t max)
{
	kt_must(text->len <= max);
	for (size_t i = 0; i < text->len; i++)
		kt_must(text->data[i] >= 0x20 || text->data[i] == '\n' || text->data[i] == '\t');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct kt_console whole;
	static struct kt_console bytewise;
	KT_AUTO_BUF tail = { 0 };

	kt_console_init(&whole);
	kt_console_init(&bytewise);
	kt_console_feed(&whole, data, len);
	for (size_t i = 0; i < len; i++)
		kt_console_feed(&bytewise, data + i, 1);
	kt_console_end(&whole);
	kt_console_end(&bytewise);
	kt_must(whole.panicked == bytewise.panicked);
	kt_must(strcmp(whole.panic_line, bytewise.panic_line) == 0);
	kt_must(strcmp(kt_buf_text(&whole.evidence), kt_buf_text(&bytewise.evidence)) == 0);
	check_shown(&whole.evidence, KT_CONSOLE_EVIDENCE_BYTES);
	kt_console_tail(&whole, 100, &tail);
	check_shown(&tail, 100);
	kt_console_destroy(&whole);
	kt_console_destroy(&bytewise);
	return 0;
}
