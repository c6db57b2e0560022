#include "coordinator/kernelstore.h"

#include "coordinator/aptparse.h"
#include "coordinator/kernels.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define LOCK_STEP_NS (100 * KT_NS_PER_MS)
#define LOCK_SAY_NS  (1500 * KT_NS_PER_MS)
#define FORMAT       1 /* of both kinds of file; another one is refused */

static void put_json(struct json_object **object_p)
{
	json_object_put(*object_p);
	*object_p = NULL;
}

#define AUTO_JSON KT_AUTO(put_json) struct json_object

/* ---- texts ---- */

int kt_kernelstore_check_name(const char *name, struct kt_err *err)
{
	char words[2 * KT_NAME_BYTES_MAX], *slash;

	if (strlen(name) < sizeof words) {
		snprintf(words, sizeof words, "%s", name);
		slash = strchr(words, '/');
		if (slash)
			*slash = 0;
		if (kt_aptparse_word(words) && (!slash || kt_aptparse_word(slash + 1)))
			return 0;
	}
	return kt_err_set(
		err, KT_FAULT_INPUT, EINVAL,
		"\"%.100s\" is no name for a kernel: lower-case letters, digits and . + - "
		"are allowed, with one / at most",
		name);
}

/* The fields of a record, one row each: the reader and the writer walk the same table. */
enum field_type { TEXT, NUMBER, DIGEST };

struct field {
	const char *key;
	enum field_type type;
	size_t offset, bytes;
};

#define FIELD(struct_, member_, type_)                              \
	{                                                           \
#member_, type_, offsetof(struct struct_, member_), \
			sizeof(((struct struct_ *)0)->member_)      \
	}

static const struct field record_fields[] = {
	FIELD(kt_kernelstore_record, digest, DIGEST),
	FIELD(kt_kernelstore_record, bytes, NUMBER),
	FIELD(kt_kernelstore_record, release, TEXT),
	FIELD(kt_kernelstore_record, suite, TEXT),
	FIELD(kt_kernelstore_record, package, TEXT),
	FIELD(kt_kernelstore_record, package_version, TEXT),
	FIELD(kt_kernelstore_record, deb_sha256, TEXT),
	FIELD(kt_kernelstore_record, fetched_at_ns, NUMBER),
};

static const struct field name_fields[] = {
	FIELD(kt_kernelstore_name, name, TEXT),
	FIELD(kt_kernelstore_name, digest, DIGEST),
	FIELD(kt_kernelstore_name, resolved_at_ns, NUMBER),
};

#define N(array_) (sizeof(array_) / sizeof((array_)[0]))

static struct json_object *write_fields(const void *from, const struct field *fields, size_t n)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "format", json_object_new_int(FORMAT));
	for (size_t i = 0; i < n; i++) {
		const char *at = (const char *)from + fields[i].offset;
		char hex[KT_DIGEST_HEX_BYTES];
		struct kt_digest digest;
		int64_t number;

		switch (fields[i].type) {
		case TEXT:
			json_object_object_add(object, fields[i].key, json_object_new_string(at));
			break;
		case NUMBER:
			memcpy(&number, at, sizeof number);
			json_object_object_add(object, fields[i].key,
					       json_object_new_int64(number));
			break;
		case DIGEST:
			memcpy(&digest, at, sizeof digest);
			kt_digest_hex(&digest, hex);
			json_object_object_add(object, fields[i].key, json_object_new_string(hex));
			break;
		}
	}
	return object;
}

/* Only what can be shown to a person without harm. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool read_field(struct json_object *value, const struct field *field, char *at)
{
	struct kt_digest digest;
	int64_t number;

	switch (field->type) {
	case TEXT:
		if (!json_object_is_type(value, json_type_string) ||
		    (size_t)json_object_get_string_len(value) >= field->bytes ||
		    strlen(json_object_get_string(value)) !=
			    (size_t)json_object_get_string_len(value) ||
		    !is_plain(json_object_get_string(value)))
			return false;
		strcpy(at, json_object_get_string(value));
		return true;
	case NUMBER:
		if (!json_object_is_type(value, json_type_int))
			return false;
		number = json_object_get_int64(value);
		if (number < 0)
			return false;
		memcpy(at, &number, sizeof number);
		return true;
	case DIGEST:
		if (!json_object_is_type(value, json_type_string) ||
		    !kt_digest_from_hex(json_object_get_string(value), &digest))
			return false;
		memcpy(at, &digest, sizeof digest);
		return true;
	}
	return false;
}

static int read_fields(const char *text, void *to, const struct field *fields, size_t n,
		       struct json_object **object_p, struct kt_err *err)
{
	AUTO_JSON *object =
		strlen(text) <= KT_KERNELSTORE_RECORD_BYTES_MAX ? json_tokener_parse(text) : NULL;
	struct json_object *value;

	if (!json_object_is_type(object, json_type_object))
		return kt_err_set(err, KT_FAULT_HOST, EBADMSG, "it is not a JSON object");
	if (!json_object_object_get_ex(object, "format", &value) ||
	    json_object_get_int(value) != FORMAT)
		return kt_err_set(err, KT_FAULT_HOST, EBADMSG, "its format is not %d", FORMAT);
	for (size_t i = 0; i < n; i++)
		if (!json_object_object_get_ex(object, fields[i].key, &value) ||
		    !read_field(value, &fields[i], (char *)to + fields[i].offset))
			return kt_err_set(err, KT_FAULT_HOST, EBADMSG,
					  "its \"%s\" is missing or wrong", fields[i].key);
	if (object_p)
		*object_p = kt_take(&object);
	return 0;
}

static char *text_of(struct json_object *object)
{
	return kt_must_asprintf("%s\n",
				json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY));
}

char *kt_kernelstore_record_text(const struct kt_kernelstore_record *record)
{
	AUTO_JSON *object = write_fields(record, record_fields, N(record_fields));

	json_object_object_add(object, "sched_ext",
			       json_object_new_string(kt_kernels_ext_name(record->sched_ext)));
	return text_of(object);
}

int kt_kernelstore_record_parse(const char *text, struct kt_kernelstore_record *record,
				struct kt_err *err)
{
	AUTO_JSON *object = NULL;
	struct json_object *value;
	int r;

	*record = (struct kt_kernelstore_record){ 0 };
	r = read_fields(text, record, record_fields, N(record_fields), &object, err);
	if (r)
		return r;
	if (!json_object_object_get_ex(object, "sched_ext", &value) ||
	    !json_object_is_type(value, json_type_string))
		return kt_err_set(err, KT_FAULT_HOST, EBADMSG,
				  "its \"sched_ext\" is missing or wrong");
	for (int ext = KT_KERNELS_EXT_UNKNOWN; ext <= KT_KERNELS_EXT_YES; ext++)
		if (strcmp(json_object_get_string(value), kt_kernels_ext_name(ext)) == 0)
			record->sched_ext = ext;
	return 0;
}

char *kt_kernelstore_name_text(const struct kt_kernelstore_name *name)
{
	AUTO_JSON *object = write_fields(name, name_fields, N(name_fields));

	return text_of(object);
}

int kt_kernelstore_name_parse(const char *text, struct kt_kernelstore_name *name,
			      struct kt_err *err)
{
	*name = (struct kt_kernelstore_name){ 0 };
	return read_fields(text, name, name_fields, N(name_fields), NULL, err);
}

/* ---- files ---- */

static int read_text(const char *path, char **text, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	KT_AUTO_FREE char *bytes = kt_must_calloc(1, KT_KERNELSTORE_RECORD_BYTES_MAX + 1);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", path);
	while ((n = read(fd, bytes + len, KT_KERNELSTORE_RECORD_BYTES_MAX - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "reading %s", path);
	if (strlen(bytes) != len || len == KT_KERNELSTORE_RECORD_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_HOST, EBADMSG, "%s is damaged", path);
	*text = kt_take(&bytes);
	return 0;
}

static int sync_folder_of(const char *path, struct kt_err *err)
{
	char folder[PATH_MAX];
	KT_AUTO_FD int fd = -1;

	snprintf(folder, sizeof folder, "%s", path);
	*strrchr(folder, '/') = 0;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "syncing %s", folder);
	return 0;
}

static int rename_synced(const char *from, const char *to, struct kt_err *err)
{
	if (rename(from, to) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "renaming %s to %s", from, to);
	return sync_folder_of(to, err);
}

static int write_text(const char *path, const char *text, struct kt_err *err)
{
	char draft[PATH_MAX];
	KT_AUTO_FD int fd = -1;
	size_t len = strlen(text);

	if (snprintf(draft, sizeof draft, "%s.new", path) >= (int)sizeof draft)
		return kt_err_set(err, KT_FAULT_HOST, ENAMETOOLONG, "%s is too long", path);
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "writing %s", draft);
	return rename_synced(draft, path, err);
}

static void image_folder(const struct kt_kernelstore *store, const struct kt_digest *digest,
			 char folder[PATH_MAX])
{
	char hex[KT_DIGEST_HEX_BYTES];

	kt_digest_hex(digest, hex);
	snprintf(folder, PATH_MAX, "%s/%s", store->folder, hex);
}

static void name_path(const struct kt_kernelstore *store, const char *name, char path[PATH_MAX])
{
	kt_must(kt_kernelstore_check_name(name, NULL) == 0);
	snprintf(path, PATH_MAX, "%s/names/%s.json", store->folder, name);
	for (char *c = path + strlen(store->folder) + strlen("/names/"); *c; c++)
		if (*c == '/')
			*c = '_';
}

/* mkdir -p; what is there already is fine */
static int make_folder(const char *folder, struct kt_err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s", folder);
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "making the folder %s", path);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

int kt_kernelstore_open(const char *state_dir, struct kt_kernelstore *store, struct kt_err *err)
{
	char path[PATH_MAX], real[PATH_MAX];
	int r;

	store->folder[0] = 0;
	store->lock_fd = -1;
	if (snprintf(path, sizeof path, "%s/kernels/names", state_dir) >= (int)sizeof path)
		return kt_err_set(err, KT_FAULT_HOST, ENAMETOOLONG, "%s is too long", state_dir);
	r = make_folder(path, err);
	if (r)
		return r;
	*strrchr(path, '/') = 0;
	if (!realpath(path, real))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "finding %s", path);
	if (snprintf(store->folder, sizeof store->folder, "%s", real) >= (int)sizeof store->folder)
		return kt_err_set(err, KT_FAULT_HOST, ENAMETOOLONG, "%s is too long", real);
	return 0;
}

int kt_kernelstore_lock(struct kt_kernelstore *store, void (*waiting)(void *arg), void *arg,
			struct kt_err *err)
{
	int64_t began_ns = kt_clock_now_ns(), said_ns = began_ns;
	const struct timespec step = { .tv_nsec = LOCK_STEP_NS };
	char path[PATH_MAX];

	kt_must(store->lock_fd < 0);
	snprintf(path, sizeof path, "%s/lock", store->folder);
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (store->lock_fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", path);
	while (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		int64_t now_ns = kt_clock_now_ns();

		if (errno != EWOULDBLOCK && errno != EINTR)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "locking %s", path);
		if (now_ns - began_ns > KT_KERNELSTORE_LOCK_NS)
			return kt_err_set(err, KT_FAULT_HOST, ETIMEDOUT,
					  "another process has held %s for %lld s", path,
					  KT_KERNELSTORE_LOCK_NS / KT_NS_PER_S);
		if (waiting && now_ns - said_ns > LOCK_SAY_NS) {
			said_ns = now_ns;
			waiting(arg);
		}
		nanosleep(&step, NULL);
	}
	return 0;
}

void kt_kernelstore_close(struct kt_kernelstore *store)
{
	kt_own_close(&store->lock_fd);
}

int kt_kernelstore_find_name(const struct kt_kernelstore *store, const char *name,
			     struct kt_kernelstore_name *found, struct kt_err *err)
{
	KT_AUTO_FREE char *text = NULL;
	char path[PATH_MAX];
	int r;

	name_path(store, name, path);
	r = read_text(path, &text, err);
	if (r)
		return r;
	r = kt_kernelstore_name_parse(text, found, err);
	return r ? kt_err_wrap(err, "reading %s", path) : 0;
}

static int read_record(const struct kt_kernelstore *store, const struct kt_digest *digest,
		       struct kt_kernelstore_record *record, struct kt_err *err)
{
	KT_AUTO_FREE char *text = NULL;
	char folder[PATH_MAX], path[PATH_MAX];
	int r;

	image_folder(store, digest, folder);
	if (snprintf(path, sizeof path, "%s/record.json", folder) >= (int)sizeof path)
		return kt_err_set(err, KT_FAULT_HOST, ENAMETOOLONG, "%s is too long", folder);
	r = read_text(path, &text, err);
	if (r)
		return r;
	r = kt_kernelstore_record_parse(text, record, err);
	if (r)
		return kt_err_wrap(err, "reading %s", path);
	return kt_digest_equal(&record->digest, digest)
		       ? 0
		       : kt_err_set(err, KT_FAULT_HOST, EBADMSG, "%s is of another image", path);
}

int kt_kernelstore_find_image(const struct kt_kernelstore *store, const struct kt_digest *digest,
			      struct kt_kernelstore_record *record, char path[PATH_MAX],
			      struct kt_err *err)
{
	struct kt_digest is;
	char folder[PATH_MAX];
	int r = read_record(store, digest, record, err);

	if (r)
		return r;
	image_folder(store, digest, folder);
	if (snprintf(path, PATH_MAX, "%s/vmlinuz", folder) >= PATH_MAX)
		return kt_err_set(err, KT_FAULT_HOST, ENAMETOOLONG, "%s is too long", folder);
	r = kt_digest_of_file(path, &is, NULL, err);
	if (r)
		return r;
	return kt_digest_equal(&is, digest) ? 0
					    : kt_err_set(err, KT_FAULT_HOST, EBADMSG,
							 "%s was damaged since it was kept", path);
}

/* Calls each() with every image's record, until it says true. Records that cannot be read are not
 * there: what they describe is fetched again.
 */
static bool each_image(const struct kt_kernelstore *store,
		       bool (*each)(void *arg, const struct kt_kernelstore_record *record),
		       void *arg)
{
	DIR *dir = opendir(store->folder);
	struct kt_kernelstore_record record;
	struct kt_digest digest;
	struct dirent *entry;
	bool done = false;

	while (dir && !done && (entry = readdir(dir)))
		if (kt_digest_from_hex(entry->d_name, &digest) &&
		    read_record(store, &digest, &record, NULL) == 0)
			done = each(arg, &record);
	if (dir)
		closedir(dir);
	return done;
}

struct deb_search {
	const char *sha256;
	struct kt_kernelstore_record *record;
};

static bool is_deb(void *arg, const struct kt_kernelstore_record *record)
{
	struct deb_search *search = arg;

	if (strcmp(record->deb_sha256, search->sha256) != 0)
		return false;
	*search->record = *record;
	return true;
}

int kt_kernelstore_find_deb(const struct kt_kernelstore *store, const char *deb_sha256,
			    struct kt_kernelstore_record *record, struct kt_err *err)
{
	struct deb_search search = { deb_sha256, record };

	if (deb_sha256[0] && each_image(store, is_deb, &search))
		return 0;
	return kt_err_set(err, KT_FAULT_HOST, ENOENT, "no image of the package %s", deb_sha256);
}

int kt_kernelstore_draft(const struct kt_kernelstore *store, int *fd, char path[PATH_MAX],
			 struct kt_err *err)
{
	kt_must(store->lock_fd >= 0);
	snprintf(path, PATH_MAX, "%s/draft", store->folder); /* the lock makes one name enough */
	*fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (*fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", path);
	return 0;
}

int kt_kernelstore_keep(const struct kt_kernelstore *store, const char *draft_path, int fd,
			const struct kt_kernelstore_record *record, struct kt_err *err)
{
	KT_AUTO_FREE char *text = kt_kernelstore_record_text(record);
	char folder[PATH_MAX], path[PATH_MAX];
	int r;

	kt_must(store->lock_fd >= 0);
	image_folder(store, &record->digest, folder);
	if (snprintf(path, sizeof path, "%s/record.json", folder) >= (int)sizeof path)
		return kt_err_set(err, KT_FAULT_HOST, ENAMETOOLONG, "%s is too long", folder);
	if (fchmod(fd, 0444) < 0 || fsync(fd) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "keeping %s", draft_path);
	r = make_folder(folder, err);
	if (!r)
		r = sync_folder_of(folder, err);
	/* the image last: a record without one is not taken for a kernel */
	if (!r)
		r = write_text(path, text, err);
	snprintf(strrchr(path, '/'), strlen("/record.json"), "/vmlinuz");
	if (!r)
		r = rename_synced(draft_path, path, err);
	return r;
}

int kt_kernelstore_set_name(const struct kt_kernelstore *store,
			    const struct kt_kernelstore_name *name, struct kt_err *err)
{
	KT_AUTO_FREE char *text = kt_kernelstore_name_text(name);
	char path[PATH_MAX];

	kt_must(store->lock_fd >= 0);
	name_path(store, name->name, path);
	return write_text(path, text, err);
}

static int unlink_there(const char *path, struct kt_err *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "removing %s", path);
	return 0;
}

int kt_kernelstore_remove_image(const struct kt_kernelstore *store, const struct kt_digest *digest,
				struct kt_err *err)
{
	static const char *const files[] = { "vmlinuz", "record.json", "record.json.new" };
	KT_AUTO_FREE struct kt_kernelstore_name *names = NULL;
	char folder[PATH_MAX], path[PATH_MAX];
	size_t n = 0;
	int r;

	kt_must(store->lock_fd >= 0);
	r = kt_kernelstore_list(store, &names, &n, err);
	for (size_t i = 0; i < n && !r; i++) {
		if (!names[i].name[0] || !kt_digest_equal(&names[i].digest, digest))
			continue;
		name_path(store, names[i].name, path);
		r = unlink_there(path, err);
	}
	image_folder(store, digest, folder);
	for (size_t i = 0; i < N(files) && !r; i++)
		if (snprintf(path, sizeof path, "%s/%s", folder, files[i]) < (int)sizeof path)
			r = unlink_there(path, err);
	if (!r && rmdir(folder) < 0 && errno != ENOENT)
		r = kt_err_sys(err, KT_FAULT_HOST, errno, "removing %s", folder);
	return r;
}

int kt_kernelstore_remove_name(const struct kt_kernelstore *store, const char *name,
			       struct kt_err *err)
{
	KT_AUTO_FREE struct kt_kernelstore_name *names = NULL;
	struct kt_kernelstore_name gone;
	size_t n = 0, others = 0;
	char path[PATH_MAX];
	int r;

	kt_must(store->lock_fd >= 0);
	r = kt_kernelstore_find_name(store, name, &gone, err);
	if (!r)
		r = kt_kernelstore_list(store, &names, &n, err);
	if (r)
		return r;
	for (size_t i = 0; i < n; i++)
		if (names[i].name[0] && strcmp(names[i].name, name) != 0 &&
		    kt_digest_equal(&names[i].digest, &gone.digest))
			others++;
	if (others == 0)
		return kt_kernelstore_remove_image(store, &gone.digest, err);
	name_path(store, name, path);
	return unlink_there(path, err);
}

struct listing {
	struct kt_kernelstore_name *names;
	size_t n;
};

static void add(struct listing *list, const struct kt_kernelstore_name *name)
{
	if (list->n == KT_KERNELSTORE_NAMES_MAX)
		return;
	list->names = kt_must_realloc(list->names, list->n + 1, sizeof *list->names);
	list->names[list->n++] = *name;
}

static bool add_nameless(void *arg, const struct kt_kernelstore_record *record)
{
	struct kt_kernelstore_name name = { .digest = record->digest };
	struct listing *list = arg;

	for (size_t i = 0; i < list->n; i++)
		if (kt_digest_equal(&list->names[i].digest, &record->digest))
			return false;
	name.resolved_at_ns = record->fetched_at_ns;
	add(list, &name);
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct kt_kernelstore_name *)a)->name,
		      ((const struct kt_kernelstore_name *)b)->name);
}

int kt_kernelstore_list(const struct kt_kernelstore *store, struct kt_kernelstore_name **names,
			size_t *n, struct kt_err *err)
{
	struct listing list = { 0 };
	struct kt_kernelstore_name name;
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof path, "%s/names", store->folder);
	dir = opendir(path);
	if (!dir)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "reading %s", path);
	while ((entry = readdir(dir))) {
		KT_AUTO_FREE char *text = NULL;
		size_t len = strlen(entry->d_name);

		if (len <= 5 || strcmp(entry->d_name + len - 5, ".json") != 0)
			continue;
		if (snprintf(path, sizeof path, "%s/names/%s", store->folder, entry->d_name) <
			    (int)sizeof path &&
		    read_text(path, &text, NULL) == 0 &&
		    kt_kernelstore_name_parse(text, &name, NULL) == 0 &&
		    kt_kernelstore_check_name(name.name, NULL) == 0)
			add(&list, &name);
	}
	closedir(dir);
	each_image(store, add_nameless, &list);
	if (list.n)
		qsort(list.names, list.n, sizeof *list.names, by_name);
	*names = list.names;
	*n = list.n;
	return 0;
}
