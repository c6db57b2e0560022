/* ldpath.h - a list of folders as the loader reads it: DT_RPATH, DT_RUNPATH, LD_LIBRARY_PATH.
 *
 * ld.so(8): ':' between two (and ';' in the environment); an empty item is the working folder; $ORIGIN is the
 * folder of the file that names the list, $LIB and $PLATFORM are Debian amd64's; each also as ${...}. Pure.
 */
#ifndef KT_LDPATH_H
#define KT_LDPATH_H

#include <limits.h>
#include <stdbool.h>

/* Takes the first item off *list (NULL: there is no more) and puts <folder>/<name> into path. origin: the path of
 * the file that names the list. False at the end; an item that gets too long is passed over.
 */
bool kt_ldpath_next(const char **list, const char *separators, const char *origin, const char *name,
		    char path[PATH_MAX]);

#endif
