#include "worker/stock.h"

#include "fake_attempt.h"

#include <linux/capability.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define MIB        (1ull << 20)
#define NODES      2
#define NODE_BYTES (2 * MIB)

static struct kt_msg_topology topology = { .name = "t",
					   .numa_nodes = NODES,
					   .llcs = NODES,
					   .cores = 1,
					   .threads = 1,
					   .mem_bytes = NODES * NODE_BYTES };

struct place {
	struct fake_home home;
	char dir[96];
	struct kt_guestprocs procs;
	struct kt_stock *stock;
	int64_t lock_wait_ns;
};

/* Somebody who wants a template. */
struct asker {
	struct place *place;
	struct kt_stock_want *want;
	unsigned int told;
	struct kt_template *template;
	char id[KT_TEMPLATE_ID_BYTES];
	char error[KT_ERR_TEXT_MAX];
	bool lets_go; /* of what it is told, at once */
	bool breaks; /* it, so that nobody should get it any more */
};

static void open_stock(struct place *p, uint64_t memory_bytes_max)
{
	struct kt_stock_config config = { .dir = p->dir,
					  .disk_bytes_max = 1 << 30,
					  .memory_bytes_max = memory_bytes_max,
					  .lock_wait_ns = p->lock_wait_ns,
					  .procs = &p->procs };
	struct kt_err err = { 0 };

	cr_assert_eq(kt_stock_open(&p->home.loop, &config, &p->stock, &err), 0, "%s", err.text);
}

static void begin(struct place *p, const char *plays)
{
	*p = (struct place){ 0 };
	fake_home_open(&p->home);
	fake_plays("template", plays);
	snprintf(p->dir, sizeof(p->dir), "%s/cache", p->home.dir);
	cr_assert_eq(mkdir(p->dir, 0755), 0);
	open_stock(p, 1 << 30);
}

static void end(struct place *p)
{
	kt_stock_destroy(&p->stock);
	fake_home_close(&p->home);
}

static struct kt_digest digest(const char *text)
{
	struct kt_digest digest;

	kt_digest_of(text, strlen(text), &digest);
	return digest;
}

static void on_told(void *arg, struct kt_template *template, const struct kt_err *err)
{
	struct asker *asker = arg;

	cr_assert_eq(template != NULL, err == NULL);
	asker->told++;
	asker->want = NULL;
	asker->template = template;
	snprintf(asker->id, sizeof(asker->id), "%s", template ? template->id : "");
	snprintf(asker->error, sizeof(asker->error), "%s", err ? err->text : "");
	for (int i = 0; asker->breaks && i < 2; i++)
		kt_stock_failed(asker->place->stock, template, "a test");
	if (asker->lets_go || asker->breaks)
		kt_stock_release(asker->place->stock, &asker->template);
}

static void ask_at(struct asker *asker, struct place *p, const char *key, const char *where,
		   uint64_t renew)
{
	struct kt_digest digest_of_key = digest(key);
	struct kt_digest place = digest(where);
	struct kt_digest kernel = digest("kernel");
	struct kt_msg_run_guest guest = { .role = "cold",
					  .kernel_name = "k",
					  .kernel_path = "/k",
					  .kernel_digest = { kernel.bytes, KT_DIGEST_BYTES },
					  .topology = &topology,
					  .cache_dir = p->dir,
					  .accel = "tcg",
					  .qemu = "q",
					  .qemu_version = "7",
					  .ktguest = "g" };

	*asker = (struct asker){ .place = p };
	asker->want =
		kt_stock_want(p->stock, &digest_of_key, &place, renew, &guest, on_told, asker);
	cr_assert_eq(asker->told, 0, "never from within");
}

/* A place of its own for each key: none makes another one outdated. */
static void ask(struct asker *asker, struct place *p, const char *key, uint64_t renew)
{
	ask_at(asker, p, key, key, renew);
}

/* Asks and waits. */
static void get(struct asker *asker, struct place *p, const char *key, uint64_t renew)
{
	ask(asker, p, key, renew);
	cr_assert(fake_until(&p->home, asker->told == 1));
}

static void let_go(struct asker *asker)
{
	kt_stock_release(asker->place->stock, &asker->template);
}

static bool all_told(const struct asker *askers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (askers[i].told == 0)
			return false;
	return true;
}

static size_t makers(const struct place *p)
{
	return fake_count(&p->home, "template");
}

/* ---- the folder ---- */

static void path_of(const struct place *p, const char *key, const char *suffix, char path[256])
{
	struct kt_digest digest_of_key = digest(key);
	char hex[KT_DIGEST_HEX_BYTES];

	kt_digest_hex(&digest_of_key, hex);
	snprintf(path, 256, "%s/%s.template%s", p->dir, hex, suffix);
}

static size_t files(const struct place *p)
{
	DIR *dir = opendir(p->dir);
	struct dirent *item;
	size_t n = 0;

	while (dir && (item = readdir(dir)))
		n += item->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* Whole, with the right key, and nobody's any more. */
static bool is_kept(const struct place *p, const char *key)
{
	KT_AUTO(kt_template_destroy) struct kt_template *template = NULL;
	struct kt_digest digest_of_key = digest(key);
	KT_AUTO_FD int fd = -1;
	char path[256];

	path_of(p, key, "", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	       kt_template_load(fd, &template, NULL) == 0 &&
	       kt_digest_equal(&template->key, &digest_of_key);
}

/* ---- the thread: all of libuv's pool, held by the test ---- */

struct brake {
	uv_work_t work;
	sem_t sem;
	bool done;
};

static void brake_run(uv_work_t *work)
{
	sem_wait(&((struct brake *)work->data)->sem);
}

static void brake_done(uv_work_t *work, int status)
{
	((struct brake *)work->data)->done = true;
}

/* What is queued from here on waits for release(). */
static void hold_thread(struct place *p, struct brake *brake)
{
	setenv("UV_THREADPOOL_SIZE", "1", 1); /* before the first use, in a test of its own */
	*brake = (struct brake){ .work.data = brake };
	sem_init(&brake->sem, 0, 0);
	uv_queue_work(&p->home.loop, &brake->work, brake_run, brake_done);
}

static void release(struct place *p, struct brake *brake)
{
	sem_post(&brake->sem);
	cr_assert(fake_until(&p->home, brake->done));
	sem_destroy(&brake->sem);
}

/* ---- making ---- */

Test(stock, many_that_want_the_same_template_get_it_from_one_maker)
{
	struct place p;
	struct asker askers[8];
	struct asker late;
	struct kt_digest key = digest("key");
	struct kt_template *found;

	begin(&p, "gate+fill+saved");
	for (size_t i = 0; i < 8; i++) {
		ask(&askers[i], &p, "key", 0);
		if (i == 3)
			cr_assert(fake_until(&p.home, makers(&p) == 1));
	}
	cr_assert(fake_not(&p.home, askers[0].told || makers(&p) > 1));
	fake_open_gate(&p.home);
	cr_assert(fake_until(&p.home, all_told(askers, 8)));
	get(&late, &p, "key", 0);
	found = kt_stock_find(p.stock, &key, 0);
	cr_assert_eq(found, late.template);
	kt_stock_release(p.stock, &found);
	for (size_t i = 0; i < 8; i++) {
		cr_assert_eq(askers[i].told, 1);
		cr_assert_eq(askers[i].template, late.template);
		let_go(&askers[i]);
	}
	cr_assert_eq(makers(&p), 1);
	cr_assert_str_eq(late.template->kernel_release, FAKE_RELEASE);
	let_go(&late);
	end(&p);
}

Test(stock, different_templates_are_made_at_the_same_time)
{
	struct place p;
	struct asker a;
	struct asker b;

	begin(&p, "gate+fill+saved");
	ask(&a, &p, "a", 0);
	ask(&b, &p, "b", 0);
	cr_assert(fake_until(&p.home, makers(&p) == 2));
	fake_open_gate(&p.home);
	cr_assert(fake_until(&p.home, a.told && b.told));
	cr_assert_str_neq(a.id, b.id);
	let_go(&a);
	let_go(&b);
	end(&p);
}

static const struct {
	const char *plays;
	const char *why;
} failing[] = {
	{ "broke", "qemu_died: the fake broke" },
	{ "fill+fail", "its process exited with status 3" },
	{ "fill+crash", "its process was killed by signal 9 (Killed)" },
	{ "fill+garbage+deaf", "its process said what cannot be: " },
	{ "saved", "0 bytes of device state" }, /* a lie */
	{ "fill+shrunk+saved", "4096 bytes of memory in a node of 2097152" },
};

Test(stock, a_maker_that_fails_is_told_to_everyone_who_waits)
{
	for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
		struct place p;
		struct asker askers[3];
		char plays[128];

		snprintf(plays, sizeof(plays), "gate+%s fill+saved", failing[i].plays);
		begin(&p, plays);
		for (size_t k = 0; k < 3; k++)
			ask(&askers[k], &p, "key", 0);
		cr_assert(fake_until(&p.home, makers(&p) == 1));
		fake_open_gate(&p.home);
		cr_assert(fake_until(&p.home, all_told(askers, 3)), "%s", failing[i].plays);
		for (size_t k = 0; k < 3; k++) {
			cr_assert_null(askers[k].template);
			cr_assert_eq(strncmp(askers[k].error, "making a template: ", 19), 0);
			cr_assert_not_null(strstr(askers[k].error, failing[i].why), "%s",
					   askers[k].error);
		}
		cr_assert_eq(files(&p), 0, "%s leaves a file", failing[i].plays);
		get(&askers[0], &p, "key", 0);
		cr_assert_not_null(askers[0].template, "once is no reason to rest");
		let_go(&askers[0]);
		end(&p);
	}
}

Test(stock, after_two_failures_in_a_row_it_rests)
{
	struct place p;
	struct asker asker;

	begin(&p, "broke fail fill+saved");
	get(&asker, &p, "key", 0);
	get(&asker, &p, "key", 0);
	cr_assert_eq(makers(&p), 2);
	for (int i = 0; i < 3; i++) {
		get(&asker, &p, "key", 0);
		cr_assert_null(asker.template);
		cr_assert_not_null(strstr(asker.error, "exited with status 3"), "the last reason");
	}
	cr_assert_eq(makers(&p), 2, "no process is started while it rests");
	get(&asker, &p, "another key", 0);
	cr_assert_not_null(asker.template, "only that one rests");
	let_go(&asker);
	end(&p);
}

static void fail_twice(struct asker *asker)
{
	kt_stock_failed(asker->place->stock, asker->template, "a test");
	kt_stock_failed(asker->place->stock, asker->template, "a test");
}

Test(stock, a_failure_before_a_success_is_forgotten)
{
	struct place p;
	struct asker asker;

	begin(&p, "broke fill+saved broke fill+saved");
	for (size_t i = 0; i < 4; i++) {
		get(&asker, &p, "key", 0);
		cr_assert_eq(asker.template != NULL, i % 2 == 1, "%zu: %s", i, asker.error);
		if (!asker.template)
			continue;
		fail_twice(&asker);
		let_go(&asker);
	}
	cr_assert_eq(makers(&p), 4);
	end(&p);
}

Test(stock, a_killed_maker_leaves_no_file_and_no_lock)
{
	struct place p;
	struct asker asker;

	begin(&p, "fill+hang fill+saved");
	ask(&asker, &p, "key", 0);
	cr_assert(fake_until(&p.home, makers(&p) == 1));
	cr_assert_eq(files(&p), 1);
	cr_assert_eq(kill(fake_pid(&p.home, "template", 0, NULL), SIGKILL), 0);
	cr_assert(fake_until(&p.home, asker.told == 1));
	cr_assert_null(asker.template);
	cr_assert_eq(files(&p), 0);
	get(&asker, &p, "key", 0);
	cr_assert_not_null(asker.template);
	cr_assert(fake_until(&p.home, is_kept(&p, "key")));
	let_go(&asker);
	end(&p);
}

/* ---- the files ---- */

static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "half of it", 10), 10);
	return fd;
}

Test(stock, what_a_killed_worker_left_is_swept_but_not_what_somebody_makes)
{
	struct place p;
	char left[256];
	char held[256];
	int fd;

	begin(&p, "fail");
	kt_stock_destroy(&p.stock);
	path_of(&p, "left", ".part", left);
	path_of(&p, "held", ".part", held);
	close(make_file(left));
	fd = make_file(held);
	cr_assert_eq(flock(fd, LOCK_EX), 0);
	open_stock(&p, 1 << 30);
	cr_assert_lt(access(left, F_OK), 0);
	cr_assert_eq(access(held, F_OK), 0);
	close(fd);
	end(&p);
}

Test(stock, a_kept_template_is_found_by_a_second_stock)
{
	struct place p;
	struct asker first;
	struct asker second;
	char text[32] = "";

	begin(&p, "fill+saved fail");
	get(&first, &p, "key", 0);
	cr_assert(fake_until(&p.home, is_kept(&p, "key")));
	let_go(&first);
	kt_stock_destroy(&p.stock);
	open_stock(&p, 1 << 30);
	get(&second, &p, "key", 0);
	cr_assert_str_eq(second.id, first.id);
	cr_assert_gt(pread(second.template->ram_fds[1], text, sizeof(text) - 1, 0), 0);
	cr_assert_eq(strncmp(text, "node 1 by ", 10), 0);
	cr_assert_eq(makers(&p), 1);
	let_go(&second);
	end(&p);
}

static void damage(const struct place *p, int how)
{
	char path[256];
	char other[256];
	struct stat st;
	int fd;

	path_of(p, "key", "", path);
	path_of(p, "other", "", other);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_eq(fstat(fd, &st), 0);
	if (how == 0)
		cr_assert_eq(pwrite(fd, "\xff", 1, st.st_size / 2), 1);
	else if (how < 3)
		cr_assert_eq(ftruncate(fd, how == 1 ? st.st_size - 1 : 0), 0);
	else
		cr_assert_eq(rename(other, path), 0);
	close(fd);
}

/* A bit, a cut end, nothing at all, and a whole file that is another template's. */
Test(stock, a_damaged_file_is_thrown_away_and_made_anew)
{
	for (int how = 0; how < 4; how++) {
		struct place p;
		struct asker first;
		struct asker other;
		struct asker second;

		begin(&p, "fill+saved");
		get(&first, &p, "key", 0);
		get(&other, &p, "other", 0);
		cr_assert(fake_until(&p.home, is_kept(&p, "key") && is_kept(&p, "other")));
		let_go(&first);
		let_go(&other);
		kt_stock_destroy(&p.stock);
		damage(&p, how);
		open_stock(&p, 1 << 30);
		get(&second, &p, "key", 0);
		cr_assert_not_null(second.template, "%d: %s", how, second.error);
		cr_assert_str_neq(second.id, first.id);
		cr_assert_eq(makers(&p), 3, "%d", how);
		cr_assert(fake_until(&p.home, is_kept(&p, "key")), "%d", how);
		let_go(&second);
		end(&p);
	}
}

Test(stock, what_depends_on_something_that_changed_goes_from_disk)
{
	struct place p;
	struct asker askers[3];
	char path[256];

	begin(&p, "fill+saved");
	ask_at(&askers[0], &p, "old", "place", 0);
	ask_at(&askers[1], &p, "elsewhere", "another place", 0);
	cr_assert(fake_until(&p.home, is_kept(&p, "old") && is_kept(&p, "elsewhere")));
	ask_at(&askers[2], &p, "new", "place", 0);
	path_of(&p, "old", "", path);
	cr_assert(fake_until(&p.home, access(path, F_OK) < 0));
	cr_assert(fake_until(&p.home, is_kept(&p, "new")));
	cr_assert(is_kept(&p, "elsewhere"));
	for (size_t i = 0; i < 3; i++)
		let_go(&askers[i]);
	end(&p);
}

/* The owner of a folder may not write it either: root gives up the right to. */
static void make_unwritable(const struct place *p)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];
	char path[256];

	cr_assert_eq(chmod(p->dir, 0555), 0);
	cr_assert_eq(syscall(SYS_capget, &header, caps), 0);
	caps[0].effective &= ~(1u << CAP_DAC_OVERRIDE);
	cr_assert_eq(syscall(SYS_capset, &header, caps), 0);
	snprintf(path, sizeof(path), "%s/probe", p->dir);
	cr_assert_lt(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644), 0);
}

Test(stock, where_nothing_can_be_written_it_is_made_and_used_and_not_kept)
{
	struct place p;
	struct asker first;
	struct asker second;

	begin(&p, "fill+saved");
	make_unwritable(&p);
	get(&first, &p, "key", 0);
	cr_assert_not_null(first.template, "%s", first.error);
	get(&second, &p, "key", 0);
	cr_assert_eq(second.template, first.template);
	cr_assert_eq(makers(&p), 1);
	let_go(&first);
	let_go(&second);
	kt_stock_destroy(&p.stock);
	open_stock(&p, 1 << 30);
	get(&second, &p, "key", 0);
	cr_assert_str_neq(second.id, first.id);
	cr_assert_eq(files(&p), 0);
	let_go(&second);
	end(&p);
}

Test(stock, a_damaged_file_that_cannot_be_thrown_away_is_in_nobodys_way)
{
	struct place p;
	struct asker asker;
	char path[256];

	begin(&p, "fill+saved");
	path_of(&p, "key", "", path);
	close(make_file(path));
	make_unwritable(&p);
	get(&asker, &p, "key", 0);
	cr_assert_not_null(asker.template, "%s", asker.error);
	cr_assert_eq(makers(&p), 1);
	let_go(&asker);
	end(&p);
}

/* A link is not followed, and not removed: it is not ours. */
Test(stock, what_is_no_file_is_in_nobodys_way)
{
	for (int i = 0; i < 2; i++) {
		struct place p;
		struct asker asker;
		struct stat st;
		char path[256];

		begin(&p, "fill+saved");
		path_of(&p, "key", i == 0 ? "" : ".part", path);
		cr_assert_eq(symlink("/dev/null", path), 0);
		get(&asker, &p, "key", 0);
		cr_assert_not_null(asker.template, "%s", asker.error);
		cr_assert_eq(lstat(path, &st), 0);
		cr_assert(S_ISLNK(st.st_mode));
		cr_assert_eq(files(&p), 1);
		let_go(&asker);
		end(&p);
	}
}

/* The limit of a file's size stands for a full disk. The memory itself is below it. */
Test(stock, what_does_not_fit_on_the_disk_is_used_and_leaves_no_file)
{
	struct rlimit limit = { NODE_BYTES, NODE_BYTES };
	struct place p;
	struct asker asker;

	begin(&p, "noise+saved");
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	get(&asker, &p, "key", 0);
	cr_assert_not_null(asker.template, "%s", asker.error);
	cr_assert(fake_until(&p.home, files(&p) == 0));
	let_go(&asker);
	get(&asker, &p, "key", 0);
	cr_assert_eq(makers(&p), 1);
	let_go(&asker);
	end(&p);
}

/* ---- another process ---- */

/* Holds the lock until a byte comes; then it puts the file in its place, or dies with the lock. */
static pid_t another_maker(const struct place *p, bool finishes, int *to)
{
	char part[256];
	char from[256];
	char whole[256];
	int said[2];
	int told[2];
	pid_t pid;
	char byte;

	path_of(p, "key", ".part", part);
	path_of(p, "key", "", whole);
	snprintf(from, sizeof(from), "%s/valid", p->home.dir);
	cr_assert_eq(pipe2(said, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

		flock(fd, LOCK_EX);
		if (write(said[1], "", 1) == 1 && read(told[0], &byte, 1) == 1 && finishes)
			rename(from, whole);
		if (finishes)
			unlink(part);
		_exit(0);
	}
	cr_assert_eq(read(said[0], &byte, 1), 1);
	close(said[0]);
	close(said[1]);
	close(told[0]);
	*to = told[1];
	return pid;
}

/* A whole file, out of the way. */
static void prepare_valid_file(struct place *p, char id[KT_TEMPLATE_ID_BYTES])
{
	struct asker asker;
	char path[256];
	char valid[256];

	get(&asker, p, "key", 0);
	cr_assert(fake_until(&p->home, is_kept(p, "key")));
	memcpy(id, asker.id, KT_TEMPLATE_ID_BYTES);
	let_go(&asker);
	kt_stock_destroy(&p->stock);
	path_of(p, "key", "", path);
	snprintf(valid, sizeof(valid), "%s/valid", p->home.dir);
	cr_assert_eq(rename(path, valid), 0);
	open_stock(p, 1 << 30);
}

Test(stock, another_process_that_makes_it_is_waited_for)
{
	struct place p;
	struct asker askers[2];
	char id[KT_TEMPLATE_ID_BYTES];
	pid_t pid;
	int to;

	begin(&p, "fill+saved fail");
	prepare_valid_file(&p, id);
	pid = another_maker(&p, true, &to);
	ask(&askers[0], &p, "key", 0);
	ask(&askers[1], &p, "key", 0);
	cr_assert(fake_not(&p.home, askers[0].told || askers[1].told || makers(&p) > 1));
	cr_assert_eq(write(to, "", 1), 1);
	cr_assert(fake_until(&p.home, all_told(askers, 2)));
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	close(to);
	cr_assert_str_eq(askers[0].id, id);
	cr_assert_eq(askers[1].template, askers[0].template);
	cr_assert_eq(makers(&p), 1);
	cr_assert_eq(files(&p), 1);
	let_go(&askers[0]);
	let_go(&askers[1]);
	end(&p);
}

/* The maker still holds its lock when the file has its name, and so does the eviction when it looks at it. */
Test(stock, a_whole_file_that_somebody_holds_is_waited_for)
{
	struct place p;
	struct asker asker;
	char id[KT_TEMPLATE_ID_BYTES];
	char path[256];
	char valid[256];
	int fd;

	begin(&p, "fill+saved fail");
	prepare_valid_file(&p, id);
	path_of(&p, "key", "", path);
	snprintf(valid, sizeof(valid), "%s/valid", p.home.dir);
	cr_assert_eq(rename(valid, path), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(flock(fd, LOCK_EX), 0);
	ask(&asker, &p, "key", 0);
	cr_assert(fake_not(&p.home, asker.told || makers(&p) > 1));
	cr_assert_eq(files(&p), 1);
	close(fd);
	cr_assert(fake_until(&p.home, asker.told == 1));
	cr_assert_str_eq(asker.id, id);
	let_go(&asker);
	end(&p);
}

Test(stock, another_process_that_dies_while_it_makes_it_is_not_waited_for)
{
	struct place p;
	struct asker asker;
	pid_t pid;
	int to;

	begin(&p, "fill+saved");
	pid = another_maker(&p, false, &to);
	ask(&asker, &p, "key", 0);
	cr_assert(fake_not(&p.home, asker.told || makers(&p) > 0));
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	close(to);
	cr_assert(fake_until(&p.home, asker.told == 1));
	cr_assert_not_null(asker.template, "%s", asker.error);
	cr_assert_eq(makers(&p), 1);
	cr_assert(fake_until(&p.home, is_kept(&p, "key")));
	let_go(&asker);
	end(&p);
}

/* ---- throwing away ---- */

Test(stock, two_restores_in_a_row_that_fail_drop_it_and_its_file)
{
	struct place p;
	struct asker first;
	struct asker second;
	char text[8] = "";

	begin(&p, "fill+saved");
	get(&first, &p, "key", 0);
	cr_assert(fake_until(&p.home, is_kept(&p, "key")));
	kt_stock_failed(p.stock, first.template, "a test");
	cr_assert(kt_stock_is_current(p.stock, first.template));
	kt_stock_failed(p.stock, first.template, "a test");
	cr_assert_not(kt_stock_is_current(p.stock, first.template));
	cr_assert_eq(files(&p), 0);
	/* Who has it keeps it. */
	kt_stock_failed(p.stock, first.template, "a test");
	cr_assert_eq(pread(first.template->state_fd, text, 7, 0), 7);
	cr_assert_str_eq(text, "made by");
	get(&second, &p, "key", 0);
	cr_assert_str_neq(second.id, first.id);
	cr_assert(kt_stock_is_current(p.stock, second.template));
	cr_assert_eq(kt_stock_shared_bytes(p.stock),
		     first.template->sealed_bytes + second.template->sealed_bytes);
	let_go(&first);
	cr_assert_eq(kt_stock_shared_bytes(p.stock), second.template->sealed_bytes);
	let_go(&second);
	end(&p);
}

Test(stock, a_restore_that_works_forgives_the_one_that_failed_before)
{
	struct place p;
	struct asker asker;

	begin(&p, "fill+saved");
	get(&asker, &p, "key", 0);
	cr_assert(fake_until(&p.home, is_kept(&p, "key")));
	for (int i = 0; i < 5; i++) {
		kt_stock_failed(p.stock, asker.template, "a test");
		kt_stock_worked(p.stock, asker.template);
	}
	cr_assert(kt_stock_is_current(p.stock, asker.template));
	cr_assert(is_kept(&p, "key"));
	let_go(&asker);
	end(&p);
}

Test(stock, what_is_dropped_while_it_is_written_does_not_stay_on_disk)
{
	struct place p;
	struct asker asker;
	struct brake brake;

	begin(&p, "fill+saved");
	hold_thread(&p, &brake);
	get(&asker, &p, "key", 0);
	fail_twice(&asker);
	let_go(&asker);
	release(&p, &brake);
	cr_assert(fake_until(&p.home, files(&p) == 0));
	get(&asker, &p, "key", 0);
	cr_assert_eq(makers(&p), 2);
	let_go(&asker);
	end(&p);
}

/* ---- renewal ---- */

Test(stock, the_guest_after_the_last_one_gets_another_template)
{
	struct place p;
	struct kt_digest key = digest("key");
	struct asker askers[7];

	begin(&p, "fill+saved");
	for (size_t i = 0; i < 7; i++) {
		get(&askers[i], &p, "key", 3);
		let_go(&askers[i]);
		if (i > 0)
			cr_assert_eq(strcmp(askers[i].id, askers[i - 1].id) != 0, i % 3 == 0,
				     "guest %zu", i);
	}
	cr_assert_eq(makers(&p), 3);
	/* What was found in memory counts as well. */
	for (size_t i = 7; i < 9; i++) {
		struct kt_template *found = kt_stock_find(p.stock, &key, 3);

		cr_assert_not_null(found);
		kt_stock_release(p.stock, &found);
	}
	cr_assert_null(kt_stock_find(p.stock, &key, 3));
	end(&p);
}

/* Nobody could count whom it serves elsewhere. */
Test(stock, a_template_that_is_to_be_renewed_is_not_kept)
{
	struct place p;
	struct asker asker;

	begin(&p, "fill+saved");
	get(&asker, &p, "key", 3);
	cr_assert_not_null(asker.template);
	cr_assert(fake_not(&p.home, files(&p) > 0));
	let_go(&asker);
	end(&p);
}

/* Nobody knows how many it has served: also when it cannot be removed, or was loaded for somebody else. */
Test(stock, one_from_the_disk_is_not_for_those_who_renew)
{
	for (int how = 0; how < 3; how++) {
		struct place p;
		struct asker asker;
		char id[KT_TEMPLATE_ID_BYTES];
		char path[256];
		char valid[256];

		begin(&p, "fill+saved");
		prepare_valid_file(&p, id);
		path_of(&p, "key", "", path);
		snprintf(valid, sizeof(valid), "%s/valid", p.home.dir);
		if (how == 2)
			cr_assert_eq(mkdir(path, 0755), 0);
		else
			cr_assert_eq(rename(valid, path), 0);
		if (how == 1) {
			get(&asker, &p, "key", 0);
			cr_assert_str_eq(asker.id, id);
			let_go(&asker);
		}
		get(&asker, &p, "key", 3);
		cr_assert_not_null(asker.template, "%d: %s", how, asker.error);
		cr_assert_str_neq(asker.id, id);
		cr_assert_eq(makers(&p), 2);
		let_go(&asker);
		end(&p);
	}
}

Test(stock, renewal_holds_for_those_who_wait_together)
{
	struct place p;
	struct asker askers[5];
	unsigned int same[5] = { 0 };

	begin(&p, "fill+saved");
	for (size_t i = 0; i < 5; i++)
		ask(&askers[i], &p, "key", 2);
	cr_assert(fake_until(&p.home, all_told(askers, 5)));
	for (size_t i = 0; i < 5; i++) {
		cr_assert_not_null(askers[i].template, "%s", askers[i].error);
		for (size_t k = 0; k < 5; k++)
			same[i] += strcmp(askers[i].id, askers[k].id) == 0;
		cr_assert_leq(same[i], 2);
	}
	cr_assert_eq(makers(&p), 3);
	for (size_t i = 0; i < 5; i++)
		let_go(&askers[i]);
	end(&p);
}

/* ---- memory ---- */

Test(stock, unused_templates_are_let_go_of_and_used_ones_never)
{
	struct place p;
	struct asker a;
	struct asker b;
	struct kt_digest key_a = digest("a");
	struct kt_digest key_b = digest("b");
	struct kt_template *found;
	uint64_t bytes;

	begin(&p, "noise+saved");
	kt_stock_destroy(&p.stock);
	open_stock(&p, 5 * MIB); /* one of them has 4 */
	get(&a, &p, "a", 0);
	bytes = kt_stock_shared_bytes(p.stock);
	cr_assert_geq(bytes, NODES * NODE_BYTES);
	get(&b, &p, "b", 0);
	cr_assert(fake_until(&p.home, is_kept(&p, "a") && is_kept(&p, "b")));
	cr_assert_eq(kt_stock_shared_bytes(p.stock), 2 * bytes, "both are used");
	let_go(&a);
	cr_assert_eq(kt_stock_shared_bytes(p.stock), bytes);
	cr_assert_null(kt_stock_find(p.stock, &key_a, 0));
	found = kt_stock_find(p.stock, &key_b, 0);
	cr_assert_eq(found, b.template);
	kt_stock_release(p.stock, &found);
	cr_assert(is_kept(&p, "a"), "memory is not disk");
	get(&a, &p, "a", 0);
	cr_assert_not_null(a.template);
	cr_assert_eq(makers(&p), 2);
	let_go(&a);
	let_go(&b);
	end(&p);
}

Test(stock, the_least_recently_used_one_goes_first)
{
	struct place p;
	struct asker askers[3];
	static const char *const keys[] = { "a", "b", "c" };
	struct kt_digest key_a = digest("a");
	struct kt_digest key_b = digest("b");
	struct kt_template *a;

	begin(&p, "noise+saved");
	kt_stock_destroy(&p.stock);
	open_stock(&p, 9 * MIB); /* two of them */
	for (size_t i = 0; i < 2; i++) {
		get(&askers[i], &p, keys[i], 0);
		cr_assert(fake_until(&p.home, is_kept(&p, keys[i])));
		let_go(&askers[i]);
	}
	a = kt_stock_find(p.stock, &key_a, 0); /* used again, after b */
	kt_stock_release(p.stock, &a);
	get(&askers[2], &p, keys[2], 0);
	cr_assert(fake_until(&p.home, is_kept(&p, keys[2])));
	let_go(&askers[2]);
	cr_assert_null(kt_stock_find(p.stock, &key_b, 0));
	a = kt_stock_find(p.stock, &key_a, 0);
	cr_assert_not_null(a);
	kt_stock_release(p.stock, &a);
	end(&p);
}

Test(stock, what_is_being_written_stays_in_memory_until_it_is_whole)
{
	struct place p;
	struct asker asker;
	struct brake brake;

	begin(&p, "fill+saved");
	kt_stock_destroy(&p.stock);
	open_stock(&p, 0);
	hold_thread(&p, &brake);
	get(&asker, &p, "key", 0);
	let_go(&asker);
	cr_assert_gt(kt_stock_shared_bytes(p.stock), 0);
	release(&p, &brake);
	cr_assert(fake_until(&p.home, is_kept(&p, "key") && kt_stock_shared_bytes(p.stock) == 0));
	end(&p);
}

/* The first one lets go of it at once, and memory has no room for what nobody uses. */
Test(stock, everyone_who_waits_gets_what_was_loaded)
{
	struct place p;
	struct asker askers[3];

	begin(&p, "fill+saved fail");
	get(&askers[0], &p, "key", 0);
	cr_assert(fake_until(&p.home, is_kept(&p, "key")));
	let_go(&askers[0]);
	kt_stock_destroy(&p.stock);
	open_stock(&p, 0);
	for (size_t i = 0; i < 3; i++) {
		ask(&askers[i], &p, "key", 0);
		askers[i].lets_go = true;
	}
	cr_assert(fake_until(&p.home, all_told(askers, 3)));
	for (size_t i = 0; i < 3; i++)
		cr_assert_str_neq(askers[i].id, "", "%s", askers[i].error);
	cr_assert_eq(kt_stock_shared_bytes(p.stock), 0);
	end(&p);
}

Test(stock, who_waits_behind_one_that_finds_it_broken_gets_another)
{
	struct place p;
	struct asker askers[3];

	begin(&p, "fill+saved");
	for (size_t i = 0; i < 3; i++)
		ask(&askers[i], &p, "key", 0);
	askers[0].breaks = true;
	cr_assert(fake_until(&p.home, all_told(askers, 3)));
	cr_assert_str_neq(askers[1].id, askers[0].id);
	cr_assert_str_eq(askers[2].id, askers[1].id);
	cr_assert_eq(makers(&p), 2);
	let_go(&askers[1]);
	let_go(&askers[2]);
	end(&p);
}

/* ---- wants that end early, and the stock's own end ---- */

enum stage { WAITING, LOADING, MAKING, KEEPING, N_STAGES };

static const char *const stages[] = { "waiting", "loading", "making", "keeping" };

struct scene {
	struct place place;
	struct asker asker;
	struct brake brake;
	enum stage stage;
	int lock_fd;
};

/* A stock where the asker's template has come that far. */
static void set_scene(struct scene *scene, enum stage stage)
{
	struct place *p = &scene->place;
	char id[KT_TEMPLATE_ID_BYTES];
	char part[256];
	char valid[256];
	char whole[256];

	scene->stage = stage;
	scene->lock_fd = -1;
	begin(p, stage == LOADING ? "fill+saved" : stage == MAKING ? "fill+hang" : "fill+saved");
	path_of(p, "key", ".part", part);
	path_of(p, "key", "", whole);
	if (stage == WAITING) {
		scene->lock_fd = make_file(part);
		cr_assert_eq(flock(scene->lock_fd, LOCK_EX), 0);
	} else if (stage == LOADING) {
		setenv("UV_THREADPOOL_SIZE", "1", 1);
		prepare_valid_file(p, id);
		snprintf(valid, sizeof(valid), "%s/valid", p->home.dir);
		cr_assert_eq(rename(valid, whole), 0);
	}
	if (stage == LOADING || stage == KEEPING)
		hold_thread(p, &scene->brake);
	ask(&scene->asker, p, "key", 0);
	if (stage == MAKING)
		cr_assert(fake_until(&p->home, makers(p) == 1));
	else if (stage == KEEPING)
		cr_assert(fake_until(&p->home, scene->asker.told == 1));
	else
		cr_assert(fake_not(&p->home, scene->asker.told));
}

/* Lets the thread and the lock go. */
static void go_on(struct scene *scene)
{
	if (scene->stage == LOADING || scene->stage == KEEPING)
		release(&scene->place, &scene->brake);
	kt_own_close(&scene->lock_fd);
}

static void destroy_at(enum stage stage)
{
	struct scene scene;
	struct place *p = &scene.place;
	bool is_whole = stage == LOADING || stage == KEEPING;
	struct kt_template *held;

	set_scene(&scene, stage);
	held = scene.asker.template;
	kt_stock_release(p->stock, &held);
	kt_stock_destroy(&p->stock);
	cr_assert_null(p->stock);
	kt_stock_destroy(&p->stock); /* accepts NULL */
	cr_assert_eq(files(p), stage != MAKING, "%s", stages[stage]);
	go_on(&scene);
	cr_assert(fake_until(&p->home, fake_is_alone()), "%s", stages[stage]);
	cr_assert(fake_not(&p->home, scene.asker.told != (stage == KEEPING)), "%s", stages[stage]);
	if (is_whole)
		cr_assert(fake_until(&p->home, is_kept(p, "key")), "%s", stages[stage]);
	cr_assert_eq(files(p), stage == WAITING || is_whole, "%s", stages[stage]);
	fake_home_close(&p->home);
}

Test(stock, destroyed_while_it_waits_it_leaves_nothing_of_its_own)
{
	destroy_at(WAITING);
}

Test(stock, destroyed_while_it_loads_it_leaves_the_whole_file)
{
	destroy_at(LOADING);
}

Test(stock, destroyed_while_it_makes_it_leaves_no_half_file)
{
	destroy_at(MAKING);
}

Test(stock, destroyed_while_it_writes_it_leaves_a_whole_file)
{
	destroy_at(KEEPING);
}

static void drop_at(enum stage stage)
{
	struct scene scene;
	struct place *p = &scene.place;
	struct asker other;

	set_scene(&scene, stage);
	if (stage == MAKING) {
		/* The maker goes on for the other one. */
		ask(&other, p, "key", 0);
		kt_stock_drop(&scene.asker.want);
		cr_assert_eq(kill(fake_pid(&p->home, "template", 0, NULL), SIGKILL), 0);
	} else {
		kt_stock_drop(&scene.asker.want);
		kt_stock_drop(&scene.asker.want); /* accepts NULL */
		ask(&other, p, "key", 0);
	}
	go_on(&scene);
	cr_assert(fake_until(&p->home, other.told == 1), "%s", stages[stage]);
	cr_assert_eq(other.template != NULL, stage != MAKING, "%s", stages[stage]);
	cr_assert_eq(scene.asker.told, 0, "%s", stages[stage]);
	kt_stock_release(p->stock, &other.template);
	end(p);
	cr_assert_eq(scene.asker.told, 0, "%s", stages[stage]);
}

Test(stock, who_was_dropped_while_it_waits_is_never_told)
{
	drop_at(WAITING);
}

Test(stock, who_was_dropped_while_it_loads_is_never_told)
{
	drop_at(LOADING);
}

Test(stock, who_was_dropped_while_it_is_made_is_never_told)
{
	drop_at(MAKING);
}

/* Nobody wants it any more: it is kept for the next one. */
Test(stock, what_is_made_for_nobody_is_kept_all_the_same)
{
	struct place p;
	struct asker asker;

	begin(&p, "gate+fill+saved fail");
	ask(&asker, &p, "key", 0);
	cr_assert(fake_until(&p.home, makers(&p) == 1));
	kt_stock_drop(&asker.want);
	fake_open_gate(&p.home);
	cr_assert(fake_until(&p.home, is_kept(&p, "key")));
	cr_assert_eq(asker.told, 0);
	get(&asker, &p, "key", 0);
	cr_assert_not_null(asker.template);
	let_go(&asker);
	end(&p);
}

/* A worker that was stopped (^Z) while it made one. */
Test(stock, a_lock_that_is_never_let_go_is_not_waited_for)
{
	struct place p;
	struct asker asker;
	struct kt_digest key = digest("key");
	char hex[KT_DIGEST_HEX_BYTES];
	KT_AUTO_FREE char *part = NULL;
	KT_AUTO_FD int fd = -1;

	begin(&p, "fill+saved");
	kt_stock_destroy(&p.stock);
	p.lock_wait_ns = 150 * KT_NS_PER_MS;
	open_stock(&p, 1 << 30);
	kt_digest_hex(&key, hex);
	part = kt_must_asprintf("%s/%s.template.part", p.dir, hex);
	fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	cr_assert_eq(flock(fd, LOCK_EX), 0);
	get(&asker, &p, "key", 0);
	cr_assert(asker.template, "%s", asker.error);
	cr_assert_eq(access(part, F_OK), 0, "the other one's file is left alone");
	kt_own_close(&fd);
	let_go(&asker);
	end(&p);
}

/* A private write into a hole allocates in the file, too: what is big only for that is loaded anew. */
Test(stock, a_template_that_its_guests_blew_up_goes_when_nobody_uses_it)
{
	struct place p;
	struct asker asker;
	uint64_t before;
	uint8_t *map;

	begin(&p, "fill+saved");
	get(&asker, &p, "key", 0);
	cr_assert(fake_until(&p.home, files(&p) == 1 && !asker.template->in_thread));
	before = kt_stock_shared_bytes(p.stock);
	map = mmap(NULL, NODE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		   asker.template->ram_fds[1], 0);
	cr_assert_neq(map, MAP_FAILED);
	memset(map, 1, NODE_BYTES);
	munmap(map, NODE_BYTES);
	cr_assert_geq(kt_stock_shared_bytes(p.stock), before + NODE_BYTES / 2);
	let_go(&asker);
	cr_assert_eq(kt_stock_shared_bytes(p.stock), 0);
	get(&asker, &p, "key", 0);
	cr_assert(asker.template->from_disk);
	cr_assert_leq(kt_stock_shared_bytes(p.stock), before);
	cr_assert_eq(makers(&p), 1);
	let_go(&asker);
	end(&p);
}
