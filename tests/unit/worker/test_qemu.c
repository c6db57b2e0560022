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
	{ 1, 1, 2, 1, "kvm", 7, "-accel kvm -cpu host", "tcg" },
	{ 1, 1, 2, 1, "tcg", 7, "-device vmgenid,guid=auto", "-incoming" },
	{ 1, 1, 2, 1, "tcg", 7, "-nodefaults", "-netdev" },
	{ 1, 1, 2, 1, "tcg", 7, "mem-path=/proc/self/fd/10,share=on", "ram1" },
	{ 1, 2, 2, 2, "tcg", 7, "-smp 8,sockets=1,dies=2,cores=2,threads=2", "${" },
	{ 1, 2, 2, 2, "tcg", 10, "-smp 8,sockets=2,dies=1,cores=2,threads=2", "${" },
	{ 2, 4, 4, 1, "tcg", 7, "-smp 16,sockets=2,dies=2,cores=4,threads=1", "memory-backend=" },
	{ 2, 4, 4, 1, "tcg", 7, "-numa node,nodeid=1,memdev=ram1,cpus=8-15", "${" },
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
