#include "worker/guest/gself.h"
#include "worker/guest/gdraw.h"
#include "worker/guest/gtime.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Between two looks at must_stop and at the clock of its CPU time. */
#define BURN_NS (200 * KT_NS_PER_US)

uint64_t kt_gself_draw(struct kt_gself *self)
{
	return kt_gdraw(&self->random);
}

/* ---- using the CPU ---- */

void kt_gself_burn(struct kt_gself *self, uint64_t steps)
{
	uint64_t x = self->random | 1;

	for (uint64_t i = 0; i < steps; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		__asm__ volatile("" : "+r"(x)); /* the compiler must not see through it */
	}
	self->random = x;
}

static int64_t cpu_now_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return used.tv_sec * KT_NS_PER_S + used.tv_nsec;
}

/* The clock of CPU time is a system call: so it is asked at both ends of a stretch, and what lies between
 * is counted in steps, as fast as the last stretch was.
 */
void kt_gself_run(struct kt_gself *self, int64_t ns)
{
	int64_t now_ns;
	int64_t until_ns;

	if (ns <= 0)
		return;
	if (self->steps_per_ns <= 0)
		self->steps_per_ns = 0.1;
	now_ns = cpu_now_ns();
	until_ns = now_ns + ns;
	while (now_ns < until_ns && !kt_gself_must_stop(self)) {
		int64_t stretch_ns = until_ns - now_ns < BURN_NS ? until_ns - now_ns : BURN_NS;
		uint64_t steps = (uint64_t)((double)stretch_ns * self->steps_per_ns) + 1;
		int64_t before_ns = now_ns;

		kt_gself_burn(self, steps);
		now_ns = cpu_now_ns();
		/* short stretches would measure the clock */
		if (now_ns - before_ns > 5 * KT_NS_PER_US)
			self->steps_per_ns = (double)steps / (double)(now_ns - before_ns);
	}
}

/* ---- waiting ---- */

bool kt_gself_sleep_until(struct kt_gself *self, int64_t at_ns)
{
	int64_t now_ns = kt_gtime_now_ns();

	while (now_ns < at_ns && !kt_gself_must_stop(self)) {
		int64_t until_ns =
			at_ns - now_ns > KT_GSELF_WAIT_NS ? now_ns + KT_GSELF_WAIT_NS : at_ns;
		struct timespec until = { .tv_sec = until_ns / KT_NS_PER_S,
					  .tv_nsec = until_ns % KT_NS_PER_S };
		int status = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);

		now_ns = kt_gtime_now_ns();
		if (status == 0)
			kt_gmeter_woke(self->meter, now_ns - until_ns);
	}
	return !kt_gself_must_stop(self);
}

bool kt_gself_sleep(struct kt_gself *self, int64_t ns)
{
	return kt_gself_sleep_until(self, kt_gtime_now_ns() + ns);
}

enum kt_gself_waited kt_gself_wait(struct kt_gself *self, atomic_uint *word, unsigned int value)
{
	static const struct timespec patience = { .tv_nsec = KT_GSELF_WAIT_NS };

	if (kt_gself_must_stop(self))
		return KT_GSELF_ALONE;
	if (syscall(SYS_futex, word, FUTEX_WAIT, value, &patience, NULL, 0) == 0)
		return atomic_load(word) == value ? KT_GSELF_ALONE : KT_GSELF_WOKEN;
	return errno == EAGAIN ? KT_GSELF_CHANGED : KT_GSELF_ALONE;
}

void kt_gself_wake(atomic_uint *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}

enum kt_gself_waited kt_gself_wait_fd(struct kt_gself *self, int fd)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };

	if (poll(&wanted, 1, 0) > 0)
		return KT_GSELF_CHANGED;
	if (kt_gself_must_stop(self))
		return KT_GSELF_ALONE;
	return poll(&wanted, 1, KT_GSELF_WAIT_NS / KT_NS_PER_MS) > 0 ? KT_GSELF_WOKEN
								     : KT_GSELF_ALONE;
}

void kt_gself_woken(struct kt_gself *self, int64_t called_ns)
{
	kt_gmeter_woke(self->meter, kt_gtime_now_ns() - called_ns);
}

/* ---- memory ---- */

/* A page that cannot be touched on either side: else the kernel would merge it with its neighbours, and
 * /proc/self/numa_maps would not tell them apart.
 */
int kt_gself_map(struct kt_gself *self, size_t bytes, struct kt_err *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory;

	bytes = (bytes + page - 1) / page * page;
	memory = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "%zu bytes of memory", bytes);
	if (mprotect(memory + page, bytes, PROT_READ | PROT_WRITE) < 0) {
		int code = errno;

		munmap(memory, bytes + 2 * page);
		return kt_err_sys(err, KT_FAULT_GUEST, code, "%zu bytes of memory", bytes);
	}
	self->memory = memory + page;
	self->memory_bytes = bytes;
	return 0;
}

void kt_gself_unmap(struct kt_gself *self)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (self->memory)
		munmap(self->memory - page, self->memory_bytes + 2 * page);
	self->memory = NULL;
	self->memory_bytes = 0;
}

void kt_gself_walk(struct kt_gself *self, size_t stride, size_t steps, size_t *at)
{
	volatile char *memory = self->memory;

	for (size_t i = 0; i < steps; i++) {
		memory[*at]++;
		*at = *at + stride < self->memory_bytes ? *at + stride : 0;
	}
}
