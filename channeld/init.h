/* init.h - `channeld init`: a data directory with new keys, or with those of recovery words. */
#ifndef CHANNELD_INIT_H
#define CHANNELD_INIT_H

/* argv without "channeld init". Returns the process's exit status. */
int cd_init(int argc, char **argv);

#endif
