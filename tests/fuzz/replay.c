/* replay.c - runs a fuzz target once over every file of the folders named on the command line. */
#include "proto/base/must.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	size_t len;

	kt_must(file);
	fseek(file, 0, SEEK_END);
	len = (size_t)ftell(file);
	rewind(file);
	bytes = kt_must_calloc(len, 1);
	kt_must(fread(bytes, 1, len, file) == len);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, len);
	free(bytes);
}

int main(int argc, char **argv)
{
	unsigned int n = 0;
	char path[4096];

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		if (!dir) {
			fprintf(stderr, "no corpus folder %s\n", argv[i]);
			return 1;
		}
		while ((entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
			replay_file(path);
			n++;
		}
		closedir(dir);
	}
	printf("%u inputs replayed\n", n);
	return n ? 0 : 1; /* a corpus that is gone is not a pass */
}
