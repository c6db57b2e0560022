#include "proto/base/log.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *program_name = "kt";
static bool is_enabled = true;

void kt_log_open(const char *program, bool enabled)
{
	program_name = program;
	is_enabled = enabled;
}

void kt_log_line(const char *event, const char *format, ...)
{
	char stamp[32];
	char line[2048];
	int64_t wall_ns = kt_clock_wall_ns();
	time_t wall_s = (time_t)(wall_ns / KT_NS_PER_S);
	struct tm tm;
	va_list args;

	if (!is_enabled)
		return;
	gmtime_r(&wall_s, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "%s.%03dZ %s %s%s%s\n", stamp, (int)(wall_ns % KT_NS_PER_S / KT_NS_PER_MS),
		program_name, event, line[0] ? " " : "", line);
}

const char *kt_log_quote(const char *text)
{
	static char ring[4][1200];
	static unsigned int next;
	char *out = ring[next++ % 4];
	char *at = out;
	bool plain = *text != 0;

	for (const char *c = text; *c && plain; c++)
		plain = isgraph((unsigned char)*c) && *c != '"' && *c != '=' && *c != '\\';
	if (plain && strlen(text) < sizeof(ring[0]))
		return strcpy(out, text);
	*at++ = '"';
	for (const char *c = text; *c && at < out + sizeof(ring[0]) - 8; c++) {
		if (*c == '"' || *c == '\\')
			at += sprintf(at, "\\%c", *c);
		else if (*c == '\n')
			at += sprintf(at, "\\n");
		else if ((unsigned char)*c < 0x20 || *c == 0x7f)
			at += sprintf(at, "\\x%02x", (unsigned char)*c);
		else
			*at++ = *c;
	}
	strcpy(at, "\"");
	return out;
}
