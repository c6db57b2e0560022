#include "worker/guest/gentropy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct kt_bin bytes = { (const uint8_t *)"0123456789abcdef0123456789abcdef", 32 };

/* What this process may do to this machine's generator: in a container without CAP_SYS_ADMIN nothing. */
static int allowed(void)
{
	int fd = open(KT_GENTROPY_DEVICE, O_RDWR);
	int status = ioctl(fd, RNDRESEEDCRNG) < 0 ? -errno : 0;

	close(fd);
	return status;
}

/* That guests draw apart afterwards is seen in real ones: tests/e2e. */
Test(gentropy, the_kernel_takes_the_bytes_or_says_why_not)
{
	struct kt_err err = { 0 };
	int status = kt_gentropy_add(KT_GENTROPY_DEVICE, &bytes, &err);

	cr_assert_eq(status, allowed(), "%s", err.text);
	if (status < 0)
		cr_assert(strstr(err.text, "RNDADDENTROPY on /dev/random: "), "%s", err.text);
}

Test(gentropy, what_is_no_generator_is_refused)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_gentropy_add("/dev/null", &bytes, &err), -ENOTTY);
	cr_assert_eq(err.fault, KT_FAULT_GUEST);
	cr_assert(strstr(err.text, "RNDADDENTROPY on /dev/null: "), "%s", err.text);
	cr_assert_eq(kt_gentropy_add("/nonexistent", &bytes, &err), -ENOENT);
}

Test(gentropy, no_bytes_are_no_request)
{
	static const struct kt_bin none;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_gentropy_add("/nonexistent", &none, &err), 0);
}
