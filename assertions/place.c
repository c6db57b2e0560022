#include "assertions/place.h"

#include <stdio.h>
#include <string.h>

static size_t append(struct kt_place *place, const char *text)
{
	size_t mark = strlen(place->path);

	if (mark + strlen(text) < sizeof(place->path))
		strcpy(place->path + mark, text);
	return mark;
}

size_t kt_place_enter(struct kt_place *place, const char *key)
{
	char text[KT_PLACE_BYTES_MAX];

	snprintf(text, sizeof(text), "%s%s", *place->path ? "." : "", key);
	return append(place, text);
}

size_t kt_place_enter_item(struct kt_place *place, size_t i)
{
	char text[32];

	snprintf(text, sizeof(text), "[%zu]", i);
	return append(place, text);
}

void kt_place_leave(struct kt_place *place, size_t mark)
{
	place->path[mark] = 0;
}
