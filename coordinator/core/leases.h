/* leases.h - SYNC in, STATE out: what is held is renewed, what is not is found, room is filled. */
#ifndef KT_LEASES_H
#define KT_LEASES_H

#include "coordinator/core/desk.h"

void kt_leases_sync(struct kt_dispatch *d, struct kt_host *host, const struct kt_msg_sync *sync,
		    struct kt_out *out);
void kt_leases_expire(struct kt_dispatch *d, struct kt_out *out);
/* Before anything else is done with the time of a tick. */
void kt_leases_forgive_absence(struct kt_dispatch *d);

#endif
