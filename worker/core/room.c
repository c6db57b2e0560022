#include "worker/core/room.h"

bool kt_room_has_spare(const struct kt_room *room)
{
	uint64_t spares_bytes = (room->spares + 1) * KT_ROOM_SPARE_BYTES;
	uint64_t left_bytes = room->host_bytes;

	/* What is there now must hold twice a spare: the runs beside it still grow. */
	if (room->available_bytes < 2 * KT_ROOM_SPARE_BYTES)
		return false;
	if (room->shared_bytes > left_bytes)
		return false;
	left_bytes -= room->shared_bytes;
	if (room->runs_bytes > left_bytes)
		return false;
	left_bytes -= room->runs_bytes;
	return spares_bytes <= left_bytes;
}
