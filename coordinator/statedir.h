/* statedir.h - where a coordinator keeps things, and the lock that says who works there.
 *
 *	<state>/sweeps/<id>.sweep    one SQLite file per sweep (journal.h)
 *	<state>/kernels, artifacts   what was fetched and shipped, by content
 *	<state>/run                  sockets
 *	<state>/worker               the embedded worker's own
 *	<state>/coordinator.log      what its coordinators did, one logfmt line per event
 *	<state>/fleet.toml           where workers connect (fleetfile.h)
 *	<state>/lock                 held by the one coordinator that works here
 */
#ifndef KT_STATEDIR_H
#define KT_STATEDIR_H

#include "proto/base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* --state, else $KTCOORD_STATE, else $XDG_STATE_HOME/ktcoord, else ~/.local/state/ktcoord. Absolute;
 * made when it is not there.
 */
int kt_statedir_find(const char *given, char dir[PATH_MAX], struct kt_err *err);

/* -EBUSY (fault INPUT) when another coordinator works here: says who. The lock goes with the
 * process.
 */
int kt_statedir_lock(const char *dir, const char *what, int *fd, struct kt_err *err);

/* What the holder says of itself from now on, with its pid. */
int kt_statedir_note(int fd, const char *what, struct kt_err *err);

/* Whether somebody holds the lock now, and what it says of itself: "pid 7, m.toml". */
bool kt_statedir_holder(const char *dir, char *who, size_t size);

/* name-YYYYmmdd-HHMMSS, with -2, -3, ... when that is taken; path is where its journal goes. */
void kt_statedir_new_sweep(const char *dir, const char *name, char *id, size_t id_max,
			   char path[PATH_MAX]);

/* A sweep as the user names it: a path, an id, the start of one id only, or "last". */
int kt_statedir_find_sweep(const char *dir, const char *given, char path[PATH_MAX],
			   struct kt_err *err);

#endif
