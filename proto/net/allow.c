#include "proto/net/allow.h"
#include "proto/base/must.h"
#include "proto/base/safefile.h"
#include "proto/base/suggest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define COMMENT_BYTES_MAX 200 /* of one that is added */

static const char name_chars[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

struct kt_allow *kt_allow_new(void)
{
	return kt_must_calloc(1, sizeof(struct kt_allow));
}

static void take_out(struct kt_allow *allow, struct kt_allowed *allowed)
{
	HASH_DELETE(by_key, allow->keys, allowed);
	HASH_DELETE(by_name, allow->names, allowed);
	DL_DELETE(allow->list, allowed);
	allow->n--;
	free(allowed->comment);
	free(allowed->before);
	free(allowed);
}

void kt_allow_destroy(struct kt_allow **allow_p)
{
	struct kt_allow *allow = kt_take(allow_p);

	if (!allow)
		return;
	while (allow->list)
		take_out(allow, allow->list);
	kt_buf_destroy(&allow->after);
	free(allow);
}

bool kt_allow_is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= KT_NAME_BYTES_MAX && strspn(name, name_chars) == len &&
	       name[0] != '.' && name[0] != '-';
}

static struct kt_allowed *find_key(const struct kt_allow *allow, const char *key)
{
	struct kt_allowed *allowed;

	HASH_FIND(by_key, allow->keys, key, strlen(key), allowed);
	return allowed;
}

static struct kt_allowed *find_name(const struct kt_allow *allow, const char *name)
{
	struct kt_allowed *allowed;

	HASH_FIND(by_name, allow->names, name, strlen(name), allowed);
	return allowed;
}

const struct kt_allowed *kt_allow_find(const struct kt_allow *allow, const char *key)
{
	return find_key(allow, key);
}

const struct kt_allowed *kt_allow_find_name(const struct kt_allow *allow, const char *name)
{
	return find_name(allow, name);
}

/* "file:7: " in front of what is wrong, or nothing when it is not in a file. */
struct place {
	const char *file;
	size_t line;
};

__attribute__((format(printf, 3, 4))) static int wrong(const struct place *place,
						       struct kt_err *err, const char *format, ...)
{
	char text[KT_ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!place->file)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s", text);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s:%zu: %s", place->file, place->line,
			  text);
}

static int insert(struct kt_allow *allow, const struct place *place, const char *key,
		  enum kt_role role, const char *name, struct kt_allowed **added,
		  struct kt_err *err)
{
	struct kt_allowed *allowed;

	if (!kt_key_is_public(key))
		return wrong(place, err,
			     "'%.60s' is no public key: %d characters of Z85 that begin with a "
			     "letter or a digit, as `ktworker key` prints it",
			     key, KT_KEY_CHARS);
	if (!kt_allow_is_name(name))
		return wrong(place, err,
			     "'%.160s' is no name of a host: letters, digits, '_', '.', '-', at "
			     "most %d, no '.' or '-' in front",
			     name, KT_NAME_BYTES_MAX);
	if ((allowed = find_key(allow, key)))
		return wrong(place, err,
			     "this key is in the list already, as '%s'%s: revoke that first, or "
			     "make another key",
			     allowed->name, place->file ? " further up" : "");
	if ((allowed = find_name(allow, name)))
		return wrong(place, err,
			     "the name '%s' has a key already%s: revoke that first, or choose "
			     "another name",
			     name, place->file ? " further up" : "");
	if (allow->n >= KT_KEYS_MAX)
		return wrong(place, err, "more than %d keys: revoke some", KT_KEYS_MAX);
	allowed = kt_must_calloc(1, sizeof(*allowed));
	snprintf(allowed->key, sizeof(allowed->key), "%s", key);
	snprintf(allowed->name, sizeof(allowed->name), "%s", name);
	allowed->role = role;
	allowed->line = place->line;
	HASH_ADD_KEYPTR(by_key, allow->keys, allowed->key, KT_KEY_CHARS, allowed);
	HASH_ADD_KEYPTR(by_name, allow->names, allowed->name, strlen(allowed->name), allowed);
	DL_APPEND(allow->list, allowed);
	allow->n++;
	*added = allowed;
	return 0;
}

/* One line of printable words, nothing else. */
static char *clean_comment(const char *comment)
{
	char *clean = kt_must_asprintf("# %.*s", COMMENT_BYTES_MAX, comment);

	for (char *c = clean; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = ' ';
	return clean;
}

static void take_before(struct kt_allow *allow, struct kt_allowed *allowed)
{
	if (allow->after.len)
		allowed->before = kt_must_strdup(kt_buf_text(&allow->after));
	kt_buf_reset(&allow->after);
}

int kt_allow_add(struct kt_allow *allow, const char *key, enum kt_role role, const char *name,
		 const char *comment, struct kt_err *err)
{
	struct kt_allowed *added;
	int status = insert(allow, &(struct place){ NULL, 0 }, key, role, name, &added, err);

	if (status < 0)
		return status;
	if (comment && *comment)
		added->comment = clean_comment(comment);
	/* Lines at the end were about what stood above them. */
	take_before(allow, added);
	return 0;
}

/* What a person wrote above it stays. */
bool kt_allow_remove(struct kt_allow *allow, const char *name_or_key)
{
	struct kt_allowed *allowed = find_name(allow, name_or_key);

	if (!allowed)
		allowed = find_key(allow, name_or_key);
	if (!allowed)
		return false;
	if (allowed->before && allowed->next) {
		const char *below = allowed->next->before ? allowed->next->before : "";
		char *both = kt_must_asprintf("%s%s", allowed->before, below);

		free(allowed->next->before);
		allowed->next->before = both;
	} else if (allowed->before) {
		KT_AUTO_BUF both = { 0 };

		kt_buf_puts(&both, allowed->before);
		kt_buf_puts(&both, kt_buf_text(&allow->after));
		kt_buf_reset(&allow->after);
		kt_buf_puts(&allow->after, kt_buf_text(&both));
	}
	take_out(allow, allowed);
	return true;
}

/* ---- as text ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next word of the line, cut out of it; NULL: no more. */
static char *cut_word(char **at)
{
	char *word;

	while (is_blank(**at))
		(*at)++;
	if (!**at)
		return NULL;
	word = *at;
	while (**at && !is_blank(**at))
		(*at)++;
	if (**at)
		*(*at)++ = 0;
	return word;
}

static int parse_line(struct kt_allow *allow, const struct place *place, char *line,
		      struct kt_err *err)
{
	char *key = cut_word(&line);
	char *role_name = cut_word(&line);
	char *name = cut_word(&line);
	struct kt_allowed *added;
	enum kt_role role;
	int status;

	if (!name || name[0] == '#')
		return wrong(place, err,
			     "expected three words: public key, role (work or observe), name");
	if (!kt_role_by_name(role_name, &role)) {
		KT_AUTO_BUF known = { 0 };

		kt_suggest_print(role_name, kt_role_names, KT_ROLE_N, &known);
		return wrong(place, err, "no role '%.60s'; %s", role_name, kt_buf_text(&known));
	}
	while (is_blank(*line))
		line++;
	if (*line && *line != '#')
		return wrong(place, err, "'%.60s' is one word too many: a comment begins with #",
			     line);
	status = insert(allow, place, key, role, name, &added, err);
	if (status < 0)
		return status;
	if (*line)
		added->comment = kt_must_strdup(line);
	take_before(allow, added);
	return 0;
}

static int check_line(const struct place *place, const char *line, size_t len, struct kt_err *err)
{
	if (len > KT_ALLOW_LINE_BYTES_MAX)
		return wrong(place, err, "a line of %zu bytes: at most %d", len,
			     KT_ALLOW_LINE_BYTES_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 && line[i] != '\t')
			return wrong(place, err,
				     "byte %zu of the line is a control character (0x%02x): plain "
				     "text only, lines end in \\n",
				     i + 1, (unsigned char)line[i]);
	return 0;
}

int kt_allow_parse(const char *file, const char *text, size_t len, struct kt_allow **allow_p,
		   struct kt_err *err)
{
	KT_AUTO(kt_allow_destroy) struct kt_allow *allow = kt_allow_new();
	struct place place = { file, 0 };
	const char *end = text + len;

	if (len > KT_ALLOW_FILE_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s: more than the %u bytes that an allow-list may have", file,
				  KT_ALLOW_FILE_BYTES_MAX);
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((newline ? newline : end) - text);
		char line[KT_ALLOW_LINE_BYTES_MAX + 1];
		int status;

		place.line++;
		status = check_line(&place, text, n, err);
		if (status < 0)
			return status;
		memcpy(line, text, n);
		line[n] = 0;
		if (!line[strspn(line, " \t")] || line[strspn(line, " \t")] == '#')
			kt_buf_printf(&allow->after, "%s\n", line);
		else
			status = parse_line(allow, &place, line, err);
		if (status < 0)
			return status;
		text = newline ? newline + 1 : end;
	}
	*allow_p = kt_take(&allow);
	return 0;
}

void kt_allow_print(const struct kt_allow *allow, struct kt_buf *out)
{
	const struct kt_allowed *allowed;

	DL_FOREACH (allow->list, allowed) {
		if (allowed->before)
			kt_buf_puts(out, allowed->before);
		kt_buf_printf(out, "%s %s %s%s%s\n", allowed->key, kt_role_name(allowed->role),
			      allowed->name, allowed->comment ? " " : "",
			      allowed->comment ? allowed->comment : "");
	}
	kt_buf_append(out, allow->after.data, allow->after.len);
}

/* ---- as a file ---- */

int kt_allow_read(const char *path, struct kt_allow **allow, struct kt_err *err)
{
	KT_AUTO_BUF bytes = { 0 };
	mode_t mode = 0;
	int status = kt_safefile_read(path, KT_ALLOW_FILE_BYTES_MAX, &bytes, &mode, err);

	if (status == -ENOENT) {
		if (err)
			*err = (struct kt_err){ 0 };
		*allow = kt_allow_new();
		return 0;
	}
	if (status == 0)
		status = kt_safefile_guard(path, mode, KT_SAFEFILE_TRUSTED, err);
	return status < 0 ? status
			  : kt_allow_parse(path, (const char *)bytes.data, bytes.len, allow, err);
}

int kt_allow_write(const char *path, const struct kt_allow *allow, struct kt_err *err)
{
	KT_AUTO_BUF text = { 0 };

	kt_allow_print(allow, &text);
	if (text.len > KT_ALLOW_FILE_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EFBIG,
				  "%s would have %zu bytes, at most %u: shorten its comments", path,
				  text.len, KT_ALLOW_FILE_BYTES_MAX);
	return kt_safefile_write(path, KT_SAFEFILE_TRUSTED, true, text.data, text.len, err);
}
