/* layer: coordinator */
/* fuzz_words.c - any line is words, as many as are allowed and together no longer than it, or is refused. */
#include "coordinator/words.h"
#include "proto/base/must.h"

#include <stdint.h>
#include <string.h>

#define WORDS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_ARENA arena = { 0 };
	const char *line = kt_arena_copy(&arena, data, len);
	const char **words;
	struct kt_err err = { 0 };
	size_t bytes = 0;
	size_t n;

	if (kt_words_split(line, &arena, WORDS_MAX, &words, &n, &err) < 0) {
		kt_must(err.fault == KT_FAULT_INPUT);
		return 0;
	}
	kt_must(n > 0 && n <= WORDS_MAX);
	for (size_t i = 0; i < n; i++)
		bytes += strlen(words[i]) + 1;
	kt_must(bytes <= strlen(line) + 1);
	return 0;
}
