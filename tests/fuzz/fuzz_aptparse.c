/* layer: coordinator */
/* fuzz_aptparse.c - what apt prints and how its sources are written, as anybody could write it. */
#include "coordinator/aptparse.h"

#include "proto/base/must.h"
#include "proto/base/own.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static char signers[KT_APTPARSE_SIGNERS_BYTES];
	KT_AUTO_FREE char *text = kt_must_calloc(len + 1, 1);
	struct kt_aptparse_package package;
	struct kt_aptparse_target target;
	unsigned int percent = 0;

	memcpy(text, bytes, len);
	if (kt_aptparse_target(text, &target))
		kt_must(target.uri[0] && target.entry > 0);
	for (unsigned int entry = 1; entry < 4; entry++) {
		kt_aptparse_signers(text, true, entry, signers);
		kt_aptparse_signers(text, false, entry, signers);
	}
	if (kt_aptparse_package(text, &package)) {
		kt_must(kt_aptparse_word(package.name));
		kt_must(!package.image[0] || kt_aptparse_word(package.image));
		kt_must(!package.base[0] || kt_aptparse_word(package.base));
	}
	kt_aptparse_status(text, &percent);
	kt_must(percent <= 100);
	return 0;
}
