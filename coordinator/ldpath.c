#include "coordinator/ldpath.h"
#include "proto/base/buf.h"

#include <string.h>

enum token { ORIGIN, LIB, PLATFORM, TOKEN_N };

static const struct {
	const char *name;
	const char *is; /* NULL: depends on the file */
} tokens[TOKEN_N] = {
	[ORIGIN] = { "ORIGIN", NULL },
	[LIB] = { "LIB", "lib/x86_64-linux-gnu" },
	[PLATFORM] = { "PLATFORM", "x86_64" },
};

/* Bytes of "$NAME" or "${NAME}" at the beginning of text, 0 when it is none of the tokens. */
static size_t token_len(const char *text, size_t len, enum token *token)
{
	bool braces = len > 1 && text[1] == '{';
	size_t at = braces ? 2 : 1;

	for (*token = 0; *token < TOKEN_N; ++*token) {
		size_t n = strlen(tokens[*token].name);

		if (len - at < n || strncmp(text + at, tokens[*token].name, n) != 0)
			continue;
		if (!braces)
			return at + n;
		if (len - at > n && text[at + n] == '}')
			return at + n + 1;
	}
	return 0;
}

static void put_origin(const char *origin, struct kt_buf *out)
{
	const char *slash = strrchr(origin, '/');

	if (!slash)
		kt_buf_puts(out, ".");
	else
		kt_buf_append(out, origin, slash == origin ? 1 : (size_t)(slash - origin));
}

static void put_folder(const char *item, size_t len, const char *origin, struct kt_buf *out)
{
	enum token token;

	if (len == 0)
		kt_buf_puts(out, ".");
	for (size_t i = 0, n; i < len; i += n) {
		n = item[i] == '$' ? token_len(item + i, len - i, &token) : 0;
		if (n == 0)
			kt_buf_append(out, item + i, n = 1);
		else if (token == ORIGIN)
			put_origin(origin, out);
		else
			kt_buf_puts(out, tokens[token].is);
	}
}

bool kt_ldpath_next(const char **list, const char *separators, const char *origin, const char *name,
		    char path[PATH_MAX])
{
	while (*list) {
		KT_AUTO_BUF out = KT_BUF_MAX(PATH_MAX - 1);
		const char *item = *list;
		size_t len = strcspn(item, separators);

		*list = item[len] ? item + len + 1 : NULL;
		put_folder(item, len, origin, &out);
		kt_buf_puts(&out, "/");
		kt_buf_puts(&out, name);
		if (out.full)
			continue;
		memcpy(path, kt_buf_text(&out), out.len + 1);
		return true;
	}
	return false;
}
