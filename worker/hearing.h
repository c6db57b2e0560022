/* hearing.h - what the guest says: each frame of guest.def, and in which phase it may come.
 *
 * The guest is untrusted. A frame out of place ends the attempt; what it says is remembered in the attempt and
 * judged by the phase that waits for it. After the end nothing is too late to be ignored.
 */
#ifndef KT_HEARING_H
#define KT_HEARING_H

#include "proto/schema.h"

/* struct kt_vm_events; arg is the struct kt_attempt. */
void kt_hearing_frame(void *arg, const struct kt_message *message, void *frame);
void kt_hearing_log(void *arg, const char *stream, const void *bytes, size_t len);

#endif
