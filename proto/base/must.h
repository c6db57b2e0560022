/* must.h - internal misuse stops the program at once, always, in every build.
 *
 * External input never meets kt_must(): it meets kt_err. One condition each, so that the line
 * printed says what was untrue.
 */
#ifndef KT_MUST_H
#define KT_MUST_H

#include <stddef.h>

__attribute__((noreturn, cold)) void kt_must_fail(const char *what, const char *file, int line,
						  const char *function);

#define kt_must(cond_)                                                      \
	do {                                                                \
		if (__builtin_expect(!(cond_), 0))                          \
			kt_must_fail(#cond_, __FILE__, __LINE__, __func__); \
	} while (0)

/* Memory that is small and bounded: running out of it is not an error that a caller can handle. */
__attribute__((malloc, returns_nonnull)) void *kt_must_calloc(size_t n, size_t size);
__attribute__((returns_nonnull)) void *kt_must_realloc(void *memory, size_t n, size_t size);
__attribute__((malloc, returns_nonnull)) char *kt_must_strdup(const char *text);
__attribute__((malloc, returns_nonnull, format(printf, 1, 2))) char *kt_must_asprintf(
	const char *format, ...);

#endif
