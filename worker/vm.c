#include "worker/vm.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/core/topology.h"
#include "worker/host.h"
#include "worker/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL_OUT_BYTES_MAX (512u << 10)
#define FRAMES_PER_DIGEST     64 /* then the caller's deadlines get a look */
#define GREETING_S_TCG        60
#define GREETING_S_KVM        10
#define CONSOLE_PIPE_BYTES    (1 << 20)
#define ADDRESS_BYTES_EXTRA   (4ull << 30) /* libraries, stacks, what is mapped and never touched */
#define PIDS_MAX              512 /* threads: one per vCPU, the main loop, a pool */

/* What the child inherits; closed in the parent after the start. */
struct inherited {
	int kernel;
	int initramfs;
	int monitor;
	int channel;
	int console;
	int words;
};

static void close_inherited(struct inherited *inherited)
{
	kt_own_close(&inherited->kernel);
	kt_own_close(&inherited->initramfs);
	kt_own_close(&inherited->monitor);
	kt_own_close(&inherited->channel);
	kt_own_close(&inherited->console);
	kt_own_close(&inherited->words);
}

static int wire(int *ours, int *theirs, struct kt_err *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making a socketpair");
	*ours = ends[0];
	*theirs = ends[1];
	return 0;
}

/* The serial port writes byte by byte and drops what does not fit: a pipe packs bytes, a socket does not. */
static int pipe_from(int *ours, int *theirs, struct kt_err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making a pipe");
	fcntl(ends[1], F_SETPIPE_SZ, CONSOLE_PIPE_BYTES); /* as much as the host allows */
	*ours = ends[0];
	*theirs = ends[1];
	return 0;
}

/* ---- memory ---- */

/* The memfd is filled as the guest touches it: what is not there now would be an OOM kill later. */
int kt_vm_check_memory(const struct kt_msg_topology *topology, struct kt_err *err)
{
	uint64_t need = kt_qemu_host_bytes(topology);
	uint64_t have = kt_host_available_bytes();

	if (have == 0 || need <= have)
		return 0;
	return kt_err_set(
		err, KT_FAULT_HOST, ENOMEM,
		"a guest of topology %s can use %llu MiB (%llu MiB of RAM and QEMU), this host has "
		"%llu MiB available",
		topology->name, (unsigned long long)need >> 20,
		(unsigned long long)topology->mem_bytes >> 20, (unsigned long long)have >> 20);
}

int kt_vm_make_ram(uint64_t bytes, int *fd_p, struct kt_err *err)
{
	KT_AUTO_FD int fd = memfd_create("kt-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making a memfd for guest RAM");
	/* QEMU opens it again, as nobody, through /proc/self/fd. */
	if (fchmod(fd, 0666) < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "sizing the guest's RAM");
	*fd_p = kt_own_take_fd(&fd);
	return 0;
}

static int have_ram(struct kt_vm *vm, const struct kt_vm_config *config, struct kt_err *err)
{
	vm->ram_shared = !config->restores;
	for (size_t i = 0; i < config->topology->numa_nodes; i++) {
		int *fd = &vm->ram_fds[i];
		int rc = 0;

		vm->node_bytes[i] = kt_topology_node_bytes(config->topology, i);
		if (config->ram_fds)
			*fd = fcntl(config->ram_fds[i], F_DUPFD_CLOEXEC, 0);
		else
			rc = kt_vm_make_ram(vm->node_bytes[i], fd, err);
		if (rc < 0)
			return rc;
		if (*fd < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "taking the guest's RAM");
		vm->n_ram_fds++;
	}
	return 0;
}

static int map_ram(const struct kt_vm *vm, uint64_t lowmem_bytes, struct kt_gmem **gmem_p,
		   struct kt_err *err)
{
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	char path[64];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < vm->n_ram_fds; i++) {
		if (vm->node_bytes[i] == 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", vm->ram_fds[i]);
		rc = gmem ? kt_gmem_add(gmem, path, vm->node_bytes[i], err)
			  : kt_gmem_open(path, vm->node_bytes[i], lowmem_bytes, &gmem, err);
	}
	if (rc == 0)
		*gmem_p = kt_take(&gmem);
	return rc;
}

int kt_vm_open_memory(const struct kt_vm *vm, struct kt_gmem **gmem, struct kt_buf *notes,
		      struct kt_err *err)
{
	uint64_t ram_bytes = 0;
	uint64_t lowmem_bytes;
	int rc;

	for (size_t i = 0; i < vm->n_ram_fds; i++)
		ram_bytes += vm->node_bytes[i];
	lowmem_bytes = kt_gmem_lowmem_bytes("q35", ram_bytes);
	rc = kt_gmem_open_process(vm->child.pid, vm->ram_fds, vm->node_bytes, vm->n_ram_fds,
				  lowmem_bytes, gmem, err);
	if ((rc != -EPERM && rc != -EACCES) || !vm->ram_shared)
		return rc;
	kt_buf_puts(notes, "this host does not allow reading QEMU's memory (CAP_SYS_PTRACE): the "
			   "guest's RAM is mapped\n");
	return map_ram(vm, lowmem_bytes, gmem, err);
}

/* QEMU opens the kernel by name, as nobody: a cache that only its owner may read is copied. */
static int open_kernel(const char *path, int *fd, struct kt_err *err)
{
	KT_AUTO_FD int from_fd = open(path, O_RDONLY | O_CLOEXEC);
	KT_AUTO_FD int to_fd = -1;
	struct stat st;
	off_t left;

	if (from_fd < 0 || fstat(from_fd, &st) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", path);
	if (st.st_mode & S_IROTH) {
		*fd = kt_own_take_fd(&from_fd);
		return 0;
	}
	to_fd = memfd_create("kt-kernel", MFD_CLOEXEC);
	if (to_fd < 0 || fchmod(to_fd, 0444) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making a memfd");
	for (left = st.st_size; left > 0;) {
		ssize_t n = sendfile(to_fd, from_fd, NULL, (size_t)left);

		if (n <= 0)
			return kt_err_sys(err, KT_FAULT_HOST, n < 0 ? errno : EIO, "copying %s",
					  path);
		left -= n;
	}
	*fd = kt_own_take_fd(&to_fd);
	return 0;
}

/* ---- start ---- */

static int make_wires(struct kt_vm *vm, struct inherited *inherited, struct kt_err *err)
{
	int monitor;
	int channel;
	int rc;

	rc = wire(&monitor, &inherited->monitor, err);
	if (rc < 0)
		return rc;
	kt_qmp_init(&vm->qmp, monitor);
	rc = wire(&channel, &inherited->channel, err);
	if (rc < 0)
		return rc;
	kt_framelink_init(&vm->channel, &kt_schema_guest, channel, CHANNEL_OUT_BYTES_MAX);
	rc = pipe_from(&vm->console_fd, &inherited->console, err);
	if (rc == 0)
		rc = wire(&vm->words_fd, &inherited->words, err);
	if (rc == 0) {
		fcntl(vm->console_fd, F_SETFL, O_NONBLOCK);
		fcntl(vm->words_fd, F_SETFL, O_NONBLOCK);
	}
	return rc;
}

static int spawn(struct kt_vm *vm, const struct kt_vm_config *config,
		 const struct inherited *inherited, struct kt_buf *notes, struct kt_err *err)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_qemu_spec qemu = {
		.binary = config->qemu,
		.accel = config->accel,
		.version_major = config->qemu_major,
		.topology = config->topology,
		.tsc_khz = kt_host_tsc_khz(),
		.restores = config->restores,
		.kernel_fd = inherited->kernel,
		.initramfs_fd = inherited->initramfs,
		.monitor_fd = inherited->monitor,
		.channel_fd = inherited->channel,
		.console_fd = inherited->console,
	};
	/* A restored guest has no kernel and no initramfs: these come last. */
	size_t n_fds = 3 + vm->n_ram_fds + (config->restores ? 0 : 2);
	int fds[KT_QEMU_NODES_MAX + 5] = { inherited->monitor, inherited->channel,
					   inherited->console };
	struct kt_jail_spec jail = {
		.fds = fds,
		.n_fds = n_fds,
		.stderr_fd = inherited->words,
		.alive_fd = inherited->monitor,
		.kvm = vm->kvm,
		.address_bytes_max = kt_qemu_host_bytes(config->topology) + ADDRESS_BYTES_EXTRA,
		.cage = vm->cage,
	};

	for (size_t i = 0; i < vm->n_ram_fds; i++)
		qemu.ram_fds[i] = fds[3 + i] = vm->ram_fds[i];
	fds[3 + vm->n_ram_fds] = inherited->kernel;
	fds[4 + vm->n_ram_fds] = inherited->initramfs;
	jail.argv = kt_qemu_command(&qemu, &arena);
	return kt_jail_spawn(&jail, &vm->child, notes, err);
}

static enum kt_cause_id cause_of(const struct kt_err *err, enum kt_cause_id otherwise)
{
	switch (err->code) {
	case ENOSPC:
		return KT_CAUSE_ID_disk_full;
	case ENOMEM:
		return KT_CAUSE_ID_no_memory;
	default:
		return otherwise;
	}
}

/* What a restored guest touches and its template has not is there twice: a private mapping of a memfd gets its page from
 * the file, which grows by an empty one for it, sealed or not (mm/shmem.c, shmem_fault). Whoever touches it first pays.
 */
static uint64_t cage_bytes(const struct kt_vm_config *config)
{
	return kt_qemu_host_bytes(config->topology) +
	       (config->restores ? kt_topology_ram_bytes(config->topology) : 0);
}

static int start(struct kt_vm *vm, const struct kt_vm_config *config, struct inherited *inherited,
		 struct kt_buf *notes, enum kt_cause_id *cause, struct kt_err *err)
{
	struct kt_cage_limits limits = {
		.memory_bytes_max = cage_bytes(config),
		.pids_max = PIDS_MAX,
		.cpus_max = kt_qemu_cpus(config->topology) + 1,
	};
	int rc;

	*cause = KT_CAUSE_ID_host_trouble;
	rc = kt_qemu_check_topology(config->topology, err);
	if (rc == 0 && !config->restores)
		rc = kt_vm_check_memory(config->topology, err);
	if (rc == 0)
		rc = have_ram(vm, config, err);
	if (rc == 0)
		rc = make_wires(vm, inherited, err);
	if (rc == 0 && !config->restores)
		rc = kt_initramfs_make(config->ktguest, &inherited->initramfs, err);
	if (rc == 0 && !config->restores)
		rc = open_kernel(config->kernel, &inherited->kernel, err);
	if (rc < 0) {
		*cause = cause_of(err, *cause);
		return rc;
	}
	vm->cage = kt_cage_create(&limits, notes);
	rc = spawn(vm, config, inherited, notes, err);
	if (rc < 0) {
		*cause = rc == -ENOENT ? KT_CAUSE_ID_qemu_missing : cause_of(err, *cause);
		return rc;
	}
	return 0;
}

void kt_vm_init(struct kt_vm *vm, const struct kt_vm_events *events)
{
	memset(vm, 0, sizeof(*vm));
	vm->events = *events;
	vm->console_fd = -1;
	vm->words_fd = -1;
	vm->child.pid_fd = -1;
	vm->channel.fd = -1;
	vm->qmp.fd = -1;
	vm->words.max = KT_VM_WORDS_MAX;
	kt_console_init(&vm->console);
}

int kt_vm_start(struct kt_vm *vm, const struct kt_vm_config *config, struct kt_buf *notes,
		enum kt_cause_id *cause, struct kt_err *err)
{
	struct inherited inherited = { -1, -1, -1, -1, -1, -1 };
	int rc;

	vm->kvm = strcmp(config->accel, "kvm") == 0;
	rc = start(vm, config, &inherited, notes, cause, err);
	/* QEMU's only from here on, so that its end is the end of the wires. */
	close_inherited(&inherited);
	return rc;
}

int kt_vm_greet(struct kt_vm *vm, enum kt_cause_id *cause, struct kt_err *err)
{
	int64_t greeting_ns = (vm->kvm ? GREETING_S_KVM : GREETING_S_TCG) * KT_NS_PER_S;
	int rc = kt_qmp_open(&vm->qmp, kt_clock_now_ns() + greeting_ns, err);

	if (rc == 0)
		return 0;
	kt_vm_kill(vm);
	*cause = kt_qemu_last_words(kt_buf_text(&vm->words), vm->kvm);
	if (vm->words.len > 0)
		kt_err_set(err, KT_FAULT_HOST, EIO, "QEMU ended before the guest ran: %.*s",
			   (int)strcspn(kt_buf_text(&vm->words), "\n"), kt_buf_text(&vm->words));
	return rc;
}

/* ---- templates ---- */

/* RAM that is shared with a file stays where it is: only devices travel. Both sides must say so. */
static int ignore_shared(struct kt_vm *vm, int64_t deadline_ns, struct kt_err *err)
{
	static const struct kt_qmp_command command = {
		.name = "migrate-set-capabilities",
		.arguments =
			"{\"capabilities\":[{\"capability\":\"x-ignore-shared\",\"state\":true}]}",
	};

	return kt_qmp_exchange(&vm->qmp, &command, deadline_ns, err);
}

static int hand_over(struct kt_vm *vm, int fd, const char *name, int64_t deadline_ns,
		     struct kt_err *err)
{
	char arguments[64];
	struct kt_qmp_command command = {
		.name = "getfd", .arguments = arguments, .has_fd = true, .fd = fd
	};

	snprintf(arguments, sizeof(arguments), "{\"fdname\":\"%s\"}", name);
	return kt_qmp_exchange(&vm->qmp, &command, deadline_ns, err);
}

/* 1 when QEMU says `word`, 0 when it says anything else. */
static int asks(struct kt_vm *vm, const char *question, const char *word, int64_t deadline_ns,
		struct kt_err *err)
{
	int rc = kt_qmp_call(&vm->qmp, question, deadline_ns, err);

	return rc < 0 ? rc : strcmp(vm->qmp.reply.word, word) == 0;
}

static void nap(void)
{
	static const struct timespec ms = { .tv_nsec = KT_NS_PER_MS };

	nanosleep(&ms, NULL);
}

static int wait_until_loaded(struct kt_vm *vm, int64_t deadline_ns, struct kt_err *err)
{
	int rc;

	/* It was saved standing still, so it stands still when all is loaded. */
	while ((rc = asks(vm, "query-status", "paused", deadline_ns, err)) == 0) {
		if (kt_clock_now_ns() >= deadline_ns)
			return kt_err_set(err, KT_FAULT_HOST, ETIMEDOUT,
					  "QEMU did not load the guest's state in time");
		nap();
	}
	return rc < 0 ? rc : 0;
}

/* All of the file, as fast as QEMU takes it in. When QEMU closes its end, its monitor tells why. */
static int feed_state(int from_fd, int to_fd, int64_t deadline_ns, struct kt_err *err)
{
	static char bytes[64 << 10];
	off_t at = 0;

	for (;;) {
		struct pollfd poll_fd = { .fd = to_fd, .events = POLLOUT };
		int64_t left_ms = (deadline_ns - kt_clock_now_ns()) / KT_NS_PER_MS;
		ssize_t n = pread(from_fd, bytes, sizeof(bytes), at);

		if (n <= 0)
			return n == 0 ? 0
				      : kt_err_sys(err, KT_FAULT_HOST, errno,
						   "reading a template's state");
		if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) <= 0)
			return kt_err_set(err, KT_FAULT_HOST, ETIMEDOUT,
					  "QEMU did not read the guest's state in time");
		n = send(to_fd, bytes, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n < 0 && errno != EAGAIN)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "sending the guest's state");
		at += n > 0 ? n : 0;
	}
}

/* Begins `migrate` or `migrate-incoming` of the devices' state; *ours is our end of its wire. A socket: QEMU may write no
 * file (worker/jail.c), and reading one it warns from 9.1 on and refuses from 11 on.
 */
static int begin_migration(struct kt_vm *vm, const char *name, int *ours, int64_t deadline_ns,
			   struct kt_err *err)
{
	const struct kt_qmp_command command = { .name = name,
						.arguments = "{\"uri\":\"fd:state\"}" };
	KT_AUTO_FD int theirs = -1;
	int rc = wire(ours, &theirs, err);

	if (rc == 0)
		rc = ignore_shared(vm, deadline_ns, err);
	if (rc == 0)
		rc = hand_over(vm, theirs, "state", deadline_ns, err);
	kt_own_close(&theirs); /* QEMU's end is the end of the wire */
	return rc < 0 ? rc : kt_qmp_exchange(&vm->qmp, &command, deadline_ns, err);
}

static int restore(struct kt_vm *vm, int state_fd, int64_t deadline_ns, struct kt_err *err)
{
	KT_AUTO_FD int ours = -1;
	int rc = begin_migration(vm, "migrate-incoming", &ours, deadline_ns, err);

	if (rc == 0)
		rc = feed_state(state_fd, ours, deadline_ns, err);
	return rc < 0 ? rc : wait_until_loaded(vm, deadline_ns, err);
}

int kt_vm_restore(struct kt_vm *vm, int state_fd, int64_t deadline_ns, struct kt_err *err)
{
	int rc = restore(vm, state_fd, deadline_ns, err);

	if (rc == -EPIPE) {
		kt_vm_kill(vm);
		if (vm->words.len > 0)
			kt_err_set(err, KT_FAULT_HOST, EIO, "QEMU refused the template: %.*s",
				   (int)strcspn(kt_buf_text(&vm->words), "\n"),
				   kt_buf_text(&vm->words));
	}
	return rc;
}

/* All that QEMU writes into its end, until it closes that. */
static int drain_state(int from_fd, int to_fd, int64_t deadline_ns, struct kt_err *err)
{
	static char bytes[64 << 10];
	size_t total = 0;

	for (;;) {
		struct pollfd poll_fd = { .fd = from_fd, .events = POLLIN };
		int64_t left_ms = (deadline_ns - kt_clock_now_ns()) / KT_NS_PER_MS;
		ssize_t n;

		if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) <= 0)
			return kt_err_set(err, KT_FAULT_HOST, ETIMEDOUT,
					  "QEMU did not write the guest's state in time");
		n = read(from_fd, bytes, sizeof(bytes));
		if (n == 0)
			return 0;
		if (n < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "reading the guest's state");
		total += (size_t)n;
		if (total > KT_VM_STATE_BYTES_MAX)
			return kt_err_set(err, KT_FAULT_HOST, EFBIG,
					  "the guest's state is larger than %u MiB",
					  KT_VM_STATE_BYTES_MAX >> 20);
		if (write(to_fd, bytes, (size_t)n) != n)
			return kt_err_set(err, KT_FAULT_HOST, ENOSPC,
					  "the guest's state does not fit into memory");
	}
}

static int wait_until_saved(struct kt_vm *vm, int64_t deadline_ns, struct kt_err *err)
{
	int rc;

	while ((rc = asks(vm, "query-migrate", "completed", deadline_ns, err)) == 0) {
		if (strcmp(vm->qmp.reply.word, "failed") == 0 || kt_clock_now_ns() >= deadline_ns)
			return kt_err_set(err, KT_FAULT_HOST, EIO,
					  "QEMU could not save the guest: %s", vm->qmp.reply.word);
		nap();
	}
	return rc < 0 ? rc : 0;
}

int kt_vm_save(struct kt_vm *vm, int state_fd, int64_t deadline_ns, struct kt_err *err)
{
	KT_AUTO_FD int ours = -1;
	int rc = kt_vm_freeze(vm, deadline_ns, err);

	if (rc == 0)
		rc = begin_migration(vm, "migrate", &ours, deadline_ns, err);
	if (rc == 0)
		rc = drain_state(ours, state_fd, deadline_ns, err);
	return rc < 0 ? rc : wait_until_saved(vm, deadline_ns, err);
}

/* ---- the wires ---- */

size_t kt_vm_poll(struct kt_vm *vm, struct pollfd fds[KT_VM_POLL_FDS])
{
	size_t n = 0;

	if (vm->child.pid == 0)
		return 0;
	if (!vm->qmp.eof)
		fds[n++] = (struct pollfd){ vm->qmp.fd, POLLIN, 0 };
	if (!vm->channel.eof && !vm->channel_broken)
		fds[n++] =
			(struct pollfd){ vm->channel.fd,
					 (short)(POLLIN | (vm->channel.out.len ? POLLOUT : 0)), 0 };
	if (vm->console_fd >= 0)
		fds[n++] = (struct pollfd){ vm->console_fd, POLLIN, 0 };
	if (vm->words_fd >= 0)
		fds[n++] = (struct pollfd){ vm->words_fd, POLLIN, 0 };
	fds[n++] = (struct pollfd){ vm->child.pid_fd, POLLIN, 0 };
	kt_must(n <= KT_VM_POLL_FDS);
	return n;
}

bool kt_vm_pending(const struct kt_vm *vm)
{
	return vm->child.pid > 0 && !vm->channel_broken && kt_framelink_has_frame(&vm->channel);
}

static void break_channel(struct kt_vm *vm, const struct kt_err *err)
{
	if (vm->channel_broken)
		return;
	vm->channel_broken = true;
	vm->channel_err = *err;
}

static void digest_channel(struct kt_vm *vm)
{
	struct kt_err err = { 0 };

	if (vm->channel_broken || vm->channel.eof)
		return;
	if (kt_framelink_flush(&vm->channel, &err) < 0 ||
	    kt_framelink_fill(&vm->channel, &err) < 0) {
		/* While QEMU dies its wires break in any order; its death is the better story. */
		if (err.code == EPIPE)
			vm->channel.eof = true;
		else
			break_channel(vm, &err);
		return;
	}
	for (int i = 0; i < FRAMES_PER_DIGEST; i++) {
		KT_AUTO_ARENA arena = { .max = 16u << 20 };
		const struct kt_message *message;
		void *frame;
		int rc = kt_framelink_next(&vm->channel, &arena, &message, &frame, &err);

		if (rc < 0)
			break_channel(vm, &err);
		if (rc <= 0)
			return;
		if (strcmp(message->direction, "to host") != 0) {
			kt_err_set(&err, KT_FAULT_PEER, EPROTO,
				   "the guest sent %s, which is for guests", message->schema->name);
			break_channel(vm, &err);
			return;
		}
		vm->events.frame(vm->events.arg, message, frame);
	}
}

/* One read; false at the end. */
static bool read_bytes(int *fd, void *bytes, size_t size, size_t *len)
{
	ssize_t n = *fd >= 0 ? read(*fd, bytes, size) : -1;

	*len = n > 0 ? (size_t)n : 0;
	if (*fd >= 0 && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)))
		kt_own_close(fd);
	return n > 0;
}

static bool digest_console(struct kt_vm *vm)
{
	char bytes[4096];
	size_t len;
	bool more = read_bytes(&vm->console_fd, bytes, sizeof(bytes), &len);

	if (len > 0) {
		kt_console_feed(&vm->console, bytes, len);
		vm->events.log(vm->events.arg, "console", bytes, len);
	}
	return more;
}

static bool digest_words(struct kt_vm *vm)
{
	char bytes[1024];
	size_t len;
	bool more = read_bytes(&vm->words_fd, bytes, sizeof(bytes), &len);

	if (len > 0) {
		kt_buf_append(&vm->words, bytes, len);
		vm->events.log(vm->events.arg, "qemu", bytes, len);
	}
	return more;
}

/* QEMU is dead: nothing more comes than what the sockets hold. */
static void read_the_rest(struct kt_vm *vm)
{
	struct kt_err err = { 0 };

	while (digest_console(vm))
		;
	while (digest_words(vm))
		;
	kt_console_end(&vm->console);
	while (!vm->qmp.eof && kt_qmp_fill(&vm->qmp, &err) == 0)
		;
	digest_channel(vm);
}

static bool has_died(struct kt_vm *vm)
{
	struct pollfd fd = { vm->child.pid_fd, POLLIN, 0 };

	return vm->child.pid > 0 && poll(&fd, 1, 0) > 0;
}

void kt_vm_digest(struct kt_vm *vm)
{
	struct kt_err err = { 0 };

	if (vm->child.pid == 0)
		return;
	if (has_died(vm)) {
		kt_jail_kill(&vm->child, &vm->status);
		read_the_rest(vm);
		vm->ended = true;
		return;
	}
	digest_channel(vm);
	digest_console(vm);
	digest_words(vm);
	if (!vm->qmp.eof && kt_qmp_fill(&vm->qmp, &err) < 0)
		vm->qmp.eof = true; /* freeze will say that the monitor is gone */
}

bool kt_vm_send(struct kt_vm *vm, uint32_t tag, const void *from)
{
	if (vm->ended || vm->channel_broken || vm->channel.eof)
		return true; /* the caller learns of it by its deadline or by `ended` */
	return kt_framelink_push(&vm->channel, tag, from);
}

/* ---- freeze ---- */

int kt_vm_cont(struct kt_vm *vm, int64_t deadline_ns, struct kt_err *err)
{
	return kt_qmp_call(&vm->qmp, "cont", deadline_ns, err);
}

int kt_vm_freeze(struct kt_vm *vm, int64_t deadline_ns, struct kt_err *err)
{
	return kt_qmp_call(&vm->qmp, "stop", deadline_ns, err);
}

int kt_vm_thaw(struct kt_vm *vm, int64_t stop_sent_ns, int64_t deadline_ns, int64_t *frozen_ns,
	       struct kt_err *err)
{
	int rc = kt_qmp_call(&vm->qmp, "cont", deadline_ns, err);
	int64_t longest_ns = kt_clock_now_ns() - stop_sent_ns;
	int64_t told_ns = (vm->qmp.resumed_at_us - vm->qmp.stopped_at_us) * KT_NS_PER_US;

	/* QEMU's stamps are of the wall clock, which may jump. */
	*frozen_ns = told_ns > 0 && told_ns <= longest_ns ? told_ns : longest_ns;
	return rc;
}

/* ---- the end ---- */

void kt_vm_kill(struct kt_vm *vm)
{
	if (vm->child.pid == 0)
		return;
	vm->killed = !has_died(vm);
	kt_jail_kill(&vm->child, &vm->status);
	read_the_rest(vm);
	vm->ended = true;
}

void kt_vm_destroy(struct kt_vm *vm)
{
	kt_jail_kill(&vm->child, NULL);
	kt_cage_destroy(&vm->cage);
	kt_qmp_destroy(&vm->qmp);
	kt_framelink_destroy(&vm->channel);
	kt_console_destroy(&vm->console);
	kt_own_close(&vm->console_fd);
	kt_own_close(&vm->words_fd);
	kt_buf_destroy(&vm->words);
	for (size_t i = 0; i < vm->n_ram_fds; i++)
		kt_own_close(&vm->ram_fds[i]);
	vm->n_ram_fds = 0;
}

bool kt_vm_guest_ended_it(const struct kt_vm *vm)
{
	const char *reason = vm->qmp.shutdown_reason;

	/* qapi/run-state.json, ShutdownCause */
	return vm->qmp.shutdown_seen && strncmp(reason, "guest-", strlen("guest-")) == 0;
}

void kt_vm_describe_end(const struct kt_vm *vm, struct kt_buf *out)
{
	if (WIFSIGNALED(vm->status))
		kt_buf_printf(out, "killed by signal %d (%s)", WTERMSIG(vm->status),
			      strsignal(WTERMSIG(vm->status)));
	else
		kt_buf_printf(out, "exit status %d", WEXITSTATUS(vm->status));
	if (vm->cage && kt_cage_saw_oom(vm->cage))
		kt_buf_puts(out, ", out of memory in its cgroup");
	if (vm->qmp.shutdown_seen)
		kt_buf_printf(out, ", reason %s", vm->qmp.shutdown_reason);
}
