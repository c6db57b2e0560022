/* cli.h - the command line: one table of commands, one of options; help and parsing come from them. */
#ifndef KT_CLI_H
#define KT_CLI_H

/* Returns the exit status (coordinator/report.h). */
int kt_cli_main(int argc, char **argv);

#endif
