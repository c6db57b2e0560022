#include "worker/guest/logtail.h"
#include "proto/base/must.h"

#include <string.h>

static void put_line(void *arg, const char *line, size_t len)
{
	struct kt_logtail *tail = arg;

	kt_buf_append(&tail->text, line, len);
	kt_buf_puts(&tail->text, "\n");
	if (tail->text.len > 2 * KT_LOGTAIL_BYTES_MAX)
		kt_buf_consume(&tail->text, tail->text.len - KT_LOGTAIL_BYTES_MAX);
}

static void to_outer(void *arg, const char *line, size_t len)
{
	struct kt_logtail *tail = arg;

	kt_logcycle_take(&tail->outer, line, len);
}

void kt_logtail_init(struct kt_logtail *tail)
{
	*tail = (struct kt_logtail){ 0 };
	kt_logcycle_init(&tail->inner, to_outer, tail);
	kt_logcycle_init(&tail->outer, put_line, tail);
}

void kt_logtail_destroy(struct kt_logtail *tail)
{
	kt_buf_destroy(&tail->line);
	kt_logcycle_destroy(&tail->inner);
	kt_logcycle_destroy(&tail->outer);
	kt_buf_destroy(&tail->text);
}

void kt_logtail_reset(struct kt_logtail *tail)
{
	void (*look)(void *arg, const char *line) = tail->look;
	void *arg = tail->arg;

	kt_logtail_destroy(tail);
	kt_logtail_init(tail);
	tail->look = look;
	tail->arg = arg;
}

static void end_line(struct kt_logtail *tail)
{
	struct kt_buf *line = &tail->line;

	for (size_t i = 0; i < line->len; i++)
		if (!line->data[i])
			line->data[i] = '?';
	if (tail->look)
		tail->look(tail->arg, kt_buf_text(line));
	kt_logcycle_take(&tail->inner, kt_buf_text(line), line->len);
	kt_buf_reset(line);
}

void kt_logtail_append(struct kt_logtail *tail, const void *bytes, size_t len)
{
	const char *at = bytes;
	const char *end = at + len;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t room = KT_LOGTAIL_LINE_BYTES_MAX - tail->line.len;
		size_t piece = (size_t)((newline ? newline : end) - at);

		kt_buf_append(&tail->line, at, piece < room ? piece : room);
		at += piece < room ? piece : room;
		if (piece >= room || newline)
			end_line(tail);
		if (at == newline)
			at++;
	}
}

/* What is held back comes out: whoever looks wants all of it. */
static void settle(struct kt_logtail *tail)
{
	if (tail->line.len)
		end_line(tail);
	kt_logcycle_flush(&tail->inner);
	kt_logcycle_flush(&tail->outer);
}

void kt_logtail_collapse(struct kt_logtail *tail, size_t max, struct kt_buf *out)
{
	const struct kt_buf *text = &tail->text;
	const uint8_t *newline;
	size_t cut = 0;

	settle(tail);
	if (text->len > max) {
		cut = text->len - max;
		newline = memchr(text->data + cut, '\n', text->len - cut);
		if (newline && newline + 1 < text->data + text->len)
			cut = (size_t)(newline + 1 - text->data);
	}
	if (text->len)
		kt_buf_append(out, text->data + cut, text->len - cut);
}

void kt_logtail_last_line(struct kt_logtail *tail, char *line, size_t room)
{
	const char *text;
	size_t begin;
	size_t end;

	kt_must(room > 0);
	settle(tail);
	text = kt_buf_text(&tail->text);
	end = tail->text.len;
	while (end && (text[end - 1] == '\n' || text[end - 1] == ' '))
		end--;
	begin = end;
	while (begin && text[begin - 1] != '\n')
		begin--;
	if (end - begin > room - 1)
		end = begin + room - 1;
	memcpy(line, text + begin, end - begin);
	line[end - begin] = 0;
}
