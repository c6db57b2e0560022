#include "tests/sim/world.h"
#include "proto/base/must.h"

#include <errno.h>
#include <string.h>

/* ---- messages ---- */

/* The struct and all that it points to, as encoding and decoding it would give. */
static void copy_into(const struct kt_schema *schema, const void *from, struct kt_arena *arena,
		      void *into)
{
	memcpy(into, from, schema->size);
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct kt_field *field = &schema->fields[i];
		void *to = (char *)into + field->offset;

		switch (field->type) {
		case KT_FIELD_STR: {
			const char **text = to;

			*text = *text && **text ? kt_arena_strdup(arena, *text) : "";
			break;
		}
		case KT_FIELD_BIN: {
			struct kt_bin *bin = to;

			bin->data = bin->len ? kt_arena_copy(arena, bin->data, bin->len) : NULL;
			break;
		}
		case KT_FIELD_ONE: {
			void **one = to;
			void *copy;

			if (!*one)
				break;
			copy = kt_arena_alloc(arena, 1, field->of->size);
			copy_into(field->of, *one, arena, copy);
			*one = copy;
			break;
		}
		case KT_FIELD_LIST: {
			void **list = to;
			size_t n = *(size_t *)(void *)((char *)into + field->count_offset);
			char *copy = n ? kt_arena_alloc(arena, n, field->of->size) : NULL;

			for (size_t k = 0; k < n; k++)
				copy_into(field->of, (char *)*list + k * field->of->size, arena,
					  copy + k * field->of->size);
			*list = copy;
			break;
		}
		default:
			break;
		}
	}
}

struct message *wires_message(struct world *w, const struct kt_family *family, uint32_t tag,
			      const void *body)
{
	const struct kt_message *known = kt_codec_message(family, tag);
	struct message *message = w->free_messages;

	if (message)
		w->free_messages = message->next;
	else
		message = kt_must_calloc(1, sizeof(*message));
	message->tag = tag;
	message->refs = 1;
	message->next = NULL;
	/* The codec is not what is simulated: some go through it all the same. */
	if (world_chance(w, STREAM_OTHER, w->percent_codec)) {
		KT_AUTO_BUF bytes = { 0 };
		struct kt_err err = { 0 };
		int status;

		kt_codec_encode_frame(family, tag, body, &bytes);
		status = kt_codec_decode_frame(family, bytes.data, bytes.len, &message->arena,
					       &known, &message->body, &err);
		if (status < 0)
			promises_broken(w, PROMISE_BOUNDED,
					"what was encoded cannot be decoded: %s", err.text);
	} else {
		message->body = kt_arena_alloc(&message->arena, 1, known->schema->size);
		copy_into(known->schema, body, &message->arena, message->body);
	}
	w->n_messages++;
	return message;
}

void wires_release(struct world *w, struct message *message)
{
	if (!message || --message->refs > 0)
		return;
	kt_arena_reset(&message->arena);
	message->next = w->free_messages;
	w->free_messages = message;
}

/* ---- connections ---- */

static struct conn *conn_of(struct world *w, uint32_t who)
{
	uint32_t index = w->crews[who].conn;

	return index && w->conns[index].up ? &w->conns[index] : NULL;
}

void wires_connect(struct world *w, uint32_t who, int64_t in_ns)
{
	struct crew *crew = &w->crews[who];

	if (crew->connecting)
		return;
	crew->connecting = true;
	world_push(w, in_ns, (struct event){ .kind = EV_CONNECT, .who = who, .life = crew->life });
}

void wires_try(struct world *w, uint32_t who)
{
	struct crew *crew = &w->crews[who];
	struct conn *conn;

	crew->connecting = false;
	if (!crew->alive || (crew->conn && w->conns[crew->conn].up))
		return;
	if (!w->coord.alive || w->coord.paused || crew->barred || crew->cut.up || crew->cut.down) {
		wires_connect(w, who, world_span(w, STREAM_NET, 200 * MS, 2 * S));
		return;
	}
	kt_must(w->n_conns < CONNS_MAX);
	crew->conn = w->n_conns++;
	conn = &w->conns[crew->conn];
	*conn = (struct conn){ .who = who,
			       .who_life = crew->life,
			       .coord_life = w->coord.life,
			       .peer = ++w->coord.peers,
			       .up = true };
	world_trace(w, "worker %u: connects as peer %llu", who, (unsigned long long)conn->peer);
	world_push(
		w, world_span(w, STREAM_NET, 0, 5 * MS),
		(struct event){
			.kind = EV_LINK_UP, .who = who, .life = crew->life, .number = crew->conn });
}

/* clean: the other side is told by its kernel. What is under way is delivered or not, as it comes. */
void wires_break(struct world *w, uint32_t who, bool clean, bool told)
{
	struct conn *conn = conn_of(w, who);
	struct crew *crew = &w->crews[who];

	if (!conn)
		return;
	world_trace(w, "worker %u: peer %llu breaks%s", who, (unsigned long long)conn->peer,
		    clean ? "" : " and nobody tells the coordinator");
	conn->up = false;
	conn->noticed = clean;
	if (told && crew->alive)
		world_push(w, world_span(w, STREAM_NET, 0, 300 * MS),
			   (struct event){ .kind = EV_LINK_DOWN,
					   .who = who,
					   .life = crew->life,
					   .number = crew->conn });
	if (crew->alive)
		wires_connect(w, who, world_span(w, STREAM_NET, 300 * MS, 2 * S));
}

/* Its kernel closes all connections, or is gone as well: then only silence tells. */
void wires_coord_died(struct world *w, bool silently)
{
	for (uint32_t who = 0; who < PROCS_MAX; who++) {
		struct conn *conn = conn_of(w, who);
		struct crew *crew = &w->crews[who];

		if (!conn || !crew->alive)
			continue;
		conn->up = silently;
		if (silently)
			continue;
		world_push(w, world_span(w, STREAM_NET, 0, 300 * MS),
			   (struct event){ .kind = EV_LINK_DOWN,
					   .who = who,
					   .life = crew->life,
					   .number = crew->conn });
		wires_connect(w, who, world_span(w, STREAM_NET, 300 * MS, 2 * S));
	}
}

/* ---- sending ---- */

static int64_t delay(struct world *w)
{
	int64_t span_ns = world_span(w, STREAM_NET, 50 * KT_NS_PER_US, 3 * MS);

	if (world_has(w, FAULT_DELAY) && world_chance(w, FAULT_DELAY, 10)) {
		w->hits[FAULT_DELAY]++;
		span_ns += world_span(w, FAULT_DELAY, 0, w->delay_ns);
	}
	return span_ns;
}

static void send(struct world *w, struct conn *conn, bool up, uint32_t tag, const void *body)
{
	struct crew *crew = &w->crews[conn->who];
	bool blocked = up ? crew->cut.up : crew->cut.down;
	int64_t *last_ns = up ? &conn->last_up_ns : &conn->last_down_ns;
	int64_t at_ns = w->now_ns + delay(w);
	struct event event = { .kind = up ? EV_UP : EV_DOWN,
			       .who = conn->who,
			       .number = (uint64_t)(conn - w->conns) };

	if (blocked && !crew->cut.holds)
		return;
	if (world_has(w, FAULT_DROP) && world_chance(w, FAULT_DROP, w->percent_drop)) {
		w->hits[FAULT_DROP]++;
		world_trace(w, "worker %u: %s is dropped", conn->who,
			    kt_codec_message(&kt_schema_fleet, tag)->schema->name);
		return;
	}
	if (blocked && at_ns < crew->cut.until_ns)
		at_ns = crew->cut.until_ns + delay(w);
	if (world_has(w, FAULT_REORDER) && world_chance(w, FAULT_REORDER, w->percent_reorder)) {
		w->hits[FAULT_REORDER]++;
		at_ns += world_span(w, FAULT_REORDER, 0, 300 * MS);
	} else {
		at_ns = at_ns > *last_ns ? at_ns : *last_ns;
		*last_ns = at_ns;
	}
	event.message = wires_message(w, &kt_schema_fleet, tag, body);
	if (world_has(w, FAULT_TWICE) && world_chance(w, FAULT_TWICE, w->percent_twice)) {
		w->hits[FAULT_TWICE]++;
		event.message->refs++;
		world_push(w, at_ns - w->now_ns + world_span(w, FAULT_TWICE, 0, 2 * S), event);
	}
	world_push(w, at_ns - w->now_ns, event);
}

/* As kt_dealer_send(): nothing is queued while down. */
int wires_send_up(struct world *w, uint32_t who, uint32_t tag, const void *body)
{
	struct conn *conn = conn_of(w, who);

	if (!conn)
		return -ENOTCONN;
	send(w, conn, true, tag, body);
	return 0;
}

int wires_send_down(struct world *w, uint64_t peer, uint32_t tag, const void *body)
{
	for (uint32_t i = w->n_conns - 1; i > 0; i--) {
		struct conn *conn = &w->conns[i];

		if (conn->peer != peer || conn->coord_life != w->coord.life)
			continue;
		if (conn->up)
			send(w, conn, false, tag, body);
		else if (conn->noticed)
			return -EHOSTUNREACH;
		return 0;
	}
	return -EHOSTUNREACH;
}

bool wires_may_arrive(const struct world *w, const struct event *event)
{
	const struct conn *conn = &w->conns[event->number];
	const struct crew *crew = &w->crews[conn->who];

	if (event->kind == EV_UP) /* what its kernel has is read, though the other side is gone */
		return w->coord.alive && conn->coord_life == w->coord.life &&
		       (conn->up || conn->lingers || (event->seq & 1));
	return crew->alive && conn->who_life == crew->life && conn->up &&
	       crew->conn == event->number;
}
