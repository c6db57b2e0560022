/* toml.cpp - the only C++ of the tree. */
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <unistd.h>

#include <toml++/toml.h>

#if TOML_HEADER_ONLY
#error "link libtomlplusplus; the header-only form aborts on invalid input"
#endif

extern "C" {
#include "coordinator/toml.h"
#include "proto/base/limits.h"
}

#include <cerrno>

namespace
{

struct kt_doc_pos pos_of(const toml::source_region &source)
{
	return { source.begin.line, source.begin.column };
}

/* What must be known before toml++ may see the text: how deep its brackets and how long its dotted keys
 * are. Follows TOML's own rules for comments and strings, so on any text it and toml++ agree up to the
 * first error, which is as far as toml++ reads.
 */
class prescan
{
      public:
	prescan(const char *text, size_t len) : at(text), end(text + len)
	{
	}

	/* NULL, or what is too much; line and column then say where. */
	const char *run()
	{
		while (at < end)
			if (const char *what = step())
				return what;
		return nullptr;
	}

	uint32_t line = 1;
	uint32_t column = 1;

      private:
	const char *at;
	const char *end;
	unsigned depth = 0;
	unsigned dots = 0;

	bool next_is(const char *mark) const
	{
		size_t len = strlen(mark);

		return (size_t)(end - at) >= len && memcmp(at, mark, len) == 0;
	}

	void advance(size_t n)
	{
		for (; n > 0 && at < end; n--, at++) {
			if (*at == '\n') {
				line++;
				column = 1;
			} else if (((unsigned char)*at & 0xc0) != 0x80) {
				column++;
			}
		}
	}

	void skip_comment()
	{
		while (at < end && *at != '\n')
			advance(1);
	}

	/* quote: ' or "; three of them open a string that may span lines. */
	void skip_string(char quote)
	{
		const char triple[] = { quote, quote, quote, 0 };
		bool multi = next_is(triple);

		advance(multi ? 3 : 1);
		while (at < end) {
			if (quote == '"' && *at == '\\') {
				advance(2);
			} else if (multi && next_is(triple)) {
				advance(3);
				/* Up to two quotes may stand right before the closing three. */
				while (at < end && *at == quote)
					advance(1);
				return;
			} else if (!multi && (*at == quote || *at == '\n')) {
				advance(1);
				return;
			} else {
				advance(1);
			}
		}
	}

	const char *step()
	{
		switch (*at) {
		case '#':
			skip_comment();
			return nullptr;
		case '"':
		case '\'':
			skip_string(*at);
			return nullptr;
		case '.':
			if (++dots >= KT_TOML_KEYPARTS_MAX)
				return "a key has too many dots";
			break;
		case '[':
		case '{':
			dots = 0;
			if (++depth > KT_TOML_DEPTH_MAX)
				return "brackets are nested too deeply";
			break;
		case ']':
		case '}':
			dots = 0;
			if (depth > 0)
				depth--;
			break;
		case '=':
		case ',':
		case '\n':
			dots = 0;
			break;
		default:
			break;
		}
		advance(1);
		return nullptr;
	}
};

void add(struct kt_doc *doc, struct kt_doc_node *parent, const char *key, struct kt_doc_pos key_pos,
	 const toml::node &value);

void fill(struct kt_doc *doc, struct kt_doc_node *into, const toml::node &value)
{
	if (const toml::table *table = value.as_table())
		for (auto &&[key, member] : *table) {
			std::string name(key.str());

			/* No key of ours has a 0 byte: it may not be taken for what is before it. */
			std::replace(name.begin(), name.end(), '\0', '?');
			add(doc, into, name.c_str(), pos_of(key.source()), member);
		}
	if (const toml::array *array = value.as_array())
		for (const toml::node &item : *array)
			add(doc, into, nullptr, pos_of(item.source()), item);
}

enum kt_doc_type type_of(const toml::node &value)
{
	switch (value.type()) {
	case toml::node_type::table:
		return KT_DOC_TABLE;
	case toml::node_type::array:
		return KT_DOC_ARRAY;
	case toml::node_type::string:
		return KT_DOC_STRING;
	case toml::node_type::integer:
		return KT_DOC_INT;
	case toml::node_type::floating_point:
		return KT_DOC_FLOAT;
	case toml::node_type::boolean:
		return KT_DOC_BOOL;
	default:
		return KT_DOC_OTHER;
	}
}

/* Recurses as deep as the text nests, which prescan bounded. */
void add(struct kt_doc *doc, struct kt_doc_node *parent, const char *key, struct kt_doc_pos key_pos,
	 const toml::node &value)
{
	struct kt_doc_node *node =
		kt_doc_add(doc, parent, key, type_of(value), pos_of(value.source()), key_pos);

	if (const auto *string = value.as_string()) {
		const std::string &text = string->get();

		node->string = static_cast<const char *>(
			kt_arena_copy(&doc->arena, text.data(), text.size()));
		node->has_zero = text.find('\0') != std::string::npos;
	} else if (const auto *integer = value.as_integer()) {
		node->integer = integer->get();
	} else if (const auto *real = value.as_floating_point()) {
		node->real = real->get();
	} else if (const auto *boolean = value.as_boolean()) {
		node->boolean = boolean->get();
	} else {
		fill(doc, node, value);
	}
}

} /* namespace */

int kt_toml_parse(const char *file, const char *text, size_t len, struct kt_doc **doc,
		  struct kt_err *err)
{
	struct kt_doc *parsed = nullptr;
	prescan scan(text, len);

	if (len > KT_MATRIX_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s:1:1: longer than %u bytes; split it", file,
				  KT_MATRIX_BYTES_MAX);
	if (const char *what = scan.run())
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s:%u:%u: %s; at most %d dots and %d brackets", file, scan.line,
				  scan.column, what, KT_TOML_KEYPARTS_MAX - 1, KT_TOML_DEPTH_MAX);
	try {
		toml::table root = toml::parse(std::string_view(text, len), std::string_view(file));

		parsed = kt_doc_new(file);
		fill(parsed, parsed->root, root);
		*doc = parsed;
		return 0;
	} catch (const toml::parse_error &error) {
		std::string what(error.description());

		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s:%u:%u: %s", file,
				  error.source().begin.line, error.source().begin.column,
				  what.c_str());
	} catch (const std::exception &error) {
		kt_doc_destroy(&parsed);
		return kt_err_set(err, KT_FAULT_BUG, EIO, "%s: reading TOML: %s", file,
				  error.what());
	}
}
