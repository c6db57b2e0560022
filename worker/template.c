#include "worker/template.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/vm.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zstd.h>

#define MAGIC          "KTTEMPL1"
#define MAGIC_BYTES    8
#define HEAD_BYTES_MAX 4096 /* of these at most KT_TOPOLOGY_TEXT_BYTES for the machine */
#define FILE_BYTES_MAX (8ull << 30)
#define PIECE_BYTES    (1u << 20)
#define PAGE           4096
#define ZSTD_LEVEL     1 /* 0.3 of the size; more would cost more time than it saves disk */
#define SEALS          (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* ---- the key ---- */

static void add_digest(struct kt_buf *text, const char *name, const struct kt_digest *digest)
{
	char hex[KT_DIGEST_HEX_BYTES];

	kt_digest_hex(digest, hex);
	kt_buf_printf(text, "%s %s\n", name, hex);
}

/* Each node's memory and distances, where the topology tells them. */
static void add_nodes(struct kt_buf *text, const struct kt_msg_topology *topology)
{
	for (size_t i = 0; i < topology->n_nodes; i++) {
		kt_buf_printf(text, "node %" PRIu64, topology->nodes[i].mem_bytes);
		for (size_t to = 0; to < topology->nodes[i].n_distances; to++)
			kt_buf_printf(text, " %" PRIu64, topology->nodes[i].distances[to].value);
		kt_buf_puts(text, "\n");
	}
}

/* The command line of the boot holds the machine, the CPU model, the topology, the memory and the kernel's
 * options; descriptors, and the TSC's rate, which is the host's, are all 0 in it. A change of qemu.c changes every key.
 */
void kt_template_key(const struct kt_template_spec *spec, struct kt_digest *key,
		     struct kt_digest *place)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF text = { 0 };
	const struct kt_msg_topology *topology = spec->qemu->topology;
	struct kt_qemu_spec qemu = { .binary = spec->qemu->binary,
				     .accel = spec->qemu->accel,
				     .version_major = spec->qemu->version_major,
				     .topology = topology };

	add_digest(&text, "kernel", spec->kernel);
	kt_buf_printf(&text,
		      "qemu %s\naccel %s\ntopology %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		      " %" PRIu64 "\n",
		      qemu.binary, qemu.accel, topology->numa_nodes, topology->llcs,
		      topology->cores, topology->threads, topology->mem_bytes);
	add_nodes(&text, topology);
	kt_digest_of(text.data, text.len, place);
	add_digest(&text, "initramfs", spec->initramfs);
	add_digest(&text, "qemu", spec->qemu_binary);
	kt_buf_printf(&text, "version %s\nhost %s\nchannel %d\n", spec->qemu_version, spec->host,
		      KT_GUEST_PROTOCOL_VERSION);
	for (char **arg = kt_qemu_command(&qemu, &arena); *arg; arg++)
		kt_buf_printf(&text, "%s\n", *arg);
	kt_digest_of(text.data, text.len, key);
}

/* ---- in memory ---- */

static struct kt_template *empty(void)
{
	struct kt_template *template = kt_must_calloc(1, sizeof(*template));

	template->state_fd = -1;
	for (size_t i = 0; i < KT_QEMU_NODES_MAX; i++)
		template->ram_fds[i] = -1;
	return template;
}

static int make_memory(struct kt_template *template, struct kt_err *err)
{
	int rc = kt_vm_make_ram(0, &template->state_fd, err);

	for (size_t i = 0; rc == 0 && i < template->nodes; i++)
		rc = kt_vm_make_ram(template->node_bytes[i], &template->ram_fds[i], err);
	return rc;
}

int kt_template_new(const struct kt_msg_topology *topology, struct kt_template **template_p,
		    struct kt_err *err)
{
	KT_AUTO(kt_template_destroy) struct kt_template *template = empty();
	uint64_t id;
	int rc;

	randombytes_buf(&id, sizeof(id));
	snprintf(template->id, sizeof(template->id), "%016" PRIx64, id);
	template->made_ns = kt_clock_wall_ns();
	template->nodes = topology->numa_nodes;
	for (size_t i = 0; i < template->nodes; i++)
		template->node_bytes[i] = kt_topology_node_bytes(topology, i);
	rc = make_memory(template, err);
	if (rc == 0)
		*template_p = kt_take(&template);
	return rc;
}

void kt_template_destroy(struct kt_template **template_p)
{
	struct kt_template *template = *template_p;

	if (!template)
		return;
	kt_own_close(&template->state_fd);
	for (size_t i = 0; i < KT_QEMU_NODES_MAX; i++)
		kt_own_close(&template->ram_fds[i]);
	free(template);
	*template_p = NULL;
}

/* Whoever filled it may have done anything with it until now. */
static int check_size(const struct kt_template *template, size_t i, off_t bytes, struct kt_err *err)
{
	if (i < template->nodes && (uint64_t)bytes != template->node_bytes[i])
		return kt_err_set(err, KT_FAULT_HOST, EIO,
				  "a template with %lld bytes of memory in a node of %" PRIu64,
				  (long long)bytes, template->node_bytes[i]);
	if (i == template->nodes && (bytes == 0 || bytes > (off_t)KT_VM_STATE_BYTES_MAX))
		return kt_err_set(err, KT_FAULT_HOST, EIO,
				  "a template with %lld bytes of device state", (long long)bytes);
	return 0;
}

uint64_t kt_template_shared_bytes(const struct kt_template *template)
{
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; i <= template->nodes; i++)
		if (fstat(i < template->nodes ? template->ram_fds[i] : template->state_fd, &st) ==
		    0)
			bytes += (uint64_t)st.st_blocks * 512;
	return bytes;
}

int kt_template_seal(struct kt_template *template, struct kt_err *err)
{
	struct stat st;
	int rc;

	for (size_t i = 0; i <= template->nodes; i++) {
		int fd = i < template->nodes ? template->ram_fds[i] : template->state_fd;

		if (fcntl(fd, F_ADD_SEALS, SEALS) < 0 || fstat(fd, &st) < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "sealing a template");
		rc = check_size(template, i, st.st_size, err);
		if (rc < 0)
			return rc;
	}
	template->sealed_bytes = kt_template_shared_bytes(template);
	return 0;
}

/* ---- to disk ---- */

/* Everything that is written goes through here: hashed, then into the file. */
struct sink {
	int fd;
	crypto_hash_sha256_state hash;
	ZSTD_CCtx *zstd;
	uint8_t *piece; /* PIECE_BYTES */
	uint8_t *packed;
	size_t packed_bytes;
};

static int put(struct sink *sink, const void *bytes, size_t len, struct kt_err *err)
{
	const uint8_t *at = bytes;

	crypto_hash_sha256_update(&sink->hash, at, len);
	while (len > 0) {
		ssize_t n = write(sink->fd, at, len);

		if (n <= 0)
			return kt_err_sys(err, KT_FAULT_HOST, n < 0 ? errno : EIO,
					  "writing a template");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int pack(struct sink *sink, const void *bytes, size_t len, ZSTD_EndDirective end,
		struct kt_err *err)
{
	ZSTD_inBuffer in = { bytes, len, 0 };
	size_t left;
	int rc;

	do {
		ZSTD_outBuffer out = { sink->packed, sink->packed_bytes, 0 };

		left = ZSTD_compressStream2(sink->zstd, &out, &in, end);
		kt_must(!ZSTD_isError(left));
		rc = put(sink, sink->packed, out.pos, err);
	} while (rc == 0 && (in.pos < in.size || (end == ZSTD_e_end && left > 0)));
	return rc;
}

static int pack_range(struct sink *sink, int fd, uint64_t at, uint64_t len, struct kt_err *err)
{
	int rc = 0;

	while (rc == 0 && len > 0) {
		size_t want = len < PIECE_BYTES ? (size_t)len : PIECE_BYTES;
		ssize_t n = pread(fd, sink->piece, want, (off_t)at);

		if (n <= 0)
			return kt_err_sys(err, KT_FAULT_HOST, n < 0 ? errno : EIO,
					  "reading a template's memory");
		rc = pack(sink, sink->piece, (size_t)n, ZSTD_e_continue, err);
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return rc;
}

static int pack_run(struct sink *sink, uint64_t offset, uint64_t len, struct kt_err *err)
{
	uint64_t head[2] = { htole64(offset), htole64(len) };

	return pack(sink, head, sizeof(head), ZSTD_e_continue, err);
}

/* A guest touches some 100 MB of its memory until it is ready: the rest are holes. */
static int pack_node(struct sink *sink, int fd, uint64_t bytes, struct kt_err *err)
{
	off_t at = 0;
	int rc = 0;

	while (rc == 0) {
		off_t data = lseek(fd, at, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			return pack_run(sink, bytes, 0, err);
		at = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (at < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "reading a template's memory");
		rc = pack_run(sink, (uint64_t)data, (uint64_t)(at - data), err);
		if (rc == 0)
			rc = pack_range(sink, fd, (uint64_t)data, (uint64_t)(at - data), err);
	}
	return rc;
}

/* Returns the longest; in rams all, unless they are all of that length. */
static uint64_t measure(const struct kt_template *template,
			struct kt_msg_ram rams[KT_QEMU_NODES_MAX], size_t *n)
{
	uint64_t longest = 0;

	*n = 0;
	for (size_t i = 0; i < template->nodes; i++) {
		rams[i].bytes = template->node_bytes[i];
		if (template->node_bytes[i] > longest)
			longest = template->node_bytes[i];
	}
	for (size_t i = 0; i < template->nodes; i++)
		if (rams[i].bytes != longest)
			*n = template->nodes;
	return longest;
}

static int put_head(struct sink *sink, const struct kt_template *template, uint64_t state_bytes,
		    struct kt_err *err)
{
	KT_AUTO_BUF head = { 0 };
	struct kt_msg_ram rams[KT_QEMU_NODES_MAX];
	struct kt_msg_template message = {
		.key = { template->key.bytes, KT_DIGEST_BYTES },
		.place = { template->place.bytes, KT_DIGEST_BYTES },
		.id = template->id,
		.made_ns = template->made_ns,
		.kernel_release = template->kernel_release,
		.nodes = template->nodes,
		.state_bytes = state_bytes,
		.rams = rams,
		.topology_seen = template->seen,
	};
	uint32_t len;
	int rc;

	message.node_bytes = measure(template, rams, &message.n_rams);
	kt_codec_encode(&kt_schema_template, &message, &head);
	kt_must(head.len <= HEAD_BYTES_MAX);
	len = htole32((uint32_t)head.len);
	rc = put(sink, MAGIC, MAGIC_BYTES, err);
	if (rc == 0)
		rc = put(sink, &len, sizeof(len), err);
	if (rc == 0)
		rc = put(sink, head.data, head.len, err);
	return rc;
}

static int put_all(struct sink *sink, const struct kt_template *template, struct kt_err *err)
{
	uint8_t digest[crypto_hash_sha256_BYTES];
	struct stat st;
	int rc;

	if (fstat(template->state_fd, &st) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "reading a template's state");
	rc = put_head(sink, template, (uint64_t)st.st_size, err);
	if (rc == 0)
		rc = pack_range(sink, template->state_fd, 0, (uint64_t)st.st_size, err);
	for (size_t i = 0; rc == 0 && i < template->nodes; i++)
		rc = pack_node(sink, template->ram_fds[i], template->node_bytes[i], err);
	if (rc == 0)
		rc = pack(sink, NULL, 0, ZSTD_e_end, err);
	if (rc < 0)
		return rc;
	crypto_hash_sha256_final(&sink->hash, digest);
	rc = put(sink, digest, sizeof(digest), err);
	if (rc == 0 && fsync(sink->fd) < 0)
		rc = kt_err_sys(err, KT_FAULT_HOST, errno, "syncing a template");
	return rc;
}

int kt_template_save(const struct kt_template *template, int fd, struct kt_err *err)
{
	struct sink sink = { .fd = fd, .packed_bytes = ZSTD_CStreamOutSize() };
	int rc;

	if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "writing a template");
	sink.piece = kt_must_calloc(1, PIECE_BYTES);
	sink.packed = kt_must_calloc(1, sink.packed_bytes);
	sink.zstd = ZSTD_createCCtx();
	kt_must(sink.zstd != NULL);
	ZSTD_CCtx_setParameter(sink.zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	crypto_hash_sha256_init(&sink.hash);
	rc = put_all(&sink, template, err);
	ZSTD_freeCCtx(sink.zstd);
	free(sink.packed);
	free(sink.piece);
	return rc;
}

/* ---- from disk ---- */

static int damaged(struct kt_err *err, const char *what)
{
	return kt_err_set(err, KT_FAULT_HOST, EBADMSG, "the template is damaged: %s", what);
}

/* The head in front of bytes; *len is how far it reaches. */
static int read_head(const uint8_t *bytes, size_t size, struct kt_arena *arena,
		     struct kt_msg_template *head, size_t *len, struct kt_err *err)
{
	uint32_t head_bytes;
	struct kt_err why = { 0 };

	if (size < MAGIC_BYTES + sizeof(head_bytes) || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
		return damaged(err, "it does not begin as one");
	memcpy(&head_bytes, bytes + MAGIC_BYTES, sizeof(head_bytes));
	head_bytes = le32toh(head_bytes);
	*len = MAGIC_BYTES + sizeof(head_bytes) + head_bytes;
	if (head_bytes > HEAD_BYTES_MAX || *len > size)
		return damaged(err, "its head is too long");
	if (kt_codec_decode(&kt_schema_template, bytes + *len - head_bytes, head_bytes, arena, head,
			    &why) < 0)
		return damaged(err, why.text);
	if (head->nodes > KT_QEMU_NODES_MAX || head->node_bytes % PAGE != 0 ||
	    head->state_bytes > KT_VM_STATE_BYTES_MAX ||
	    (head->n_rams && head->n_rams != head->nodes))
		return damaged(err, "its sizes cannot be");
	for (size_t i = 0; i < head->n_rams; i++)
		if (head->rams[i].bytes % PAGE != 0 || head->rams[i].bytes > head->node_bytes)
			return damaged(err, "a node's size cannot be");
	return 0;
}

struct source {
	ZSTD_DCtx *zstd;
	ZSTD_inBuffer in;
	uint8_t *piece; /* PIECE_BYTES */
};

/* Exactly len bytes, PIECE_BYTES at most. */
static int unpack(struct source *source, void *bytes, size_t len, struct kt_err *err)
{
	ZSTD_outBuffer out = { bytes, len, 0 };

	while (out.pos < out.size) {
		size_t before = out.pos + source->in.pos;
		size_t rc = ZSTD_decompressStream(source->zstd, &out, &source->in);

		if (ZSTD_isError(rc))
			return damaged(err, ZSTD_getErrorName(rc));
		if (out.pos < out.size && out.pos + source->in.pos == before)
			return damaged(err, "it ends too early");
	}
	return 0;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* Pages of zeroes stay holes. */
static int write_pages(int fd, const uint8_t *bytes, size_t len, uint64_t at, struct kt_err *err)
{
	for (size_t done = 0; done < len;) {
		size_t page = len - done < PAGE ? len - done : PAGE;

		ssize_t n = is_zero(bytes + done, page)
				    ? (ssize_t)page
				    : pwrite(fd, bytes + done, page, (off_t)(at + done));

		if (n != (ssize_t)page)
			return kt_err_sys(err, KT_FAULT_HOST, n < 0 ? errno : ENOSPC,
					  "loading a template");
		done += page;
	}
	return 0;
}

static int unpack_range(struct source *source, int fd, uint64_t at, uint64_t len,
			struct kt_err *err)
{
	int rc = 0;

	while (rc == 0 && len > 0) {
		size_t want = len < PIECE_BYTES ? (size_t)len : PIECE_BYTES;

		rc = unpack(source, source->piece, want, err);
		if (rc == 0)
			rc = write_pages(fd, source->piece, want, at, err);
		at += want;
		len -= want;
	}
	return rc;
}

static int unpack_node(struct source *source, int fd, uint64_t bytes, struct kt_err *err)
{
	uint64_t done = 0; /* runs are in order and do not overlap: so their number has a limit */

	for (;;) {
		uint64_t run[2];
		int rc = unpack(source, run, sizeof(run), err);

		if (rc < 0)
			return rc;
		run[0] = le64toh(run[0]);
		run[1] = le64toh(run[1]);
		if (run[0] == bytes && run[1] == 0)
			return 0;
		if (run[0] < done || run[0] >= bytes || run[1] == 0 || run[1] > bytes - run[0])
			return damaged(err, "a run of memory is not in it");
		rc = unpack_range(source, fd, run[0], run[1], err);
		if (rc < 0)
			return rc;
		done = run[0] + run[1];
	}
}

static int unpack_all(struct source *source, struct kt_template *template, uint64_t state_bytes,
		      struct kt_err *err)
{
	int rc = make_memory(template, err);

	if (rc == 0 && ftruncate(template->state_fd, (off_t)state_bytes) < 0)
		rc = kt_err_sys(err, KT_FAULT_HOST, errno, "loading a template");
	if (rc == 0)
		rc = unpack_range(source, template->state_fd, 0, state_bytes, err);
	for (size_t i = 0; rc == 0 && i < template->nodes; i++)
		rc = unpack_node(source, template->ram_fds[i], template->node_bytes[i], err);
	if (rc == 0 && source->in.pos != source->in.size)
		rc = damaged(err, "something follows its end");
	if (rc == 0)
		rc = kt_template_seal(template, err);
	return rc;
}

int kt_template_parse(const uint8_t *bytes, size_t len, struct kt_template **template_p,
		      struct kt_err *err)
{
	KT_AUTO_ARENA arena = { .max = 64u << 10 };
	KT_AUTO(kt_template_destroy) struct kt_template *template = empty();
	struct kt_msg_template head;
	struct source source = { 0 };
	size_t head_bytes;
	int rc = read_head(bytes, len, &arena, &head, &head_bytes, err);

	if (rc < 0)
		return rc;
	memcpy(template->key.bytes, head.key.data, KT_DIGEST_BYTES);
	memcpy(template->place.bytes, head.place.data, KT_DIGEST_BYTES);
	snprintf(template->id, sizeof(template->id), "%s", head.id);
	snprintf(template->kernel_release, sizeof(template->kernel_release), "%s",
		 head.kernel_release);
	snprintf(template->seen, sizeof(template->seen), "%s", head.topology_seen);
	template->made_ns = head.made_ns;
	template->nodes = head.nodes;
	for (size_t i = 0; i < template->nodes; i++)
		template->node_bytes[i] = head.n_rams ? head.rams[i].bytes : head.node_bytes;
	source.in = (ZSTD_inBuffer){ bytes + head_bytes, len - head_bytes, 0 };
	source.zstd = ZSTD_createDCtx();
	kt_must(source.zstd != NULL);
	source.piece = kt_must_calloc(1, PIECE_BYTES);
	rc = unpack_all(&source, template, head.state_bytes, err);
	ZSTD_freeDCtx(source.zstd);
	free(source.piece);
	if (rc == 0)
		*template_p = kt_take(&template);
	return rc;
}

static int verify_and_parse(const uint8_t *bytes, size_t len, struct kt_template **template_p,
			    struct kt_err *err)
{
	uint8_t digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, bytes, len - sizeof(digest));
	if (memcmp(digest, bytes + len - sizeof(digest), sizeof(digest)) != 0)
		return damaged(err, "its bytes do not match its digest");
	return kt_template_parse(bytes, len - sizeof(digest), template_p, err);
}

int kt_template_load(int fd, struct kt_template **template_p, struct kt_err *err)
{
	KT_AUTO_FREE uint8_t *bytes = NULL;
	struct stat st;
	size_t len;

	if (fstat(fd, &st) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "reading a template");
	if (st.st_size <= crypto_hash_sha256_BYTES || (uint64_t)st.st_size > FILE_BYTES_MAX)
		return damaged(err, "it is too short, or too long");
	/* Read, not mapped: what was verified is what is used, whatever happens to the file. */
	bytes = malloc((size_t)st.st_size);
	if (!bytes)
		return kt_err_sys(err, KT_FAULT_HOST, ENOMEM, "reading a template");
	for (len = 0; len < (size_t)st.st_size;) {
		ssize_t n = pread(fd, bytes + len, (size_t)st.st_size - len, (off_t)len);

		if (n < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "reading a template");
		if (n == 0)
			return damaged(err, "it became shorter");
		len += (size_t)n;
	}
	return verify_and_parse(bytes, len, template_p, err);
}

int kt_template_peek(int fd, struct kt_digest *key, struct kt_digest *place, struct kt_err *err)
{
	uint8_t bytes[MAGIC_BYTES + 4 + HEAD_BYTES_MAX];
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);
	KT_AUTO_ARENA arena = { .max = 64u << 10 };
	struct kt_msg_template head;
	size_t len;
	int rc;

	if (n < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "reading a template");
	rc = read_head(bytes, (size_t)n, &arena, &head, &len, err);
	if (rc < 0)
		return rc;
	memcpy(key->bytes, head.key.data, KT_DIGEST_BYTES);
	memcpy(place->bytes, head.place.data, KT_DIGEST_BYTES);
	return 0;
}
