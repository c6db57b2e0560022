#include "coordinator/present.h"
#include "proto/base/buf.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/json/fromjson.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utlist.h>

#define LOOK_MS     1000 /* how often slow readers are looked for */
#define BACKLOG     16
#define READ_BYTES  (KT_PRESENT_LINE_BYTES_MAX + 1)
#define TEXT_FLAGS  (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
#define ASK_OF_NONE KT_PRESENT_KIND_N
#define PATH_BYTES  128 /* sockaddr_un has 108 */

static const char *const words[] = {
#define X(name_, word_, what_) word_,
	KT_PRESENT_ASKS(X)
#undef X
};

const char *kt_present_word(enum kt_present_kind kind)
{
	kt_must(kind < KT_PRESENT_KIND_N);
	return words[kind];
}

/* ---- an ask ---- */

__attribute__((format(printf, 2, 3))) static int wrong(struct kt_err *err, const char *format, ...)
{
	char text[KT_ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return kt_err_set(err, KT_FAULT_PEER, EINVAL, "%s", text);
}

/* json-c allows a depth only as it parses: what is nested is refused before it is a tree. */
static bool is_flat(const char *line, size_t len)
{
	bool in_text = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (in_text && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			in_text = !in_text;
		else if (!in_text && (line[i] == '{' || line[i] == '['))
			depth++;
		if (depth >= KT_PRESENT_DEPTH_MAX)
			return false;
	}
	return true;
}

/* A text of a member: no 0 byte within, not too long; absent is empty. */
static int take_text(const struct kt_value *from, const char *key, size_t size, char *text,
		     struct kt_err *err)
{
	const struct kt_value *value = kt_value_get(from, key);

	text[0] = 0;
	if (!value)
		return 0;
	if (value->type != KT_VALUE_STR || value->n >= size || memchr(value->str, 0, value->n))
		return wrong(err, "'%s' is a text of at most %zu bytes", key, size - 1);
	memcpy(text, value->str, value->n);
	text[value->n] = 0;
	return 0;
}

int kt_present_parse(const void *line, size_t len, struct kt_present_ask *ask, struct kt_err *err)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value value;
	const struct kt_value *undo;
	char word[32];
	int status;

	memset(ask, 0, sizeof(*ask));
	ask->kind = ASK_OF_NONE;
	if (len > KT_PRESENT_LINE_BYTES_MAX)
		return wrong(err, "an ask has at most %d bytes", KT_PRESENT_LINE_BYTES_MAX);
	if (!is_flat(line, len))
		return wrong(err, "an ask is one flat object");
	if (kt_fromjson(line, len, &arena, &value, NULL, err) < 0) {
		err->fault = KT_FAULT_PEER;
		return -(err->code = EINVAL);
	}
	if (value.type != KT_VALUE_MAP)
		return wrong(err, "an ask is an object");
	if ((status = take_text(&value, "ask", sizeof(word), word, err)) < 0 ||
	    (status = take_text(&value, "host", sizeof(ask->host), ask->host, err)) < 0 ||
	    (status = take_text(&value, "what", sizeof(ask->what), ask->what, err)) < 0)
		return status;
	for (size_t i = 0; i < KT_PRESENT_KIND_N; i++)
		if (strcmp(words[i], word) == 0)
			ask->kind = (enum kt_present_kind)i;
	if (ask->kind == ASK_OF_NONE)
		return wrong(err, "nothing is known of an ask '%s'", word);
	undo = kt_value_get(&value, "undo");
	if (undo && undo->type != KT_VALUE_BOOL)
		return wrong(err, "'undo' is true or false");
	ask->undo = undo && undo->boolean;
	if (ask->kind == KT_PRESENT_DRAIN && !ask->host[0])
		return wrong(err, "which host is to be drained?");
	return 0;
}

/* ---- clients ---- */

struct client {
	struct client *next, *prev; /* utlist.h: in the order in which they came */
	struct kt_present *present;
	uv_pipe_t pipe;
	uint64_t id;
	unsigned int uid;
	struct kt_buf in;
	char room[READ_BYTES];
	enum kt_present_kind asked; /* that has no final answer yet; ASK_OF_NONE: it is idle */
	int64_t idle_since_ns;
	int64_t unread_since_ns; /* 0: it has read everything */
	bool closing;
};

struct kt_present {
	const struct kt_present_events *events;
	void *arg;
	uv_pipe_t pipe;
	uv_timer_t look;
	size_t n_handles; /* that are open, those of clients among them */
	struct client *clients;
	size_t n_clients;
	uint64_t ids;
	char path[PATH_BYTES];
	bool closing;
};

struct answer { /* on its way to a client */
	uv_write_t req;
	size_t len;
	char text[];
};

static void take_lines(struct client *client);
static void on_look(uv_timer_t *timer);

static struct client *find(struct kt_present *present, uint64_t id)
{
	struct client *client;

	DL_FOREACH (present->clients, client)
		if (client->id == id)
			return client;
	return NULL;
}

static void let_go(struct kt_present *present)
{
	if (--present->n_handles == 0)
		free(present);
}

static void on_client_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;
	struct kt_present *present = client->present;

	if (client->asked != ASK_OF_NONE && !present->closing)
		present->events->gone(present->arg, client->id);
	kt_buf_destroy(&client->in);
	free(client);
	let_go(present);
}

static void drop(struct client *client, const char *why)
{
	struct kt_present *present = client->present;

	if (client->closing)
		return;
	client->closing = true;
	if (why)
		KT_LOG("control_dropped", "client=%" PRIu64 " uid=%u why=%s", client->id,
		       client->uid, kt_log_quote(why));
	DL_DELETE(present->clients, client);
	present->n_clients--;
	uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

static void on_written(uv_write_t *req, int status)
{
	struct client *client = req->handle->data;

	free(req->data);
	if (status < 0)
		return drop(client, NULL);
	if (uv_stream_get_write_queue_size((uv_stream_t *)&client->pipe) == 0)
		client->unread_since_ns = 0;
}

static void send_line(struct client *client, struct json_object *json)
{
	const char *text = json_object_to_json_string_ext(json, TEXT_FLAGS);
	size_t len = strlen(text);
	struct answer *answer;
	uv_buf_t buf;

	if (client->closing)
		return;
	if (client->pipe.write_queue_size + len > KT_PRESENT_UNREAD_BYTES_MAX)
		return drop(client, "it does not read what it asked for");
	answer = kt_must_calloc(1, sizeof(*answer) + len + 1);
	memcpy(answer->text, text, len);
	answer->text[len] = '\n';
	answer->req.data = answer;
	buf = uv_buf_init(answer->text, (unsigned int)len + 1);
	if (!client->unread_since_ns)
		client->unread_since_ns = kt_clock_now_ns();
	if (uv_write(&answer->req, (uv_stream_t *)&client->pipe, &buf, 1, on_written) < 0) {
		free(answer);
		drop(client, NULL);
	}
}

void kt_present_answer(struct kt_present *present, uint64_t id, struct json_object *json,
		       bool final)
{
	struct client *client = find(present, id);

	if (client && client->asked != ASK_OF_NONE) {
		json_object_object_add(json, "ask", json_object_new_string(words[client->asked]));
		json_object_object_add(json, "final", json_object_new_boolean(final));
		if (final) {
			client->asked = ASK_OF_NONE;
			client->idle_since_ns = kt_clock_now_ns();
			/* It may have asked on meanwhile: from the loop, not from here. */
			uv_timer_start(&present->look, on_look, 0, LOOK_MS);
		}
		send_line(client, json);
	}
	json_object_put(json);
}

void kt_present_refuse(struct kt_present *present, uint64_t client, const char *text)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "error", json_object_new_string(text));
	kt_present_answer(present, client, json, true);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct client *client = handle->data;

	*buf = uv_buf_init(client->room, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *client = stream->data;

	if (n < 0)
		return drop(client, NULL);
	kt_buf_append(&client->in, buf->base, (size_t)n);
	take_lines(client);
}

static void refuse_and_drop(struct client *client, const char *text)
{
	KT_AUTO_FREE char *why = kt_must_strdup(text);
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "error", json_object_new_string(why));
	json_object_object_add(json, "final", json_object_new_boolean(true));
	send_line(client, json);
	json_object_put(json);
	drop(client, why);
}

/* One at a time: while an ask waits for its answer the client is not read. */
static void take_lines(struct client *client)
{
	struct kt_present *present = client->present;

	while (!client->closing && client->asked == ASK_OF_NONE) {
		const uint8_t *end =
			client->in.len ? memchr(client->in.data, '\n', client->in.len) : NULL;
		struct kt_present_ask ask;
		struct kt_err err = { 0 };
		size_t len;

		if (!end && client->in.len > KT_PRESENT_LINE_BYTES_MAX)
			return refuse_and_drop(client, "an ask has too many bytes");
		if (!end) {
			uv_read_start((uv_stream_t *)&client->pipe, on_room, on_read);
			return;
		}
		len = (size_t)(end - client->in.data);
		if (kt_present_parse(client->in.data, len, &ask, &err) < 0)
			return refuse_and_drop(client, err.text);
		kt_buf_consume(&client->in, len + 1);
		ask.uid = client->uid;
		client->asked = ask.kind;
		uv_read_stop((uv_stream_t *)&client->pipe);
		present->events->ask(present->arg, client->id, &ask);
	}
}

static int peer_of(struct client *client)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&client->pipe, &fd) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return -1;
	client->uid = who.uid;
	return who.uid == 0 || who.uid == geteuid() ? 0 : -1;
}

/* So that nobody who just sits there keeps others out. */
static void make_place(struct kt_present *present)
{
	struct client *idlest = NULL;
	struct client *client;

	if (present->n_clients < KT_PRESENT_CLIENTS_MAX)
		return;
	DL_FOREACH (present->clients, client)
		if (client->asked == ASK_OF_NONE &&
		    (!idlest || client->idle_since_ns < idlest->idle_since_ns))
			idlest = client;
	if (idlest)
		drop(idlest, "too many clients, and it has been idle longest");
}

static void on_client(uv_stream_t *server, int status)
{
	struct kt_present *present = server->data;
	struct client *client;

	if (status < 0)
		return;
	make_place(present);
	client = kt_must_calloc(1, sizeof(*client));
	client->present = present;
	client->id = ++present->ids;
	client->asked = ASK_OF_NONE;
	client->idle_since_ns = kt_clock_now_ns();
	client->in = KT_BUF_MAX(2 * READ_BYTES);
	kt_must(uv_pipe_init(server->loop, &client->pipe, 0) == 0);
	present->n_handles++;
	client->pipe.data = client;
	DL_APPEND(present->clients, client);
	present->n_clients++;
	if (uv_accept(server, (uv_stream_t *)&client->pipe) < 0)
		return drop(client, "it could not be accepted");
	if (peer_of(client) < 0)
		return drop(client, "another user: only the coordinator's own and root are served");
	if (present->n_clients > KT_PRESENT_CLIENTS_MAX)
		return refuse_and_drop(client, "too many clients wait for answers");
	take_lines(client);
}

static void on_look(uv_timer_t *timer)
{
	struct kt_present *present = timer->data;
	int64_t now_ns = kt_clock_now_ns();
	struct client *client;
	struct client *next;

	DL_FOREACH_SAFE (present->clients, client, next) {
		if (client->unread_since_ns &&
		    now_ns - client->unread_since_ns > KT_PRESENT_UNREAD_NS_MAX)
			drop(client, "it does not read what it asked for");
		else
			take_lines(client);
	}
}

/* ---- life ---- */

static void on_own_closed(uv_handle_t *handle)
{
	let_go(handle->data);
}

int kt_present_open(uv_loop_t *loop, const char *path, const struct kt_present_events *events,
		    void *arg, struct kt_present **present_p, struct kt_err *err)
{
	KT_AUTO(kt_present_destroy)
	struct kt_present *present = kt_must_calloc(1, sizeof(*present));
	mode_t mask;
	int status;

	present->events = events;
	present->arg = arg;
	snprintf(present->path, sizeof(present->path), "%s", path);
	kt_must(uv_pipe_init(loop, &present->pipe, 0) == 0);
	kt_must(uv_timer_init(loop, &present->look) == 0);
	present->pipe.data = present->look.data = present;
	present->n_handles = 2;
	unlink(path);
	mask = umask(0177); /* no moment in which it is anybody else's */
	status = uv_pipe_bind(&present->pipe, path);
	umask(mask);
	if (status == 0)
		status = uv_listen((uv_stream_t *)&present->pipe, BACKLOG, on_client);
	if (status < 0)
		return kt_err_set(err, KT_FAULT_HOST, -status, "listening on %s: %s", path,
				  uv_strerror(status));
	uv_timer_start(&present->look, on_look, LOOK_MS, LOOK_MS);
	*present_p = kt_take(&present);
	return 0;
}

void kt_present_destroy(struct kt_present **present_p)
{
	struct kt_present *present = kt_take(present_p);
	struct client *client;
	struct client *next;

	if (!present)
		return;
	present->closing = true;
	DL_FOREACH_SAFE (present->clients, client, next)
		drop(client, NULL);
	unlink(present->path);
	uv_close((uv_handle_t *)&present->look, on_own_closed);
	uv_close((uv_handle_t *)&present->pipe, on_own_closed);
}
