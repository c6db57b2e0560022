/* layer: assertions */
/* bench_patterns.c - how fast columns are judged and series decoded, beside what the memory can do.
 *
 *	bench_patterns [SLOTS]		10, 10000 and SLOTS (10000000) slots
 *
 * One JSON line per measure. A slot is judged once for each time that its column is; the whole of
 * kt_judge_column() is measured, coverage and notes included. bytes_per_slot is the column and everything
 * that judging it allocates, at its largest (a second column of ratio_within not counted).
 */
#include "proto/base/clock.h"
#include "tests/unit/assertions/notation.h"

#include <inttypes.h>
#include <malloc.h>

#define SLOTS_DEFAULT 10000000
#define TAGS          1000
#define MEASURE_NS    (200 * KT_NS_PER_MS) /* at least so long, or once */

static char tags[TAGS][16];

/* A counter that rises by one each ms, or one truth over and over. */
static void fill(struct kt_column_slot *slots, size_t n, bool truths)
{
	for (size_t i = 0; i < n; i++) {
		struct kt_number number =
			truths ? kt_number_bool(true) : kt_number_u64(1000000 + i);

		slots[i] = (struct kt_column_slot){ .elapsed_ns = (int64_t)i * KT_NS_PER_MS,
						    .tag = tags[i % TAGS],
						    .step = (uint32_t)(i >= n / 2) };
		kt_column_slot_set(&slots[i], &number);
	}
}

/* What looks at every slot: all hold but the last, so that little is said and nothing is cut short. */
static const char *const cases[] = {
	"nondecreasing=true",
	"nondecreasing=true reset='epoch'",
	"strictly_increasing=true",
	"must_progress=true",
	"each={between [0; 1e18]}",
	"rate_within={lo 0.5, hi 2}",
	"steady_within={tol 1000}",
	"converges_to={target 0, tol 1e18, deadline_ms 86400000}",
	"ratio_across_steps={early 0, late 1, at_most 1e6}",
	"ratio_within={other 'bpf:other', lo 0, hi 1e6}",
	"eventually={at_least 0, within_ms 86400000}",
	"always={at_least 0}",
	"always={any_of [{at_least 9e17}; {at_most 1e18}]}",
	"always={eventually {at_least 0, within_ms 1000}, to_ms 1}",
	"until={hold {at_least 0}, then {at_least 1e18}}",
};

static void say(const char *measure, const char *what, size_t slots, double value, const char *unit)
{
	printf("{\"measure\": \"%s\", \"of\": \"%s\", \"slots\": %zu, \"value\": %.6g, \"unit\": "
	       "\"%s\"}\n",
	       measure, what, slots, value, unit);
	fflush(stdout);
}

/* Judging allocates little, but in large pieces: they show in what the process had resident at most. */
static size_t resident_most_bytes(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	size_t kib = 0;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "VmHWM: %zu", &kib);
	if (file)
		fclose(file);
	return kib * 1024;
}

static void reset_resident_most(void)
{
	FILE *file = fopen("/proc/self/clear_refs", "w");

	if (!file)
		return;
	fputs("5", file);
	fclose(file);
}

/* The other column of ratio_within is the same one: it is read twice. */
static void measure_case(const char *text, const struct kt_column *column)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_column others[KT_ASSERTION_PATTERNS_MAX];
	struct kt_assertion assertion;
	size_t times = 0;
	size_t before;
	int64_t begun_ns;
	int64_t took_ns;
	struct kt_err err = { 0 };

	if (!fixture_assertion(&arena, text, &assertion, &err)) {
		fprintf(stderr, "%s: %s\n", text, err.text);
		exit(1);
	}
	for (size_t i = 0; i < KT_ASSERTION_PATTERNS_MAX; i++)
		others[i] = *column;
	malloc_trim(0);
	reset_resident_most();
	before = resident_most_bytes();
	begun_ns = kt_clock_now_ns();
	do {
		KT_AUTO_ARENA scratch = { 0 };
		struct kt_verdict verdict;

		kt_verdict_init(&verdict, &scratch);
		kt_judge_column(&assertion, column, others, &verdict);
		if (kt_verdict_outcome(&verdict) == KT_VERDICT_INCONCLUSIVE) {
			fprintf(stderr, "%s: %s\n", text, kt_verdict_headline(&verdict)->text);
			exit(1);
		}
		times++;
		took_ns = kt_clock_now_ns() - begun_ns;
	} while (took_ns < MEASURE_NS);
	say("judged", text, column->n, (double)(times * column->n) / (double)took_ns * 1e9,
	    "slots/s");
	if (column->n >= 1000000)
		say("bytes_per_slot", text, column->n,
		    sizeof(struct kt_column_slot) +
			    (double)(resident_most_bytes() - before) / (double)column->n,
		    "B");
}

/* What reading the column alone costs, and copying it: nothing that looks at every slot is faster. */
static void measure_memory(const struct kt_column *column)
{
	size_t bytes = column->n * sizeof(*column->slots);
	uint8_t *copy = malloc(bytes);
	volatile uint64_t sink;
	uint64_t sum = 0;
	int64_t begun_ns;

	kt_must(copy);
	memset(copy, 1, bytes);
	begun_ns = kt_clock_now_ns();
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		sum += ((const uint64_t *)(const void *)copy)[i];
	sink = sum;
	(void)sink;
	say("memory_read", "the column", column->n,
	    (double)bytes / (double)(kt_clock_now_ns() - begun_ns), "GB/s");
	begun_ns = kt_clock_now_ns();
	memcpy(copy, column->slots, bytes);
	__asm__ volatile("" : : "r"(copy) : "memory"); /* nobody reads it: copied all the same */
	say("memory_copied", "the column", column->n,
	    (double)bytes / (double)(kt_clock_now_ns() - begun_ns), "GB/s");
	free(copy);
}

/* Samples of 64 counters each, as the stats axis has them. */
static void measure_series(void)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value map = kt_value_map(&arena, 64);
	struct kt_msg_axis axis = { .name = "stats", .value = map, .error = "", .text = "" };
	struct kt_msg_sample sample = {
		.tag = "periodic_000", .placeholder = "", .axes = &axis, .n_axes = 1
	};
	struct kt_buf bodies[1000] = { 0 };
	size_t bytes = 0;
	size_t times = 0;
	int64_t begun_ns;
	int64_t took_ns;

	for (size_t i = 0; i < 64; i++)
		map.pairs[i] =
			(struct kt_value_pair){ kt_arena_printf(&arena, "nr_counter_%03zu", i),
						kt_value_u64(1000000007 * i) };
	for (size_t i = 0; i < 1000; i++) {
		sample.seq = i;
		sample.elapsed_ns = (int64_t)i;
		kt_codec_encode(&kt_schema_sample, &sample, &bodies[i]);
		bytes += bodies[i].len;
	}
	begun_ns = kt_clock_now_ns();
	do {
		KT_AUTO_SERIES series = { 0 };

		for (size_t i = 0; i < 1000; i++)
			if (kt_series_append(&series, bodies[i].data, bodies[i].len, NULL) < 0)
				exit(1);
		times++;
		took_ns = kt_clock_now_ns() - begun_ns;
	} while (took_ns < MEASURE_NS);
	say("series_decoded", "64 counters a sample", 1000,
	    (double)(times * bytes) / (double)took_ns * 1000, "MB/s");
	for (size_t i = 0; i < 1000; i++)
		kt_buf_destroy(&bodies[i]);
}

int main(int argc, char **argv)
{
	size_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : SLOTS_DEFAULT;
	size_t sizes[] = { 10, 10000, most };
	struct kt_column_slot *slots;

	if (most < 10) {
		fprintf(stderr, "usage: bench_patterns [SLOTS]\n");
		return 2;
	}
	slots = malloc(most * sizeof(*slots));
	kt_must(slots);
	for (size_t i = 0; i < TAGS; i++)
		snprintf(tags[i], sizeof(tags[i]), "periodic_%03zu", i);
	for (size_t s = 0; s < 3; s++) {
		struct kt_column column = { .slots = slots, .n = sizes[s] };

		fill(slots, sizes[s], false);
		measure_memory(&column);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			measure_case(cases[i], &column);
		fill(slots, sizes[s], true);
		measure_case("always_true=true", &column);
	}
	measure_series();
	free(slots);
	return 0;
}
