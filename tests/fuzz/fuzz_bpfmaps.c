/* layer: worker/introspect */
/* A guest whose memory is the fuzzer's, page tables included: reading its maps and run queues ends, in
 * bounded time, with a tree that fits its frame.
 */
#include "worker/introspect/bpfmaps.h"

#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "tests/unit/worker/introspect/toyguest.h"
#include "worker/introspect/scxevents.h"

#include <bpf/libbpf.h>

#define BUDGET_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	TOY_AUTO toy;
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF encoded = { 0 };
	struct kt_bpfval_budget budget = { .bytes = BUDGET_BYTES, .values = 8192, .work = 200000 };
	struct kt_value tree, list, back;
	struct kt_scx scx;
	static struct kt_runqueue_cpus cpus;
	int64_t counts[KT_KLAYOUT_EVENTS_MAX];
	int64_t now_ns;

	libbpf_set_print(NULL);
	toy_init(&toy);
	memcpy(toy.ram, data, len < TOY_BYTES ? len : TOY_BYTES);
	if (kt_scx_read(&toy.pagewalk, &toy.layout, 0, &scx))
		return 0;
	{
		KT_AUTO(kt_bpfmaps_destroy)
		struct kt_bpfmaps *maps = kt_bpfmaps_new(&toy.pagewalk, &toy.layout, 0);

		if (!kt_bpfmaps_read(maps, &scx, &arena, &budget, &tree)) {
			kt_value_encode(&tree, &encoded);
			kt_must(encoded.len <= BUDGET_BYTES + 1024);
			kt_must(!kt_value_decode(encoded.data, encoded.len, &arena, &back, NULL));
			kt_must(kt_value_equal(&tree, &back));
		}
	}
	kt_runqueue_read(&toy.pagewalk, &toy.layout, 0, &arena, &list);
	kt_runqueue_cpus(&toy.pagewalk, &toy.layout, 0, &cpus);
	kt_scxevents_read(&toy.pagewalk, &toy.layout, 0, &scx, &cpus, counts);
	kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, 5 * KT_NS_PER_S, &now_ns, NULL);
	return 0;
}
