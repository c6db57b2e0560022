/* pluginhost.h - ktcoord as the process that a verdict plug-in runs in (plugin.h has the picture).
 *
 * First every privilege goes: nobody where we are root, no capabilities, no new ones; no core, no file to write,
 * no other process, no socket, little memory; then the plug-in is loaded, also its constructors find it so. What
 * a host does not allow is left out: the plug-in is its user's own, this contains mistakes rather than malice.
 */
#ifndef KT_PLUGINHOST_H
#define KT_PLUGINHOST_H

#define KT_PLUGINHOST_OPTION     "--judge-by-plugin" /* argv[1]; nothing for people */
#define KT_PLUGINHOST_CHECK      "check" /* argv[2]: load it, say so, end */
#define KT_PLUGINHOST_JUDGE      "judge" /* argv[2]: read the series from stdin, call it */
#define KT_PLUGINHOST_SAID_FD    3
#define KT_PLUGINHOST_LIBRARY_FD 4

/* argv[3]: bytes of address space, 0 for no limit; argv[4]: seconds of CPU time. Never returns to main()'s caller
 * with anything left to do.
 */
int kt_pluginhost_main(int argc, char **argv);

#endif
