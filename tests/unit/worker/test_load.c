#include "worker/load.h"
#include "fake_guest.h"

#include <stdlib.h>

/* Takes in files until the host goes away; a file that comes twice ends it. */
static void takes_files(struct guest *guest)
{
	struct kt_msg_guest_done done = { .what = "file" };
	char paths[8][KT_PATH_BYTES_MAX];
	size_t n = 0;

	for (;;) {
		const struct kt_msg_guest_file *file = guest_await(guest, KT_TAG_guest_file);

		for (size_t i = 0; i < n; i++)
			kt_must(strcmp(paths[i], file->path) != 0);
		snprintf(paths[n++], sizeof(paths[0]), "%s", file->path);
		guest_await(guest, KT_TAG_guest_data);
		guest_say(guest, KT_TAG_guest_done, &done);
	}
}

struct shipped {
	char path[32]; /* on this host */
	struct kt_msg_run_start start;
	struct kt_msg_local_file local;
	struct kt_msg_scheduler other;
	struct kt_msg_payload payload;
};

static uint8_t digests[2][KT_DIGEST_BYTES] = { "one", "another" };

/* The scheduler, another one and a payload share a library; each brings a program as well. */
static struct world *job_of_three(struct shipped *shipped)
{
	static struct kt_msg_file files[6];
	struct world *world = world_of(takes_files);
	int fd;

	strcpy(shipped->path, "/tmp/kt-load.XXXXXX");
	fd = mkstemp(shipped->path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "x", 1), 1);
	close(fd);
	shipped->local =
		(struct kt_msg_local_file){ { digests[0], KT_DIGEST_BYTES }, shipped->path };
	shipped->start = (struct kt_msg_run_start){ .files = &shipped->local, .n_files = 1 };
	for (size_t i = 0; i < 6; i++)
		files[i] = (struct kt_msg_file){ .path = "/kt/lib/shared",
						 .digest = { digests[0], KT_DIGEST_BYTES },
						 .bytes = 1 };
	files[0].path = "/kt/bin/own";
	files[2].path = "/kt/bin/other";
	files[4].path = "/kt/bin/payload";
	world->scheduler = (struct kt_msg_scheduler){ .name = "own", .files = files, .n_files = 2 };
	shipped->other =
		(struct kt_msg_scheduler){ .name = "other", .files = files + 2, .n_files = 2 };
	shipped->payload =
		(struct kt_msg_payload){ .name = "payload", .files = files + 4, .n_files = 2 };
	world->job.schedulers = &shipped->other;
	world->job.n_schedulers = 1;
	world->job.payloads = &shipped->payload;
	world->job.n_payloads = 1;
	world->attempt.start = &shipped->start;
	world->attempt.has_scheduler = false;
	world->attempt.prepared = true;
	return world;
}

Test(load, every_program_is_there_before_the_scenario_and_what_they_share_once)
{
	struct shipped shipped = { 0 };
	struct world *world = job_of_three(&shipped);

	kt_load(&world->attempt);
	unlink(shipped.path);
	cr_assert(!world->attempt.ending, "%s", world->attempt.line);
	cr_assert_eq(world->attempt.vm.channel.frames_in, 4, "one answer for each file");
	world_destroy(world);
}

Test(load, two_files_cannot_stand_at_one_place)
{
	struct shipped shipped = { 0 };
	struct world *world = job_of_three(&shipped);

	shipped.payload.files[1].digest.data = digests[1];
	kt_load(&world->attempt);
	unlink(shipped.path);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_artifact_corrupt);
	cr_assert(strstr(world->attempt.line, "/kt/lib/shared"), "%s", world->attempt.line);
	world_destroy(world);
}

/* The run queue probe stands beside ktguest, and goes only where it is wanted. */
Test(load, the_probe_goes_to_guests_that_want_it)
{
	static struct kt_msg_run_guest guest;
	struct shipped shipped = { 0 };
	char dir[] = "/tmp/kt-load.XXXXXX";
	char ktguest[64];
	char probe[64];
	int fd;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(ktguest, sizeof(ktguest), "%s/ktguest", dir);
	snprintf(probe, sizeof(probe), "%s/kt_rqlat", dir);
	guest.ktguest = ktguest;
	for (int is_there = 0; is_there < 2; is_there++) {
		struct world *world = job_of_three(&shipped);

		if (is_there) {
			fd = open(probe, O_CREAT | O_WRONLY, 0755);
			cr_assert_eq(write(fd, "x", 1), 1);
			close(fd);
		}
		world->attempt.guest = &guest;
		world->scenario.runqueue_latency = true;
		kt_load(&world->attempt);
		unlink(shipped.path);
		cr_assert(!world->attempt.ending, "%s", world->attempt.line);
		cr_assert_eq(world->attempt.vm.channel.frames_in, is_there ? 5 : 4);
		cr_assert_eq(strstr(kt_buf_text(&world->attempt.note), probe) == NULL, is_there);
		world_destroy(world);
	}
	unlink(probe);
	rmdir(dir);
}
