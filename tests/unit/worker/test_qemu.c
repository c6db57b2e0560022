#include "worker/qemu.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct kt_msg_topology topology(uint64_t n, uint64_t l, uint64_t c, uint64_t t)
{
	return (struct kt_msg_topology){ .name = "t",
					 .numa_nodes = n,
					 .llcs = l,
					 .cores = c,
					 .threads = t,
					 .mem_bytes = 1ull << 30 };
}

static char *command(const struct kt_msg_topology *of, const char *accel, unsigned int major,
		     struct kt_arena *arena)
{
	struct kt_qemu_spec spec = { .binary = "qemu",
				     .accel = accel,
				     .version_major = major,
				     .topology = of,
				     .tsc_khz = 2596090,
				     .ram_fds = { 10, 11, 12, 13 },
				     .kernel_fd = 20,
				     .initramfs_fd = 21,
				     .monitor_fd = 22,
				     .channel_fd = 23,
				     .console_fd = 24 };
	char **argv = kt_qemu_command(&spec, arena);
	KT_AUTO_BUF line = { 0 };

	for (size_t i = 0; argv[i]; i++)
		kt_buf_printf(&line, "%s%s", i ? " " : "", argv[i]);
	return kt_arena_strdup(arena, kt_buf_text(&line));
}

static const struct {
	uint64_t n, l, c, t;
	const char *accel;
	unsigned int major;
	const char *has;
	const char *has_not;
} commands[] = {
	{ 1, 1, 2, 1, "tcg", 7, "-accel tcg,thread=single", "-numa" },
	{ 1, 1, 2, 1, "tcg", 7, "tsc=reliable", "-accel kvm" },
	{ 1, 1, 2, 1, "tcg", 7, "tsc_early_khz=2596090", "${" },
	{ 1, 1, 2, 1, "kvm", 7, "-cpu host", "tsc_early_khz" },
	{ 1, 1, 2, 1, "kvm", 7, "-accel kvm -cpu host", "tcg" },
	{ 1, 1, 2, 1, "tcg", 7, "-device vmgenid,guid=auto", "-incoming" },
	{ 1, 1, 2, 1, "tcg", 7, "-nodefaults", "-netdev" },
	{ 1, 1, 2, 1, "tcg", 7, "mem-path=/proc/self/fd/10,share=on", "ram1" },
	{ 1, 2, 2, 2, "tcg", 7, "-smp 8,sockets=1,dies=2,cores=2,threads=2", "${" },
	{ 1, 2, 2, 2, "tcg", 10, "-smp 8,sockets=2,dies=1,cores=2,threads=2", "${" },
	{ 2, 4, 4, 1, "tcg", 7, "-smp 16,sockets=2,dies=2,cores=4,threads=1", "memory-backend=" },
	{ 2, 4, 4, 1, "tcg", 7, "-numa node,nodeid=1,memdev=ram1,cpus=8-15", "${" },
	{ 1, 2, 2, 2, "tcg", 7, "-m 1024M", "-numa" },
	{ 2, 2, 1, 1, "tcg", 7, "-numa node,nodeid=0,memdev=ram0,cpus=0-0", "-numa dist" },
	{ 2, 4, 4, 1, "tcg", 9, "-smp 16,sockets=4,dies=1,cores=4,threads=1", "${" },
	{ 2, 4, 4, 1, "tcg", 9, "-numa node,nodeid=1,memdev=ram1,cpus=8-15", "${" },
	{ 4, 4, 1, 1, "tcg", 7, "id=ram3,size=256M,mem-path=/proc/self/fd/13", "ram4" },
};

Test(qemu, the_command_line_says_what_the_topology_asks)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_msg_topology of =
			topology(commands[i].n, commands[i].l, commands[i].c, commands[i].t);
		char *line = command(&of, commands[i].accel, commands[i].major, &arena);

		cr_assert(strstr(line, commands[i].has), "row %zu: %s", i, line);
		cr_assert(!strstr(line, commands[i].has_not), "row %zu: %s", i, line);
	}
}

/* 512 MiB, none, 256 MiB; the way from node 0 to node 2 is longer than the way back. */
static const struct kt_msg_topology *three_nodes(void)
{
	static struct kt_msg_distance distances[3][3] = {
		{ { 10 }, { 20 }, { 40 } },
		{ { 20 }, { 10 }, { 15 } },
		{ { 30 }, { 15 }, { 10 } },
	};
	static struct kt_msg_node nodes[] = {
		{ .mem_bytes = 512ull << 20, .distances = distances[0], .n_distances = 3 },
		{ .mem_bytes = 0, .distances = distances[1], .n_distances = 3 },
		{ .mem_bytes = 256ull << 20, .distances = distances[2], .n_distances = 3 },
	};
	static struct kt_msg_topology of = { .name = "t",
					     .numa_nodes = 3,
					     .llcs = 3,
					     .cores = 2,
					     .threads = 1,
					     .mem_bytes = 768ull << 20,
					     .nodes = nodes,
					     .n_nodes = 3 };

	return &of;
}

Test(qemu, each_node_gets_its_own_memory_and_distances)
{
	static const char *const has[] = {
		"-m 768M",
		"id=ram0,size=512M,mem-path=/proc/self/fd/10",
		"id=ram2,size=256M,mem-path=/proc/self/fd/12",
		"-numa node,nodeid=0,memdev=ram0,cpus=0-1",
		"-numa node,nodeid=1,cpus=2-3",
		"-numa node,nodeid=2,memdev=ram2,cpus=4-5",
		"-numa dist,src=0,dst=0,val=10",
		"-numa dist,src=0,dst=2,val=40",
		"-numa dist,src=2,dst=0,val=30",
	};

	for (unsigned int major = 7; major <= 10; major++) {
		KT_AUTO_ARENA arena = { 0 };
		char *line = command(three_nodes(), "tcg", major, &arena);

		for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++)
			cr_assert(strstr(line, has[i]), "no %s in %s", has[i], line);
		cr_assert(!strstr(line, "ram1"), "%s", line);
	}
}

Test(qemu, sixteen_nodes_with_all_their_distances_fit_on_a_command_line)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_distance distances[KT_GUEST_NODES_MAX][KT_GUEST_NODES_MAX];
	struct kt_msg_node nodes[KT_GUEST_NODES_MAX];
	struct kt_msg_topology of = topology(KT_GUEST_NODES_MAX, KT_GUEST_NODES_MAX, 1, 1);
	struct kt_err err = { 0 };

	for (size_t i = 0; i < KT_GUEST_NODES_MAX; i++) {
		for (size_t j = 0; j < KT_GUEST_NODES_MAX; j++)
			distances[i][j].value = i == j ? 10 : 20 + i + j;
		nodes[i] = (struct kt_msg_node){ .mem_bytes = 64ull << 20,
						 .distances = distances[i],
						 .n_distances = KT_GUEST_NODES_MAX };
	}
	of.nodes = nodes;
	of.n_nodes = KT_GUEST_NODES_MAX;
	cr_assert_eq(kt_qemu_check_topology(&of, &err), 0, "%s", err.text);
	cr_assert(strstr(command(&of, "tcg", 7, &arena), "dist,src=15,dst=14,val=49"));
}

/* A template fits only the very same machine. */
Test(qemu, a_restored_machine_differs_only_in_where_it_begins)
{
	static const char *const booted[] = { "-kernel", "-initrd", "-append" };
	struct kt_msg_topology of = topology(2, 2, 2, 1);
	KT_AUTO_ARENA arena = { 0 };
	struct kt_qemu_spec spec = {
		.binary = "qemu", .accel = "tcg", .version_major = 7, .topology = &of
	};
	char **cold = kt_qemu_command(&spec, &arena);
	char **warm;
	size_t j = 0;

	spec.restores = true;
	warm = kt_qemu_command(&spec, &arena);
	for (size_t i = 0; cold[i]; i++) {
		char *off;

		if (strcmp(cold[i], booted[0]) == 0 || strcmp(cold[i], booted[1]) == 0 ||
		    strcmp(cold[i], booted[2]) == 0) {
			i++;
			continue;
		}
		off = strstr(warm[j], "share=off");
		if (off) {
			cr_assert_str_eq(strstr(cold[i], "share="), "share=on");
			cr_assert_eq(strncmp(cold[i], warm[j], (size_t)(off - warm[j])), 0);
		} else {
			cr_assert_str_eq(cold[i], warm[j]);
		}
		j++;
	}
	cr_assert_str_eq(warm[j], "-incoming");
	cr_assert_str_eq(warm[j + 1], "defer");
	cr_assert_null(warm[j + 2]);
}

Test(qemu, impossible_topologies_are_the_users_fault)
{
	const struct kt_msg_topology bad[] = { topology(2, 3, 1, 1), topology(17, 17, 1, 1),
					       topology(1, 64, 4, 1) };
	struct kt_msg_topology good = topology(2, 4, 4, 2);
	struct kt_err err = { 0 };

	cr_assert_eq(kt_qemu_check_topology(&good, &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(kt_qemu_check_topology(&bad[i], &err), -EINVAL, "row %zu", i);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
	}
}

Test(qemu, nodes_that_contradict_each_other_are_refused)
{
	for (int change = 0; change < 6; change++) {
		struct kt_msg_topology of = *three_nodes();
		struct kt_msg_node nodes[3];
		struct kt_msg_distance row[3];
		struct kt_err err = { 0 };

		memcpy(nodes, of.nodes, sizeof(nodes));
		memcpy(row, nodes[1].distances, sizeof(row));
		of.nodes = nodes;
		nodes[1].distances = row;
		if (change == 1)
			of.n_nodes = 2;
		else if (change == 2)
			nodes[1].n_distances = 2;
		else if (change == 3)
			row[1].value = 11; /* itself */
		else if (change == 4)
			row[2].value = 10; /* another */
		else if (change == 5)
			nodes[1].mem_bytes = 2 << 20;
		cr_assert_eq(kt_qemu_check_topology(&of, &err), change ? -EINVAL : 0,
			     "change %d: %s", change, err.text);
	}
}

Test(qemu, last_words_name_the_cause)
{
	static const struct {
		const char *words;
		bool kvm;
		enum kt_cause_id cause;
	} words[] = {
		{ "qemu: cannot set up guest memory 'ram0': Cannot allocate memory", false,
		  KT_CAUSE_ID_no_memory },
		{ "qemu: could not load kernel '/proc/self/fd/9': Invalid", false,
		  KT_CAUSE_ID_kernel_unusable },
		{ "qemu: failed to initialize kvm: Permission denied", true, KT_CAUSE_ID_no_kvm },
		{ "a warning about kvm", false, KT_CAUSE_ID_qemu_died },
		{ "", true, KT_CAUSE_ID_qemu_died },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		cr_assert_eq(kt_qemu_last_words(words[i].words, words[i].kvm), words[i].cause,
			     "row %zu", i);
}

Test(qemu, a_program_that_is_not_there_is_missing_and_one_that_is_not_qemu_is_told)
{
	unsigned int major;
	char version[32];
	struct kt_err err = { 0 };

	cr_assert_eq(kt_qemu_version("/nope/qemu", &major, version, sizeof(version), &err),
		     -ENOENT);
	cr_assert_eq(kt_qemu_version("/bin/true", &major, version, sizeof(version), &err),
		     -ENOEXEC);
}
