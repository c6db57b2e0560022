/* template.h - a guest that was booted once, stopped at "ready" and saved: what warm guests begin from.
 *
 *	RAM     one memfd per NUMA node, sealed: QEMU maps it privately, nobody can write it any more
 *	state   a memfd with the devices' state, sealed
 *
 * No job, no scheduler and no workload has ever run in it. Its key is the digest of everything it depends
 * on (kt_template_key); a template with another key is another one. It lives in memory while guests use it
 * and on disk beside the artifacts:
 *
 *	<cache_dir>/<key, 64 hex digits>.template        whole
 *	<cache_dir>/<key, 64 hex digits>.template.part   being made: the maker holds an exclusive flock
 *
 *	"KTTEMPL1" | u32 length of head | head (runner.def, struct template) | zstd: state, then per node runs of
 *	{ u64 offset, u64 length, bytes } closed by { bytes of the node, 0 } | SHA-256 of all before
 *
 * Numbers are little-endian. The file is verified whole before a byte of it is used; the memory it is loaded
 * into cannot change afterwards. The digest guards against rot: who may write the folder may forge a template. Functions block and touch nothing global: they may run in a thread.
 */
#ifndef KT_TEMPLATE_H
#define KT_TEMPLATE_H

#include "proto/base/digest.h"
#include "proto/schema.h"
#include "worker/core/topology.h"
#include "worker/qemu.h"

#define KT_TEMPLATE_ID_BYTES 17 /* 16 hex digits and a 0 */

struct kt_template {
	struct kt_digest key;
	struct kt_digest place;
	char id[KT_TEMPLATE_ID_BYTES];
	char kernel_release[KT_NAME_BYTES_MAX + 1];
	char seen
		[KT_TOPOLOGY_TEXT_BYTES]; /* the machine that its guest found: every guest of it is that one */
	int64_t made_ns; /* wall clock */
	uint64_t node_bytes[KT_QEMU_NODES_MAX]; /* 0: a node without memory, its file is empty */
	size_t nodes;
	int ram_fds[KT_QEMU_NODES_MAX];
	int state_fd;
	uint64_t sealed_bytes; /* memory that it took when it was sealed */
	/* The keeper's (worker/stock.c). */
	size_t users; /* guests being restored or running from it */
	uint64_t served; /* guests restored from it, by this process */
	bool from_disk; /* others have used it before */
	unsigned int failed_in_a_row;
	bool in_thread; /* being written to disk */
	struct kt_template *next;
};

/* What a template depends on. */
struct kt_template_spec {
	const struct kt_qemu_spec *qemu; /* descriptors are ignored */
	const struct kt_digest *kernel; /* of the boot image */
	const struct kt_digest *initramfs; /* ktguest and what stands beside it */
	const struct kt_digest
		*qemu_binary; /* of the file; not of the libraries and ROMs that it loads */
	const char *qemu_version; /* Debian's revision is in it */
	const char *
		host; /* its CPUs and kernel, as far as a saved guest depends on them: kt_host_identity() */
};

/* key: all of it. place: kernel, topology, accelerator and which QEMU, by its path. Pure. */
void kt_template_key(const struct kt_template_spec *spec, struct kt_digest *key,
		     struct kt_digest *place);

/* Empty memory for a guest of this topology to boot in; draws the id. Fault HOST. */
int kt_template_new(const struct kt_msg_topology *topology, struct kt_template **template_p,
		    struct kt_err *err);
/* Memory that it takes now, once for all guests that share it. It grows: a guest that writes where the template has a
 * hole gets a page of its own, and the file an empty one (mm/memory.c, do_cow_fault), seals or not.
 */
uint64_t kt_template_shared_bytes(const struct kt_template *template);
/* Accepts NULL. Guests that were given its descriptors keep what they map. */
void kt_template_destroy(struct kt_template **template_p);

/* Nobody can change it from here on. -EBUSY while a process still maps it, -EIO when it cannot be restored from. */
int kt_template_seal(struct kt_template *template, struct kt_err *err);

/* Writes a sealed template behind the beginning of the file and syncs it: some 0.4 s for 100 MB.
 * -ENOSPC and others with fault HOST: the file is then worth nothing.
 */
int kt_template_save(const struct kt_template *template, int fd, struct kt_err *err);
/* Verifies and loads, sealed. Fault HOST: -EBADMSG when it is damaged or not one of ours, -ENOMEM, ... */
int kt_template_load(int fd, struct kt_template **template_p, struct kt_err *err);

/* Only the head, not verified: to find those that are outdated. */
int kt_template_peek(int fd, struct kt_digest *key, struct kt_digest *place, struct kt_err *err);

/* What load does behind the digest; for the fuzzer. */
int kt_template_parse(const uint8_t *bytes, size_t len, struct kt_template **template_p,
		      struct kt_err *err);

#endif
