/* proxy.h - a man in the middle between two daemons whose keys it has. */
#ifndef TESTS_HOSTILE_PROXY_H
#define TESTS_HOSTILE_PROXY_H

/* hostile proxy DIALER_DIR LISTENER_DIR LISTENER_ADDRESS; runs until its input ends. */
int proxy_main(int argc, char **argv);

#endif
