#include "worker/guest/work/glock.h"
#include "worker/guest/gtime.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* What a PI futex holds is its owner's thread id, which is the process's. */
static bool take_pi(struct kt_gself *self, struct kt_glock *lock)
{
	unsigned int nobody = 0;
	struct timespec until;

	if (atomic_compare_exchange_strong(&lock->word, &nobody, (unsigned int)getpid()))
		return true;
	clock_gettime(CLOCK_REALTIME, &until); /* FUTEX_LOCK_PI knows no other */
	until.tv_nsec += KT_GSELF_WAIT_NS;
	until.tv_sec += until.tv_nsec / KT_NS_PER_S;
	until.tv_nsec %= KT_NS_PER_S;
	if (kt_gself_must_stop(self) ||
	    syscall(SYS_futex, &lock->word, FUTEX_LOCK_PI, 0, &until, NULL, 0) < 0)
		return false;
	kt_gself_woken(self, atomic_load(&lock->freed_ns));
	return true;
}

static bool take_plain(struct kt_gself *self, struct kt_glock *lock)
{
	unsigned int was = 0;
	bool was_woken = false;

	if (atomic_compare_exchange_strong(&lock->word, &was, 1))
		return true;
	while (atomic_exchange(&lock->word, 2) != 0) {
		enum kt_gself_waited waited = kt_gself_wait(self, &lock->word, 2);

		if (waited == KT_GSELF_ALONE)
			return false;
		was_woken = waited == KT_GSELF_WOKEN;
	}
	if (was_woken)
		kt_gself_woken(self, atomic_load(&lock->freed_ns));
	return true;
}

bool kt_glock_take(struct kt_gself *self, struct kt_glock *lock, bool inherit)
{
	return inherit ? take_pi(self, lock) : take_plain(self, lock);
}

void kt_glock_free(struct kt_glock *lock, bool inherit)
{
	unsigned int own = (unsigned int)getpid();

	atomic_store(&lock->freed_ns, kt_gtime_now_ns());
	if (!inherit) {
		if (atomic_exchange(&lock->word, 0) == 2)
			kt_gself_wake(&lock->word, 1);
	} else if (!atomic_compare_exchange_strong(&lock->word, &own, 0)) {
		syscall(SYS_futex, &lock->word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	}
}
