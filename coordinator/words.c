#include "coordinator/words.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define BLANKS " \t\n"

/* One word from *at on, unquoted to *to and closed by a 0. False: a quote is open at the end. */
static bool take_word(const char **at, char **to_p)
{
	char *to = *to_p;
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
	*to++ = 0;
	*to_p = to;
	return !quote;
}

int kt_words_split(const char *line, struct kt_arena *arena, size_t n_max, const char ***words,
		   size_t *n, struct kt_err *err)
{
	const char *at = line + strspn(line, BLANKS);
	/* No word is longer than what it is made of and the blank or the end behind it. */
	char *to = kt_arena_alloc(arena, strlen(line) + 1, 1);

	*n = 0;
	*words = kt_arena_alloc(arena, n_max, sizeof(**words));
	for (; *at; at += strspn(at, BLANKS)) {
		const char *word = to;

		if (!take_word(&at, &to))
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "'%.200s': a quote is not closed", line);
		if (*n == n_max)
			return kt_err_set(err, KT_FAULT_INPUT, E2BIG, "more than %zu words", n_max);
		(*words)[(*n)++] = word;
	}
	return *n ? 0 : kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%.200s' has no word", line);
}
