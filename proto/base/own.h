/* own.h - who owns what, visible in the code.
 *
 * Every owning local is declared with KT_AUTO(kt_x_destroy) and freed when its scope ends.
 * kt_take(&x) is the only way ownership leaves a scope; a `struct kt_x **x` parameter is the only
 * way it enters a function. Destructors have one shape, `void kt_x_destroy(struct kt_x **self_p)`:
 * they accept NULL and half-built objects and leave NULL behind.
 */
#ifndef KT_OWN_H
#define KT_OWN_H

#include <stdlib.h>
#include <unistd.h>

/* A local may be there only to be let go at the end of its scope: clang would call it unused. */
#define KT_AUTO(destroy) __attribute__((cleanup(destroy), unused))

/* Moves the pointer out of *p_, leaving NULL: the caller owns what it gets. */
#define kt_take(p_)                                             \
	({                                                      \
		__typeof__(p_) taken_from_ = (p_);              \
		__typeof__(*taken_from_) taken_ = *taken_from_; \
		*taken_from_ = NULL;                            \
		taken_;                                         \
	})

static inline void kt_own_free(void *memory_p)
{
	void **p = (void **)memory_p; /* the cast is for coordinator/toml.cpp */

	free(*p);
	*p = NULL;
}

/* For plain malloc'd memory and for file descriptors (-1 is "none"). */
#define KT_AUTO_FREE KT_AUTO(kt_own_free)
#define KT_AUTO_FD   KT_AUTO(kt_own_close)

static inline void kt_own_close(int *fd_p)
{
	if (*fd_p >= 0)
		close(*fd_p);
	*fd_p = -1;
}

static inline int kt_own_take_fd(int *fd_p)
{
	int fd = *fd_p;

	*fd_p = -1;
	return fd;
}

#endif
