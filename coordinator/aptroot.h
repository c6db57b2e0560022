/* aptroot.h - a private apt: one suite of the machine's own Debian mirror, nothing of the system touched.
 *
 * Its sources, lists and caches live in a folder of its own; proxies, credentials, trusted keys and
 * signature checks are the machine's. The mirror's address and Signed-By are asked of the machine
 * at run time. Hooks of the machine's configuration (APT::Update::Post-Invoke) are not run. As root, apt downloads as
 * the user _apt: when that user cannot reach the folder wanted, one below /var/tmp is used instead.
 * Everything blocks. Not for two processes at once: the caller holds a lock.
 */
#ifndef KT_APTROOT_H
#define KT_APTROOT_H

#include "coordinator/aptparse.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/own.h"

#include <limits.h>

#define KT_APTROOT_UPDATE_NS   (300 * KT_NS_PER_S)
#define KT_APTROOT_DOWNLOAD_NS (900 * KT_NS_PER_S)
#define KT_APTROOT_ASK_NS      (60 * KT_NS_PER_S)
#define KT_APTROOT_HOPS_MAX    6 /* from the meta package to the image */

typedef void kt_aptroot_progress(void *arg, const char *line);

struct kt_aptroot;

#define KT_AUTO_APTROOT KT_AUTO(kt_aptroot_destroy) struct kt_aptroot

/* Makes the folder (emptying what a killed run left) and fetches the suite's index. Faults: INPUT
 * when the archive has no such suite, HOST for the rest (no apt, no Debian source, no network,
 * signatures that do not verify).
 */
int kt_aptroot_open(const char *folder, const char *suite, kt_aptroot_progress *progress, void *arg,
		    struct kt_aptroot **root_p, struct kt_err *err);

/* Follows the dependencies from a package, meta or not, to the one that holds the image. base (may
 * be found without a name: "") is the package that may hold its config. Fault INPUT when the suite
 * has no such package.
 */
int kt_aptroot_resolve(struct kt_aptroot *root, const char *package,
		       struct kt_aptparse_package *image, struct kt_aptparse_package *base,
		       struct kt_err *err);

/* Downloads that version, checked by apt against the signed index. path: the .deb, gone with root. */
int kt_aptroot_download(struct kt_aptroot *root, const struct kt_aptparse_package *package,
			char path[PATH_MAX], struct kt_err *err);

void kt_aptroot_destroy(struct kt_aptroot **root_p); /* removes the folder */

#endif
