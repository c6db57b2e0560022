#include "worker/guest/gmap.h"
#include "worker/guest/gbtf.h"
#include "worker/guest/sysfile.h"

#include "proto/base/must.h"
#include "proto/cpuset.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPUS_POSSIBLE "/sys/devices/system/cpu/possible"
#define CANDIDATES    64 /* with one name: more is as bad as two */
#define VALUE_ALIGN   8 /* of a per-CPU map's values, between user space and kernel */

/* Maps whose entries are looked up by key and written by value. */
static const struct map_kind {
	uint32_t type;
	bool is_per_cpu;
} kinds[] = {
	{ BPF_MAP_TYPE_HASH, false },        { BPF_MAP_TYPE_ARRAY, false },
	{ BPF_MAP_TYPE_LRU_HASH, false },    { BPF_MAP_TYPE_PERCPU_HASH, true },
	{ BPF_MAP_TYPE_PERCPU_ARRAY, true }, { BPF_MAP_TYPE_LRU_PERCPU_HASH, true },
};

/* ---- what needs no kernel ---- */

bool kt_gmap_is_named(const char *wanted, const char *name)
{
	return strncmp(wanted, name, KT_GMAP_NAME_BYTES - 1) == 0;
}

int kt_gmap_choose(const char *wanted, const struct kt_gmap_candidate *candidates, size_t n,
		   struct kt_err *err)
{
	size_t n_running = 0;
	size_t last = 0;

	for (size_t i = 0; i < n; i++) {
		n_running += candidates[i].is_running;
		if (candidates[i].is_running)
			last = i;
	}
	if (n_running == 1)
		return (int)last;
	if (n == 1)
		return 0;
	if (n == 0)
		return kt_err_set(err, KT_FAULT_GUEST, ENOENT, "there is no map %.64s", wanted);
	return kt_err_set(err, KT_FAULT_GUEST, EAGAIN,
			  "%zu maps are meant by %.64s, %zu of them of a running scheduler: which?",
			  n, wanted, n_running);
}

int kt_gmap_pack(int64_t value, uint32_t bytes, uint8_t out[8], struct kt_err *err)
{
	int64_t min = bytes == 8 ? INT64_MIN : -(1LL << (8 * bytes - 1));
	int64_t max = bytes == 8 ? INT64_MAX : (1LL << (8 * bytes)) - 1;

	kt_must(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
	if (value < min || value > max)
		return kt_err_set(err, KT_FAULT_GUEST, ERANGE, "%lld does not fit into %u bytes",
				  (long long)value, bytes);
	memcpy(out, &value, bytes); /* little-endian: x86-64 */
	return 0;
}

static bool is_size(uint32_t bytes)
{
	return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

/* ---- bpf(2) ---- */

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	long result = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return result < 0 ? -errno : (int)result;
}

static int get_info(int fd, void *info, uint32_t bytes)
{
	union bpf_attr attr = {
		.info = { .bpf_fd = (uint32_t)fd, .info_len = bytes, .info = (uintptr_t)info }
	};

	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

static int open_map(uint32_t id, struct bpf_map_info *info)
{
	union bpf_attr attr = { .map_id = id };
	int fd = bpf(BPF_MAP_GET_FD_BY_ID, &attr);

	*info = (struct bpf_map_info){ 0 };
	if (fd >= 0 && get_info(fd, info, sizeof(*info)) < 0)
		kt_own_close(&fd);
	return fd;
}

/* Calls look for every map that there is; one that goes away meanwhile is left out. */
static int each_map(void (*look)(void *arg, const struct bpf_map_info *info), void *arg,
		    struct kt_err *err)
{
	union bpf_attr attr = { .start_id = 0 };

	for (int i = 0; i < KT_GMAP_MAPS_MAX; i++) {
		struct bpf_map_info info;
		int status = bpf(BPF_MAP_GET_NEXT_ID, &attr);
		KT_AUTO_FD int fd = -1;

		if (status == -ENOENT)
			return 0;
		if (status < 0)
			return kt_err_sys(err, KT_FAULT_GUEST, -status, "listing the BPF maps");
		attr.start_id = attr.next_id;
		fd = open_map(attr.start_id, &info);
		if (fd >= 0)
			look(arg, &info);
	}
	return 0;
}

struct search {
	const char *wanted;
	struct kt_gmap_candidate candidates[CANDIDATES];
	size_t n;
};

static void note_candidate(void *arg, const struct bpf_map_info *info)
{
	struct search *search = arg;
	struct kt_gmap_candidate *candidate = &search->candidates[search->n];

	if (search->n == CANDIDATES || !kt_gmap_is_named(search->wanted, info->name))
		return;
	candidate->id = info->id;
	candidate->btf_id = info->btf_id;
	candidate->is_running = false;
	memcpy(candidate->name, info->name, sizeof(candidate->name));
	search->n++;
}

static void note_running(void *arg, const struct bpf_map_info *info)
{
	struct search *search = arg;

	if (info->type != BPF_MAP_TYPE_STRUCT_OPS || !info->btf_id)
		return;
	for (size_t i = 0; i < search->n; i++)
		if (search->candidates[i].btf_id == info->btf_id)
			search->candidates[i].is_running = true;
}

/* An fd, and its info. */
static int find_map(const char *wanted, struct bpf_map_info *info, struct kt_err *err)
{
	struct search search = { .wanted = wanted };
	int status = each_map(note_candidate, &search, err);

	if (status == 0)
		status = each_map(note_running, &search, err);
	if (status == 0)
		status = kt_gmap_choose(wanted, search.candidates, search.n, err);
	if (status < 0)
		return status;
	status = open_map(search.candidates[status].id, info);
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "opening map %.64s", wanted);
	return status;
}

/* ---- a variable ---- */

static int read_btf(uint32_t id, struct kt_buf *bytes, struct kt_err *err)
{
	union bpf_attr attr = { .btf_id = id };
	struct bpf_btf_info info = { 0 };
	KT_AUTO_FD int fd = id ? bpf(BPF_BTF_GET_FD_BY_ID, &attr) : -ENOENT;
	int status = fd < 0 ? fd : get_info(fd, &info, sizeof(info));

	if (status == 0 && info.btf_size <= KT_GBTF_BYTES_MAX) {
		uint32_t size = info.btf_size;

		info = (struct bpf_btf_info){ .btf = (uintptr_t)kt_buf_reserve(bytes, size),
					      .btf_size = size };
		status = get_info(fd, &info, sizeof(info));
		bytes->len = size;
	}
	if (status < 0 || !bytes->len)
		return kt_err_sys(err, KT_FAULT_GUEST, status < 0 ? -status : EFBIG,
				  "the map has no BTF that tells its variables");
	return 0;
}

static void store(void *at, const uint8_t *value, uint32_t bytes)
{
	uint64_t number = 0;

	memcpy(&number, value, bytes);
	switch (bytes) {
	case 1:
		__atomic_store_n((uint8_t *)at, (uint8_t)number, __ATOMIC_SEQ_CST);
		break;
	case 2:
		__atomic_store_n((uint16_t *)at, (uint16_t)number, __ATOMIC_SEQ_CST);
		break;
	case 4:
		__atomic_store_n((uint32_t *)at, (uint32_t)number, __ATOMIC_SEQ_CST);
		break;
	default:
		__atomic_store_n((uint64_t *)at, number, __ATOMIC_SEQ_CST);
	}
}

static int write_mapped(int fd, const struct bpf_map_info *info, const struct kt_gbtf_var *var,
			const uint8_t *value, struct kt_err *err)
{
	uint8_t *memory;

	if (!(info->map_flags & BPF_F_MMAPABLE))
		return kt_err_set(err, KT_FAULT_GUEST, ENOTTY,
				  "the map cannot be mapped: its variables cannot be written "
				  "without a race with the scheduler");
	if (var->offset % var->bytes || var->offset + var->bytes > info->value_size)
		return kt_err_set(err, KT_FAULT_GUEST, EPROTO, "the variable is not in the map");
	memory = mmap(NULL, info->value_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return kt_err_sys(err, KT_FAULT_GUEST, errno,
				  "mapping the map for writing (.rodata never can be)");
	store(memory + var->offset, value, var->bytes);
	munmap(memory, info->value_size);
	return 0;
}

static int write_variable(int fd, const struct bpf_map_info *info, const struct kt_msg_op *op,
			  struct kt_err *err)
{
	KT_AUTO_BUF btf = { 0 };
	struct kt_gbtf_var var;
	uint8_t value[8];
	int status = read_btf(info->btf_id, &btf, err);

	if (status == 0)
		status = kt_gbtf_find(btf.data, btf.len, info->btf_value_type_id, op->variable,
				      &var, err);
	if (status == 0)
		status = kt_gmap_pack(op->value, var.bytes, value, err);
	return status < 0 ? status : write_mapped(fd, info, &var, value, err);
}

/* ---- an entry ---- */

static const struct map_kind *kind_of(const struct bpf_map_info *info)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].type == info->type)
			return &kinds[i];
	return NULL;
}

static int count_possible(uint32_t *n, struct kt_err *err)
{
	char text[KT_CPUSET_TEXT_BYTES];
	struct kt_cpuset possible;
	int status = kt_sysfile_read(CPUS_POSSIBLE, text, sizeof(text));

	if (status < 0 || kt_cpuset_parse(text, &possible) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, status < 0 ? -status : EINVAL,
				  "reading " CPUS_POSSIBLE);
	*n = kt_cpuset_count(&possible);
	return 0;
}

static int update(int fd, const uint8_t *key, const void *value, struct kt_err *err)
{
	union bpf_attr attr = { .map_fd = (uint32_t)fd,
				.key = (uintptr_t)key,
				.value = (uintptr_t)value,
				.flags = BPF_ANY };
	int status = bpf(BPF_MAP_UPDATE_ELEM, &attr);

	return status < 0 ? kt_err_sys(err, KT_FAULT_GUEST, -status, "writing the entry") : 0;
}

static int write_entry(int fd, const struct bpf_map_info *info, const struct kt_msg_op *op,
		       struct kt_err *err)
{
	const struct map_kind *kind = kind_of(info);
	uint8_t values[VALUE_ALIGN * (KT_GUEST_CPUS_MAX + 1)] = { 0 };
	uint8_t key[8];
	uint32_t n = 1;
	int status = 0;

	if (!kind)
		return kt_err_set(err, KT_FAULT_GUEST, EINVAL,
				  "entries of a map of type %u cannot be written", info->type);
	if (!is_size(info->key_size) || !is_size(info->value_size))
		return kt_err_set(err, KT_FAULT_GUEST, EINVAL,
				  "its keys have %u bytes and its values %u: only numbers of 1, 2, "
				  "4 or 8 bytes can be written; of a .bss or .data map a variable",
				  info->key_size, info->value_size);
	if (kind->is_per_cpu)
		status = count_possible(&n, err);
	if (status == 0)
		status = kt_gmap_pack(op->key, info->key_size, key, err);
	/* every CPU's own */
	for (uint32_t i = 0; status == 0 && i < n; i++)
		status = kt_gmap_pack(op->value, info->value_size, values + VALUE_ALIGN * i, err);
	return status < 0 ? status : update(fd, key, values, err);
}

int kt_gmap_write(const struct kt_msg_op *op, struct kt_err *err)
{
	struct bpf_map_info info;
	KT_AUTO_FD int fd = find_map(op->name, &info, err);
	int status;

	if (fd < 0)
		return fd;
	if (op->variable[0])
		status = write_variable(fd, &info, op, err);
	else
		status = write_entry(fd, &info, op, err);
	return status;
}
