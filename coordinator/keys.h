/* keys.h - `ktcoord keys`: who may connect to this coordinator (trust.h), for people.
 *
 * A running coordinator is told of every change: who is revoked is out at once. Two of these at the same time wait
 * for each other. All block; faults: INPUT, with what to do instead; HOST.
 */
#ifndef KT_KEYS_H
#define KT_KEYS_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stdio.h>

/* The coordinator's pair, or one in a file of its own (path): for a host that cannot make it itself. One that is there
 * stays: -EEXIST.
 */
int kt_keys_command_new(const char *state_dir, const char *path, FILE *out, struct kt_err *err);
/* key: a public key, or a file with it. role: NULL: work. Allowed just so already: nothing happens, 0. */
int kt_keys_command_allow(const char *state_dir, const char *name, const char *key,
			  const char *role, FILE *out, struct kt_err *err);
/* -ENOENT when no such name or key is in the list. */
int kt_keys_command_revoke(const char *state_dir, const char *name_or_key, FILE *out,
			   struct kt_err *err);
/* Prints what there is also when something is wrong with it; then the status says so. */
int kt_keys_command_list(const char *state_dir, bool json, FILE *out, struct kt_err *err);

#endif
