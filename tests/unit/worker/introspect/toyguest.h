/* toyguest.h - a guest small enough to be built by hand, for the tests and fuzz targets of this layer.
 *
 * 4 MiB of RAM in a memfd. The first 16 KiB hold page tables (4 levels) that map all of it at TOY_BASE in two
 * pages of 2 MiB; what a test puts into the rest, it puts at an address from toy_alloc(). The kernel's layout
 * is invented: offsets below, no BTF but what struct_ops and enums need.
 */
#ifndef KT_TOYGUEST_H
#define KT_TOYGUEST_H

#include "proto/base/must.h"
#include "proto/base/own.h"
#include "worker/introspect/klayout.h"
#include "worker/introspect/pagewalk.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define TOY_BYTES       (4ull << 20)
#define TOY_BASE        0xffff888000000000ull
#define TOY_DATA        0x4000ull /* what toy_alloc() begins with */
#define TOY_PRESENT     1ull
#define TOY_LARGE       (1ull << 7)
#define TOY_MAP_BYTES   256
#define TOY_NODE_BYTES  576
#define TOY_ARRAY_VALUE 320

struct toy {
	uint8_t *ram; /* the file, mapped once more */
	int fd;
	uint64_t used;
	struct kt_gmem *gmem;
	struct kt_pagewalk pagewalk;
	struct kt_klayout layout;
};

static inline void toy_put64(struct toy *toy, uint64_t va, uint64_t value)
{
	memcpy(toy->ram + (va - TOY_BASE), &value, 8);
}

static inline void toy_put32(struct toy *toy, uint64_t va, uint32_t value)
{
	memcpy(toy->ram + (va - TOY_BASE), &value, 4);
}

static inline void toy_put(struct toy *toy, uint64_t va, const void *bytes, size_t len)
{
	memcpy(toy->ram + (va - TOY_BASE), bytes, len);
}

static inline uint64_t toy_alloc(struct toy *toy, size_t bytes)
{
	uint64_t va = TOY_BASE + toy->used;

	toy->used += (bytes + 63) & ~(size_t)63;
	kt_must(toy->used <= TOY_BYTES);
	return va;
}

static inline void toy_tables(struct toy *toy)
{
	uint64_t *top = (uint64_t *)(void *)toy->ram;

	top[TOY_BASE >> 39 & 511] = 0x1000 | TOY_PRESENT;
	top[512 + (TOY_BASE >> 30 & 511)] = 0x2000 | TOY_PRESENT;
	top[1024] = 0 | TOY_PRESENT | TOY_LARGE;
	top[1025] = 0x200000 | TOY_PRESENT | TOY_LARGE;
}

static inline struct kt_kbtf_member toy_member(uint32_t offset, uint32_t bytes, uint32_t elements)
{
	return (struct kt_kbtf_member){ offset, bytes, elements };
}

/* struct bpf_struct_ops_sched_ext_ops { char common[64]; struct sched_ext_ops data; } and the enums. */
static inline void toy_btf(struct toy *toy)
{
	struct btf *btf = btf__new_empty();
	int byte = btf__add_int(btf, "char", 1, 0);
	int common = btf__add_array(btf, byte, byte, 64);
	int ops = btf__add_struct(btf, "sched_ext_ops", 256);

	btf__add_struct(btf, "bpf_struct_ops_sched_ext_ops", 320);
	btf__add_field(btf, "common", common, 0, 0);
	btf__add_field(btf, "data", ops, 64 * 8, 0);
	btf__add_enum(btf, "bpf_map_type", 4);
	btf__add_enum_value(btf, "BPF_MAP_TYPE_UNSPEC", 0);
	btf__add_enum_value(btf, "BPF_MAP_TYPE_HASH", 1);
	btf__add_enum_value(btf, "BPF_MAP_TYPE_ARRAY", 2);
	btf__add_enum_value(btf, "BPF_MAP_TYPE_PERCPU_ARRAY", 6);
	btf__add_enum_value(btf, "BPF_MAP_TYPE_STRUCT_OPS", 26);
	btf__add_enum(btf, "scx_enable_state", 4);
	btf__add_enum_value(btf, "SCX_ENABLING", 0);
	btf__add_enum_value(btf, "SCX_ENABLED", 1);
	btf__add_enum_value(btf, "SCX_DISABLED", 3);
	toy->layout.btf = btf;
	toy->layout.map_type_enum = kt_kbtf_enum(btf, "bpf_map_type");
	toy->layout.scx_state_enum = kt_kbtf_enum(btf, "scx_enable_state");
}

static inline int toy_struct_ops_type(const struct toy *toy)
{
	return btf__find_by_name_kind(toy->layout.btf, "bpf_struct_ops_sched_ext_ops",
				      BTF_KIND_STRUCT);
}

static inline void toy_layout(struct toy *toy)
{
	struct kt_klayout *layout = &toy->layout;

	toy_btf(toy);
	layout->map_bytes = TOY_MAP_BYTES;
	layout->node_bytes = TOY_NODE_BYTES;
	layout->hz = 250;
	layout->at.idr_base = toy_member(16, 4, 0);
	layout->at.idr_head = toy_member(8, 8, 0);
	layout->at.node_shift = toy_member(0, 1, 0);
	layout->at.node_slots = toy_member(40, 512, 64);
	layout->at.map_type = toy_member(24, 4, 0);
	layout->at.map_key_size = toy_member(28, 4, 0);
	layout->at.map_value_size = toy_member(32, 4, 0);
	layout->at.map_max_entries = toy_member(36, 4, 0);
	layout->at.map_id = toy_member(40, 4, 0);
	layout->at.map_value_type = toy_member(44, 4, 0);
	layout->at.map_vmlinux_type = toy_member(48, 4, 0);
	layout->at.map_btf = toy_member(56, 8, 0);
	layout->at.map_name = toy_member(64, 16, 16);
	layout->at.array_elem_size = toy_member(TOY_MAP_BYTES, 4, 0);
	layout->at.array_value = toy_member(TOY_ARRAY_VALUE, 0, 0);
	layout->at.array_pptrs = toy_member(TOY_ARRAY_VALUE, 0, 0);
	layout->at.btf_data = toy_member(0, 8, 0);
	layout->at.btf_data_size = toy_member(8, 4, 0);
	layout->at.btf_id = toy_member(12, 4, 0);
	layout->at.struct_ops_data = toy_member(TOY_ARRAY_VALUE, 320, 0);
	layout->at.rq_nr_running = toy_member(0, 4, 0);
	layout->at.rq_clock = toy_member(8, 8, 0);
	layout->at.rq_curr = toy_member(16, 8, 0);
	layout->at.rq_idle = toy_member(24, 8, 0);
	layout->at.rq_scx_nr_running = toy_member(32, 4, 0);
	layout->at.rq_scx_flags = toy_member(36, 4, 0);
	layout->at.rq_scx_local_dsq_nr = toy_member(40, 4, 0);
	layout->at.sched_ops = toy_member(0, 256, 0);
	layout->at.sched_watchdog = toy_member(256, 8, 0);
	layout->at.sched_pcpu = toy_member(264, 8, 0);
	layout->at.pcpu_event_stats = toy_member(16, 24, 0);
	layout->events[0] = (struct kt_kbtf_named){ "SCX_EV_SELECT_CPU_FALLBACK", 0, 8 };
	layout->events[1] = (struct kt_kbtf_named){ "SCX_EV_OF_FOUR_BYTES", 8, 4 };
	layout->events[2] = (struct kt_kbtf_named){ "SCX_EV_INSERT_NOT_OWNED", 16, 8 };
	layout->n_events = 3;
	layout->at.ops_name = toy_member(64, 128, 128);
	layout->at.ops_after_calls = toy_member(48, 4, 0);
	layout->sym.map_idr = toy_alloc(toy, 64);
	layout->sym.__per_cpu_offset = toy_alloc(toy, 8192);
	layout->sym.__cpu_possible_mask = toy_alloc(toy, 1024);
	layout->sym.runqueues = toy_alloc(toy, 256);
	layout->sym.scx_root = toy_alloc(toy, 8);
	layout->sym.scx_enable_state_var = toy_alloc(toy, 4);
	layout->sym.scx_watchdog_interval = toy_alloc(toy, 8);
	layout->sym.scx_watchdog_timestamp = toy_alloc(toy, 8);
	layout->sym.jiffies_64 = toy_alloc(toy, 8);
}

static inline void toy_destroy(struct toy *toy)
{
	kt_kbtf_destroy(&toy->layout.btf);
	kt_gmem_destroy(&toy->gmem);
	munmap(toy->ram, TOY_BYTES);
	close(toy->fd);
}

#define TOY_AUTO KT_AUTO(toy_destroy) struct toy

static inline void toy_init(struct toy *toy)
{
	char path[64];

	*toy = (struct toy){ .used = TOY_DATA };
	toy->fd = memfd_create("toyguest", MFD_CLOEXEC);
	kt_must(toy->fd >= 0);
	kt_must(!ftruncate(toy->fd, (off_t)TOY_BYTES));
	toy->ram = mmap(NULL, TOY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, toy->fd, 0);
	kt_must(toy->ram != MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", toy->fd);
	kt_must(!kt_gmem_open(path, TOY_BYTES, TOY_BYTES, &toy->gmem, NULL));
	toy_tables(toy);
	kt_pagewalk_init(&toy->pagewalk, toy->gmem, 0, 4);
	toy_layout(toy);
}

/* Two CPUs, whose per-CPU areas are `distance` apart. */
static inline void toy_cpus(struct toy *toy, uint64_t distance)
{
	toy_put64(toy, toy->layout.sym.__cpu_possible_mask, 3);
	toy_put64(toy, toy->layout.sym.__per_cpu_offset, 0);
	toy_put64(toy, toy->layout.sym.__per_cpu_offset + 8, distance);
}

/* An xarray node; returns the entry that points to it. */
static inline uint64_t toy_node(struct toy *toy, uint8_t shift)
{
	uint64_t va = toy_alloc(toy, TOY_NODE_BYTES);

	toy->ram[va - TOY_BASE] = shift;
	return va | 2;
}

static inline void toy_slot(struct toy *toy, uint64_t node, unsigned int slot, uint64_t entry)
{
	toy_put64(toy, (node & ~3ull) + 40 + slot * 8ull, entry);
}

/* A struct btf of the guest's with the raw bytes of ours. */
static inline uint64_t toy_guest_btf(struct toy *toy, const struct btf *btf, uint32_t id)
{
	uint32_t bytes;
	const void *raw = btf__raw_data(btf, &bytes);
	uint64_t data = toy_alloc(toy, bytes);
	uint64_t va = toy_alloc(toy, 64);

	toy_put(toy, data, raw, bytes);
	toy_put64(toy, va, data);
	toy_put32(toy, va + 8, bytes);
	toy_put32(toy, va + 12, id);
	return va;
}

struct toy_map {
	const char *name;
	uint32_t type;
	uint32_t value_size;
	uint32_t max_entries;
	uint32_t id;
	uint32_t value_type;
	uint32_t vmlinux_type;
	uint64_t btf_va;
};

/* A struct bpf_map with room for `room` bytes of values behind it. */
static inline uint64_t toy_map(struct toy *toy, const struct toy_map *map, size_t room)
{
	uint64_t va = toy_alloc(toy, TOY_ARRAY_VALUE + room);

	toy_put32(toy, va + 24, map->type);
	toy_put32(toy, va + 28, 4);
	toy_put32(toy, va + 32, map->value_size);
	toy_put32(toy, va + 36, map->max_entries);
	toy_put32(toy, va + 40, map->id);
	toy_put32(toy, va + 44, map->value_type);
	toy_put32(toy, va + 48, map->vmlinux_type);
	toy_put64(toy, va + 56, map->btf_va);
	toy_put(toy, va + 64, map->name, strlen(map->name));
	toy_put32(toy, va + TOY_MAP_BYTES, (map->value_size + 7) & ~7u);
	return va;
}

#endif
