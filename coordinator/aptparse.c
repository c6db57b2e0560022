#include "coordinator/aptparse.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A piece of a text that is not ended by a 0 byte. */
struct span {
	const char *at;
	size_t len;
};

static bool next_line(const char **text, struct span *line)
{
	if (!**text)
		return false;
	line->at = *text;
	line->len = strcspn(*text, "\n");
	*text += line->len + ((*text)[line->len] == '\n');
	return true;
}

static bool is(struct span span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.at, text, span.len) == 0;
}

static bool starts(struct span span, const char *prefix)
{
	return span.len >= strlen(prefix) && memcmp(span.at, prefix, strlen(prefix)) == 0;
}

static struct span trim(struct span span)
{
	while (span.len && isspace((unsigned char)span.at[0])) {
		span.at++;
		span.len--;
	}
	while (span.len && isspace((unsigned char)span.at[span.len - 1]))
		span.len--;
	return span;
}

static bool copy(struct span span, char *to, size_t bytes)
{
	to[0] = 0;
	if (span.len >= bytes)
		return false;
	memcpy(to, span.at, span.len);
	to[span.len] = 0;
	return true;
}

/* Cuts what stands before the separator off rest; all of it when there is none. */
static struct span cut(struct span *rest, char separator)
{
	const char *end = rest->len ? memchr(rest->at, separator, rest->len) : NULL;
	struct span piece = { rest->at, end ? (size_t)(end - rest->at) : rest->len };
	size_t gone = piece.len + (end != NULL);

	rest->at += gone;
	rest->len -= gone;
	return piece;
}

/* 1..UINT_MAX, or 0 */
static unsigned int number(struct span span)
{
	unsigned long value = 0;

	if (span.len == 0 || span.len > 9)
		return 0;
	for (size_t i = 0; i < span.len; i++) {
		if (!isdigit((unsigned char)span.at[i]))
			return 0;
		value = value * 10 + (unsigned long)(span.at[i] - '0');
	}
	return (unsigned int)value;
}

bool kt_aptparse_word(const char *name)
{
	if (!islower((unsigned char)name[0]) && !isdigit((unsigned char)name[0]))
		return false;
	return strlen(name) < KT_NAME_BYTES_MAX / 2 + 1 &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.+-")] == 0;
}

static bool plain_uri(struct span uri)
{
	for (size_t i = 0; i < uri.len; i++)
		if (uri.at[i] <= ' ' || uri.at[i] > '~')
			return false;
	return uri.len > 0;
}

bool kt_aptparse_target(const char *text, struct kt_aptparse_target *target)
{
	struct span line;

	while (next_line(&text, &line)) {
		struct span origin = cut(&line, '|'), label = cut(&line, '|');
		struct span component = cut(&line, '|'), created_by = cut(&line, '|');
		struct span target_of = cut(&line, '|'), site = cut(&line, '|');
		struct span repo = cut(&line, '|'), entry = line;
		const char *colon;

		if (!is(origin, "Debian") || !is(label, "Debian") || !is(component, "main") ||
		    !is(created_by, "Packages") || !is(target_of, "deb"))
			continue;
		/* an apt that does not know REPO_URI leaves the name standing */
		if (!copy(plain_uri(repo) && repo.at[0] != '$' ? repo : site, target->uri,
			  sizeof target->uri) ||
		    !plain_uri((struct span){ target->uri, strlen(target->uri) }))
			continue;
		colon = entry.len ? memrchr(entry.at, ':', entry.len) : NULL;
		if (!colon)
			continue;
		target->entry = number(
			(struct span){ colon + 1, (size_t)(entry.at + entry.len - colon - 1) });
		if (target->entry && copy((struct span){ entry.at, (size_t)(colon - entry.at) },
					  target->entry_file, sizeof target->entry_file))
			return true;
	}
	return false;
}

/* deb [arch=amd64 signed-by=/a.gpg,/b.gpg] uri suite component */
static bool signers_of_list(const char *text, unsigned int entry, char *signers)
{
	struct span line = { text, 0 };
	const char *open, *close;

	for (unsigned int i = 0; i < entry; i++)
		if (!next_line(&text, &line))
			return false;
	line = trim(line);
	if (!starts(line, "deb"))
		return false;
	open = memchr(line.at, '[', line.len);
	close = open ? memchr(open, ']', (size_t)(line.at + line.len - open)) : NULL;
	if (!close)
		return true;
	for (struct span rest = { open + 1, (size_t)(close - open - 1) }; rest.len;) {
		struct span option = cut(&rest, ' ');

		if (!starts(option, "signed-by="))
			continue;
		option.at += strlen("signed-by=");
		option.len -= strlen("signed-by=");
		if (!copy(option, signers, KT_APTPARSE_SIGNERS_BYTES))
			return false;
		for (char *c = signers; *c; c++) /* deb822 wants blanks between them */
			if (*c == ',')
				*c = ' ';
	}
	return true;
}

static bool signers_of_stanza(const char *text, unsigned int entry, char *signers)
{
	unsigned int stanza = 0;
	bool inside = false, within = false, found = false;
	size_t used = 0;
	struct span line;

	while (next_line(&text, &line)) {
		struct span bare = trim(line);

		if (bare.len == 0) {
			inside = false;
			continue;
		}
		if (bare.at[0] == '#')
			continue;
		if (!inside) {
			inside = true;
			within = false;
			stanza++;
		}
		if (stanza != entry)
			continue;
		found = true;
		if (line.at[0] != ' ' && line.at[0] != '\t') {
			struct span rest = line, name = cut(&rest, ':');

			within = name.len == strlen("Signed-By") &&
				 strncasecmp(name.at, "Signed-By", name.len) == 0;
			if (!within)
				continue;
			bare = trim(rest);
			if (!copy(bare, signers, KT_APTPARSE_SIGNERS_BYTES))
				return false;
			used = bare.len;
		} else if (within) {
			if (used + line.len + 2 > KT_APTPARSE_SIGNERS_BYTES)
				return false;
			signers[used++] = '\n';
			memcpy(signers + used, line.at, line.len);
			used += line.len;
			signers[used] = 0;
		}
	}
	return found;
}

bool kt_aptparse_signers(const char *text, bool deb822, unsigned int entry,
			 char signers[KT_APTPARSE_SIGNERS_BYTES])
{
	signers[0] = 0;
	return deb822 ? signers_of_stanza(text, entry, signers)
		      : signers_of_list(text, entry, signers);
}

/* Which dependency leads on: the first alternative of each that looks like one. */
static void take_depends(struct span rest, struct kt_aptparse_package *package)
{
	char image[KT_NAME_BYTES_MAX] = "";

	while (rest.len) {
		struct span relation = cut(&rest, ',');
		struct span name = trim(cut(&relation, '|'));

		name = cut(&name, ' ');
		if (name.len && memchr(name.at, ':', name.len))
			name = cut(&name, ':');
		if (starts(name, "linux-binary-"))
			copy(name, package->image, sizeof package->image);
		else if (starts(name, "linux-image-") && !image[0])
			copy(name, image, sizeof image);
		else if (starts(name, "linux-base-"))
			copy(name, package->base, sizeof package->base);
	}
	if (!package->image[0])
		memcpy(package->image, image, sizeof image);
	if (!kt_aptparse_word(package->image))
		package->image[0] = 0;
	if (!kt_aptparse_word(package->base))
		package->base[0] = 0;
}

bool kt_aptparse_package(const char *text, struct kt_aptparse_package *package)
{
	struct span line;

	*package = (struct kt_aptparse_package){ 0 };
	while (next_line(&text, &line) && line.len) {
		struct span rest = line, name = cut(&rest, ':');

		rest = trim(rest);
		if (is(name, "Package"))
			copy(rest, package->name, sizeof package->name);
		else if (is(name, "Version"))
			copy(rest, package->version, sizeof package->version);
		else if (is(name, "SHA256"))
			copy(rest, package->sha256, sizeof package->sha256);
		else if (is(name, "Size"))
			package->bytes = number(rest);
		else if (is(name, "Depends") || is(name, "Pre-Depends"))
			take_depends(rest, package);
	}
	return kt_aptparse_word(package->name) && package->version[0] &&
	       strspn(package->version, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789.+-~:") == strlen(package->version);
}

bool kt_aptparse_status(const char *line, unsigned int *percent)
{
	struct span rest = { line, strlen(line) }, kind = cut(&rest, ':');

	if (!is(kind, "dlstatus"))
		return false;
	cut(&rest, ':');
	rest = cut(&rest, ':');
	*percent = number(cut(&rest, '.'));
	if (*percent > 100)
		*percent = 100;
	return true;
}
