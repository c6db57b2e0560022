#include "coordinator/cli.h"

int main(int argc, char **argv)
{
	return kt_cli_main(argc, argv);
}
