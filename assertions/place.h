/* place.h - where in the value of a key something is refused: "until.hold.at_most", "any_of[1].lo".
 *
 * Whoever reads a value enters its members one by one and leaves them again; what is refused leaves the
 * path standing. The matrix parser turns it into line and column (coordinator/core/matrix/language.c).
 */
#ifndef KT_PLACE_H
#define KT_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define KT_PLACE_BYTES_MAX 512

struct kt_place {
	char path[KT_PLACE_BYTES_MAX]; /* keys and [items], outermost first; empty: the whole */
	bool at_key; /* the innermost key is at fault, not its value */
	size_t offset; /* of the first character at fault within a text, in bytes */
};

/* Both return what kt_place_leave() wants. A path that is too long names the innermost it has room for. */
size_t kt_place_enter(struct kt_place *place, const char *key);
size_t kt_place_enter_item(struct kt_place *place, size_t i);
void kt_place_leave(struct kt_place *place, size_t mark);

#endif
