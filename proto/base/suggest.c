#include "proto/base/suggest.h"
#include "proto/base/limits.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static char fold(char c)
{
	return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Three rows of the classic table: two back for the swap of neighbours. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t rows[3][KT_NAME_BYTES_MAX + 1];

	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *row = rows[i % 3];
		const size_t *up = rows[(i + 2) % 3];
		const size_t *up2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			bool same = fold(a[i - 1]) == fold(b[j - 1]);

			row[j] = least(least(up[j], row[j - 1]) + 1, up[j - 1] + !same);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
			    fold(a[i - 2]) == fold(b[j - 1]))
				row[j] = least(row[j], up2[j - 2] + 1);
		}
	}
	return rows[n_a % 3][n_b];
}

static bool begins_with(const char *text, const char *start, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (fold(text[i]) != fold(start[i])) /* a shorter text differs at its 0 */
			return false;
	return true;
}

const char *kt_suggest(const char *word, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t best_distance = SIZE_MAX;
	size_t len = strlen(word);

	if (len == 0 || len > KT_NAME_BYTES_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t name_len = strlen(names[i]);
		size_t longer = name_len > len ? name_len : len;
		size_t d;
		bool near;

		if (name_len == 0 || name_len > KT_NAME_BYTES_MAX)
			continue;
		d = distance(word, len, names[i], name_len);
		near = d <= (longer + 2) / 3 && d < longer;
		/* "dispatched_n" is far from "dispatched", yet surely meant */
		if (!near && least(len, name_len) >= 3)
			near = begins_with(longer == len ? word : names[i],
					   longer == len ? names[i] : word, least(len, name_len));
		if (near && d < best_distance) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

void kt_suggest_print(const char *word, const char *const *names, size_t n, struct kt_buf *out)
{
	const char *near = kt_suggest(word, names, n);
	size_t bytes = 0;

	if (near)
		kt_buf_printf(out, "did you mean '%s'? ", near);
	kt_buf_puts(out, n ? "known: " : "there is none");
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		if (i && bytes + len > KT_SUGGEST_LIST_BYTES) {
			kt_buf_printf(out, " and %zu more", n - i);
			return;
		}
		/* One name of absurd length may not flood the line either. */
		kt_buf_printf(out, "%s%.*s", i ? ", " : "", KT_NAME_BYTES_MAX, names[i]);
		bytes += len + 2;
	}
}
