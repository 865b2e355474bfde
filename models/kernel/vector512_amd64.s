//go:build !purego

#include "textflag.h"

// Sixteen numbers a vector: AVX-512F.

#define AXPY ·axpy512
#define BLEND ·blend512
#define WIDEN ·widen512
#define RELUBACK ·reluback512
#define ADAM ·adam512
#define ENTROPY ·entropy512
#define DOTS ·dots512
#define GATHER ·gather512
#define V0 Z0
#define V1 Z1
#define V2 Z2
#define V3 Z3
#define V4 Z4
#define V5 Z5
#define V6 Z6
#define V7 Z7
#define V8 Z8
#define V9 Z9
#define V10 Z10
#define V11 Z11
#define V12 Z12
#define V13 Z13
#define V14 Z14
#define V15 Z15
#define LANES 16
#define WIDTH 64
#define HALFWIDTH 32
#define AND VPANDD
#define ANDN VPANDND
#define OR VPORD
#define LANEMASK(N) \
	MOVQ  $-1, R9   \
	BZHIQ N, R9, R9 \
	KMOVW R9, K1
#define MLOAD(FROM, V) VMOVUPS.Z FROM, K1, V
#define MSTORE(V, TO) VMOVUPS V, K1, TO
#define HALVE \
	VEXTRACTF64X4 $1, Z0, Y1 \
	VADDPS        Y1, Y0, Y0
#include "vector_amd64.h"
