#include "assertions/group.h"
#include "assertions/judge.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <string.h>

#define UNKNOWN_NAME "a repeat without a verdict"

/* Repeats by what they were, and the first that did not hold. */
struct kt_group_seen {
	uint64_t hold;
	uint64_t fail;
	uint64_t unknown;
	char *first; /* what it said; NULL when all hold */
	enum kt_verdict_outcome worst; /* of `first` */
};

static bool is_over(const struct kt_assertion *assertion)
{
	return assertion->options[KT_ASSERTION_OVER].given && !kt_assertion_is_off(assertion);
}

bool kt_group_wanted(const struct kt_assertion *const *assertions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_over(assertions[i]))
			return true;
	return false;
}

void kt_group_init(struct kt_group *group, const struct kt_assertion *const *assertions, size_t n)
{
	*group = (struct kt_group){ .assertions = assertions, .n_assertions = n };
}

static struct kt_group_seen *seen_of(struct kt_group *group, const char *host)
{
	size_t i = 0;
	size_t size = group->n_assertions;

	while (i < group->n_hosts && strcmp(group->hosts[i], host) != 0)
		i++;
	if (i == group->n_hosts) {
		group->hosts =
			kt_must_realloc(group->hosts, group->n_hosts + 1, sizeof(*group->hosts));
		group->hosts[group->n_hosts++] = kt_must_strdup(host);
		group->seen =
			kt_must_realloc(group->seen, group->n_hosts * size, sizeof(*group->seen));
		memset(&group->seen[i * size], 0, size * sizeof(*group->seen));
	}
	return &group->seen[i * size];
}

static void remember(struct kt_group_seen *seen, enum kt_verdict_outcome outcome, const char *text)
{
	seen->hold += outcome == KT_VERDICT_PASS;
	seen->fail += outcome == KT_VERDICT_FAIL;
	seen->unknown += outcome == KT_VERDICT_INCONCLUSIVE;
	if (outcome <= KT_VERDICT_PASS || (seen->first && outcome <= seen->worst))
		return;
	free(seen->first);
	seen->first = kt_must_strdup(text);
	seen->worst = outcome;
}

void kt_group_add(struct kt_group *group, const char *host, const struct kt_series *series)
{
	struct kt_group_seen *seen = seen_of(group, host);

	for (size_t i = 0; i < group->n_assertions; i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_verdict said;
		const struct kt_verdict_detail *first;

		if (!is_over(group->assertions[i]))
			continue;
		if (!series) {
			remember(&seen[i], KT_VERDICT_INCONCLUSIVE, UNKNOWN_NAME);
			continue;
		}
		kt_verdict_init(&said, &arena);
		kt_judge_series(group->assertions[i], series, &said);
		first = kt_verdict_headline(&said);
		remember(&seen[i], kt_verdict_outcome(&said), first ? first->text : "");
	}
}

/* A host holds when all of its repeats do. */
static void add_host(struct kt_group_seen *all, const struct kt_group_seen *host)
{
	if (host->fail)
		all->fail++;
	else if (host->unknown)
		all->unknown++;
	else if (host->hold)
		all->hold++;
}

static void add_repeats(struct kt_group_seen *all, const struct kt_group_seen *host)
{
	all->fail += host->fail;
	all->unknown += host->unknown;
	all->hold += host->hold;
}

static void finish_one(const struct kt_group *group, size_t i, struct kt_verdict *verdict)
{
	const struct kt_assertion *assertion = group->assertions[i];
	const struct kt_quantifier *over = &assertion->options[KT_ASSERTION_OVER].quantifier;
	const char *label = kt_assertion_label(assertion);
	const struct kt_param_arg *because = &assertion->options[KT_ASSERTION_BECAUSE];
	struct kt_group_seen all = { 0 };
	const struct kt_group_seen *worst = NULL;
	enum kt_verdict_outcome outcome;
	uint64_t n;
	KT_AUTO_BUF text = { 0 };

	for (size_t h = 0; h < group->n_hosts; h++) {
		const struct kt_group_seen *host = &group->seen[h * group->n_assertions + i];

		if (over->of_hosts)
			add_host(&all, host);
		else
			add_repeats(&all, host);
		if (host->first && (!worst || host->worst > worst->worst))
			worst = host;
	}
	n = all.hold + all.fail + all.unknown;
	outcome = kt_quantifier_judge(over, n, all.hold, all.fail);
	kt_quantifier_print(over, &text);
	kt_verdict_say(verdict, outcome, KT_VERDICT_KIND_OVER, label,
		       "%s (over %s): holds in %" PRIu64 " of %" PRIu64 ", fails in %" PRIu64
		       ", unknown in %" PRIu64,
		       label, kt_buf_text(&text), all.hold, n, all.fail, all.unknown);
	if (worst)
		kt_verdict_say(verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_OVER, label, "%s: e.g. %s",
			       label, worst->first);
	if (because->given && outcome > KT_VERDICT_PASS)
		kt_verdict_say(verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_BECAUSE, label,
			       "%s: it must hold because %s", label, because->text);
}

void kt_group_finish(const struct kt_group *group, struct kt_arena *arena,
		     struct kt_msg_verdict *verdict)
{
	struct kt_verdict all;

	kt_verdict_init(&all, arena);
	for (size_t i = 0; i < group->n_assertions; i++)
		if (is_over(group->assertions[i]))
			finish_one(group, i, &all);
	kt_verdict_finish(&all, verdict);
}

void kt_group_destroy(struct kt_group *group)
{
	for (size_t i = 0; i < group->n_hosts * group->n_assertions; i++)
		free(group->seen[i].first);
	for (size_t i = 0; i < group->n_hosts; i++)
		free(group->hosts[i]);
	free(group->seen);
	free(group->hosts);
	*group = (struct kt_group){ 0 };
}
