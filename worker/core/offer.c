#include "worker/core/offer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int kt_offer_make(struct kt_offer *offer, struct kt_err *err)
{
	if (offer->overcommit && offer->reserve_cpus)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "--overcommit and --reserve-cpus: keep one of them");
	if (!offer->overcommit && offer->reserve_cpus >= offer->cpus)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "--reserve-cpus %" PRIu64 " leaves guests nothing: this host has "
				  "%" PRIu64,
				  offer->reserve_cpus, offer->cpus);
	if (offer->reserve_mem_bytes >= offer->mem_bytes)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "--reserve-mem %" PRIu64 "M leaves guests nothing: %" PRIu64
				  " MiB are available",
				  offer->reserve_mem_bytes >> 20, offer->mem_bytes >> 20);
	offer->guest_cpus = offer->cpus - offer->reserve_cpus;
	if (offer->overcommit)
		offer->guest_cpus = offer->overcommit_cpus;
	else if (offer->scripted && !offer->reserve_cpus)
		offer->guest_cpus = 0;
	if (offer->guest_cpus > KT_OFFER_CPUS_MAX)
		offer->guest_cpus = KT_OFFER_CPUS_MAX;
	offer->guest_mem_bytes = offer->scripted && !offer->reserve_mem_bytes
					 ? UINT64_MAX
					 : offer->mem_bytes - offer->reserve_mem_bytes;
	return 0;
}

bool kt_offer_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMG";
	unsigned long long number;
	const char *unit;
	int shift;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno)
		return false;
	*bytes = number;
	if (!*end)
		return true;
	unit = strchr(units, *end);
	shift = unit ? 10 * (int)(unit - units + 1) : 0;
	if (!unit || (end[1] && strcmp(end + 1, "iB") != 0) || number > UINT64_MAX >> shift)
		return false;
	*bytes = number << shift;
	return true;
}
