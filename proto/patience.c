#include "proto/patience.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

/* milliseconds */
struct row {
	int64_t base;
	int64_t per_cpu;
	int64_t per_unit;
	int64_t expected;
	int64_t expected_per_cpu;
};

#define TCG 0
#define KVM 1

static const struct row rows[KT_PATIENCE_N][2] = {
	/*                          TCG                             KVM                          */
	[KT_PATIENCE_BOOT] = { { 60000, 3000, 0, 3000, 300 }, { 30000, 300, 0, 1000, 10 } },
	[KT_PATIENCE_RESTORE] = { { 20000, 500, 0, 150, 10 }, { 10000, 100, 0, 150, 2 } },
	[KT_PATIENCE_FILES] = { { 20000, 0, 2000, 0, 0 }, { 10000, 0, 500, 0, 0 } },
	[KT_PATIENCE_LOAD] = { { 120000, 2000, 0, 0, 0 }, { 60000, 300, 0, 0, 0 } },
	[KT_PATIENCE_START] = { { 30000, 1000, 0, 0, 0 }, { 15000, 100, 0, 0, 0 } },
	[KT_PATIENCE_RUN] = { { 30000, 1000, 1000, 0, 0 }, { 15000, 100, 200, 0, 0 } },
	[KT_PATIENCE_PROBE] = { { 5000, 0, 0, 0, 0 }, { 2000, 0, 0, 0, 0 } },
	[KT_PATIENCE_STATS] = { { 400, 0, 0, 0, 0 }, { 200, 0, 0, 0, 0 } },
	[KT_PATIENCE_FREEZE] = { { 3000, 0, 0, 0, 0 }, { 1000, 0, 0, 0, 0 } },
	[KT_PATIENCE_UNLOAD] = { { 15000, 500, 0, 0, 0 }, { 5000, 50, 0, 0, 0 } },
	[KT_PATIENCE_LAST_WORDS] = { { 5000, 200, 0, 0, 0 }, { 3000, 20, 0, 0, 0 } },
};

int64_t kt_patience_ns(enum kt_patience what, bool kvm, uint64_t cpus, uint64_t units)
{
	const struct row *row;

	kt_must(what < KT_PATIENCE_N);
	kt_must(cpus <= 65535 && units <= UINT32_MAX);
	row = &rows[what][kvm ? KVM : TCG];
	return (row->base + row->per_cpu * (int64_t)cpus + row->per_unit * (int64_t)units) *
	       KT_NS_PER_MS;
}

int64_t kt_patience_expected_ns(enum kt_patience what, bool kvm, uint64_t cpus)
{
	const struct row *row;

	kt_must(what < KT_PATIENCE_N);
	row = &rows[what][kvm ? KVM : TCG];
	return (row->expected + row->expected_per_cpu * (int64_t)cpus) * KT_NS_PER_MS;
}
