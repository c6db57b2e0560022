#include "worker/core/room.h"

#include <criterion/criterion.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static const struct {
	struct kt_room room;
	bool has;
	const char *why;
} rooms[] = {
	{ { 8 * GIB, 8 * GIB, 0, 0, 0 }, true, "an empty host" },
	{ { 8 * GIB, 8 * GIB, 100 * MIB, GIB, 3 }, true, "plenty" },
	{ { GIB, 8 * GIB, 100 * MIB, GIB - 100 * MIB, 0 }, false, "runs may grow to all there is" },
	{ { GIB, 8 * GIB, 100 * MIB, GIB - 100 * MIB - KT_ROOM_SPARE_BYTES, 0 }, true, "just one" },
	{ { GIB, 8 * GIB, 100 * MIB, GIB - 100 * MIB - KT_ROOM_SPARE_BYTES, 1 },
	  false,
	  "no other" },
	{ { GIB, 8 * GIB, 2 * GIB, 0, 0 }, false, "templates alone are too much" },
	{ { GIB, 8 * GIB, 0, 2 * GIB, 0 }, false, "runs alone are too much" },
	{ { 8 * GIB, KT_ROOM_SPARE_BYTES, 0, 0, 0 }, false, "others have the memory" },
	{ { 0, 8 * GIB, 0, 0, 0 }, false, "nothing for guests" },
};

Test(room, a_spare_never_takes_what_a_run_was_promised)
{
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
		cr_assert_eq(kt_room_has_spare(&rooms[i].room), rooms[i].has, "%s", rooms[i].why);
}
