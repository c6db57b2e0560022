/* orders.h - what operators ask of a running sweep.
 *
 *	drain	the host finishes what it holds and gets nothing more; it stays connected
 *	cancel	cells have their end now; guests that run for them are told to die, as often as it takes
 *	revoke	a host whose key is no longer allowed is thrown out, its cells go elsewhere
 */
#ifndef KT_ORDERS_H
#define KT_ORDERS_H

#include "coordinator/core/desk.h"

void kt_orders_drain(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out);
void kt_orders_cancel(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out);
void kt_orders_revoked(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out);

#endif
