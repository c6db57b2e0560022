#include "proto/base/must.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kt_must_fail(const char *what, const char *file, int line, const char *function)
{
	fprintf(stderr, "BUG: %s is untrue in %s at %s:%d\n", what, function, file, line);
	abort();
}

void *kt_must_calloc(size_t n, size_t size)
{
	void *memory = calloc(n ? n : 1, size ? size : 1);

	kt_must(memory);
	return memory;
}

void *kt_must_realloc(void *memory, size_t n, size_t size)
{
	kt_must(size && n <= SIZE_MAX / size);
	memory = realloc(memory, n ? n * size : 1);
	kt_must(memory);
	return memory;
}

char *kt_must_strdup(const char *text)
{
	char *copy = strdup(text);

	kt_must(copy);
	return copy;
}

char *kt_must_asprintf(const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	kt_must(n >= 0);
	return text;
}
