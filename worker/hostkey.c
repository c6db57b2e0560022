#include "worker/hostkey.h"
#include "proto/base/must.h"
#include "proto/net/allow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char *path_of(const char *state_dir, const char *path)
{
	return path ? kt_must_strdup(path) : kt_must_asprintf("%s/" KT_HOSTKEY_NAME, state_dir);
}

static int make_folders(const char *path, struct kt_err *err)
{
	KT_AUTO_FREE char *part = kt_must_strdup(path);

	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return kt_err_sys(err, KT_FAULT_INPUT, errno, "making %s", part);
		*slash = '/';
	}
	return 0;
}

int kt_hostkey_command(const char *state_dir, const char *path, const char *host_name,
		       struct kt_err *err)
{
	KT_AUTO_FREE char *at = path_of(state_dir, path);
	struct kt_key key = { .public_key = "" };
	bool is_new = access(at, F_OK) < 0;
	int status;

	if (is_new) {
		status = make_folders(at, err);
		if (status == 0)
			status = kt_key_make(&key, err);
		if (status == 0)
			status = kt_key_write(at, &key, err);
	} else {
		status = kt_key_read(at, &key, err);
	}
	if (status == 0) {
		fprintf(stderr, "%s %s; on the coordinator, so that this host may connect:\n", at,
			is_new ? "was made" : "is this host's key");
		printf("ktcoord keys allow %s '%s'\n",
		       kt_allow_is_name(host_name) ? host_name : "NAME", key.public_key);
	}
	kt_key_wipe(&key);
	return status;
}

int kt_hostkey_load(struct kt_hostkey *hostkey, const char *state_dir, const char *endpoint,
		    const char *key_path, const char *server_key, struct kt_err *err)
{
	KT_AUTO_FREE char *at = path_of(state_dir, key_path);
	int status;

	*hostkey = (struct kt_hostkey){ .server_key = "" };
	if (!server_key && key_path)
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"--key needs --server-key: which coordinator this host speaks to; "
			"`ktcoord keys list` there shows it");
	if (!server_key && kt_endpoint_is_local(endpoint))
		return 0;
	if (!server_key)
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"%s is another machine: that takes keys. Make this host's with "
			"`ktworker key`, let the coordinator allow it, and add --server-key "
			"KEY (`ktcoord keys list` there shows it)",
			endpoint);
	status = kt_key_public(server_key, hostkey->server_key, err);
	if (status < 0)
		return kt_err_wrap(err, "--server-key");
	status = kt_key_read(at, &hostkey->key, err);
	if (status == -ENOENT)
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
				  "there is no key %s: make it with `ktworker key%s%s`", at,
				  key_path ? " " : "", key_path ? key_path : "");
	if (status < 0)
		return kt_err_wrap(err, "this host's key");
	hostkey->guard =
		(struct kt_guard){ .key = &hostkey->key, .server_key = hostkey->server_key };
	return 0;
}

const struct kt_guard *kt_hostkey_guard(const struct kt_hostkey *hostkey)
{
	return hostkey->guard.key ? &hostkey->guard : NULL;
}

void kt_hostkey_wipe(struct kt_hostkey *hostkey)
{
	kt_key_wipe(&hostkey->key);
}
