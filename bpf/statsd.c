#include "bpf/statsd.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define JSON_DEPTH_MAX 16

struct client {
	int fd; /* -1: free */
	struct kt_buf in; /* at most one request */
	struct kt_buf out;
};

struct kt_statsd {
	int fd;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const struct kt_statsd_source *source;
	struct client clients[KT_STATSD_CLIENTS_MAX];
};

/* ---- requests ---- */

static struct json_object *resp_stats(const struct kt_statsd_source *source)
{
	struct json_object *resp = json_object_new_object();

	for (size_t i = 0; i < source->n_counters; i++)
		json_object_object_add(resp, source->counters[i].name,
				       json_object_new_uint64(source->counters[i].read(i)));
	return resp;
}

static struct json_object *resp_stats_meta(const struct kt_statsd_source *source)
{
	struct json_object *resp = json_object_new_object();
	struct json_object *top = json_object_new_object();
	struct json_object *fields = json_object_new_object();

	for (size_t i = 0; i < source->n_counters; i++) {
		struct json_object *field = json_object_new_object();

		json_object_object_add(field, "datum", json_object_new_string("u64"));
		json_object_object_add(field, "desc",
				       json_object_new_string(source->counters[i].sentence));
		json_object_object_add(fields, source->counters[i].name, field);
	}
	json_object_object_add(top, "name", json_object_new_string(source->scheduler));
	json_object_object_add(top, "desc",
			       json_object_new_string("totals since the scheduler was loaded, "
						      "not the change since the last request"));
	json_object_object_add(top, "fields", fields);
	json_object_object_add(resp, "top", top);
	return resp;
}

/* request, whether it takes a target, what answers it */
static const struct request {
	const char *name;
	bool has_target;
	struct json_object *(*resp)(const struct kt_statsd_source *source);
} requests[] = {
	{ "stats", true, resp_stats },
	{ "stats_meta", false, resp_stats_meta },
};

static int find_resp(const struct kt_statsd_source *source, struct json_object *json,
		     struct json_object **resp, const char **why)
{
	struct json_object *req;
	struct json_object *args = NULL;
	struct json_object *target = NULL;

	if (!json_object_is_type(json, json_type_object)) {
		*why = "a request is a JSON object";
		return EINVAL;
	}
	if (!json_object_object_get_ex(json, "req", &req) ||
	    !json_object_is_type(req, json_type_string)) {
		*why = "\"req\" is missing or no string";
		return EINVAL;
	}
	if (json_object_object_get_ex(json, "args", &args) &&
	    !json_object_is_type(args, json_type_object)) {
		*why = "\"args\" is no object";
		return EINVAL;
	}
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (strcmp(json_object_get_string(req), requests[i].name) != 0)
			continue;
		if (requests[i].has_target && json_object_object_get_ex(args, "target", &target) &&
		    (!json_object_is_type(target, json_type_string) ||
		     strcmp(json_object_get_string(target), "top") != 0)) {
			*why = "the only target is \"top\"";
			return ENOENT;
		}
		*resp = requests[i].resp(source);
		return 0;
	}
	*why = "no such request: stats or stats_meta";
	return ENOSYS;
}

void kt_statsd_answer(const struct kt_statsd_source *source, const char *line, size_t len,
		      struct kt_buf *out)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	struct json_object *answer = json_object_new_object();
	struct json_object *args = json_object_new_object();
	struct json_object *resp = NULL;
	struct json_object *json;
	const char *why = "not JSON";
	int code = EINVAL;

	kt_must(tokener);
	kt_must(len <= KT_STATS_BYTES_MAX);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	json = json_tokener_parse_ex(tokener, line, (int)len);
	/* a bare number is only complete once something ends it: never a request anyway */
	if (json_tokener_get_error(tokener) == json_tokener_success)
		code = find_resp(source, json, &resp, &why);
	if (!resp)
		resp = json_object_new_string(why);
	json_object_object_add(args, "resp", resp);
	json_object_object_add(answer, "errno", json_object_new_int(code));
	json_object_object_add(answer, "args", args);
	kt_buf_puts(out, json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
	kt_buf_puts(out, "\n");
	json_object_put(answer);
	json_object_put(json);
	json_tokener_free(tokener);
}

/* ---- the socket ---- */

static int make_folders(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(folder, path, (size_t)(slash - path));
		folder[slash - path] = 0;
		if (mkdir(folder, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int kt_statsd_open(const char *path, const struct kt_statsd_source *source,
		   struct kt_statsd **statsd_p)
{
	KT_AUTO(kt_statsd_destroy) struct kt_statsd *statsd = kt_must_calloc(1, sizeof(*statsd));
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int status;

	statsd->fd = -1;
	statsd->source = source;
	for (size_t i = 0; i < KT_STATSD_CLIENTS_MAX; i++)
		statsd->clients[i] = (struct client){ .fd = -1,
						      .in = KT_BUF_MAX(KT_STATS_BYTES_MAX),
						      .out = KT_BUF_MAX(KT_STATS_BYTES_MAX) };
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	status = make_folders(path);
	if (status < 0)
		return status;
	strcpy(address.sun_path, path);
	unlink(path);
	statsd->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (statsd->fd < 0)
		return -errno;
	if (bind(statsd->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	strcpy(statsd->path, path);
	if (listen(statsd->fd, KT_STATSD_CLIENTS_MAX) < 0)
		return -errno;
	*statsd_p = kt_take(&statsd);
	return 0;
}

static void drop(struct client *client)
{
	kt_own_close(&client->fd);
	kt_buf_destroy(&client->in);
	kt_buf_destroy(&client->out);
}

size_t kt_statsd_fds(const struct kt_statsd *statsd, struct pollfd *fds)
{
	size_t n = 0;

	fds[n++] = (struct pollfd){ .fd = statsd->fd, .events = POLLIN };
	for (size_t i = 0; i < KT_STATSD_CLIENTS_MAX; i++) {
		const struct client *client = &statsd->clients[i];

		if (client->fd >= 0)
			fds[n++] = (struct pollfd){
				.fd = client->fd,
				.events = POLLIN | (client->out.len ? POLLOUT : 0),
			};
	}
	return n;
}

static void take_in(struct kt_statsd *statsd)
{
	int fd;

	while ((fd = accept4(statsd->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		size_t i = 0;

		while (i < KT_STATSD_CLIENTS_MAX && statsd->clients[i].fd >= 0)
			i++;
		if (i == KT_STATSD_CLIENTS_MAX) {
			close(fd);
			continue;
		}
		statsd->clients[i].fd = fd;
	}
}

/* Answers every whole line; false when the client is to be dropped. */
static bool answer_lines(struct kt_statsd *statsd, struct client *client)
{
	uint8_t *newline;

	while (client->in.len && (newline = memchr(client->in.data, '\n', client->in.len))) {
		kt_statsd_answer(statsd->source, (char *)client->in.data,
				 (size_t)(newline - client->in.data), &client->out);
		kt_buf_consume(&client->in, (size_t)(newline - client->in.data) + 1);
		if (client->out.full)
			return false;
	}
	return true;
}

static bool serve(struct kt_statsd *statsd, struct client *client)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(client->fd, piece, sizeof(piece))) > 0) {
		kt_buf_append(&client->in, piece, (size_t)n);
		if (client->in.full || !answer_lines(statsd, client))
			return false;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return false;
	while (client->out.len) {
		n = send(client->fd, client->out.data, client->out.len, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		kt_buf_consume(&client->out, (size_t)n);
	}
	return true;
}

void kt_statsd_serve(struct kt_statsd *statsd)
{
	take_in(statsd);
	for (size_t i = 0; i < KT_STATSD_CLIENTS_MAX; i++) {
		struct client *client = &statsd->clients[i];

		if (client->fd >= 0 && !serve(statsd, client))
			drop(client);
	}
}

void kt_statsd_destroy(struct kt_statsd **statsd_p)
{
	struct kt_statsd *statsd = *statsd_p;

	if (!statsd)
		return;
	for (size_t i = 0; i < KT_STATSD_CLIENTS_MAX; i++)
		drop(&statsd->clients[i]);
	kt_own_close(&statsd->fd);
	if (statsd->path[0])
		unlink(statsd->path);
	free(statsd);
	*statsd_p = NULL;
}
