/* runner_scripted.h - the headless runner: plays job.script instead of booting a guest.
 *
 * It drives coordinator and worker through everything that a guest can do to them, in milliseconds and
 * in the agent's own loop. Results are stamped runner "scripted", accel "none", guest "none".
 *
 * A script is a list of commands, separated by ';' or new lines; '#' begins a comment.
 *
 *	boot DUR                 phase "boot", then wait
 *	load DUR                 phase "load", then wait
 *	run                      phase "run"; implied by the first wait or sample
 *	drain DUR                phase "drain", then wait
 *	wait DUR                 time passes
 *	sample [WHAT...]         one sample; WHAT is
 *	    AXIS.PATH=VALUE      bpf.nr_dispatched=100  stats.nr_dispatched=100  monitor.cpus=2
 *	                         VALUE: an integer, a number with a point, true, false, or "text"
 *	    AXIS!ERROR           stats!deadline: the axis is a typed error
 *	    tag=NAME             a capture on demand; without it periodic ones come first
 *	    placeholder="WHY"    nothing could be captured
 *	    epoch=N              which life of the scheduler: it was restarted N times
 *	                         without any WHAT: counters that rise, drawn from job.seed
 *	report, wakes, latency, payload, monitor, measure, event
 *	                         what the attempt reports: scriptedreport.h
 *	log STREAM "TEXT"        a piece of a log, and a newline
 *	logs STREAM BYTES        that many bytes of log, in pieces
 *	fail CAUSE ["TEXT"] [xN] the attempt ends with this cause of proto/causes.def
 *	die CAUSE ["TEXT"] [xN]  the same word for infra trouble; with xN only the first N attempts end
 *	                         so (job.attempt says which this is), later ones go on
 *	hang                     nothing more happens until it is cancelled
 *	crash [xN]               abort() the whole worker
 *	end                      cause "finished"; implied at the end of the script
 *
 * DUR is as in proto/base/duration.h. In TEXT, \" and \\ and \n are escapes.
 * The empty script is: boot 1ms; load 1ms; then each periodic sample of job.scenario after its share
 * of duration/1000; end.
 *
 * Samples have the shape of real ones: elapsed_ns, offset_ns and step are the scenario's (boundary.h), not
 * the script's few milliseconds; a bpf variable stands in the vars of a map "<scheduler>.bss" that
 * belongs to the running scheduler (worker/introspect/introspect.h); stats is what the scheduler would
 * answer. A path with dots makes maps in maps.
 *
 * The scenario's ops are moments of the timeline behind the phase "run" (scriptedops.h).
 *
 * A script that cannot be read ends the attempt with host_trouble and the place of the error.
 */
#ifndef KT_RUNNER_SCRIPTED_H
#define KT_RUNNER_SCRIPTED_H

#include "worker/runner.h"

/* 0, or -EINVAL with fault INPUT and "command N: ...". */
int kt_runner_scripted_check(const char *script, struct kt_err *err);

#endif
