/* layer: worker/introspect */
/* Type information and bytes both come from the guest: whatever they say, a value comes out that is
 * within its budget and that a reader of the frame accepts.
 */
#include "worker/introspect/bpfval.h"

#include "proto/base/must.h"
#include "worker/introspect/kbtf.h"

#include <bpf/libbpf.h>

#define BYTES 256u /* at the end of the input: the memory; before it: the types */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO(kt_kbtf_destroy) struct btf *btf = NULL;
	struct kt_bpfval_budget budget = { .bytes = 20000, .values = 4000, .work = 40000 };

	libbpf_set_print(NULL);
	if (len < BYTES || kt_kbtf_open(data, len - BYTES, &btf, NULL))
		return 0;
	for (uint32_t id = 0; id < btf__type_cnt(btf) && id < 64; id++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF encoded = { 0 };
		struct kt_bpfval_budget before = budget;
		struct kt_value value, back;

		if (kt_bpfval_decode(btf, id, data + len - BYTES, BYTES, &arena, &budget, &value))
			continue;
		kt_value_encode(&value, &encoded);
		kt_must(encoded.len <= before.bytes - budget.bytes);
		kt_must(!kt_value_decode(encoded.data, encoded.len, &arena, &back, NULL));
		kt_must(kt_value_equal(&value, &back));
	}
	return 0;
}
