/* suggest.h - "did you mean": the word that somebody probably meant.
 *
 * Used wherever a person's word is looked up in a closed list: matrix keys, patterns, axes, work
 * types, command names. Distance is Damerau's (insert, delete, replace, swap neighbours), upper and
 * lower case alike, '-' and '_' alike. Time is |word| * sum of |names|; words beyond
 * KT_NAME_BYTES_MAX get no suggestion.
 */
#ifndef KT_SUGGEST_H
#define KT_SUGGEST_H

#include "proto/base/buf.h"

#include <stddef.h>

/* The nearest of names[0..n), the first of equals, borrowed from names; NULL when none is near: more
 * than a third of the longer word would have to change, and neither begins with the other.
 */
const char *kt_suggest(const char *word, const char *const *names, size_t n);

/* What to print after "unknown x 'word'": "did you mean 'y'? known: a, b, y" or "known: a, b, y".
 * The list is cut after KT_SUGGEST_LIST_BYTES bytes with "and <n> more".
 */
#define KT_SUGGEST_LIST_BYTES 400
void kt_suggest_print(const char *word, const char *const *names, size_t n, struct kt_buf *out);

#endif
