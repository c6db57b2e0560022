#include "proto/role.h"
#include "proto/base/must.h"

#include <string.h>

const char *const kt_role_names[KT_ROLE_N] = {
#define X(name_, text_, what_) [KT_ROLE_##name_] = text_,
	KT_ROLES(X)
#undef X
};

const char *kt_role_name(enum kt_role role)
{
	kt_must(role < KT_ROLE_N);
	return kt_role_names[role];
}

bool kt_role_by_name(const char *name, enum kt_role *role)
{
	for (int i = 0; i < KT_ROLE_N; i++) {
		if (strcmp(kt_role_names[i], name) != 0)
			continue;
		*role = (enum kt_role)i;
		return true;
	}
	return false;
}
