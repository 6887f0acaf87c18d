/* reorganisations.c - what the head showed, and shows no more: section 5, "What a party does about the chain is
 * level-triggered". */
#include "scene.h"

const scene REORGANISATIONS[] = {{0}};
