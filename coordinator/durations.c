#include "coordinator/durations.h"
#include "coordinator/journal.h"
#include "coordinator/matrixfile.h"
#include "proto/base/must.h"
#include "proto/job.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>

#define SUFFIX      ".sweep"
#define CELL_NS_MIN KT_NS_PER_MS
#define KEY_BYTES   (KT_CELL_NAME_BYTES_MAX + 8)

struct mean {
	char *key; /* "warm scenario/kernel/scheduler/topology", or "warm scenario" */
	__int128 sum_ns; /* beyond the scenario's length; less than 0 when they ended early */
	int64_t n;
	UT_hash_handle hh;
};

struct kt_durations {
	struct mean *means;
};

/* ---- means ---- */

static void add(struct kt_durations *durations, const char *key, int64_t ns)
{
	struct mean *mean;

	HASH_FIND_STR(durations->means, key, mean);
	if (!mean) {
		mean = kt_must_calloc(1, sizeof(*mean));
		mean->key = kt_must_strdup(key);
		HASH_ADD_KEYPTR(hh, durations->means, mean->key, strlen(mean->key), mean);
	}
	mean->sum_ns += ns;
	mean->n++;
}

static const char *cell_key(const struct kt_matrix *matrix, uint64_t index, const char *guest,
			    char key[KEY_BYTES])
{
	char name[KT_CELL_NAME_BYTES_MAX];

	kt_matrix_cell_name(matrix, index, name);
	snprintf(key, KEY_BYTES, "%.7s %.*s", guest, (int)strcspn(name, "#"), name);
	return key;
}

static const char *scenario_key(const struct kt_matrix_cell *cell, const char *guest,
				char key[KEY_BYTES])
{
	snprintf(key, KEY_BYTES, "%.7s %s", guest, cell->scenario->name);
	return key;
}

/* ---- stored sweeps ---- */

struct reading {
	struct kt_durations *durations;
	const struct kt_matrix *matrix;
};

static bool is_guest(const char *text)
{
	return strcmp(text, KT_JOB_GUEST_WARM) == 0 || strcmp(text, KT_JOB_GUEST_COLD) == 0;
}

static int take_fact(void *arg, uint64_t seq, int64_t wall_ns, uint32_t tag, const void *fact,
		     struct kt_err *err)
{
	const struct reading *reading = arg;
	const struct kt_msg_fact_ended *ended = fact;
	char key[KEY_BYTES];
	struct kt_matrix_cell cell;
	const char *guest;
	int64_t beyond_ns;

	if (tag != KT_TAG_fact_ended || ended->cell >= reading->matrix->n_cells ||
	    ended->result->wall_ns <= 0)
		return 0;
	kt_matrix_cell(reading->matrix, ended->cell, &cell);
	guest = ended->result->machine && is_guest(ended->result->machine->guest)
			? ended->result->machine->guest
			: cell.scenario->guest;
	beyond_ns = ended->result->wall_ns - kt_matrix_cell_run_ns(&cell);
	add(reading->durations, cell_key(reading->matrix, ended->cell, guest, key), beyond_ns);
	add(reading->durations, scenario_key(&cell, guest, key), beyond_ns);
	return 0;
}

static bool is_meta(struct kt_journal *journal, const char *name, const char *wanted)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_bin value = { 0 };

	return kt_journal_meta(journal, name, &arena, &value, NULL) == 0 &&
	       strcmp((const char *)value.data, wanted) == 0;
}

static void read_sweep(struct kt_durations *durations, const char *path, const char *runner)
{
	KT_AUTO(kt_journal_close) struct kt_journal *journal = NULL;
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_ARENA arena = { 0 };
	struct reading reading = { .durations = durations };
	struct kt_bin text = { 0 };

	if (kt_journal_open(path, true, &journal, NULL) < 0 ||
	    !is_meta(journal, "runner", runner) ||
	    kt_journal_meta(journal, "matrix", &arena, &text, NULL) < 0 ||
	    kt_matrixfile_parse(path, text.data, text.len, NULL, NULL, &matrix, NULL) < 0)
		return;
	reading.matrix = matrix;
	kt_journal_facts(journal, UINT64_MAX, take_fact, &reading, NULL);
}

struct stored {
	char *path;
	int64_t changed_ns;
	uint64_t bytes;
};

static int newest_first(const void *a, const void *b)
{
	const struct stored *x = a;
	const struct stored *y = b;

	if (x->changed_ns != y->changed_ns)
		return x->changed_ns > y->changed_ns ? -1 : 1;
	return strcmp(x->path, y->path);
}

static size_t list_sweeps(const char *folder, struct stored **list)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	size_t n = 0;

	*list = NULL;
	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);
		struct stat info;
		char *path;

		if (len <= sizeof(SUFFIX) - 1 ||
		    strcmp(entry->d_name + len - (sizeof(SUFFIX) - 1), SUFFIX) != 0)
			continue;
		path = kt_must_asprintf("%s/%s", folder, entry->d_name);
		if (stat(path, &info) < 0) {
			free(path);
			continue;
		}
		*list = kt_must_realloc(*list, n + 1, sizeof(**list));
		(*list)[n++] =
			(struct stored){ path,
					 info.st_mtim.tv_sec * KT_NS_PER_S + info.st_mtim.tv_nsec,
					 (uint64_t)info.st_size };
	}
	if (dir)
		closedir(dir);
	if (n)
		qsort(*list, n, sizeof(**list), newest_first);
	return n;
}

struct kt_durations *kt_durations_load(const char *state_dir, const char *runner,
				       uint64_t bytes_max)
{
	struct kt_durations *durations = kt_must_calloc(1, sizeof(*durations));
	KT_AUTO_FREE char *folder = kt_must_asprintf("%s/sweeps", state_dir);
	struct stored *list;
	size_t n = list_sweeps(folder, &list);
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		if (i < KT_DURATIONS_SWEEPS_MAX &&
		    (!bytes_max || list[i].bytes <= bytes_max - bytes)) {
			bytes += list[i].bytes;
			read_sweep(durations, list[i].path, runner);
		}
		free(list[i].path);
	}
	free(list);
	return durations;
}

void kt_durations_destroy(struct kt_durations **durations_p)
{
	struct kt_durations *durations = *durations_p;
	struct mean *mean;
	struct mean *next;

	if (!durations)
		return;
	HASH_ITER (hh, durations->means, mean, next) {
		HASH_DEL(durations->means, mean);
		free(mean->key);
		free(mean);
	}
	free(durations);
	*durations_p = NULL;
}

int64_t kt_durations_cell_ns(const struct kt_durations *durations, const struct kt_matrix *matrix,
			     uint64_t index)
{
	struct kt_matrix_cell cell;
	char key[KEY_BYTES];
	struct mean *mean;
	int64_t ns;

	kt_matrix_cell(matrix, index, &cell);
	HASH_FIND_STR(durations->means, cell_key(matrix, index, cell.scenario->guest, key), mean);
	if (!mean)
		HASH_FIND_STR(durations->means, scenario_key(&cell, cell.scenario->guest, key),
			      mean);
	if (!mean)
		return 0;
	ns = (int64_t)(mean->sum_ns / mean->n) + kt_matrix_cell_run_ns(&cell);
	return ns > CELL_NS_MIN ? ns : CELL_NS_MIN;
}
