#include "worker/introspect/remote.h"

#include "tests/unit/worker/introspect/other.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE  KT_REMOTE_PAGE
#define PAGES 6000 /* more than are kept */

/* Memory of both, each its own copy: page i of the other's says i + 1, ours stays 0. */
static uint8_t *memory;

static uint64_t va(size_t page)
{
	return (uintptr_t)(memory + page * PAGE);
}

static uint32_t *number(size_t page)
{
	return (uint32_t *)(void *)(memory + page * PAGE);
}

static void obey(void *arg, char letter)
{
	switch (letter) {
	case 0:
		for (uint32_t i = 0; i < PAGES; i++)
			*number(i) = i + 1;
		break;
	case 'a': /* everything is another number */
		for (uint32_t i = 0; i < PAGES; i++)
			*number(i) += 1000000;
		break;
	case 'h': /* a hole */
		munmap(memory + 5 * PAGE, PAGE);
		break;
	case 'w': /* what was written has come through, and nothing else changed */
		if (*number(7) != 4711 || *number(8) != 9)
			_exit(1);
		break;
	}
}

static void begin(struct other *other, struct kt_remote **remote)
{
	struct kt_err err = { 0 };

	memory = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(memory, MAP_FAILED);
	other_start(other, obey, NULL);
	cr_assert_eq(kt_remote_open(other->pid, remote, &err), 0, "%s", err.text);
}

static uint32_t read_number(struct kt_remote *remote, size_t page)
{
	const uint8_t *bytes = kt_remote_at(remote, va(page), 4);
	uint32_t value = 0;

	if (bytes)
		memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint64_t calls(const struct kt_remote *remote)
{
	struct kt_remote_cost cost;

	kt_remote_cost(remote, &cost);
	return cost.calls;
}

Test(remote, memory_is_as_of_the_last_refresh)
{
	OTHER_AUTO other;
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;

	begin(&other, &remote);
	cr_assert_eq(*number(3), 0, "ours is another copy");
	cr_assert_eq(read_number(remote, 3), 4);
	other_tell(&other, 'a');
	cr_assert_eq(read_number(remote, 3), 4);
	cr_assert_eq(kt_remote_refresh(remote), 0);
	cr_assert_eq(read_number(remote, 3), 1000004);
}

Test(remote, what_is_looked_at_after_each_refresh_costs_one_call)
{
	OTHER_AUTO other;
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
	uint64_t before;

	begin(&other, &remote);
	before = calls(remote);
	for (size_t i = 0; i < 1000; i++)
		read_number(remote, i * 3);
	cr_assert_eq(calls(remote), before + 1000, "learnt one by one");
	for (int round = 1; round <= 5; round++) {
		before = calls(remote);
		other_tell(&other, 'a');
		cr_assert_eq(kt_remote_refresh(remote), 0);
		for (size_t i = 0; i < 1000; i++)
			cr_assert_eq(read_number(remote, i * 3), i * 3 + 1 + round * 1000000u);
		cr_assert_eq(calls(remote), before + 1, "round %d", round);
	}
}

Test(remote, what_nobody_looks_at_any_more_is_not_fetched)
{
	OTHER_AUTO other;
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
	struct kt_remote_cost before, after;

	begin(&other, &remote);
	for (size_t i = 0; i < 100; i++)
		read_number(remote, i);
	for (int round = 0; round <= KT_REMOTE_KEEP; round++) {
		kt_remote_cost(remote, &before);
		cr_assert_eq(kt_remote_refresh(remote), 0);
		kt_remote_cost(remote, &after);
		cr_assert_eq(after.pages - before.pages, round < KT_REMOTE_KEEP ? 100 : 1,
			     "round %d: %llu", round,
			     (unsigned long long)(after.pages - before.pages));
		cr_assert_eq(read_number(remote, 7), 8);
	}
}

Test(remote, more_pages_than_are_kept_are_read_all_the_same)
{
	OTHER_AUTO other;
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;

	begin(&other, &remote);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < PAGES; i++)
			cr_assert_eq(read_number(remote, i), i + 1);
		for (size_t i = PAGES; i > 0; i--)
			cr_assert_eq(read_number(remote, i - 1), i);
		cr_assert_eq(kt_remote_refresh(remote), 0);
	}
}

Test(remote, only_so_many_pages_are_read_between_two_refreshes)
{
	OTHER_AUTO other;
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
	size_t next = KT_REMOTE_FETCHES_MAX % PAGES;

	begin(&other, &remote);
	for (size_t i = 0; i < KT_REMOTE_FETCHES_MAX; i++)
		cr_assert_eq(read_number(remote, i % PAGES), i % PAGES + 1);
	cr_assert_null(kt_remote_at(remote, va(next), 1));
	cr_assert_eq(read_number(remote, next - 1), next, "was read before");
	cr_assert_eq(kt_remote_refresh(remote), 0);
	cr_assert_eq(read_number(remote, next), next + 1);
}

Test(remote, a_hole_is_not_there_and_costs_its_neighbours_nothing)
{
	OTHER_AUTO other;
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
	uint64_t vas[8];
	uint32_t numbers[8];

	begin(&other, &remote);
	for (size_t i = 0; i < 10; i++)
		cr_assert_eq(read_number(remote, i), i + 1);
	other_tell(&other, 'h');
	for (int round = 0; round < 2; round++) {
		cr_assert_eq(kt_remote_refresh(remote), 0);
		for (size_t i = 0; i < 10; i++)
			cr_assert_eq(read_number(remote, i), i == 5 ? 0 : i + 1);
		cr_assert_null(kt_remote_at(remote, va(5), 1));
	}
	for (size_t i = 0; i < 8; i++)
		vas[i] = va(i);
	memset(numbers, 0xff, sizeof(numbers));
	kt_remote_gather(remote, vas, 8, 4, (uint8_t *)numbers);
	for (size_t i = 0; i < 8; i++)
		cr_assert_eq(numbers[i], i == 5 ? 0 : i + 1);
	cr_assert_null(kt_remote_at(remote, 0, 8));
	cr_assert_null(kt_remote_at(remote, UINT64_MAX, 1));
}

Test(remote, what_is_written_is_there_and_is_read)
{
	OTHER_AUTO other;
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
	uint32_t value = 4711;

	begin(&other, &remote);
	cr_assert_eq(read_number(remote, 7), 8);
	cr_assert_eq(kt_remote_write(remote, va(7), &value, sizeof(value)), 0);
	cr_assert_eq(read_number(remote, 7), 4711);
	other_tell(&other, 'w'); /* it would end */
	cr_assert_eq(kt_remote_refresh(remote), 0);
	cr_assert_eq(read_number(remote, 7), 4711);
	other_tell(&other, 'h');
	cr_assert_eq(kt_remote_write(remote, va(5), &value, sizeof(value)), -EFAULT);
}

Test(remote, a_process_that_has_ended_has_no_memory)
{
	OTHER_AUTO other;
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
	uint64_t at;
	uint32_t value = 0;

	begin(&other, &remote);
	at = va(2);
	cr_assert_eq(read_number(remote, 1), 2);
	other_kill(&other);
	cr_assert_eq(read_number(remote, 1), 2, "read before");
	cr_assert_eq(read_number(remote, 2), 0);
	cr_assert_eq(kt_remote_write(remote, at, &value, 4), -EFAULT);
	kt_remote_gather(remote, &at, 1, 4, (uint8_t *)&value);
	cr_assert_eq(value, 0);
	cr_assert_eq(kt_remote_refresh(remote), -ESRCH);
	cr_assert_eq(read_number(remote, 1), 0);
	waitpid(other.pid, NULL, 0);
	cr_assert_eq(kt_remote_refresh(remote), -ESRCH, "reaped");
}

Test(remote, another_process_with_the_same_number_is_not_read)
{
	OTHER_AUTO other;
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
	KT_AUTO(kt_remote_destroy) struct kt_remote *new_remote = NULL;
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid_size = 1 };
	long pid;

	begin(&other, &remote);
	cr_assert_eq(read_number(remote, 1), 2);
	other_kill(&other);
	waitpid(other.pid, NULL, 0);
	args.set_tid = (uintptr_t)&other.pid;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		cr_skip("this host lets nobody choose the number of a process");
	if (pid == 0)
		for (;;)
			pause();
	cr_assert_eq(pid, other.pid);
	cr_assert_eq(kt_remote_open(other.pid, &new_remote, NULL), 0);
	cr_assert_not_null(kt_remote_at(new_remote, va(1), 1), "that one could be read");
	cr_assert_eq(kt_remote_refresh(remote), -ESRCH);
	cr_assert_null(kt_remote_at(remote, va(1), 1));
}

Test(remote, a_process_that_dies_meanwhile_is_an_answer)
{
	for (useconds_t wait_us = 0; wait_us < 4000; wait_us += 200) {
		OTHER_AUTO other;
		KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
		pid_t killer;

		begin(&other, &remote);
		killer = fork();
		if (killer == 0) {
			usleep(wait_us);
			kill(other.pid, SIGKILL);
			_exit(0);
		}
		while (kt_remote_refresh(remote) == 0)
			for (size_t i = 0; i < 1500; i++) {
				uint32_t value = read_number(remote, i);

				cr_assert(value == 0 || value == i + 1);
			}
		waitpid(killer, NULL, 0);
		munmap(memory, (size_t)PAGES * PAGE);
	}
}

Test(remote, what_is_no_process_is_refused)
{
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_remote_open(0x7fffffff, &remote, &err), -ESRCH);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert_null(remote);
}

/* Of another user's process, and without privileges. */
Test(remote, who_may_not_look_is_told_so)
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		cr_skip("only root can become somebody else");
	child = fork();
	if (child == 0) {
		struct kt_remote *remote = NULL;
		struct kt_err err = { 0 };

		if (setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		_exit(kt_remote_open(getppid(), &remote, &err) == -EPERM && !remote ? 0 : 1);
	}
	waitpid(child, &status, 0);
	cr_assert_eq(status, 0);
}
