/* folder.h - a folder of this process for what is read from files, in memory if that can be; removed at the end. */
#ifndef TESTS_FUZZ_FOLDER_H
#define TESTS_FUZZ_FOLDER_H

#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

static char folder[64], folder_file[100];

static inline void remove_folder(void) {
  unlink(folder_file);
  rmdir(folder);
}

/* Makes the folder if need be, with the one file `name` in it that only its owner reads. */
static inline void put_in_folder(const char *name, const uint8_t *data, size_t size) {
  if (folder[0] == '\0') {
    snprintf(folder, sizeof folder, "%s/fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(folder) != NULL && atexit(remove_folder) == 0, "a folder");
    snprintf(folder_file, sizeof folder_file, "%s/%s", folder, name);
  }
  FILE *file = fopen(folder_file, "wb");
  must(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0, "a file can be written");
  must(chmod(folder_file, 0600) == 0, "a file can be one's own");
}

/* A sentence without control characters. */
static inline void must_be_sentence(const char *why, size_t size) {
  must(why[0] != '\0' && memchr(why, 0, size) != NULL, "a sentence that ends");
  for (const char *s = why; *s != '\0'; s++)
    must((unsigned char)*s >= ' ' && *s != 127, "a sentence without control characters");
}

#endif
