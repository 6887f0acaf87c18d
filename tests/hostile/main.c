/* hostile - the peers of tests/e2e/test_hostile.py and test_strangers.py that mean no good. */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proxy.h"
#include "stranger.h"

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc < 2 || sodium_init() < 0) {
    fprintf(stderr, "usage: hostile proxy|flood|garbage|opens|deaf ARG...\n");
    return 2;
  }
  return strcmp(argv[1], "proxy") == 0 ? proxy_main(argc - 2, argv + 2) : stranger_main(argc - 1, argv + 1);
}
