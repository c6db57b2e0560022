/* offer.h - what a host gives to guests: its own, less what it keeps for itself. Pure.
 *
 * The coordinator never grants more than that at the same time (HELLO: guest_cpus, mem_bytes). With overcommit the
 * guests' vCPUs may be more than the host's CPUs: they take turns. Scripted cells have no guests: they take nothing.
 */
#ifndef KT_OFFER_H
#define KT_OFFER_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define KT_OFFER_CPUS_MAX 65535

struct kt_offer {
	/* what is asked for */
	uint64_t reserve_cpus; /* that guests do not get */
	uint64_t reserve_mem_bytes;
	bool overcommit;
	uint64_t overcommit_cpus; /* vCPUs of all guests together; 0: as many as they want */
	bool scripted;
	/* what the host has */
	uint64_t cpus;
	uint64_t mem_bytes; /* that is available */
	/* what comes of it */
	uint64_t guest_cpus; /* 0: no bound */
	uint64_t guest_mem_bytes;
};

/* Fault INPUT when nothing would be left. */
int kt_offer_make(struct kt_offer *offer, struct kt_err *err);

/* "512M", "2G", "2GiB": a whole number of bytes, KiB, MiB or GiB. */
bool kt_offer_parse_size(const char *text, uint64_t *bytes);

#endif
