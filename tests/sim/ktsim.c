/* ktsim - histories of a fleet, one per seed; what is promised is looked at after every step.
 *
 *	ktsim [--seeds FROM..TO] [-j N]        all of them; the first that breaks a promise ends it
 *	ktsim --seed N [--trace]               one of them, with everything that happens
 *	      [--only A,B | --without A,B]     only these faults, or all but these (--list names them)
 *
 * Exit status: 0 every promise was kept, 1 one was broken, 2 the command line makes no sense.
 */
#include "tests/sim/world.h"
#include "proto/base/must.h"

#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 64
#define ALL_FAULTS    ((1u << FAULT_N) - 1)
#define SECONDS_MAX   20 /* of one seed: more is a livelock */

struct options {
	uint64_t from, to;
	uint32_t only, without; /* sets of faults */
	bool one, trace, list, quiet, stats;
	unsigned int processes;
};

/* What the processes share. */
struct shared {
	uint64_t next, done;
	bool failed;
	uint64_t seeds[PROCESSES_MAX]; /* what each is at */
	uint64_t events, messages, facts, restarts, virtual_ns;
	uint64_t hits[FAULT_N];
};

static struct {
	jmp_buf jump;
	bool armed;
	struct breach breach;
	uint64_t seed;
	const char *program;
	char arguments[256];
} now;

void ktsim_breach(const struct world *w, const struct breach *breach)
{
	now.breach = *breach;
	kt_must(now.armed);
	longjmp(now.jump, 1);
}

static uint32_t faults_of(uint64_t seed, const struct options *options)
{
	uint32_t faults = 0;
	unsigned int percent = 10 + (unsigned int)(world_mix(seed, 1) % 50);

	if (seed % 40 == 0)
		return 0; /* an undisturbed world now and then */
	for (int i = 0; i < FAULT_N; i++)
		if (world_mix(seed, 2 + (uint64_t)i) % 100 < percent)
			faults |= 1u << i;
	return faults & options->only & ~options->without;
}

static double seconds(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* false: a promise was broken, now.breach says which. */
static bool run_seed(uint64_t seed, uint32_t faults, bool trace, struct shared *shared)
{
	struct world *volatile w = world_new(seed, faults, trace);

	now.seed = seed;
	now.armed = true;
	if (setjmp(now.jump)) {
		now.armed = false;
		return false; /* the world is left as it is: it may be anything */
	}
	alarm(SECONDS_MAX);
	world_run(w);
	alarm(0);
	now.armed = false;
	if (shared) {
		__atomic_add_fetch(&shared->events, w->n_events, __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->messages, w->n_messages, __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->facts, w->n_facts, __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->restarts, w->n_restarts, __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->virtual_ns, (uint64_t)w->now_ns, __ATOMIC_RELAXED);
		for (int i = 0; i < FAULT_N; i++)
			__atomic_add_fetch(&shared->hits[i], w->hits[i], __ATOMIC_RELAXED);
	}
	{
		struct world *done = w;

		world_destroy(&done);
	}
	return true;
}

static void print_repro(uint64_t seed)
{
	printf("repro: %s --seed %llu%s\n", now.program, (unsigned long long)seed, now.arguments);
	fflush(stdout);
}

static void on_abort(int number)
{
	static char text[256];
	int len = snprintf(text, sizeof(text), "\nABORT %s at seed %llu\nrepro: %s --seed %llu%s\n",
			   number == SIGALRM ? "(livelock)" : "(kt_must, or worse)",
			   (unsigned long long)now.seed, now.program, (unsigned long long)now.seed,
			   now.arguments);

	if (write(1, text, (size_t)len) < 0)
		_exit(4);
	_exit(3);
}

static void catch_aborts(void)
{
	static const int numbers[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], on_abort);
}

static void print_breach(uint64_t seed, uint32_t faults)
{
	printf("\nBROKEN %s %s: %s\n  seed %llu, after %.6f s, event %llu: %s\n  faults:",
	       promises_invariant(now.breach.promise), promises_name(now.breach.promise),
	       promises_words(now.breach.promise), (unsigned long long)seed,
	       (double)now.breach.at_ns / 1e9, (unsigned long long)now.breach.event,
	       now.breach.text);
	for (int i = 0; i < FAULT_N; i++)
		if (faults & 1u << i)
			printf(" %s", world_fault_name((enum fault)i));
	putchar('\n');
	fflush(stdout);
}

/* Whether the same promise is broken without some of its faults: in a process of its own. */
static bool fails_without(uint64_t seed, uint32_t faults)
{
	enum promise promise = now.breach.promise;
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		catch_aborts();
		close(1);
		_exit(!run_seed(seed, faults, false, NULL) && now.breach.promise == promise ? 77
											    : 0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 77;
}

/* Faults are left out one by one as long as the promise stays broken. */
static void shrink(uint64_t seed, uint32_t faults)
{
	uint32_t needed = faults;

	fflush(stdout);
	for (int i = 0; i < FAULT_N; i++)
		if (needed & 1u << i && fails_without(seed, needed & ~(1u << i)))
			needed &= ~(1u << i);
	printf("  needs only:");
	snprintf(now.arguments, sizeof(now.arguments), " --only ");
	for (int i = 0; i < FAULT_N; i++) {
		size_t len = strlen(now.arguments);

		if (!(needed & 1u << i))
			continue;
		printf(" %s", world_fault_name((enum fault)i));
		snprintf(now.arguments + len, sizeof(now.arguments) - len, "%s%s",
			 now.arguments[len - 1] == ' ' ? "" : ",", world_fault_name((enum fault)i));
	}
	if (!needed)
		snprintf(now.arguments, sizeof(now.arguments), " --only none");
	putchar('\n');
}

/* Takes seeds until there are none. */
static int work(const struct options *options, struct shared *shared, unsigned int number)
{
	catch_aborts();
	for (;;) {
		uint64_t seed = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
		uint32_t faults;

		if (seed > options->to || __atomic_load_n(&shared->failed, __ATOMIC_RELAXED))
			return 0;
		shared->seeds[number] = seed;
		faults = faults_of(seed, options);
		if (!run_seed(seed, faults, false, shared)) {
			if (__atomic_exchange_n(&shared->failed, true, __ATOMIC_RELAXED))
				return 1;
			print_breach(seed, faults);
			if (!options->quiet)
				shrink(seed, faults);
			print_repro(seed);
			return 1;
		}
		__atomic_add_fetch(&shared->done, 1, __ATOMIC_RELAXED);
	}
}

static void print_stats(const struct shared *shared, double took)
{
	double n = shared->done ? (double)shared->done : 1;

	printf("%llu seeds in %.1f s: %.2f ms each; of each: %.0f events, %.0f messages, %.0f "
	       "facts, "
	       "%.1f restarts of the coordinator, %.0f s of its time\n",
	       (unsigned long long)shared->done, took, took * 1e3 / n, (double)shared->events / n,
	       (double)shared->messages / n, (double)shared->facts / n,
	       (double)shared->restarts / n, (double)shared->virtual_ns / 1e9 / n);
	printf("struck:");
	for (int i = 0; i < FAULT_N; i++)
		printf(" %s %llu", world_fault_name((enum fault)i),
		       (unsigned long long)shared->hits[i]);
	putchar('\n');
}

static int run_many(const struct options *options)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[PROCESSES_MAX];
	double began = seconds();
	unsigned int left = options->processes;
	int worst = 0;

	kt_must(shared != MAP_FAILED);
	shared->next = options->from;
	for (unsigned int i = 0; i < options->processes; i++) {
		fflush(stdout);
		pids[i] = fork();
		kt_must(pids[i] >= 0);
		if (pids[i] == 0)
			exit(work(options, shared, i));
	}
	while (left > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, isatty(1) ? WNOHANG : 0);

		if (pid == 0) {
			printf("\r%llu of %llu ", (unsigned long long)shared->done,
			       (unsigned long long)(options->to - options->from + 1));
			fflush(stdout);
			usleep(200000);
			continue;
		}
		for (unsigned int i = 0; i < options->processes; i++) {
			if (pids[i] != pid)
				continue;
			left--;
			if (status == 0)
				continue;
			worst = 1;
			shared->failed = true;
		}
	}
	printf("%s", isatty(1) ? "\r" : "");
	print_stats(shared, seconds() - began);
	return worst;
}

static int run_one(const struct options *options)
{
	uint32_t faults = faults_of(options->from, options);
	bool kept;

	catch_aborts();
	kept = run_seed(options->from, faults, options->trace, NULL);
	if (kept)
		printf("seed %llu keeps every promise\n", (unsigned long long)options->from);
	else
		print_breach(options->from, faults);
	return !kept;
}

/* ---- the command line ---- */

static int parse_faults(const char *text, uint32_t *faults)
{
	char copy[512];
	char *rest = copy;
	char *name;

	*faults = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	while ((name = strsep(&rest, ","))) {
		int i = 0;

		if (strcmp(name, "none") == 0 || !*name)
			continue;
		while (i < FAULT_N && strcasecmp(world_fault_name((enum fault)i), name) != 0)
			i++;
		if (i == FAULT_N) {
			fprintf(stderr, "ktsim: no fault is named %s (--list names them)\n", name);
			return -EINVAL;
		}
		*faults |= 1u << i;
	}
	snprintf(now.arguments + strlen(now.arguments),
		 sizeof(now.arguments) - strlen(now.arguments), " %s", text);
	return 0;
}

static void list(void)
{
	static const char *const words[FAULT_N] = {
#define X(name_, what_) [FAULT_##name_] = what_,
		SIM_FAULTS(X)
#undef X
	};

	for (int i = 0; i < FAULT_N; i++)
		printf("fault    %-14s     %s\n", world_fault_name((enum fault)i), words[i]);
	for (int i = 0; i < PROMISE_N; i++)
		printf("promise  %-14s %s  %s\n", promises_name((enum promise)i),
		       promises_invariant((enum promise)i), promises_words((enum promise)i));
}

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "seeds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'S' },
		{ "trace", no_argument, NULL, 't' },
		{ "only", required_argument, NULL, 'o' },
		{ "without", required_argument, NULL, 'w' },
		{ "list", no_argument, NULL, 'l' },
		{ "no-shrink", no_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long long from = 1;
	unsigned long long to = 1000;
	int letter;

	*options = (struct options){ .only = ALL_FAULTS, .processes = 1 };
	while ((letter = getopt_long(argc, argv, "j:", longs, NULL)) != -1) {
		switch (letter) {
		case 's':
			if (sscanf(optarg, "%llu..%llu", &from, &to) != 2)
				return -EINVAL;
			break;
		case 'S':
			options->one = true;
			from = strtoull(optarg, NULL, 10);
			break;
		case 't':
			options->trace = true;
			break;
		case 'o':
			snprintf(now.arguments, sizeof(now.arguments), " --only");
			if (parse_faults(optarg, &options->only) < 0)
				return -EINVAL;
			break;
		case 'w':
			snprintf(now.arguments, sizeof(now.arguments), " --without");
			if (parse_faults(optarg, &options->without) < 0)
				return -EINVAL;
			break;
		case 'l':
			options->list = true;
			break;
		case 'q':
			options->quiet = true;
			break;
		case 'j':
			options->processes = (unsigned int)atoi(optarg);
			break;
		default:
			return -EINVAL;
		}
	}
	options->from = from;
	options->to = to;
	if (optind != argc || options->processes < 1 || options->processes > PROCESSES_MAX)
		return -EINVAL;
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;

	now.program = argv[0];
	if (parse(argc, argv, &options) < 0) {
		fprintf(stderr, "usage: ktsim [--seeds FROM..TO] [-j N] [--no-shrink]\n"
				"       ktsim --seed N [--trace] [--only A,B | --without A,B]\n"
				"       ktsim --list\n");
		return 2;
	}
	if (options.list) {
		list();
		return 0;
	}
	return options.one ? run_one(&options) : run_many(&options);
}
