/* layer: proto/base */
/* ktdraw.c - stands in for a scheduler and says what a guest must not share with its twins: random numbers, and
 * what time it is. Prints one line "draw random=<hex> uuid=<uuid> wall_ns=<n> monotonic_ns=<n>" and ends.
 */
#include "proto/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static void read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");

	line[0] = 0;
	if (file && fgets(line, (int)size, file))
		line[strcspn(line, "\n")] = 0;
	if (file)
		fclose(file);
}

int main(void)
{
	unsigned char bytes[32];
	char uuid[64];
	struct timespec now;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return 1;
	read_line("/proc/sys/kernel/random/uuid", uuid, sizeof(uuid));
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("draw random=");
	for (size_t i = 0; i < sizeof(bytes); i++)
		printf("%02x", bytes[i]);
	printf(" uuid=%s wall_ns=%" PRId64 " monotonic_ns=%" PRId64 "\n", uuid, kt_clock_wall_ns(),
	       (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	return 0;
}
