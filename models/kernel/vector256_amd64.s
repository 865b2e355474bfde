//go:build !purego

#include "textflag.h"

// Eight numbers a vector: AVX2 and FMA.

// Eight ones and eight zeros: a window of eight has any number of lanes.
DATA lanes<>+0(SB)/8, $-1
DATA lanes<>+8(SB)/8, $-1
DATA lanes<>+16(SB)/8, $-1
DATA lanes<>+24(SB)/8, $-1
DATA lanes<>+32(SB)/8, $0
DATA lanes<>+40(SB)/8, $0
DATA lanes<>+48(SB)/8, $0
DATA lanes<>+56(SB)/8, $0
GLOBL lanes<>(SB), RODATA|NOPTR, $64

#define AXPY ·axpy256
#define BLEND ·blend256
#define WIDEN ·widen256
#define RELUBACK ·reluback256
#define ADAM ·adam256
#define ENTROPY ·entropy256
#define DOTS ·dots256
#define GATHER ·gather256
#define V0 Y0
#define V1 Y1
#define V2 Y2
#define V3 Y3
#define V4 Y4
#define V5 Y5
#define V6 Y6
#define V7 Y7
#define V8 Y8
#define V9 Y9
#define V10 Y10
#define V11 Y11
#define V12 Y12
#define V13 Y13
#define V14 Y14
#define V15 Y15
#define LANES 8
#define WIDTH 32
#define HALFWIDTH 16
#define AND VPAND
#define ANDN VPANDN
#define OR VPOR
#define LANEMASK(N) \
	LEAQ    lanes<>+32(SB), R9 \
	NEGQ    N                  \
	VMOVDQU (R9)(N*4), Y15     \
	NEGQ    N
#define MLOAD(FROM, V) VMASKMOVPS FROM, Y15, V
#define MSTORE(V, TO) VMASKMOVPS V, Y15, TO
#define HALVE
#include "vector_amd64.h"

// t = aᵀ for eight rows of eight; lda and ldt in bytes.
// func transpose8(a *float32, lda int, t *float32, ldt int)
TEXT ·transpose8(SB), NOSPLIT, $0-32
	MOVQ a+0(FP), SI
	MOVQ lda+8(FP), AX
	MOVQ t+16(FP), DI
	MOVQ ldt+24(FP), BX
	LEAQ (SI)(AX*4), R8
	LEAQ (AX)(AX*2), DX

	// Rows i and i+4 side by side, so that what follows stays within halves.
	VMOVUPS     (SI), X0
	VINSERTF128 $1, (R8), Y0, Y0
	VMOVUPS     (SI)(AX*1), X1
	VINSERTF128 $1, (R8)(AX*1), Y1, Y1
	VMOVUPS     (SI)(AX*2), X2
	VINSERTF128 $1, (R8)(AX*2), Y2, Y2
	VMOVUPS     (SI)(DX*1), X3
	VINSERTF128 $1, (R8)(DX*1), Y3, Y3
	VMOVUPS     16(SI), X4
	VINSERTF128 $1, 16(R8), Y4, Y4
	VMOVUPS     16(SI)(AX*1), X5
	VINSERTF128 $1, 16(R8)(AX*1), Y5, Y5
	VMOVUPS     16(SI)(AX*2), X6
	VINSERTF128 $1, 16(R8)(AX*2), Y6, Y6
	VMOVUPS     16(SI)(DX*1), X7
	VINSERTF128 $1, 16(R8)(DX*1), Y7, Y7

#define QUARTERS(A, B, C, D) \
	VUNPCKLPS B, A, Y8          \
	VUNPCKHPS B, A, Y9          \
	VUNPCKLPS D, C, Y10         \
	VUNPCKHPS D, C, Y11         \
	VUNPCKLPD Y10, Y8, A        \
	VUNPCKHPD Y10, Y8, B        \
	VUNPCKLPD Y11, Y9, C        \
	VUNPCKHPD Y11, Y9, D

	QUARTERS(Y0, Y1, Y2, Y3)
	QUARTERS(Y4, Y5, Y6, Y7)
	LEAQ    (DI)(BX*4), R8
	LEAQ    (BX)(BX*2), DX
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, (DI)(BX*1)
	VMOVUPS Y2, (DI)(BX*2)
	VMOVUPS Y3, (DI)(DX*1)
	VMOVUPS Y4, (R8)
	VMOVUPS Y5, (R8)(BX*1)
	VMOVUPS Y6, (R8)(BX*2)
	VMOVUPS Y7, (R8)(DX*1)
	VZEROUPPER
	RET
