/* limits.h - every size, count and time has a maximum, and it stands here.
 *
 * Names end in what they bound and its unit. A limit that outside bytes can reach is refused with
 * a kt_err; one that only our own code can reach is a kt_must().
 */
#ifndef KT_LIMITS_H
#define KT_LIMITS_H

#define KT_NS_PER_S  1000000000LL
#define KT_NS_PER_MS 1000000LL
#define KT_NS_PER_US 1000LL

/* the wire */
#define KT_FRAME_BYTES_MAX       (1u << 20) /* one message between coordinator and worker */
#define KT_GUEST_FRAME_BYTES_MAX (1u << 20) /* one message on the guest channel */
#define KT_CHUNK_BYTES_MAX       (256u << 10) /* one piece of an artifact */
#define KT_WIRE_DEPTH_MAX        24 /* containers within containers */
#define KT_WIRE_NODES_MAX        262144 /* values in one frame */
#define KT_PEER_QUEUE_BYTES_MAX  (8u << 20) /* waiting to be sent to one peer */

/* names and texts */
#define KT_NAME_BYTES_MAX      128 /* of a kernel, scheduler, topology, scenario, cgroup, host */
#define KT_CELL_NAME_BYTES_MAX 560 /* scenario/kernel/scheduler/topology#repeat */
#define KT_PATH_BYTES_MAX      1024
#define KT_TEXT_BYTES_MAX      4096 /* a first line, a reason */
#define KT_LOG_BYTES_MAX       (256u << 10) /* one log of one attempt as kept; then cut with a marker */
#define KT_LOG_PIECE_BYTES_MAX (32u << 10) /* one message of it */

/* the matrix */
#define KT_MATRIX_BYTES_MAX    (1u << 20)
#define KT_CELLS_MAX           10000000ull
#define KT_REPEATS_MAX         10000
#define KT_AXIS_ENTRIES_MAX    4096 /* kernels, schedulers, topologies or scenarios in one matrix */
#define KT_STEPS_MAX           256
#define KT_CGROUPS_MAX         256
#define KT_WORKERS_MAX         4096 /* workload processes in one cgroup */
#define KT_GROUPS_MAX          64 /* of workers in one cgroup */
#define KT_WORKERS_PPM_MAX     1000000000ull /* 1000 processes per CPU, in millionths */
#define KT_PARAMS_MAX          32 /* of one work type */
#define KT_PHASES_MAX          32 /* of one sequence */
#define KT_LIMITS_MAX          16 /* files of a cgroup's controllers */
#define KT_OPS_MAX             256 /* of one step */
#define KT_PAYLOADS_MAX        256 /* of one scenario, and starts of them in one attempt */
#define KT_OTHERS_MAX          16 /* schedulers that one scenario changes between */
#define KT_ARGS_MAX            256
#define KT_FILES_MAX           256 /* files shipped with one cell */
#define KT_FILE_BYTES_MAX      (1ull << 30)
#define KT_ASSERTS_MAX         256
#define KT_JOB_BYTES_MAX       (256u << 10) /* of one scenario, or one scheduler's args, encoded */
#define KT_SAMPLES_MAX         64 /* periodic samples of a scenario (semantics.md section 2) */
#define KT_SAMPLE_GAP_NS_MIN   100000000LL /* between two boundaries */
#define KT_DURATION_NS_MAX     (24LL * 3600 * KT_NS_PER_S)
#define KT_GUEST_CPUS_MAX      255
#define KT_GUEST_NODES_MAX     16 /* NUMA nodes */
#define KT_GUEST_MEM_BYTES_MAX (64ull << 30)
#define KT_TEMPLATE_RENEW_MAX  1000000 /* cells between two makings of a template */
#define KT_ENTROPY_BYTES_MAX   64 /* of the host, for the guest's generator */

/* samples */
#define KT_SAMPLE_BYTES_MAX        (768u << 10)
#define KT_SAMPLES_PER_ATTEMPT_MAX 4096
#define KT_SERIES_BYTES_MAX        (128u << 20) /* encoded samples of one attempt */
#define KT_STATS_BYTES_MAX         (256u << 10) /* one scx_stats request or answer */
#define KT_AXES_MAX                16
#define KT_EPOCHS_MAX              65535 /* restarts of the scheduler in one attempt */

/* payloads */
#define KT_PAYLOAD_OUT_BYTES_MAX    (64u << 10) /* kept of one's standard output */
#define KT_PAYLOAD_ERRORS_BYTES_MAX (8u << 10)

/* a shell in a guest */
#define KT_SHELL_PIECE_BYTES_MAX (16u << 10) /* one message of what is typed or printed */
#define KT_SHELL_WINDOW_BYTES \
	(64u << 10) /* of either on their way: sent, and not yet taken or shown */

/* the fleet */
#define KT_SLOTS_MAX            1024
#define KT_ATTEMPTS_MAX         100 /* tries of one cell, whatever the matrix says */
#define KT_GRANTS_PER_STATE_MAX 64
#define KT_CACHED_TOLD_MAX      256 /* artifacts that a SYNC tells of */
#define KT_CACHED_BYTES         8 /* of a digest, enough for a preference */
#define KT_POISON_HOSTS         3 /* that a cell took down: then nobody tries it again */
#define KT_KEYS_MAX             16384 /* in an allow-list */

/* the worker's disk */
#define KT_SPOOL_RESULTS_MAX 4096 /* finished attempts that wait for an acknowledgement */
#define KT_SPOOL_BYTES_MAX   (16ull << 30)
#define KT_CACHE_BYTES_MAX   (20ull << 30) /* artifacts; the least recently used go first */
#define KT_FETCH_WINDOW      8 /* pieces asked for and not yet here */

#endif
