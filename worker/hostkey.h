/* hostkey.h - this host's key: `ktworker key`, and what --key and --server-key name. */
#ifndef KT_HOSTKEY_H
#define KT_HOSTKEY_H

#include "proto/net/endpoint.h"

#define KT_HOSTKEY_NAME "host.key" /* below the state folder, unless told otherwise */

/* `ktworker key`: makes the pair unless it is there, prints what the coordinator needs. path: NULL: below state_dir.
 * Returns 0 or -errno. Blocks.
 */
int kt_hostkey_command(const char *state_dir, const char *path, const char *host_name,
		       struct kt_err *err);

struct kt_hostkey {
	struct kt_key key;
	char server_key[KT_KEY_CHARS + 1];
	struct kt_guard guard; /* of the two; all zero: no keys */
};

/* Loads what the options name; both NULL: none, which is right for local endpoints only. key_path NULL with a
 * server_key: the key below state_dir. Faults: INPUT, with what to do.
 */
int kt_hostkey_load(struct kt_hostkey *hostkey, const char *state_dir, const char *endpoint,
		    const char *key_path, const char *server_key, struct kt_err *err);
const struct kt_guard *kt_hostkey_guard(const struct kt_hostkey *hostkey); /* NULL: no keys */
void kt_hostkey_wipe(struct kt_hostkey *hostkey);

#endif
