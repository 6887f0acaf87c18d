/* artifact.h - the Adjudicator's code, as proto/evm/artifact/Adjudicator.json has it; artifact.c is made by the build.
 */
#ifndef CHANNELD_L1_EVM_ARTIFACT_H
#define CHANNELD_L1_EVM_ARTIFACT_H

#include <stddef.h>
#include <stdint.h>

/* What a transaction without a receiver deploys; the constructor takes no arguments. */
extern const uint8_t cd_artifact_creation[];
extern const size_t cd_artifact_creation_len;

/* What eth_getCode then says, with zeros where immutables stand: values that the constructor computed. */
typedef struct cd_artifact_hole {
  size_t start, len;
} cd_artifact_hole;
extern const uint8_t cd_artifact_runtime[];
extern const size_t cd_artifact_runtime_len;
extern const cd_artifact_hole cd_artifact_holes[];
extern const size_t cd_artifact_holes_len;

#endif
