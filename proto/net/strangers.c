#include "proto/net/strangers.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

struct kt_strangers_one {
	char id[KT_STRANGERS_ID_BYTES];
	int64_t again_at_ns;
	UT_hash_handle hh;
};

static void forget(struct kt_strangers *strangers, struct kt_strangers_one *one)
{
	HASH_DEL(strangers->table, one);
	free(one);
}

/* Whoever comes goes to the end: the first is the one that was not here longest. */
static struct kt_strangers_one *remember(struct kt_strangers *strangers, const char *id)
{
	char key[KT_STRANGERS_ID_BYTES];
	struct kt_strangers_one *one;

	snprintf(key, sizeof(key), "%s", id);
	HASH_FIND_STR(strangers->table, key, one);
	if (one) {
		HASH_DEL(strangers->table, one);
	} else {
		if (HASH_COUNT(strangers->table) >= KT_STRANGERS_MAX)
			forget(strangers, strangers->table);
		one = kt_must_calloc(1, sizeof(*one));
		memcpy(one->id, key, sizeof(key));
	}
	HASH_ADD_STR(strangers->table, id, one);
	return one;
}

/* A leaky bucket, told by the moment at which it is empty. */
static bool may_speak(struct kt_strangers *strangers, int64_t now_ns)
{
	int64_t from_ns = strangers->full_at_ns > now_ns ? strangers->full_at_ns : now_ns;

	if (from_ns - now_ns >= KT_STRANGERS_BURST * KT_NS_PER_S)
		return false;
	strangers->full_at_ns = from_ns + KT_NS_PER_S;
	return true;
}

bool kt_strangers_tell(struct kt_strangers *strangers, int64_t now_ns, const char *id,
		       uint64_t *n_untold)
{
	struct kt_strangers_one *one = remember(strangers, id);

	if (one->again_at_ns > now_ns || !may_speak(strangers, now_ns)) {
		strangers->n_untold++;
		return false;
	}
	one->again_at_ns = now_ns + KT_STRANGERS_AGAIN_NS;
	*n_untold = strangers->n_untold;
	strangers->n_untold = 0;
	return true;
}

void kt_strangers_destroy(struct kt_strangers *strangers)
{
	while (strangers->table)
		forget(strangers, strangers->table);
}
