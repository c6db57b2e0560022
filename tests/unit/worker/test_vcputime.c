#include "worker/vcputime.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct thread {
	pthread_t id;
	const char *name;
	bool busy;
	atomic_bool named;
	atomic_bool stop;
};

static void *work(void *arg)
{
	struct thread *thread = arg;

	pthread_setname_np(pthread_self(), thread->name);
	atomic_store(&thread->named, true);
	while (!atomic_load(&thread->stop))
		if (!thread->busy)
			usleep(1000);
	return NULL;
}

static void start(struct thread *thread)
{
	cr_assert_eq(pthread_create(&thread->id, NULL, work, thread), 0);
	while (!atomic_load(&thread->named))
		usleep(100);
}

static void stop(struct thread *thread)
{
	atomic_store(&thread->stop, true);
	pthread_join(thread->id, NULL);
}

/* pthread_join() returns a moment before the kernel has taken the thread out of /proc. */
static bool ends_within_10_s(struct kt_vcputime *vcputime, int64_t *ran_ns)
{
	int64_t deadline_ns = kt_clock_now_ns() + 10 * KT_NS_PER_S;

	while (kt_vcputime_read(vcputime, ran_ns))
		if (kt_clock_now_ns() > deadline_ns)
			return false;
	return true;
}

/* Until the first of them used so much more, or for 10 s. */
static void wait_for(struct kt_vcputime *vcputime, int64_t *ran_ns, size_t which, int64_t more_ns)
{
	int64_t deadline_ns = kt_clock_now_ns() + 10 * KT_NS_PER_S;
	int64_t before_ns;

	cr_assert(kt_vcputime_read(vcputime, ran_ns));
	before_ns = ran_ns[which];
	while (ran_ns[which] < before_ns + more_ns && kt_clock_now_ns() < deadline_ns) {
		usleep(10000);
		cr_assert(kt_vcputime_read(vcputime, ran_ns));
	}
	cr_assert_geq(ran_ns[which], before_ns + more_ns);
}

Test(vcputime, each_vcpu_has_a_thread_of_its_own_under_kvm)
{
	struct thread threads[] = { { .name = "CPU 1/KVM", .busy = true },
				    { .name = "CPU 0/KVM" },
				    { .name = "CPU 2/KVMX" },
				    { .name = "worker" } };
	struct kt_vcputime *vcputime;
	int64_t ran_ns[3];

	for (size_t i = 0; i < 4; i++)
		start(&threads[i]);
	vcputime = kt_vcputime_open(getpid(), 2);
	cr_assert(vcputime);
	cr_assert(!kt_vcputime_is_shared(vcputime));
	wait_for(vcputime, ran_ns, 1, 50 * KT_NS_PER_MS);
	cr_assert_lt(ran_ns[0], ran_ns[1], "the other one sleeps");
	cr_assert_null(kt_vcputime_open(getpid(), 4), "there is no CPU 3");
	stop(&threads[1]);
	cr_assert(ends_within_10_s(vcputime, ran_ns), "a thread has ended");
	kt_vcputime_destroy(&vcputime);
	cr_assert_null(vcputime);
	stop(&threads[0]);
	stop(&threads[2]);
	stop(&threads[3]);
}

Test(vcputime, all_take_turns_in_one_thread_under_tcg)
{
	struct thread thread = { .name = "ALL CPUs/TCG", .busy = true };
	struct kt_vcputime *vcputime;
	int64_t ran_ns[3];

	start(&thread);
	vcputime = kt_vcputime_open(getpid(), 3);
	cr_assert(vcputime);
	cr_assert(kt_vcputime_is_shared(vcputime));
	wait_for(vcputime, ran_ns, 2, 50 * KT_NS_PER_MS);
	cr_assert_eq(ran_ns[0], ran_ns[1]);
	cr_assert_eq(ran_ns[0], ran_ns[2]);
	stop(&thread);
	kt_vcputime_destroy(&vcputime);
}

Test(vcputime, threads_without_these_names_tell_nothing)
{
	cr_assert_null(kt_vcputime_open(getpid(), 1));
	cr_assert_null(kt_vcputime_open(-1, 1));
}
