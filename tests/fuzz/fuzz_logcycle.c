/* layer: worker/guest */
/* fuzz_logcycle.c - whatever lines come in: what comes out, with its repetitions written out, is what came in. Where
 * register states were left out ("with other values") that cannot be known, and is not asked.
 */
#include "proto/base/must.h"
#include "worker/guest/logcycle.h"

#include <stdio.h>
#include <string.h>

#define LINES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct written {
	struct kt_buf text;
	size_t begins[LINES_MAX + 1]; /* of its lines; the last one is the end */
	size_t n;
	bool too_much;
};

static void add(struct written *written, const char *line, size_t len)
{
	if (written->n == LINES_MAX) {
		written->too_much = true;
		return;
	}
	kt_buf_append(&written->text, line, len);
	kt_buf_puts(&written->text, "\n");
	written->begins[++written->n] = written->text.len;
}

static void write_out(void *arg, const char *line, size_t len)
{
	struct written *written = arg;
	char copy[128];
	size_t period = 1;
	size_t times;

	snprintf(copy, sizeof(copy), "%.*s", (int)len, line);
	if (strstr(copy, "other values"))
		written->too_much = true;
	if (sscanf(copy, "[the line above %zu more times]", &times) != 1 &&
	    sscanf(copy, "[the %zu lines above %zu more times]", &period, &times) != 2) {
		add(written, line, len);
		return;
	}
	kt_must(period >= 1 && period <= KT_LOGCYCLE_LINES_MAX && period <= written->n);
	for (size_t i = 0; i < times * period && !written->too_much; i++) {
		size_t at = written->begins[written->n - period];
		size_t end = written->begins[written->n - period + 1];
		KT_AUTO_BUF again = { 0 };

		kt_buf_append(&again, written->text.data + at, end - at - 1);
		add(written, kt_buf_text(&again), again.len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct written written;
	struct kt_logcycle cycle;
	KT_AUTO_BUF in = { 0 };
	const char *at;

	kt_buf_append(&in, data, len);
	kt_buf_puts(&in, "\n");
	/* what looks like our own words, or ends a text, cannot be told from them */
	if (memmem(in.data, in.len, "[the ", 5) || memchr(data, 0, len))
		return 0;
	kt_buf_reset(&written.text);
	written.n = 0;
	written.too_much = false;
	kt_logcycle_init(&cycle, write_out, &written);
	for (at = kt_buf_text(&in); *at; at = strchr(at, '\n') + 1)
		kt_logcycle_take(&cycle, at, strcspn(at, "\n"));
	kt_logcycle_flush(&cycle);
	if (!written.too_much)
		kt_must(strcmp(kt_buf_text(&written.text), kt_buf_text(&in)) == 0);
	kt_logcycle_destroy(&cycle);
	return 0;
}
