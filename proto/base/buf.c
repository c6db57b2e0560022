#include "proto/base/buf.h"
#include "proto/base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t *kt_buf_reserve(struct kt_buf *buf, size_t len)
{
	size_t max = buf->max ? buf->max : SIZE_MAX / 2;
	size_t cap;

	if (len > max || buf->len > max - len) {
		buf->full = true;
		return NULL;
	}
	if (buf->len + len + 1 > buf->cap) {
		cap = buf->cap ? buf->cap : 64;
		while (cap < buf->len + len + 1)
			cap *= 2;
		buf->data = kt_must_realloc(buf->data, cap, 1);
		buf->cap = cap;
	}
	return buf->data + buf->len;
}

void kt_buf_append(struct kt_buf *buf, const void *bytes, size_t len)
{
	uint8_t *room = kt_buf_reserve(buf, len);

	if (!room)
		return;
	if (len)
		memcpy(room, bytes, len);
	buf->len += len;
	buf->data[buf->len] = 0;
}

void kt_buf_puts(struct kt_buf *buf, const char *text)
{
	kt_buf_append(buf, text, strlen(text));
}

void kt_buf_printf(struct kt_buf *buf, const char *format, ...)
{
	va_list args;
	va_list again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	kt_must(len >= 0);
	if (kt_buf_reserve(buf, (size_t)len)) {
		vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, again);
		buf->len += (size_t)len;
	}
	va_end(again);
}

void kt_buf_consume(struct kt_buf *buf, size_t len)
{
	kt_must(len <= buf->len);
	if (!len)
		return;
	memmove(buf->data, buf->data + len, buf->len - len);
	buf->len -= len;
	buf->data[buf->len] = 0;
}

void kt_buf_reset(struct kt_buf *buf)
{
	buf->len = 0;
	buf->full = false;
	if (buf->data)
		buf->data[0] = 0;
}

void kt_buf_destroy(struct kt_buf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->len = 0;
	buf->cap = 0;
}

/* Whoever used kt_buf_reserve() has added to len without writing the 0; there is room for it. */
const char *kt_buf_text(const struct kt_buf *buf)
{
	if (!buf->data)
		return "";
	buf->data[buf->len] = 0;
	return (const char *)buf->data;
}
