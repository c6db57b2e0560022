#include "coordinator/words.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define BLANKS " \t\n"

/* One word from *at on, unquoted into `to`. False: a quote is open at the end. */
static bool take_word(const char **at, char *to)
{
	char quote = 0;

	for (; **at && (quote || !strchr(BLANKS, **at)); (*at)++) {
		char c = **at;

		if (quote && c == quote)
			quote = 0;
		else if (!quote && (c == '\'' || c == '"'))
			quote = c;
		else if (c == '\\' && quote != '\'' && (*at)[1])
			*to++ = *++(*at);
		else
			*to++ = c;
	}
	*to = 0;
	return !quote;
}

int kt_words_split(const char *line, struct kt_arena *arena, size_t n_max, const char ***words,
		   size_t *n, struct kt_err *err)
{
	const char *at = line + strspn(line, BLANKS);

	*n = 0;
	*words = kt_arena_alloc(arena, n_max, sizeof(**words));
	for (; *at; at += strspn(at, BLANKS)) {
		char *word = kt_arena_alloc(arena, strlen(at) + 1, 1);

		if (!take_word(&at, word))
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "'%.200s': a quote is not closed", line);
		if (*n == n_max)
			return kt_err_set(err, KT_FAULT_INPUT, E2BIG, "more than %zu words", n_max);
		(*words)[(*n)++] = word;
	}
	return *n ? 0 : kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%.200s' has no word", line);
}
