/* elsewhere.h - what stands against giving a cell that failed before to a host. Pure; says nothing of room and time.
 *
 *	failed	it failed there: last, or when it took that host down. Elsewhere first.
 *	crowds	it is one host short of being poison, or failed as often where there is no other host, and the host holds
 *		another such one: what shares a host with poison must not end with it, so no two of them are there at once.
 */
#ifndef KT_ELSEWHERE_H
#define KT_ELSEWHERE_H

#include "coordinator/core/fleet.h"

/* The cell was granted before. */
bool kt_elsewhere_failed(const struct kt_sweep *sweep, uint64_t cell, const char *host);
bool kt_elsewhere_crowds(const struct kt_sweep *sweep, const struct kt_host *host, uint64_t cell);

#endif
