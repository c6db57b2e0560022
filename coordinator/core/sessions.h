/* sessions.h - who is in: HELLO, BYE, silence. */
#ifndef KT_SESSIONS_H
#define KT_SESSIONS_H

#include "coordinator/core/desk.h"

void kt_sessions_hello(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out);
void kt_sessions_bye(struct kt_dispatch *d, struct kt_host *host, struct kt_out *out);
/* Its name may come back from elsewhere; its leases expire by their own time. */
void kt_sessions_forget(struct kt_dispatch *d, uint64_t peer);
void kt_sessions_forget_silent(struct kt_dispatch *d);

#endif
