#include "coordinator/core/matrix/standing.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"

#include <string.h>
#include <uthash.h>

struct kt_standing_cgroup {
	struct kt_standing_place place;
	UT_hash_handle hh;
};

static struct kt_standing_cgroup *find(const struct kt_standing *standing, const char *name,
				       size_t len)
{
	struct kt_standing_cgroup *cgroup;

	HASH_FIND(hh, standing->by_name, name, len, cgroup);
	return cgroup;
}

struct kt_standing_place *kt_standing_find(const struct kt_standing *standing, const char *name)
{
	struct kt_standing_cgroup *cgroup = find(standing, name, strlen(name));

	return cgroup ? &cgroup->place : NULL;
}

static bool is_below(const char *name, const char *above)
{
	size_t len = strlen(above);

	return strncmp(name, above, len) == 0 && name[len] == '/';
}

const struct kt_standing_place *kt_standing_below(const struct kt_standing *standing,
						  const char *name)
{
	for (struct kt_standing_cgroup *cgroup = standing->by_name; cgroup;
	     cgroup = cgroup->hh.next)
		if (is_below(cgroup->place.name, name))
			return &cgroup->place;
	return NULL;
}

static struct kt_standing_place *add(struct kt_standing *standing, const char *name, size_t len,
				     size_t act)
{
	struct kt_standing_cgroup *cgroup = kt_must_calloc(1, sizeof(*cgroup));
	char *copy = kt_must_calloc(len + 1, 1);

	memcpy(copy, name, len);
	cgroup->place = (struct kt_standing_place){ .name = copy,
						    .act = act,
						    .visitor = KT_STANDING_BACKDROP };
	HASH_ADD_KEYPTR(hh, standing->by_name, cgroup->place.name, len, cgroup);
	return &cgroup->place;
}

struct kt_standing_place *kt_standing_add(struct kt_standing *standing, const char *name,
					  size_t act, uint32_t line)
{
	struct kt_standing_place *place;

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/'))
		if (!find(standing, name, (size_t)(slash - name)))
			add(standing, name, (size_t)(slash - name), act);
	place = add(standing, name, strlen(name), act);
	place->line = line;
	return place;
}

static void drop(struct kt_standing *standing, struct kt_standing_cgroup *cgroup)
{
	HASH_DEL(standing->by_name, cgroup);
	free((char *)cgroup->place.name);
	free(cgroup);
}

void kt_standing_remove(struct kt_standing *standing, const char *name)
{
	struct kt_standing_cgroup *cgroup;
	struct kt_standing_cgroup *next;

	HASH_ITER (hh, standing->by_name, cgroup, next) {
		if (is_below(cgroup->place.name, name))
			drop(standing, cgroup);
	}
	cgroup = find(standing, name, strlen(name));
	if (cgroup)
		drop(standing, cgroup);
}

void kt_standing_end(struct kt_standing *standing, size_t act)
{
	struct kt_standing_cgroup *cgroup;
	struct kt_standing_cgroup *next;

	HASH_ITER (hh, standing->by_name, cgroup, next) {
		if (cgroup->place.visitor != act)
			continue;
		kt_standing_thaw(standing, cgroup->place.name);
		cgroup->place.visitor = KT_STANDING_BACKDROP;
	}
	HASH_ITER (hh, standing->by_name, cgroup, next) {
		if (cgroup->place.act == act)
			drop(standing, cgroup);
	}
}

void kt_standing_clear(struct kt_standing *standing)
{
	struct kt_standing_cgroup *cgroup;
	struct kt_standing_cgroup *next;

	HASH_ITER (hh, standing->by_name, cgroup, next) {
		drop(standing, cgroup);
	}
}

/* ---- it and those above it ---- */

/* From the top down; *len is 0 before the first. NULL behind the last. */
static struct kt_standing_cgroup *next_above(const struct kt_standing *standing, const char *name,
					     size_t *len)
{
	while (name[*len]) {
		struct kt_standing_cgroup *cgroup;

		*len += name[*len] == '/';
		*len += strcspn(name + *len, "/");
		cgroup = find(standing, name, *len);
		if (cgroup)
			return cgroup;
	}
	return NULL;
}

bool kt_standing_is_frozen(const struct kt_standing *standing, const char *name)
{
	struct kt_standing_cgroup *cgroup;
	size_t len = 0;

	while ((cgroup = next_above(standing, name, &len)) != NULL)
		if (cgroup->place.is_frozen)
			return true;
	return false;
}

void kt_standing_thaw(struct kt_standing *standing, const char *name)
{
	struct kt_standing_cgroup *cgroup;
	size_t len = 0;

	while ((cgroup = next_above(standing, name, &len)) != NULL)
		cgroup->place.is_frozen = false;
}

/* kernel/cgroup/cpuset.c, update_cpumasks_hier(): what it shares with its parent, or the parent's. */
static void narrow(struct kt_cpuset *cpus, const struct kt_cpuset *own)
{
	struct kt_cpuset shared;

	for (size_t i = 0; i < KT_CPUSET_WORDS; i++)
		shared.words[i] = cpus->words[i] & own->words[i];
	if (kt_cpuset_count(&shared))
		*cpus = shared;
}

void kt_standing_cpus(const struct kt_standing *standing, const char *name,
		      const struct kt_cpuset_machine *machine, struct kt_cpuset *cpus)
{
	struct kt_standing_cgroup *cgroup;
	size_t len = 0;

	*cpus = (struct kt_cpuset){ 0 };
	for (uint32_t cpu = 0; cpu < machine->n_cpus; cpu++)
		kt_cpuset_add(cpus, cpu);
	while ((cgroup = next_above(standing, name, &len)) != NULL) {
		struct kt_cpuset own;

		if (cgroup->place.cpuset &&
		    kt_cpuset_resolve(cgroup->place.cpuset, machine, &own, NULL) == 0)
			narrow(cpus, &own);
	}
}

const char *kt_standing_suggest(const struct kt_standing *standing, const char *name)
{
	const char **names = kt_must_calloc(HASH_COUNT(standing->by_name) + 1, sizeof(*names));
	const char *near;
	size_t n = 0;

	for (struct kt_standing_cgroup *cgroup = standing->by_name; cgroup;
	     cgroup = cgroup->hh.next)
		names[n++] = cgroup->place.name;
	near = kt_suggest(name, names, n);
	free(names);
	return near;
}
