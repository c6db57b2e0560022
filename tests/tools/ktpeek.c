/* layer: worker/introspect */
/* ktpeek.c - looks into a guest's memory from the command line: what a capture would see, on stdout.
 *
 *	ktpeek IMAGE CACHE_DIR MACHINE RAM_FILE... [-- COMMAND...]
 *
 * MACHINE is q35 or pc; several RAM files are one guest's NUMA nodes. Commands: where, bpf, maps, monitor,
 * enabled, watchdog=NS; without any: where, monitor, bpf. One line each; times on stderr.
 */
#include "proto/base/clock.h"
#include "worker/introspect/introspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int64_t began_ns;

static void took(const char *what)
{
	fprintf(stderr, "%s_us %lld\n", what, (long long)(kt_clock_now_ns() - began_ns) / 1000);
}

static int complain(const struct kt_err *err)
{
	fprintf(stderr, "ktpeek: %s (%s, %s)\n", err->text, kt_err_fault_name(err->fault),
		strerror(err->code));
	return err->code == EAGAIN ? 3 : 1;
}

static int open_memory(char **files, int n, const char *machine, struct kt_gmem **gmem,
		       struct kt_err *err)
{
	uint64_t total = 0;
	struct stat st;
	int rc = 0;

	for (int i = 0; i < n; i++) {
		if (stat(files[i], &st))
			return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", files[i]);
		total += (uint64_t)st.st_size;
	}
	for (int i = 0; i < n && !rc; i++) {
		stat(files[i], &st);
		rc = i ? kt_gmem_add(*gmem, files[i], (uint64_t)st.st_size, err)
		       : kt_gmem_open(files[i], (uint64_t)st.st_size,
				      kt_gmem_lowmem_bytes(machine, total), gmem, err);
	}
	return rc;
}

static void show(struct kt_introspect *introspect, const char *name,
		 void (*read)(struct kt_introspect *, struct kt_arena *, struct kt_msg_axis *))
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF text = { 0 };
	struct kt_msg_axis axis;

	began_ns = kt_clock_now_ns();
	read(introspect, &arena, &axis);
	took(name);
	if (*axis.error)
		kt_buf_printf(&text, "%s: %s", axis.error, axis.text);
	else
		kt_value_print(&axis.value, 16 << 20, &text);
	printf("%s\n", kt_buf_text(&text));
}

static int run(const struct kt_introspect_kernel *kernel, struct kt_introspect *introspect,
	       const char *command)
{
	struct kt_introspect_place place;
	struct kt_err err = { 0 };
	bool enabled;
	int64_t ns;

	if (kt_introspect_refresh(introspect, &err))
		return complain(&err);
	if (!strcmp(command, "where")) {
		kt_introspect_where(introspect, &place);
		printf("release %s hz %u va_slide %#llx pa_slide %#llx levels %u\n",
		       kt_introspect_kernel_release(kernel), kt_introspect_kernel_hz(kernel),
		       (unsigned long long)place.va_slide, (unsigned long long)place.pa_slide,
		       place.levels);
	} else if (!strcmp(command, "bpf")) {
		show(introspect, command, kt_introspect_bpf);
	} else if (!strcmp(command, "maps")) {
		show(introspect, command, kt_introspect_all_maps);
	} else if (!strcmp(command, "monitor")) {
		show(introspect, command, kt_introspect_monitor);
	} else if (!strcmp(command, "enabled")) {
		if (kt_introspect_scx_enabled(introspect, &enabled, &err))
			return complain(&err);
		printf("%s\n", enabled ? "enabled" : "not enabled");
	} else if (sscanf(command, "watchdog=%lld", (long long *)&ns) == 1) {
		if (kt_introspect_set_watchdog(introspect, ns, &ns, &err))
			return complain(&err);
		printf("watchdog %lld\n", (long long)ns);
	} else {
		fprintf(stderr, "ktpeek: no command %s\n", command);
		return 2;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char *const usual[] = { "where", "monitor", "bpf" };
	KT_AUTO(kt_introspect_kernel_destroy) struct kt_introspect_kernel *kernel = NULL;
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	KT_AUTO(kt_introspect_destroy) struct kt_introspect *introspect = NULL;
	char *const *commands = usual;
	int n_commands = 3, n_files = 0, rc = 0;
	struct kt_err err = { 0 };

	if (argc < 5) {
		fprintf(stderr,
			"usage: ktpeek IMAGE CACHE_DIR q35|pc RAM_FILE... [-- COMMAND...]\n");
		return 2;
	}
	while (4 + n_files < argc && strcmp(argv[4 + n_files], "--") != 0)
		n_files++;
	if (4 + n_files < argc) {
		commands = argv + 5 + n_files;
		n_commands = argc - 5 - n_files;
	}
	began_ns = kt_clock_now_ns();
	if (kt_introspect_kernel_open(argv[1], NULL, argv[2], &kernel, &err))
		return complain(&err);
	took("open");
	if (open_memory(argv + 4, n_files, argv[3], &gmem, &err))
		return complain(&err);
	began_ns = kt_clock_now_ns();
	if (kt_introspect_attach(kernel, gmem, &introspect, &err))
		return complain(&err);
	took("attach");
	for (int i = 0; i < n_commands && !rc; i++)
		rc = run(kernel, introspect, commands[i]);
	return rc;
}
