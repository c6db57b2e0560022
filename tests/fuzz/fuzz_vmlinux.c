/* layer: worker/introspect */
/* An ELF file out of anywhere: sections, symbols and type information are read within its bytes. */
#include "worker/introspect/klayout.h"

#include "proto/base/must.h"

#include <bpf/libbpf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kt_vmlinux vmlinux;
	struct kt_klayout klayout;
	struct kt_err err = { 0 };

	libbpf_set_print(NULL);
	if (kt_vmlinux_open(data, len, &vmlinux, &err)) {
		kt_must(err.fault == KT_FAULT_INPUT);
		/* The symbol table by itself, whatever is around it. */
		vmlinux = (struct kt_vmlinux){ .bytes = data, .len = len };
		vmlinux.rodata = vmlinux.loads[0] = (struct kt_vmlinux_range){
			.va = 0xffffffff82400000, .pa = 0x2400000, .bytes = data, .len = len
		};
		vmlinux.btf = vmlinux.rodata;
		vmlinux.n_loads = 1;
	}
	if (kt_klayout_open(&vmlinux, &klayout, &err))
		kt_must(err.fault == KT_FAULT_INPUT);
	else
		kt_klayout_destroy(&klayout);
	return 0;
}
