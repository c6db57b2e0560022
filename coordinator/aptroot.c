#include "coordinator/aptroot.h"

#include "coordinator/subprocess.h"
#include "proto/base/buf.h"
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/must.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SOURCE_BYTES_MAX (256u << 10) /* of one of the machine's source files */
#define SAY_EVERY_NS     (1500 * KT_NS_PER_MS)
#define ARGV_MAX         16

struct kt_aptroot {
	char folder[PATH_MAX - 256]; /* absolute */
	char suite[KT_NAME_BYTES_MAX];
	kt_aptroot_progress *progress;
	void *arg;
	/* what is under way, for the progress lines */
	char what[256];
	int64_t began_ns, said_ns;
	unsigned int percent;
};

/* Our apt.conf, read after the machine's. #clear takes its hooks away. */
static const char conf_format[] = "#clear APT::Update::Pre-Invoke;\n"
				  "#clear APT::Update::Post-Invoke;\n"
				  "#clear APT::Update::Post-Invoke-Success;\n"
				  "#clear Acquire::Languages;\n"
				  "Acquire::Languages { \"none\"; };\n"
				  "Acquire::Retries \"2\";\n"
				  "Acquire::http::Timeout \"20\";\n"
				  "Acquire::https::Timeout \"20\";\n"
				  "APT::Update::Error-Mode \"any\";\n"
				  "APT::Get::AllowUnauthenticated \"false\";\n"
				  "Acquire::AllowInsecureRepositories \"false\";\n"
				  "Acquire::AllowWeakRepositories \"false\";\n"
				  "Dir::State \"%1$s/state/\";\n"
				  "Dir::State::lists \"%1$s/lists/\";\n"
				  "Dir::State::status \"%1$s/status\";\n"
				  "Dir::Cache \"%1$s/cache/\";\n"
				  "Dir::Cache::archives \"%1$s/cache/archives/\";\n";

/* Only for our own suite: while the mirror is looked up the machine's sources count. */
static const char sources_conf_format[] = "Dir::Etc::sourcelist \"%1$s/ktcoord.sources\";\n"
					  "Dir::Etc::sourceparts \"/dev/null\";\n"
					  "Dir::Etc::preferences \"/dev/null\";\n"
					  "Dir::Etc::preferencesparts \"/dev/null\";\n";

static void say(struct kt_aptroot *root)
{
	int64_t now_ns = kt_clock_now_ns();
	char line[320];

	if (!root->progress || now_ns - root->said_ns < SAY_EVERY_NS)
		return;
	root->said_ns = now_ns;
	if (root->percent > 0)
		snprintf(line, sizeof line, "%s: %u %% (%lld s)", root->what, root->percent,
			 (long long)((now_ns - root->began_ns) / KT_NS_PER_S));
	else
		snprintf(line, sizeof line, "%s (%lld s)", root->what,
			 (long long)((now_ns - root->began_ns) / KT_NS_PER_S));
	root->progress(root->arg, line);
}

static void tick(void *arg, const char *status_line)
{
	struct kt_aptroot *root = arg;
	unsigned int percent;

	if (status_line && kt_aptparse_status(status_line, &percent))
		root->percent = percent;
	say(root);
}

__attribute__((format(printf, 2, 3))) static void begin(struct kt_aptroot *root, const char *format,
							...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(root->what, sizeof root->what, format, args);
	va_end(args);
	root->began_ns = kt_clock_now_ns();
	root->percent = 0;
	if (root->progress)
		root->progress(root->arg, root->what);
	root->said_ns = root->began_ns;
}

/* Runs argv[0] -c <conf> argv[1..] in the root's download folder. */
static int apt(struct kt_aptroot *root, int64_t deadline_ns, const char *const *args,
	       struct kt_subprocess_result *result, struct kt_err *err)
{
	char conf[PATH_MAX], cwd[PATH_MAX];
	const char *argv[ARGV_MAX] = { args[0], "-c", conf };
	size_t n = 3;
	struct kt_subprocess_spec spec = {
		.argv = argv, .cwd = cwd, .deadline_ns = deadline_ns, .tick = tick, .arg = root
	};

	snprintf(conf, sizeof conf, "%s/apt.conf", root->folder);
	snprintf(cwd, sizeof cwd, "%s/download", root->folder);
	for (args++; *args; args++) {
		kt_must(n + 1 < ARGV_MAX);
		argv[n++] = *args;
	}
	return kt_subprocess_run(&spec, result, err);
}

static int write_file(struct kt_aptroot *root, const char *name, const void *bytes, size_t len,
		      struct kt_err *err)
{
	char path[PATH_MAX];
	KT_AUTO_FD int fd = -1;

	snprintf(path, sizeof path, "%s/%s", root->folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "writing %s", path);
	return 0;
}

static int write_conf(struct kt_aptroot *root, bool ours, struct kt_err *err)
{
	KT_AUTO_BUF text = KT_BUF_MAX(64u << 10);

	kt_buf_printf(&text, conf_format, root->folder);
	if (ours)
		kt_buf_printf(&text, sources_conf_format, root->folder);
	return write_file(root, "apt.conf", text.data, text.len, err);
}

static void remove_tree(const char *folder)
{
	char *roots[] = { (char *)(uintptr_t)folder, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *entry;

	while (walk && (entry = fts_read(walk)))
		if (entry->fts_info != FTS_D)
			remove(entry->fts_accpath);
	if (walk)
		fts_close(walk);
}

/* Can another user pass through every folder above path? */
static bool reachable(const char *path)
{
	char above[PATH_MAX];
	struct stat st;

	snprintf(above, sizeof above, "%s", path);
	for (char *slash = strrchr(above, '/'); slash; slash = strrchr(above, '/')) {
		*slash = 0;
		if (stat(above[0] ? above : "/", &st) < 0 || !(st.st_mode & S_IXOTH))
			return false;
	}
	return true;
}

/* apt's sandbox user; false when it has none or we are not root (then apt downloads as us). */
static bool sandbox_user(uid_t *uid)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam("_apt") : NULL;

	if (user)
		*uid = user->pw_uid;
	return user != NULL;
}

static int make_folders(struct kt_aptroot *root, const char *wanted, struct kt_err *err)
{
	static const char *const folders[] = { "",
					       "/state",
					       "/lists",
					       "/lists/partial",
					       "/cache",
					       "/cache/archives",
					       "/cache/archives/partial",
					       "/download" };
	char path[PATH_MAX];
	struct stat st;
	uid_t apt_uid = 0;
	bool sandboxed = sandbox_user(&apt_uid);
	mode_t mask;
	int r = 0;

	if (strlen(wanted) >= sizeof root->folder)
		return kt_err_set(err, KT_FAULT_HOST, ENAMETOOLONG, "the path %s is too long",
				  wanted);
	snprintf(root->folder, sizeof root->folder, "%s", wanted);
	if (sandboxed && !reachable(wanted)) {
		char hex[KT_DIGEST_HEX_BYTES];
		struct kt_digest digest;

		/* a name that the next run finds again, whatever killed this one */
		kt_digest_of(wanted, strlen(wanted), &digest);
		kt_digest_hex(&digest, hex);
		snprintf(root->folder, sizeof root->folder, "/var/tmp/ktcoord-apt-%.16s", hex);
	}
	if (lstat(root->folder, &st) == 0) {
		if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
			r = kt_err_set(err, KT_FAULT_HOST, EEXIST,
				       "%s is in the way: not a folder of ours", root->folder);
			root->folder[0] = 0;
			return r;
		}
		remove_tree(root->folder);
	}
	mask = umask(022);
	for (size_t i = 0; i < sizeof folders / sizeof folders[0] && !r; i++) {
		snprintf(path, sizeof path, "%s%s", root->folder, folders[i]);
		if (mkdir(path, 0755) < 0)
			r = kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", path);
		/* where apt downloads to belongs to the user it downloads as */
		else if (sandboxed &&
			 (strstr(folders[i], "partial") || strstr(folders[i], "download")) &&
			 chown(path, apt_uid, (gid_t)-1) < 0)
			r = kt_err_sys(err, KT_FAULT_HOST, errno, "giving %s to _apt", path);
	}
	if (!r)
		r = write_file(root, "status", "", 0, err);
	umask(mask);
	return r;
}

static int read_source(const char *path, struct kt_buf *text, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char block[4096];
	ssize_t n;

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", path);
	while ((n = read(fd, block, sizeof block)) > 0)
		kt_buf_append(text, block, (size_t)n);
	if (n < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "reading %s", path);
	return text->full ? kt_err_set(err, KT_FAULT_HOST, EFBIG, "%s is too large", path) : 0;
}

/* Where does this machine get Debian from? Lists that were never fetched (or were cleaned away, as
 * in container images) say nothing: then they are fetched here, beside the system's.
 */
static int find_mirror(struct kt_aptroot *root, struct kt_aptparse_target *target,
		       struct kt_err *err)
{
	static const char *const indextargets[] = { "apt-get", "indextargets", "--format",
						    KT_APTPARSE_TARGET_FORMAT, NULL };
	const struct kt_subprocess_spec spec = {
		.argv = indextargets, .deadline_ns = KT_APTROOT_ASK_NS, .tick = tick, .arg = root
	};
	KT_AUTO_SUBPROCESS asked = { 0 };
	KT_AUTO_SUBPROCESS updated = { 0 };
	KT_AUTO_SUBPROCESS again = { 0 };
	char reason[KT_ERR_TEXT_MAX];
	int r;

	begin(root, "asking this machine's apt where Debian's archive is");
	r = kt_subprocess_run(&spec, &asked, err);

	if (r)
		return err && err->code == ENOENT ? kt_err_set(err, KT_FAULT_HOST, ENOENT,
							       "apt-get is not installed: kernels "
							       "can come from a path only")
						  : r;
	if (asked.exit_status == 0 && kt_aptparse_target(kt_buf_text(&asked.out), target))
		return 0;
	begin(root, "fetching the indexes of this machine's apt sources: it has none yet");
	r = write_conf(root, false, err);
	if (!r)
		r = apt(root, KT_APTROOT_UPDATE_NS,
			(const char *const[]){ "apt-get", "-q", "-o", "APT::Status-Fd=3", "update",
					       NULL },
			&updated, err);
	if (!r)
		r = apt(root, KT_APTROOT_ASK_NS, indextargets, &again, err);
	if (r)
		return r;
	if (again.exit_status == 0 && kt_aptparse_target(kt_buf_text(&again.out), target))
		return 0;
	if (updated.exit_status == 0)
		return kt_err_set(err, KT_FAULT_HOST, ENOENT,
				  "no source of this machine's apt is Debian's main archive");
	kt_subprocess_reason(&updated, reason, sizeof reason);
	return kt_err_set(err, KT_FAULT_HOST, ENETUNREACH, "apt-get update: %s", reason);
}

static int write_sources(struct kt_aptroot *root, const struct kt_aptparse_target *target,
			 struct kt_err *err)
{
	KT_AUTO_BUF entry_text = KT_BUF_MAX(SOURCE_BYTES_MAX);
	KT_AUTO_BUF text = KT_BUF_MAX(SOURCE_BYTES_MAX);
	KT_AUTO_FREE char *signers = kt_must_calloc(1, KT_APTPARSE_SIGNERS_BYTES);
	size_t len = strlen(target->entry_file);
	bool deb822 = len > 8 && strcmp(target->entry_file + len - 8, ".sources") == 0;
	int r = read_source(target->entry_file, &entry_text, err);

	if (r)
		return r;
	if (!kt_aptparse_signers(kt_buf_text(&entry_text), deb822, target->entry, signers))
		return kt_err_set(err, KT_FAULT_HOST, EINVAL, "%s has no entry %u",
				  target->entry_file, target->entry);
	kt_buf_printf(&text, "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n", target->uri,
		      root->suite);
	if (signers[0])
		kt_buf_printf(&text, "Signed-By: %s\n", signers);
	return write_file(root, "ktcoord.sources", text.data, text.len, err);
}

static int update(struct kt_aptroot *root, struct kt_err *err)
{
	KT_AUTO_SUBPROCESS result = { 0 };
	char reason[512];
	int r;

	begin(root, "fetching Debian's index of %s", root->suite);
	r = apt(root, KT_APTROOT_UPDATE_NS,
		(const char *const[]){ "apt-get", "-q", "-o", "APT::Status-Fd=3", "update", NULL },
		&result, err);
	if (r || result.exit_status == 0)
		return r;
	if (strstr(kt_buf_text(&result.err), "does not have a Release file"))
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
				  "this machine's Debian archive has no suite \"%s\"", root->suite);
	/* the warning that comes before the error says which key is missing */
	if (strstr(kt_buf_text(&result.err), "is not signed") ||
	    strstr(kt_buf_text(&result.err), "NO_PUBKEY"))
		return kt_err_set(
			err, KT_FAULT_HOST, EKEYREJECTED,
			"the signature of Debian's %s does not verify with this machine's "
			"keys (a newer debian-archive-keyring may help)",
			root->suite);
	kt_subprocess_reason(&result, reason, sizeof reason);
	return kt_err_set(err, KT_FAULT_HOST, ENETUNREACH, "apt-get update for %s: %s", root->suite,
			  reason);
}

int kt_aptroot_open(const char *folder, const char *suite, kt_aptroot_progress *progress, void *arg,
		    struct kt_aptroot **root_p, struct kt_err *err)
{
	KT_AUTO_APTROOT *root = kt_must_calloc(1, sizeof *root);
	struct kt_aptparse_target target = { 0 };
	int r;

	kt_must(folder[0] == '/');
	kt_must(kt_aptparse_word(suite));
	root->progress = progress;
	root->arg = arg;
	snprintf(root->suite, sizeof root->suite, "%s", suite);
	r = make_folders(root, folder, err);
	if (!r)
		r = find_mirror(root, &target, err);
	if (!r)
		r = write_sources(root, &target, err);
	if (!r)
		r = write_conf(root, true, err);
	if (!r)
		r = update(root, err);
	if (r)
		return r;
	*root_p = kt_take(&root);
	return 0;
}

/* 0 and package->name "" when the suite has none of that name. */
static int show(struct kt_aptroot *root, const char *name, struct kt_aptparse_package *package,
		struct kt_err *err)
{
	KT_AUTO_SUBPROCESS result = { 0 };
	int r = apt(root, KT_APTROOT_ASK_NS,
		    (const char *const[]){ "apt-cache", "show", "--no-all-versions", name, NULL },
		    &result, err);

	*package = (struct kt_aptparse_package){ 0 };
	if (r || result.exit_status || !kt_buf_text(&result.out)[0])
		return r;
	if (kt_aptparse_package(kt_buf_text(&result.out), package))
		return 0;
	return kt_err_set(err, KT_FAULT_HOST, EPROTO, "apt-cache show %s said nothing of use",
			  name);
}

int kt_aptroot_resolve(struct kt_aptroot *root, const char *name, struct kt_aptparse_package *image,
		       struct kt_aptparse_package *base, struct kt_err *err)
{
	char next[KT_NAME_BYTES_MAX], unsigned_name[KT_NAME_BYTES_MAX];
	struct kt_err unheard;
	int r;

	begin(root, "resolving %s in %s", name, root->suite);
	kt_must(kt_aptparse_word(name));
	snprintf(next, sizeof next, "%s", name);
	for (int hop = 0; hop < KT_APTROOT_HOPS_MAX; hop++) {
		r = show(root, next, image, err);
		if (r)
			return r;
		/* in backports the signed package can be late: its unsigned twin is the same image */
		if (!image->name[0] && hop > 0 && strncmp(next, "linux-binary-", 13) == 0 &&
		    snprintf(unsigned_name, sizeof unsigned_name, "linux-binary-unsigned-%s",
			     next + 13) < (int)sizeof unsigned_name) {
			r = show(root, unsigned_name, image, err);
			if (r)
				return r;
		}
		if (!image->name[0])
			return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
					  hop ? "%s leads to %s, which is not in Debian's %s"
					      : "there is no package %s%s in Debian's %s",
					  name, hop ? next : "", root->suite);
		if (!image->image[0])
			break;
		snprintf(next, sizeof next, "%s", image->image);
	}
	if (image->image[0])
		return kt_err_set(err, KT_FAULT_INPUT, ELOOP,
				  "%s in %s leads to no kernel image within %d packages", name,
				  root->suite, KT_APTROOT_HOPS_MAX);
	*base = (struct kt_aptparse_package){ 0 };
	/* without its config the kernel works all the same */
	if (image->base[0])
		(void)show(root, image->base, base, &unheard);
	return 0;
}

/* The one .deb in the download folder: apt chooses its name. */
static int find_deb(struct kt_aptroot *root, char path[PATH_MAX], struct kt_err *err)
{
	char folder[PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int r = -ENOENT;

	snprintf(folder, sizeof folder, "%s/download", root->folder);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len > 4 && strcmp(entry->d_name + len - 4, ".deb") == 0 &&
		    snprintf(path, PATH_MAX, "%s/%s", folder, entry->d_name) < PATH_MAX)
			r = 0;
	}
	if (dir)
		closedir(dir);
	return r ? kt_err_set(err, KT_FAULT_HOST, ENOENT, "apt-get download left no .deb in %s",
			      folder)
		 : 0;
}

int kt_aptroot_download(struct kt_aptroot *root, const struct kt_aptparse_package *package,
			char path[PATH_MAX], struct kt_err *err)
{
	char wanted[2 * KT_NAME_BYTES_MAX + 2], reason[512];
	KT_AUTO_SUBPROCESS result = { 0 };
	int r;

	while (find_deb(root, path, NULL) == 0) /* of an earlier download */
		if (unlink(path) < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "removing %s", path);
	snprintf(wanted, sizeof wanted, "%s=%s", package->name, package->version);
	begin(root, "downloading %s (%.1f MB)", wanted, (double)package->bytes / 1e6);
	r = apt(root, KT_APTROOT_DOWNLOAD_NS,
		(const char *const[]){ "apt-get", "-q", "-o", "APT::Status-Fd=3", "download",
				       wanted, NULL },
		&result, err);
	if (r)
		return r;
	if (result.exit_status) {
		kt_subprocess_reason(&result, reason, sizeof reason);
		return kt_err_set(err, KT_FAULT_HOST, EIO, "apt-get download %s: %s", wanted,
				  reason);
	}
	return find_deb(root, path, err);
}

void kt_aptroot_destroy(struct kt_aptroot **root_p)
{
	if (*root_p && (*root_p)->folder[0])
		remove_tree((*root_p)->folder);
	free(*root_p);
	*root_p = NULL;
}
