/* ktassert_plugin.h - what a verdict plug-in is: a shared library with one function.
 *
 *	[[scenario]]
 *	verdict = { plugin = "path.so", deadline = "10s" }
 *
 * The path is relative to the folder of the matrix; the deadline goes from 100ms to 5m.
 * ktcoord calls it for every cell of the scenario that has a result, beside the scenario's assertions, with the
 * samples and an empty verdict. What it says into the verdict is merged with what the assertions said: it can make
 * a cell fail, it cannot make a failed one pass.
 *
 *	#include <ktassert_plugin.h>
 *
 *	KT_ASSERT_PLUGIN(const struct kt_assert_series *series, struct kt_assert_verdict *verdict)
 *	{
 *		struct kt_assert_error error;
 *
 *		return kt_assert_judge(verdict, series, "series = 'bpf:n', nondecreasing = true", &error);
 *	}
 *
 *	cc -shared -fPIC plugin.c -o plugin.so $(pkg-config --cflags --libs ktassert)
 *
 * examples/verdict-plugin is a whole one. The functions are those of ktassert.h and nothing else; both handles are
 * lent for the call.
 *
 * Where it runs: for each cell a call, in a process of its own that can neither start others nor open sockets nor write files;
 * as nobody where ktcoord is root; with 1 GiB of address space beside what the samples take, one thread, and a
 * deadline (10 s unless the matrix says otherwise). Of what it prints the last 512 bytes are kept. A plug-in that crashes,
 * hangs, exits, returns something else than 0 or needs more memory has not judged: the cell is inconclusive, with
 * a sentence of kind "Plugin" that says what happened. Link it to the shared library, never to libktassert.a.
 *
 * It should look at nothing but its arguments: then `ktcoord judge` gives the same verdict again from the stored
 * samples. The file is copied when the sweep begins; judging again with a matrix that names it takes a new copy.
 */
#ifndef KT_ASSERT_PLUGIN_H
#define KT_ASSERT_PLUGIN_H

#include <ktassert.h>

/* The version stands in the symbol's name: a plug-in of another one is refused before anything runs. */
#define KT_ASSERT_PLUGIN_VERSION 1
#define KT_ASSERT_PLUGIN_SYMBOL  "kt_assert_plugin_v1"

/* Returns 0; else the plug-in could not judge: what it said is dropped but for notes. */
typedef int kt_assert_plugin_fn(const struct kt_assert_series *series,
				struct kt_assert_verdict *verdict);

#ifdef __cplusplus
#define KT_ASSERT_PLUGIN extern "C" __attribute__((visibility("default"))) int kt_assert_plugin_v1
#else
#define KT_ASSERT_PLUGIN                                                                      \
	int kt_assert_plugin_v1(const struct kt_assert_series *, struct kt_assert_verdict *); \
	__attribute__((visibility("default"))) int kt_assert_plugin_v1
#endif

#endif
