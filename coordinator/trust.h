/* trust.h - the coordinator's key, its allow-list, and the proof that strangers stay outside.
 *
 *	<state>/keys/coordinator.key    the pair; `ktcoord keys new` makes it
 *	<state>/keys/allowed            the allow-list (proto/net/allow.h)
 *
 * The list is read again when the file has changed, at most once a second: whoever is no more in it is
 * out at once. One that cannot be read leaves the one before it in force, is told, and is tried again each second:
 * a key that was revoked while no descriptor was free must not stay.
 */
#ifndef KT_TRUST_H
#define KT_TRUST_H

#include "proto/net/endpoint.h"

#include <stdint.h>
#include <uv.h>

#define KT_TRUST_LOOK_NS     1000000000LL
#define KT_TRUST_PROOF_MS    5000 /* at most, for all endpoints; normally 10 */
#define KT_TRUST_KEY_NAME    "coordinator.key"
#define KT_TRUST_ALLOW_NAME  "allowed"
#define KT_TRUST_FOLDER_NAME "keys"

struct kt_trust;

/* Whether a coordinator that listens there needs keys. */
bool kt_trust_is_needed(const char *listen, bool asked);
/* To be freed. name: NULL: the folder. */
char *kt_trust_path(const char *state_dir, const char *name);
/* Whether kt_trust_open() would find key and list in order: before anything is prepared. */
int kt_trust_check(const char *state_dir, struct kt_err *err);
/* -ENOENT, fault INPUT, with the command that makes one, when there is no key yet. */
int kt_trust_open(uv_loop_t *loop, const char *state_dir, struct kt_trust **trust,
		  struct kt_err *err);
/* For kt_router_open(); lives as long as the trust does. */
const struct kt_guard *kt_trust_guard(const struct kt_trust *trust);
size_t kt_trust_n_allowed(const struct kt_trust *trust);
/* A throw-away key must be refused by every one of these endpoints (as bound), whose routers are in this loop and paused.
 * Turns the loop. -EACCES, fault HOST: one took it in, or nobody said no in time: do not start.
 */
int kt_trust_prove(struct kt_trust *trust, uv_loop_t *loop, const char *const *endpoints, size_t n,
		   struct kt_err *err);
/* True when there is another list now: then kt_router_recheck(). told: look even if it was looked at a moment ago. */
bool kt_trust_look(struct kt_trust *trust, int64_t now_ns, bool told);
/* After the routers that have its guard. */
void kt_trust_destroy(struct kt_trust **trust_p);

#endif
