#include "worker/introspect/remote.h"

#include "proto/base/must.h"
#include "proto/base/own.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PAGE       KT_REMOTE_PAGE
#define PIECES_MAX KT_REMOTE_GATHER_MAX
#define INDEX_BITS 12
#define INDEX      (1u << INDEX_BITS) /* at least twice KT_REMOTE_PAGES_MAX: never full */

/* Bytes of a page, from the first to the one behind the last. */
struct range {
	uint16_t from, to;
};

struct page {
	uint64_t va;
	uint64_t looked_at; /* last, in this refresh */
	struct range wanted; /* what was looked at */
	struct range there; /* what was read; empty: nothing */
	bool tried; /* to read the whole page, in this refresh */
};

struct kt_remote {
	pid_t pid;
	int pid_fd; /* readable once it has ended, whoever has its number then */
	bool gone;
	uint64_t refreshes;
	uint32_t fetches; /* since the last one */
	struct kt_remote_cost cost;

	size_t n; /* pages kept */
	struct page pages[KT_REMOTE_PAGES_MAX];
	uint8_t (*bytes)[PAGE]; /* of each */
	uint16_t index[INDEX]; /* by va: a page's number plus 1, 0 when empty */
};

/* ---- the host ---- */

/* Pieces of the process's memory, and where they go. */
struct pieces {
	size_t n;
	struct iovec from[PIECES_MAX];
	struct iovec to[PIECES_MAX];
	bool there[PIECES_MAX]; /* could be read, whole */
};

static void add_piece(struct pieces *pieces, uint64_t va, size_t len, uint8_t *into)
{
	pieces->from[pieces->n] = (struct iovec){ (void *)(uintptr_t)va, len };
	pieces->to[pieces->n] = (struct iovec){ into, len };
	pieces->there[pieces->n++] = false;
}

static void read_pieces(struct kt_remote *remote, struct pieces *pieces)
{
	size_t done = 0;

	while (done < pieces->n && !remote->gone) {
		size_t left = pieces->n - done;
		ssize_t got = process_vm_readv(remote->pid, pieces->to + done, left,
					       pieces->from + done, left, 0);

		remote->cost.calls++;
		if (got < 0 && (errno == ESRCH || errno == EPERM))
			remote->gone = true;
		for (; done < pieces->n && got >= (ssize_t)pieces->to[done].iov_len; done++) {
			got -= (ssize_t)pieces->to[done].iov_len;
			pieces->there[done] = true;
		}
		done++; /* it stopped at the first that is not there whole: go on behind */
	}
}

static bool has_ended(const struct kt_remote *remote)
{
	struct pollfd fd = { remote->pid_fd, POLLIN, 0 };

	return poll(&fd, 1, 0) > 0;
}

/* ---- the pages that are kept ---- */

/* Where va is in the index, or the empty place where it belongs. */
static uint16_t *place(struct kt_remote *remote, uint64_t va)
{
	/* 2^64 divided by the golden ratio: neighbours end up far apart */
	size_t at = (va / PAGE * 0x9e3779b97f4a7c15ull) >> (64 - INDEX_BITS);

	while (remote->index[at % INDEX] && remote->pages[remote->index[at % INDEX] - 1].va != va)
		at++;
	return &remote->index[at % INDEX];
}

static struct page *find(struct kt_remote *remote, uint64_t va)
{
	size_t number = *place(remote, va);

	return number ? &remote->pages[number - 1] : NULL;
}

static uint8_t *bytes_of(const struct kt_remote *remote, const struct page *page)
{
	return remote->bytes[page - remote->pages];
}

static bool holds(struct range range, struct range all)
{
	return all.from <= range.from && range.to <= all.to;
}

static struct page *add(struct kt_remote *remote, uint64_t va)
{
	struct page *page = &remote->pages[remote->n++];

	*page = (struct page){ .va = va, .wanted = { PAGE, 0 } };
	*place(remote, va) = (uint16_t)remote->n;
	return page;
}

static void forget(struct kt_remote *remote)
{
	remote->n = 0;
	memset(remote->index, 0, sizeof(remote->index));
}

/* ---- the contract ---- */

int kt_remote_open(pid_t pid, struct kt_remote **remote_p, struct kt_err *err)
{
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = kt_must_calloc(1, sizeof(*remote));
	struct iovec nothing = { NULL, 1 };
	char into;
	struct iovec to = { &into, 1 };

	remote->pid = pid;
	remote->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* There is nothing at address 0 to be read, but whether we may is asked first. */
	if (remote->pid_fd < 0 ||
	    (process_vm_readv(pid, &to, 1, &nothing, 1, 0) < 0 && errno != EFAULT))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "reading the memory of process %d",
				  (int)pid);
	remote->bytes = kt_must_calloc(KT_REMOTE_PAGES_MAX, PAGE);
	*remote_p = kt_take(&remote);
	return 0;
}

void kt_remote_destroy(struct kt_remote **remote_p)
{
	struct kt_remote *remote = *remote_p;

	if (!remote)
		return;
	kt_own_close(&remote->pid_fd);
	free(remote->bytes);
	free(remote);
	*remote_p = NULL;
}

/* Fetches what is wanted of the pages from `first` on, as many as one system call reads. */
static void fetch_wanted(struct kt_remote *remote, size_t first)
{
	struct pieces pieces;

	pieces.n = 0;
	for (size_t i = first; i < remote->n && pieces.n < PIECES_MAX; i++) {
		const struct page *page = &remote->pages[i];
		struct range wanted = page->wanted;

		add_piece(&pieces, page->va + wanted.from, (size_t)(wanted.to - wanted.from),
			  bytes_of(remote, page) + wanted.from);
	}
	read_pieces(remote, &pieces);
	for (size_t i = 0; i < pieces.n; i++)
		if (pieces.there[i])
			remote->pages[first + i].there = remote->pages[first + i].wanted;
	remote->cost.pages += pieces.n;
}

int kt_remote_refresh(struct kt_remote *remote)
{
	size_t n = remote->n;

	forget(remote);
	remote->gone = remote->gone || has_ended(remote);
	if (remote->gone)
		return -ESRCH;
	for (size_t i = 0; i < n; i++) {
		struct page old = remote->pages[i];
		struct page *page;

		if (!old.there.to || remote->refreshes - old.looked_at >= KT_REMOTE_KEEP)
			continue;
		page = add(remote, old.va);
		page->wanted = old.wanted;
		page->looked_at = old.looked_at;
	}
	remote->refreshes++;
	remote->fetches = 0;
	for (size_t i = 0; i < remote->n; i += PIECES_MAX)
		fetch_wanted(remote, i);
	return remote->gone ? -ESRCH : 0;
}

static bool may_fetch(const struct kt_remote *remote)
{
	return !remote->gone && remote->fetches < KT_REMOTE_FETCHES_MAX;
}

/* Reads the whole page as it is now, once. */
static void fetch(struct kt_remote *remote, struct page *page)
{
	struct pieces pieces;

	if (page->tried || !may_fetch(remote))
		return;
	pieces.n = 0;
	add_piece(&pieces, page->va, PAGE, bytes_of(remote, page));
	read_pieces(remote, &pieces);
	page->tried = true;
	page->there = (struct range){ 0, pieces.there[0] ? PAGE : 0 };
	remote->fetches++;
	remote->cost.pages++;
}

const uint8_t *kt_remote_at(struct kt_remote *remote, uint64_t va, size_t len)
{
	size_t in_page = va % PAGE;
	struct range range = { (uint16_t)in_page, (uint16_t)(in_page + len) };
	struct page *page = find(remote, va - in_page);

	kt_must(len > 0 && len <= PAGE - in_page);
	if (!page) {
		if (!may_fetch(remote))
			return NULL;
		if (remote->n == KT_REMOTE_PAGES_MAX)
			forget(remote);
		page = add(remote, va - in_page);
	}
	if (!holds(range, page->there))
		fetch(remote, page);
	if (!holds(range, page->there))
		return NULL;
	if (range.from < page->wanted.from)
		page->wanted.from = range.from;
	if (range.to > page->wanted.to)
		page->wanted.to = range.to;
	page->looked_at = remote->refreshes;
	return bytes_of(remote, page) + in_page;
}

void kt_remote_gather(struct kt_remote *remote, const uint64_t *vas, size_t n, size_t len,
		      uint8_t *into)
{
	struct pieces pieces;

	kt_must(n <= KT_REMOTE_GATHER_MAX);
	pieces.n = 0;
	for (size_t i = 0; i < n; i++)
		add_piece(&pieces, vas[i], len, into + i * len);
	read_pieces(remote, &pieces);
	for (size_t i = 0; i < n; i++)
		if (!pieces.there[i])
			memset(into + i * len, 0, len);
}

int kt_remote_write(struct kt_remote *remote, uint64_t va, const void *from, size_t len)
{
	struct iovec ours = { (void *)(uintptr_t)from, len };
	struct iovec theirs = { (void *)(uintptr_t)va, len };
	size_t in_page = va % PAGE;
	const struct page *page = find(remote, va - in_page);

	kt_must(len <= PAGE - in_page);
	if (remote->gone)
		return -EFAULT;
	remote->cost.calls++;
	if (process_vm_writev(remote->pid, &ours, 1, &theirs, 1, 0) != (ssize_t)len)
		return -EFAULT;
	if (page)
		memcpy(bytes_of(remote, page) + in_page, from, len);
	return 0;
}

void kt_remote_cost(const struct kt_remote *remote, struct kt_remote_cost *cost)
{
	*cost = remote->cost;
}
