#include "tests/unit/proto/net/net_pair.h"

static const char *const kinds[] = { "ipc", "tcp://127.0.0.1:*", "tcp://[::1]:*" };

Test(router, ten_thousand_messages_go_both_ways_without_a_stall)
{
	enum { N = 10000 };

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct net net;
		struct net_end *end = &net.ends[0];
		uint64_t seq = 1;

		net_open_with(&net, kinds[k], 1);
		net.is_echo = true;
		end->seq_last = 1;
		while (end->seq_last < N && !net.is_late) {
			while (seq < N && net_sync(&net, 0, seq + 1) == 0)
				seq++;
			net_until(&net, 5000, end->seq_last == seq);
		}
		cr_assert(end->n_frames == N - 1, "%s: %zu of %d", kinds[k], end->n_frames, N - 1);
		cr_assert(end->is_ordered);
		cr_assert(net.n_frames == N);
		cr_assert(net.n_batches < N, "frames come in batches");
		cr_assert(kt_router_queued_bytes(net.router, net.peers[0]) == 0);
		net_close(&net);
	}
}
