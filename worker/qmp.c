#include "worker/qmp.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES_MAX 4096

static void put_json(struct json_object **object_p)
{
	json_object_put(*object_p);
}

static void put_tokener(struct json_tokener **tokener_p)
{
	if (*tokener_p)
		json_tokener_free(*tokener_p);
}

static const char *member_text(struct json_object *object, const char *key)
{
	struct json_object *member;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &member) ||
	    !json_object_is_type(member, json_type_string))
		return "";
	return json_object_get_string(member);
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *found = NULL;

	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &found);
	return found;
}

static int64_t member_int(struct json_object *object, const char *key)
{
	struct json_object *found = member(object, key);

	return json_object_is_type(found, json_type_int) ? json_object_get_int64(found) : 0;
}

static void copy_cut(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = 0;
	/* It ends in logs and on terminals. */
	for (char *c = to; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
}

static void parse_greeting(struct json_object *qmp, struct kt_qmp_line *parsed)
{
	struct json_object *version = member(member(qmp, "version"), "qemu");

	parsed->kind = KT_QMP_GREETING;
	snprintf(parsed->word, sizeof(parsed->word), "%lld.%lld.%lld",
		 (long long)member_int(version, "major"), (long long)member_int(version, "minor"),
		 (long long)member_int(version, "micro"));
}

static void parse_event(struct json_object *line, struct kt_qmp_line *parsed)
{
	struct json_object *stamp = member(line, "timestamp");
	int64_t s = member_int(stamp, "seconds");
	int64_t us = member_int(stamp, "microseconds");

	parsed->kind = KT_QMP_EVENT;
	copy_cut(parsed->word, sizeof(parsed->word), member_text(line, "event"));
	copy_cut(parsed->text, sizeof(parsed->text), member_text(member(line, "data"), "reason"));
	if (s > 0 && s < INT64_MAX / 1000000 - 1 && us >= 0 && us < 1000000)
		parsed->at_us = s * 1000000 + us;
}

int kt_qmp_parse(const char *line, size_t len, struct kt_qmp_line *parsed, struct kt_err *err)
{
	KT_AUTO(put_tokener)
	struct json_tokener *tokener = json_tokener_new_ex(KT_QMP_DEPTH_MAX);
	KT_AUTO(put_json) struct json_object *object = NULL;
	struct json_object *found;

	kt_must(tokener != NULL);
	memset(parsed, 0, sizeof(*parsed));
	if (len > KT_QMP_LINE_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_PEER, EPROTO,
				  "a line of QEMU's monitor is too long");
	object = json_tokener_parse_ex(tokener, line, (int)len);
	if (json_tokener_get_error(tokener) != json_tokener_success ||
	    !json_object_is_type(object, json_type_object))
		return kt_err_set(err, KT_FAULT_PEER, EPROTO,
				  "QEMU's monitor said something that is no JSON object");
	parsed->id = (uint64_t)member_int(object, "id");
	if (json_object_object_get_ex(object, "return", &found)) {
		parsed->kind = KT_QMP_RETURN;
		copy_cut(parsed->word, sizeof(parsed->word), member_text(found, "status"));
	} else if (json_object_object_get_ex(object, "error", &found)) {
		parsed->kind = KT_QMP_ERROR;
		copy_cut(parsed->word, sizeof(parsed->word), member_text(found, "class"));
		copy_cut(parsed->text, sizeof(parsed->text), member_text(found, "desc"));
	} else if (json_object_object_get_ex(object, "event", &found)) {
		parse_event(object, parsed);
	} else if (json_object_object_get_ex(object, "QMP", &found)) {
		parse_greeting(found, parsed);
	} else {
		return kt_err_set(err, KT_FAULT_PEER, EPROTO,
				  "QEMU's monitor said neither return, error, event nor greeting");
	}
	return 0;
}

void kt_qmp_init(struct kt_qmp *qmp, int fd)
{
	memset(qmp, 0, sizeof(*qmp));
	qmp->fd = fd;
	qmp->in.max = KT_QMP_LINE_BYTES_MAX + READ_BYTES_MAX;
	kt_must(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

void kt_qmp_destroy(struct kt_qmp *qmp)
{
	kt_own_close(&qmp->fd);
	kt_buf_destroy(&qmp->in);
}

static void note_event(struct kt_qmp *qmp, const struct kt_qmp_line *event)
{
	if (strcmp(event->word, "STOP") == 0)
		qmp->stopped_at_us = event->at_us;
	else if (strcmp(event->word, "RESUME") == 0)
		qmp->resumed_at_us = event->at_us;
	else if (strcmp(event->word, "GUEST_PANICKED") == 0)
		qmp->guest_panicked = true;
	else if (strcmp(event->word, "SHUTDOWN") == 0) {
		qmp->shutdown_seen = true;
		copy_cut(qmp->shutdown_reason, sizeof(qmp->shutdown_reason), event->text);
	}
}

static int digest_line(struct kt_qmp *qmp, const char *line, size_t len, struct kt_err *err)
{
	struct kt_qmp_line parsed;
	int rc = kt_qmp_parse(line, len, &parsed, err);

	if (rc < 0)
		return rc;
	switch (parsed.kind) {
	case KT_QMP_GREETING:
		qmp->greeted = true;
		copy_cut(qmp->version, sizeof(qmp->version), parsed.word);
		break;
	case KT_QMP_EVENT:
		note_event(qmp, &parsed);
		break;
	case KT_QMP_RETURN:
	case KT_QMP_ERROR:
		qmp->reply = parsed;
		qmp->has_reply = true;
		break;
	}
	return 0;
}

static int digest(struct kt_qmp *qmp, struct kt_err *err)
{
	int rc = 0;

	while (rc == 0 && qmp->in.len > 0) {
		const char *line = (const char *)qmp->in.data;
		const char *end = memchr(line, '\n', qmp->in.len);

		if (!end) {
			if (qmp->in.len > KT_QMP_LINE_BYTES_MAX)
				rc = kt_err_set(err, KT_FAULT_PEER, EPROTO,
						"a line of QEMU's monitor is too long");
			break;
		}
		if (end > line + 1) /* "\r\n" alone is nothing */
			rc = digest_line(qmp, line, (size_t)(end - line), err);
		kt_buf_consume(&qmp->in, (size_t)(end - line) + 1);
	}
	return rc;
}

int kt_qmp_fill(struct kt_qmp *qmp, struct kt_err *err)
{
	uint8_t *at = kt_buf_reserve(&qmp->in, READ_BYTES_MAX);
	ssize_t n;

	kt_must(at != NULL);
	n = read(qmp->fd, at, READ_BYTES_MAX);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno != ECONNRESET)
		return kt_err_sys(err, KT_FAULT_PEER, errno, "reading QEMU's monitor");
	if (n <= 0) {
		qmp->eof = true;
		return 0;
	}
	qmp->in.len += (size_t)n;
	return digest(qmp, err);
}

/* A descriptor travels with the first byte (unix(7), SCM_RIGHTS). */
static ssize_t send_line(int to_fd, char *line, size_t len, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec part = { line, len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	return sendmsg(to_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int kt_qmp_send(struct kt_qmp *qmp, const struct kt_qmp_command *command, uint64_t *id,
		struct kt_err *err)
{
	char line[512];
	int len;

	*id = ++qmp->last_id;
	len = snprintf(line, sizeof(line), "{\"execute\":\"%s\",%s%s%s\"id\":%llu}\n",
		       command->name, command->arguments ? "\"arguments\":" : "",
		       command->arguments ? command->arguments : "", command->arguments ? "," : "",
		       (unsigned long long)*id);
	kt_must(len > 0 && (size_t)len < sizeof(line));
	if (send_line(qmp->fd, line, (size_t)len, command->has_fd ? command->fd : -1) != len)
		return kt_err_sys(err, KT_FAULT_PEER, errno ? errno : EIO,
				  "sending %s to QEMU's monitor", command->name);
	return 0;
}

/* Until done() or the deadline. */
static int wait_for(struct kt_qmp *qmp, bool (*done)(const struct kt_qmp *qmp), const char *what,
		    int64_t deadline_ns, struct kt_err *err)
{
	while (!done(qmp)) {
		struct pollfd poll_fd = { .fd = qmp->fd, .events = POLLIN };
		int64_t left_ns = deadline_ns - kt_clock_now_ns();
		struct timespec left = { .tv_sec = left_ns / KT_NS_PER_S,
					 .tv_nsec = left_ns % KT_NS_PER_S };

		if (qmp->eof)
			return kt_err_set(err, KT_FAULT_HOST, EPIPE, "QEMU closed its monitor");
		if (left_ns <= 0)
			return kt_err_set(err, KT_FAULT_HOST, ETIMEDOUT,
					  "QEMU's monitor did not answer %s in time", what);
		if (ppoll(&poll_fd, 1, &left, NULL) > 0 && kt_qmp_fill(qmp, err) < 0)
			return -err->code;
	}
	return 0;
}

static bool has_greeted(const struct kt_qmp *qmp)
{
	return qmp->greeted;
}

static bool has_answered(const struct kt_qmp *qmp)
{
	return qmp->has_reply && qmp->reply.id == qmp->last_id;
}

int kt_qmp_exchange(struct kt_qmp *qmp, const struct kt_qmp_command *command, int64_t deadline_ns,
		    struct kt_err *err)
{
	struct kt_err own = { 0 };
	struct kt_err *to = err ? err : &own; /* wait_for() reads the code back */
	uint64_t id;
	int rc = kt_qmp_send(qmp, command, &id, to);

	if (rc == 0)
		rc = wait_for(qmp, has_answered, command->name, deadline_ns, to);
	if (rc == 0 && qmp->reply.kind == KT_QMP_ERROR)
		rc = kt_err_set(to, KT_FAULT_HOST, EIO, "QEMU refused %s: %s: %s", command->name,
				qmp->reply.word, qmp->reply.text);
	return rc;
}

int kt_qmp_call(struct kt_qmp *qmp, const char *name, int64_t deadline_ns, struct kt_err *err)
{
	const struct kt_qmp_command command = { .name = name };

	return kt_qmp_exchange(qmp, &command, deadline_ns, err);
}

int kt_qmp_open(struct kt_qmp *qmp, int64_t deadline_ns, struct kt_err *err)
{
	struct kt_err own = { 0 };
	struct kt_err *to = err ? err : &own;
	int rc = wait_for(qmp, has_greeted, "with its greeting", deadline_ns, to);

	if (rc == 0)
		rc = kt_qmp_call(qmp, "qmp_capabilities", deadline_ns, to);
	return rc;
}
