#include "worker/template.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define NODE_BYTES (8u << 20)

static struct kt_msg_topology topology(uint64_t nodes)
{
	return (struct kt_msg_topology){ .name = "t",
					 .numa_nodes = nodes,
					 .llcs = nodes,
					 .cores = 1,
					 .threads = 1,
					 .mem_bytes = nodes * NODE_BYTES };
}

/* Two nodes, some pages each, far apart. */
static struct kt_template *made(void)
{
	struct kt_msg_topology of = topology(2);
	struct kt_template *template = NULL;

	cr_assert_eq(kt_template_new(&of, &template, NULL), 0);
	kt_digest_of("key", 3, &template->key);
	kt_digest_of("place", 5, &template->place);
	snprintf(template->kernel_release, sizeof(template->kernel_release), "7.2.13-test");
	cr_assert_eq(template->node_bytes[1], NODE_BYTES);
	cr_assert_eq(pwrite(template->ram_fds[0], "first", 5, 0), 5);
	cr_assert_eq(pwrite(template->ram_fds[0], "middle", 6, 3u << 20), 6);
	cr_assert_eq(pwrite(template->ram_fds[1], "last", 4, NODE_BYTES - 4), 4);
	cr_assert_eq(write(template->state_fd, "devices", 7), 7);
	return template;
}

static int file(void)
{
	return memfd_create("file", MFD_CLOEXEC);
}

static off_t saved(int fd)
{
	KT_AUTO(kt_template_destroy) struct kt_template *template = made();
	struct stat st;

	cr_assert_eq(kt_template_seal(template, NULL), 0);
	cr_assert_eq(kt_template_save(template, fd, NULL), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	return st.st_size;
}

static void assert_holds(int fd, off_t at, const char *text)
{
	char bytes[16] = "";

	cr_assert_eq(pread(fd, bytes, strlen(text), at), (ssize_t)strlen(text));
	cr_assert_str_eq(bytes, text);
}

Test(template, what_is_loaded_is_what_was_saved)
{
	KT_AUTO_FD int fd = file();
	KT_AUTO(kt_template_destroy) struct kt_template *template = NULL;
	struct kt_digest key;
	struct kt_digest place;
	struct stat st;

	saved(fd);
	cr_assert_eq(kt_template_peek(fd, &key, &place, NULL), 0);
	cr_assert_eq(kt_template_load(fd, &template, NULL), 0);
	cr_assert(kt_digest_equal(&template->key, &key));
	cr_assert(kt_digest_equal(&template->place, &place));
	cr_assert_eq(strlen(template->id), 16);
	cr_assert_str_eq(template->kernel_release, "7.2.13-test");
	cr_assert_eq(template->nodes, 2);
	assert_holds(template->ram_fds[0], 0, "first");
	assert_holds(template->ram_fds[0], 3u << 20, "middle");
	assert_holds(template->ram_fds[1], NODE_BYTES - 4, "last");
	assert_holds(template->state_fd, 0, "devices");
	cr_assert_eq(fstat(template->ram_fds[1], &st), 0);
	cr_assert_eq(st.st_size, NODE_BYTES);
	cr_assert_leq(template->sealed_bytes, 8 * 4096, "holes stay holes: %llu bytes",
		      (unsigned long long)template->sealed_bytes);
}

/* 8 MiB, nothing, 4 MiB. */
static const struct kt_msg_topology *uneven(void)
{
	static struct kt_msg_node nodes[] = { { .mem_bytes = NODE_BYTES },
					      { .mem_bytes = 0 },
					      { .mem_bytes = NODE_BYTES / 2 } };
	static struct kt_msg_topology of = { .name = "t",
					     .numa_nodes = 3,
					     .llcs = 3,
					     .cores = 1,
					     .threads = 1,
					     .mem_bytes = NODE_BYTES + NODE_BYTES / 2,
					     .nodes = nodes,
					     .n_nodes = 3 };

	return &of;
}

Test(template, nodes_of_different_size_come_back_as_they_were)
{
	KT_AUTO_FD int fd = file();
	KT_AUTO(kt_template_destroy) struct kt_template *made_one = NULL;
	KT_AUTO(kt_template_destroy) struct kt_template *template = NULL;
	struct kt_err err = { 0 };
	struct stat st;

	cr_assert_eq(kt_template_new(uneven(), &made_one, NULL), 0);
	snprintf(made_one->seen, sizeof(made_one->seen), "3 CPUs");
	cr_assert_eq(write(made_one->state_fd, "devices", 7), 7);
	cr_assert_eq(pwrite(made_one->ram_fds[2], "last", 4, NODE_BYTES / 2 - 4), 4);
	cr_assert_eq(kt_template_seal(made_one, &err), 0, "%s", err.text);
	cr_assert_eq(kt_template_save(made_one, fd, NULL), 0);
	cr_assert_eq(kt_template_load(fd, &template, &err), 0, "%s", err.text);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(fstat(template->ram_fds[i], &st), 0);
		cr_assert_eq((uint64_t)st.st_size, uneven()->nodes[i].mem_bytes, "node %zu", i);
		cr_assert_eq(template->node_bytes[i], uneven()->nodes[i].mem_bytes, "node %zu", i);
	}
	assert_holds(template->ram_fds[2], NODE_BYTES / 2 - 4, "last");
	cr_assert_str_eq(template->seen, "3 CPUs");
}

Test(template, nobody_changes_a_sealed_one)
{
	KT_AUTO_FD int fd = file();
	KT_AUTO(kt_template_destroy) struct kt_template *template = NULL;

	saved(fd);
	cr_assert_eq(kt_template_load(fd, &template, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		int of = i < 2 ? template->ram_fds[i] : template->state_fd;
		void *map;

		cr_assert_eq(pwrite(of, "x", 1, 0), -1);
		cr_assert_eq(ftruncate(of, 1), -1);
		cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, of, 0),
			     MAP_FAILED);
		/* As QEMU does: its own view, which may change. */
		map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, of, 0);
		cr_assert_neq(map, MAP_FAILED);
		*(char *)map = 'x';
		munmap(map, 4096);
	}
	assert_holds(template->ram_fds[0], 0, "first");
}

Test(template, it_cannot_be_sealed_while_a_guest_can_write_it)
{
	KT_AUTO(kt_template_destroy) struct kt_template *template = made();
	struct kt_err err = { 0 };
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, template->ram_fds[0], 0);

	cr_assert_neq(map, MAP_FAILED);
	cr_assert_eq(kt_template_seal(template, &err), -EBUSY);
	munmap(map, 4096);
	cr_assert_eq(kt_template_seal(template, &err), 0);
}

Test(template, no_flipped_bit_gets_through)
{
	KT_AUTO_FD int fd = file();
	off_t len = saved(fd);

	for (off_t at = 0; at < len; at++) {
		KT_AUTO(kt_template_destroy) struct kt_template *template = NULL;
		struct kt_err err = { 0 };
		uint8_t byte;
		uint8_t other;

		cr_assert_eq(pread(fd, &byte, 1, at), 1);
		other = byte ^ (uint8_t)(1u << (at % 8));
		cr_assert_eq(pwrite(fd, &other, 1, at), 1);
		cr_assert_eq(kt_template_load(fd, &template, &err), -EBADMSG, "byte %lld",
			     (long long)at);
		cr_assert_eq(err.fault, KT_FAULT_HOST);
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
	}
}

Test(template, a_torn_file_is_refused)
{
	KT_AUTO_FD int fd = file();
	off_t len = saved(fd);
	KT_AUTO(kt_template_destroy) struct kt_template *template = NULL;

	while (len-- > 0) {
		cr_assert_eq(ftruncate(fd, len), 0);
		cr_assert_eq(kt_template_load(fd, &template, NULL), -EBADMSG, "%lld bytes",
			     (long long)len);
	}
}

/* A row changes one thing that a template depends on. */
static void key_of(int change, struct kt_digest *key, struct kt_digest *place)
{
	struct kt_msg_distance distances[2][2] = { { { 10 }, { 20 } }, { { 20 }, { 10 } } };
	struct kt_msg_node nodes[2] = {
		{ .mem_bytes = 2 * NODE_BYTES, .distances = distances[0], .n_distances = 2 },
		{ .mem_bytes = 2 * NODE_BYTES, .distances = distances[1], .n_distances = 2 },
	};
	struct kt_msg_topology of = topology(2);
	struct kt_digest kernel = { { 1 } };
	struct kt_digest ktguest = { { 2 } };
	struct kt_digest binary = { { 3 } };
	struct kt_qemu_spec qemu = {
		.binary = "/usr/bin/qemu", .accel = "tcg", .version_major = 7, .topology = &of
	};
	struct kt_template_spec spec = { .qemu = &qemu,
					 .kernel = &kernel,
					 .initramfs = &ktguest,
					 .qemu_binary = &binary,
					 .qemu_version = "7.2.22",
					 .host = "some CPU" };

	of.nodes = nodes;
	of.n_nodes = 2;
	of.mem_bytes = 4 * NODE_BYTES;
	switch (change) {
	case 1:
		kernel.bytes[31] = 1;
		break;
	case 2:
		of.cores = 2;
		break;
	case 3: /* the same sum */
		nodes[0].mem_bytes = NODE_BYTES;
		nodes[1].mem_bytes = 3 * NODE_BYTES;
		break;
	case 4:
		distances[0][1].value = 21;
		break;
	case 5:
		of.n_nodes = 0;
		of.mem_bytes *= 2;
		break;
	case 6:
		qemu.accel = "kvm";
		break;
	case 7:
		ktguest.bytes[0] = 9;
		break;
	case 8:
		binary.bytes[0] = 9;
		break;
	case 9:
		spec.qemu_version = "7.2.23";
		break;
	case 10:
		spec.host = "another CPU";
		break;
	/* What it does not depend on. */
	case 20:
		of.name = "another name";
		break;
	case 21:
		qemu.kernel_fd = 77;
		break;
	default:
		break;
	}
	kt_template_key(&spec, key, place);
}

Test(template, the_key_is_everything_it_depends_on)
{
	struct kt_digest key, place, other, other_place;

	key_of(0, &key, &place);
	for (int change = 1; change <= 10; change++) {
		bool moves =
			change <= 6; /* another kernel, topology or accelerator is another place */

		key_of(change, &other, &other_place);
		cr_assert_not(kt_digest_equal(&key, &other), "change %d", change);
		cr_assert_eq(!kt_digest_equal(&place, &other_place), moves, "change %d", change);
	}
	for (int change = 20; change <= 21; change++) {
		key_of(change, &other, &other_place);
		cr_assert(kt_digest_equal(&key, &other), "change %d", change);
	}
}
