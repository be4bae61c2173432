// Feeds packets (u16 length, bytes) from a file to `golden`, then prints every counter of every function: name reference,
// hash, counts. The sections are read in place, so that no profile runtime is needed. -DRECORD_BYTES=48|64.
#include <stdio.h>
#include <string.h>
#include "context.h"

int golden(struct xdp_md *context);
int __llvm_profile_runtime;
extern const char __start___llvm_prf_data[], __stop___llvm_prf_data[];

static void dump(const char *record)
{
	unsigned long name, hash;
	long relative;
	unsigned int count;

	memcpy(&name, record, 8);
	memcpy(&hash, record + 8, 8);
	memcpy(&relative, record + 16, 8);
	memcpy(&count, record + RECORD_BYTES - (RECORD_BYTES == 64 ? 16 : 8), 4);
	printf("%lu %lu", name, hash);
	for (unsigned int i = 0; i < count; i++)
		printf(" %lu", ((const unsigned long *)(record + relative))[i]);
	putchar('\n');
}

int main(int count, char **arguments)
{
	static unsigned char packet[65536];
	unsigned short length;
	FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;

	while (file && fread(&length, 2, 1, file) == 1 && fread(packet, 1, length, file) == length) {
		struct xdp_md context = { (unsigned long)packet, (unsigned long)packet + length };
		golden(&context);
	}
	for (const char *record = __start___llvm_prf_data; record < __stop___llvm_prf_data; record += RECORD_BYTES)
		dump(record);
	return 0;
}
