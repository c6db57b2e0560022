#include "worker/introspect/introspect.h"

#include "proto/base/must.h"
#include "worker/introspect/bpfmaps.h"
#include "worker/introspect/ktext.h"
#include "worker/introspect/locate.h"
#include "worker/introspect/runqueue.h"
#include "worker/introspect/scxevents.h"
#include "worker/introspect/vmcache.h"

#include <bpf/libbpf.h>

#include <errno.h>
#include <string.h>

#define BANNER_BYTES_MAX 512
#define RELEASE_BYTES    128
#define AXIS_BYTES_MAX   (KT_SAMPLE_BYTES_MAX / 2)
#define AXIS_HEAD_BYTES  1024 /* the axis' own fields, the scheduler's name */
#define AXIS_VALUES_MAX  (KT_WIRE_NODES_MAX / 4)
#define AXIS_WORK_MAX    (4 * KT_WIRE_NODES_MAX) /* some 50 ms at worst */

struct kt_introspect_kernel {
	struct kt_vmcache file;
	struct kt_vmlinux vmlinux;
	struct kt_klayout klayout;
	struct kt_locate_kernel where;
	char release[RELEASE_BYTES];
};

struct kt_introspect {
	const struct kt_introspect_kernel *kernel;
	struct kt_pagewalk pagewalk;
	struct kt_locate_found found;
	struct kt_bpfmaps *bpfmaps;
	/* Of the look that is under way: too large for a stack. */
	struct kt_runqueue_cpus cpus;
	struct kt_runqueue queues[KT_RUNQUEUE_CPUS_MAX];
};

_Static_assert(KT_INTROSPECT_EVENTS_MAX == KT_KLAYOUT_EVENTS_MAX,
	       "one table, one header without it");

/* "Linux version 7.2.13+deb14-cloud-amd64 (...": the third word is the release. */
static int read_banner(struct kt_introspect_kernel *kernel, struct kt_err *err)
{
	const struct kt_klayout *layout = &kernel->klayout;
	struct kt_locate_kernel *where = &kernel->where;
	const char *banner = NULL;
	size_t len = BANNER_BYTES_MAX, release;

	for (; len > 64 && !banner; len /= 2)
		banner = (const char *)kt_vmlinux_at(&kernel->vmlinux, layout->sym.linux_banner,
						     len);
	len *= 2;
	if (!banner || strncmp(banner, "Linux version ", 14) != 0 || strnlen(banner, len) == len ||
	    !kt_vmlinux_pa(&kernel->vmlinux, layout->sym.linux_banner, &where->banner_pa) ||
	    !kt_vmlinux_pa(&kernel->vmlinux, layout->sym.init_top_pgt, &where->top_pgt_pa))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "its banner or page tables are not where its symbols say");
	where->banner_va = layout->sym.linux_banner;
	where->top_pgt_va = layout->sym.init_top_pgt;
	where->banner = banner;
	where->banner_len = strlen(banner) + 1;
	release = strcspn(banner + 14, " \n");
	if (release >= sizeof(kernel->release))
		release = sizeof(kernel->release) - 1;
	memcpy(kernel->release, banner + 14, release);
	return 0;
}

bool kt_introspect_kernel_find(const struct kt_digest *digest, const char *cache_dir, char *path,
			       size_t size)
{
	return kt_vmcache_find(digest, cache_dir, path, size);
}

int kt_introspect_kernel_open(const char *image, const struct kt_digest *digest,
			      const char *cache_dir, struct kt_introspect_kernel **kernel_p,
			      struct kt_err *err)
{
	KT_AUTO(kt_introspect_kernel_destroy)
	struct kt_introspect_kernel *kernel = kt_must_calloc(1, sizeof(*kernel));
	int rc;

	/* libbpf would print what it thinks of a guest's BTF on our stderr. */
	libbpf_set_print(NULL);
	rc = kt_vmcache_open(image, digest, cache_dir, &kernel->file, err);
	if (!rc)
		rc = kt_vmlinux_open(kernel->file.bytes, kernel->file.len, &kernel->vmlinux, err);
	if (!rc)
		rc = kt_klayout_open(&kernel->vmlinux, &kernel->klayout, err);
	if (!rc)
		rc = read_banner(kernel, err);
	if (rc)
		return kt_err_wrap(err, "kernel image %s", image);
	*kernel_p = kt_take(&kernel);
	return 0;
}

void kt_introspect_kernel_destroy(struct kt_introspect_kernel **kernel_p)
{
	struct kt_introspect_kernel *kernel = *kernel_p;

	if (!kernel)
		return;
	kt_klayout_destroy(&kernel->klayout);
	kt_vmcache_destroy(&kernel->file);
	free(kernel);
	*kernel_p = NULL;
}

const char *kt_introspect_kernel_vmlinux(const struct kt_introspect_kernel *kernel)
{
	return kernel->file.path;
}

const char *kt_introspect_kernel_release(const struct kt_introspect_kernel *kernel)
{
	return kernel->release;
}

uint32_t kt_introspect_kernel_hz(const struct kt_introspect_kernel *kernel)
{
	return kernel->klayout.hz;
}

int kt_introspect_attach(struct kt_introspect_kernel *kernel, struct kt_gmem *gmem,
			 struct kt_introspect **introspect_p, struct kt_err *err)
{
	KT_AUTO(kt_introspect_destroy)
	struct kt_introspect *introspect = kt_must_calloc(1, sizeof(*introspect));
	uint32_t state = 0;
	int rc;

	introspect->kernel = kernel;
	rc = kt_gmem_refresh(gmem, err);
	if (rc)
		return rc;
	if (kt_locate_find(gmem, &kernel->where, &introspect->pagewalk, &introspect->found))
		return kt_err_set(err, KT_FAULT_GUEST, EAGAIN,
				  "kernel %s is not in the guest's memory (yet)", kernel->release);
	/* The loaded image itself has page tables that fit; the running kernel's are final once it
	 * schedules (enum system_states, SYSTEM_SCHEDULING and later).
	 */
	kt_pagewalk_flush(&introspect->pagewalk);
	if (kt_pagewalk_read_u32(&introspect->pagewalk,
				 kernel->klayout.sym.system_state + introspect->found.va_slide,
				 &state) ||
	    !state)
		return kt_err_set(err, KT_FAULT_GUEST, EAGAIN, "kernel %s is still booting",
				  kernel->release);
	introspect->bpfmaps =
		kt_bpfmaps_new(&introspect->pagewalk, &kernel->klayout, introspect->found.va_slide);
	*introspect_p = kt_take(&introspect);
	return 0;
}

void kt_introspect_destroy(struct kt_introspect **introspect_p)
{
	struct kt_introspect *introspect = *introspect_p;

	if (!introspect)
		return;
	kt_bpfmaps_destroy(&introspect->bpfmaps);
	free(introspect);
	*introspect_p = NULL;
}

void kt_introspect_where(const struct kt_introspect *introspect, struct kt_introspect_place *place)
{
	place->va_slide = introspect->found.va_slide;
	place->pa_slide = introspect->found.pa_slide;
	place->levels = introspect->found.levels;
}

static void axis_error(struct kt_arena *arena, struct kt_msg_axis *axis, const char *error,
		       const char *text)
{
	axis->value = kt_value_nil();
	axis->error = kt_arena_strdup(arena, error);
	axis->text = kt_arena_strdup(arena, text);
}

int kt_introspect_refresh(struct kt_introspect *introspect, struct kt_err *err)
{
	kt_pagewalk_flush(&introspect->pagewalk);
	return kt_gmem_refresh(introspect->pagewalk.gmem, err);
}

static int read_scx(struct kt_introspect *introspect, struct kt_scx *scx)
{
	return kt_scx_read(&introspect->pagewalk, &introspect->kernel->klayout,
			   introspect->found.va_slide, scx);
}

static void begin_axis(struct kt_msg_axis *axis, const char *name)
{
	*axis = (struct kt_msg_axis){ .name = name, .error = "", .text = "" };
	axis->value = kt_value_nil();
}

void kt_introspect_bpf(struct kt_introspect *introspect, struct kt_arena *arena,
		       struct kt_msg_axis *axis)
{
	static const struct kt_bpfval_budget budget = {
		.bytes = AXIS_BYTES_MAX - AXIS_HEAD_BYTES,
		.values = AXIS_VALUES_MAX,
		.work = AXIS_WORK_MAX,
	};
	struct kt_scx scx;

	begin_axis(axis, "bpf");
	if (read_scx(introspect, &scx)) {
		axis_error(arena, axis, "unmapped", "sched_ext's state is not mapped");
		return;
	}
	if (!strcmp(scx.state, "absent")) {
		axis_error(arena, axis, "no_scheduler", "this kernel has no sched_ext");
		return;
	}
	if (!scx.enabled) {
		axis_error(arena, axis, "no_scheduler",
			   kt_arena_printf(arena, "no scheduler is enabled: sched_ext is %s",
					   scx.state));
		return;
	}
	if (kt_bpfmaps_read(introspect->bpfmaps, &scx, arena, &budget, &axis->value))
		axis_error(arena, axis, "unmapped", "the list of BPF maps is not mapped");
}

void kt_introspect_all_maps(struct kt_introspect *introspect, struct kt_arena *arena,
			    struct kt_msg_axis *axis)
{
	static const struct kt_bpfval_budget budget = {
		.bytes = AXIS_BYTES_MAX - AXIS_HEAD_BYTES,
		.values = AXIS_VALUES_MAX,
		.work = AXIS_WORK_MAX,
	};
	struct kt_scx scx;

	begin_axis(axis, "bpf");
	if (read_scx(introspect, &scx))
		scx = (struct kt_scx){ 0 };
	if (kt_bpfmaps_read(introspect->bpfmaps, &scx, arena, &budget, &axis->value))
		axis_error(arena, axis, "unmapped", "the list of BPF maps is not mapped");
}

static int read_events(struct kt_introspect *introspect, const struct kt_scx *scx,
		       int64_t counts[KT_KLAYOUT_EVENTS_MAX])
{
	return kt_scxevents_read(&introspect->pagewalk, &introspect->kernel->klayout,
				 introspect->found.va_slide, scx, &introspect->cpus, counts);
}

static void add_events(struct kt_introspect *introspect, const struct kt_scx *scx,
		       struct kt_arena *arena, struct kt_value *map)
{
	const struct kt_introspect_kernel *kernel = introspect->kernel;
	int64_t counts[KT_KLAYOUT_EVENTS_MAX];
	struct kt_value events;

	kt_runqueue_cpus(&introspect->pagewalk, &kernel->klayout, introspect->found.va_slide,
			 &introspect->cpus);
	if (read_events(introspect, scx, counts))
		return;
	events = kt_value_map(arena, kernel->klayout.n_events);
	for (size_t i = 0; i < kernel->klayout.n_events; i++)
		events.pairs[i] = (struct kt_value_pair){ kt_introspect_event(kernel, i, arena),
							  kt_value_i64(counts[i]) };
	map->pairs[map->n++] = (struct kt_value_pair){ "events", events };
}

void kt_introspect_monitor(struct kt_introspect *introspect, struct kt_arena *arena,
			   struct kt_msg_axis *axis)
{
	struct kt_scx scx;
	struct kt_value cpus;

	begin_axis(axis, "monitor");
	if (read_scx(introspect, &scx)) {
		axis_error(arena, axis, "unmapped", "sched_ext's state is not mapped");
		return;
	}
	if (kt_runqueue_read(&introspect->pagewalk, &introspect->kernel->klayout,
			     introspect->found.va_slide, arena, &cpus)) {
		axis_error(arena, axis, "unmapped", "no CPU's run queue is mapped");
		return;
	}
	axis->value = kt_value_map(arena, 4);
	axis->value.n = 3;
	axis->value.pairs[0] =
		(struct kt_value_pair){ "scx_state", kt_value_str(arena, scx.state) };
	axis->value.pairs[1] = (struct kt_value_pair){ "scheduler", kt_value_nil() };
	if (scx.enabled && scx.name[0])
		axis->value.pairs[1].value =
			kt_value_str(arena, kt_ktext_clean(arena, scx.name, sizeof(scx.name),
							   4 * sizeof(scx.name)));
	axis->value.pairs[2] = (struct kt_value_pair){ "cpus", cpus };
	add_events(introspect, &scx, arena, &axis->value);
}

int kt_introspect_look(struct kt_introspect *introspect, struct kt_introspect_look *look,
		       struct kt_err *err)
{
	const struct kt_klayout *klayout = &introspect->kernel->klayout;
	struct kt_runqueue_cpus *cpus = &introspect->cpus;
	struct kt_scx scx;

	if (read_scx(introspect, &scx))
		return kt_err_set(err, KT_FAULT_GUEST, EFAULT, "sched_ext's state is not mapped");
	kt_runqueue_cpus(&introspect->pagewalk, klayout, introspect->found.va_slide, cpus);
	if (kt_runqueue_look(&introspect->pagewalk, klayout, introspect->found.va_slide, cpus,
			     introspect->queues))
		return kt_err_set(err, KT_FAULT_GUEST, EFAULT, "no CPU's run queue is mapped");
	look->enabled = scx.enabled;
	look->life = scx.sched_va ? scx.sched_va : scx.ops_va;
	look->n_cpus = cpus->n <= KT_GUEST_CPUS_MAX ? cpus->n : KT_GUEST_CPUS_MAX;
	for (size_t i = 0; i < look->n_cpus; i++) {
		const struct kt_runqueue *queue = &introspect->queues[i];

		look->queues[i] = (struct kt_introspect_queue){ .there = queue->there,
								.idle = queue->idle,
								.nr_running = queue->nr_running,
								.clock = queue->clock,
								.local_dsq = queue->local_dsq };
	}
	look->has_events = read_events(introspect, &scx, look->events) == 0;
	return 0;
}

size_t kt_introspect_n_events(const struct kt_introspect_kernel *kernel)
{
	return kernel->klayout.n_events;
}

const char *kt_introspect_event(const struct kt_introspect_kernel *kernel, size_t event,
				struct kt_arena *arena)
{
	char name[KT_SCXEVENTS_NAME_BYTES];

	return kt_arena_strdup(arena, kt_scxevents_name(&kernel->klayout.events[event], name));
}

int kt_introspect_scx_enabled(struct kt_introspect *introspect, bool *enabled, struct kt_err *err)
{
	struct kt_scx scx;

	*enabled = false;
	if (read_scx(introspect, &scx))
		return kt_err_set(err, KT_FAULT_GUEST, EFAULT, "sched_ext's state is not mapped");
	*enabled = scx.enabled;
	return 0;
}

int kt_introspect_set_watchdog(struct kt_introspect *introspect, int64_t ns, int64_t *now_ns,
			       struct kt_err *err)
{
	return kt_scx_set_watchdog(&introspect->pagewalk, &introspect->kernel->klayout,
				   introspect->found.va_slide, ns, now_ns, err);
}
