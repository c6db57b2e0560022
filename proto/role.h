/* role.h - what a key in the allow-list may do: one row per role. */
#ifndef KT_ROLE_H
#define KT_ROLE_H

#include <stdbool.h>

/* name, what it may; `submit` will follow */
#define KT_ROLES(X)                                                          \
	X(WORK, "work", "a host: takes leases, fetches artifacts, delivers") \
	X(OBSERVE, "observe", "may connect; is given neither work nor artifacts")

enum kt_role {
#define X(name_, text_, what_) KT_ROLE_##name_,
	KT_ROLES(X)
#undef X
		KT_ROLE_N
};

extern const char *const kt_role_names[KT_ROLE_N];

const char *kt_role_name(enum kt_role role);
/* False when there is no such role. */
bool kt_role_by_name(const char *name, enum kt_role *role);

#endif
