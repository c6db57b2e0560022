#include "worker/guest/logtail.h"
#include "proto/base/must.h"

#include <string.h>

void kt_logtail_append(struct kt_buf *tail, const void *bytes, size_t len)
{
	const char *from = bytes;

	if (len > KT_LOGTAIL_BYTES_MAX) {
		from += len - KT_LOGTAIL_BYTES_MAX;
		len = KT_LOGTAIL_BYTES_MAX;
	}
	if (tail->len + len > 2 * KT_LOGTAIL_BYTES_MAX)
		kt_buf_consume(tail, tail->len + len - KT_LOGTAIL_BYTES_MAX);
	kt_buf_append(tail, from, len);
}

static void put_line(struct kt_buf *out, const char *line, size_t len, size_t repeats)
{
	for (size_t i = 0; i < len; i++)
		kt_buf_append(out, line[i] ? &line[i] : "?", 1);
	kt_buf_puts(out, "\n");
	if (repeats)
		kt_buf_printf(out, "[the line above %zu more time%s]\n", repeats,
			      repeats == 1 ? "" : "s");
}

void kt_logtail_collapse(const struct kt_buf *tail, size_t max, struct kt_buf *out)
{
	KT_AUTO_BUF lines = { 0 };
	const char *at = kt_buf_text(tail);
	const char *end = at + tail->len;
	const char *previous = NULL;
	size_t previous_len = 0;
	size_t repeats = 0;
	size_t cut = 0;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline ? newline : end) - at);

		if (previous && len == previous_len && memcmp(at, previous, len) == 0) {
			repeats++;
		} else {
			if (previous)
				put_line(&lines, previous, previous_len, repeats);
			previous = at;
			previous_len = len;
			repeats = 0;
		}
		at += len + 1;
	}
	if (previous)
		put_line(&lines, previous, previous_len, repeats);
	if (lines.len > max) {
		const uint8_t *newline;

		cut = lines.len - max;
		newline = memchr(lines.data + cut, '\n', lines.len - cut);
		if (newline && newline + 1 < lines.data + lines.len)
			cut = (size_t)(newline + 1 - lines.data);
	}
	if (lines.len)
		kt_buf_append(out, lines.data + cut, lines.len - cut);
}

void kt_logtail_last_line(const struct kt_buf *tail, char *line, size_t room)
{
	const char *text = kt_buf_text(tail);
	size_t end = tail->len;
	size_t begin;

	kt_must(room > 0);
	while (end && (text[end - 1] == '\n' || text[end - 1] == ' '))
		end--;
	begin = end;
	while (begin && text[begin - 1] != '\n')
		begin--;
	if (end - begin > room - 1)
		end = begin + room - 1;
	memcpy(line, text + begin, end - begin);
	line[end - begin] = 0;
	for (size_t i = 0; i < end - begin; i++)
		if (!line[i])
			line[i] = '?';
}
