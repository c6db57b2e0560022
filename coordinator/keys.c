#include "coordinator/keys.h"
#include "coordinator/control.h"
#include "coordinator/trust.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"
#include "proto/json/tojson.h"
#include "proto/net/allow.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <utlist.h>

/* Of reading, changing and writing the list: held until the descriptor is closed. */
static int lock_folder(const char *state_dir, int *fd, struct kt_err *err)
{
	KT_AUTO_FREE char *folder = kt_trust_path(state_dir, NULL);

	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", folder);
	*fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 || flock(*fd, LOCK_EX) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "locking %s", folder);
	return 0;
}

static void tell_coordinator(const char *state_dir)
{
	struct kt_err err = { 0 };

	/* It looks for itself as well, a moment later. */
	kt_control_tell(state_dir, KT_PRESENT_KEYS_CHANGED, &err);
}

/* ---- new ---- */

static int say_exists(const char *path, bool is_own, struct kt_err *err)
{
	struct kt_key key;
	int status = kt_key_read(path, &key, err);
	char public_key[KT_KEY_CHARS + 1];

	snprintf(public_key, sizeof(public_key), "%s", status == 0 ? key.public_key : "");
	kt_key_wipe(&key);
	if (status < 0)
		return kt_err_wrap(err, "a key is there already, and cannot be used");
	return kt_err_set(err, KT_FAULT_INPUT, EEXIST,
			  "%s is there already, its public key is '%s': it stays. For another one, "
			  "move it away%s",
			  path, public_key,
			  is_own ? "; then every host needs the new --server-key" : "");
}

int kt_keys_command_new(const char *state_dir, const char *path, FILE *out, struct kt_err *err)
{
	KT_AUTO_FREE char *own = kt_trust_path(state_dir, KT_TRUST_KEY_NAME);
	const char *at = path ? path : own;
	KT_AUTO(kt_key_wipe) struct kt_key key = { .public_key = "" };
	KT_AUTO_FD int lock = -1;
	int status = path ? 0 : lock_folder(state_dir, &lock, err);

	if (status == 0)
		status = kt_key_make(&key, err);
	if (status == 0)
		status = kt_key_write(at, &key, err);
	if (status == -EEXIST)
		return say_exists(at, !path, err);
	if (status < 0)
		return status;
	fprintf(out, "%s was made\n", at);
	if (path)
		fprintf(out,
			"allow it:        ktcoord keys allow NAME '%s'\n"
			"on that host:    ktworker --key FILE ..., with this file, mode 0600\n",
			key.public_key);
	else
		fprintf(out,
			"on each host:    ktworker key\n"
			"here:            ktcoord keys allow NAME KEY, with what that printed\n"
			"on each host:    ktworker --connect tcp://THIS_MACHINE:PORT --server-key "
			"'%s'\n",
			key.public_key);
	return 0;
}

/* ---- allow, revoke ---- */

static int read_list(const char *state_dir, struct kt_allow **allow, struct kt_err *err)
{
	KT_AUTO_FREE char *path = kt_trust_path(state_dir, KT_TRUST_ALLOW_NAME);

	return kt_allow_read(path, allow, err);
}

static int write_list(const char *state_dir, const struct kt_allow *allow, struct kt_err *err)
{
	KT_AUTO_FREE char *path = kt_trust_path(state_dir, KT_TRUST_ALLOW_NAME);
	int status = kt_allow_write(path, allow, err);

	if (status == 0)
		tell_coordinator(state_dir);
	return status;
}

static int role_of(const char *name, enum kt_role *role, struct kt_err *err)
{
	KT_AUTO_BUF known = { 0 };

	*role = KT_ROLE_WORK;
	if (!name || kt_role_by_name(name, role))
		return 0;
	kt_suggest_print(name, kt_role_names, KT_ROLE_N, &known);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "no role '%.60s'; %s", name,
			  kt_buf_text(&known));
}

/* The coordinator's own key is no host's: whoever has it could pass for the coordinator. */
static int refuse_own(const char *state_dir, const char *public_key, struct kt_err *err)
{
	KT_AUTO_FREE char *path = kt_trust_path(state_dir, KT_TRUST_KEY_NAME);
	KT_AUTO(kt_key_wipe) struct kt_key own = { .public_key = "" };

	if (kt_key_read(path, &own, NULL) < 0 || strcmp(own.public_key, public_key) != 0)
		return 0;
	return kt_err_set(
		err, KT_FAULT_INPUT, EINVAL,
		"this is the coordinator's own key: a host needs one of its own (`ktworker "
		"key` there)");
}

int kt_keys_command_allow(const char *state_dir, const char *name, const char *key,
			  const char *role_name, FILE *out, struct kt_err *err)
{
	KT_AUTO(kt_allow_destroy) struct kt_allow *allow = NULL;
	KT_AUTO_FD int lock = -1;
	const struct kt_allowed *former;
	char public_key[KT_KEY_CHARS + 1];
	char comment[64];
	time_t now_s = (time_t)(kt_clock_wall_ns() / KT_NS_PER_S);
	enum kt_role role;
	struct tm tm;
	int status = role_of(role_name, &role, err);

	if (status == 0 && (status = kt_key_public(key, public_key, err)) < 0)
		kt_err_wrap(err, "the key of '%.100s'", name);
	if (status == 0)
		status = refuse_own(state_dir, public_key, err);
	if (status == 0)
		status = lock_folder(state_dir, &lock, err);
	if (status == 0)
		status = read_list(state_dir, &allow, err);
	if (status < 0)
		return status;
	former = kt_allow_find_name(allow, name);
	if (former && strcmp(former->key, public_key) == 0 && former->role == role) {
		fprintf(out, "%s is allowed already (%s)\n", name, kt_role_name(role));
		return 0;
	}
	gmtime_r(&now_s, &tm);
	strftime(comment, sizeof(comment), "since %Y-%m-%d", &tm);
	status = kt_allow_add(allow, public_key, role, name, comment, err);
	if (status == 0)
		status = write_list(state_dir, allow, err);
	if (status == 0)
		fprintf(out, "%s is allowed (%s)\n", name, kt_role_name(role));
	return status;
}

static int say_unknown(const struct kt_allow *allow, const char *word, struct kt_err *err)
{
	KT_AUTO_FREE const char **names = kt_must_calloc(allow->n + 1, sizeof(*names));
	const struct kt_allowed *allowed;
	const char *meant;
	size_t n = 0;

	DL_FOREACH (allow->list, allowed) {
		names[n++] = allowed->name;
	}
	meant = kt_suggest(word, names, n);
	return kt_err_set(
		err, KT_FAULT_INPUT, ENOENT,
		"no host and no key '%.100s' is in the allow-list%s%s%s; `ktcoord keys list` "
		"shows it",
		word, meant ? " (did you mean '" : "", meant ? meant : "", meant ? "'?)" : "");
}

int kt_keys_command_revoke(const char *state_dir, const char *name_or_key, FILE *out,
			   struct kt_err *err)
{
	KT_AUTO(kt_allow_destroy) struct kt_allow *allow = NULL;
	KT_AUTO_FD int lock = -1;
	const struct kt_allowed *allowed;
	KT_AUTO_FREE char *name = NULL;
	int status = lock_folder(state_dir, &lock, err);

	if (status == 0)
		status = read_list(state_dir, &allow, err);
	if (status < 0)
		return status;
	allowed = kt_allow_find_name(allow, name_or_key);
	if (!allowed)
		allowed = kt_allow_find(allow, name_or_key);
	if (!allowed)
		return say_unknown(allow, name_or_key, err);
	name = kt_must_strdup(allowed->name);
	kt_must(kt_allow_remove(allow, name));
	status = write_list(state_dir, allow, err);
	if (status == 0)
		fprintf(out, "%s is revoked: it is out, and cannot come back with that key\n",
			name);
	return status;
}

/* ---- list ---- */

struct listing {
	char *key_path;
	char *allow_path;
	struct kt_key own; /* only its public half */
	struct kt_err own_err; /* code 0: it is well */
	struct kt_allow *allow; /* NULL: it cannot be read */
	struct kt_err allow_err;
};

static void look(const char *state_dir, struct listing *listing)
{
	*listing = (struct listing){
		.key_path = kt_trust_path(state_dir, KT_TRUST_KEY_NAME),
		.allow_path = kt_trust_path(state_dir, KT_TRUST_ALLOW_NAME),
	};
	kt_key_read(listing->key_path, &listing->own, &listing->own_err);
	explicit_bzero(listing->own.secret_key, sizeof(listing->own.secret_key));
	if (listing->own_err.code == ENOENT)
		kt_err_set(&listing->own_err, KT_FAULT_INPUT, ENOENT,
			   "there is no coordinator's key yet: make it with `ktcoord keys new`");
	kt_allow_read(listing->allow_path, &listing->allow, &listing->allow_err);
}

/* Without the # in front. */
static const char *comment_of(const struct kt_allowed *allowed)
{
	return allowed->comment ? allowed->comment + strspn(allowed->comment, "# \t") : "";
}

static void print_text(const struct listing *listing, FILE *out)
{
	const struct kt_allowed *allowed;

	if (listing->own_err.code)
		fprintf(out, "coordinator  %s\n", listing->own_err.text);
	else
		fprintf(out, "coordinator  %s  in %s\n", listing->own.public_key,
			listing->key_path);
	if (!listing->allow) {
		fprintf(out, "allow-list   %s\n", listing->allow_err.text);
		return;
	}
	fprintf(out, "allow-list   %zu key%s in %s\n", listing->allow->n,
		listing->allow->n == 1 ? "" : "s", listing->allow_path);
	DL_FOREACH (listing->allow->list, allowed) {
		fprintf(out, "%-24s %-8s %s  %s\n", allowed->name, kt_role_name(allowed->role),
			allowed->key, comment_of(allowed));
	}
}

static struct json_object *text_json(const char *text)
{
	return kt_tojson_text(text, strlen(text));
}

static struct json_object *file_json(const char *path, const struct kt_err *err)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "file", text_json(path));
	json_object_object_add(json, "well", json_object_new_boolean(err->code == 0));
	if (err->code)
		json_object_object_add(json, "trouble", text_json(err->text));
	return json;
}

static void print_json(const struct listing *listing, FILE *out)
{
	struct json_object *json = json_object_new_object();
	struct json_object *own = file_json(listing->key_path, &listing->own_err);
	struct json_object *keys = json_object_new_array();
	const struct kt_allowed *allowed;

	json_object_object_add(own, "key", text_json(listing->own.public_key));
	json_object_object_add(json, "coordinator", own);
	json_object_object_add(json, "allow_list",
			       file_json(listing->allow_path, &listing->allow_err));
	if (listing->allow)
		DL_FOREACH (listing->allow->list, allowed) {
			struct json_object *key = json_object_new_object();

			json_object_object_add(key, "name", text_json(allowed->name));
			json_object_object_add(key, "role", text_json(kt_role_name(allowed->role)));
			json_object_object_add(key, "key", text_json(allowed->key));
			json_object_object_add(key, "comment", text_json(comment_of(allowed)));
			json_object_array_add(keys, key);
		}
	json_object_object_add(json, "keys", keys);
	fprintf(out, "%s\n",
		json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY |
							     JSON_C_TO_STRING_SPACED |
							     JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(json);
}

int kt_keys_command_list(const char *state_dir, bool json, FILE *out, struct kt_err *err)
{
	struct listing listing;
	int status = 0;

	look(state_dir, &listing);
	if (json)
		print_json(&listing, out);
	else
		print_text(&listing, out);
	if (listing.allow_err.code)
		status = kt_err_set(err, listing.allow_err.fault, listing.allow_err.code, "%s",
				    listing.allow_err.text);
	else if (listing.own_err.code && listing.own_err.code != ENOENT)
		status = kt_err_set(err, listing.own_err.fault, listing.own_err.code, "%s",
				    listing.own_err.text);
	kt_allow_destroy(&listing.allow);
	free(listing.key_path);
	free(listing.allow_path);
	return status;
}
