#include "worker/capture.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/wire.h"

int64_t kt_capture_elapsed_ns(const struct kt_capture *capture, int64_t now_ns)
{
	int64_t elapsed_ns = now_ns - capture->anchor_ns - capture->frozen_ns;

	return elapsed_ns > 0 ? elapsed_ns : 0;
}

int64_t kt_capture_at_ns(const struct kt_capture *capture, int64_t elapsed_ns)
{
	return kt_clock_add_ns(capture->anchor_ns + capture->frozen_ns, elapsed_ns);
}

static void read_axes(struct kt_capture *capture, struct kt_arena *arena,
		      struct kt_msg_sample *sample)
{
	struct kt_msg_axis *bpf = &sample->axes[sample->n_axes++];
	struct kt_msg_axis *monitor = &sample->axes[sample->n_axes++];
	struct kt_err err = capture->unreadable;

	*bpf = (struct kt_msg_axis){ .name = "bpf", .error = "", .text = "" };
	*monitor = (struct kt_msg_axis){ .name = "monitor", .error = "", .text = "" };
	if (capture->introspect && kt_introspect_refresh(capture->introspect, &err) == 0) {
		kt_introspect_bpf(capture->introspect, arena, bpf);
		kt_introspect_monitor(capture->introspect, arena, monitor);
		bpf->name = "bpf";
		monitor->name = "monitor";
		return;
	}
	bpf->error = monitor->error = "unreadable";
	bpf->text = monitor->text = kt_arena_strdup(arena, err.text);
}

static void rehearse(struct kt_capture *capture)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_axis axes[2];
	struct kt_msg_sample sample = { .axes = axes };

	read_axes(capture, &arena, &sample);
}

bool kt_capture_read(struct kt_capture *capture, struct kt_arena *arena,
		     struct kt_msg_sample *sample)
{
	struct kt_err err = { 0 };
	int64_t frozen_ns = 0;
	int64_t stop_ns;
	int frozen;
	int thawed;

	rehearse(capture);
	stop_ns = kt_clock_now_ns();
	sample->elapsed_ns = kt_capture_elapsed_ns(capture, stop_ns);
	frozen = kt_vm_freeze(capture->vm, stop_ns + capture->freeze_ns_max, &err);
	if (frozen == 0)
		read_axes(capture, arena, sample);
	else
		sample->placeholder =
			kt_arena_printf(arena, "the guest could not be frozen: %s", err.text);
	/* Also after a stop that was not confirmed: it may come late. */
	thawed = kt_vm_thaw(capture->vm, stop_ns, kt_clock_now_ns() + capture->freeze_ns_max,
			    &frozen_ns, &err);
	capture->frozen_ns += frozen_ns;
	sample->frozen_ns = frozen_ns;
	return thawed == 0;
}

static size_t value_bytes(const struct kt_value *value)
{
	KT_AUTO_BUF bytes = { 0 };

	kt_value_encode(value, &bytes);
	return bytes.len;
}

static void drop_largest_axis(struct kt_msg_sample *sample, struct kt_arena *arena)
{
	struct kt_msg_axis *largest = NULL;
	size_t largest_bytes = 0;

	for (size_t i = 0; i < sample->n_axes; i++) {
		size_t bytes = sample->axes[i].value.type == KT_VALUE_NIL
				       ? 0
				       : value_bytes(&sample->axes[i].value);

		if (bytes > largest_bytes) {
			largest = &sample->axes[i];
			largest_bytes = bytes;
		}
	}
	kt_must(largest != NULL);
	largest->value = kt_value_nil();
	largest->error = "too_large";
	largest->text = kt_arena_printf(arena, "%zu bytes; a sample may have %u, and %u values",
					largest_bytes, KT_SAMPLE_BYTES_MAX, KT_WIRE_NODES_MAX);
}

void kt_capture_encode(struct kt_msg_sample *sample, struct kt_arena *arena, struct kt_buf *body)
{
	kt_codec_encode(&kt_schema_sample, sample, body);
	/* What a reader would refuse (too deep, too many values) is not sent either. */
	while (body->len > KT_SAMPLE_BYTES_MAX ||
	       kt_wire_check(body->data, body->len, &kt_wire_limits_default, NULL) < 0) {
		drop_largest_axis(sample, arena);
		kt_buf_reset(body);
		kt_codec_encode(&kt_schema_sample, sample, body);
	}
}
