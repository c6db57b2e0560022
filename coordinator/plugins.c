#include "coordinator/plugins.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct plugin {
	char *path; /* as the matrix names it */
	int fd;
};

struct kt_plugins {
	struct plugin *list;
	size_t n;
};

/* From the matrix's folder on. */
static void locate(const struct kt_matrix *matrix, const char *name, char path[PATH_MAX])
{
	const char *slash = strrchr(matrix->file, '/');

	if (name[0] == '/' || !slash)
		snprintf(path, PATH_MAX, "%s", name);
	else
		snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - matrix->file), matrix->file,
			 name);
}

/* With the place in the matrix in front; whose fault it is stays. */
static int say_where(const struct kt_matrix *matrix, const struct kt_matrix_plugin *plugin,
		     struct kt_err *err)
{
	enum kt_fault fault = err->fault;
	int code = err->code;
	char why[KT_ERR_TEXT_MAX];

	snprintf(why, sizeof(why), "%s", err->text);
	kt_matrix_err_at(matrix, plugin->pos, err, "plug-in '%s': %s", plugin->path, why);
	err->fault = fault;
	return fault == KT_FAULT_INPUT ? -EINVAL : -code;
}

static int check_file(const char *path, const struct kt_matrix_plugin *plugin, struct kt_err *err)
{
	struct kt_plugin_ask ask = { .name = plugin->path, .deadline_ns = plugin->deadline_ns };
	KT_AUTO_FD int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	KT_AUTO_FD int copy = -1;
	int status;

	if (file < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "opening %s", path);
	status = kt_plugin_copy(file, &copy, err);
	ask.fd = copy;
	return status < 0 ? status : kt_plugin_check(&ask, err);
}

/* Whether an earlier scenario names the same. */
static bool seen_before(const struct kt_matrix *matrix, size_t scenario)
{
	for (size_t i = 0; i < scenario; i++)
		if (matrix->scenarios[i].plugin.path &&
		    strcmp(matrix->scenarios[i].plugin.path,
			   matrix->scenarios[scenario].plugin.path) == 0)
			return true;
	return false;
}

int kt_plugins_check(const struct kt_matrix *matrix, struct kt_err *err)
{
	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_plugin *plugin = &matrix->scenarios[i].plugin;
		char path[PATH_MAX];

		if (!plugin->path || seen_before(matrix, i))
			continue;
		locate(matrix, plugin->path, path);
		if (check_file(path, plugin, err) < 0)
			return say_where(matrix, plugin, err);
	}
	return 0;
}

int kt_plugins_prepare(const struct kt_matrix *matrix, struct kt_artifacts *artifacts,
		       struct kt_arena *arena, struct kt_msg_manifest *manifest, struct kt_err *err)
{
	int status = kt_plugins_check(matrix, err);

	if (status < 0)
		return status;
	manifest->plugins = kt_arena_alloc(arena, matrix->n_scenarios, sizeof(*manifest->plugins));
	manifest->n_plugins = 0;
	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_plugin *plugin = &matrix->scenarios[i].plugin;
		struct kt_digest digest;
		char path[PATH_MAX];
		uint64_t bytes;

		if (!plugin->path || seen_before(matrix, i))
			continue;
		locate(matrix, plugin->path, path);
		if (kt_artifacts_add(artifacts, path, &digest, &bytes, err) < 0)
			return say_where(matrix, plugin, err);
		manifest->plugins[manifest->n_plugins++] = (struct kt_msg_plugin){
			.path = kt_arena_strdup(arena, plugin->path),
			.digest = { kt_arena_copy(arena, digest.bytes, KT_DIGEST_BYTES),
				    KT_DIGEST_BYTES },
		};
	}
	return 0;
}

int kt_plugins_open(const struct kt_msg_manifest *manifest, struct kt_artifacts *artifacts,
		    struct kt_plugins **plugins_p, struct kt_err *err)
{
	KT_AUTO(kt_plugins_destroy)
	struct kt_plugins *plugins = kt_must_calloc(1, sizeof(*plugins));

	plugins->list = kt_must_calloc(manifest->n_plugins + 1, sizeof(*plugins->list));
	for (size_t i = 0; i < manifest->n_plugins; i++) {
		const struct kt_digest *digest = (const void *)manifest->plugins[i].digest.data;
		struct plugin *plugin = &plugins->list[i];
		int status = kt_artifacts_add_known(artifacts, digest, err);

		plugin->fd = -1;
		plugin->path = kt_must_strdup(manifest->plugins[i].path);
		plugins->n++;
		if (status == 0)
			status = kt_plugin_copy(kt_artifacts_fd(artifacts, digest), &plugin->fd,
						err);
		if (status < 0)
			return kt_err_wrap(err, "plug-in '%s'", plugin->path);
	}
	*plugins_p = kt_take(&plugins);
	return 0;
}

void kt_plugins_destroy(struct kt_plugins **plugins_p)
{
	struct kt_plugins *plugins = kt_take(plugins_p);

	if (!plugins)
		return;
	for (size_t i = 0; i < plugins->n; i++) {
		free(plugins->list[i].path);
		kt_own_close(&plugins->list[i].fd);
	}
	free(plugins->list);
	free(plugins);
}

bool kt_plugins_ask(const struct kt_plugins *plugins, const struct kt_matrix_scenario *scenario,
		    struct kt_plugin_ask *ask)
{
	const struct kt_matrix_plugin *plugin = &scenario->plugin;
	size_t i = 0;

	if (!plugin->path)
		return false;
	while (i < plugins->n && strcmp(plugins->list[i].path, plugin->path) != 0)
		i++;
	kt_must(i < plugins->n); /* the list was made from the matrix */
	*ask = (struct kt_plugin_ask){ .name = plugin->path,
				       .fd = plugins->list[i].fd,
				       .deadline_ns = plugin->deadline_ns };
	return true;
}
