#include "coordinator/control.h"
#include "coordinator/core/matrix/problem.h"
#include "coordinator/statedir.h"
#include "proto/base/buf.h"
#include "proto/base/duration.h"
#include "proto/base/must.h"
#include "proto/json/tojson.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SILENT_MS        30000
#define ANSWER_BYTES_MAX (64u << 20) /* of one line: thousands of hosts */
#define COLUMNS          9
#define CELL_BYTES       96

/* ---- asking ---- */

static int join(const char *state_dir, int *fd, struct kt_err *err)
{
	KT_AUTO_FREE char *path = kt_must_asprintf("%s/run/" KT_CONTROL_SOCKET, state_dir);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	KT_AUTO_FD int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char who[256];

	if (socket_fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "a socket");
	if (strlen(path) >= sizeof(address.sun_path))
		return kt_err_set(err, KT_FAULT_INPUT, ENAMETOOLONG,
				  "%s: the path is too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(socket_fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		*fd = kt_own_take_fd(&socket_fd);
		return 0;
	}
	if (errno != ENOENT && errno != ECONNREFUSED)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "%s", path);
	if (kt_statedir_holder(state_dir, who, sizeof(who)))
		return kt_err_set(err, KT_FAULT_HOST, ENOENT,
				  "the ktcoord that works in %s (%s) serves no sweep yet: it "
				  "prepares one, or is about to leave",
				  state_dir, who);
	return kt_err_set(err, KT_FAULT_HOST, ENOENT, "no coordinator runs in %s", state_dir);
}

static int send_ask(int fd, const struct kt_present_ask *ask, struct kt_err *err)
{
	struct json_object *json = json_object_new_object();
	KT_AUTO_FREE char *line = NULL;
	size_t len;
	ssize_t n;

	json_object_object_add(json, "ask", json_object_new_string(kt_present_word(ask->kind)));
	if (ask->host[0])
		json_object_object_add(json, "host", kt_tojson_text(ask->host, strlen(ask->host)));
	if (ask->what[0])
		json_object_object_add(json, "what", kt_tojson_text(ask->what, strlen(ask->what)));
	if (ask->undo)
		json_object_object_add(json, "undo", json_object_new_boolean(true));
	line = kt_must_asprintf("%s\n",
				json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
	json_object_put(json);
	len = strlen(line);
	n = send(fd, line, len, MSG_NOSIGNAL); /* a few hundred bytes: all of them or an error */
	if (n < 0 || (size_t)n != len)
		return kt_err_sys(err, KT_FAULT_HOST, n < 0 ? errno : EIO, "asking it");
	return 0;
}

/* One line, without its newline, at the beginning of in; *len is its length. */
static int hear(int fd, struct kt_buf *in, size_t *len, struct kt_err *err)
{
	size_t looked = 0;

	for (;;) {
		const uint8_t *end =
			in->len > looked ? memchr(in->data + looked, '\n', in->len - looked) : NULL;
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };
		uint8_t *room;
		ssize_t n;

		if (end) {
			*len = (size_t)(end - in->data);
			return 0;
		}
		looked = in->len;
		n = poll(&pollfd, 1, SILENT_MS);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return kt_err_set(err, KT_FAULT_HOST, ETIMEDOUT,
					  "the coordinator did not say a word for %d s: is it "
					  "stopped, or its disk?",
					  SILENT_MS / 1000);
		room = kt_buf_reserve(in, 65536);
		if (!room)
			return kt_err_set(err, KT_FAULT_PEER, EMSGSIZE, "the answer has no end");
		n = recv(fd, room, 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "hearing the answer");
		if (n == 0)
			return kt_err_set(err, KT_FAULT_HOST, ECONNRESET,
					  "the coordinator went away before it answered");
		in->len += (size_t)n;
	}
}

static int64_t number(struct json_object *json, const char *key)
{
	return json_object_get_int64(json_object_object_get(json, key));
}

static bool truth(struct json_object *json, const char *key)
{
	return json_object_get_boolean(json_object_object_get(json, key));
}

/* Of a host's words nothing moves a cursor. Valid until the eighth next call. */
static const char *text_of(struct json_object *json, const char *key)
{
	static char ring[8][512];
	static unsigned int next;
	const char *text = json_object_get_string(json_object_object_get(json, key));
	char *plain = ring[next++ % 8];

	snprintf(plain, sizeof(ring[0]), "%s", text ? text : "");
	kt_problem_one_line(plain);
	return plain;
}

int kt_control_ask(const char *state_dir, const struct kt_present_ask *ask,
		   void (*progress)(void *arg, struct json_object *answer), void *arg,
		   struct json_object **answer, struct kt_err *err)
{
	KT_AUTO_BUF in = KT_BUF_MAX(ANSWER_BYTES_MAX);
	KT_AUTO_FD int fd = -1;
	size_t len = 0;
	int status = join(state_dir, &fd, err);

	if (status == 0)
		status = send_ask(fd, ask, err);
	while (status == 0 && (status = hear(fd, &in, &len, err)) == 0) {
		struct json_object *json;

		in.data[len] = 0;
		json = json_tokener_parse((const char *)in.data);
		kt_buf_consume(&in, len + 1);
		if (!json || !json_object_is_type(json, json_type_object)) {
			json_object_put(json);
			return kt_err_set(err, KT_FAULT_PEER, EPROTO, "the answer is no JSON");
		}
		if (json_object_object_get(json, "error")) {
			kt_err_set(err, KT_FAULT_INPUT, EREMOTEIO, "%s", text_of(json, "error"));
			json_object_put(json);
			return -EREMOTEIO;
		}
		if (truth(json, "final")) {
			json_object_object_del(json, "final");
			json_object_object_del(json, "ask");
			*answer = json;
			return 0;
		}
		if (progress)
			progress(arg, json);
		json_object_put(json);
	}
	return status;
}

int kt_control_tell(const char *state_dir, enum kt_present_kind kind, struct kt_err *err)
{
	struct kt_present_ask ask = { .kind = kind };
	struct json_object *answer = NULL;
	int status = kt_control_ask(state_dir, &ask, NULL, NULL, &answer, err);

	json_object_put(answer);
	return status == -ENOENT ? 0 : status;
}

/* ---- tables ---- */

struct table {
	char (*rows)[COLUMNS][CELL_BYTES];
	size_t n;
};

static char (*add_row(struct table *table))[CELL_BYTES]
{
	table->rows = kt_must_realloc(table->rows, table->n + 1, sizeof(*table->rows));
	memset(table->rows[table->n], 0, sizeof(*table->rows));
	return table->rows[table->n++];
}

static void widths_of(const struct table *table, int widths[COLUMNS])
{
	for (size_t c = 0; c < COLUMNS; c++) {
		widths[c] = 0;
		for (size_t i = 0; i < table->n; i++) {
			int len = (int)strlen(table->rows[i][c]);

			widths[c] = len > widths[c] ? len : widths[c];
		}
	}
}

static void print_row(const struct table *table, size_t row, const int widths[COLUMNS], FILE *out)
{
	for (size_t c = 0; c + 1 < COLUMNS; c++)
		fprintf(out, "%-*s  ", widths[c], table->rows[row][c]);
	fprintf(out, "%s\n", table->rows[row][COLUMNS - 1]);
}

/* ---- workers ---- */

static void size_text(int64_t bytes, char text[32])
{
	if (bytes >= (10ll << 30))
		snprintf(text, 32, "%" PRId64 "G", bytes >> 30);
	else
		snprintf(text, 32, "%" PRId64 "M", bytes >> 20);
}

static void share_text(struct json_object *worker, const char *key, const char *what, char *text)
{
	struct json_object *share = json_object_object_get(worker, key);

	if (json_object_object_get(share, "total"))
		snprintf(text, CELL_BYTES, "%" PRId64 "/%" PRId64, number(share, what),
			 number(share, "total"));
	else
		snprintf(text, CELL_BYTES, "%" PRId64, number(share, what));
}

static void memory_text(struct json_object *worker, char *text)
{
	struct json_object *share = json_object_object_get(worker, "mem_bytes");
	char given[32];
	char total[32];

	size_text(number(share, "given"), given);
	size_text(number(share, "total"), total);
	snprintf(text, CELL_BYTES, "%s%s%s", given, number(share, "total") ? "/" : "",
		 number(share, "total") ? total : "");
}

static const char *seconds(struct json_object *json, const char *key,
			   char text[KT_DURATION_TEXT_BYTES])
{
	struct json_object *value = json_object_object_get(json, key);

	if (!value)
		return "-";
	return kt_duration_format(
		(int64_t)(json_object_get_double(value) * 10) * (KT_NS_PER_S / 10), text);
}

static void clock_text(struct json_object *worker, char *text)
{
	struct json_object *clock = json_object_object_get(worker, "clock");

	if (clock)
		snprintf(text, CELL_BYTES, "%+.1f +-%.1f ms",
			 json_object_get_double(json_object_object_get(clock, "ahead_s")) * 1e3,
			 json_object_get_double(json_object_object_get(clock, "error_s")) * 1e3);
	else
		snprintf(text, CELL_BYTES, "-");
}

static void fill_row(struct table *table, struct json_object *worker)
{
	char(*row)[CELL_BYTES] = add_row(table);
	char text[KT_DURATION_TEXT_BYTES];

	snprintf(row[0], CELL_BYTES, "%s", text_of(worker, "host"));
	snprintf(row[1], CELL_BYTES, "%s%s", text_of(worker, "admission"),
		 !truth(worker, "connected") ? ", away"
		 : truth(worker, "leaving")  ? ", leaving"
					     : "");
	share_text(worker, "slots", "used", row[2]);
	share_text(worker, "cpus", "given", row[3]);
	memory_text(worker, row[4]);
	snprintf(row[5], CELL_BYTES, "%s", text_of(worker, "accel"));
	snprintf(row[6], CELL_BYTES, "%s", seconds(worker, "heard_s", text));
	clock_text(worker, row[7]);
	if (!*text_of(worker, "trust")) /* known from an earlier term only */
		snprintf(row[8], CELL_BYTES, "-");
	else
		snprintf(row[8], CELL_BYTES, "%s, %s%s%s", text_of(worker, "build"),
			 text_of(worker, "trust"), *text_of(worker, "address") ? " " : "",
			 text_of(worker, "address"));
}

static void print_running(struct json_object *worker, FILE *out)
{
	struct json_object *list = json_object_object_get(worker, "running");
	char text[KT_DURATION_TEXT_BYTES];

	if (*text_of(worker, "why"))
		fprintf(out, "  %s: %s\n", text_of(worker, "admission"), text_of(worker, "why"));
	if (*text_of(worker, "too_small"))
		fprintf(out, "  too small: %s\n", text_of(worker, "too_small"));
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *cell = json_object_array_get_idx(list, i);
		int64_t attempt = number(cell, "attempt");

		fprintf(out, "  %s: %s, %s", text_of(cell, "cell"), text_of(cell, "phase"),
			seconds(cell, "since_s", text));
		if (attempt > 1)
			fprintf(out, ", attempt %" PRId64, attempt);
		fputc('\n', out);
	}
	if (number(worker, "ending"))
		fprintf(out, "  %" PRId64 " guest%s told to die\n", number(worker, "ending"),
			number(worker, "ending") == 1 ? "" : "s");
	if (number(worker, "cached"))
		fprintf(out, "  %" PRId64 " artifacts cached\n", number(worker, "cached"));
}

void kt_control_print_workers(struct json_object *answer, FILE *out)
{
	static const char *const titles[COLUMNS] = { "HOST",  "ADMISSION", "SLOTS",
						     "CPUS",  "MEMORY",    "ACCEL",
						     "HEARD", "CLOCK",     "BUILD, TRUST" };
	struct json_object *list = json_object_object_get(answer, "workers");
	struct table table = { 0 };
	char(*head)[CELL_BYTES] = add_row(&table);
	int widths[COLUMNS];

	for (size_t c = 0; c < COLUMNS; c++)
		snprintf(head[c], CELL_BYTES, "%s", titles[c]);
	for (size_t i = 0; i < json_object_array_length(list); i++)
		fill_row(&table, json_object_array_get_idx(list, i));
	widths_of(&table, widths);
	for (size_t i = 0; i < table.n; i++) {
		print_row(&table, i, widths, out);
		if (i)
			print_running(json_object_array_get_idx(list, i - 1), out);
	}
	if (table.n == 1)
		fprintf(out, "no host has been here; workers connect to %s\n",
			text_of(answer, "endpoint"));
	free(table.rows);
}

/* ---- status ---- */

/* "3 pass, 1 fail": of an object of numbers those that are not 0; false when all are. */
static bool print_counts(struct json_object *counts, FILE *out)
{
	const char *comma = "";

	json_object_object_foreach(counts, key, value)
	{
		if (!json_object_get_int64(value))
			continue;
		fprintf(out, "%s%" PRId64 " %s", comma, json_object_get_int64(value), key);
		comma = ", ";
	}
	return *comma;
}

static void print_pace(struct json_object *answer, FILE *out)
{
	char runs[KT_DURATION_TEXT_BYTES];
	char left[KT_DURATION_TEXT_BYTES];
	double rate = json_object_get_double(json_object_object_get(answer, "cells_per_s"));

	fprintf(out, "runs for %s", seconds(answer, "runs_s", runs));
	if (rate > 0)
		fprintf(out, ", %.3g cells a second, about %s left", rate,
			seconds(answer, "left_s", left));
	fprintf(out, "\nworkers connect to %s\nhosts: ", text_of(answer, "endpoint"));
	if (!print_counts(json_object_object_get(answer, "hosts"), out))
		fputs("none has been here", out);
	fputc('\n', out);
}

void kt_control_print_status(struct json_object *answer, FILE *out)
{
	struct json_object *waits = json_object_object_get(answer, "waits");
	struct json_object *states = json_object_object_get(answer, "states");

	fprintf(out, "sweep %s: %s\n", text_of(answer, "sweep"),
		truth(answer, "running")  ? "running"
		: truth(answer, "closed") ? "finished"
					  : "not finished, and nobody runs it: ktcoord resume");
	fprintf(out, "%" PRId64 "/%" PRId64 " cells done", number(answer, "done"),
		number(answer, "to_run"));
	if (number(states, "leased"))
		fprintf(out, ", %" PRId64 " under way", number(states, "leased"));
	if (number(states, "left_out"))
		fprintf(out, ", %" PRId64 " left out", number(states, "left_out"));
	fputs("\n", out);
	if (number(answer, "done")) {
		print_counts(json_object_object_get(answer, "outcomes"), out);
		fputc('\n', out);
	}
	if (truth(answer, "running"))
		print_pace(answer, out);
	for (size_t i = 0; i < json_object_array_length(waits); i++) {
		struct json_object *wait = json_object_array_get_idx(waits, i);

		fprintf(out, "%" PRId64 " cell%s wait%s: %s (the first: %s)\n",
			number(wait, "cells"), number(wait, "cells") == 1 ? "" : "s",
			number(wait, "cells") == 1 ? "s" : "", text_of(wait, "why"),
			text_of(wait, "first"));
	}
}

/* ---- drain and cancel ---- */

void kt_control_print_drain(struct json_object *answer, FILE *out)
{
	int64_t n = number(answer, "running");

	fprintf(out, "host %s is %s", text_of(answer, "host"), text_of(answer, "admission"));
	if (strcmp(text_of(answer, "admission"), "drained") == 0 && n)
		fprintf(out, ": %" PRId64 " cell%s of it run%s to the end, no other is begun", n,
			n == 1 ? "" : "s", n == 1 ? "s" : "");
	fprintf(out, "%s\n", truth(answer, "connected") ? "" : " (it is away)");
}

void kt_control_print_waiting(struct json_object *answer, FILE *out)
{
	struct json_object *alive = json_object_object_get(answer, "guests_alive");
	size_t n = json_object_array_length(alive);

	fprintf(out, "ktcoord: waiting for %zu guest%s to die, the first on %s\n", n,
		n == 1 ? "" : "s", text_of(json_object_array_get_idx(alive, 0), "host"));
}

void kt_control_print_cancel(struct json_object *answer, FILE *out)
{
	struct json_object *alive = json_object_object_get(answer, "guests_alive");
	int64_t n = number(answer, "cancelled");

	if (n == 0)
		fprintf(out, "nothing of sweep %s was left to be cancelled\n",
			text_of(answer, "sweep"));
	else
		fprintf(out, "%" PRId64 " cell%s of sweep %s cancelled", n, n == 1 ? "" : "s",
			text_of(answer, "sweep"));
	if (n && number(answer, "guests_dead"))
		fprintf(out, ", %" PRId64 " guest%s killed", number(answer, "guests_dead"),
			number(answer, "guests_dead") == 1 ? "" : "s");
	if (n)
		fputc('\n', out);
	for (size_t i = 0; i < json_object_array_length(alive); i++) {
		struct json_object *row = json_object_array_get_idx(alive, i);

		fprintf(out,
			"host %s does not answer: the guest of %s dies when it comes back to %s, "
			"for its lease is revoked\n",
			text_of(row, "host"), text_of(row, "cell"),
			truth(answer, "closed") ? "any coordinator (else by its own deadlines)"
						: "this coordinator");
	}
}
