/* allow.h - the allow-list: which keys may connect, under which name, as what.
 *
 *	<public key> <role> <name> [# comment]
 *
 * One line per host; lines that begin with # and empty ones are kept as they are. Names are
 * [A-Za-z0-9_.-]+ and do not begin with '.' or '-'; a name and a key stand there once each. At most
 * KT_KEYS_MAX keys.
 */
#ifndef KT_ALLOW_H
#define KT_ALLOW_H

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/net/key.h"
#include "proto/role.h"

#include <uthash.h>

#define KT_ALLOW_LINE_BYTES_MAX 512
#define KT_ALLOW_FILE_BYTES_MAX (4u << 20)

struct kt_allowed {
	char key[KT_KEY_CHARS + 1];
	char name[KT_NAME_BYTES_MAX + 1];
	enum kt_role role;
	size_t line; /* in its file; 0: was added */
	char *comment; /* from its # on; NULL: none */
	char *before; /* lines without a key that stand above it, each with its newline */
	UT_hash_handle by_key;
	UT_hash_handle by_name;
	struct kt_allowed *prev; /* utlist.h */
	struct kt_allowed *next;
};

struct kt_allow {
	struct kt_allowed *list; /* in the order of the file */
	size_t n;
	struct kt_allowed *keys; /* the same, hashed twice */
	struct kt_allowed *names;
	struct kt_buf after; /* lines without a key at the end */
};

struct kt_allow *kt_allow_new(void);
void kt_allow_destroy(struct kt_allow **allow_p);

bool kt_allow_is_name(const char *name);
/* NULL: it is not in there. Borrowed. */
const struct kt_allowed *kt_allow_find(const struct kt_allow *allow, const char *key);
const struct kt_allowed *kt_allow_find_name(const struct kt_allow *allow, const char *name);
/* -EINVAL, fault INPUT: the key or the name is no such thing, or is there already, or there are too many. comment
 * (without #) may be NULL; what of it cannot stand in a line is left out.
 */
int kt_allow_add(struct kt_allow *allow, const char *key, enum kt_role role, const char *name,
		 const char *comment, struct kt_err *err);
/* By name or key; false: there is none. */
bool kt_allow_remove(struct kt_allow *allow, const char *name_or_key);

/* 0 or -EINVAL, fault INPUT, with file:line and what would be right. */
int kt_allow_parse(const char *file, const char *text, size_t len, struct kt_allow **allow,
		   struct kt_err *err);
void kt_allow_print(const struct kt_allow *allow, struct kt_buf *out);

/* A file that is not there is an empty list. One that others may write is refused (safefile.h). */
int kt_allow_read(const char *path, struct kt_allow **allow, struct kt_err *err);
int kt_allow_write(const char *path, const struct kt_allow *allow, struct kt_err *err);

#endif
