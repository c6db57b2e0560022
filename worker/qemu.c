#include "worker/qemu.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/core/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB                (1ull << 20)
#define TB_CACHE_MIB       256 /* translated code; QEMU would take an eighth of the host's memory */
#define OVERHEAD_BYTES     (384 * MIB) /* QEMU's code, heap, thread stacks, device state */
#define ARGV_MAX           640 /* a table of 16 x 16 distances, and the rest */
#define VERSION_DEADLINE_S 10

/* ---- the machine ---- */

enum when {
	ALWAYS,
	TCG,
	KVM,
	EACH_RAM, /* once per NUMA node that has memory, ${node} counts */
	NODES, /* once per NUMA node, where there are several */
	DISTANCES, /* once per pair of nodes, ${node} to ${other}, when the topology says any */
	BOOT, /* not when it is restored */
	RESTORE,
};

struct option {
	enum when when;
	const char *flag;
	const char *value; /* NULL: a flag alone; ${name} is replaced, see expand() */
	const char *why;
};

static const struct option options[] = {
	{ ALWAYS, "-nodefaults", NULL,
	  "nothing that is not asked for here: no network, no disk, no VGA" },
	{ ALWAYS, "-no-user-config", NULL, "the same machine on every host" },
	{ ALWAYS, "-display", "none", "no window, no VNC" },
	{ ALWAYS, "-name", "kt,debug-threads=on",
	  "which thread runs which vCPU, for whoever asks how long the host ran it "
	  "(worker/vcputime.h)" },
	{ ALWAYS, "-machine",
	  "q35,smm=off,vmport=off,graphics=off,usb=off,sata=off,smbus=off,hpet=off,dump-guest-core="
	  "off"
	  "${memory_backend}",
	  "q35 for the topology's CPUID leaves; what the guest never uses costs boot time" },
	{ TCG, "-accel", "tcg,thread=single,tb-size=${tb_mib}",
	  "multi-threaded TCG kills guests when sched_ext patches static keys; a bounded code "
	  "cache" },
	{ KVM, "-accel", "kvm", "proven to run a guest on this host (worker/kvmproof.h)" },
	{ TCG, "-cpu", "max,vendor=GenuineIntel,erms=off,fsrm=off",
	  "AMD models have no topology extension under TCG, so no separate L3; rdrand for the "
	  "guest; TCG copies byte by byte for who believes that rep movsb is fast" },
	{ KVM, "-cpu", "host",
	  "what the host has, but for what a template could not be saved with" },
	{ ALWAYS, "-smp",
	  "${cpus},sockets=${sockets},dies=${dies},cores=${cores},threads=${threads}",
	  "L3 is per die: an LLC is a die, a NUMA node a socket; from QEMU 9 an LLC is a socket" },
	{ ALWAYS, "-m", "${mem_mib}M", "the sum of the nodes" },
	{ EACH_RAM, "-object",
	  "memory-backend-file,id=ram${node},size=${node_mib}M,mem-path=/proc/self/fd/"
	  "${ram_fd},share=${share}",
	  "guest RAM is a memfd: no file, so nothing to clean up; a restored guest has a private "
	  "view of its template's" },
	{ NODES, "-numa", "node,nodeid=${node}${node_memory},cpus=${node_cpus}",
	  "one node per socket; one node needs no -numa" },
	{ DISTANCES, "-numa", "dist,src=${node},dst=${other},val=${distance}",
	  "all of them: QEMU mirrors what is not said, and a way there and back may differ" },
	{ ALWAYS, "-chardev", "socket,id=monitor,fd=${monitor_fd}",
	  "a socketpair: no path, no peer but us" },
	{ ALWAYS, "-mon", "chardev=monitor,mode=control", "QMP" },
	{ ALWAYS, "-add-fd", "fd=${console_fd},set=1",
	  "a pipe: a socket holds some 300 single bytes" },
	{ ALWAYS, "-chardev", "file,id=console,path=/dev/fdset/1,append=on",
	  "and then drops the panic's words" },
	{ ALWAYS, "-device", "isa-serial,chardev=console",
	  "earliest console: it shows a panic at boot" },
	{ ALWAYS, "-device", "virtio-serial-pci",
	  "virtio-pci and virtio-console are built into cloud kernels" },
	{ ALWAYS, "-chardev", "socket,id=channel,fd=${channel_fd}", "a socketpair" },
	{ ALWAYS, "-device", "virtserialport,chardev=channel,nr=1,name=" KT_GUEST_PORT,
	  "ktguest's channel" },
	{ ALWAYS, "-device", "vmgenid,guid=auto",
	  "the kernel reseeds its random numbers in each guest of a template" },
	{ ALWAYS, "-no-reboot", NULL, "a panic ends QEMU (panic=-1) instead of booting again" },
	{ ALWAYS, "-sandbox",
	  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
	  "a guest that breaks out of QEMU finds few system calls" },
	{ BOOT, "-kernel", "/proc/self/fd/${kernel_fd}",
	  "PVH entry of vmlinux: 2 s less than a bzImage" },
	{ BOOT, "-initrd", "/proc/self/fd/${initramfs_fd}",
	  "generic: ktguest and nothing of the job" },
	{ BOOT, "-append", "${kernel_options}", "see kernel_options[]" },
	{ RESTORE, "-incoming", "defer", "its state follows over QMP: migrate-incoming" },
};

struct kernel_option {
	enum when when;
	const char *text;
	const char *why;
};

static const struct kernel_option kernel_options[] = {
	{ ALWAYS, "console=ttyS0", "the isa-serial above" },
	{ ALWAYS, "quiet", "every line costs a VM exit per byte; panics are printed all the same" },
	{ ALWAYS, "panic=-1", "a panic ends the attempt at once" },
	{ ALWAYS, "oops=panic", "a kernel that oopsed measures nothing" },
	{ TCG, "tsc=reliable",
	  "7.2 can hang at boot in its clock-source skew check (1 of 59 boots)" },
	{ TCG, "tsc_early_khz=${tsc_khz}",
	  "an emulated TSC is the host's; a kernel that calibrates it on a busy host may be far "
	  "off "
	  "(922 MHz of 2596), and its clock, and those of all guests of its template, with it" },
	{ TCG, "no_timer_check", "the PIT check fails on a loaded host" },
	{ TCG, "pti=off",
	  "two TLB flushes per system call, against a hole that an emulated CPU has not" },
	{ ALWAYS, "cryptomgr.notests", "1.4 s of self-tests" },
	{ ALWAYS, "init_on_alloc=0", "clearing pages twice: RAM is fresh" },
	{ ALWAYS, "rcupdate.rcu_expedited=1", "grace periods of the boot" },
	{ ALWAYS, "random.trust_cpu=on", "the first getrandom does not wait for entropy" },
	{ ALWAYS, "8250.nr_uarts=1", "probing ports that are not there" },
	{ ALWAYS, "initcall_blacklist=load_system_certificate_list",
	  "parsing certificates nobody uses" },
	{ ALWAYS, "audit=0", "no auditd will come" },
	{ ALWAYS, "apparmor=0", "no policy will come" },
};

/* ---- topology ---- */

static int refuse_nodes(const struct kt_msg_topology *topology, struct kt_err *err, const char *why)
{
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "topology %s: %s", topology->name, why);
}

/* The kernel takes a table of distances only as a whole: 10 on the diagonal, more elsewhere (slit_valid). */
static int check_distances(const struct kt_msg_topology *topology, size_t from, struct kt_err *err)
{
	const struct kt_msg_node *node = &topology->nodes[from];

	if (node->n_distances && node->n_distances != topology->numa_nodes)
		return refuse_nodes(topology, err, "a node has a distance to every node, or none");
	for (size_t to = 0; to < node->n_distances; to++)
		if ((node->distances[to].value == 10) != (from == to))
			return refuse_nodes(topology, err,
					    "a node is 10 from itself, and more from others");
	return 0;
}

static int check_nodes(const struct kt_msg_topology *topology, struct kt_err *err)
{
	uint64_t bytes = 0;
	int rc = 0;

	if (topology->n_nodes != topology->numa_nodes)
		return refuse_nodes(topology, err, "not as many nodes are described as there are");
	for (size_t node = 0; node < topology->n_nodes && rc == 0; node++) {
		bytes += topology->nodes[node].mem_bytes;
		rc = check_distances(topology, node, err);
	}
	if (rc == 0 && (bytes == 0 || bytes != topology->mem_bytes))
		rc = refuse_nodes(topology, err, "its memory is not that of its nodes");
	return rc;
}

uint64_t kt_qemu_cpus(const struct kt_msg_topology *topology)
{
	return topology->llcs * topology->cores * topology->threads;
}

int kt_qemu_check_topology(const struct kt_msg_topology *topology, struct kt_err *err)
{
	uint64_t nodes = topology->numa_nodes;

	if (nodes == 0 || nodes > KT_QEMU_NODES_MAX || topology->llcs % nodes != 0)
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"topology %s: %llu LLCs on %llu NUMA nodes cannot be made (at most %d "
			"nodes, LLCs a multiple of them)",
			topology->name, (unsigned long long)topology->llcs,
			(unsigned long long)nodes, KT_QEMU_NODES_MAX);
	if (kt_qemu_cpus(topology) == 0 || kt_qemu_cpus(topology) > KT_GUEST_CPUS_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "topology %s: %llu CPUs, 1 to %d are possible", topology->name,
				  (unsigned long long)kt_qemu_cpus(topology), KT_GUEST_CPUS_MAX);
	return topology->n_nodes ? check_nodes(topology, err) : 0;
}

uint64_t kt_qemu_host_bytes(const struct kt_msg_topology *topology)
{
	return kt_topology_ram_bytes(topology) + TB_CACHE_MIB * MIB + OVERHEAD_BYTES;
}

/* ---- the command line ---- */

struct context {
	const struct kt_qemu_spec *spec;
	struct kt_arena *arena;
	size_t node;
	size_t other; /* where a distance leads to */
};

static const char *number(struct kt_arena *arena, uint64_t value)
{
	return kt_arena_printf(arena, "%llu", (unsigned long long)value);
}

/* From QEMU 9 on, dies=2 of an Intel CPU aborts (encode_topo_cpuid1f): LLCs become sockets. */
static bool llc_is_socket(const struct kt_qemu_spec *spec)
{
	return spec->version_major >= 9;
}

static uint64_t sockets(const struct kt_qemu_spec *spec)
{
	return llc_is_socket(spec) ? spec->topology->llcs : spec->topology->numa_nodes;
}

static bool holds(enum when when, const struct kt_qemu_spec *spec)
{
	bool kvm = strcmp(spec->accel, "kvm") == 0;

	return when == ALWAYS || (when == TCG && !kvm) || (when == KVM && kvm) ||
	       (when == BOOT && !spec->restores) || (when == RESTORE && spec->restores);
}

static char *expand(const char *value, const struct context *context);

static const char *all_kernel_options(const struct context *context)
{
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < sizeof(kernel_options) / sizeof(kernel_options[0]); i++)
		if (holds(kernel_options[i].when, context->spec))
			kt_buf_printf(&text, "%s%s", text.len ? " " : "",
				      expand(kernel_options[i].text, context));
	return kt_arena_strdup(context->arena, kt_buf_text(&text));
}

/* "0-7": CPUs are numbered socket by socket. */
static const char *node_cpus(const struct context *context)
{
	const struct kt_msg_topology *topology = context->spec->topology;
	uint64_t per_node = kt_qemu_cpus(topology) / topology->numa_nodes;
	uint64_t first = context->node * per_node;

	return kt_arena_printf(context->arena, "%llu-%llu", (unsigned long long)first,
			       (unsigned long long)(first + per_node - 1));
}

/* A node without memory has CPUs only. */
static const char *node_memory(const struct context *context)
{
	if (kt_topology_node_bytes(context->spec->topology, context->node) == 0)
		return "";
	return kt_arena_printf(context->arena, ",memdev=ram%zu", context->node);
}

static const char *variable(const char *name, size_t len, const struct context *context)
{
	const struct kt_qemu_spec *spec = context->spec;
	const struct kt_msg_topology *topology = spec->topology;
	struct kt_arena *arena = context->arena;

#define IS(text_) (len == sizeof(text_) - 1 && memcmp(name, text_, len) == 0)
	if (IS("cpus"))
		return number(arena, kt_qemu_cpus(topology));
	if (IS("sockets"))
		return number(arena, sockets(spec));
	if (IS("dies"))
		return number(arena, topology->llcs / sockets(spec));
	if (IS("cores"))
		return number(arena, topology->cores);
	if (IS("threads"))
		return number(arena, topology->threads);
	if (IS("mem_mib"))
		return number(arena, kt_topology_ram_bytes(topology) / MIB);
	if (IS("node_mib"))
		return number(arena, kt_topology_node_bytes(topology, context->node) / MIB);
	if (IS("tb_mib"))
		return number(arena, TB_CACHE_MIB);
	if (IS("memory_backend"))
		return topology->numa_nodes == 1 ? ",memory-backend=ram0" : "";
	if (IS("node"))
		return number(arena, context->node);
	if (IS("node_cpus"))
		return node_cpus(context);
	if (IS("node_memory"))
		return node_memory(context);
	if (IS("other"))
		return number(arena, context->other);
	if (IS("distance"))
		return number(arena, kt_topology_distance(topology, context->node, context->other));
	if (IS("share"))
		return spec->restores ? "off" : "on";
	if (IS("ram_fd"))
		return number(arena, (uint64_t)spec->ram_fds[context->node]);
	if (IS("kernel_fd"))
		return number(arena, (uint64_t)spec->kernel_fd);
	if (IS("initramfs_fd"))
		return number(arena, (uint64_t)spec->initramfs_fd);
	if (IS("monitor_fd"))
		return number(arena, (uint64_t)spec->monitor_fd);
	if (IS("channel_fd"))
		return number(arena, (uint64_t)spec->channel_fd);
	if (IS("console_fd"))
		return number(arena, (uint64_t)spec->console_fd);
	if (IS("tsc_khz"))
		return number(arena, spec->tsc_khz);
	if (IS("kernel_options"))
		return all_kernel_options(context);
#undef IS
	kt_must(!"a variable of options[] that nobody knows");
	return NULL;
}

static char *expand(const char *value, const struct context *context)
{
	KT_AUTO_BUF text = { 0 };

	for (const char *at = value; *at;) {
		const char *end;

		if (at[0] != '$' || at[1] != '{') {
			kt_buf_append(&text, at++, 1);
			continue;
		}
		end = strchr(at, '}');
		kt_must(end != NULL);
		kt_buf_puts(&text, variable(at + 2, (size_t)(end - at - 2), context));
		at = end + 1;
	}
	return kt_arena_strdup(context->arena, kt_buf_text(&text));
}

static size_t how_often(enum when when, const struct kt_qemu_spec *spec)
{
	size_t nodes = spec->topology->numa_nodes;

	if (when == EACH_RAM)
		return nodes;
	if (when == NODES)
		return nodes > 1 ? nodes : 0;
	if (when == DISTANCES)
		return kt_topology_has_distances(spec->topology) ? nodes * nodes : 0;
	return holds(when, spec);
}

char **kt_qemu_command(const struct kt_qemu_spec *spec, struct kt_arena *arena)
{
	char **argv = kt_arena_alloc(arena, ARGV_MAX, sizeof(*argv));
	struct context context = { .spec = spec, .arena = arena };
	size_t n = 0;

	argv[n++] = kt_arena_strdup(arena, spec->binary);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option *option = &options[i];
		size_t times = how_often(option->when, spec);

		for (size_t k = 0; k < times; k++) {
			context.node = k;
			if (option->when == DISTANCES) {
				context.node = k / spec->topology->numa_nodes;
				context.other = k % spec->topology->numa_nodes;
			}
			if (option->when == EACH_RAM &&
			    kt_topology_node_bytes(spec->topology, k) == 0)
				continue;
			kt_must(n + 3 < ARGV_MAX);
			argv[n++] = kt_arena_strdup(arena, option->flag);
			if (option->value)
				argv[n++] = expand(option->value, &context);
		}
	}
	return argv;
}

/* ---- the program ---- */

static void run_version(const char *binary, int out_fd)
{
	char *argv[] = { (char *)binary, "--version", NULL };

	if (dup2(out_fd, STDOUT_FILENO) >= 0)
		execvp(binary, argv);
	_exit(errno == ENOENT ? 127 : 126);
}

/* All that it says before the deadline. */
static void read_until(int fd, int64_t deadline_ns, char *text, size_t size)
{
	size_t len = 0;

	while (len + 1 < size) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		int64_t left_ms = (deadline_ns - kt_clock_now_ns()) / KT_NS_PER_MS;
		ssize_t n;

		if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) <= 0)
			break;
		n = read(fd, text + len, size - len - 1);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = 0;
}

int kt_qemu_version(const char *binary, unsigned int *major, char *version, size_t size,
		    struct kt_err *err)
{
	static const char word[] = "QEMU emulator version ";
	int64_t deadline_ns = kt_clock_now_ns() + VERSION_DEADLINE_S * KT_NS_PER_S;
	char text[512];
	int ends[2];
	int status = 0;
	const char *at;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making a pipe");
	pid = fork();
	if (pid == 0)
		run_version(binary, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return kt_err_sys(err, KT_FAULT_HOST, errno, "starting %s", binary);
	}
	read_until(ends[0], deadline_ns, text, sizeof(text));
	close(ends[0]);
	kill(pid, SIGKILL); /* ours; nothing happens when it has ended */
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return kt_err_set(err, KT_FAULT_HOST, ENOENT, "there is no program %s", binary);
	at = strstr(text, word);
	if (!at || sscanf(at + sizeof(word) - 1, "%u.", major) != 1)
		return kt_err_set(err, KT_FAULT_HOST, ENOEXEC,
				  "%s --version did not tell a version: is it QEMU?", binary);
	at += sizeof(word) - 1;
	snprintf(version, size, "%.*s", (int)strcspn(at, " (\n"), at);
	return 0;
}

/* Texts of QEMU 7.2 and 10.0; each was seen. */
static const struct {
	const char *words;
	bool kvm_only;
	enum kt_cause_id cause;
} last_words[] = {
	{ "cannot set up guest memory", false, KT_CAUSE_ID_no_memory },
	{ "Cannot allocate memory", false, KT_CAUSE_ID_no_memory },
	{ "unable to map backing store", false, KT_CAUSE_ID_no_memory },
	{ "could not load kernel", false, KT_CAUSE_ID_kernel_unusable },
	{ "could not open kernel file", false, KT_CAUSE_ID_kernel_unusable },
	{ "Error loading uncompressed kernel", false, KT_CAUSE_ID_kernel_unusable },
	{ "invalid kernel header", false, KT_CAUSE_ID_kernel_unusable },
	{ "linux kernel too old", false, KT_CAUSE_ID_kernel_unusable },
	{ "Linux kernel too old", false, KT_CAUSE_ID_kernel_unusable },
	{ "kvm", true, KT_CAUSE_ID_no_kvm },
	{ "KVM", true, KT_CAUSE_ID_no_kvm },
	{ "error: failed to set MSR", true, KT_CAUSE_ID_no_kvm },
};

enum kt_cause_id kt_qemu_last_words(const char *words, bool kvm)
{
	for (size_t i = 0; i < sizeof(last_words) / sizeof(last_words[0]); i++)
		if ((kvm || !last_words[i].kvm_only) && strstr(words, last_words[i].words))
			return last_words[i].cause;
	return KT_CAUSE_ID_qemu_died;
}
