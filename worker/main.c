/* main.c - ktworker: the daemon on each host, `check` and `key` for people, `attempt` for itself, `shell` for ktcoord. */
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/base/own.h"
#include "worker/agent.h"
#include "worker/attempt_main.h"
#include "worker/cage.h"
#include "worker/core/offer.h"
#include "worker/host.h"
#include "worker/hostkey.h"
#include "worker/kvmproof.h"
#include "worker/qemu.h"
#include "worker/runner_scripted.h"
#include "worker/shellmain.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define EXIT_USAGE    2
#define EXIT_HOST     3
#define LOG_BYTES_MAX (16 << 20) /* of worker.log; then it becomes worker.log.1 */
#define QEMU_PROGRAM  "qemu-system-x86_64"

static const char usage[] =
	"usage: ktworker --connect ENDPOINT [options]   run attempts for a coordinator\n"
	"       ktworker check [options]                what this host can really do\n"
	"       ktworker key [FILE]                     make this host's key, show its public "
	"half\n"
	"\n"
	"  --connect ENDPOINT  where the coordinator listens: ipc://PATH or tcp://HOST:PORT\n"
	"  --server-key KEY    the coordinator's public key, or a file with it: needed when it is "
	"on\n"
	"                      another machine; `ktcoord keys list` there shows it\n"
	"  --key FILE          this host's key (default: host.key in the state folder)\n"
	"  --state DIR         artifacts, spool and logs (default: /var/lib/ktworker as root,\n"
	"                      else $XDG_STATE_HOME/ktworker or ~/.local/state/ktworker)\n"
	"  --id NAME           this worker's name in the fleet (default: the host's name)\n"
	"  --slots N           guests at the same time (default: half the CPUs, at least 1)\n"
	"  --reserve-cpus N    CPUs that guests do not get (default: 0)\n"
	"  --reserve-mem SIZE  likewise memory, e.g. 2G; 256 MiB are always kept\n"
	"  --overcommit[=N]    guests may have more vCPUs together than there are CPUs: N, or any "
	"number\n"
	"  --runner NAME       qemu (default) boots guests; scripted plays job.script, for tests\n"
	"  --qemu PROGRAM      QEMU to use (default: " QEMU_PROGRAM ")\n"
	"  --cache-bytes N     most that artifacts may take (default: 20 GiB)\n"
	"  --once              leave when the sweep is finished\n"
	"  --embedded          --once, and leave with the parent process; log to DIR/worker.log\n"
	"  --log FILE          log there instead of standard error\n"
	"  --quiet             no log\n"
	"  --help, --version\n"
	"\n"
	"SIGTERM drains: what runs is finished, nothing new is taken. Again, or SIGINT: leave "
	"now.\n"
	"\n"
	"examples:\n"
	"  ktworker check\n"
	"  ktworker --connect tcp://127.0.0.1:7400 --slots 4 --reserve-cpus 1 --reserve-mem 2G\n"
	"  ktworker key\n"
	"  ktworker --connect tcp://lab.example:7400 --server-key coordinator.pub\n"
	"  ktworker --connect ipc:///run/ktcoord/control --state /tmp/w1 --id w1 --once\n"
	"\n"
	"exit status: 0 done; 1 the coordinator refused us; 2 the command line is wrong;\n"
	"             3 this host cannot; 70 a bug of ours\n";

struct options {
	struct kt_agent_config agent;
	struct kt_offer offer;
	const char *runner, *qemu, *log;
	const char *key, *server_key;
	bool quiet;
};

/* What the options point into. */
struct texts {
	char state[KT_PATH_BYTES_MAX + 1];
	char id[KT_NAME_BYTES_MAX + 1];
	char qemu[KT_PATH_BYTES_MAX + 1];
	char ktguest[KT_PATH_BYTES_MAX + 1];
	char qemu_version[KT_NAME_BYTES_MAX + 1];
	char cpu_model[KT_NAME_BYTES_MAX + 1];
	char accel_reason[512]; /* why not KVM, or how it was proven */
	bool kvm_works;
	struct kt_msg_machine machine;
};

static int wrong(const char *what, const char *word)
{
	fprintf(stderr, "ktworker: %s%s%s\nTry 'ktworker --help'.\n", what, word ? ": " : "",
		word ? word : "");
	return EXIT_USAGE;
}

static bool read_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && errno == 0 && !*end && *number >= min &&
	       *number <= max;
}

static void default_state(char *path, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (geteuid() == 0)
		snprintf(path, size, "/var/lib/ktworker");
	else if (state && *state == '/')
		snprintf(path, size, "%s/ktworker", state);
	else
		snprintf(path, size, "%s/.local/state/ktworker", home ? home : "");
}

/* ---- what the host can do ---- */

/* Fills accel and why it is not KVM. */
static void prove_accel(struct texts *texts)
{
	struct kt_kvmproof proof = { 0 };

	kt_kvmproof_run(&proof);
	texts->machine.accel = proof.works ? "kvm" : "tcg";
	texts->kvm_works = proof.works;
	snprintf(texts->accel_reason, sizeof(texts->accel_reason), "%s", proof.reason);
}

static int look_at_host(struct texts *texts, const char *runner, const char *qemu,
			struct kt_err *err)
{
	unsigned int major;

	kt_host_cpu_model(texts->cpu_model, sizeof(texts->cpu_model));
	kt_host_sibling("ktguest", texts->ktguest, sizeof(texts->ktguest));
	texts->machine = (struct kt_msg_machine){
		.runner = runner,
		.accel = "none",
		.guest = "none",
		.qemu = texts->qemu_version,
		.cpu_model = texts->cpu_model,
		.kernel_release = "",
	};
	if (strcmp(runner, "scripted") == 0)
		return 0;
	texts->machine.guest = "warm"; /* it can; a result says what a guest was */
	kt_host_program(qemu, texts->qemu, sizeof(texts->qemu));
	prove_accel(texts);
	if (!*texts->qemu)
		return kt_err_set(err, KT_FAULT_HOST, ENOENT,
				  "qemu_missing: %s is not there: apt-get install qemu-system-x86",
				  qemu);
	return kt_qemu_version(texts->qemu, &major, texts->qemu_version,
			       sizeof(texts->qemu_version), err);
}

static void print_offer(const struct kt_offer *offer)
{
	char kept[64] = "";

	if (offer->reserve_cpus)
		snprintf(kept, sizeof(kept), ", %" PRIu64 " kept", offer->reserve_cpus);
	if (offer->guest_cpus)
		printf("guests get   %" PRIu64 " CPUs together%s%s\n", offer->guest_cpus, kept,
		       offer->overcommit ? " (--overcommit)" : "");
	else
		printf("guests get   as many CPUs as they want (--overcommit)\n");
	kept[0] = 0;
	if (offer->reserve_mem_bytes)
		snprintf(kept, sizeof(kept), ", %" PRIu64 " MiB kept",
			 offer->reserve_mem_bytes >> 20);
	printf("             %" PRIu64 " MiB of memory together%s\n", offer->guest_mem_bytes >> 20,
	       kept);
}

static int check_host(const char *state, uint64_t slots, const struct kt_offer *offer)
{
	KT_AUTO_BUF notes = { 0 };
	KT_AUTO(kt_cage_destroy) struct kt_cage *cage = NULL;
	struct texts texts = { 0 };
	struct kt_err err = { 0 };
	struct stat stat_ktguest;
	uint64_t cpus = kt_host_cpus();
	bool good = true;

	if (look_at_host(&texts, "qemu", QEMU_PROGRAM, &err) < 0)
		good = false;
	cage = kt_cage_create(&(struct kt_cage_limits){ .memory_bytes_max = 1ull << 30,
							.pids_max = 64,
							.cpus_max = 1 },
			      &notes);
	printf("cpu          %s, %" PRIu64 " usable\n", texts.cpu_model, cpus);
	print_offer(offer);
	printf("slots        %" PRIu64 "\n", slots);
	printf("accelerator  %s%s%s\n", texts.machine.accel,
	       texts.kvm_works ? ": " : ": KVM is not used: ", texts.accel_reason);
	printf("qemu         %s%s%s\n", good ? texts.qemu_version : err.text, good ? " at " : "",
	       good ? texts.qemu : "");
	printf("ktguest      %s%s\n", texts.ktguest,
	       stat(texts.ktguest, &stat_ktguest) == 0 ? "" : ": not there");
	printf("cgroups      %s%s%s\n", kt_cage_describe(cage), notes.len ? "; " : "",
	       kt_buf_text(&notes));
	printf("state        %s, %" PRIu64 " MiB free\n", state, kt_host_disk_bytes(state) >> 20);
	good = good && stat(texts.ktguest, &stat_ktguest) == 0;
	printf("%s\n", good ? "this host can run guests" : "this host cannot run guests yet");
	return good ? 0 : EXIT_HOST;
}

/* ---- running ---- */

static const struct kt_runner_ops *runner_by_name(const char *name)
{
	if (strcmp(name, "qemu") == 0)
		return &kt_runner_qemu;
	return strcmp(name, "scripted") == 0 ? &kt_runner_scripted : NULL;
}

/* Standard error becomes the log; what it was is returned, for last words. */
static int redirect_log(const char *path)
{
	KT_AUTO_FD int terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	return kt_log_stderr(path, LOG_BYTES_MAX) < 0 ? -1 : kt_own_take_fd(&terminal);
}

static void last_words(int terminal, const struct kt_err *err)
{
	dprintf(terminal >= 0 ? terminal : STDERR_FILENO, "ktworker: %s\n", err->text);
}

static int run(struct options *options, struct texts *texts)
{
	KT_AUTO(kt_hostkey_wipe) struct kt_hostkey hostkey = { .server_key = "" };
	struct kt_err err = { 0 };
	KT_AUTO_FREE char *log = NULL;
	KT_AUTO_FD int terminal = -1;
	int status = 0;

	if (options->log) {
		log = kt_must_strdup(options->log);
	} else if (options->agent.embedded) {
		mkdir(options->agent.state_dir, 0755); /* its parents are the coordinator's */
		log = kt_must_asprintf("%s/worker.log", options->agent.state_dir);
	}
	if (log)
		terminal = redirect_log(log);
	kt_log_open("ktworker", !options->quiet);
	kt_cage_sweep();
	if (look_at_host(texts, options->runner, options->qemu, &err) < 0) {
		last_words(terminal, &err);
		return EXIT_HOST;
	}
	if (strcmp(texts->machine.accel, "tcg") == 0)
		KT_LOG("no_kvm", "accel=tcg why=%s", kt_log_quote(texts->accel_reason));
	if (kt_hostkey_load(&hostkey, options->agent.state_dir, options->agent.endpoint,
			    options->key, options->server_key, &err) < 0) {
		last_words(terminal, &err);
		return err.fault == KT_FAULT_INPUT ? EXIT_USAGE : EXIT_HOST;
	}
	options->agent.guard = kt_hostkey_guard(&hostkey);
	options->agent.machine = &texts->machine;
	options->agent.accel_reason = texts->kvm_works ? "" : texts->accel_reason;
	options->agent.qemu = texts->qemu;
	options->agent.ktguest = texts->ktguest;
	if (kt_agent_run(&options->agent, &status, &err) < 0) {
		KT_LOG("cannot_run", "why=%s", kt_log_quote(err.text));
		last_words(terminal, &err);
		return err.fault == KT_FAULT_INPUT ? EXIT_USAGE : EXIT_HOST;
	}
	return status;
}

/* For `ktcoord shell`, which has looked at everything else. */
static int run_shell(const struct options *options, struct texts *texts)
{
	struct kt_err err = { 0 };
	struct kt_shellmain_config config = {
		.state_dir = options->agent.state_dir,
		.qemu = texts->qemu,
		.ktguest = texts->ktguest,
		.cpu_model = texts->cpu_model,
		.mem_bytes = options->agent.mem_bytes,
		.cache_bytes_max = options->agent.cache_bytes_max,
		.verbose = !options->quiet,
	};

	kt_log_open("ktworker", !options->quiet);
	kt_cage_sweep();
	if (look_at_host(texts, "qemu", options->qemu, &err) < 0) {
		fprintf(stderr, "ktcoord: %s\n", err.text);
		return EXIT_HOST;
	}
	config.accel = texts->machine.accel;
	return kt_shellmain_run(&config);
}

static int make_key(const struct options *options, const char *path)
{
	struct kt_err err = { 0 };

	if (kt_hostkey_command(options->agent.state_dir, path ? path : options->key,
			       options->agent.worker_id, &err) == 0)
		return 0;
	fprintf(stderr, "ktworker: %s\n", err.text);
	return err.fault == KT_FAULT_INPUT ? EXIT_USAGE : EXIT_HOST;
}

enum {
	OPT_CACHE_BYTES = 256,
	OPT_RESERVE_CPUS,
	OPT_RESERVE_MEM,
	OPT_OVERCOMMIT,
	OPT_ONCE,
	OPT_EMBEDDED,
	OPT_LOG,
	OPT_QUIET,
	OPT_QEMU,
	OPT_KEY,
	OPT_SERVER_KEY
};

static const struct option long_options[] = {
	{ "connect", required_argument, NULL, 'c' },
	{ "state", required_argument, NULL, 's' },
	{ "id", required_argument, NULL, 'i' },
	{ "slots", required_argument, NULL, 'n' },
	{ "runner", required_argument, NULL, 'r' },
	{ "qemu", required_argument, NULL, OPT_QEMU },
	{ "reserve-cpus", required_argument, NULL, OPT_RESERVE_CPUS },
	{ "reserve-mem", required_argument, NULL, OPT_RESERVE_MEM },
	{ "overcommit", optional_argument, NULL, OPT_OVERCOMMIT },
	{ "cache-bytes", required_argument, NULL, OPT_CACHE_BYTES },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "server-key", required_argument, NULL, OPT_SERVER_KEY },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "embedded", no_argument, NULL, OPT_EMBEDDED },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* -1: go on; else the exit status. */
static int read_option(int option, struct options *options)
{
	struct kt_agent_config *agent = &options->agent;
	uint64_t number;

	switch (option) {
	case 'c':
		agent->endpoint = optarg;
		return -1;
	case 's':
		agent->state_dir = optarg;
		return -1;
	case 'i':
		agent->worker_id = optarg;
		return -1;
	case 'n':
		if (!read_number(optarg, 1, KT_SLOTS_MAX, &number))
			return wrong("--slots is a number from 1 to 1024", optarg);
		agent->slots = number;
		return -1;
	case 'r':
		options->runner = optarg;
		return -1;
	case OPT_QEMU:
		options->qemu = optarg;
		return -1;
	case OPT_CACHE_BYTES:
		if (!read_number(optarg, 1, UINT64_MAX, &agent->cache_bytes_max))
			return wrong("--cache-bytes is a number of bytes", optarg);
		return -1;
	case OPT_RESERVE_CPUS:
		if (!read_number(optarg, 0, KT_OFFER_CPUS_MAX, &options->offer.reserve_cpus))
			return wrong("--reserve-cpus is a number of CPUs", optarg);
		return -1;
	case OPT_RESERVE_MEM:
		if (!kt_offer_parse_size(optarg, &options->offer.reserve_mem_bytes))
			return wrong("--reserve-mem is a size like 512M or 2G", optarg);
		return -1;
	case OPT_OVERCOMMIT:
		options->offer.overcommit = true;
		if (optarg &&
		    !read_number(optarg, 1, KT_OFFER_CPUS_MAX, &options->offer.overcommit_cpus))
			return wrong("--overcommit takes a number of vCPUs, or none", optarg);
		return -1;
	case OPT_KEY:
		options->key = optarg;
		return -1;
	case OPT_SERVER_KEY:
		options->server_key = optarg;
		return -1;
	case OPT_ONCE:
		agent->once = true;
		return -1;
	case OPT_EMBEDDED:
		agent->embedded = true;
		options->offer.overcommit =
			true; /* it runs on the user's own machine, whatever that is */
		return -1;
	case OPT_LOG:
		options->log = optarg;
		return -1;
	case OPT_QUIET:
		options->quiet = true;
		return -1;
	case 'h':
		fputs(usage, stdout);
		return 0;
	case 'V':
		puts("ktworker " KT_VERSION);
		return 0;
	default:
		fputs("Try 'ktworker --help'.\n", stderr);
		return EXIT_USAGE;
	}
}

int main(int argc, char **argv)
{
	struct texts texts = { 0 };
	struct options options = {
		.agent = { .worker_id = texts.id,
			   .state_dir = texts.state,
			   .cpus = kt_host_cpus(),
			   .cache_bytes_max = KT_CACHE_BYTES_MAX,
			   .spool_bytes_max = KT_SPOOL_BYTES_MAX },
		.runner = "qemu",
		.qemu = QEMU_PROGRAM,
	};
	int option, status;
	struct kt_err err = { 0 };

	if (argc == 2 && strcmp(argv[1], "attempt") == 0)
		return kt_attempt_main();
	default_state(texts.state, sizeof(texts.state));
	kt_host_name(texts.id, sizeof(texts.id));
	options.agent.slots = options.agent.cpus > 3 ? options.agent.cpus / 2 : 1;
	if (options.agent.slots > KT_SLOTS_MAX)
		options.agent.slots = KT_SLOTS_MAX;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		status = read_option(option, &options);
		if (status >= 0)
			return status;
	}
	options.offer.cpus = options.agent.cpus;
	options.offer.mem_bytes = kt_host_mem_bytes();
	options.offer.scripted = strcmp(options.runner, "scripted") == 0;
	if (kt_offer_make(&options.offer, &err) < 0)
		return wrong(err.text, NULL);
	options.agent.guest_cpus = options.offer.guest_cpus;
	options.agent.mem_bytes = options.offer.guest_mem_bytes;
	if (optind + 1 == argc && strcmp(argv[optind], "check") == 0)
		return check_host(options.agent.state_dir, options.agent.slots, &options.offer);
	if (optind < argc && optind + 2 >= argc && strcmp(argv[optind], "key") == 0)
		return make_key(&options, optind + 1 < argc ? argv[optind + 1] : NULL);
	if (optind + 1 == argc && strcmp(argv[optind], "shell") == 0)
		return run_shell(&options, &texts);
	if (optind < argc)
		return wrong("not a command", argv[optind]);
	if (!options.agent.endpoint)
		return wrong("--connect ENDPOINT is missing", NULL);
	options.agent.runner = runner_by_name(options.runner);
	if (!options.agent.runner)
		return wrong("no such runner", options.runner);
	return run(&options, &texts);
}
