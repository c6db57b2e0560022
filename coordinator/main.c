#include "coordinator/cli.h"
#include "coordinator/pluginhost.h"

#include <string.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], KT_PLUGINHOST_OPTION) == 0)
		return kt_pluginhost_main(argc, argv);
	return kt_cli_main(argc, argv);
}
